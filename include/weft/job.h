/* A job: one run of a task, by a worker of its own (weft_start), by a pool
 * (weft_submit) or by nobody (weft_promise). One handle, one set of verbs, for
 * threads, processes, pools and clusters.
 *
 * Ownership: a job handed out through an out-parameter is ONE reference, yours
 * to release; one returned by value is borrowed. Any number of threads of the
 * process may use a reference at once. Releasing never waits and never stops
 * the job. Handles do not cross to other processes. */
#ifndef WEFT_JOB_H
#define WEFT_JOB_H

#include <weft/status.h>
#include <weft/task.h>

typedef struct weft_job weft_job;

/* How it ended. Made by the library, valid while you hold the job; may grow.
 * Reading it counts as having seen the failure. */
typedef struct weft_outcome {
    int status;    /* WEFT_OK, EFAILED, EDIED, ETIMEDOUT or ECANCELED */
    int code;      /* what the function returned */
    int exit_code; /* of a process that called exit; else -1 */
    int signal;    /* that killed it; 0 = none */
    bool core_dumped;
    bool out_of_memory;
    int pid;            /* of the worker that ran it; 0 if it never began */
    int attempts;       /* workers that the task has killed before this one */
    weft_duration wall; /* from begin to end */
    weft_duration cpu;  /* on a CPU, as far as the system tells */
    const void *result; /* aligned to 16; NULL unless status is WEFT_OK */
    size_t result_size;
    const char *message; /* from weft_fail; "" if none */
    const char *where;   /* "crash.c:9", or "lib.so+0x1f20"; "" if unknown */
    const char *stack;   /* the crash's stack, a frame a line; "" if none */
    const char *output;  /* captured stdout and stderr; "" if not asked for */
    const char *text;    /* all of it as one line to print: "process Crash
                            (pid 831) died of SIGSEGV at crash.c:9" */
} weft_outcome;

WEFT_BEGIN

/* Starts a worker of its own that runs the task and ends. `out` may be NULL:
 * then nobody holds it, and a failure is printed. Everything in the task is
 * copied before it returns. Allocates. Does not wait for the function (except
 * WEFT_SERIAL). WEFT_EINVAL (why says which field), WEFT_ENOMEM, WEFT_EAGAIN,
 * WEFT_ETHREADS, WEFT_ENOTSUP, WEFT_ESTALE, WEFT_ENOTINIMAGE, WEFT_ECLOSED (the
 * program is ending), WEFT_ECANCELED when the scope is stopping, WEFT_EDEADLK
 * (a serial job after the one that its caller runs). */
WEFT_API WEFT_MUST_CHECK int weft_start(weft_job **out, weft_kind kind,
                                        const weft_task *task);

/* A job that ends when weft_keep is called: to bridge callbacks. `name` as a
 * task's, copied; NULL = "promise". It has no worker; its record's kind is
 * WEFT_PROMISE. weft_stop ends it at once as WEFT_ECANCELED; so does the
 * release of its last reference, since nobody can keep it then. The exit waits
 * for it as long as other jobs run, and then stops it. May start the library's
 * service thread. WEFT_EINVAL, WEFT_ENOMEM, WEFT_EAGAIN, WEFT_ECLOSED. */
WEFT_API WEFT_MUST_CHECK int weft_promise(weft_job **out, const char *name);

/* Ends a promise, once, from any thread: `status` is WEFT_OK, with a copy of
 * `size` bytes of result, 0 too; or without a result one of the ways in which a
 * job ends badly: WEFT_EFAILED, WEFT_EDIED, WEFT_ETIMEDOUT, WEFT_ECANCELED. So
 * an outcome's status, result and result_size can be passed on as they are.
 * Functions given to weft_on_end are called before it returns, unless the
 * caller is such a function itself: then after that. WEFT_EINVAL if it is no
 * promise or already kept, or for any other status; WEFT_ECANCELED if it was
 * stopped; WEFT_ENOMEM, and it can still be kept. */
WEFT_API int weft_keep(weft_job *promise, int status, const void *result,
                       size_t size);

/* Waits until it has ENDED, well or badly. Any number of callers, any number
 * of times. Inside a pool the waiter helps, with descendants only.
 * WEFT_ETIMEDOUT, WEFT_ECANCELED (the caller was asked to stop), WEFT_EDEADLK.
 */
WEFT_API int weft_join(weft_job *job, weft_time deadline);

/* Waits until it has SUCCEEDED and copies its result. `size` must be the
 * result's size: else WEFT_EMSGSIZE and the result stays. (NULL, 0) takes
 * none. WEFT_EFAILED, WEFT_EDIED: see weft_outcome_of. A job that was stopped
 * or timed out counts as WEFT_EFAILED here, so that WEFT_ETIMEDOUT and
 * WEFT_ECANCELED always speak of this wait. */
WEFT_API WEFT_MUST_CHECK int weft_result(weft_job *job, void *result,
                                         size_t size, weft_time deadline);

/* How it ended; NULL while it has not. Never blocks on the job, but the first
 * call after a crash may take 0.1 s to name file and line. */
WEFT_API const weft_outcome *weft_outcome_of(weft_job *job);

/* True from start or submit until it has ended. No system call, never reaps. */
WEFT_API bool weft_is_alive(const weft_job *job);

/* Its task's name. Valid while you hold the job. */
WEFT_API const char *weft_name(const weft_job *job);

/* Asks it to stop: not begun, it never begins; running, its waits return
 * WEFT_ECANCELED and weft_stopping() turns true. A stop ends waits; it never
 * refuses what needs none. Also from a signal handler. 0 also if it has ended.
 */
WEFT_API int weft_stop(weft_job *job);

/* Sends a signal to the process that runs it; race-free. A killed pool worker
 * is replaced. WEFT_ENOTSUP for threads, WEFT_ESRCH if not running. */
WEFT_API int weft_kill(weft_job *job, int signal);

/* A descriptor that is readable once it has ended, for your event loop. It
 * belongs to the job: do not read or close it. WEFT_EAGAIN out of fds. */
WEFT_API int weft_fd(weft_job *job);

/* Calls fn(job, context) once, when it has ended, in the thread that ended it:
 * a thread job's own, a promise's keeper, the service thread (whose stack has
 * 128 KiB) for a process and for what was stopped before it began; at once, in
 * the caller, if it has ended. Of those registered before the end each is
 * called after the one before it. Joiners are woken first, so a slow one does
 * not keep them, and weft_join may return before it is called; the exit waits
 * for it. It must not wait. It may read the outcome, which counts as seen,
 * start jobs, keep promises, register more, and release the job; the job stays
 * valid until it returns, whoever else released it. WEFT_EINVAL, WEFT_ENOMEM.
 */
WEFT_API int weft_on_end(weft_job *job,
                         void (*fn)(weft_job *job, void *context),
                         void *context);

/* One more reference; returns job. */
WEFT_API weft_job *weft_retain(weft_job *job);

/* Gives one reference back. NULL is nothing. The last one of a failed job
 * whose outcome nobody read prints it. */
WEFT_API void weft_release(weft_job *job);

WEFT_END
#endif
