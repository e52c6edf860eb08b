#include "worker/job_memory.h"

#include "os/os.h"
#include "worker/job.h"

#include <stdlib.h>
#include <string.h>

enum {
    MOST = 4096 /* jobs that are kept */
};

static struct {
    _Alignas(64) _Atomic(weft_job *) stack;
    _Alignas(64) _Atomic int count; /* in it and with threads, about */
} kept;

/* A checker of memory is to see each job's end. */
static bool
is_checked(void)
{
#if defined __SANITIZE_ADDRESS__
    return true;
#elif defined __has_feature
#    if __has_feature(address_sanitizer)
    return true;
#    endif
#endif
    static _Atomic int valgrind = -1;

    if (atomic_load_explicit(&valgrind, memory_order_relaxed) < 0)
        atomic_store_explicit(&valgrind, os_under_valgrind(),
                              memory_order_relaxed);
    return atomic_load_explicit(&valgrind, memory_order_relaxed);
}

weft_job *
job_memory_take(void)
{
    struct self *self = self_get();
    weft_job *job = self->jobs;

    if (self_is_shared(self))
        return NULL;
    if (!job && atomic_load_explicit(&kept.stack, memory_order_relaxed))
        job = atomic_exchange_explicit(&kept.stack, NULL, memory_order_acquire);
    if (!job)
        return NULL;
    self->jobs = job->memory.next;
    atomic_fetch_sub_explicit(&kept.count, 1, memory_order_relaxed);
    memset((void *)job, 0, JOB_HOT);
    return job;
}

static void
push(weft_job *first, weft_job *last)
{
    weft_job *before = atomic_load_explicit(&kept.stack, memory_order_relaxed);

    do
        last->memory.next = before;
    while (!atomic_compare_exchange_weak_explicit(&kept.stack, &before, first,
                                                  memory_order_release,
                                                  memory_order_relaxed));
}

void
job_memory_give(weft_job *job)
{
    if (is_checked() ||
        atomic_load_explicit(&kept.count, memory_order_relaxed) >= MOST) {
        free(job);
        return;
    }
    atomic_fetch_add_explicit(&kept.count, 1, memory_order_relaxed);
    push(job, job);
}

void
job_memory_leave(struct self *self)
{
    weft_job *last = self->jobs;

    if (!last)
        return;
    while (last->memory.next)
        last = last->memory.next;
    push(self->jobs, last);
    self->jobs = NULL;
}

void
job_memory_free(void)
{
    struct self *self = self_get();

    job_memory_leave(self);
    weft_job *job = atomic_exchange(&kept.stack, NULL);

    while (job) {
        weft_job *next = job->memory.next;

        free(job);
        atomic_fetch_sub(&kept.count, 1);
        job = next;
    }
}
