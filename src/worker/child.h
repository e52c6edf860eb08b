/* The life of a process worker, in the worker. */
#ifndef WORKER_CHILD_H
#define WORKER_CHILD_H

#include "worker/wire.h"

/* Makes exit() in this process, and in copies of it, end without the handlers
 * that the program registered before. */
void child_guard_exit(void);

/* Standard input is at its end in this process and in copies of it. */
void child_read_nothing(void);

/* Runs the request in this fresh copy of the process and ends it. `fds` as enum
 * wire_fd, -1 where the present one is right. */
_Noreturn void child_run(const struct wire_request *request,
                         const int fds[WIRE_FDS]);

#endif
