/* The memory of pools' jobs, which come by the million: used again, since one
 * thread makes them and another ends them, which malloc does not like; and only
 * in part written anew, since each line that is written moves between CPUs.
 *
 *   stack   who changes it                        legal          illegal
 *   a job   gives one: push, compare-and-swap,    by any thread  to read a job
 *           release                                              in it
 *   NULL    takes all: exchange, acquire          by any thread  to take one
 *
 * Taking all is why no old first job can come back unseen (ABA). What a thread
 * has taken and not used it keeps for itself, until it ends. */
#ifndef WORKER_JOB_MEMORY_H
#define WORKER_JOB_MEMORY_H

#include "registry/self.h"

struct weft_job;

/* In a job. */
struct job_memory {
    struct weft_job *next;
    bool recycled; /* it has a block of JOB_BLOCK bytes, and goes back there */
};

enum {
    JOB_BLOCK = 208 /* bytes of argument, result and name */
};

/* Zero up to JOB_HOT; beyond it as after job_memory_make. NULL: there is none,
 * so make one. */
struct weft_job *job_memory_take(void);

/* Gives it back, as it is to be beyond JOB_HOT. */
void job_memory_give(struct weft_job *job);

/* Before the thread ends. */
void job_memory_leave(struct self *self);

/* Frees what nobody uses. */
void job_memory_free(void);

#endif
