/* A job that waits for another is a node among what is called when that ends,
 * see on_end.c; the node holds a reference to the job. Whoever ends the other
 * one begins this one if nothing must be made for it: a thread that has just
 * ended a job takes the next by itself, so that a chain needs no wake-up, and
 * no stack. All else is left to the service thread, which delays and makes
 * workers. A job that is stopped while it waits ends at once; its node stays
 * until the other one ends. */
#include "worker/after.h"

#include "base/why.h"
#include "os/os.h"
#include "worker/on_end.h"
#include "worker/outcome.h"

#include <weft/status.h>

#include <stdlib.h>
#include <string.h>

static bool
leaves(weft_job *job, enum job_phase phase)
{
    uint32_t waiting = JOB_WAITING;

    return atomic_compare_exchange_strong(&job->phase, &waiting, phase);
}

/* --- what it is not to begin for */

static const char *
how_it_ended(const weft_job *before)
{
    switch (before->outcome.status) {
    case WEFT_EDIED:
        return "died";
    case WEFT_ETIMEDOUT:
        return "exceeded its timeout";
    case WEFT_ECANCELED:
        return "was stopped or never began";
    default:
        return "failed";
    }
}

/* Short, for there may be many. */
static void
note_why(weft_job *job, const weft_job *before)
{
    char space[TEXT_NAME + 64];
    struct text text = text_over(space, sizeof space);

    if (job_has_ended(before) && before->outcome.status < 0)
        text_add(&text, "'%s', which it was to follow, %s", before->name,
                 how_it_ended(before));
    else
        text_add(&text, "it was stopped while it waited for '%s'",
                 before->name);
    job->call.message = strdup(space); /* without memory there is none */
}

static void
cancel(weft_job *job)
{
    note_why(job, job->after);
    job_end(job);
}

bool
after_stop(weft_job *job)
{
    if (!leaves(job, JOB_CANCELED))
        return false;
    cancel(job);
    return true;
}

/* --- what it takes over */

static int
keep_argument(weft_job *job, const void *bytes, size_t size)
{
    job->argument = malloc(size);
    if (!job->argument)
        return why_because(WEFT_ENOMEM, "cannot copy an argument");
    memcpy(job->argument, bytes, size);
    job->call.call.arg = job->argument;
    job->call.call.arg_size = size;
    return 0;
}

int
after_take(weft_job *job)
{
    const weft_job *before = job->after;
    int status = 0;

    if (!before)
        return 0;
    const void *bytes = before->outcome.result;
    const size_t size = before->outcome.result_size;

    if (job->takes_result && size > 0)
        status = job->of->give ? job->of->give(job, bytes, size)
                               : keep_argument(job, bytes, size);
    if (status == 0)
        after_forget(job);
    return status;
}

void
after_forget(weft_job *job)
{
    weft_job *before = job->after;

    job->after = NULL;
    if (before)
        job_drop(before);
}

/* --- going on */

void
job_cannot_begin(weft_job *job)
{
    atomic_store(&job->phase, JOB_BEGUN);
    job->outcome.status = WEFT_EFAILED;
    outcome_keep_message(&job->call, weft_why());
    job_end(job);
}

void
job_begin_late(weft_job *job)
{
    job_keep(job); /* it may have ended when begin() returns */
    if (after_take(job) < 0 || job->of->begin(job) < 0)
        job_cannot_begin(job);
    job_drop(job);
}

static void
make_due(weft_job *job)
{
    atomic_store(&job->phase, JOB_DUE);
    service_attend(job);
}

static void
go_on(weft_job *job)
{
    if (!leaves(job, JOB_READY))
        return;
    record_ready(&job->recorded);
    job->due = weft_in(job->delay).ns;
    if (job->delay == 0 && job->of->begin_at_once) {
        if (after_take(job) < 0) {
            job_cannot_begin(job);
            return;
        }
        if (job->of->begin_at_once(job))
            return;
    }
    make_due(job);
}

/* By who ended `before`. */
static void
follow(weft_job *before, void *context)
{
    weft_job *job = context;

    if (before->outcome.status >= 0)
        go_on(job);
    else if (leaves(job, JOB_CANCELED))
        cancel(job);
    job_drop(job);
}

void
after_due(weft_job *job)
{
    if (atomic_load(&job->stop.asked) != 0) {
        atomic_store(&job->phase, JOB_CANCELED);
        job_end(job);
    } else if (job->delay > 0) {
        atomic_store(&job->phase, JOB_DELAYED);
        job->timed = true;
        if (timer_set(&job->timer, job->due) < 0)
            job_cannot_begin(job);
    } else {
        atomic_store(&job->phase, JOB_READY);
        job_begin_late(job);
    }
}

/* The other has ended. */
static int
launch_behind(weft_job *job, const weft_job *before)
{
    if (before->outcome.status < 0) {
        if (leaves(job, JOB_CANCELED))
            cancel(job);
        return 0;
    }
    if (!leaves(job, JOB_READY))
        return 0;
    record_ready(&job->recorded);
    if (job->delay > 0) {
        job->due = weft_in(job->delay).ns;
        make_due(job);
        return 0;
    }
    const int status = after_take(job);

    return status < 0 ? status : job->of->begin(job);
}

int
after_launch(weft_job *job)
{
    weft_job *before = job_keep(job->after); /* a stop gives back the job's */
    int status = 0;

    job->follow = (struct on_end){.fn = follow, .context = job_keep(job)};
    atomic_store(&job->phase, JOB_WAITING);
    if (atomic_load(&job->stop.asked) != 0) /* which met it ENTERING */
        service_attend(job);
    if (!on_end_add(before, &job->follow)) {
        job_drop(job);
        status = launch_behind(job, before);
    }
    job_drop(before);
    return status;
}

bool
after_wait(weft_job *job)
{
    const weft_job *before = job->after;

    if (!before)
        return true;
    if (job_wait(job->after, OS_NEVER, false) < 0 ||
        before->outcome.status < 0) {
        atomic_store(&job->phase, JOB_CANCELED);
        note_why(job, before);
        return false;
    }
    if (after_take(job) == 0)
        return true;
    atomic_store(&job->phase, JOB_BEGUN);
    job_returned(job, WEFT_ENOMEM);
    return false;
}
