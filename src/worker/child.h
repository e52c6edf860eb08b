/* The life of a process worker, in the worker. */
#ifndef WORKER_CHILD_H
#define WORKER_CHILD_H

#include "worker/wire.h"

/* Readies the process that workers are copied of, or a worker that is a copy of
 * nothing: its standard input is at its end, exit() ends it without the
 * handlers that the program registered before, and a crash is noted. */
void child_ready(void);

/* All that a fresh process can do before it knows what it is for: it dies with
 * the program, leads a group of its own, and is a worker in the registry,
 * certified. Ends it if the program is gone. */
void child_prepare(int program);

/* Whether this process is a worker, or was forked by one. */
bool child_is_within(void);

/* Runs the request in a prepared process and ends it. `fds` as enum wire_fd and
 * then request->handed ones; -1 where the present one is right. */
_Noreturn void child_run(const struct wire_request *request, const int *fds);

#endif
