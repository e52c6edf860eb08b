/* The contract that every kind of pool fills in. */
#ifndef EXEC_EXEC_H
#define EXEC_EXEC_H

#include "worker/job.h"

#include <weft/fork.h>
#include <weft/pool.h>

struct intake;

/* What a kind of pool does; of the calls' arguments nothing is NULL. */
struct pool_kind {
    int (*open)(weft_pool **out, const weft_pool_options *options);
    /* How the pool's jobs do what differs, each with the pool as `worker`. */
    const struct job_kind *jobs;
    int (*resize)(weft_pool *pool, unsigned workers);
    void (*count)(weft_pool *pool, weft_pool_counts *out);
    int (*close)(weft_pool *pool, int64_t until);
    /* Ends the threads that have nothing to do, and waits for that. */
    void (*rest)(weft_pool *pool);
    /* Fork/join; NULL: not there. */
    int (*enter)(weft_pool *pool, weft_fork_fn *fn, void *frame, int64_t until);
    /* The pool whose worker the caller is; NULL = none. */
    weft_pool *(*here)(void);
};

struct weft_pool {
    const struct pool_kind *of;
    struct intake *in;
    weft_kind kind;
    _Atomic unsigned workers; /* that it may have; 0: serial */
};

/* In src/pool/ and src/procpool/. */
extern const struct pool_kind thread_pool_kind, serial_pool_kind,
    process_pool_kind;

/* `pool`, or for NULL the pool that the caller works for, or the default one,
 * made now. NULL: it cannot be made, with the sentence. */
weft_pool *exec_pool(weft_pool *pool);

#endif
