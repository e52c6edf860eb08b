#include "wait/wait.h"

#include "os/os.h"
#include "registry/recorder.h"
#include "registry/registry.h"

#include <weft/status.h>
#include <weft/time.h>

#include <errno.h>
#include <limits.h>

enum {
    SLICE = 10000000, /* ns, where the system cannot wait on several words */
    NET = 1000000000, /* ns: the longest sleep on a shared word, whose waker may
                         have been killed; or on a lock, whose holder's end may
                         come between the last look and the sleep */
    CHAIN = 8         /* stop words that one sleep can watch */
};

static atomic_bool single_word; /* set once, when the system refuses more */

#define PUT(slot, field, value) \
    atomic_store_explicit(&(slot)->hot.field, (value), memory_order_relaxed)

void
wait_publish(struct self *self, const struct wait_terms *terms)
{
    struct slot *slot = self->slot;

    if (terms->kind == SLOT_WAIT_NONE)
        return;
    if (recorder_is_on())
        record_wait(self, terms->kind, terms->object,
                    registry_id(registry_owner_slot(terms->owner)));
    if (!slot)
        return;
    PUT(slot, object, (uintptr_t)terms->object);
    PUT(slot, kind, terms->kind);
    PUT(slot, until, terms->until);
    PUT(slot, holder, registry_id(registry_owner_slot(terms->owner)));
    PUT(slot, since, os_now());
    PUT(slot, sequence,
        atomic_load_explicit(&slot->hot.sequence, memory_order_relaxed) + 1);
    atomic_store_explicit(&slot->hot.state,
                          terms->kind == SLOT_WAIT_WORK ? WEFT_IDLE
                                                        : WEFT_WAITING,
                          memory_order_release);
}

void
wait_withdraw(struct self *self)
{
    struct slot *slot = self->slot;

    record_wait_over(self);
    if (!slot)
        return;
    PUT(slot, since, os_now());
    atomic_store_explicit(&slot->hot.state, WEFT_RUNNING, memory_order_release);
}

/* Whose certificate ends the wait. Within a process it would say nothing: there
 * no thread dies alone. */
static const struct slot *
watched(const struct wait_terms *terms)
{
    return terms->shared && terms->owner ? registry_owner_slot(terms->owner)
                                         : NULL;
}

static bool
owner_died(const struct wait_terms *terms)
{
    return terms->owner && !registry_owner_lives(terms->owner);
}

/* The word, the other one, its holder's certificate, and the thread's stop
 * words. */
static unsigned
gather(struct os_wait *out, const struct wait_word *word, uint32_t old,
       const struct wait_terms *terms, bool *all)
{
    const struct slot *holder = watched(terms);
    const struct stop *stop =
        terms->stubborn || self_here->shield ? NULL : self_here->stop;

    unsigned count = 0;

    out[count++] = (struct os_wait){&word->value, old, terms->shared};
    if (terms->also)
        out[count++] = (struct os_wait){terms->also, terms->also_old, true};
    if (holder)
        out[count++] = (struct os_wait){
            &holder->certificate, atomic_load(&holder->certificate), true};
    for (; stop && count < CHAIN; stop = stop->outer)
        out[count++] = (struct os_wait){stop->asked, 0, stop->remote};
    *all = stop == NULL;
    return count;
}

static int64_t
least(int64_t a, int64_t b)
{
    return a < b ? a : b;
}

/* One sleep, which may end for nothing. */
static void
sleep_once(struct wait_word *word, uint32_t old, const struct wait_terms *terms)
{
    struct os_wait waits[CHAIN + 3];
    bool all;
    const unsigned count = gather(waits, word, old, terms, &all);
    const int64_t now = os_now();
    const int64_t whole = terms->shared || terms->owner
                              ? least(terms->until, now + NET)
                              : terms->until;
    const int64_t sliced = least(terms->until, now + SLICE);

    /* Once more, after its certificate's word was read. */
    if (owner_died(terms))
        return;
    if (count == 1) {
        (void)os_futex_wait(&word->value, old, whole, terms->shared);
        return;
    }
    if (!atomic_load_explicit(&single_word, memory_order_relaxed)) {
        if (os_futex_wait_any(waits, count, all ? whole : sliced) != -ENOSYS)
            return;
        atomic_store_explicit(&single_word, true, memory_order_relaxed);
    }
    (void)os_futex_wait(&word->value, old, sliced, terms->shared);
}

/* The kernel wakes one waiter at a death; that one wakes the others. */
static int
pass_on_death(const struct wait_terms *terms)
{
    const struct slot *holder = watched(terms);

    if (holder)
        os_futex_wake(&holder->certificate, INT_MAX, true);
    return WEFT_OWNER_DIED;
}

/* Whether the wait is over; *status says how. */
static bool
is_over(const struct wait_word *word, uint32_t old,
        const struct wait_terms *terms, int *status)
{
    *status = 0;
    if (atomic_load_explicit(&word->value, memory_order_acquire) != old ||
        (terms->also && atomic_load(terms->also) != terms->also_old))
        return true;
    if (!terms->stubborn && stop_pending(self_here))
        *status = WEFT_ECANCELED;
    else if (owner_died(terms))
        *status = pass_on_death(terms);
    else if (terms->until != OS_NEVER && os_now() >= terms->until)
        *status = WEFT_ETIMEDOUT;
    return *status != 0;
}

static int
park(struct wait_word *word, uint32_t old, const struct wait_terms *terms)
{
    struct self *self = self_here;
    const int64_t net = terms->shared ? os_now() + NET : OS_NEVER;
    int status;

    atomic_fetch_add(&word->parked, 1);
    wait_publish(self, terms);
    policy_sleeps(self);
    while (!is_over(word, old, terms, &status) &&
           (net == OS_NEVER || os_now() < net))
        sleep_once(word, old, terms);
    policy_wakes(self);
    wait_withdraw(self);
    atomic_fetch_sub(&word->parked, 1);
    return status;
}

int
wait_while(struct wait_word *word, uint32_t old, const struct wait_terms *terms)
{
    if (atomic_load_explicit(&word->value, memory_order_acquire) != old)
        return 0;
    if (terms->until <= 0)
        return WEFT_ETIMEDOUT;
    struct self *self = self_get();

    policy_enter(self);
    if (!terms->stubborn && stop_pending(self))
        return WEFT_ECANCELED;
    if (policy_spin(&word->value, old, terms->once ? &self->hint : &word->hint))
        return 0;
    return park(word, old, terms);
}

int
wait_spin(struct wait_word *word, const _Atomic uint32_t *early, uint32_t old,
          const struct wait_terms *terms)
{
    if (atomic_load_explicit(early, memory_order_acquire) != old)
        return 1;
    if (terms->until <= 0)
        return WEFT_ETIMEDOUT;
    struct self *self = self_get();

    policy_enter(self);
    if (!terms->stubborn && stop_pending(self))
        return WEFT_ECANCELED;
    if (terms->until != OS_NEVER && os_now() >= terms->until)
        return WEFT_ETIMEDOUT;
    return policy_spin(early, old, &word->hint);
}

int
wait_spin_lock(struct wait_word *word, const struct wait_terms *terms)
{
    if (terms->until <= 0)
        return WEFT_ETIMEDOUT;
    struct self *self = self_get();

    policy_enter(self);
    if (!terms->stubborn && stop_pending(self))
        return WEFT_ECANCELED;
    return policy_spin_lock(&word->value);
}

int
wait_asleep(struct wait_word *word, uint32_t old,
            const struct wait_terms *terms)
{
    if (atomic_load_explicit(&word->value, memory_order_acquire) != old)
        return 0;
    if (terms->until <= 0)
        return WEFT_ETIMEDOUT;
    policy_enter(self_get());
    return park(word, old, terms);
}

bool
wait_is_single(void)
{
    return atomic_load_explicit(&single_word, memory_order_relaxed);
}

void
wait_wake_parked(struct wait_word *word, int count, bool shared)
{
    os_futex_wake(&word->value, count, shared);
}

void
wait_post(struct wait_word *word, uint32_t value, int count)
{
    atomic_store(&word->value, value);
    wait_wake(word, count, false);
}

int
wait_sleep(int64_t until)
{
    const struct wait_terms terms = {.until = until, .kind = SLOT_WAIT_SLEEP};
    struct wait_word never = {0};

    if (until <= os_now())
        return 0; /* no wait, and so nothing for a stop to end */
    if (stop_pending(self_get()))
        return WEFT_ECANCELED;
    const int status = park(&never, 0, &terms);

    return status == WEFT_ETIMEDOUT ? 0 : status;
}

weft_time
weft_now(void)
{
    return weft_at(os_now());
}

int
weft_sleep(weft_time until)
{
    return wait_sleep(until.ns);
}
