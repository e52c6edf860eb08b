#include "command.h"

#include <err.h>
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define DEFAULT_FILE "trace.weft"

struct record {
    const char *to;
    char **command;
};

static error_t
take(int key, char *value, struct argp_state *state)
{
    struct record *record = state->input;

    (void)value;
    switch (key) {
    case 'o':
        record->to = value;
        return 0;
    case ARGP_KEY_ARGS:
        record->command = state->argv + state->next;
        return 0;
    case ARGP_KEY_END:
        if (!record->command)
            argp_error(state, "which command?");
        return 0;
    default:
        return ARGP_ERR_UNKNOWN;
    }
}

/* A recording of before is replaced; anything else is not ours to remove. */
static void
make_room(const char *path)
{
    struct stat file;
    weft_recording *recording;

    if (stat(path, &file) < 0)
        return;
    if (file.st_size > 0) {
        if (weft_recording_open(&recording, path) < 0)
            errx(EXIT_NO_RECORDING, "%s exists already: %s", path, weft_why());
        weft_recording_close(recording);
    }
    if (unlink(path) < 0)
        err(EXIT_NO_RECORDING, "%s", path);
}

/* The command may change its directory: the path is absolute. */
static void
set_trace(const char *path)
{
    char *directory = NULL, *whole = NULL;

    if (*path != '/')
        directory = getcwd(NULL, 0);
    if (*path != '/' && !directory)
        err(EXIT_NO_RECORDING, "the working directory");
    if (asprintf(&whole, "%s%s%s", directory ? directory : "",
                 directory ? "/" : "", path) < 0 ||
        setenv("WEFT_TRACE", whole, 1) < 0)
        err(EXIT_NO_RECORDING, "%s", path);
    free(whole);
    free(directory);
}

/* The line that it is all about. */
static int
say_verdict(const char *path)
{
    weft_recording *recording;

    if (access(path, F_OK) < 0) {
        warnx("nothing was recorded: does the command use weft?");
        return EXIT_NO_RECORDING;
    }
    if (weft_recording_open(&recording, path) < 0) {
        warnx("%s", weft_why());
        return EXIT_NO_RECORDING;
    }
    fprintf(stderr, "weft: %s\nweft: recorded in %s\n",
            weft_recording_verdict(recording), path);
    weft_recording_close(recording);
    return EXIT_SUCCESS;
}

static void
ignore(int signal)
{
    (void)signal;
}

/* Ctrl-C is for the command; this program sees it end. A handler is forgotten
 * by the command, which would inherit that a signal is ignored. */
static void
leave_to_command(int which)
{
    if (signal(which, ignore) == SIG_IGN)
        signal(which, SIG_IGN);
}

int
command_record(int argc, char **argv)
{
    static const struct argp_option options[] = {
        {"output", 'o', "FILE", 0,
         "The recording; " DEFAULT_FILE " if not given", 0},
        {0}};
    static const struct argp argp = {
        options,
        take,
        "-- COMMAND [ARGUMENT...]",
        "Runs the command, records what it does and says whether it was "
        "concurrent, and whether parallel. Exits as the command does.",
        NULL,
        NULL,
        NULL};
    struct record record = {.to = DEFAULT_FILE};

    argp_parse(&argp, argc, argv, ARGP_IN_ORDER, NULL, &record);
    make_room(record.to);
    set_trace(record.to);
    leave_to_command(SIGINT);
    leave_to_command(SIGQUIT);
    const int pid = command_spawn(record.command, -1);

    if (pid < 0) {
        warnx("%s: %s", record.command[0], strerror(-pid));
        return pid == -ENOENT ? EXIT_NOT_FOUND : EXIT_CANNOT_RUN;
    }
    const int code = command_wait(pid);
    const int said = say_verdict(record.to);

    return code ? code : said;
}
