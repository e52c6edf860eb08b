/* What the commands of the tool share. */
#ifndef TOOLS_COMMAND_H
#define TOOLS_COMMAND_H

#include <weft/weft.h>

#include <argp.h>

/* Exit codes; `weft record` passes on those of its command. */
enum {
    EXIT_FAILED = 1,
    EXIT_USAGE = 2,
    EXIT_NO_RECORDING = 125, /* these three as env(1) and timeout(1) */
    EXIT_CANNOT_RUN = 126,
    EXIT_NOT_FOUND = 127
};

/* Each gets its name as argv[0], and returns the exit code. */
int command_record(int argc, char **argv);
int command_report(int argc, char **argv);
int command_draw(int argc, char **argv);
int command_export(int argc, char **argv);

/* Opens a recording; says why and exits if it cannot be. */
weft_recording *command_open(const char *path);

/* Writes the recordings, and closes the descriptor. Returns the exit code, and
 * says what failed. */
int command_write(weft_recording *const *recordings, size_t count,
                  weft_format format, int fd);

/* What is written. */
struct output {
    int fd;
    char *fresh, *place; /* what it is named until it is whole, and then; NULL:
                            it has its name, or none */
};

/* A path of NULL is the standard output. Says why and exits if it cannot be
 * opened, or is one of the inputs. */
void output_open(struct output *output, const char *path,
                 const char *const *inputs, size_t count);

/* After the descriptor was closed. Keeps it if all went well, and returns the
 * exit code. */
int output_close(struct output *output, int code);

/* The process that is the program of which this one is a worker; itself, if it
 * is none. */
int command_program_of(int pid);

/* Starts a program of the PATH; `in` becomes its standard input if it is not
 * -1. Returns its pid or -errno. */
int command_spawn(char **argv, int in);

/* Waits for its end. Its exit code, or 128 + the signal that killed it. */
int command_wait(int pid);

#endif
