/* A scope: jobs that end together, so that no worker leaks out of a function.
 * A job joins by its task's .scope, be it started or submitted. */
#ifndef WEFT_SCOPE_H
#define WEFT_SCOPE_H

#include <weft/job.h>

typedef struct weft_scope weft_scope;

typedef struct weft_scope_options {
    bool keep_going; /* a failure does not stop the others */
    const char *name;
    uintptr_t reserved[4];
} weft_scope_options;

WEFT_BEGIN

WEFT_API WEFT_MUST_CHECK int weft_scope_open(weft_scope **out,
                                             const weft_scope_options *options);

/* The next job that has ended, in the order of ending, each once. Borrowed:
 * valid until the next call on this scope; retain it to keep it. Waits until
 * there is one. WEFT_ENODATA when every job was given out, WEFT_ETIMEDOUT,
 * WEFT_ECANCELED. One caller at a time. */
WEFT_API WEFT_MUST_CHECK int weft_scope_next(weft_scope *scope, weft_job **out,
                                             weft_time deadline);

/* Asks all of them to stop; new ones are refused. Also from a signal handler.
 */
WEFT_API int weft_scope_stop(weft_scope *scope);

/* Waits for all; at the deadline (or if the caller is asked to stop) stops the
 * rest, and waits for those too: it returns only when nothing of the scope
 * runs. Frees it; NULL is nothing. 0; WEFT_EFAILED when a job ended badly (why
 * names the first); else WEFT_ETIMEDOUT when the deadline passed,
 * WEFT_ECANCELED when the caller was asked to stop. WEFT_EDEADLK for one of its
 * own jobs, and then nothing is freed. */
WEFT_API int weft_scope_close(weft_scope *scope, weft_time deadline);

WEFT_END
#endif
