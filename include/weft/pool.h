/* A pool: workers that take tasks. Threads, processes, this thread or other
 * machines, behind the same calls. */
#ifndef WEFT_POOL_H
#define WEFT_POOL_H

#include <weft/worker.h>

typedef struct weft_pool weft_pool;

typedef struct weft_pool_options {
    unsigned workers;   /* 0 = weft_cpu_count() */
    size_t backlog;     /* tasks that may wait; 0 = no bound */
    unsigned max_tasks; /* renew a worker after so many; 0 = never (P) */
    size_t recycle;     /* renew a worker that has so many private bytes more
                           than after its first task; 0 = never (P) */
    weft_duration idle; /* let idle workers go after this; 0 = keep them */
    const char *name;   /* its workers are "NAME-0", "NAME-1"; NULL = "pool" */
    const weft_task *prepare; /* run in each new worker first; the pool refuses
                                 tasks when it fails */
    const char *engine;       /* WEFT_CLUSTER: "nats://host:4222", "mpi";
                                 NULL = $WEFT_CLUSTER, else local processes */
    weft_worker_options worker; /* how its workers are made */
    uintptr_t reserved[8];
} weft_pool_options;

typedef struct weft_pool_counts {
    unsigned workers, idle;
    size_t waiting, running;          /* tasks */
    uint64_t succeeded, failed, died; /* tasks, since open */
    uint64_t reserved[4];
} weft_pool_counts;

WEFT_BEGIN

/* NULL options = defaults. Nothing is started before the first task.
 * WEFT_EINVAL, WEFT_ENOMEM, WEFT_ENOTSUP (the kind, an option or a sandbox). */
WEFT_API WEFT_MUST_CHECK int weft_pool_open(weft_pool **out, weft_kind kind,
                                            const weft_pool_options *options);

/* Gives the task to the pool; NULL = the default thread pool, made on first
 * use. All else as weft_start. A full backlog: WEFT_EAGAIN at once, or waits
 * until task->submit_by (WEFT_ETIMEDOUT, WEFT_ECANCELED). WEFT_ECLOSED after
 * close began. */
WEFT_API WEFT_MUST_CHECK int weft_submit(weft_job **out, weft_pool *pool,
                                         const weft_task *task);

/* More workers at once, fewer as they finish their tasks. */
WEFT_API int weft_pool_resize(weft_pool *pool, unsigned workers);

/* Counts that belong together. */
WEFT_API void weft_pool_count(const weft_pool *pool, weft_pool_counts *out);

/* No more tasks; finishes what it has until the deadline, then stops the rest
 * (process workers are killed after their grace) and waits for it. So
 * WEFT_FOREVER drains and WEFT_NOW cancels. Frees the pool (NULL is nothing);
 * jobs stay yours. 0; WEFT_ETIMEDOUT when the deadline stopped something;
 * WEFT_ECANCELED when the caller was asked to stop, and so were the tasks.
 * Nothing is closed or freed after WEFT_EDEADLK, to one of its own workers, and
 * WEFT_ENOTSUP, to a process that did not open it. */
WEFT_API int weft_pool_close(weft_pool *pool, weft_time deadline);

WEFT_END
#endif
