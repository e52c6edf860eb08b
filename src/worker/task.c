/* Checking what a task asks for, and starting it. What this version cannot do
 * yet is refused by name, never ignored. */
#include "worker/task.h"

#include "base/why.h"
#include "registry/self.h"
#include "worker/image.h"
#include "worker/job.h"
#include "worker/options.h"
#include "worker/process.h"
#include "worker/runtime.h"
#include "worker/scope.h"
#include "worker/serial.h"
#include "worker/thread.h"

#include <weft/status.h>

#include <string.h>

static int
check_values(const weft_task *task)
{
    const char *fault = task->name ? text_name_fault(task->name) : NULL;

    if (!task->fn)
        return why_set(WEFT_EINVAL, "task.fn is NULL");
    if (fault)
        return why_set(WEFT_EINVAL, "task.name: %s", fault);
    if (task->arg_size && !task->arg)
        return why_set(WEFT_EINVAL, "task.arg is NULL and arg_size is %zu",
                       task->arg_size);
    if (task->delay < 0 || task->timeout < 0)
        return why_set(WEFT_EINVAL, "task.%s is negative",
                       task->delay < 0 ? "delay" : "timeout");
    if (task->arg_size >> 40 || task->result_size >> 40)
        return why_set(WEFT_ENOMEM, "task.%s is beyond all memory",
                       task->arg_size >> 40 ? "arg_size" : "result_size");
    return options_check_words(task->reserved,
                               sizeof task->reserved / sizeof *task->reserved,
                               "the task");
}

static int
check_kind(weft_kind kind, const weft_task *task, bool pool)
{
    if (task->retries && kind == WEFT_PROCESS && !pool)
        return why_set(WEFT_ENOTSUP, "task.retries is for pools");
    switch (kind) {
    case WEFT_THREAD:
        return thread_check(task);
    case WEFT_PROCESS:
        return process_check(task);
    case WEFT_SERIAL:
        return serial_check(task);
    case WEFT_PROMISE:
        break;
    case WEFT_CLUSTER:
        return why_set(WEFT_ENOTSUP,
                       "a cluster takes tasks through a pool only");
    }
    return why_set(WEFT_EINVAL, "there is no kind %d", (int)kind);
}

int
task_check(weft_kind kind, const weft_task *task, bool pool)
{
    int status = check_values(task);

    if (status == 0 && pool && task->worker)
        return why_set(WEFT_EINVAL, "task.worker is for weft_start; a pool's "
                                    "workers are made by its own options");
    if (status == 0)
        status = options_check(task->worker);
    return status == 0 ? check_kind(kind, task, pool) : status;
}

static int
prepare(weft_job *job, const weft_task *task)
{
    int status = 0;

    if (task->delay > 0 || task->timeout > 0 || task->after)
        status = service_start();
    if (status == 0 && job->of == &thread_kind)
        status = thread_prepare(job, task);
    if (status == 0 && job->of == &process_kind)
        status = process_prepare(job, task);
    return status;
}

/* Enters the job everywhere and sets it going; all or nothing. */
static int
enter(weft_job *job)
{
    const bool delayed = atomic_load(&job->phase) == JOB_DELAYED;

    /* The service must not meet a delayed job whose timer is not set. */
    if (delayed)
        service_hold();
    int status = runtime_add(job);

    if (status < 0)
        goto not_added;
    if (job->scope)
        status = scope_add(job->scope, job);
    if (status < 0)
        goto no_scope;
    status = job_launch(job);
    if (status < 0)
        goto not_launched;
    if (delayed)
        service_go_on();
    return 0;
not_launched:
    atomic_store(&job->phase, JOB_READY); /* a stop has nothing to cancel */
    if (job->scope)
        scope_take_back(job->scope, job);
no_scope:
    job_never_was(job);
    job_drop(job); /* the runtime's reference */
not_added:
    if (delayed)
        service_go_on();
    return status;
}

int
task_launch(weft_job **out, const struct task_way *way, const weft_task *task)
{
    char space[TEXT_NAME];
    const char *name =
        task->name ? task->name : image_function_name(task->fn, space);
    weft_job *job = job_new(way, task, name);

    if (!job)
        return why_because(WEFT_ENOMEM, "cannot make a job");
    int status = prepare(job, task);

    if (status == 0)
        status = enter(job);
    if (status == 0 && out)
        *out = job;
    else
        weft_release(job);
    return status;
}

static const struct job_kind *
kind_of(weft_kind kind)
{
    return kind == WEFT_THREAD    ? &thread_kind
           : kind == WEFT_PROCESS ? &process_kind
                                  : &serial_kind;
}

int
weft_start(weft_job **out, weft_kind kind, const weft_task *task)
{
    if (!task)
        return why_set(WEFT_EINVAL, "weft_start: task is NULL");
    runtime_open();
    if (self_is_shared(self_get()))
        return why_because(WEFT_ENOMEM, "cannot adopt this thread");
    const int status = task_check(kind, task, false);

    return status < 0
               ? status
               : task_launch(
                     out, &(struct task_way){.kind = kind, .of = kind_of(kind)},
                     task);
}
