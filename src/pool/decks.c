#include "base/why.h"
#include "pool/pool.h"

#include <weft/status.h>

struct deck *
pool_take_deck(struct thread_pool *pool)
{
    lock_take(&pool->in.lock);
    struct list *at = list_pop(&pool->spare);

    lock_give(&pool->in.lock);
    if (at) {
        struct deck *spare = list_entry(at, struct deck, link);

        spare->meter = (struct meter){0}; /* it was another thread's */
        return spare;
    }
    struct deck *deck = deck_new(pool);

    if (!deck) {
        (void)why_because(WEFT_ENOMEM, "no room for a worker's forks");
        return NULL;
    }
    lock_take(&pool->in.lock);
    const unsigned index = atomic_load(&pool->deck_count);

    if (index < POOL_DECKS) {
        deck->index = index;
        atomic_store(&pool->decks[index], deck);
        atomic_store(&pool->deck_count, index + 1);
    }
    lock_give(&pool->in.lock);
    if (index < POOL_DECKS)
        return deck;
    deck_free(deck);
    (void)why_set(WEFT_ENOMEM, "more than %d threads would work for a pool",
                  POOL_DECKS);
    return NULL;
}

void
pool_give_deck(struct thread_pool *pool, struct deck *deck)
{
    lock_take(&pool->in.lock);
    list_append(&pool->spare, &deck->link);
    lock_give(&pool->in.lock);
}

/* --- who works where */

void
pool_put_on(struct deck *deck)
{
    enum {
        GUEST_ROOM = 256 << 10 /* on a stack of unknown size */
    };

    struct self *self = self_get();
    struct deck *outer = self->deck;

    deck->outer = outer;
    deck->member = false;
    deck->stack = outer ? outer->stack : __builtin_frame_address(0);
    deck->room = outer ? outer->room : GUEST_ROOM;
    self->deck = deck;
}

void
pool_take_off(struct deck *deck)
{
    self_get()->deck = deck->outer;
    pool_give_deck(deck->pool, deck);
}

struct deck *
pool_deck_here(const struct thread_pool *pool)
{
    struct deck *deck = self_get()->deck;

    while (deck && deck->pool != pool)
        deck = deck->outer;
    return deck;
}

/* --- who sleeps */

void
pool_not_idle(struct thread_pool *pool, struct deck *deck)
{
    list_remove(&deck->link);
    deck->idle = false;
    atomic_fetch_sub(&pool->idle_count, 1);
}

struct deck *
pool_take_idle(struct thread_pool *pool)
{
    if (list_empty(&pool->idle))
        return NULL;
    struct deck *deck = list_entry(pool->idle.previous, struct deck, link);

    pool_not_idle(pool, deck);
    return deck;
}

/* Wakes or makes a member that steals. */
static void
wake_one(struct thread_pool *pool)
{
    lock_take(&pool->in.lock);
    struct deck *idle = pool_take_idle(pool);

    lock_give(&pool->in.lock);
    if (idle)
        deck_ring(idle);
    else
        member_need(pool); /* without one more the work is done too */
}

static bool
has_place(const struct thread_pool *pool)
{
    const unsigned workers = pool_workers(pool);

    return pool_active(pool) < workers &&
           (atomic_load(&pool->idle_count) > 0 ||
            atomic_load(&pool->members) + atomic_load(&pool->guests) < workers);
}

void
pool_shared(struct deck *deck)
{
    struct thread_pool *pool = deck->pool;

    if (!has_place(pool))
        return;
    wake_one(pool);
    if (has_place(pool) && !deck_has_shared(deck))
        deck_ask(deck);
}

void
pool_stole(struct deck *deck, struct deck *from)
{
    if (!has_place(deck->pool))
        return;
    deck_ask(deck);
    if (deck_has_shared(from))
        wake_one(deck->pool);
    else
        deck_ask(from);
}
