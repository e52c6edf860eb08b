/* The jobs of a process pool, seen from the program. */
#include "base/why.h"
#include "os/os.h"
#include "procpool/procpool.h"
#include "worker/outcome.h"
#include "worker/process.h"

#include <weft/status.h>

#include <limits.h>
#include <signal.h>

static struct process_pool *
pool_of(const weft_job *job)
{
    return job->worker;
}

/* --- beginning */

static int
check(const struct process_pool *pool, const weft_job *job)
{
    const weft_call *call = &job->call.call;

    if (pool->owner != self_process()->pid)
        return why_set(WEFT_ENOTSUP,
                       "pool '%s' belongs to process %d, which opened it",
                       pool->in.name, pool->owner);
    if (call->arg && call->arg_size == 0 &&
        pool->options.options.heap != WEFT_HEAP_SHARED)
        return why_set(WEFT_ENOTSUP,
                       "task.arg points into the shared heap, which the "
                       "workers of pool '%s' have only with worker.heap",
                       pool->in.name);
    if (call->arg_size > pool->room || call->result_size > pool->room)
        return why_set(WEFT_ENOMEM,
                       "an argument or result of more than %zu bytes cannot "
                       "be handed over",
                       pool->room);
    return 0;
}

/* Under the lock: whether workers are to be made for it. */
static int
enter(struct process_pool *pool, weft_job *job, struct list *ended, bool *lack)
{
    uint32_t number = 0;
    int status = functions_find(&pool->functions, job->fn, &number);

    if (status == 0)
        status = intake_enter(&pool->in, job);
    if (status < 0)
        return status;
    job->function = number;
    job->entered = true;
    list_append(&pool->ready, &job->in_pool);
    offer_all(pool, ended);
    *lack = seats_lack(pool);
    pool->in.callers += *lack; /* close waits for who makes a worker */
    return 0;
}

/* Under the lock: who made workers has failed, and there is none. */
static int
take_back(struct process_pool *pool, weft_job *job, int status)
{
    if (status == 0 || atomic_load(&job->phase) != JOB_READY ||
        list_empty(&job->in_pool))
        return 0;
    list_remove(&job->in_pool);
    intake_undo(&pool->in, job);
    job->entered = false;
    return status;
}

static int
begin(weft_job *job)
{
    struct process_pool *pool = pool_of(job);
    struct list ended;
    bool lack = false;
    int status = check(pool, job);

    if (status < 0)
        return status;
    list_init(&ended);
    lock_take(&pool->in.lock);
    status = enter(pool, job, &ended, &lack);
    lock_give(&pool->in.lock);
    collect_end(pool, &ended);
    if (!lack)
        return status;
    const int made = seats_need(pool);

    lock_take(&pool->in.lock);
    status = take_back(pool, job, made);
    pool->in.callers--;
    intake_tell_gone(&pool->in);
    lock_give(&pool->in.lock);
    return status;
}

static void
abandon(weft_job *job)
{
    intake_give_back(&pool_of(job)->in);
}

/* --- stopping, in the service thread */

static void
tell_to_stop(const struct seat *seat, weft_job *job)
{
    struct channel_task *task =
        &seat_desk(seat)->tasks[channel_place((uint32_t)job->number)];

    atomic_store(&task->stop, atomic_load(&job->stop.asked));
    os_futex_wake(&task->stop, INT_MAX, true);
}

/* The next step towards its end, and when the one after that is due. */
static void
advance(struct seat *seat, weft_job *job, int signal, enum seat_stage stage)
{
    if (signal)
        (void)weft_kill(seat->worker, signal);
    seat->stage = stage;
    job->timed = true;
    if (stage != STAGE_KILLED &&
        timer_set(&job->timer, weft_in(seat->pool->grace).ns) < 0)
        (void)weft_kill(seat->worker, SIGKILL);
}

/* A task that its worker has: others are not to wait for its end there. */
static void
stop_begun(struct seat *seat, weft_job *job)
{
    tell_to_stop(seat, job);
    if ((uint32_t)job->number != seat->tail + 1 || seat->stage != STAGE_NONE)
        return;
    offer_retract_all(seat);
    advance(seat, job, 0, STAGE_ASKED);
}

static void
stop(weft_job *job)
{
    struct process_pool *pool = pool_of(job);
    struct list ended;

    list_init(&ended);
    lock_take(&pool->in.lock);
    struct seat *seat = job->seat;

    if (seat)
        collect_answers(seat, &ended);
    if (seat && job->seat == seat && offer_retract(seat, job)) {
        collect_canceled(pool, job, &ended);
        collect_answers(seat, &ended); /* the worker may have nothing else */
    } else if (seat && job->seat == seat) {
        stop_begun(seat, job);
    } else if (atomic_load(&job->phase) == JOB_READY && !job->seat &&
               job->entered && !list_empty(&job->in_pool)) {
        list_remove(&job->in_pool);
        intake_leave(&pool->in);
        collect_canceled(pool, job, &ended);
    }
    offer_all(pool, &ended);
    lock_give(&pool->in.lock);
    collect_end(pool, &ended);
}

/* Its time to stop of itself is over. */
static void
hurry(weft_job *job)
{
    struct process_pool *pool = pool_of(job);
    struct list ended;

    list_init(&ended);
    lock_take(&pool->in.lock);
    struct seat *seat = job->seat;

    if (seat)
        collect_answers(seat, &ended);
    if (seat && job->seat == seat && (uint32_t)job->number == seat->tail + 1 &&
        !seat->collecting) {
        if (seat->stage == STAGE_ASKED)
            advance(seat, job, SIGTERM, STAGE_TERMINATED);
        else if (seat->stage == STAGE_TERMINATED)
            advance(seat, job, SIGKILL, STAGE_KILLED);
    }
    lock_give(&pool->in.lock);
    collect_end(pool, &ended);
}

/* --- its channel, seen by who does not have the lock */

/* The seat that the job is in, which stays until unpin(), and its pool with it;
 * NULL: in none, or in one of the program that this process is a fork of, which
 * has no channels. */
static struct seat *
pin(weft_job *job)
{
    lock_take(&job->lock);
    struct seat *seat = job->seat;

    if (seat && seat->pool->owner != self_process()->pid)
        seat = NULL;
    if (seat)
        atomic_fetch_add(&seat->visitors, 1);
    lock_give(&job->lock);
    return seat;
}

static void
unpin(struct seat *seat)
{
    struct process_pool *pool = seat->pool;

    lock_take(&pool->in.lock);
    atomic_fetch_sub(&seat->visitors, 1);
    if (pool->in.closing)
        intake_tell_gone(&pool->in);
    lock_give(&pool->in.lock);
}

/* --- a signal */

/* Once nothing can follow the task, either its answer is there or the worker
 * has begun nothing else. Under the lock. */
static int
send_alone(struct seat *seat, weft_job *job, int signal, struct list *ended)
{
    offer_retract_all(seat);
    collect_answers(seat, ended);
    if (job->seat != seat || (uint32_t)job->number != seat->tail + 1 ||
        seat->collecting)
        return WEFT_ESRCH;
    const int status = weft_kill(seat->worker, signal);

    job->was_killed = job->was_killed || (status == 0 && signal == SIGKILL);
    return status;
}

static int
send_signal(weft_job *job, int signal)
{
    struct process_pool *pool = pool_of(job);
    struct seat *seat = job_has_ended(job) ? NULL : pin(job);
    int status = WEFT_ESRCH;
    struct list ended;

    if (!seat)
        return why_set(status, "task '%s' does not run", job->name);
    list_init(&ended);
    lock_take(&pool->in.lock);
    if (job->seat == seat)
        status = send_alone(seat, job, signal, &ended);
    if (status != 0 || signal != SIGKILL) /* else its end does */
        offer_all(pool, &ended);
    const bool lack = seats_lack(pool);

    lock_give(&pool->in.lock);
    collect_end(pool, &ended);
    if (lack)
        (void)seats_need(pool);
    unpin(seat);
    return status == WEFT_ESRCH
               ? why_set(status, "task '%s' does not run", job->name)
               : status;
}

/* --- waiting */

static struct seat *
visit(weft_job *job)
{
    struct seat *seat = pin(job);

    if (seat)
        atomic_fetch_add(&seat_desk(seat)->visitors, 1);
    return seat;
}

static void
leave(struct seat *seat)
{
    /* Then one last look: see channel.h. */
    if (atomic_fetch_sub(&seat_desk(seat)->visitors, 1) == 1)
        collect(seat);
    unpin(seat);
}

/* Collects from the worker that has the job while the policy allows to spin, or
 * until the word is no longer `old`. */
static int
spin(weft_job *job, const _Atomic uint32_t *word, uint32_t old,
     const struct wait_terms *terms)
{
    struct seat *seat = terms->until > 0 ? visit(job) : NULL;
    int status = 1;

    if (!seat)
        return 0;
    const _Atomic uint32_t *done = &seat_door(seat)->done;

    for (unsigned rounds = 1; status > 0; rounds++) {
        uint32_t seen = atomic_load(done);

        collect(seat);
        if (atomic_load(word) != old)
            break;
        /* Else one that changes all the time keeps the wait from its end. */
        if (rounds % CHANNEL_TASKS == 0)
            seen = atomic_load(done);
        status = wait_spin(&seat->look, done, seen, terms);
    }
    leave(seat);
    return status < 0 ? status : 0;
}

static bool
is_at(weft_job *job, const struct seat *seat)
{
    lock_take(&job->lock);
    const bool at = job->seat == seat;

    lock_give(&job->lock);
    return at;
}

/* Sleeps until the worker's next answer, which it collects, or until the job
 * has ended. A wake-up goes to one sleeper only: whoever got it collects, even
 * if he leaves for another reason. */
static int
sleep_at(struct seat *seat, weft_job *job, const struct wait_terms *terms)
{
    struct channel_desk *desk = seat_desk(seat);
    struct wait_terms here = *terms;
    int status = 0;

    atomic_fetch_add(&desk->sleepers, 1);
    here.also = &seat_door(seat)->done;
    here.also_old = atomic_load(here.also);
    collect(seat);
    /* A seat whose worker is dead changes `done` after its jobs have left. */
    if (is_at(job, seat))
        status = wait_asleep(&job->ended, 0, &here);
    atomic_fetch_sub(&desk->sleepers, 1);
    atomic_fetch_sub(&desk->visitors, 1);
    collect(seat);
    unpin(seat);
    return status;
}

/* Whoever waits for a job collects it himself, and so is woken by the worker
 * and by nobody between; but a worker that answers and answers something else
 * does not keep him awake. */
static int
wait_for(weft_job *job, const struct wait_terms *terms)
{
    int status = spin(job, &job->ended.value, 0, terms);

    for (unsigned rounds = 0;
         status == 0 && rounds < 2 * CHANNEL_TASKS && !job_has_ended(job);
         rounds++) {
        struct seat *seat =
            terms->until > 0 && !wait_is_single() ? visit(job) : NULL;

        if (!seat)
            break;
        status = sleep_at(seat, job, terms);
    }
    return status < 0 && !job_has_ended(job)
               ? status
               : wait_asleep(&job->ended, 0, terms);
}

/* Its worker was still to come up when it was offered the task. While it has
 * the job the seat has the worker. */
static void
locate(weft_job *job)
{
    lock_take(&job->lock);
    weft_job *worker = job->seat ? job_keep(job->seat->worker) : NULL;

    lock_give(&job->lock);
    if (!worker)
        return;
    atomic_store(&job->slot, process_slots(worker).process);
    job_drop(worker);
}

/* --- the outcome */

static void
explain(weft_job *job)
{
    if (!job->died_in)
        return;
    const weft_outcome *end = weft_outcome_of(job->died_in);

    job->outcome.where = end->where;
    job->outcome.stack = end->stack;
}

static void
free_job(weft_job *job)
{
    weft_release(job->died_in);
}

const struct job_kind process_pool_job_kind = {
    .begin = begin,
    .abandon = abandon,
    .stop = stop,
    .timer = hurry,
    .kill = send_signal,
    .wait = wait_for,
    .spin = spin,
    .locate = locate,
    .explain = explain,
    .free = free_job,
};
