/* A pool without workers: whoever submits runs the task, at once; whoever
 * enters runs what it forks. For debugging. */
#include "worker/serial.h"

#include "base/why.h"
#include "pool/pool.h"

#include <weft/status.h>

static int
begin(weft_job *job)
{
    struct thread_pool *pool = pool_of(job);
    struct deck *deck = pool_take_deck(pool);

    if (!deck)
        return why_because(WEFT_ENOMEM, "cannot run a task");
    lock_take(&pool->in.lock);
    int status = intake_enter(&pool->in, job);

    lock_give(&pool->in.lock);
    if (status < 0) {
        pool_give_deck(pool, deck);
        return status;
    }
    job->entered = true;
    pool_put_on(deck); /* the pool is what the task calls NULL */
    job_keep(job);
    status = serial_kind.begin(job);

    pool_take_off(deck);
    lock_take(&pool->in.lock);
    intake_leave(&pool->in);
    intake_account(&pool->in, job);
    lock_give(&pool->in.lock);
    job_drop(job);
    intake_ended(&pool->in); /* last: who closes the pool waits for it */
    return status;
}

static const struct job_kind jobs = {.begin = begin};

static int
open_serial(weft_pool **out, const weft_pool_options *options)
{
    const int status = pool_make(out, &serial_pool_kind, WEFT_SERIAL, options);

    if (status == 0)
        (void)jobs_prepare((struct thread_pool *)(void *)*out);
    return status;
}

static int
resize(weft_pool *pool, unsigned workers)
{
    (void)pool;
    (void)workers;
    return why_set(WEFT_ENOTSUP, "a serial pool has no workers");
}

const struct pool_kind serial_pool_kind = {
    .open = open_serial,
    .jobs = &jobs,
    .resize = resize,
    .count = pool_count,
    .close = pool_close,
    .rest = pool_rest,
    .enter = pool_enter,
    .here = pool_here,
};
