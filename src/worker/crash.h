/* Where a worker died: noted by the worker itself in the memory that it shares
 * with its parent, explained by the parent when somebody asks. */
#ifndef WORKER_CRASH_H
#define WORKER_CRASH_H

#include "worker/wire.h"

/* In the process that workers are copied of, or in a worker: from now on a
 * death by a fault is noted. */
void crash_catch(void);

/* In a worker: where to note it. `limit` bytes of private memory were given;
 * `closed`: it will not be able to open files. */
void crash_arm(struct wire_crash *crash, uint64_t limit, bool closed);

/* In the parent: a stack in words, a frame a line, to be freed; NULL when
 * nothing was noted or there is no memory. *where, within it or a constant, is
 * the first frame that has a line, else the first. Loads libweft-symbols if it
 * is there. May take 0.1 s. */
struct crash_text {
    char *stack;
    char where[TEXT_NAME];
};

void crash_explain(const struct wire_crash *crash, struct crash_text *out);

#endif
