/* A lock whose holder may be killed at any instruction: the next taker gets it,
 * and is told. Within a process or, with `shared`, among processes; there the
 * taker's thread gets a certificate, by which the others know of its death.
 *
 *   word.value        who changes it                      meaning
 *   0 -> owner        a taker, by compare-and-swap        held
 *   owner -> 0        that thread, by exchange            free
 *   owner -> owner'   a taker that has found the first    held, and what the
 *                     one dead, by compare-and-swap       lock guards is torn
 *
 * An owner's word is never the same for another thread within 16,384 claims of
 * slots, so that the last compare-and-swap can rob nobody who lives. A thread
 * that was woken and is killed before it takes the lock leaves it free and the
 * others asleep: who makes its call right wakes them (recover.h), or they look
 * again after a second. */
#ifndef WAIT_ROBUST_H
#define WAIT_ROBUST_H

#include "wait/wait.h"

/* Readies the calling thread for objects among processes. A status. */
int robust_enter(struct self *self);

static inline bool
robust_try(struct wait_word *lock, uint32_t owner)
{
    uint32_t free = 0;

    /* acquire: pairs with the exchange in robust_give */
    return atomic_compare_exchange_strong_explicit(
        &lock->value, &free, owner, memory_order_acquire, memory_order_relaxed);
}

/* Takes the lock on these terms, of which `lock` and `owner` are filled in. 0;
 * WEFT_OWNER_DIED, and *dead is the one who held it; the failures of
 * wait_while. The thread must have entered where terms->shared. */
int robust_take_until(struct wait_word *lock, struct self *self,
                      struct wait_terms *terms, uint32_t *dead);

/* The same for the few instructions that guard an object of the library: no
 * deadline, no stop. True: the last holder died. */
bool robust_take(struct wait_word *lock, struct self *self, bool shared);

static inline void
robust_give(struct wait_word *lock, bool shared)
{
    atomic_exchange(&lock->value, 0); /* pairs with parked++ in wait.c */
    wait_wake(lock, 1, shared);
}

#endif
