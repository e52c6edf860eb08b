/* The word is a robust lock's (wait/robust.h): the taker's own word, so that
 * one compare-and-swap takes it and says who holds it. */
#include "sync/mutex.h"

#include "base/why.h"
#include "os/os.h"
#include "registry/registry.h"
#include "sync/held.h"
#include "sync/object.h"
#include "sync/recover.h"
#include "wait/robust.h"

#include <weft/mutex.h>
#include <weft/status.h>

#include <limits.h>

_Static_assert(sizeof(weft_mutex) == 16, "a mutex is four words");

static struct wait_word *
word_of(weft_mutex *mutex)
{
    return (struct wait_word *)(void *)mutex->internal_word;
}

static bool
is_shared(const weft_mutex *mutex)
{
    return object_is_shared(mutex->shared, mutex);
}

static unsigned
kind_of(bool shared)
{
    return SLOT_WAIT_MUTEX | (shared ? SLOT_SHARED : 0);
}

/* The calling thread holds it already. */
static int
lock_again(weft_mutex *mutex)
{
    char name[TEXT_NAME];

    if (!mutex->recursive)
        return why_set(WEFT_EDEADLK, "the caller holds %s already",
                       object_name(mutex, name));
    if (mutex->internal_depth == UINT16_MAX)
        return why_set(WEFT_EOVERFLOW, "%s was locked 65,536 times",
                       object_name(mutex, name));
    mutex->internal_depth++;
    return 0;
}

static int
owner_died(weft_mutex *mutex, uint32_t dead)
{
    char name[TEXT_NAME], who[TEXT_NAME];

    mutex->internal_depth = 0;
    return why_set(WEFT_OWNER_DIED, "%s ended holding %s",
                   object_owner(dead, who), object_name(mutex, name));
}

/* The call is not over before the mutex is told to be held: who dies in between
 * had perhaps been woken, and nobody would know that the others sleep on. */
static int
take(weft_mutex *mutex, struct self *self, struct wait_terms *terms,
     const void *site)
{
    uint32_t dead = 0;

    if (terms->shared)
        call_begin(self, mutex, SLOT_WAIT_MUTEX);
    const int status = robust_take_until(word_of(mutex), self, terms, &dead);

    if (status >= 0)
        held_add(self, mutex, kind_of(terms->shared), site);
    if (terms->shared)
        call_end(self);
    if (status == WEFT_OWNER_DIED)
        return owner_died(mutex, dead);
    return status < 0 ? object_failed(status, "weft_mutex_lock_until", mutex)
                      : 0;
}

static int
lock_slow(weft_mutex *mutex, struct self *self, int64_t until, bool stubborn,
          const void *site)
{
    struct wait_terms terms = {.until = until,
                               .stubborn = stubborn,
                               .shared = is_shared(mutex),
                               .kind = SLOT_WAIT_MUTEX,
                               .object = mutex};
    if (mutex_is_mine(mutex, self))
        return lock_again(mutex);
    const int status =
        terms.shared ? object_enter(self, mutex, kind_of(true)) : 0;

    return status < 0 ? status : take(mutex, self, &terms, site);
}

/* Free, and known to be within the thread's means. */
static inline bool
lock_fast(weft_mutex *mutex, struct self *self, const void *site)
{
    const bool shared = is_shared(mutex);

    if (shared && (!self->certified || !held_has_place(self->slot)))
        return false;
    if (!robust_try(word_of(mutex), self->owner))
        return false;
    held_add(self, mutex, kind_of(shared), site);
    return true;
}

/* Apart, so that the fast path needs no stack. */
static __attribute__((noinline)) int
lock_or_stop(weft_mutex *mutex, const void *site)
{
    struct self *self = self_get();

    object_must("weft_mutex_lock", mutex, site);
    const int status = lock_slow(mutex, self, OS_NEVER, true, site);

    if (status < 0)
        object_misused("weft_mutex_lock", mutex, site, weft_why());
    return status;
}

int
weft_mutex_lock(weft_mutex *mutex)
{
    struct self *self = self_here;
    const void *site = __builtin_return_address(0);

    if (self && mutex && lock_fast(mutex, self, site))
        return 0;
    return lock_or_stop(mutex, site);
}

int
weft_mutex_lock_until(weft_mutex *mutex, weft_time deadline)
{
    struct self *self = self_get();
    const void *site = __builtin_return_address(0);

    if (!mutex)
        return why_set(WEFT_EINVAL, "weft_mutex_lock_until: mutex is NULL");
    if (lock_fast(mutex, self, site))
        return 0;
    return lock_slow(mutex, self, deadline.ns, false, site);
}

static __attribute__((noinline)) void
wake_and_forget(weft_mutex *mutex, struct self *self)
{
    wait_wake_parked(word_of(mutex), 1, is_shared(mutex));
    held_remove(self, mutex);
}

/* A thread that is killed in between still says that it holds the mutex, by
 * which those are woken whom it did not wake. */
static inline void
give(weft_mutex *mutex, struct self *self)
{
    if (__builtin_expect(robust_free(word_of(mutex)), 0))
        wake_and_forget(mutex, self);
    else
        held_remove(self, mutex);
}

static __attribute__((noinline)) void
unlock_slow(weft_mutex *mutex, const void *site)
{
    object_must("weft_mutex_unlock", mutex, site);
    if (!mutex_is_mine(mutex, self_get()))
        object_misused("weft_mutex_unlock", mutex, site,
                       "the caller does not hold it");
    mutex->internal_depth--;
}

void
weft_mutex_unlock(weft_mutex *mutex)
{
    struct self *self = self_here;

    if (self && mutex && mutex_is_mine(mutex, self) &&
        mutex->internal_depth == 0)
        give(mutex, self);
    else
        unlock_slow(mutex, __builtin_return_address(0));
}

void
mutex_give(weft_mutex *mutex, struct self *self)
{
    give(mutex, self);
}

int
mutex_take_back(weft_mutex *mutex, struct self *self, const void *site)
{
    return lock_slow(mutex, self, OS_NEVER, true, site);
}

int
weft_mutex_holder(const weft_mutex *mutex)
{
    const uint32_t owner = mutex_owner(mutex);

    return owner ? registry_owner_tid(owner) : 0;
}

/* The dead holder is found by his certificate; who was woken and died left the
 * lock to somebody who sleeps: waking is enough. */
__attribute__((constructor)) static void
teach(void)
{
    recover_teach(SLOT_WAIT_MUTEX, NULL, offsetof(weft_mutex, internal_word));
}
