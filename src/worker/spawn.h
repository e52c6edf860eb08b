/* Workers that are the program executed anew: its constructors run, its main
 * does not. The library takes over in main's place, or in weft_init. */
#ifndef WORKER_SPAWN_H
#define WORKER_SPAWN_H

#include "worker/wire.h"

/* Whether a program executed anew would be taken over. WEFT_ENOTSUP. */
int spawn_is_possible(void);

/* weft_init was given the program's arguments, and will be again: takes over
 * there if this process is such a worker, and does not return then. */
void spawn_hook(void);

/* In the place of the program's main, which libc_start.c has put here: takes
 * over or goes on there. */
typedef int spawn_main_fn(int argc, char **argv, char **environment);

spawn_main_fn spawn_main;
extern spawn_main_fn *spawn_real_main; /* NULL: nobody has */

/* Starts the request, like zygote_start; `environment` is what the program's
 * loader and constructors see. Runs in the service thread, with which the
 * worker dies. */
int spawn_start(const struct wire_request *request, const int *fds,
                char *environment, size_t size);

#endif
