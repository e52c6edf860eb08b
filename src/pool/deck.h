/* A deck of lanes: the split deque of one thread's forks. The upper part is the
 * owner's alone, the lower part may be stolen from, oldest first. After van
 * Dijk and van de Pol, "Lace: non-blocking split deque for work-stealing",
 * 2014; waiting as in Wagner and Calder, "Leapfrogging", 1993.
 *
 *   shared   tail | split << 32, indices of lanes: tail <= i < split may be
 *            stolen. Thief: tail + 1 if tail < split. Owner: any split >= tail,
 *            or both 0 when all is synced. Always by compare-and-swap, but for
 *            tail == split, which nobody else changes
 *   head.split  where `shared` has it, as an address; the owner's
 *   head.limit  the lane from which on the next fork takes the slow path:
 *            NULL by anybody who is hungry, the end by the owner. Who lowers it
 *            announces himself first (in the pool's idle list, or as victim),
 *            and the owner looks for such after raising it, both sequentially
 *            consistent: one sees the other
 *   lane.run    of a stolen lane: TAKEN, with the thief's deck as frame, then
 *            DONE (release, after all that the function did)
 *
 * A thief's own lanes are all stolen or synced when it steals (else it would
 * have run them), so what lies in its deck is needed by what it stole. That is
 * why an owner that waits for a stolen lane may take anything from that thief,
 * and does not take from others: it would begin what it need not wait for. */
#ifndef POOL_DECK_H
#define POOL_DECK_H

#include "base/list.h"
#include "wait/wait.h"
#include "worker/meter.h"

#include <weft/fork.h>

struct thread_pool;

enum {
    DECK_STOLEN = 64
};

struct deck {
    struct weft_lane_head head;
    struct thread_pool *pool;
    struct deck *victim; /* whose lane it runs now; NULL = nobody's */
    weft_lane *top;      /* the owner's: free lanes begin here, while it is in
                            the middle of a loop's part; NULL = nobody knows */
    struct deck *outer;  /* that its thread works on around this; the owner's */
    struct list link;    /* idle or free; under the pool's lock */
    bool member;         /* its thread is a member; the owner's */
    bool idle;           /* it is in the idle list; under the pool's lock */
    bool leave;          /* its thread is to end; under the pool's lock */
    unsigned index;      /* in the pool's table */
    const char *stack;   /* where its thread's began when it took the deck */
    size_t room;         /* there, for jobs within each other */
    struct meter meter;  /* its thread's */
    _Atomic(struct weft_job *) thread; /* that it was last given to, a handle;
                                          NULL: to none of the pool's */
    const char *_Atomic name; /* of what runs on it, and that, as recorded: the
                                 parent of what is stolen; the owner's */
    _Atomic uint64_t task;

    struct {
        _Atomic uint32_t lane;
        _Atomic uint64_t task;
    } stolen[DECK_STOLEN]; /* by thieves, before DONE: what they recorded */

    _Alignas(64) _Atomic uint64_t shared;
    _Alignas(64) struct wait_word bell; /* its thread sleeps here */
    _Alignas(64) weft_lane lanes[];
};

/* NULL: no memory. Address space of 32 MiB for a moment, 16 MiB that stay. */
struct deck *deck_new(struct thread_pool *pool);
void deck_free(struct deck *deck);

/* Runs fn on the deck's first lanes, which are free; recorded by that name. */
void deck_run(struct deck *deck, weft_fork_fn *fn, void *frame,
              const char *name);

/* Steals a lane of `from` and runs it on the deck's lanes from `at` on. */
bool deck_steal_at(struct deck *deck, struct deck *from, weft_lane *at);

static inline struct deck *
deck_of(weft_lane *lane)
{
    return (struct deck *)(void *)weft_lane_head_of(lane);
}

/* Whether something can be stolen. */
static inline bool
deck_has_shared(const struct deck *deck)
{
    const uint64_t shared = atomic_load(&deck->shared);

    return (uint32_t)shared < (uint32_t)(shared >> 32);
}

/* Whether its thread has room there for one more job. */
static inline bool
deck_has_stack(const struct deck *deck)
{
    const char *here = __builtin_frame_address(0);

    return here > deck->stack || (size_t)(deck->stack - here) < deck->room;
}

/* Has the owner's next fork share what it has. */
static inline void
deck_ask(struct deck *deck)
{
    __atomic_store_n(&deck->head.limit, NULL, __ATOMIC_SEQ_CST);
}

/* Wakes the deck's thread, or has it not go to sleep. */
static inline void
deck_ring(struct deck *deck)
{
    atomic_fetch_add(&deck->bell.value, 1);
    wait_wake(&deck->bell, 1, false);
}

#endif
