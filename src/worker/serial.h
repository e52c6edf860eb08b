/* Jobs that run in the caller, at once: for debugging. */
#ifndef WORKER_SERIAL_H
#define WORKER_SERIAL_H

#include "worker/job.h"

extern const struct job_kind serial_kind;

int serial_check(const weft_task *task);

#endif
