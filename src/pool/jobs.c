/* Jobs of a thread pool. Who takes a job out of a list, under the lock, is the
 * one who runs or cancels it. */
#include "base/why.h"
#include "os/os.h"
#include "pool/pool.h"
#include "queue/lease.h"
#include "worker/outcome.h"
#include "worker/runtime.h"

#include <weft/status.h>

#include <limits.h>

enum {
    THREADS = 512 /* blocking jobs that run at the same time */
};

/* --- waiting and running, under the lock */

void
jobs_leave(struct thread_pool *pool, weft_job *job)
{
    list_remove(&job->in_pool);
    intake_leave(&pool->in);
}

weft_job *
jobs_take(struct thread_pool *pool)
{
    weft_job *job = NULL;

    lock_take(&pool->in.lock);
    if (!list_empty(&pool->ready) &&
        atomic_load(&pool->members) <= pool_workers(pool)) {
        job = list_entry(pool->ready.next, weft_job, in_pool);
        jobs_leave(pool, job);
    }
    lock_give(&pool->in.lock);
    return job;
}

/* By who is not a thread of the pool. */
static void
end(struct thread_pool *pool, weft_job *job)
{
    lock_take(&pool->in.lock);
    intake_account(&pool->in, job);
    lock_give(&pool->in.lock);
    job_end(job);
    intake_ended(&pool->in);
}

/* --- running */

static void
run(struct deck *deck, weft_job *job, struct self *self)
{
    struct stop *const outer = self->stop;
    const unsigned shield = self->shield;
    /* The shield of who waits keeps off its own stops, and no others. */
    struct stop stop = {.asked = &job->stop.asked,
                        .cell = &job->stop,
                        .outer = shield ? NULL : outer};

    job_begun(job, os_now());
    const int64_t cpu = meter_begin(&deck->meter, job->begun);

    job->outer = self->job;
    self->job = job;
    self->stop = &stop;
    self->shield = 0;
    atomic_store_explicit(&job->tid, self->record.tid, memory_order_relaxed);
    atomic_store_explicit(&job->slot, self->record.id, memory_order_relaxed);
    record_begin(&job->recorded, RECORD_POOLED, job->name);
    const int code = job->fn(&job->call.call);

    lease_end(self);
    record_end(&job->recorded, code != 0);
    self->shield = shield;
    self->stop = outer;
    self->job = job->outer;
    job->outer = NULL;
    job_returned(job, code);
    meter_end(&deck->meter, job->begun, cpu, &job->outcome);
    record_on_cpu(&job->recorded, job->outcome.cpu, job->outcome.wall);
}

/* A job that takes long says so at once; that they are short takes several. */
static void
note_pace(struct thread_pool *pool, weft_duration wall)
{
    pool->pace = wall > pool->pace ? wall : pool->pace - pool->pace / 8;
}

void
jobs_run(struct thread_pool *pool, weft_job *job)
{
    struct self *self = self_get();
    struct deck *const inner = self->deck;

    self->deck = pool_deck_here(pool);
    if (job_is_canceled(job))
        job->outcome.status = WEFT_ECANCELED;
    else
        run(self->deck, job, self);
    self->deck = inner;
    lock_take(&pool->in.lock);
    intake_done(&pool->in, job);
    note_pace(pool, job->outcome.wall);
    lock_give(&pool->in.lock);
    job_end(job);
}

/* A job that will not be run ends as failed. */
static void
fail(struct thread_pool *pool, weft_job *job, const char *why)
{
    if (!job_is_canceled(job)) {
        atomic_store(&job->phase, JOB_BEGUN);
        outcome_keep_message(&job->call, why);
    }
    job->outcome.status = WEFT_EFAILED;
    end(pool, job);
}

/* Under the lock. */
static bool
is_hopeless(const struct thread_pool *pool)
{
    return atomic_load(&pool->members) == 0 ||
           atomic_load(&pool->in.refuses) < 0;
}

/* Those that wait for a member, if none will take them. */
static void
fail_all(struct thread_pool *pool, const char *why)
{
    for (;;) {
        weft_job *job = NULL;

        lock_take(&pool->in.lock);
        if (!list_empty(&pool->ready) && is_hopeless(pool)) {
            job = list_entry(pool->ready.next, weft_job, in_pool);
            jobs_leave(pool, job);
        }
        lock_give(&pool->in.lock);
        if (!job)
            return;
        fail(pool, job, why);
    }
}

void
jobs_give_up(struct thread_pool *pool)
{
    char why[TEXT_MESSAGE];
    struct text text = text_over(why, sizeof why);

    text_add(&text, "%s", weft_why());
    fail_all(pool, why);
    (void)why_set(WEFT_ENOMEM, "%s", why); /* after all that was told of it */
}

/* --- those that block */

static weft_job *
take_blocking(struct thread_pool *pool)
{
    weft_job *job = NULL;

    lock_take(&pool->in.lock);
    if (list_empty(&pool->blocked)) {
        pool->blocking--;
    } else {
        job = list_entry(pool->blocked.next, weft_job, in_pool);
        jobs_leave(pool, job);
    }
    lock_give(&pool->in.lock);
    return job;
}

/* The function of a thread of its own, which counts as a member that is never
 * idle, so that the pool outlives it. */
static int
run_blocking(weft_call *call)
{
    struct deck *deck = (struct deck *)(uintptr_t)call->arg;
    struct thread_pool *pool = deck->pool;
    weft_job *job;

    record_retract(&self_get()->job->recorded);
    pool_put_on(deck);
    deck->room = pool->options.options.stack_size / 2;
    const bool prepared = jobs_prepare(pool);

    while ((job = take_blocking(pool)))
        if (prepared)
            jobs_run(pool, job);
        else
            fail(pool, job, pool->in.refusal);
    pool_take_off(deck);
    member_gone(pool);
    return 0;
}

static int
start_blocking(struct thread_pool *pool)
{
    struct deck *deck = pool_take_deck(pool);
    const int status =
        deck ? member_thread(pool, run_blocking, deck) : WEFT_ENOMEM;

    if (status < 0) {
        if (deck)
            pool_give_deck(pool, deck);
        lock_take(&pool->in.lock);
        pool->blocking--;
        lock_give(&pool->in.lock);
    }
    return status;
}

/* --- beginning, by any thread */

/* What a job that is in its list needs to be run. */
struct need {
    struct deck *idle;   /* a member to be woken */
    bool member, thread; /* one more */
};

/* Nothing of the pool is touched after this: close has waited for it. */
static void
end_call(struct thread_pool *pool)
{
    lock_take(&pool->in.lock);
    pool->in.callers--;
    intake_tell_gone(&pool->in);
    lock_give(&pool->in.lock);
}

/* What those that are awake will have done before a sleeping member is awake
 * need not wake it. */
static bool
is_soon_over(const struct thread_pool *pool)
{
    const unsigned members = atomic_load(&pool->members);

    return pool->pace > 0 && pool->pace <= INTAKE_TINY &&
           members > atomic_load(&pool->idle_count) + pool->blocking &&
           (int64_t)pool->in.waiting * pool->pace < INTAKE_WAKE;
}

/* If one of them takes longer than the others did. */
static void
look_again(struct thread_pool *pool)
{
    if (!pool->looks)
        pool->looks = timer_set(&pool->timer, os_now() + INTAKE_LOOK) == 0;
}

void
jobs_look(struct timer *timer)
{
    struct thread_pool *pool = list_entry(timer, struct thread_pool, timer);
    bool need = false;

    lock_take(&pool->in.lock);
    pool->looks = false;
    if (!list_empty(&pool->ready)) {
        struct deck *idle = pool_take_idle(pool);

        if (idle)
            deck_ring(idle);
        need = !idle && atomic_load(&pool->members) < pool_workers(pool);
        pool->pace = 0;
        look_again(pool);
    }
    pool->in.callers += need;
    lock_give(&pool->in.lock);
    if (!need)
        return;
    member_need(pool);
    end_call(pool);
}

/* Under the lock: who fails to prepare refuses what is in the list, and then
 * leaves. */
static void
enlist(struct thread_pool *pool, weft_job *job, struct need *need)
{
    if (job->blocking) {
        list_append(&pool->blocked, &job->in_pool);
        need->thread = pool->blocking < THREADS;
        pool->blocking += need->thread;
        return;
    }
    list_append(&pool->ready, &job->in_pool);
    if (is_soon_over(pool)) {
        look_again(pool);
        return;
    }
    need->idle = pool_take_idle(pool);
    need->member =
        !need->idle && atomic_load(&pool->members) < pool_workers(pool);
}

/* Whether it was still there to be taken back. */
static bool
take_back(struct thread_pool *pool, weft_job *job)
{
    lock_take(&pool->in.lock);
    const bool waits = !list_empty(&job->in_pool);

    if (waits) {
        list_remove(&job->in_pool);
        intake_undo(&pool->in, job);
        job->entered = false;
    }
    lock_give(&pool->in.lock);
    return waits;
}

static int
see_to(struct thread_pool *pool, weft_job *job, const struct need *need)
{
    int status = 0;

    if (need->idle)
        deck_ring(need->idle);
    if (need->member)
        status = member_try(pool);
    if (need->thread)
        status = start_blocking(pool);
    if (status == 0)
        return 0;
    const bool back = take_back(pool, job);

    if (need->member)
        jobs_give_up(pool); /* what others submitted meanwhile */
    return back ? status : 0;
}

static int
begin(weft_job *job)
{
    struct thread_pool *pool = pool_of(job);
    weft_job *around = self_get()->job;
    struct need need = {0};

    if (around && around->of == &pool_job_kind && pool_of(around) == pool)
        job->submitter = around->number;
    if (atomic_load(&pool->stopping))
        job_ask(job, JOB_STOP_ASKED);
    lock_take(&pool->in.lock);
    int status = intake_enter(&pool->in, job);

    job->entered = status == 0;
    if (status == 0) {
        job->number = ++pool->numbered;
        enlist(pool, job, &need);
    }
    const bool needs = need.idle || need.member || need.thread;

    pool->in.callers += needs;
    lock_give(&pool->in.lock);
    if (!needs)
        return status;
    status = see_to(pool, job, &need);
    end_call(pool);
    return status;
}

static void
abandon(weft_job *job)
{
    intake_give_back(&pool_of(job)->in);
}

/* --- stopping */

/* Whether it still waited: then it never begins, and is the caller's to end. */
static bool
take_out(struct thread_pool *pool, weft_job *job)
{
    lock_take(&pool->in.lock);
    const bool waits = !list_empty(&job->in_pool);

    if (waits)
        jobs_leave(pool, job);
    lock_give(&pool->in.lock);
    return waits;
}

/* In the service thread, and by close. */
static void
stop(weft_job *job)
{
    if (take_out(pool_of(job), job))
        fail(pool_of(job), job, "");
}

bool
jobs_withdraw(struct thread_pool *pool, weft_job *job)
{
    if (!take_out(pool, job))
        return false;
    job_ask(job, JOB_STOP_ASKED);
    fail(pool, job, "");
    return true;
}

static void
ask(weft_job *job, void *pool)
{
    if (job->of == &pool_job_kind && pool_of(job) == pool)
        job_ask(job, JOB_STOP_ASKED);
}

void
jobs_stop(struct thread_pool *pool)
{
    atomic_store(&pool->stopping, true);
    runtime_foreach(ask, pool);
}

/* --- preparing */

bool
jobs_prepare(struct thread_pool *pool)
{
    weft_job *job = NULL;
    int status = 0;

    if (!pool->prepare.fn)
        return true;
    status = weft_start(&job, WEFT_SERIAL, &pool->prepare);
    if (status == 0)
        status = weft_result(job, NULL, 0, WEFT_FOREVER);
    if (status < 0) {
        lock_take(&pool->in.lock);
        intake_refuse(&pool->in, "the preparation of a worker failed",
                      weft_why());
        lock_give(&pool->in.lock);
        fail_all(pool, pool->in.refusal);
    }
    weft_release(job);
    return status == 0;
}

const struct job_kind pool_job_kind = {
    .begin = begin,
    .abandon = abandon,
    .stop = stop,
    .wait = jobs_wait,
    .help = jobs_help,
};
