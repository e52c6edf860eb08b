/* Looking at the workers of this process and at those that it started. */
#include "os/os.h"
#include "registry/record.h"
#include "registry/registry.h"
#include "registry/self.h"
#include "wait/certificate.h"
#include "worker/job.h"
#include "worker/process.h"
#include "worker/runtime.h"

#include <stdlib.h>
#include <string.h>

/* What is known of a job's worker without one to look at. */
static void
make_record(const weft_job *job, weft_worker *out)
{
    const bool ended = job_has_ended(job);

    *out = (weft_worker){
        .kind = job->kind,
        .state = ended ? WEFT_ENDED : WEFT_STARTING,
        .tid = atomic_load_explicit(&job->tid, memory_order_relaxed),
        .parent = job->kind == WEFT_PROCESS ? os_process_id() : job->parent,
        .daemon = job->daemon,
        .stopping = atomic_load(&job->stop.asked) != 0,
        .since.ns = job->begun,
    };
    out->pid = job->kind == WEFT_PROCESS ? out->tid : os_process_id();
    memcpy(out->name, job->name, strlen(job->name) + 1);
    if (ended && job->kind == WEFT_PROCESS) {
        out->exit_code = job->outcome.exit_code < 0 ? job->outcome.code
                                                    : job->outcome.exit_code;
        out->signal = job->outcome.signal;
    }
}

/* Whether the kernel has noted the death of a process's main thread. It does so
 * long before the process can be joined if that has much memory. */
static bool
is_dying(const struct process_slots *slots, int pid)
{
    const struct slot *slot = registry_slot(slots->thread);
    weft_worker thread;

    return slot && record_read(slot, &thread) && thread.tid == pid &&
           certificate_says_dead(slot);
}

/* The slot may be another worker's by the time it is read: its ids tell. */
static bool
read_worker(const weft_job *job, weft_worker *out)
{
    const bool process = job->of == &process_kind;
    const struct process_slots slots =
        process ? process_slots((weft_job *)(uintptr_t)job)
                : (struct process_slots){0, 0};
    const unsigned id =
        process ? slots.process
                : atomic_load_explicit(&job->slot, memory_order_relaxed);
    const struct slot *slot = registry_slot(id);
    const int tid = atomic_load_explicit(&job->tid, memory_order_relaxed);

    if (!slot || !tid || !record_read(slot, out) || out->tid != tid)
        return false;
    out->stopping = atomic_load(&job->stop.asked) != 0;
    out->daemon = job->daemon;
    if (process && is_dying(&slots, tid))
        out->state = WEFT_ENDED;
    return job->kind == WEFT_SERIAL || strcmp(out->name, job->name) == 0 ||
           !job_has_ended(job);
}

void
weft_worker_of(const weft_job *job, weft_worker *out)
{
    if (!out)
        return;
    if (!job) {
        *out = (weft_worker){.state = WEFT_ENDED};
        return;
    }
    if (job->of->locate && atomic_load(&job->slot) == 0 && !job_has_ended(job))
        job->of->locate((weft_job *)(uintptr_t)job);
    if (job_has_ended(job) || !read_worker(job, out) || job_has_ended(job))
        make_record(job, out);
    out->kind = job->kind;
}

/* --- lists */

struct found {
    int64_t started;
    const struct slot *slot;
    bool main;
};

struct list_of {
    struct found *found; /* NULL: count only */
    size_t count, room;
};

static int
by_start(const void *a, const void *b)
{
    const struct found *left = a, *right = b;

    if (left->main != right->main)
        return left->main ? -1 : 1;
    return left->started < right->started ? -1 : left->started > right->started;
}

/* Whether `which` asks for what lies in the slot. */
static bool
is_wanted(const struct slot *slot, unsigned which)
{
    const unsigned flags =
        atomic_load_explicit(&slot->identity.flags, memory_order_relaxed);
    const bool idle = atomic_load_explicit(&slot->hot.state,
                                           memory_order_acquire) == WEFT_IDLE;

    if (!(flags & SLOT_USED))
        return false;
    if (flags & SLOT_SERVICE)
        return which & WEFT_SERVICES;
    return (flags & SLOT_KIND) == WEFT_THREAD && (which & WEFT_THREADS) &&
           !idle;
}

/* One pass over the slots of this process. */
static void
collect(struct list_of *list, unsigned which)
{
    list->count = 0;
    for (struct slot *slot = registry_next(0); slot;
         slot = registry_next(registry_id(slot))) {
        if (!is_wanted(slot, which))
            continue;
        if (list->found && list->count < list->room)
            list->found[list->count] =
                (struct found){atomic_load_explicit(&slot->identity.started,
                                                    memory_order_relaxed),
                               slot,
                               atomic_load_explicit(&slot->identity.flags,
                                                    memory_order_relaxed) &
                                   SLOT_MAIN};
        list->count++;
    }
}

/* Those of this process, in the order of their start, main first. Where there
 * is no memory to sort them they come in the order of their slots. */
static size_t
list_own(unsigned which, weft_worker *out, size_t max)
{
    struct list_of list = {0};
    size_t written = 0;

    collect(&list, which);
    if (max == 0)
        return list.count;
    list.room = list.count + 64; /* more may start meanwhile */
    list.found = malloc(list.room * sizeof *list.found);
    if (!list.found) {
        for (struct slot *slot = registry_next(0); slot && written < max;
             slot = registry_next(registry_id(slot)))
            written +=
                is_wanted(slot, which) && record_read(slot, &out[written]);
        return list.count;
    }
    collect(&list, which);
    const size_t have = list.count < list.room ? list.count : list.room;

    qsort(list.found, have, sizeof *list.found, by_start);
    for (size_t i = 0; i < have && written < max; i++)
        written += record_read(list.found[i].slot, &out[written]);
    free(list.found);
    return max > list.count ? written : list.count;
}

struct processes {
    weft_worker *out;
    size_t count, max;
};

static void
add_process(weft_job *job, void *context)
{
    struct processes *list = context;

    if (job->of != &process_kind || job_has_ended(job) ||
        atomic_load(&job->phase) != JOB_BEGUN)
        return;
    if (list->count < list->max)
        weft_worker_of(job, &list->out[list->count]);
    list->count++;
}

size_t
weft_list(unsigned which, weft_worker *out, size_t max)
{
    size_t count = 0;

    runtime_open();
    if (!out)
        max = 0;
    if (which & (WEFT_THREADS | WEFT_SERVICES))
        count = list_own(which, out, max);
    if (which & WEFT_PROCESSES) {
        const size_t left = count < max ? max - count : 0;
        struct processes list = {left ? out + count : NULL, 0, left};

        runtime_foreach(add_process, &list);
        count += list.count;
    }
    return count;
}
