/* Before a process runs a job: all that must be known is copied, and the
 * process is made. */
#include "base/why.h"
#include "registry/registry.h"
#include "shm/heap.h"
#include "worker/child.h"
#include "worker/context.h"
#include "worker/process.h"
#include "worker/process_inside.h"
#include "worker/runtime.h"
#include "worker/spawn.h"
#include "worker/zygote.h"

#include <weft/status.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* --- how it is to be made */

static int
may_fork(void)
{
    const int threads = runtime_threads();

    if (threads < 0)
        return why_system(threads, "cannot count the threads");
    if (threads > 1 || os_thread_id() != os_process_id())
        return why_set(WEFT_ETHREADS,
                       "WEFT_FORK needs a program with one thread; now there "
                       "are %d",
                       threads);
    return 0;
}

/* The method that a start left at default means. */
static int
choose_method(struct process *process)
{
    int status;

    switch (process->method) {
    case WEFT_FORK:
        return may_fork();
    case WEFT_SPAWN:
        return 0;
    default:
        status = runtime_wants_zygote() || process->method == WEFT_ZYGOTE
                     ? zygote_ready()
                     : WEFT_ETHREADS;
    }
    if (status == WEFT_ETHREADS && runtime_was_initialised() &&
        process->method == WEFT_METHOD_DEFAULT) {
        process->method = WEFT_SPAWN;
        return spawn_is_possible();
    }
    process->method = WEFT_ZYGOTE;
    return status;
}

int
process_can_start(weft_method method)
{
    struct process process = {.method = method};

    (void)heap_open(0); /* before the zygote */
    return choose_method(&process);
}

/* --- memory */

enum {
    LARGE = 1 << 20 /* bytes: less is taken as it is touched */
};

/* A result may be sized while the function runs, up to this; a sparse file
 * costs nothing. */
#define ROOM ((size_t)64 << 30)

static size_t
room_for_result(const struct wire_request *request)
{
    const uint64_t space = request->context.limits[OS_LIMIT_SPACE].soft;
    const uint64_t file = request->context.limits[OS_LIMIT_FILE].soft;
    const size_t fixed = wire_size(request, 0);
    uint64_t room = ROOM;

    if (space != OS_NO_LIMIT && space / 4 < room)
        room = space / 4;
    if (file != OS_NO_LIMIT && file < room + fixed)
        room = file > fixed ? file - fixed : 0;
    return room > request->result_size ? room : request->result_size;
}

static int
check_memory(const weft_task *task)
{
    const size_t size = task->arg_size + task->result_size;

    if (!os_memory_is_left(size))
        return why_set(WEFT_ENOMEM,
                       "there is no memory for an argument of %zu and a "
                       "result of %zu bytes",
                       task->arg_size, task->result_size);
    return 0;
}

static char *
put(char *at, const void *bytes, size_t size)
{
    if (size)
        memcpy(at, bytes, size);
    return at + size;
}

static int
map_share(struct process *process, const weft_task *task)
{
    const struct wire_request *request = &process->request;
    void *share = NULL;
    int status = 0;

    process->size = wire_size(request, request->result_size);
    process->share_fd =
        os_memfd("weft-job", wire_size(request, request->result_room));
    if (process->share_fd < 0)
        return why_system(process->share_fd, "cannot make a job's memory");
    if (task->arg_size >= LARGE)
        status = os_memfd_fill(process->share_fd, 0, wire_first_size(request));
    if (status < 0)
        return why_system(status, "cannot have an argument's memory");
    status =
        os_map(&share, process->size, process->share_fd, OS_READ | OS_WRITE);
    if (status < 0)
        return why_system(status, "cannot map a job's memory");
    process->share = share;
    return 0;
}

static int
make_share(struct process *process, const weft_task *task, char *environment)
{
    struct wire_request *request = &process->request;
    char *writable = NULL;
    size_t writable_size = 0;
    int status = check_memory(task);

    if (status == 0 && task->worker && task->worker->writable) {
        writable = context_pack(task->worker->writable, &writable_size);
        if (!writable)
            return why_because(WEFT_ENOMEM, "worker.writable");
    }
    request->writable_size = writable_size;
    request->result_room = room_for_result(request);
    if (status == 0)
        status = map_share(process, task);
    if (status == 0) {
        char *at = put(process->share + WIRE_ARG_AT, task->arg, task->arg_size);

        at = put(at, environment, request->environment_size);
        put(at, writable, writable_size);
    }
    free(writable);
    return status;
}

/* --- what is known at the start, however late the job begins */

static int
fill_request(struct process *process, const weft_job *job,
             const weft_task *task, char **environment)
{
    struct wire_request *request = &process->request;
    struct text name = text_over(request->name, sizeof request->name);

    request->magic = WIRE_MAGIC;
    request->method = process->method;
    request->parent_pid = os_process_id();
    request->parent_tid = job->parent;
    request->arg_size = task->arg_size;
    request->arg_at = task->arg_size ? 0 : (uintptr_t)task->arg;
    request->result_size = task->result_size;
    request->mask = job->mask;
    text_add(&name, "%s", job->name);
    int status = image_refer(task->fn, &request->fn);

    if (status == 0)
        status = context_capture(request, task->worker, process->late,
                                 environment, &process->rights);
    if (process->method == WEFT_ZYGOTE && !zygote_has_image(&request->fn))
        request->confirm = true; /* it will have to be loaded */
    return status;
}

/* Where the worker is to find the heap. A worker keeps no descriptor of it, so
 * what it executes anew cannot have it. */
static int
note_heap(struct process *process, const weft_worker_options *options)
{
    struct wire_request *request = &process->request;
    const bool wanted = options && options->heap == WEFT_HEAP_SHARED;
    const int status = wanted ? heap_open(0) : 0;
    const bool here = process->method != WEFT_SPAWN || heap_fd() >= 0;

    if (status < 0)
        return status;
    request->heap = options ? options->heap : WEFT_HEAP_DEFAULT;
    request->confirm = request->confirm || wanted || request->arg_at;
    if (request->heap != WEFT_HEAP_NONE && here)
        request->heap_at = (uintptr_t)heap_base();
    return here || !wanted
               ? 0
               : why_set(WEFT_ENOTSUP, "worker.heap: a worker cannot hand the "
                                       "shared heap on to WEFT_SPAWN");
}

static int
note_directory(struct process *process, const weft_worker_options *options)
{
    const char *path = options && options->directory ? options->directory : ".";
    char space[TEXT_NAME];

    process->here_fd = os_open_directory(path);
    if (process->here_fd >= 0)
        return 0;
    struct text doing = text_over(space, sizeof space);

    text_add(&doing,
             options && options->directory ? "worker.directory: '%.200s'"
                                           : "cannot open the working "
                                             "directory",
             path);
    return why_system(process->here_fd, space);
}

static int
copy_fds(struct process *process, const weft_worker_options *options)
{
    struct wire_request *request = &process->request;

    if (!options || options->fd_count == 0)
        return 0;
    process->handed = calloc(options->fd_count, sizeof *process->handed);
    if (!process->handed)
        return why_because(WEFT_ENOMEM, "worker.fds");
    for (size_t i = 0; i < options->fd_count; i++) {
        const int fd = os_copy_fd(options->fds[i], 3);

        if (fd < 0)
            return why_system(fd, "worker.fds");
        process->handed[request->handed++] = fd;
    }
    return 0;
}

/* What the loader and the constructors of the program see if it is executed
 * anew: the caller's environment, whatever its function is given. */
static int
keep_environment(struct process *process, const weft_worker_options *options,
                 char **environment)
{
    if (process->method != WEFT_SPAWN)
        return 0;
    if (!(options && options->env)) {
        process->environment = *environment;
        process->environment_size =
            **environment ? process->request.environment_size : 0;
        *environment = NULL;
        process->request.environment_size = 0;
        return 0;
    }
    process->environment = context_environment(&process->environment_size);
    return process->environment
               ? 0
               : why_because(WEFT_ENOMEM, "cannot copy the environment");
}

static int
prepare(struct process *process, weft_job *job, const weft_task *task)
{
    const weft_worker_options *options = task->worker;
    char *environment = NULL;

    (void)heap_open(0); /* before the zygote; who needs it is told below */
    int status = choose_method(process);

    if (status == 0)
        status = service_start();
    if (status == 0)
        status = fill_request(process, job, task, &environment);
    if (status == 0)
        status = note_heap(process, options);
    if (status == 0)
        status = keep_environment(process, options, &environment);
    if (status == 0)
        status = make_share(process, task, environment);
    free(environment);
    if (status == 0 &&
        (process->method != WEFT_FORK || (options && options->directory)))
        status = note_directory(process, options);
    if (status == 0)
        status = copy_fds(process, options);
    if (status == 0 && options && options->capture)
        status = capture_open(&process->capture, options->capture);
    return status;
}

int
process_prepare(weft_job *job, const weft_task *task)
{
    struct process *process = calloc(1, sizeof *process);

    if (!process)
        return why_because(WEFT_ENOMEM, "cannot make a process");
    process->pidfd = process->share_fd = process->here_fd = -1;
    process->capture.from = process->capture.to = -1;
    process->place = -1;
    process->method = task->worker ? task->worker->method : WEFT_METHOD_DEFAULT;
    process->late = task->delay > 0 || task->after;
    job->worker = process;
    return prepare(process, job, task);
}

/* The strings move behind the argument, so all of it is made anew. */
static int
replace_argument(struct process *process, const void *arg, size_t size)
{
    struct wire_request *request = &process->request;
    const struct process was = *process;
    const weft_task task = {.arg_size = size,
                            .result_size = request->result_size};
    int status = check_memory(&task);

    if (status < 0)
        return status;
    request->arg_size = size;
    request->result_room = room_for_result(request);
    process->share_fd = -1;
    status = map_share(process, &task);
    if (status < 0) {
        if (process->share_fd >= 0)
            os_close(process->share_fd);
        *process = was;
        return status;
    }
    put(put(process->share + WIRE_ARG_AT, arg, size),
        was.share + wire_environment_at(&was.request),
        request->environment_size + request->writable_size);
    os_unmap(was.share, was.size);
    os_close(was.share_fd);
    return 0;
}

int
process_give(weft_job *job, const void *arg, size_t size)
{
    lock_take(&job->lock);
    const int status = replace_argument(process_of(job), arg, size);

    lock_give(&job->lock);
    return status;
}

/* --- making it */

/* What the program has printed so far comes before what the worker prints. A
 * stream that somebody is writing to is left alone. */
static void
flush(FILE *stream)
{
    if (ftrylockfile(stream) != 0)
        return;
    fflush_unlocked(stream);
    funlockfile(stream);
}

/* Something must go in a closed descriptor's place. */
static void
list_fds(struct process *process, int fds[WIRE_FDS_MOST])
{
    const int output = process->capture.to;
    struct wire_request *request = &process->request;

    fds[WIRE_SHARE] = process->share_fd;
    fds[WIRE_HERE] = process->here_fd;
    request->closed = 0;
    for (int fd = 1; fd <= 2; fd++) {
        const bool open = output >= 0 || os_is_open(fd);

        request->closed |= (uint32_t)!open << fd;
        fds[WIRE_SHARE + fd] = output >= 0 ? output
                               : open      ? fd
                                           : process->share_fd;
    }
    for (unsigned i = 0; i < request->handed; i++)
        fds[WIRE_FDS + i] = process->handed[i];
}

static int
start_by_fork(const struct process *process, int *fds)
{
    if (process->capture.to < 0)
        fds[WIRE_STDOUT] = fds[WIRE_STDERR] = -1; /* they are its own */
    fflush(NULL);
    service_hold();
    /* A debugger takes a child without an exit signal for a thread. */
    const int pid =
        runtime_clone(process->rights.traced ? OS_CLONE_SIGCHLD : 0, NULL);

    if (pid == 0) {
        child_ready();
        child_prepare(process->request.parent_pid);
        child_run(&process->request, fds);
    }
    service_go_on();
    return pid < 0 ? why_system(pid, "cannot fork") : pid;
}

int
process_make(struct process *process)
{
    int fds[WIRE_FDS_MOST];

    flush(stdout);
    flush(stderr);
    list_fds(process, fds);
    if (process->method == WEFT_FORK)
        return start_by_fork(process, fds);
    if (process->late && os_rights(&process->rights) < 0)
        return why_because(WEFT_EAGAIN, "cannot read the process's rights");
    if (process->method == WEFT_SPAWN)
        return spawn_start(&process->request, fds, process->environment,
                           process->environment_size);
    return zygote_start(&process->request, fds, &process->rights);
}

static int
refused(const struct wire_report *report)
{
    char message[TEXT_MESSAGE];

    memcpy(message, report->message, sizeof message - 1);
    message[sizeof message - 1] = '\0';
    text_clean(message);
    return why_set(report->code < 0 ? report->code : WEFT_EFAILED, "%s",
                   message);
}

int
process_confirm(weft_job *job)
{
    enum {
        LOOK = 20000000 /* ns between two looks whether it lives */
    };
    struct process *process = process_of(job);
    struct wire_report *report = process_report(process);

    for (;;) {
        const struct wait_terms terms = {
            .until = os_now() + LOOK, .stubborn = true, .shared = true};
        struct os_poll death = {.fd = process->pidfd, .readable = true};
        const uint32_t phase = atomic_load(&report->phase.value);

        if (phase == WIRE_REFUSED)
            return refused(report);
        if (phase != WIRE_STARTED)
            return 0;
        if (os_poll(&death, 1, 1) > 0 &&
            atomic_load(&report->phase.value) == WIRE_STARTED)
            return 0; /* which its outcome will tell */
        (void)wait_while(&report->phase, WIRE_STARTED, &terms);
    }
}

static void
close_one(int *fd)
{
    if (*fd >= 0)
        os_close(*fd);
    *fd = -1;
}

void
process_close_early(struct process *process)
{
    close_one(&process->share_fd);
    close_one(&process->here_fd);
    close_one(&process->capture.to);
    for (unsigned i = 0; process->handed && i < process->request.handed; i++)
        close_one(&process->handed[i]);
    free(process->handed);
    free(process->environment);
    process->handed = NULL;
    process->environment = NULL;
}
