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
    struct self *self = self_get();
    struct deck *outer = self->deck, *deck = pool_take_deck(pool);

    if (!deck)
        return why_because(WEFT_ENOMEM, "cannot run a task");
    job->entered = true;
    self->deck = deck; /* the pool is what the task calls NULL */
    job_keep(job);
    const int status = serial_kind.begin(job);

    self->deck = outer;
    pool_give_deck(pool, deck);
    lock_take(&pool->lock);
    if (job->outcome.status == WEFT_OK)
        pool->succeeded++;
    else
        pool->failed++;
    lock_give(&pool->lock);
    job_drop(job);
    pool_give_back(&pool->face); /* last: who closes the pool waits for it */
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
    .reserve = pool_reserve,
    .give_back = pool_give_back,
    .jobs = &jobs,
    .resize = resize,
    .count = pool_count,
    .close = pool_close,
    .rest = pool_rest,
    .enter = pool_enter,
    .here = pool_here,
};
