/* The threads of a pool. */
#include "base/why.h"
#include "os/os.h"
#include "pool/pool.h"
#include "worker/place.h"

#include <weft/status.h>

#include <limits.h>

/* --- work */

static bool
is_surplus(const struct thread_pool *pool)
{
    return atomic_load(&pool->members) > pool_workers(pool);
}

static bool
may_stay(const struct thread_pool *pool)
{
    return !is_surplus(pool) && !atomic_load(&pool->resting);
}

static bool
may_steal(const struct thread_pool *pool)
{
    return pool_active(pool) <= pool_workers(pool);
}

static bool
steal(struct deck *deck)
{
    struct thread_pool *pool = deck->pool;
    const unsigned count = atomic_load(&pool->deck_count);

    for (unsigned i = 1; i < count; i++) {
        struct deck *from =
            atomic_load(&pool->decks[(deck->index + i) % count]);

        if (deck_steal_at(deck, from, deck->lanes))
            return true;
    }
    return false;
}

static bool
work(struct deck *deck)
{
    struct thread_pool *pool = deck->pool;
    weft_job *job = jobs_take(pool);

    if (job)
        jobs_run(pool, job);
    return job || (may_steal(pool) && steal(deck));
}

/* --- sleep */

static bool
ask_and_look(struct deck *deck)
{
    struct thread_pool *pool = deck->pool;
    const unsigned count = atomic_load(&pool->deck_count);
    bool found = false;

    for (unsigned i = 0; i < count; i++) {
        struct deck *from = atomic_load(&pool->decks[i]);

        if (from == deck)
            continue;
        deck_ask(from);
        found |= deck_has_shared(from);
    }
    return found && pool_active(pool) < pool_workers(pool);
}

/* Whether there is nothing to do but to wait: then it is in the idle list. */
static bool
lie_down(struct deck *deck, uint32_t *seen)
{
    struct thread_pool *pool = deck->pool;

    lock_take(&pool->in.lock);
    const bool still = list_empty(&pool->ready) && may_stay(pool);

    if (still) {
        *seen = atomic_load(&deck->bell.value);
        deck->idle = true;
        list_append(&pool->idle, &deck->link);
        atomic_fetch_add(&pool->idle_count, 1);
    }
    lock_give(&pool->in.lock);
    return still;
}

static void
stand_up(struct deck *deck)
{
    struct thread_pool *pool = deck->pool;

    lock_take(&pool->in.lock);
    if (deck->idle)
        pool_not_idle(pool, deck);
    lock_give(&pool->in.lock);
}

/* Waits for work. False: the thread is to end. */
static bool
rest(struct deck *deck)
{
    struct thread_pool *pool = deck->pool;
    const struct wait_terms terms = {
        .until = pool->idle_time ? weft_in(pool->idle_time).ns : OS_NEVER,
        .stubborn = true,
        .kind = SLOT_WAIT_WORK};
    uint32_t seen;
    int status = 0;

    if (lie_down(deck, &seen)) {
        if (!ask_and_look(deck))
            status = wait_while(&deck->bell, seen, &terms);
        stand_up(deck);
    }
    return status == 0 && may_stay(pool);
}

/* --- the thread */

/* One that was woken for work, or timed out, just when that came, leaves none
 * behind: the count and the list are under one lock. Of those too many any may
 * be the one that was woken, so it passes that on. */
static bool
leaves(struct thread_pool *pool)
{
    struct deck *next = NULL;

    lock_take(&pool->in.lock);
    const bool work = !list_empty(&pool->ready);
    const bool stays = work && !is_surplus(pool);

    if (!stays)
        atomic_fetch_sub(&pool->members, 1);
    if (!stays && work)
        next = pool_take_idle(pool);
    lock_give(&pool->in.lock);
    if (next)
        deck_ring(next);
    return !stays;
}

void
member_gone(struct thread_pool *pool)
{
    /* Under the lock: who waits for it takes that before it frees the pool. */
    lock_take(&pool->in.lock);
    pool->threads--;
    intake_tell_gone(&pool->in);
    lock_give(&pool->in.lock);
}

static int
serve(weft_call *call)
{
    struct deck *deck = (struct deck *)(uintptr_t)call->arg;
    struct thread_pool *pool = deck->pool;

    record_retract(&self_get()->job->recorded);
    pool_put_on(deck);
    deck->member = true;
    deck->room = pool->options.options.stack_size / 2;
    if (jobs_prepare(pool))
        do
            while (work(deck))
                ;
        while (rest(deck) || !leaves(pool));
    else
        atomic_fetch_sub(&pool->members, 1);
    pool_take_off(deck);
    member_gone(pool);
    return 0;
}

int
member_thread(struct thread_pool *pool, weft_fn *fn, struct deck *deck)
{
    char name[TEXT_NAME];
    struct text text = text_over(name, sizeof name);

    lock_take(&pool->in.lock);
    pool->threads++;
    pool->in.callers++; /* close waits for who makes a thread */
    text_add(&text, "%s-%u", pool->in.name, pool->names++);
    lock_give(&pool->in.lock);
    weft_job *job = NULL;
    const int status =
        weft_start(&job, WEFT_THREAD,
                   &(weft_task){.fn = fn,
                                .name = name,
                                .arg = deck,
                                .daemon = true,
                                .worker = &pool->options.options});

    if (status < 0)
        member_gone(pool);
    else
        weft_release(atomic_exchange(&deck->thread, job));
    lock_take(&pool->in.lock);
    pool->in.callers--;
    intake_tell_gone(&pool->in);
    lock_give(&pool->in.lock);
    return status;
}

void
member_join(struct deck *deck)
{
    weft_job *job = atomic_exchange(&deck->thread, NULL);

    if (job)
        (void)job_wait(job, OS_NEVER, true);
    weft_release(job);
}

/* Counts one more, if there may be one. */
static bool
count_in(struct thread_pool *pool)
{
    unsigned members = atomic_load(&pool->members);

    do
        if (members >= pool_workers(pool))
            return false;
    while (
        !atomic_compare_exchange_weak(&pool->members, &members, members + 1));
    return true;
}

/* Under the lock: of several that fail at once the last one knows. */
static bool
count_out(struct thread_pool *pool)
{
    lock_take(&pool->in.lock);
    const bool none = atomic_fetch_sub(&pool->members, 1) == 1;

    lock_give(&pool->in.lock);
    return none;
}

int
member_try(struct thread_pool *pool)
{
    atomic_store(&pool->resting, false);
    if (!count_in(pool))
        return 0;
    struct deck *deck = pool_take_deck(pool);
    const int status = deck ? member_thread(pool, serve, deck)
                            : why_because(WEFT_ENOMEM, "cannot make a worker");

    if (status == 0)
        return 0;
    if (deck)
        pool_give_deck(pool, deck);
    /* Others do the work, if there are any. */
    return count_out(pool) ? status : 0;
}

void
member_need(struct thread_pool *pool)
{
    if (member_try(pool) < 0)
        jobs_give_up(pool);
}

/* --- one in the place of another */

/* The pool that the calling thread is a member of; NULL = none. */
static struct thread_pool *
pool_of_member(void)
{
    const struct deck *deck = self_get()->deck;

    while (deck && !deck->member)
        deck = deck->outer;
    return deck ? deck->pool : NULL;
}

/* Under the lock: one of those too many is just about to leave, or sees this.
 */
static void
replace_one(struct thread_pool *pool)
{
    lock_take(&pool->in.lock);
    atomic_fetch_add(&pool->extra, 1);
    const bool none = atomic_load(&pool->idle_count) == 0;
    struct deck *idle = list_empty(&pool->ready) ? NULL : pool_take_idle(pool);

    lock_give(&pool->in.lock);
    if (idle)
        deck_ring(idle);
    if (none)
        member_need(pool);
}

static bool
leave_place(bool late)
{
    struct thread_pool *pool =
        late || !deck_has_stack(self_get()->deck) ? pool_of_member() : NULL;

    if (pool)
        replace_one(pool);
    return pool;
}

static void
take_place(void)
{
    atomic_fetch_sub(&pool_of_member()->extra, 1);
}

__attribute__((constructor)) static void
set_hooks(void)
{
    place_leaving = leave_place;
    place_taking = take_place;
}
