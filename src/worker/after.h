/* A job that begins when another one has succeeded. */
#ifndef WORKER_AFTER_H
#define WORKER_AFTER_H

#include "worker/job.h"

/* Has the job begin after job->after; at once if that has ended already, and
 * then what the beginning says. */
int after_launch(weft_job *job);

/* Waits for job->after in the caller, who is to run the job. False: it is not
 * to begin, and why is noted. */
bool after_wait(weft_job *job);

/* The result of job->after becomes the argument, if it is to. */
int after_take(weft_job *job);

/* Gives job->after back. */
void after_forget(weft_job *job);

/* In the service thread: goes on with a job that is DUE. */
void after_due(weft_job *job);

/* The same: ends a job that is WAITING, because it was stopped; else false. */
bool after_stop(weft_job *job);

#endif
