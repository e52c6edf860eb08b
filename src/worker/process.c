/* The life of a job that a process runs: its start, its end, and the stops and
 * signals in between. */
#include "worker/process.h"

#include "base/why.h"
#include "registry/registry.h"
#include "sync/recover.h"
#include "wait/any.h"
#include "worker/groups.h"
#include "worker/outcome.h"
#include "worker/process_inside.h"
#include "worker/thread.h"
#include "worker/zygote.h"

#include <weft/status.h>

#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>

enum {
    COPY_MOST = 64 << 10 /* larger results stay where the worker wrote them */
};

/* How often the system had killed for lack of memory when we last looked. */
static _Atomic uint64_t process_kills;

/* --- the start */

/* Its pidfd, and whether it is ready if that is waited for. */
static int
meet(weft_job *job, int pid)
{
    struct process *process = process_of(job);
    const int pidfd = os_pidfd_open(pid);

    if (pidfd < 0)
        return why_system(pidfd, "cannot open a process");
    process->pidfd = pidfd;
    return process->request.confirm ? process_confirm(job) : 0;
}

static int
watch(weft_job *job)
{
    struct process *process = process_of(job);
    const int pidfd = process->pidfd;
    int status = service_watch(pidfd, job_keep(job));

    if (status < 0)
        job_drop(job);
    else if (process->capture.from >= 0)
        status = service_watch_output(process->capture.from, job);
    return status;
}

/* A worker that cannot be watched must not run. Its pid is its own until it is
 * reaped here. */
static void
give_up(weft_job *job)
{
    struct process *process = process_of(job);

    groups_leave(process->place, job->outcome.pid);
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
        atomic_store(&process_control(process)->go, go);
        os_futex_wake(&process_control(process)->go, 1, true);
    }
    lock_give(&job->lock);
}

static int
process_begin(weft_job *job)
{
    struct process *process = process_of(job);

    if (job_is_canceled(job)) {
        job_end(job);
        return 0;
    }
    const int64_t begun = os_now();

    if (atomic_load(&process_kills) == 0)
        atomic_store(&process_kills, os_memory_kills());
    process->request.recorded = job->recorded;
    int pid = process_make(process);

    if (pid == WEFT_EAGAIN && thread_cached_count() > 0) {
        thread_drop_idle(); /* they count against the user's limit */
        pid = process_make(process);
    }
    if (pid < 0) {
        let(job, WIRE_NEVER);
        return pid;
    }
    process_close_early(process);
    process->place = groups_enter(pid);
    atomic_store(&job->tid, pid);
    job_begun(job, begun);
    int status = meet(job, pid);

    if (status == 0)
        status = watch(job);
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

/* What the worker noted when it died, while it can still be read. */
static void
take_crash(weft_job *job)
{
    struct process *process = process_of(job);
    const struct wire_crash *noted =
        (const struct wire_crash *)(const void *)(process->share +
                                                  wire_crash_at(
                                                      &process->request));

    if (job->outcome.signal == 0 || atomic_load(&noted->count) == 0)
        return;
    process->crash = malloc(sizeof *process->crash);
    if (process->crash)
        *process->crash = *noted;
}

/* Only when it is known: its own limit was near when it crashed, or the system
 * has killed for lack of memory since we last looked, and nobody else. */
static bool
ran_out_of_memory(const struct process *process, bool was_killed,
                  const struct os_exit *end)
{
    if (process->crash && process->request.memory > 0 &&
        process->crash->memory_is_full)
        return true;
    if (end->signal != SIGKILL || process->stage == KILLED || was_killed)
        return false;
    const uint64_t kills = os_memory_kills();

    return atomic_exchange(&process_kills, kills) < kills;
}

static void
judge(weft_job *job, const struct os_exit *end)
{
    const struct wire_report *report = process_report(process_of(job));
    const uint32_t phase = atomic_load(&report->phase.value);
    weft_outcome *outcome = &job->outcome;
    const bool returned =
        end->signal == 0 &&
        (phase == WIRE_REFUSED ||
         (phase == WIRE_RETURNED && end->code == (report->code != 0)));

    outcome->signal = end->signal;
    outcome->core_dumped = end->core_dumped;
    outcome->cpu = end->cpu;
    outcome->wall = os_now() - job->begun;
    if (returned) {
        job_returned(job, phase == WIRE_REFUSED && report->code >= 0
                              ? WEFT_EFAILED
                              : report->code);
        return;
    }
    outcome->status = WEFT_EDIED;
    outcome->exit_code = end->code;
    take_crash(job);
    outcome->out_of_memory =
        ran_out_of_memory(process_of(job), job->was_killed, end);
    job->killed_for_it = ended_for_it(process_of(job), end);
}

static void
take_message(weft_job *job)
{
    struct wire_report *report = process_report(process_of(job));
    char message[TEXT_MESSAGE];

    memcpy(message, report->message, sizeof message - 1);
    message[sizeof message - 1] = '\0';
    if (*message)
        outcome_keep_message(&job->call, message);
}

/* A result that the function has sized may lie beyond what is mapped; the file
 * has room for it, and can be made no shorter by the worker. */
static size_t
result_size(weft_job *job)
{
    struct process *process = process_of(job);
    const uint64_t size = process_report(process)->result_size;
    const size_t whole = wire_size(&process->request, size);
    void *share = process->share;

    if (size > process->request.result_room)
        return 0;
    if (whole <= process->size)
        return size;
    if (os_map_extend(&share, process->size, whole) < 0) {
        job_returned(job, WEFT_ENOMEM);
        outcome_keep_message(&job->call, "no room to map its result");
        return 0;
    }
    process->share = share;
    process->size = whole;
    return size;
}

/* Small results are copied and the pages go; large ones stay where they are. */
static void
take_result(weft_job *job)
{
    struct process *process = process_of(job);
    const size_t size = job->outcome.status == WEFT_OK ? result_size(job) : 0;

    job->call.call.result_size = size;

    job->result = (char *)process_report(process) + WIRE_RESULT_AT;
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

    /* Only while nobody else can have its pid: one that was executed anew may
     * have been reaped by a waitpid elsewhere in the program. */
    const bool ours = os_pidfd_signal(process->pidfd, 0) != -ESRCH;

    if (ours) {
        registry_condemn(pid);
        recover_process(pid, process->request.heap_at != 0);
    }
    groups_leave(process->place, ours ? pid : 0);
    (void)os_pidfd_reap(process->pidfd, &end);
    lock_take(&job->lock);
    if (process->capture.bytes) {
        service_unwatch_output(process->capture.from);
        job->outcome.output = capture_close(&process->capture);
    }
    service_unwatch(process->pidfd, job);
    os_close(process->pidfd);
    process->pidfd = -1;
    judge(job, &end);
    const bool said =
        atomic_load(&process_report(process)->phase.value) == WIRE_RETURNED;

    take_message(job);
    take_result(job);
    lock_give(&job->lock);
    const bool again = process->method == WEFT_ZYGOTE;

    if (!said)
        record_died(&job->recorded, job->outcome.status < 0);
    job_end(job);
    service_attend(job); /* if it was attended before it had ended */
    if (again)
        zygote_wish();
}

/* Clearing the pages of its slots takes longer than a joiner should wait. */
static void
process_clean(weft_job *job)
{
    struct process *process = process_of(job);

    if (!process->cleaned)
        registry_reclaim(job->outcome.pid);
    process->cleaned = true;
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

void
process_output(weft_job *job)
{
    struct process *process = process_of(job);

    lock_take(&job->lock);
    if (process->capture.from >= 0 && !capture_read(&process->capture))
        service_unwatch_output(process->capture.from);
    lock_give(&job->lock);
}

char *
process_take_output(weft_job *job)
{
    struct process *process = process_of(job);

    lock_take(&job->lock);
    char *text =
        process->capture.bytes ? capture_take(&process->capture) : NULL;

    lock_give(&job->lock);
    return text;
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
    _Atomic uint32_t *word = &process_control(process_of(job))->stop;

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
    job->was_killed = job->was_killed || (status == 0 && signal == SIGKILL);
    lock_give(&job->lock);
    return status == WEFT_ESRCH
               ? why_set(status, "process '%s' does not run", job->name)
           : status < 0 ? why_system(status, "weft_kill")
                        : 0;
}

void
process_finish(weft_job *job)
{
    const struct process *process = process_of(job);

    lock_take(&job->lock);
    if (process->pidfd >= 0)
        (void)os_pidfd_signal(process->pidfd, SIGKILL);
    lock_give(&job->lock);
}

/* In words, which takes long. */
static void
process_explain(weft_job *job)
{
    struct process *process = process_of(job);

    if (!process || !process->crash)
        return;
    crash_explain(process->crash, &process->told);
    job->outcome.where = process->told.where;
    if (process->told.stack)
        job->outcome.stack = process->told.stack;
}

static void
process_free(weft_job *job)
{
    struct process *process = process_of(job);

    if (!process)
        return;
    process_close_early(process);
    if (process->share)
        os_unmap(process->share, process->size);
    capture_free(&process->capture);
    free(process->told.stack);
    free(process->crash);
    free(process->copy);
    free(process);
}

struct process_slots
process_slots(weft_job *job)
{
    const struct process *process = process_of(job);
    struct process_slots slots = {0, 0};

    lock_take(&job->lock);
    if (process->share) {
        const struct wire_report *report = process_report(process);

        slots.process = atomic_load(&report->slot);
        slots.thread = atomic_load(&report->first);
    }
    lock_give(&job->lock);
    return slots;
}

const struct job_kind process_kind = {
    .begin = process_begin,
    .give = process_give,
    .stop = process_stop,
    .timer = process_timer,
    .kill = process_kill,
    .wait = process_wait,
    .clean = process_clean,
    .explain = process_explain,
    .free = process_free,
};
