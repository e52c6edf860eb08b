/* What a condition needs of a mutex. */
#ifndef SYNC_MUTEX_H
#define SYNC_MUTEX_H

#include "wait/robust.h"

#include <weft/mutex.h>

/* 0 = nobody. */
static inline uint32_t
mutex_owner(const weft_mutex *mutex)
{
    return robust_owner((const void *)&mutex->internal_word[0]);
}

static inline bool
mutex_is_mine(const weft_mutex *mutex, const struct self *self)
{
    return mutex_owner(mutex) == self->owner;
}

/* Gives it back however often it was locked; and takes it again, once: 0,
 * WEFT_OWNER_DIED, or a failure, by which it is not held. */
void mutex_give(weft_mutex *mutex, struct self *self);
int mutex_take_back(weft_mutex *mutex, struct self *self, const void *site);

#endif
