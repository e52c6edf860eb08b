/* A parallel loop: a range in parts, halved by forks until each is one part.
 * Where the parts begin and end depends on count and grain alone. */
#ifndef POOL_LOOP_H
#define POOL_LOOP_H

#include "base/text.h"
#include "exec/exec.h"
#include "wait/stop.h"

#include <weft/loop.h>

enum {
    LOOP_STOPS = 8 /* stop words of the caller that its parts look at */
};

/* Does the items of one part; `place` as its loop says. */
typedef int loop_fn(void *context, void *place, size_t begin, size_t end);

struct loop {
    /* Read-only while it runs. */
    const char *call; /* for the sentence */
    loop_fn *body;
    void *context;
    size_t count, grain;
    size_t parts;                  /* the last one may be smaller */
    const struct self *self;       /* the caller's */
    unsigned shield;               /* the caller's */
    struct stop *stop;             /* the caller's, to be borrowed by others */
    struct stop stops[LOOP_STOPS]; /* where these lie */

    _Atomic int status;         /* the first failure, once; 0 = none */
    char message[TEXT_MESSAGE]; /* by who set it, before its part is synced */
};

/* Parts first .. last - 1. */
struct loop_span {
    struct loop *loop;
    size_t first, last;
};

/* The pool that will run it (NULL: as exec_pool says). NULL: there is none that
 * can, with *status and the sentence. */
weft_pool *loop_pool(weft_pool *pool, const char *call, int *status);

/* Threads that it will run in: of a serial pool the caller's. */
unsigned loop_workers(const weft_pool *pool);

/* For a loop whose result does not depend on it. */
size_t loop_grain(const weft_pool *pool, size_t count);

/* Readies what is the same in all loops; count and grain are at least 1. */
void loop_begin(struct loop *loop, const char *call, size_t count,
                size_t grain);

/* Runs fn(lane, frame) in the pool, recorded as `call`. In the middle of a part
 * of another loop there it goes on with the lanes of that: who waits for the
 * part, since it was stolen from him, can help with what lies in the thief's
 * deck, and there alone. */
int loop_fork(weft_pool *pool, const char *call, weft_fork_fn *fn, void *frame);

/* Does body for all parts, with no place: from outside, and on lanes. */
int loop_enter(weft_pool *pool, struct loop *loop);
void loop_run(weft_lane *lane, struct loop *loop);

/* Does body's items of one part, in the calling thread, stopped by what stops
 * the loop's caller. The lanes from `lane` on are free. */
int loop_part(weft_lane *lane, struct loop *loop, size_t part, void *place);

/* Whether another part may begin. */
bool loop_goes_on(struct loop *loop);

/* Keeps the failure, if it is the first one. */
void loop_fail(struct loop *loop, int status, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* After all parts: 0, or the first failure, with its sentence. */
int loop_end(struct loop *loop);

#endif
