/* The library's own lock: for a few instructions, within one process, never
 * held while waiting for anything else but another lock further down. */
#ifndef WAIT_LOCK_H
#define WAIT_LOCK_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

/* 0 = free, 1 = held, 2 = held and somebody may sleep. Legal: 2 without a
 * sleeper. Illegal: 1 with one. (Drepper, "Futexes are tricky", mutex 2.) */
struct lock {
    _Atomic uint32_t word;
};

void lock_wait(struct lock *lock);
void lock_wake(struct lock *lock);

static inline void
lock_take(struct lock *lock)
{
    uint32_t free = 0;

    /* acquire: pairs with release in lock_give */
    if (!atomic_compare_exchange_strong_explicit(
            &lock->word, &free, 1, memory_order_acquire, memory_order_relaxed))
        lock_wait(lock);
}

/* True: taken. Never blocks; signal-safe. */
static inline bool
lock_try(struct lock *lock)
{
    uint32_t free = 0;

    /* acquire: pairs with release in lock_give */
    return atomic_compare_exchange_strong_explicit(
        &lock->word, &free, 1, memory_order_acquire, memory_order_relaxed);
}

static inline void
lock_give(struct lock *lock)
{
    if (atomic_exchange_explicit(&lock->word, 0, memory_order_release) == 2)
        lock_wake(lock);
}

#endif
