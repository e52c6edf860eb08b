/* The one piece of global state: options, and the jobs that live. */
#ifndef WORKER_RUNTIME_H
#define WORKER_RUNTIME_H

#include "worker/job.h"

#include <weft/runtime.h>

/* Readies the process for jobs, once. */
void runtime_open(void);

/* A job begins to live: it holds a reference until runtime_remove. WEFT_ECLOSED
 * once the program is ending. */
int runtime_add(weft_job *job);
void runtime_remove(weft_job *job);

/* Whether the program is ending. */
bool runtime_is_closed(void);

/* Calls fn for each living job, under the runtime's lock. */
void runtime_foreach(void (*fn)(weft_job *job, void *context), void *context);

/* Tells that a failure was not asked about by anybody. */
void runtime_unobserved(weft_job *job);

/* Whether weft_init was called; whether it left the zygote out. */
bool runtime_was_initialised(void);
bool runtime_wants_zygote(void);

/* Threads of this process but for the library's own idle ones: 1 = the caller
 * is alone. Waits a moment for threads that are just ending. */
int runtime_threads(void);

/* By a hidden thread that upper layers have started: +1 when it begins, -1 at
 * its end. It never holds a lock that its process's copy would need. */
void runtime_hide_thread(int change);

/* Joins what is not a daemon, ends the rest. `for_good`: nothing starts after.
 */
void runtime_close(bool for_good);

/* Copies the process as os_clone does, while nobody else changes what the
 * library keeps. The service must be held. */
int runtime_clone(unsigned flags, int *pidfd);

/* Called when the program's jobs have ended and it may do without the library's
 * threads, and in a copy of the process; set once, by a layer above. */
extern void (*runtime_resting)(void);
extern void (*runtime_copied)(void);

/* In a fresh copy of the process: a worker of the program (`name`, started by
 * `parent`), or with NULL a program of its own. */
void runtime_forked(const char *name, int parent);

#endif
