/* weft_wait_any: the kinds of sources, on top of any_wait. */
#include "base/why.h"
#include "os/os.h"
#include "queue/queue.h"
#include "sync/event.h"
#include "wait/any.h"
#include "worker/job.h"
#include "worker/place.h"

#include <weft/status.h>
#include <weft/wait.h>

#include <stdlib.h>

enum {
    FEW = 64, /* sources that need no allocation */
    MOST = 65536
};

static bool
job_ready(void *object)
{
    return atomic_load(&((weft_job *)object)->ended.value) != 0;
}

static void
job_watch(void *object, struct watch *watch)
{
    weft_job *job = object;

    lock_take(&job->lock);
    list_append(&job->watches, &watch->link);
    atomic_store(&job->watched, true); /* then he looks at the end */
    lock_give(&job->lock);
}

static void
job_unwatch(void *object, struct watch *watch)
{
    weft_job *job = object;

    lock_take(&job->lock);
    list_remove(&watch->link);
    lock_give(&job->lock);
}

static const struct waitable jobs = {job_ready, job_watch, job_unwatch, NULL,
                                     NULL};

static int
check(const weft_source *source, size_t index)
{
    const int set = (source->job != NULL) + (source->queue != NULL) +
                    (source->event != NULL) + (source->events != 0);

    if (set != 1)
        return why_set(WEFT_EINVAL, "source %zu names %s", index,
                       set ? "more than one thing" : "nothing to wait for");
    if (source->events & ~(WEFT_READABLE | WEFT_WRITABLE))
        return why_set(WEFT_EINVAL, "source %zu: unknown events 0x%x", index,
                       (unsigned)source->events);
    if (source->events && source->fd < 0)
        return why_set(WEFT_EINVAL, "source %zu: fd is %d", index, source->fd);
    return 0;
}

static struct any_source
source_of(const weft_source *from)
{
    struct any_source source = {
        .fd = from->fd,
        .readable = from->events & WEFT_READABLE,
        .writable = from->events & WEFT_WRITABLE,
    };

    if (from->job) {
        source.kind = &jobs;
        source.object = from->job;
    } else if (from->queue) {
        source.kind = &queue_kind_of(from->queue)->any;
        source.object = from->queue;
    } else if (from->event) {
        source.kind = &event_waitable;
        source.object = from->event;
    }
    return source;
}

static int
translate(const weft_source *from, struct any_source *to, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        const int status = check(&from[i], i);

        if (status < 0)
            return status;
        to[i] = source_of(&from[i]);
    }
    return 0;
}

static bool
may_help(const weft_source *sources, size_t count)
{
    for (size_t i = 0; i < count; i++)
        if (sources[i].job && sources[i].job->of->help &&
            job_only_waits(sources[i].job))
            return true;
    return false;
}

/* Runs what it would wait for, if that only waits to be run. */
static bool
help(const weft_source *sources, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        weft_job *job = sources[i].job;

        if (job && job->of->help && job_only_waits(job) && job->of->help(job))
            return true;
    }
    return false;
}

static bool
has_late(const weft_source *sources, size_t count)
{
    for (size_t i = 0; i < count; i++)
        if (sources[i].job && place_is_late(sources[i].job))
            return true;
    return false;
}

/* In a worker of a pool. */
static int
wait_helping(const weft_source *sources, struct any_source *all, size_t count,
             size_t from, const struct wait_terms *terms)
{
    const struct wait_terms now = {.until = 0};

    while (may_help(sources, count) && terms->until > os_now()) {
        const int status = any_wait(all, count, from, &now);

        if (status != WEFT_ETIMEDOUT)
            return status;
        if (!help(sources, count))
            break;
    }
    const bool left = terms->until > 0 && place_leave(has_late(sources, count));
    const int status = any_wait(all, count, from, terms);

    if (left)
        place_take();
    return status;
}

int
weft_wait_any(const weft_source *sources, size_t count, size_t from,
              weft_time deadline)
{
    struct any_source few[FEW];
    struct any_source *all = few;

    if (!sources || count == 0 || count > MOST)
        return why_set(WEFT_EINVAL,
                       "weft_wait_any takes 1 to %d sources, not %zu", MOST,
                       sources ? count : 0);
    if (count > FEW)
        all = calloc(count, sizeof *all);
    if (!all)
        return why_because(WEFT_ENOMEM, "weft_wait_any");
    const struct wait_terms terms = {.until = deadline.ns,
                                     .kind = SLOT_WAIT_ANY,
                                     .object = (const void *)(uintptr_t)count};
    int status = translate(sources, all, count);

    if (status == 0)
        status = self_get()->deck
                     ? wait_helping(sources, all, count, from, &terms)
                     : any_wait(all, count, from, &terms);
    if (status == WEFT_ETIMEDOUT)
        why_set(status, "none of %zu sources was ready by the deadline", count);
    else if (status == WEFT_ECANCELED)
        why_set(status, "asked to stop while waiting for %zu sources", count);
    if (all != few)
        free(all);
    return status;
}
