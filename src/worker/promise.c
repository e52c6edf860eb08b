/* A promise is a job that is READY until somebody keeps it (BEGUN), or until
 * the service thread ends it (CANCELED): because it was stopped, or because
 * nobody is left who could keep it. The compare-and-swap of its phase decides.
 */
#include "worker/promise.h"

#include "base/why.h"
#include "os/os.h"
#include "worker/runtime.h"
#include "worker/task.h"

#include <weft/status.h>

#include <stdlib.h>
#include <string.h>

static bool
take(weft_job *promise, enum job_phase phase)
{
    uint32_t ready = JOB_READY;

    return atomic_compare_exchange_strong(&promise->phase, &ready, phase);
}

/* In the service thread, since it may be a signal handler that stops it. */
static void
promise_stop(weft_job *promise)
{
    if (!take(promise, JOB_CANCELED))
        return;
    if (atomic_load(&promise->stop.asked) == JOB_STOP_ABANDONED)
        promise->call.message = strdup("nobody held it any more");
    promise->outcome.wall = os_now() - promise->begun;
    job_end(promise);
}

void
promise_abandon(weft_job *promise)
{
    if (atomic_load(&promise->phase) == JOB_READY)
        job_ask(promise, JOB_STOP_ABANDONED);
}

const struct job_kind promise_kind = {.stop = promise_stop};

int
weft_promise(weft_job **out, const char *name)
{
    const char *fault = name ? text_name_fault(name) : NULL;

    if (!out)
        return why_set(WEFT_EINVAL, "weft_promise: out is NULL");
    if (fault)
        return why_set(WEFT_EINVAL, "weft_promise: the name: %s", fault);
    runtime_open();
    int status = service_start();

    if (status < 0)
        return status;
    weft_job *promise =
        job_new(&(struct task_way){.kind = WEFT_PROMISE, .of = &promise_kind},
                &(weft_task){0}, name ? name : "promise");

    if (!promise)
        return why_because(WEFT_ENOMEM, "weft_promise");
    promise->begun = os_now();
    status = runtime_add(promise);
    if (status < 0)
        job_drop(promise);
    else
        *out = promise;
    return status;
}

static bool
can_end_a_job(int status)
{
    return status == WEFT_OK || status == WEFT_EFAILED ||
           status == WEFT_EDIED || status == WEFT_ETIMEDOUT ||
           status == WEFT_ECANCELED;
}

static int
check(const weft_job *promise, int status, const void *result, size_t size)
{
    if (!promise)
        return why_set(WEFT_EINVAL, "weft_keep: promise is NULL");
    if (promise->kind != WEFT_PROMISE)
        return why_set(WEFT_EINVAL, "weft_keep: '%s' is no promise",
                       promise->name);
    if (!can_end_a_job(status))
        return why_set(WEFT_EINVAL,
                       "weft_keep: no job ends with %d (%s); WEFT_EFAILED does",
                       status, weft_status_text(status));
    if (status < 0 && size > 0)
        return why_set(WEFT_EINVAL,
                       "weft_keep: a result of %zu bytes, and a failure", size);
    if (size > 0 && !result)
        return why_set(WEFT_EINVAL,
                       "weft_keep: result is NULL and its size %zu", size);
    return 0;
}

static int
too_late(const weft_job *promise)
{
    return atomic_load(&promise->phase) == JOB_BEGUN
               ? why_set(WEFT_EINVAL, "'%s' was already kept", promise->name)
               : why_set(WEFT_ECANCELED, "'%s' was stopped", promise->name);
}

int
weft_keep(weft_job *promise, int status, const void *result, size_t size)
{
    const int fault = check(promise, status, result, size);

    if (fault < 0)
        return fault;
    char *copy = size > 0 ? malloc(size) : NULL;

    if (size > 0 && !copy)
        return why_because(WEFT_ENOMEM, "weft_keep");
    if (copy)
        memcpy(copy, result, size);
    if (atomic_load(&promise->stop.asked) != 0 || !take(promise, JOB_BEGUN)) {
        free(copy);
        return too_late(promise);
    }
    promise->call.owned = copy;
    promise->call.call.result_size = size;
    promise->outcome.status = status;
    promise->outcome.wall = os_now() - promise->begun;
    job_end(promise);
    return 0;
}
