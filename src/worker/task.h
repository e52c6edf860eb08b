/* From a task to a job that has been set going. */
#ifndef WORKER_TASK_H
#define WORKER_TASK_H

#include "worker/job.h"

/* Who is to run it. */
struct task_way {
    weft_kind kind;
    const struct job_kind *of;
    void *pool;           /* NULL: a worker of its own */
    bool reserved;        /* it has a place there */
    const sigset_t *mask; /* the worker's; NULL: the caller's */
};

/* Whether such a worker, or one of a pool of such workers, can run it. */
int task_check(weft_kind kind, const weft_task *task, bool pool);

/* Makes the job of a task that was checked and begins it; all or nothing. */
int task_launch(weft_job **out, const struct task_way *way,
                const weft_task *task);

#endif
