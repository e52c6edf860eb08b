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

/* The wake-up that the caller may have got is another one's now: else the rest
 * would sleep on the certificate of somebody who holds the lock no more. Within
 * a process nobody dies with it, and so each holder wakes the next. */
static int
give_up(struct wait_word *lock, bool shared, int status)
{
    if (shared)
        wait_wake(lock, 1, true);
    return status;
}

int
robust_take_until(struct wait_word *lock, struct self *self,
                  struct wait_terms *terms, uint32_t *dead)
{
    terms->lock = true;
    for (;;) {
        uint32_t owner =
            atomic_load_explicit(&lock->value, memory_order_relaxed);

        if (owner == 0) {
            if (robust_try(lock, self->owner))
                return 0;
            continue;
        }
        if (!registry_owner_lives(owner)) {
            *dead = owner;
            if (atomic_compare_exchange_strong(&lock->value, &owner,
                                               self->owner))
                return WEFT_OWNER_DIED;
            continue;
        }
        terms->owner = owner;
        const int status = wait_while(lock, owner, terms);

        if (status < 0)
            return give_up(lock, terms->shared, status);
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
