/* How a job ended, in words. */
#ifndef WORKER_OUTCOME_H
#define WORKER_OUTCOME_H

#include "worker/job.h"

/* Keeps a copy of the message for the outcome, cut and cleaned. */
void outcome_keep_message(struct job_call *call, const char *message);

/* "SIGSEGV", or "signal 34". */
const char *outcome_signal_name(int number, char space[32]);

/* "thread", "process", "serial job". */
const char *outcome_kind_word(weft_kind kind);

#endif
