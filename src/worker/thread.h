/* Threads that run jobs: cached, since handing a job to a thread that still
 * spins costs a hundredth of making one. */
#ifndef WORKER_THREAD_H
#define WORKER_THREAD_H

#include "worker/job.h"

extern const struct job_kind thread_kind;

/* Checks the options that threads know; others are refused. */
int thread_check(const weft_task *task);

/* Keeps what a thread of its own needs of the task's options. */
int thread_prepare(weft_job *job, const weft_task *task);

/* Threads that wait for a job and hold nothing: they may be forgotten by a copy
 * of the process. `all`: those too that are on their way there. */
int thread_idle_count(void);
int thread_cached_count(void);

/* Keeps the stack of idle threads as it is while the process is copied. */
void thread_hold(void);
void thread_go_on(void);

/* Ends the idle threads and waits for that. */
void thread_drop_idle(void);
void thread_forked(void);

#endif
