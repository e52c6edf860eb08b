#include "exec/intake.h"

#include "base/why.h"
#include "os/os.h"

#include <weft/status.h>

#include <limits.h>
#include <string.h>

void
intake_open(struct intake *in, const weft_pool *pool,
            const weft_pool_options *options)
{
    const char *name = options->name ? options->name : "pool";

    memcpy(in->name, name, strlen(name) + 1);
    in->backlog = options->backlog;
    in->pool = pool;
}

static void
post(struct wait_word *word, int count)
{
    wait_post(word, atomic_load(&word->value) + 1, count);
}

/* --- places */

static int
closed(const struct intake *in)
{
    return why_set(WEFT_ECLOSED, "pool '%s' is being closed", in->name);
}

static int
refused(const struct intake *in)
{
    return why_set(WEFT_EFAILED, "pool '%s' takes no tasks: %s", in->name,
                   in->refusal);
}

/* Under the lock. */
static int
try_reserve(struct intake *in, uint32_t *seen)
{
    *seen = atomic_load(&in->room.value);
    if (in->closing)
        return closed(in);
    if (in->backlog && in->waiting >= in->backlog)
        return why_set(WEFT_EAGAIN, "%zu tasks wait in pool '%s'", in->backlog,
                       in->name);
    in->waiting++;
    return 0;
}

static int
wait_for_change(struct intake *in, uint32_t seen, int64_t until)
{
    const struct wait_terms terms = {
        .until = until, .kind = SLOT_WAIT_PUT, .object = in->pool};
    const int status = wait_while(&in->room, seen, &terms);

    if (status == WEFT_ETIMEDOUT)
        return why_set(status, "pool '%s' had no room by the deadline",
                       in->name);
    if (status < 0)
        return why_set(status, "asked to stop while waiting for room in '%s'",
                       in->name);
    return 0;
}

/* Under the lock, which it gives back meanwhile. Close waits for those who
 * wait here. */
static int
wait_for_room(struct intake *in, uint32_t seen, int64_t until)
{
    int status;

    in->callers++;
    do {
        lock_give(&in->lock);
        status = wait_for_change(in, seen, until);
        lock_take(&in->lock);
        if (status == 0)
            status = try_reserve(in, &seen);
    } while (status == WEFT_EAGAIN);
    in->callers--;
    intake_tell_gone(in);
    return status;
}

int
intake_reserve(struct intake *in, int64_t until)
{
    uint32_t seen;

    if (atomic_load(&in->refuses) < 0)
        return refused(in);
    lock_take(&in->lock);
    int status = try_reserve(in, &seen);

    if (status == WEFT_EAGAIN && until > 0)
        status = wait_for_room(in, seen, until);
    lock_give(&in->lock);
    return status;
}

/* Under the lock. */
static void
take_place(struct intake *in)
{
    in->waiting--;
    post(&in->room, 1);
    if (in->closing)
        post(&in->quiet, INT_MAX);
}

void
intake_give_back(struct intake *in)
{
    lock_take(&in->lock);
    take_place(in);
    lock_give(&in->lock);
}

/* --- the way of a job */

int
intake_enter(struct intake *in, const weft_job *job)
{
    if (atomic_load(&in->refuses) < 0)
        return refused(in);
    if (job->reserved)
        return 0;
    if (in->closing)
        return closed(in);
    in->waiting++;
    return 0;
}

void
intake_undo(struct intake *in, const weft_job *job)
{
    if (!job->reserved)
        take_place(in);
}

void
intake_leave(struct intake *in)
{
    in->waiting--;
    in->running++;
    if (in->backlog)
        post(&in->room, 1);
}

void
intake_return(struct intake *in)
{
    in->running--;
    in->waiting++;
}

void
intake_done(struct intake *in, const weft_job *job)
{
    in->running--;
    if (in->closing)
        post(&in->quiet, INT_MAX);
    if (job->outcome.status == WEFT_OK)
        in->succeeded++;
    else if (job->outcome.status == WEFT_EDIED)
        in->died++;
    else
        in->failed++;
}

void
intake_account(struct intake *in, const weft_job *job)
{
    intake_done(in, job);
    in->ending++;
}

void
intake_ended(struct intake *in)
{
    lock_take(&in->lock);
    in->ending--;
    if (in->closing)
        post(&in->quiet, INT_MAX);
    lock_give(&in->lock);
}

/* --- refusing and closing */

void
intake_refuse(struct intake *in, const char *what, const char *why)
{
    if (atomic_load(&in->refuses) < 0)
        return;
    struct text text = text_over(in->refusal, sizeof in->refusal);

    text_add(&text, "%s: %s", what, why);
    atomic_store(&in->refuses, WEFT_EFAILED);
}

void
intake_tell_gone(struct intake *in)
{
    post(&in->gone, INT_MAX);
}

void
intake_close(struct intake *in)
{
    lock_take(&in->lock);
    in->closing = true;
    post(&in->room, INT_MAX);
    lock_give(&in->lock);
}

int
intake_wait_quiet(struct intake *in, int64_t until, bool stubborn)
{
    const struct wait_terms terms = {.until = until,
                                     .stubborn = stubborn,
                                     .kind = SLOT_WAIT_SCOPE,
                                     .object = in->pool};

    for (;;) {
        lock_take(&in->lock);
        const uint32_t seen = atomic_load(&in->quiet.value);
        const bool quiet = in->waiting + in->running + in->ending == 0;

        lock_give(&in->lock);
        if (quiet)
            return 0;
        const int status = wait_while(&in->quiet, seen, &terms);

        if (status < 0)
            return status;
    }
}

void
intake_count(const struct intake *in, weft_pool_counts *out)
{
    out->waiting = in->waiting;
    out->running = in->running;
    out->succeeded = in->succeeded;
    out->failed = in->failed;
    out->died = in->died;
}
