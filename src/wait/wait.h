/* The one way to wait. Every wait of weft is for a word to change, until a
 * deadline, ended by a stop, published while it lasts. */
#ifndef WAIT_WAIT_H
#define WAIT_WAIT_H

#include "wait/policy.h"
#include "wait/stop.h"

/* A word with what the policy keeps about it; all-zero is ready.
 *
 *   value   whoever owns the object: any value; each change through wait_post,
 *           or followed by wait_wake
 *   parked  waiters: +1 before they sleep, -1 after. May be too high for a
 *           moment (a needless system call), never too low while one sleeps
 *
 * Waiter: parked++, then the kernel compares value. Poster: value = new, then
 * reads parked. Both sequentially consistent: one sees the other. */
struct wait_word {
    _Atomic uint32_t value;
    _Atomic uint32_t parked;
    policy_hint hint;
};

struct wait_terms {
    int64_t until;  /* OS_NEVER: no deadline; <= 0: do not wait */
    bool stubborn;  /* a stop does not end it */
    bool shared;    /* other processes use the word */
    uint32_t owner; /* of the lock: seen from outside; where it is shared his
                       death ends the wait; 0 = none */
    bool once; /* the word is waited on once: what the policy learns is kept
                  with the thread */
    const _Atomic uint32_t *also; /* another word, shared, that ends a sleep
                                     when it is no longer `also_old`; NULL =
                                     none. Nobody spins on it */
    uint32_t also_old;
    enum slot_wait kind; /* to be seen from outside, with the object */
    const void *object;
};

/* Waits while word->value == old. 0: it has changed (acquire), or, where the
 * word is shared, a second has passed and the caller should look whether
 * whoever was to change it is dead; WEFT_ETIMEDOUT; WEFT_ECANCELED;
 * WEFT_OWNER_DIED: the owner can unlock no longer and the value is still old. A
 * change is seen before a stop, and a stop before the deadline. */
int wait_while(struct wait_word *word, uint32_t old,
               const struct wait_terms *terms);

/* The two halves of wait_while, for who spins on a word that changes before the
 * one that he would sleep on. wait_spin: 1 = *early is `old` no longer
 * (acquire), 0 = sleep, < 0 as above; what the policy learns is kept with
 * `word`. wait_spin_lock: the same on a lock's word, for a moment, and 1 = it
 * is 0. wait_asleep: as wait_while, without spinning. */
int wait_spin(struct wait_word *word, const _Atomic uint32_t *early,
              uint32_t old, const struct wait_terms *terms);
int wait_spin_lock(struct wait_word *word, const struct wait_terms *terms);
int wait_asleep(struct wait_word *word, uint32_t old,
                const struct wait_terms *terms);

/* Whether the system is known not to wait on several words at once: then `also`
 * ends no sleep before its next slice. */
bool wait_is_single(void);

/* Changes the value (release) and wakes up to `count` waiters. The word must
 * outlive the call. */
void wait_post(struct wait_word *word, uint32_t value, int count);
void wait_wake_parked(struct wait_word *word, int count, bool shared);

static inline void
wait_wake(struct wait_word *word, int count, bool shared)
{
    if (__builtin_expect(atomic_load(&word->parked) > 0, 0))
        wait_wake_parked(word, count, shared);
}

/* Sleeps until then. 0 or WEFT_ECANCELED. */
int wait_sleep(int64_t until);

/* Publishes that the thread waits, and that it does so no longer. */
void wait_publish(struct self *self, const struct wait_terms *terms);
void wait_withdraw(struct self *self);

#endif
