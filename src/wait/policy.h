/* The waiting policy: whether a waiter spins before it sleeps, and for how
 * long. One policy, here, for every wait in weft. */
#ifndef WAIT_POLICY_H
#define WAIT_POLICY_H

#include "registry/self.h"

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

/* What a word remembers of the waits on it; all-zero to begin with. A hint, so
 * that races on it do no harm: low half = waits that will not spin, high half =
 * how often in a row spinning was in vain. */
typedef _Atomic uint32_t policy_hint;

/* Spins while *word == old, if the policy allows it. True: it has changed
 * (acquire). False: sleep. `hint` may be NULL. */
bool policy_spin(const _Atomic uint32_t *word, uint32_t old, policy_hint *hint);

/* Spins until *lock == 0: true (relaxed). For a moment only, since a lock is
 * given back soon or not at all; and with growing pauses, since each look takes
 * the word's cache line from the holder. */
bool policy_spin_lock(const _Atomic uint32_t *lock);

/* Around every sleep of a thread of weft. */
void policy_sleeps(struct self *self);
void policy_wakes(struct self *self);

/* A thread begins to count as active; ends to. */
void policy_enter(struct self *self);
void policy_leave(struct self *self);

/* In a fresh copy of the process: nobody is there but the caller. */
void policy_forked(void);

/* Switches spinning off, for measuring what plain parking would cost. */
void policy_park_only(bool on);

#endif
