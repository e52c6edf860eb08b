#include "wait/lock.h"

#include "os/os.h"
#include "wait/policy.h"

void
lock_wait(struct lock *lock)
{
    const uint32_t now =
        atomic_load_explicit(&lock->word, memory_order_relaxed);

    if (now == 0 || policy_spin_lock(&lock->word, now))
        if (lock_try(lock))
            return;
    struct self *self = self_here;

    /* Who has slept takes it as 2: others may still sleep. */
    while (atomic_exchange_explicit(&lock->word, 2, memory_order_acquire) !=
           0) {
        if (self)
            policy_sleeps(self);
        (void)os_futex_wait(&lock->word, 2, OS_NEVER, false);
        if (self)
            policy_wakes(self);
    }
}

void
lock_wake(struct lock *lock)
{
    os_futex_wake(&lock->word, 1, false);
}
