#include "command.h"

#include <err.h>
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#define DEFAULT_FILE "trace.weft"

/* How long a program may take to notice that it shall begin or end. */
#define PATIENCE (5 * WEFT_SECOND)

struct record {
    const char *to;
    char **command;
    int pid;            /* of a running program instead; 0 = none */
    double seconds;     /* for so long; 0 = until Ctrl-C */
    struct stat before; /* what was there; all-zero = nothing */
};

enum {
    LOOK = 50 /* ms between two looks whether it still runs */
};

static double
number(const char *text, struct argp_state *state)
{
    char *end;
    const double value = strtod(text, &end);

    if (end == text || *end || !(value > 0) || value > 1e9)
        argp_error(state, "'%s' is no such number", text);
    return value;
}

static error_t
take(int key, char *value, struct argp_state *state)
{
    struct record *record = state->input;

    switch (key) {
    case 'o':
        record->to = value;
        return 0;
    case 'p':
        record->pid = (int)number(value, state);
        return 0;
    case 't':
        record->seconds = number(value, state);
        return 0;
    case ARGP_KEY_ARGS:
        record->command = state->argv + state->next;
        return 0;
    case ARGP_KEY_END:
        if (!record->command == !record->pid)
            argp_error(state, "either a command or --pid");
        if (record->seconds > 0 && !record->pid)
            argp_error(state, "--time is for --pid");
        return 0;
    default:
        return ARGP_ERR_UNKNOWN;
    }
}

/* A recording of before will be replaced; anything else is not ours to touch.
 */
static void
look_before(struct record *record)
{
    weft_recording *recording;

    if (stat(record->to, &record->before) < 0)
        return;
    if (!S_ISREG(record->before.st_mode))
        errx(EXIT_NO_RECORDING, "%s is no plain file", record->to);
    if (record->before.st_size == 0)
        return;
    if (weft_recording_open(&recording, record->to) < 0)
        errx(EXIT_NO_RECORDING, "%s exists already: %s", record->to,
             weft_why());
    weft_recording_close(recording);
}

/* The number of a file that has gone is soon another's: the time tells. */
static bool
is_recorded(const struct record *record)
{
    const struct stat *before = &record->before;
    struct stat now;

    return stat(record->to, &now) == 0 &&
           (now.st_dev != before->st_dev || now.st_ino != before->st_ino ||
            now.st_mtim.tv_sec != before->st_mtim.tv_sec ||
            now.st_mtim.tv_nsec != before->st_mtim.tv_nsec);
}

/* Whoever writes it may have another directory: the path, absolute. */
static char *
whole_path(const char *path)
{
    char *directory = NULL, *whole = NULL;

    if (*path != '/')
        directory = getcwd(NULL, 0);
    if (*path != '/' && !directory)
        err(EXIT_NO_RECORDING, "the working directory");
    if (asprintf(&whole, "%s%s%s", directory ? directory : "",
                 directory ? "/" : "", path) < 0)
        err(EXIT_NO_RECORDING, "%s", path);
    free(directory);
    return whole;
}

/* The line that it is all about. */
static int
say_verdict(const struct record *record)
{
    weft_recording *recording;

    if (!is_recorded(record)) {
        warnx("nothing was recorded: does the command use weft?");
        return EXIT_NO_RECORDING;
    }
    if (weft_recording_open(&recording, record->to) < 0) {
        warnx("%s", weft_why());
        return EXIT_NO_RECORDING;
    }
    fprintf(stderr, "weft: %s\nweft: recorded in %s\n",
            weft_recording_verdict(recording), record->to);
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

static int
record_command(const struct record *record, const char *path)
{
    if (setenv("WEFT_TRACE", path, 1) < 0)
        err(EXIT_NO_RECORDING, "%s", path);
    leave_to_command(SIGINT);
    leave_to_command(SIGQUIT);
    const int pid = command_spawn(record->command, -1);

    if (pid < 0) {
        warnx("%s: %s", record->command[0], strerror(-pid));
        return pid == -ENOENT ? EXIT_NOT_FOUND : EXIT_CANNOT_RUN;
    }
    const int code = command_wait(pid);
    const int said = say_verdict(record);

    return code ? code : said;
}

/* A process that nobody has reaped has ended, too. */
static bool
has_ended(int pid, int pidfd)
{
    struct pollfd poll_for = {pidfd, POLLIN, 0};

    return pidfd < 0 ? kill(pid, 0) < 0 && errno == ESRCH
                     : poll(&poll_for, 1, 0) > 0;
}

/* Until Ctrl-C, the time is over or the program has ended. `signals` are
 * blocked. */
static void
wait_while_recording(const struct record *record, int pid, int pidfd,
                     const sigset_t *signals)
{
    const struct timespec slice = {0, LOOK * 1000000L};
    const weft_time end =
        record->seconds > 0
            ? weft_in((weft_duration)(record->seconds * WEFT_SECOND))
            : WEFT_FOREVER;

    while (weft_now().ns < end.ns && !has_ended(pid, pidfd))
        if (sigtimedwait(signals, NULL, &slice) > 0)
            return;
}

static int
record_running(const struct record *record, const char *path)
{
    /* A worker may end before its program does. */
    const int pid = command_program_of(record->pid);
    sigset_t signals;

    sigemptyset(&signals);
    sigaddset(&signals, SIGINT);
    sigaddset(&signals, SIGTERM);
    sigprocmask(SIG_BLOCK, &signals, NULL);
    if (weft_trace_start_in(pid, path, weft_in(PATIENCE)) < 0) {
        warnx("%s", weft_why());
        return EXIT_NO_RECORDING;
    }
    const int pidfd = (int)syscall(SYS_pidfd_open, pid, 0);

    fprintf(stderr, "weft: recording; Ctrl-C ends it\n");
    wait_while_recording(record, pid, pidfd, &signals);
    /* A program that has ended needs not be told. */
    if (weft_trace_stop_in(pid, weft_in(PATIENCE)) < 0 &&
        !has_ended(pid, pidfd))
        warnx("%s", weft_why());
    if (pidfd >= 0)
        close(pidfd);
    return say_verdict(record);
}

int
command_record(int argc, char **argv)
{
    static const struct argp_option options[] = {
        {"output", 'o', "FILE", 0,
         "The recording; " DEFAULT_FILE " if not given", 0},
        {"pid", 'p', "PID", 0, "Record a program that runs already", 0},
        {"time", 't', "SECONDS", 0, "With --pid: for so long", 0},
        {0}};
    static const struct argp argp = {
        options,
        take,
        "[--] COMMAND [ARGUMENT...]\n--pid PID",
        "Runs the command, records what it does and says whether it was "
        "concurrent, and whether parallel. Exits as the command does.",
        NULL,
        NULL,
        NULL};
    struct record record = {.to = DEFAULT_FILE};

    argp_parse(&argp, argc, argv, ARGP_IN_ORDER, NULL, &record);
    look_before(&record);
    char *path = whole_path(record.to);
    const int code = record.pid ? record_running(&record, path)
                                : record_command(&record, path);

    free(path);
    return code;
}
