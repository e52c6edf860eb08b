/* A lock whose holder may be killed at any instruction: the next taker gets it,
 * and is told. Within a process or, with `shared`, among processes; there the
 * taker's thread gets a certificate, by which the others know of its death.
 *
 *   word.value        who changes it                      meaning
 *   0 -> owner        a taker, by compare-and-swap        held
 *   owner -> 0        that thread, by exchange            free
 *   owner -> owner'   a taker that has found the first    held, and what the
 *                     one dead, by compare-and-swap       lock guards is torn
 *   | AWAITED         who is about to sleep, by           the holder is to wake
 *                     compare-and-swap                    one sleeper
 *
 * Who has slept takes the lock as AWAITED, since others may still sleep. So
 * while one who was woken is on its way, the word need not say AWAITED and the
 * others take and give the lock without a call of the system. Legal: AWAITED
 * without a sleeper. Illegal: a sleeper, neither AWAITED nor anybody woken on
 * his way; so who was perhaps woken and does not take the lock wakes another.
 * (Drepper, "Futexes are tricky", mutex 2, with an owner.)
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

/* Not in any owner's word. */
#define ROBUST_AWAITED 0x40000000u

static inline uint32_t
robust_owner(const struct wait_word *lock)
{
    return atomic_load_explicit(&lock->value, memory_order_relaxed) &
           ~ROBUST_AWAITED;
}

static inline bool
robust_try(struct wait_word *lock, uint32_t owner)
{
    uint32_t free = 0;

    /* acquire: pairs with the exchange in robust_free */
    return atomic_compare_exchange_strong_explicit(
        &lock->value, &free, owner, memory_order_acquire, memory_order_relaxed);
}

/* Takes the lock on these terms, of which `owner` is filled in. 0;
 * WEFT_OWNER_DIED, and *dead is the one who held it; the failures of
 * wait_while. The thread must have entered where terms->shared. */
int robust_take_until(struct wait_word *lock, struct self *self,
                      struct wait_terms *terms, uint32_t *dead);

/* The same for the few instructions that guard an object of the library: no
 * deadline, no stop. True: the last holder died. */
bool robust_take(struct wait_word *lock, struct self *self, bool shared);

/* Gives it back. True: one sleeper is to be woken. Sequentially consistent: the
 * caller may then look for what others announce without taking the lock
 * (queue/shared.c, sync/semaphore.c). */
static inline bool
robust_free(struct wait_word *lock)
{
    return atomic_exchange(&lock->value, 0) & ROBUST_AWAITED;
}

/* Gives it back and wakes one sleeper. Among processes one is woken as long as
 * any sleeps: who was woken before may have been killed where nobody makes his
 * call right. (A mutex goes without: its calls are always made right.) */
static inline void
robust_give(struct wait_word *lock, bool shared)
{
    const bool awaited = robust_free(lock);

    if (__builtin_expect(awaited || (shared && atomic_load(&lock->parked) > 0),
                         0))
        wait_wake_parked(lock, 1, shared);
}

#endif
