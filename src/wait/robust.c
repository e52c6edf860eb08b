#include "wait/robust.h"

#include "os/os.h"
#include "registry/registry.h"
#include "wait/certificate.h"

#include <weft/status.h>

int
robust_enter(struct self *self)
{
    if (self->certified)
        return 0;
    const int status = certificate_make(self);

    self->certified = status == 0;
    if (self->certified)
        registry_share(self->slot);
    return status;
}

/* Marks the lock and sleeps, if it is still held. `mine` is the word by which
 * the caller takes it from then on. */
static int
sleep_on(struct wait_word *lock, struct wait_terms *terms, uint32_t *mine)
{
    uint32_t now = atomic_load_explicit(&lock->value, memory_order_relaxed);

    if (now == 0)
        return 0;
    if (!(now & ROBUST_AWAITED) &&
        !atomic_compare_exchange_strong_explicit(
            &lock->value, &now, now | ROBUST_AWAITED, memory_order_relaxed,
            memory_order_relaxed))
        return 0;
    terms->owner = now & ~ROBUST_AWAITED;
    *mine |= ROBUST_AWAITED;
    return wait_asleep(lock, now | ROBUST_AWAITED, terms);
}

/* Who has slept may have been woken for the lock, and wakes another one. */
static int
give_up(struct wait_word *lock, bool slept, bool shared, int status)
{
    if (slept)
        wait_wake(lock, 1, shared);
    return status;
}

int
robust_take_until(struct wait_word *lock, struct self *self,
                  struct wait_terms *terms, uint32_t *dead)
{
    uint32_t mine = self->owner;

    for (;;) {
        uint32_t now = atomic_load_explicit(&lock->value, memory_order_relaxed);
        const uint32_t owner = now & ~ROBUST_AWAITED;

        if (now == 0) {
            if (robust_try(lock, mine))
                return 0;
            continue;
        }
        if (!registry_owner_lives(owner)) {
            *dead = owner;
            if (atomic_compare_exchange_strong(&lock->value, &now,
                                               mine | (now & ROBUST_AWAITED)))
                return WEFT_OWNER_DIED;
            continue;
        }
        int status = wait_spin_lock(lock, terms);

        if (status == 0)
            status = sleep_on(lock, terms, &mine);
        if (status < 0)
            return give_up(lock, mine & ROBUST_AWAITED, terms->shared, status);
    }
}

bool
robust_take(struct wait_word *lock, struct self *self, bool shared)
{
    struct wait_terms terms = {
        .until = OS_NEVER, .stubborn = true, .shared = shared};
    uint32_t dead;

    return !robust_try(lock, self->owner) &&
           robust_take_until(lock, self, &terms, &dead) == WEFT_OWNER_DIED;
}
