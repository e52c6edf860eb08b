#include "worker/job.h"

#include "base/why.h"
#include "os/os.h"
#include "registry/registry.h"
#include "wait/any.h"
#include "worker/after.h"
#include "worker/on_end.h"
#include "worker/outcome.h"
#include "worker/process.h"
#include "worker/promise.h"
#include "worker/runtime.h"
#include "worker/scope.h"
#include "worker/task.h"

#include <weft/status.h>

#include <limits.h>
#include <stdlib.h>
#include <string.h>

static size_t
align(size_t size)
{
    return (size + 15) & ~(size_t)15;
}

/* Where a process's argument and result lie is the process's matter. */
static bool
has_own_memory(const struct task_way *way)
{
    return way->kind == WEFT_PROCESS && !way->pool;
}

static void
copy_task(weft_job *job, const struct task_way *way, const weft_task *task)
{
    job->fn = task->fn;
    job->delay = task->delay;
    job->timeout = task->timeout;
    job->grace = task->worker && task->worker->grace ? task->worker->grace
                                                     : 1 * WEFT_SECOND;
    job->daemon = task->daemon;
    job->blocking = task->blocking;
    job->retries = task->retries;
    job->late = task->delay > 0 || task->after;
    job->scope = task->scope;
    job->after = task->after ? job_keep(task->after) : NULL;
    job->takes_result = !task->arg && task->arg_size == 0;
    job->parent = self_get()->record.tid;
    if (way->mask)
        job->mask = *way->mask;
    else if (!job->worker) /* a pool's workers have masks of their own */
        os_signals_get(&job->mask);
}

static enum job_phase
first_phase(weft_kind kind, const weft_task *task)
{
    if (kind == WEFT_SERIAL) /* its caller waits for all of that */
        return JOB_READY;
    return task->after       ? JOB_ENTERING
           : task->delay > 0 ? JOB_DELAYED
                             : JOB_READY;
}

/* What is as it is to begin with, also in memory that is used again. */
static weft_job *
make(size_t block, bool recycled)
{
    weft_job *job = calloc(1, sizeof *job + block);

    if (!job)
        return NULL;
    job->memory.recycled = recycled;
    job->timer.fire = job_timer;
    list_init(&job->watches);
    job->fd = -1;
    return job;
}

static weft_job *
make_or_recycle(const struct task_way *way, size_t block)
{
    if (!way->pool || block > JOB_BLOCK)
        return make(block, false);
    weft_job *job = job_memory_take();

    return job ? job : make(JOB_BLOCK, true);
}

weft_job *
job_new(const struct task_way *way, const weft_task *task, const char *name)
{
    const weft_kind kind = way->kind;
    const bool own = has_own_memory(way);
    const size_t arg = own ? 0 : align(task->arg_size);
    const size_t result = own ? 0 : align(task->result_size);
    const size_t length = strlen(name) + 1;
    weft_job *job = make_or_recycle(way, arg + result + length);

    if (!job)
        return NULL;
    atomic_init(&job->references, 1);
    atomic_init(&job->handles, 1);
    atomic_init(&job->phase, first_phase(kind, task));
    stop_cell_init(&job->stop);
    list_init(&job->live);
    list_init(&job->in_scope);
    list_init(&job->in_pool);
    job->of = way->of;
    job->kind = kind;
    job->worker = way->pool;
    job->reserved = way->reserved;
    copy_task(job, way, task);
    job->result = job->block + arg;
    job->name = memcpy(job->block + arg + result, name, length);
    if (arg)
        memcpy(job->block, task->arg, task->arg_size);
    if (result && job->memory.recycled)
        memset(job->result, 0, result);
    job->call.call = (weft_call){
        .arg = task->arg_size ? job->block : task->arg,
        .arg_size = task->arg_size,
        .result = task->result_size ? job->result : NULL,
        .result_size = task->result_size,
    };
    job->call.start = job->result;
    job->call.room = result;
    job->outcome = (weft_outcome){
        .exit_code = -1, .message = "", .where = "", .stack = "", .output = ""};
    /* What is given a mask is a pool's worker: the library's own business. */
    if (kind == WEFT_PROMISE || way->mask)
        record_not(&job->recorded);
    else
        record_submit(&job->recorded);
    if (job->after)
        job->recorded.after = record_id_of(&job->after->recorded);
    return job;
}

/* --- beginning */

int
job_launch(weft_job *job)
{
    if (job->after && job->kind != WEFT_SERIAL)
        return after_launch(job);
    if (atomic_load(&job->phase) != JOB_DELAYED)
        return job->of->begin(job);
    job->timed = true;
    return timer_set(&job->timer, weft_in(job->delay).ns);
}

bool
job_is_canceled(weft_job *job)
{
    if (atomic_load(&job->stop.asked) == 0)
        return false;
    atomic_store(&job->phase, JOB_CANCELED);
    return true;
}

void
job_begun(weft_job *job, int64_t when)
{
    job->begun = when;
    job->outcome.pid = job->kind == WEFT_PROCESS ? atomic_load(&job->tid)
                                                 : self_process()->pid;
    atomic_store_explicit(&job->phase, JOB_BEGUN, memory_order_relaxed);
    if (job->timeout <= 0)
        return;
    job->timed = true;
    if (timer_set(&job->timer, weft_in(job->timeout).ns) < 0)
        job_ask(job, JOB_STOP_TIMEOUT); /* rather at once than never */
}

/* --- ending */

void
job_returned(weft_job *job, int code)
{
    job->outcome.code = code;
    job->outcome.status = code == 0 ? WEFT_OK : WEFT_EFAILED;
}

/* The table in SETTLED's words: what a failure or a death counts as when the
 * job was asked to end. */
static int
final_status(const weft_job *job)
{
    const uint32_t asked = atomic_load(&job->stop.asked);

    /* Its time may run before a worker has taken it up. */
    if (atomic_load(&job->phase) != JOB_BEGUN)
        return asked & JOB_STOP_TIMEOUT ? WEFT_ETIMEDOUT : WEFT_ECANCELED;
    if (job->outcome.status == WEFT_OK ||
        (job->outcome.status == WEFT_EDIED && !job->killed_for_it))
        return job->outcome.status;
    if (asked & JOB_STOP_TIMEOUT)
        return WEFT_ETIMEDOUT;
    if (asked & JOB_STOP_ASKED)
        return WEFT_ECANCELED;
    return job->outcome.status;
}

/* By the last handle's holder or by who ends the job; once. */
static void
report_unobserved(weft_job *job)
{
    const int status = job->outcome.status;

    if (status < 0 && status != WEFT_ECANCELED &&
        !atomic_exchange(&job->seen, true))
        runtime_unobserved(job);
}

static void
tell_watchers(weft_job *job)
{
    if (!atomic_load(&job->watched)) /* who comes now sees the end */
        return;
    lock_take(&job->lock);
    list_foreach (at, &job->watches)
        watch_ring(list_entry(at, struct watch, link));
    if (job->fd >= 0)
        os_event_ring(job->fd);
    lock_give(&job->lock);
}

void
job_end(weft_job *job)
{
    weft_outcome *outcome = &job->outcome;

    if (job->of->abandon && !job->entered)
        job->of->abandon(job);
    outcome->status = final_status(job);
    outcome->message = job->call.message ? job->call.message : "";
    if (job->call.owned)
        job->result = job->call.owned;
    if (outcome->status == WEFT_OK && job->call.call.result_size > 0) {
        outcome->result = job->result;
        outcome->result_size = job->call.call.result_size;
    }
    if (job->timed)
        timer_cancel(&job->timer);
    after_forget(job);
    /* Before the end is seen: who has joined the job finds it in its scope. */
    if (job->scope)
        scope_ended(job->scope, job);
    (void)on_end_close(job);
    const bool tell = job->to_call;

    if (tell) /* what is called may look at a failure, so nobody reports it yet
               */
        weft_retain(job);
    const unsigned handles = atomic_fetch_or(&job->handles, JOB_TELLS);

    /* Sequentially consistent, as weft_fd's and job_watch's looks are: who
     * comes too late to be told sees that it has ended. */
    wait_post(&job->ended, 1, INT_MAX);
    tell_watchers(job);
    if (tell) {
        on_end_tell(job);
        return;
    }
    if (handles == 0)
        report_unobserved(job);
    runtime_remove(job); /* last: the exit waits for the report too */
    job_drop(job);
}

void
job_never_was(weft_job *job)
{
    runtime_remove(job);
    job_see(job);
    wait_post(&job->ended, 1, INT_MAX);
}

/* --- stopping */

void
job_ask(weft_job *job, enum job_stop reason)
{
    stop_ask(&job->stop, reason);
    if (job->of->stop || atomic_load(&job->phase) <= JOB_DELAYED)
        service_attend(job);
}

static void
stop_now(weft_job *job)
{
    if (after_stop(job))
        return;
    if (atomic_load(&job->phase) == JOB_DELAYED) {
        timer_cancel(&job->timer);
        atomic_store(&job->phase, JOB_CANCELED);
        job_end(job);
    } else if (job->of->stop) {
        job->of->stop(job);
    }
}

void
job_attend(weft_job *job)
{
    if (atomic_exchange(&job->untold, false))
        on_end_tell(job);
    if (job_has_ended(job) && job->of->clean)
        job->of->clean(job);
    if (job_has_ended(job))
        return;
    if (atomic_load(&job->phase) == JOB_DUE)
        after_due(job);
    else if (atomic_load(&job->stop.asked) != 0)
        stop_now(job);
}

void
job_timer(struct timer *timer)
{
    weft_job *job = list_entry(timer, weft_job, timer);

    if (job_has_ended(job))
        return;
    if (atomic_load(&job->phase) == JOB_DELAYED) {
        record_ready(&job->recorded);
        atomic_store(&job->phase, JOB_READY);
        job_begin_late(job);
    } else if (atomic_load(&job->stop.asked) == 0) {
        job_ask(job, JOB_STOP_TIMEOUT);
    } else if (job->of->timer) {
        job->of->timer(job);
    }
}

int
weft_stop(weft_job *job)
{
    if (!job)
        return WEFT_EINVAL;
    if (!job_has_ended(job))
        job_ask(job, JOB_STOP_ASKED);
    return 0;
}

int
weft_kill(weft_job *job, int signal)
{
    if (!job)
        return why_set(WEFT_EINVAL, "weft_kill: job is NULL");
    if (!job->of->kill)
        return why_set(WEFT_ENOTSUP, "a %s cannot be killed, only stopped",
                       outcome_kind_word(job->kind));
    return job->of->kill(job, signal);
}

/* --- waiting */

bool
job_is_mine(const weft_job *job)
{
    for (const weft_job *at = self_get()->job; at; at = at->outer)
        if (at == job)
            return true;
    return false;
}

int
job_wait(weft_job *job, int64_t until, bool stubborn)
{
    const struct wait_terms terms = {
        .until = until,
        .stubborn = stubborn,
        .once = true,
        .kind = SLOT_WAIT_JOIN,
        .object = (const void *)(uintptr_t)(unsigned)atomic_load_explicit(
            &job->tid, memory_order_relaxed),
    };

    return job->of->wait ? job->of->wait(job, &terms)
                         : wait_while(&job->ended, 0, &terms);
}

int
weft_join(weft_job *job, weft_time deadline)
{
    if (!job)
        return why_set(WEFT_EINVAL, "weft_join: job is NULL");
    if (job_has_ended(job)) {
        record_join(&job->recorded);
        return 0;
    }
    if (job_is_mine(job))
        return why_set(WEFT_EDEADLK, "'%s' would wait for its own end",
                       job->name);
    const int status = job_wait(job, deadline.ns, false);

    if (status == WEFT_ETIMEDOUT)
        return why_set(status, "'%s' has not ended by the deadline", job->name);
    if (status < 0)
        return why_set(status, "asked to stop while waiting for '%s'",
                       job->name);
    record_join(&job->recorded);
    return 0;
}

int
job_failure(weft_job *job)
{
    const weft_outcome *outcome = weft_outcome_of(job);

    return why_set(outcome->status == WEFT_EDIED ? WEFT_EDIED : WEFT_EFAILED,
                   "%s", outcome->text);
}

int
weft_result(weft_job *job, void *result, size_t size, weft_time deadline)
{
    const int status = weft_join(job, deadline);

    if (status < 0)
        return status;
    const weft_outcome *outcome = &job->outcome;

    if (outcome->status < 0)
        return job_failure(job);
    if (!result && size == 0)
        return 0;
    if (!result)
        return why_set(WEFT_EINVAL, "weft_result: result is NULL");
    if (size != outcome->result_size)
        return why_set(WEFT_EMSGSIZE,
                       "the result of '%s' has %zu bytes, not %zu", job->name,
                       outcome->result_size, size);
    if (size > 0)
        memcpy(result, outcome->result, size);
    return 0;
}

bool
weft_is_alive(const weft_job *job)
{
    return job && !job_has_ended(job);
}

const char *
weft_name(const weft_job *job)
{
    return job ? job->name : "";
}

/* --- descriptors and references */

int
weft_fd(weft_job *job)
{
    if (!job)
        return why_set(WEFT_EINVAL, "weft_fd: job is NULL");
    lock_take(&job->lock);
    if (job->fd < 0) {
        job->fd = os_event_open();
        atomic_store(&job->watched, true);
        if (job->fd >= 0 && atomic_load(&job->ended.value) != 0)
            os_event_ring(job->fd);
    }
    const int fd = job->fd;

    lock_give(&job->lock);
    return fd < 0 ? why_system(fd, "weft_fd") : fd;
}

static void
job_free(weft_job *job)
{
    if (job->of->free)
        job->of->free(job);
    after_forget(job); /* if it has never been started */
    if (job->fd >= 0)
        os_close(job->fd);
    free(job->text);
    free(job->output);
    free(job->argument);
    free(job->call.owned);
    if (job->call.message != job->call.space)
        free(job->call.message);
    if (!job->memory.recycled) {
        free(job);
        return;
    }
    job->fd = -1;
    job->text = job->output = job->argument = NULL;
    job->died_in = NULL;
    job_memory_give(job);
}

weft_job *
job_keep(weft_job *job)
{
    atomic_fetch_add_explicit(&job->references, 1, memory_order_relaxed);
    return job;
}

void
job_drop(weft_job *job)
{
    /* release: what this holder did is done before; acquire: the last one sees
     * it all */
    if (atomic_fetch_sub_explicit(&job->references, 1, memory_order_acq_rel) ==
        1)
        job_free(job);
}

weft_job *
weft_retain(weft_job *job)
{
    if (!job)
        return NULL;
    atomic_fetch_add(&job->handles, 1);
    return job_keep(job);
}

void
weft_release(weft_job *job)
{
    if (!job)
        return;
    const unsigned before = atomic_fetch_sub(&job->handles, 1);

    if (before == (JOB_TELLS | 1)) {
        while (!job_has_ended(job))
            os_pause(); /* it is just being posted */
        report_unobserved(job);
    } else if (before == 1 && job->kind == WEFT_PROMISE) {
        promise_abandon(job);
    }
    job_drop(job);
}
