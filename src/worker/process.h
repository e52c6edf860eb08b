/* Processes that run jobs, seen from the program. */
#ifndef WORKER_PROCESS_H
#define WORKER_PROCESS_H

#include "worker/job.h"

extern const struct job_kind process_kind;

int process_check(const weft_task *task);

/* What must be known and copied at the start, however late the job begins. */
int process_prepare(weft_job *job, const weft_task *task);

/* In the service thread: its pidfd is readable. */
void process_ready(weft_job *job);

/* The same: it has printed something that is kept. */
void process_output(weft_job *job);

/* The slots that the worker says are its own and its main thread's; not to be
 * trusted. */
struct process_slots {
    unsigned process, thread;
};

struct process_slots process_slots(weft_job *job);

#endif
