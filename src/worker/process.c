#include "worker/process.h"

#include "base/why.h"
#include "registry/registry.h"
#include "wait/any.h"
#include "worker/child.h"
#include "worker/outcome.h"
#include "worker/runtime.h"
#include "worker/thread.h"
#include "worker/wire.h"
#include "worker/zygote.h"

#include <weft/status.h>

#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    COPY_MOST = 64 << 10 /* larger results stay where the worker wrote them */
};

/* How far a stop has gone. */
enum stage {
    NOT_ASKED,
    ASKED,
    TERMINATED,
    KILLED
};

/* Who looks at the pidfd, and so who ends the job: the service, or a joiner who
 * would otherwise have to wait for the service to be woken first. SERVICE ->
 * JOINER and back by a joiner, either -> OVER by who saw the end, all by
 * compare-and-swap. Only who made it OVER closes the descriptor. */
enum watcher {
    WATCHED_BY_SERVICE,
    WATCHED_BY_JOINER,
    WATCH_OVER
};

struct process {
    _Atomic int watcher;   /* enum watcher */
    _Atomic int pidfd;     /* -1 before and after; closed under job->lock */
    int share_fd, here_fd; /* until the start */
    char *share; /* the mapped file; NULL once the result is copied, under
                    job->lock */
    size_t size;
    char *copy;       /* of the result */
    enum stage stage; /* under job->lock */
    weft_method method;
    struct wire_request request;
};

static struct process *
process_of(const weft_job *job)
{
    return job->worker;
}

static struct wire_control *
control_of(const struct process *process)
{
    return (struct wire_control *)(void *)process->share;
}

static struct wire_report *
report_of(const struct process *process)
{
    return (struct wire_report *)(void *)(process->share +
                                          wire_report_at(
                                              process->request.arg_size));
}

/* --- before the start */

static int
check_method(const weft_task *task, weft_method method)
{
    switch (method) {
    case WEFT_METHOD_DEFAULT:
    case WEFT_ZYGOTE:
        return 0;
    case WEFT_FORK:
        return task->delay > 0
                   ? why_set(WEFT_ENOTSUP, "WEFT_FORK cannot be delayed: the "
                                           "copy is made by the caller")
                   : 0;
    case WEFT_SPAWN:
        return why_set(WEFT_ENOTSUP, "WEFT_SPAWN is not built yet");
    }
    return why_set(WEFT_EINVAL, "there is no method %d", (int)method);
}

static int
check_options(const weft_worker_options *options)
{
    if (options->fresh)
        return why_set(WEFT_ENOTSUP, "worker.fresh is not for processes");
    if (options->stack_size >> 40)
        return why_set(WEFT_ENOMEM, "worker.stack_size is beyond all memory");
    if (options->cpu_count > WIRE_CPUS)
        return why_set(WEFT_EINVAL, "worker.cpu_count is %zu",
                       options->cpu_count);
    for (size_t i = 0; i < options->cpu_count; i++)
        if (options->cpus[i] >= WIRE_CPUS || options->cpus[i] >= os_cpu_most())
            return why_set(WEFT_EINVAL, "worker.cpus names CPU %u",
                           options->cpus[i]);
    return 0;
}

int
process_check(const weft_task *task)
{
    const weft_worker_options *options = task->worker;

    if (task->arg && task->arg_size == 0)
        return why_set(WEFT_ENOTSUP,
                       "task.arg is a bare pointer (arg_size 0), which means "
                       "nothing in another process");
    if (!options)
        return 0;
    const int status = check_options(options);

    return status < 0 ? status : check_method(task, options->method);
}

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

static int
can_start(weft_method method)
{
    if (method == WEFT_FORK)
        return may_fork();
    return zygote_ready(method == WEFT_ZYGOTE);
}

static int
make_share(struct process *process, const weft_task *task)
{
    void *share = NULL;
    int status;

    process->size = wire_size(task->arg_size, task->result_size);
    process->share_fd = os_memfd("weft-job", process->size);
    if (process->share_fd < 0)
        return why_system(process->share_fd, "cannot make a job's memory");
    status =
        os_map(&share, process->size, process->share_fd, OS_READ | OS_WRITE);
    if (status < 0)
        return why_system(status, "cannot map a job's memory");
    process->share = share;
    if (task->arg_size)
        memcpy(process->share + WIRE_ARG_AT, task->arg, task->arg_size);
    return 0;
}

static int
fill_request(struct wire_request *request, const weft_job *job,
             const weft_task *task)
{
    const weft_worker_options *options = task->worker;
    struct text name = text_over(request->name, sizeof request->name);

    request->magic = WIRE_MAGIC;
    request->parent_pid = os_process_id();
    request->parent_tid = job->parent;
    request->arg_size = task->arg_size;
    request->result_size = task->result_size;
    request->mask = job->mask;
    text_add(&name, "%s", job->name);
    if (options) {
        request->stack_size = options->stack_size;
        request->cpu_count = (uint32_t)options->cpu_count;
        for (size_t i = 0; i < options->cpu_count; i++)
            request->cpus[i] = (uint16_t)options->cpus[i];
    }
    return image_refer(task->fn, &request->fn);
}

/* Where the caller is at the start, however late the job begins. */
static int
note_directory(struct process *process)
{
    process->here_fd = os_open_here();
    return process->here_fd < 0
               ? why_system(process->here_fd,
                            "cannot open the working directory")
               : 0;
}

int
process_prepare(weft_job *job, const weft_task *task)
{
    struct process *process = calloc(1, sizeof *process);

    if (!process)
        return why_because(WEFT_ENOMEM, "cannot make a process");
    process->pidfd = process->share_fd = process->here_fd = -1;
    process->method = task->worker ? task->worker->method : WEFT_METHOD_DEFAULT;
    job->worker = process;
    int status = can_start(process->method);

    if (status == 0)
        status = service_start();
    if (status == 0)
        status = fill_request(&process->request, job, task);
    if (status == 0)
        status = make_share(process, task);
    if (status == 0 && process->method != WEFT_FORK)
        status = note_directory(process);
    return status;
}

/* --- the start */

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
static int
start_by_zygote(struct process *process)
{
    int fds[WIRE_FDS] = {process->share_fd, 1, 2, process->here_fd};

    process->request.closed = 0;
    for (int fd = 1; fd <= 2; fd++)
        if (!os_is_open(fd)) {
            process->request.closed |= 1u << fd;
            fds[fd] = process->share_fd;
        }
    return zygote_start(&process->request, fds);
}

static int
start_by_fork(const struct process *process)
{
    const int fds[WIRE_FDS] = {process->share_fd, -1, -1, -1};

    fflush(NULL);
    service_hold();
    const int pid = runtime_clone(0, NULL);

    if (pid == 0) {
        os_signals_default();
        child_read_nothing();
        child_guard_exit();
        child_run(&process->request, fds);
    }
    service_go_on();
    return pid < 0 ? why_system(pid, "cannot fork") : pid;
}

static int
start_copy(struct process *process)
{
    return process->method == WEFT_FORK ? start_by_fork(process)
                                        : start_by_zygote(process);
}

static int
watch(weft_job *job, int pid)
{
    struct process *process = process_of(job);
    const int pidfd = os_pidfd_open(pid);

    if (pidfd < 0)
        return why_system(pidfd, "cannot open a process");
    process->pidfd = pidfd;
    const int status = service_watch(pidfd, job_keep(job));

    if (status < 0)
        job_drop(job);
    return status;
}

/* A worker that cannot be watched must not run. Its pid is its own until it is
 * reaped here. */
static void
give_up(weft_job *job)
{
    struct process *process = process_of(job);

    os_child_end(job->outcome.pid);
    lock_take(&job->lock);
    if (process->pidfd >= 0)
        os_close(process->pidfd);
    process->pidfd = -1;
    lock_give(&job->lock);
    timer_cancel(&job->timer); /* nobody sets it any more */
}

/* The worker may be dead already, and its memory given back. */
static void
let(weft_job *job, enum wire_go go)
{
    struct process *process = process_of(job);

    lock_take(&job->lock);
    if (process->share) {
        atomic_store(&control_of(process)->go, go);
        os_futex_wake(&control_of(process)->go, 1, true);
    }
    lock_give(&job->lock);
}

static void
close_early(struct process *process)
{
    int *const fds[] = {&process->share_fd, &process->here_fd};

    for (size_t i = 0; i < sizeof fds / sizeof *fds; i++) {
        if (*fds[i] >= 0)
            os_close(*fds[i]);
        *fds[i] = -1;
    }
}

static int
process_begin(weft_job *job)
{
    struct process *process = process_of(job);

    if (job_is_canceled(job)) {
        job_end(job);
        return 0;
    }
    flush(stdout);
    flush(stderr);
    const int64_t begun = os_now();
    int pid = start_copy(process);

    if (pid == WEFT_EAGAIN && thread_cached_count() > 0) {
        thread_drop_idle(); /* they count against the user's limit */
        pid = start_copy(process);
    }

    if (pid < 0) {
        let(job, WIRE_NEVER);
        return pid;
    }
    close_early(process);
    atomic_store(&job->tid, pid);
    job_begun(job, begun);
    const int status = watch(job, pid);

    if (status < 0) {
        give_up(job);
        return status;
    }
    let(job, WIRE_GO);
    if (atomic_load(&job->stop.asked) != 0)
        service_attend(job); /* asked before there was anyone to ask */
    return 0;
}

/* --- the end */

/* Whether the end is what the stop led to: our signals, or what the worker does
 * on SIGTERM. A crash on the way is its own. */
static bool
ended_for_it(const struct process *process, const struct os_exit *end)
{
    if (process->stage < TERMINATED)
        return false;
    return end->signal == 0 || end->signal == SIGTERM ||
           (end->signal == SIGKILL && process->stage == KILLED);
}

static void
judge(weft_job *job, const struct os_exit *end)
{
    const struct wire_report *report = report_of(process_of(job));
    weft_outcome *outcome = &job->outcome;
    const bool returned = atomic_load(&report->phase) == WIRE_RETURNED &&
                          end->signal == 0 && end->code == (report->code != 0);

    outcome->signal = end->signal;
    outcome->core_dumped = end->core_dumped;
    outcome->cpu = end->cpu;
    outcome->wall = os_now() - job->begun;
    if (returned) {
        job_returned(job, report->code);
        return;
    }
    outcome->status = WEFT_EDIED;
    outcome->exit_code = end->code;
    job->killed_for_it = ended_for_it(process_of(job), end);
}

static void
take_message(weft_job *job)
{
    struct wire_report *report = report_of(process_of(job));
    char message[TEXT_MESSAGE];

    memcpy(message, report->message, sizeof message - 1);
    message[sizeof message - 1] = '\0';
    if (*message)
        outcome_keep_message(&job->call, message);
}

/* Small results are copied and the pages go; large ones stay where they are. */
static void
take_result(weft_job *job)
{
    struct process *process = process_of(job);
    const size_t size = job->call.call.result_size;

    job->result = (char *)report_of(process) + WIRE_RESULT_AT;
    if (size > COPY_MOST)
        return;
    process->copy = malloc(size ? size : 1);
    if (!process->copy)
        return;
    memcpy(process->copy, job->result, size);
    job->result = process->copy;
    os_unmap(process->share, process->size);
    process->share = NULL;
}

/* By who made the watch OVER. */
static void
process_ended(weft_job *job)
{
    struct process *process = process_of(job);
    struct os_exit end = {.code = -1};
    const int pid = job->outcome.pid;

    registry_condemn(pid); /* while nobody else has its pid */
    (void)os_pidfd_reap(process->pidfd, &end);
    lock_take(&job->lock);
    service_unwatch(process->pidfd, job);
    os_close(process->pidfd);
    process->pidfd = -1;
    judge(job, &end);
    take_message(job);
    take_result(job);
    lock_give(&job->lock);
    job_end(job);
    registry_reclaim(pid);
}

static bool
watch_passes(struct process *process, int from, int to)
{
    return atomic_compare_exchange_strong(&process->watcher, &from, to);
}

void
process_ready(weft_job *job)
{
    job_keep(job); /* the watch's reference goes while the job ends */
    if (watch_passes(process_of(job), WATCHED_BY_SERVICE, WATCH_OVER))
        process_ended(job);
    job_drop(job);
}

/* Looks at the pidfd in the service's place. */
static int
process_wait(weft_job *job, const struct wait_terms *terms)
{
    struct process *process = process_of(job);

    if (terms->stubborn || terms->until <= 0 || process->pidfd < 0 ||
        !watch_passes(process, WATCHED_BY_SERVICE, WATCHED_BY_JOINER))
        return wait_while(&job->ended, 0, terms);
    struct any_source source = {.fd = process->pidfd, .readable = true};

    service_pause(process->pidfd, job, true);
    const int status = any_wait(&source, 1, 0, terms);

    if (status >= 0) {
        (void)watch_passes(process, WATCHED_BY_JOINER, WATCH_OVER);
        process_ended(job);
        return 0;
    }
    service_pause(process->pidfd, job, false);
    (void)watch_passes(process, WATCHED_BY_JOINER, WATCHED_BY_SERVICE);
    /* Without a descriptor for the bell the word will do. */
    return status == WEFT_ETIMEDOUT || status == WEFT_ECANCELED
               ? status
               : wait_while(&job->ended, 0, terms);
}

/* --- meanwhile */

/* The next step towards its end, and when the one after that is due. Under
 * job->lock, while the process is there. */
static void
advance(weft_job *job, int signal, enum stage stage)
{
    struct process *process = process_of(job);

    if (signal)
        (void)os_pidfd_signal(process->pidfd, signal);
    process->stage = stage;
    job->timed = true;
    if (stage != KILLED && timer_set(&job->timer, weft_in(job->grace).ns) < 0)
        (void)os_pidfd_signal(process->pidfd, SIGKILL);
}

static void
ask(weft_job *job)
{
    _Atomic uint32_t *word = &control_of(process_of(job))->stop;

    atomic_store(word, atomic_load(&job->stop.asked));
    os_futex_wake(word, INT_MAX, true);
    advance(job, 0, ASKED);
}

static void
process_stop(weft_job *job)
{
    const struct process *process = process_of(job);

    lock_take(&job->lock);
    if (process->pidfd >= 0 && process->stage == NOT_ASKED)
        ask(job);
    lock_give(&job->lock);
}

static void
process_timer(weft_job *job)
{
    const struct process *process = process_of(job);

    lock_take(&job->lock);
    if (process->pidfd >= 0 && process->stage == ASKED)
        advance(job, SIGTERM, TERMINATED);
    else if (process->pidfd >= 0 && process->stage == TERMINATED)
        advance(job, SIGKILL, KILLED);
    lock_give(&job->lock);
}

static int
process_kill(weft_job *job, int signal)
{
    struct process *process = process_of(job);
    int status = WEFT_ESRCH;

    if (signal < 0 || signal > SIGRTMAX)
        return why_set(WEFT_EINVAL, "weft_kill: there is no signal %d", signal);
    lock_take(&job->lock);
    if (process->pidfd >= 0)
        status = os_pidfd_signal(process->pidfd, signal);
    lock_give(&job->lock);
    return status == WEFT_ESRCH
               ? why_set(status, "process '%s' does not run", job->name)
           : status < 0 ? why_system(status, "weft_kill")
                        : 0;
}

static void
process_free(weft_job *job)
{
    struct process *process = process_of(job);

    if (!process)
        return;
    close_early(process);
    if (process->share)
        os_unmap(process->share, process->size);
    free(process->copy);
    free(process);
}

unsigned
process_slot(weft_job *job)
{
    const struct process *process = process_of(job);

    lock_take(&job->lock);
    const unsigned slot =
        process->share ? atomic_load(&report_of(process)->slot) : 0;

    lock_give(&job->lock);
    return slot;
}

const struct job_kind process_kind = {
    .begin = process_begin,
    .stop = process_stop,
    .timer = process_timer,
    .kill = process_kill,
    .wait = process_wait,
    .free = process_free,
};
