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

/* The slot that the worker says is its own; not to be trusted. */
unsigned process_slot(weft_job *job);

#endif
