/* Who waits helps: it runs the job, or what that one submitted, and nothing
 * else. */
#include "os/os.h"
#include "pool/pool.h"
#include "worker/place.h"

enum {
    LOOK_AT = 64 /* waiting jobs, for one's child */
};

static weft_job *
find(struct thread_pool *pool, weft_job *job)
{
    unsigned left = LOOK_AT;

    if (!list_empty(&job->in_pool))
        return job->blocking ? NULL : job;
    if (job->number == 0) /* it has not come yet, and so submitted nothing */
        return NULL;
    list_foreach (at, &pool->ready) {
        weft_job *child = list_entry(at, weft_job, in_pool);

        if (child->submitter == job->number)
            return child;
        if (--left == 0)
            break;
    }
    return NULL;
}

bool
jobs_help(weft_job *job)
{
    struct thread_pool *pool = pool_of(job);
    const struct deck *deck = pool_deck_here(pool);

    if (!deck || job_has_ended(job) || !deck_has_stack(deck))
        return false;
    lock_take(&pool->in.lock);
    weft_job *found = find(pool, job);

    if (found)
        jobs_leave(pool, found);
    lock_give(&pool->in.lock);
    if (found)
        jobs_run(pool, found);
    return found;
}

int
jobs_wait(weft_job *job, const struct wait_terms *terms)
{
    while (terms->until > os_now() && jobs_help(job) && !job_has_ended(job))
        ;
    /* If its stack is full, or the job will come when it sleeps, another one
     * helps in its place. */
    if (job_has_ended(job) || terms->until <= 0 || !place_leave(job->late))
        return wait_while(&job->ended, 0, terms);
    const int status = wait_while(&job->ended, 0, terms);

    place_take();
    return status;
}
