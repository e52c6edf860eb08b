/* What programs with a command line share: numbers that are numbers, files that
 * are files, and an end that tells whether what was printed has arrived. */
#ifndef COMMAND_H
#define COMMAND_H

#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum {
    MOST_WORKERS = 4096 /* of a pool */
};

/* Whether the word is a whole number within the bounds. */
static inline bool number_in(const char *word, unsigned least, unsigned most,
                             unsigned *number)
{
    char *end;
    const unsigned long n = strtoul(word, &end, 10);

    if (!isdigit((unsigned char)*word) || *end || n < least || n > most)
        return false;
    *number = (unsigned)n;
    return true;
}

/* Whether the word is a number of seconds, and how many nanoseconds. */
static inline bool seconds_in(const char *word, long *ns)
{
    char *end;
    const double seconds = strtod(word, &end);

    if (*end || !(seconds >= 1e-9 && seconds <= 1e9))
        return false;
    *ns = (long)(seconds * 1e9);
    return true;
}

/* Opens a regular file to read, and never waits for the other end of a pipe.
 * NULL, and why. */
static inline FILE *file_open(const char *path, const char **why)
{
    const int fd = open(path, O_RDONLY | O_NONBLOCK | O_CLOEXEC);
    struct stat status;

    if (fd >= 0 && fstat(fd, &status) == 0 && !S_ISREG(status.st_mode)) {
        *why = "not a regular file";
        close(fd);
        return NULL;
    }
    FILE *file = fd < 0 ? NULL : fdopen(fd, "rb");

    *why = file ? NULL : strerror(errno);
    return file;
}

/* The exit code: not 0 either if what was printed has not arrived. */
static inline int finish(int code)
{
    if (fflush(stdout) == 0 && !ferror(stdout))
        return code;
    perror("standard output");
    return code ? code : 1;
}

#endif
