#include "wait/lock.h"

#include "os/os.h"
#include "wait/policy.h"

void
lock_wait(struct lock *lock)
{
    if (policy_spin_lock(&lock->word) && lock_try(lock))
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
