/* Processes that run jobs, seen from the program. */
#ifndef WORKER_PROCESS_H
#define WORKER_PROCESS_H

#include "worker/job.h"

extern const struct job_kind process_kind;

int process_check(const weft_task *task);

/* Whether processes can be started so, now; makes the zygote if need be. The
 * errors of weft_start. */
int process_can_start(weft_method method);

/* What must be known and copied at the start, however late the job begins. */
int process_prepare(weft_job *job, const weft_task *task);

/* In the service thread: its pidfd is readable. */
void process_ready(weft_job *job);

/* The same: it has printed something that is kept. */
void process_output(weft_job *job);

/* What the worker of a running job has printed since it was asked for last, to
 * be freed; NULL: nothing, or no memory. */
char *process_take_output(weft_job *job);

/* The slots that the worker says are its own and its main thread's; not to be
 * trusted. */
struct process_slots {
    unsigned process, thread;
};

struct process_slots process_slots(weft_job *job);

/* Its main thread is dead: so is what is left of it now. Its outcome is what it
 * was to be, if it was dying as a whole. */
void process_finish(weft_job *job);

#endif
