/* One state of 64 bits, changed by compare-and-swap alone:
 *
 *   bits 0–15    how many have arrived in this round
 *   bits 16–38   the round
 *   bits 39–61   of the last 23 rounds which were broken by a reset: bit 39
 *                speaks of the last one
 *   bit 62       broken: until a reset nobody meets
 *
 * `turn` is what waiters sleep on; it is changed after each change of the state
 * that ends a round. Who dies before it has changed it leaves waiters that look
 * again when the death is recovered. A waiter knows its fate from the state:
 * its round goes on; it is over; or it was broken. */
#include "base/why.h"
#include "registry/registry.h"
#include "sync/object.h"
#include "sync/recover.h"
#include "wait/robust.h"

#include <weft/barrier.h>
#include <weft/status.h>

#include <limits.h>

enum {
    ROUND_AT = 16,
    HISTORY_AT = 39,
    HISTORY = 23 /* rounds */
};

#define MOST         UINT64_C(0xffff)
#define ROUND_MASK   UINT64_C(0x7fffff)
#define HISTORY_MASK UINT64_C(0x7fffff)
#define BROKEN       (UINT64_C(1) << 62)

static _Atomic uint64_t *
state_of(const weft_barrier *barrier)
{
    return (_Atomic uint64_t *)(uintptr_t)&barrier->internal_state;
}

static struct wait_word *
turn_of(weft_barrier *barrier)
{
    return (struct wait_word *)(void *)barrier->internal_word;
}

static uint64_t
round_of(uint64_t state)
{
    return state >> ROUND_AT & ROUND_MASK;
}

/* The state at the beginning of the next round. */
static uint64_t
next_round(uint64_t state, bool was_broken)
{
    const uint64_t round = (round_of(state) + 1) & ROUND_MASK;
    const uint64_t history =
        (state >> HISTORY_AT << 1 | was_broken) & HISTORY_MASK;

    return history << HISTORY_AT | round << ROUND_AT;
}

/* The round `round` has ended or is broken: wakes who waits. */
static void
turn(weft_barrier *barrier)
{
    struct wait_word *word = turn_of(barrier);

    atomic_fetch_add(&word->value, 1);
    wait_wake(word, INT_MAX, object_is_shared(barrier->shared, barrier));
}

/* A waiter that so many rounds have left behind takes its own for met. */
static bool
is_bad(uint64_t state, uint64_t round)
{
    const uint64_t since = (round_of(state) - round) & ROUND_MASK;

    if (since == 0)
        return state & BROKEN;
    return since <= HISTORY && state >> (HISTORY_AT + since - 1) & 1;
}

/* Breaks the round, unless it is over. */
static bool
break_round(weft_barrier *barrier, uint64_t round)
{
    uint64_t now = atomic_load(state_of(barrier));

    do
        if (round_of(now) != round)
            return false;
    while (
        !atomic_compare_exchange_weak(state_of(barrier), &now, now | BROKEN));
    turn(barrier);
    return true;
}

static int
broken(const weft_barrier *barrier)
{
    char name[TEXT_NAME];

    return why_set(WEFT_EBROKEN, "the barrier %s is broken",
                   object_name(barrier, name));
}

struct count {
    const weft_barrier *barrier;
    uint64_t round, parties;
};

static void
count_party(const struct slot *slot, void *context)
{
    struct count *count = context;

    count->parties +=
        atomic_load(&slot->call.object) == (uintptr_t)count->barrier &&
        atomic_load(&slot->call.kind) == SLOT_WAIT_BARRIER &&
        atomic_load(&slot->call.ticket) == count->round;
}

/* Nothing came for a second: a party may have died that nobody could recover.
 * Each one that has arrived, and lives, says so in its slot. */
static void
look_for_dead(weft_barrier *barrier, uint64_t round)
{
    const uint64_t now = atomic_load(state_of(barrier));
    struct count count = {.barrier = barrier, .round = round};

    registry_each_living(count_party, &count);
    if (round_of(now) == round && count.parties < (now & MOST))
        (void)break_round(barrier, round);
}

/* The caller has arrived; waits for the end of its round. */
static int
meet(weft_barrier *barrier, uint64_t round, const struct wait_terms *terms)
{
    struct wait_word *word = turn_of(barrier);
    int status = 0;

    for (;;) {
        const uint32_t seen =
            atomic_load_explicit(&word->value, memory_order_acquire);
        const uint64_t now = atomic_load(state_of(barrier));

        if (is_bad(now, round))
            return broken(barrier);
        if (round_of(now) != round)
            return 0;
        if (status < 0 && break_round(barrier, round))
            return object_failed(status, "weft_barrier_wait", barrier);
        if (status == 0)
            status = wait_while(word, seen, terms);
        if (status == 0 && terms->shared && atomic_load(&word->value) == seen)
            look_for_dead(barrier, round);
    }
}

static int
arrive(weft_barrier *barrier, struct self *self, const struct wait_terms *terms)
{
    uint64_t now = atomic_load(state_of(barrier));
    uint64_t next, index;

    do {
        if (now & BROKEN)
            return broken(barrier);
        if (terms->shared)
            atomic_store(&self->slot->call.ticket, (uint32_t)round_of(now));
        index = now & MOST;
        next = index + 1 < barrier->parties ? now + 1 : next_round(now, false);
    } while (!atomic_compare_exchange_weak(state_of(barrier), &now, next));
    if (round_of(next) != round_of(now)) {
        turn(barrier);
        return (int)index;
    }
    const int status = meet(barrier, round_of(now), terms);

    return status < 0 ? status : (int)index;
}

int
weft_barrier_wait(weft_barrier *barrier, weft_time deadline)
{
    struct self *self = self_get();

    if (!barrier || barrier->parties == 0 || barrier->parties > MOST)
        return why_set(WEFT_EINVAL, "weft_barrier_wait: %s",
                       barrier ? "parties is not within 1..65535"
                               : "barrier is NULL");
    const struct wait_terms terms = {
        .until = deadline.ns,
        .shared = object_is_shared(barrier->shared, barrier),
        .kind = SLOT_WAIT_BARRIER,
        .object = barrier};
    int status = terms.shared ? robust_enter(self) : 0;

    if (status < 0)
        return status;
    if (terms.shared)
        call_begin(self, barrier, SLOT_WAIT_BARRIER);
    status = arrive(barrier, self, &terms);
    if (terms.shared)
        call_end(self);
    return status;
}

void
weft_barrier_abort(weft_barrier *barrier)
{
    object_must("weft_barrier_abort", barrier, __builtin_return_address(0));
    atomic_fetch_or(state_of(barrier), BROKEN);
    turn(barrier);
}

void
weft_barrier_reset(weft_barrier *barrier)
{
    object_must("weft_barrier_reset", barrier, __builtin_return_address(0));
    uint64_t now = atomic_load(state_of(barrier));
    uint64_t next;

    do {
        if (!(now & (BROKEN | MOST)))
            return;
        next = next_round(now, true);
    } while (!atomic_compare_exchange_weak(state_of(barrier), &now, next));
    turn(barrier);
}

int
weft_barrier_waiting(const weft_barrier *barrier)
{
    if (!barrier)
        return why_set(WEFT_EINVAL, "weft_barrier_waiting: barrier is NULL");
    const uint64_t now = atomic_load(state_of(barrier));

    return now & BROKEN ? WEFT_EBROKEN : (int)(now & MOST);
}

/* A dead party breaks the round that it was in. */
static void
recover(void *object, const struct slot *dead, uint32_t ticket)
{
    (void)dead;
    if (!break_round(object, ticket))
        turn(object);
}

__attribute__((constructor)) static void
teach(void)
{
    recover_teach(SLOT_WAIT_BARRIER, recover,
                  offsetof(weft_barrier, internal_word));
}
