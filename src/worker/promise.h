/* Promises from inside. */
#ifndef WORKER_PROMISE_H
#define WORKER_PROMISE_H

#include "worker/job.h"

extern const struct job_kind promise_kind;

/* Nobody holds it any more, so nobody can keep it. */
void promise_abandon(weft_job *promise);

#endif
