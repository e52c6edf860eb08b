/* What comes into a pool: room for tasks, how many wait, run and have ended,
 * and the pool's end. Every kind of pool with workers has one.
 *
 *   not counted -> waiting    intake_reserve, or intake_enter for a job that
 *                             has no place yet
 *   waiting -> not counted    intake_give_back
 *   waiting -> running        intake_leave
 *   running -> waiting        intake_return: whoever ran it has died
 *   running -> ending         intake_account, before the job's end is seen
 *   running -> not counted    intake_done, the same
 *   ending -> not counted     intake_ended, after it
 *
 * All under the lock. The pool is quiet, and can be freed, when nothing is
 * counted. */
#ifndef EXEC_INTAKE_H
#define EXEC_INTAKE_H

#include "base/text.h"
#include "wait/lock.h"
#include "wait/wait.h"
#include "worker/job.h"

#include <weft/pool.h>

/* When a task is not worth a wake-up, ns. */
enum {
    INTAKE_TINY = 2000,   /* it takes no longer than this */
    INTAKE_WAKE = 20000,  /* until a sleeping worker has a task */
    INTAKE_LOOK = 1000000 /* until it is seen that one takes longer than others
                           */
};

struct intake {
    char name[TEXT_NAME]; /* of the pool */
    size_t backlog;       /* jobs that may wait; 0 = no bound */
    const void *pool;     /* what who waits here waits for */

    struct lock lock; /* of what follows, and of more of the pool's */
    size_t waiting;   /* jobs that were let in and have not begun */
    size_t running, ending;
    uint64_t succeeded, failed, died;
    unsigned callers; /* that wait for room, or wake or make a worker */
    bool closing;
    char refusal[TEXT_MESSAGE]; /* read-only once `refuses` is set */

    _Atomic int refuses;    /* the status; 0 = nothing is refused */
    struct wait_word room;  /* changes when a waiting job begins */
    struct wait_word quiet; /* changes when one has ended, while closing */
    struct wait_word gone;  /* changes when a worker has ended, or a caller */
};

/* All-zero to begin with; the name is checked. */
void intake_open(struct intake *in, const weft_pool *pool,
                 const weft_pool_options *options);

/* Keeps a place for a job, waiting for one until then. WEFT_ECLOSED,
 * WEFT_EAGAIN, WEFT_ETIMEDOUT, WEFT_ECANCELED, WEFT_EFAILED. */
int intake_reserve(struct intake *in, int64_t until);
void intake_give_back(struct intake *in);

/* The job begins to wait for a worker; who has no place is counted now. On an
 * error it was not. Under the lock. */
int intake_enter(struct intake *in, const weft_job *job);

/* It was not given to a worker after all. Under the lock. */
void intake_undo(struct intake *in, const weft_job *job);

/* A worker has it; or had it and died. Under the lock. */
void intake_leave(struct intake *in);
void intake_return(struct intake *in);

/* Its outcome is known; its end is seen later, and told by intake_ended. Under
 * the lock. */
void intake_account(struct intake *in, const weft_job *job);

/* The same for a worker's own job, whom close waits for anyway. */
void intake_done(struct intake *in, const weft_job *job);

/* Its end is seen. Nothing of the pool is touched after this by who is not one
 * of its workers. */
void intake_ended(struct intake *in);

/* Tasks are refused from now on; the first reason counts. Under the lock. */
void intake_refuse(struct intake *in, const char *what, const char *why);

/* Workers have gone, or callers: for who waits for that. Under the lock. */
void intake_tell_gone(struct intake *in);

/* Takes no more. Then waits until the pool is quiet: 0, WEFT_ETIMEDOUT,
 * WEFT_ECANCELED. */
void intake_close(struct intake *in);
int intake_wait_quiet(struct intake *in, int64_t until, bool stubborn);

/* Under the lock: the numbers of tasks. */
void intake_count(const struct intake *in, weft_pool_counts *out);

#endif
