/* weft: the command-line tool. Each command has a file of its own. */
#include "command.h"

#include <err.h>
#include <errno.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

extern char **environ;

static const struct {
    const char *name, *what;
    int (*run)(int argc, char **argv);
} commands[] = {
    {"record", "run a program and record what it does", command_record},
    {"report", "say whether it was concurrent, and whether parallel",
     command_report},
    {"draw", "make a picture of one or several recordings", command_draw},
    {"export", "convert a recording for other programs", command_export},
};

enum {
    COMMANDS = sizeof commands / sizeof *commands
};

static void
usage(FILE *to)
{
    fprintf(to, "Usage: weft COMMAND [OPTION...]\n\n");
    for (unsigned i = 0; i < COMMANDS; i++)
        fprintf(to, "  weft %-8s %s\n", commands[i].name, commands[i].what);
    fprintf(to, "\nweft COMMAND --help says more; so does weft(1).\n");
}

weft_recording *
command_open(const char *path)
{
    weft_recording *recording;

    if (weft_recording_open(&recording, path) < 0)
        errx(EXIT_FAILED, "%s", weft_why());
    return recording;
}

int
command_write(weft_recording *const *recordings, size_t count,
              weft_format format, int fd)
{
    const int status = weft_recording_write(recordings, count, format, fd);

    if (status < 0)
        warnx("%s", weft_why());
    if (close(fd) < 0 && status >= 0) {
        warn("write");
        return EXIT_FAILED;
    }
    return status < 0 ? EXIT_FAILED : EXIT_SUCCESS;
}

int
command_spawn(char **argv, int in)
{
    posix_spawn_file_actions_t actions;
    pid_t pid = -1;

    posix_spawn_file_actions_init(&actions);
    if (in >= 0)
        posix_spawn_file_actions_adddup2(&actions, in, STDIN_FILENO);
    const int error =
        posix_spawnp(&pid, argv[0], &actions, NULL, argv, environ);

    posix_spawn_file_actions_destroy(&actions);
    return error ? -error : pid;
}

int
command_wait(int pid)
{
    int status;

    while (waitpid(pid, &status, 0) < 0)
        if (errno != EINTR)
            err(EXIT_FAILED, "wait");
    return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

int
main(int argc, char **argv)
{
    argp_err_exit_status = EXIT_USAGE;
    argp_program_version = weft_version();
    if (argc < 2) {
        usage(stderr);
        return EXIT_USAGE;
    }
    if (strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "-?") == 0) {
        usage(stdout);
        return EXIT_SUCCESS;
    }
    if (strcmp(argv[1], "--version") == 0 || strcmp(argv[1], "-V") == 0) {
        printf("weft %s\n", weft_version());
        return EXIT_SUCCESS;
    }
    for (unsigned i = 0; i < COMMANDS; i++) {
        char name[32];

        if (strcmp(argv[1], commands[i].name) != 0)
            continue;
        snprintf(name, sizeof name, "weft %s", commands[i].name);
        argv[1] = name;
        return commands[i].run(argc - 1, argv + 1);
    }
    fprintf(stderr, "weft: there is no command '%s'\n", argv[1]);
    usage(stderr);
    return EXIT_USAGE;
}
