/* A progress bar on stderr, where that is a terminal. */
#ifndef PROGRESS_H
#define PROGRESS_H

#include <stdio.h>
#include <unistd.h>

static inline void progress_show(int done, int count)
{
    enum {
        WIDTH = 40
    };

    const int full = count > 0 ? (int)((long)WIDTH * done / count) : WIDTH;

    if (!isatty(STDERR_FILENO))
        return;
    fprintf(stderr, "\r[%.*s%*s] %d/%d%s", full,
            "########################################", WIDTH - full, "", done,
            count, done == count ? "\n" : "");
}

/* Before a line that is to stand in its place. */
static inline void progress_hide(void)
{
    if (isatty(STDERR_FILENO))
        fputs("\r\033[K", stderr);
}

#endif
