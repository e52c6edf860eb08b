/* Whether a process can be what a task asks for; nothing is made yet. */
#include "base/why.h"
#include "shm/heap.h"
#include "worker/process.h"
#include "worker/spawn.h"
#include "worker/wire.h"

#include <weft/status.h>

#include <string.h>

static int
check_method(const weft_task *task, weft_method method)
{
    switch (method) {
    case WEFT_METHOD_DEFAULT:
    case WEFT_ZYGOTE:
        return 0;
    case WEFT_FORK:
        return task->delay > 0 || task->after
                   ? why_set(WEFT_ENOTSUP, "WEFT_FORK cannot be delayed: the "
                                           "copy is made by the caller")
                   : 0;
    case WEFT_SPAWN:
        return spawn_is_possible();
    }
    return why_set(WEFT_EINVAL, "there is no method %d", (int)method);
}

static int
check_cpus(const weft_worker_options *options)
{
    if (options->cpu_count > WIRE_CPUS)
        return why_set(WEFT_EINVAL, "worker.cpu_count is %zu",
                       options->cpu_count);
    for (size_t i = 0; i < options->cpu_count; i++)
        if (options->cpus[i] >= WIRE_CPUS || options->cpus[i] >= os_cpu_most())
            return why_set(WEFT_EINVAL, "worker.cpus names CPU %u",
                           options->cpus[i]);
    return 0;
}

static int
check_fds(const weft_worker_options *options)
{
    if (!options->fds != !options->fd_count)
        return why_set(WEFT_EINVAL, "worker.fds and fd_count go together");
    if (options->fd_count > WIRE_HANDED)
        return why_set(WEFT_EINVAL, "worker.fd_count is %zu, above %d",
                       options->fd_count, WIRE_HANDED);
    for (size_t i = 0; i < options->fd_count; i++)
        if (options->fds[i] < 0 || !os_is_open(options->fds[i]))
            return why_set(WEFT_EINVAL,
                           "worker.fds[%zu] is %d, which is not "
                           "open",
                           i, options->fds[i]);
    return 0;
}

static int
check_sandbox(const weft_worker_options *options)
{
    int status = 0;

    switch (options->sandbox) {
    case WEFT_OPEN:
        break;
    case WEFT_LIMITED:
        status = os_can_limit_writes();
        break;
    case WEFT_STRICT:
        status = os_can_compute_only();
        break;
    default:
        return why_set(WEFT_EINVAL, "there is no sandbox %d",
                       (int)options->sandbox);
    }
    if (status < 0)
        return why_set(WEFT_ENOTSUP, "worker.sandbox: this system has no %s",
                       options->sandbox == WEFT_LIMITED ? "Landlock"
                                                        : "seccomp filters");
    return options->writable && options->sandbox != WEFT_LIMITED
               ? why_set(WEFT_EINVAL, "worker.writable is for WEFT_LIMITED")
               : 0;
}

static int
check_environment(const char *const *strings)
{
    for (; strings && *strings; strings++) {
        const char *equals = strchr(*strings, '=');

        if (!equals || equals == *strings)
            return why_set(WEFT_EINVAL, "worker.env: '%.64s' is not K=V",
                           *strings);
    }
    return 0;
}

enum {
    NICE_MOST = 39 /* from one end of the scale to the other */
};

static int
check_options(const weft_worker_options *options)
{
    if (options->fresh)
        return why_set(WEFT_ENOTSUP, "worker.fresh is not for processes");
    if (options->heap > WEFT_HEAP_NONE)
        return why_set(WEFT_EINVAL, "there is no heap %d", (int)options->heap);
    if (options->stack_size >> 40)
        return why_set(WEFT_ENOMEM, "worker.stack_size is beyond all memory");
    if (options->nice < -NICE_MOST || options->nice > NICE_MOST)
        return why_set(WEFT_EINVAL, "worker.nice is %d", options->nice);
    if (options->cpu_time < 0)
        return why_set(WEFT_EINVAL, "worker.cpu_time is negative");
    if (options->capture >> 40)
        return why_set(WEFT_ENOMEM, "worker.capture is beyond all memory");
    int status = check_cpus(options);

    if (status == 0)
        status = check_fds(options);
    if (status == 0)
        status = check_environment(options->env);
    return status == 0 ? check_sandbox(options) : status;
}

int
process_check(const weft_task *task)
{
    const weft_worker_options *options = task->worker;

    if (task->arg && task->arg_size == 0 && !heap_holds(task->arg))
        return why_set(WEFT_ENOTSUP,
                       "task.arg is a bare pointer (arg_size 0), which means "
                       "nothing in another process but in the shared heap");
    if (task->arg && task->arg_size == 0 && options &&
        options->heap == WEFT_HEAP_NONE)
        return why_set(WEFT_ENOTSUP, "task.arg points into the shared heap, "
                                     "which worker.heap leaves out");
    if (!options)
        return 0;
    const int status = check_options(options);

    return status < 0 ? status : check_method(task, options->method);
}
