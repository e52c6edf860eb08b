#include "pool/deck.h"

#include "base/misuse.h"
#include "os/os.h"
#include "pool/pool.h"
#include "registry/recorder.h"

#include <string.h>

enum {
    DECK_SIZE = 1 << WEFT_LANE_BITS,
    LANES = (DECK_SIZE - sizeof(struct deck)) / sizeof(weft_lane) - 1
};

#define TAKEN ((weft_fork_fn *)1)
#define DONE  ((weft_fork_fn *)2)

static uint64_t
pack(uint32_t tail, uint32_t split)
{
    return tail | (uint64_t)split << 32;
}

/* --- making */

struct deck *
deck_new(struct thread_pool *pool)
{
    void *memory;

    if (os_map_aligned(&memory, DECK_SIZE) < 0)
        return NULL;
    struct deck *deck = memory;

    deck->pool = pool;
    deck->head.split = deck->lanes;
    deck->head.limit = deck->lanes + LANES;
    list_init(&deck->link);
    return deck;
}

void
deck_free(struct deck *deck)
{
    if (deck)
        os_unmap(deck, DECK_SIZE);
}

/* --- what is recorded of it: regions, and pieces that were stolen */

static void
set_task(struct deck *deck, const char *name, uint64_t task)
{
    atomic_store_explicit(&deck->name, name, memory_order_relaxed);
    atomic_store_explicit(&deck->task, task, memory_order_relaxed);
}

/* Before DONE, which orders it. */
static void
leave_note(struct deck *from, uint32_t lane, const struct recorded *piece)
{
    const unsigned at = lane % DECK_STOLEN;

    atomic_store_explicit(&from->stolen[at].lane, lane, memory_order_relaxed);
    atomic_store_explicit(&from->stolen[at].task, record_id_of(piece),
                          memory_order_relaxed);
}

/* After DONE. With more stolen lanes than notes some are not found. */
static void
read_note(const struct deck *deck, uint32_t lane)
{
    const unsigned at = lane % DECK_STOLEN;

    if (atomic_load_explicit(&deck->stolen[at].lane, memory_order_relaxed) ==
        lane)
        recorder_join(
            atomic_load_explicit(&deck->stolen[at].task, memory_order_relaxed));
}

/* --- the owner */

static void
set_split(struct deck *deck, uint32_t split)
{
    __atomic_store_n(&deck->head.split, deck->lanes + split, __ATOMIC_RELAXED);
}

/* Shares the older half of the lanes below `end` that are the owner's. */
static void
share(struct deck *deck, uint32_t end)
{
    uint64_t old = atomic_load_explicit(&deck->shared, memory_order_relaxed);
    const uint32_t before = (uint32_t)(old >> 32);
    const uint32_t split = before + (end - before + 1) / 2;

    /* release: the lanes' functions and frames; only the tail may change
     * meanwhile. */
    while (!atomic_compare_exchange_weak(&deck->shared, &old,
                                         pack((uint32_t)old, split)))
        ;
    set_split(deck, split);
}

void
weft_fork_slow(weft_lane *lane)
{
    struct deck *deck = deck_of(lane);
    const uint32_t index = (uint32_t)(lane - deck->lanes);

    if (index >= LANES)
        misuse_stop("weft_fork: more than %d forks wait to be synced", LANES);
    if (!deck_has_shared(deck))
        share(deck, index + 1);
    __atomic_store_n(&deck->head.limit, deck->lanes + LANES, __ATOMIC_RELAXED);
    atomic_thread_fence(memory_order_seq_cst);
    if (deck->victim)
        deck_ring(deck->victim);
    pool_shared(deck);
}

/* Takes back lane `index`, the last one. False: it was stolen. */
static bool
take_back(struct deck *deck, uint32_t index)
{
    uint64_t old = atomic_load(&deck->shared);
    uint32_t tail, split;

    do {
        tail = (uint32_t)old;
        if (tail > index)
            return false;
        split = tail + (index - tail) / 2;
    } while (
        !atomic_compare_exchange_weak(&deck->shared, &old, pack(tail, split)));
    set_split(deck, split);
    return true;
}

static weft_fork_fn *
look(weft_lane *lane)
{
    /* acquire: pairs with the thief's release */
    return __atomic_load_n(&lane->run, __ATOMIC_ACQUIRE);
}

/* Waits for the thief, helping it. */
static void
wait_for_thief(struct deck *deck, weft_lane *lane)
{
    const struct wait_terms terms = {
        .until = OS_NEVER, .stubborn = true, .kind = SLOT_WAIT_WORK};

    for (;;) {
        const uint32_t seen = atomic_load(&deck->bell.value);
        weft_fork_fn *const run = look(lane);

        if (run == DONE)
            return;
        if (run != TAKEN) {
            os_pause(); /* it is just about to say who it is */
            continue;
        }
        struct deck *thief = lane->frame;

        if (deck_steal_at(deck, thief, lane + 1))
            continue;
        deck_ask(thief);
        if (!deck_has_shared(thief))
            (void)wait_while(&deck->bell, seen, &terms);
    }
}

bool
weft_sync_slow(weft_lane *lane)
{
    struct deck *deck = deck_of(lane);
    const uint32_t index = (uint32_t)(lane - deck->lanes);

    if (take_back(deck, index))
        return true;
    wait_for_thief(deck, lane);
    if (recorder_is_on())
        read_note(deck, index);
    atomic_store_explicit(&deck->shared, pack(index, index),
                          memory_order_release);
    set_split(deck, index);
    return false;
}

void
deck_run(struct deck *deck, weft_fork_fn *fn, void *frame, const char *name)
{
    struct recorded region = {0};

    record_submit(&region);
    record_begin(&region, RECORD_REGION, name);
    set_task(deck, name, record_id_of(&region));
    fn(deck->lanes, frame);
    set_task(deck, NULL, 0);
    record_end(&region, false);
    if (atomic_load_explicit(&deck->shared, memory_order_relaxed) != 0)
        misuse_stop("weft_fork: a fork was never synced");
}

/* --- the thief */

/* Runs what was stolen, as a task of its own. */
static void
run_recorded(struct deck *deck, struct deck *from, weft_lane *at, uint32_t lane,
             const weft_lane *what)
{
    const char *outer_name = atomic_load(&deck->name);
    const uint64_t outer = atomic_load(&deck->task);
    const char *name = atomic_load_explicit(&from->name, memory_order_relaxed);
    struct recorded piece = {0};

    recorder_steal(&piece, atomic_load(&from->task));
    record_begin(&piece, RECORD_PIECE, name);
    set_task(deck, name, record_id_of(&piece));
    what->run(at, what->frame);
    set_task(deck, outer_name, outer);
    record_end(&piece, false);
    leave_note(from, lane, &piece);
}

bool
deck_steal_at(struct deck *deck, struct deck *from, weft_lane *at)
{
    uint64_t old = atomic_load(&from->shared);

    do
        if ((uint32_t)old >= (uint32_t)(old >> 32))
            return false;
    while (!atomic_compare_exchange_weak(&from->shared, &old, old + 1));
    weft_lane *lane = from->lanes + (uint32_t)old;
    const weft_lane what = *lane;
    struct deck *const outer = deck->victim;
    weft_lane *const top = deck->top;

    lane->frame = deck;
    __atomic_store_n(&lane->run, TAKEN, __ATOMIC_RELEASE);
    deck->victim = from;
    deck->top = NULL;
    pool_stole(deck, from);
    if (recorder_is_on())
        run_recorded(deck, from, at, (uint32_t)old, &what);
    else
        what.run(at, what.frame);
    deck->top = top;
    deck->victim = outer;
    __atomic_store_n(&lane->run, DONE, __ATOMIC_SEQ_CST);
    deck_ring(from);
    return true;
}
