/* The permits are one word, changed by compare-and-swap: taking and giving back
 * need no lock, and may happen in a signal handler.
 *
 * Where the semaphore has a limit and other processes use it, a dead taker's
 * permits return. Then each call is under a robust lock, and what a thread has
 * taken is an entry of its own slot: that is the truth, by which
 *
 *   permits = base - sum over living threads of (taken - credit)
 *
 * `permits` is recounted when somebody died. `base` changes when somebody gives
 * back what nobody is known to have taken; `credits` are what others gave back
 * for a thread: its entry cannot be changed by them. */
#include "base/why.h"
#include "os/os.h"
#include "registry/registry.h"
#include "sync/held.h"
#include "sync/object.h"
#include "sync/recover.h"
#include "wait/robust.h"

#include <weft/semaphore.h>
#include <weft/status.h>

#include <errno.h>
#include <limits.h>

enum {
    CREDITS = 4
};

/* The caller's view of the same words. */
struct semaphore {
    uint32_t limit;
    bool shared;
    struct wait_word permits;
    struct wait_word lock;
    _Atomic uint32_t
        base; /* plus 1; 0 = not counted yet; under lock, as below */

    struct {
        _Atomic uint32_t owner, count;
    } credits[CREDITS];
};

_Static_assert(sizeof(struct semaphore) == sizeof(weft_semaphore),
               "the same words");
_Static_assert(offsetof(struct semaphore, permits) ==
                   offsetof(weft_semaphore, permits),
               "the same words");

static struct semaphore *
semaphore_of(const weft_semaphore *semaphore)
{
    return (struct semaphore *)(uintptr_t)semaphore;
}

static bool
is_shared(const struct semaphore *semaphore)
{
    return object_is_shared(semaphore->shared, semaphore);
}

/* --- With records of who took */

struct sum {
    struct semaphore *semaphore;
    uint32_t taken;
};

static uint32_t
credit_of(const struct semaphore *semaphore, uint32_t owner)
{
    for (unsigned i = 0; i < CREDITS; i++)
        if (atomic_load(&semaphore->credits[i].owner) == owner)
            return atomic_load(&semaphore->credits[i].count);
    return 0;
}

static uint32_t
taken_by(const struct semaphore *semaphore, const struct slot *slot)
{
    return held_count_of(slot, semaphore, SLOT_WAIT_SEMAPHORE | SLOT_SHARED);
}

static void
add_taken(const struct slot *slot, void *context)
{
    struct sum *sum = context;
    const uint32_t taken = taken_by(sum->semaphore, slot);

    if (taken > 0)
        sum->taken +=
            taken - credit_of(sum->semaphore, atomic_load(&slot->owner));
}

static void
recount(struct semaphore *semaphore)
{
    struct sum sum = {.semaphore = semaphore};
    const uint32_t base = atomic_load(&semaphore->base);

    if (base == 0)
        return;
    registry_each_living(add_taken, &sum);
    const uint32_t permits = sum.taken < base ? base - 1 - sum.taken : 0;

    atomic_store(&semaphore->permits.value,
                 permits < semaphore->limit ? permits : semaphore->limit);
}

static void
enter(struct semaphore *semaphore, struct self *self)
{
    if (robust_take(&semaphore->lock, self, true))
        recount(semaphore);
    if (atomic_load(&semaphore->base) == 0)
        atomic_store(&semaphore->base,
                     atomic_load(&semaphore->permits.value) + 1);
}

/* What others gave back for the caller goes from its entry, so that the
 * credit's place is free for another. */
static void
settle(struct semaphore *semaphore, struct self *self)
{
    for (unsigned i = 0; i < CREDITS; i++)
        if (atomic_load(&semaphore->credits[i].owner) == self->owner) {
            (void)held_give(self, semaphore, SLOT_WAIT_SEMAPHORE | SLOT_SHARED,
                            atomic_load(&semaphore->credits[i].count));
            atomic_store(&semaphore->credits[i].owner, 0);
        }
}

/* Somebody else's permits come back: for whom? */
struct taker {
    const struct semaphore *semaphore;
    uint32_t owner, count;
};

static void
find_taker(const struct slot *slot, void *context)
{
    struct taker *taker = context;
    const uint32_t owner = atomic_load(&slot->owner);
    const uint32_t count =
        taken_by(taker->semaphore, slot) - credit_of(taker->semaphore, owner);

    if (count > 0 && count <= INT32_MAX) {
        taker->owner = owner;
        taker->count = count;
    }
}

/* An entry of the owner's, or one whose owner has gone. */
static bool
give_credit(struct semaphore *semaphore, uint32_t owner, uint32_t n)
{
    unsigned place = CREDITS;

    for (unsigned i = 0; i < CREDITS; i++) {
        const uint32_t whose = atomic_load(&semaphore->credits[i].owner);

        if (whose == owner) {
            atomic_fetch_add(&semaphore->credits[i].count, n);
            return true;
        }
        if (!registry_owner_lives(whose))
            place = i;
    }
    if (place == CREDITS)
        return false;
    atomic_store(&semaphore->credits[place].owner, 0);
    atomic_store(&semaphore->credits[place].count, n);
    atomic_store(&semaphore->credits[place].owner, owner);
    return true;
}

/* Up to n for one of the others; how many. */
static uint32_t
give_for_another(struct semaphore *semaphore, uint32_t n)
{
    struct taker taker = {.semaphore = semaphore};

    registry_each_living(find_taker, &taker);
    const uint32_t count = taker.count < n ? taker.count : n;

    return taker.owner && give_credit(semaphore, taker.owner, count) ? count
                                                                     : 0;
}

static void
give_back(struct semaphore *semaphore, struct self *self, uint32_t n)
{
    uint32_t left = n, given;

    settle(semaphore, self);
    left -= held_give(self, semaphore, SLOT_WAIT_SEMAPHORE | SLOT_SHARED, left);
    while (left > 0 && (given = give_for_another(semaphore, left)) > 0)
        left -= given;
    atomic_fetch_add(&semaphore->base, left);
    atomic_fetch_add(&semaphore->permits.value, n);
}

/* One try, if need be after a recount; true: taken. */
static bool
take_recorded(struct semaphore *semaphore, struct self *self, bool again,
              const void *site)
{
    enter(semaphore, self);
    if (again)
        recount(semaphore);
    const uint32_t permits = atomic_load(&semaphore->permits.value);

    settle(semaphore, self);
    if (permits > 0) {
        held_take(self, semaphore, SLOT_WAIT_SEMAPHORE | SLOT_SHARED, site);
        atomic_store(&semaphore->permits.value, permits - 1);
    }
    robust_give(&semaphore->lock, true);
    return permits > 0;
}

static int
give_recorded(struct semaphore *semaphore, struct self *self, unsigned n)
{
    enter(semaphore, self);
    const uint32_t now = atomic_load(&semaphore->permits.value);
    const bool fits = now <= semaphore->limit && n <= semaphore->limit - now;

    if (fits)
        give_back(semaphore, self, n);
    robust_give(&semaphore->lock, true);
    return fits ? 0 : WEFT_EOVERFLOW;
}

/* What a signal handler gave back while the thread itself was in here. */
static void
pay(struct semaphore *semaphore, struct self *self)
{
    unsigned owed;

    while ((owed = atomic_exchange(&self->owed, 0)) > 0) {
        (void)give_recorded(semaphore, self, owed);
        wait_wake(&semaphore->permits, (int)owed, true);
    }
}

/* --- One word */

static bool
take(struct semaphore *semaphore)
{
    uint32_t now =
        atomic_load_explicit(&semaphore->permits.value, memory_order_relaxed);

    while (now > 0)
        /* acquire: pairs with release in give */
        if (atomic_compare_exchange_weak_explicit(
                &semaphore->permits.value, &now, now - 1, memory_order_acquire,
                memory_order_relaxed))
            return true;
    return false;
}

static int
give(struct semaphore *semaphore, unsigned n)
{
    const uint32_t most = semaphore->limit ? semaphore->limit : UINT32_MAX;
    uint32_t now = atomic_load(&semaphore->permits.value);

    do
        if (now > most || n > most - now)
            return WEFT_EOVERFLOW;
    while (!atomic_compare_exchange_weak(&semaphore->permits.value, &now,
                                         now + n));
    return 0;
}

/* --- The calls */

static bool
is_recorded(const struct semaphore *semaphore)
{
    return semaphore->limit > 0 && is_shared(semaphore);
}

static int
enter_call(struct semaphore *semaphore, struct self *self)
{
    /* Without a limit nobody needs to know who took. */
    const int status =
        is_recorded(semaphore)
            ? object_enter(self, semaphore, SLOT_WAIT_SEMAPHORE | SLOT_SHARED)
            : robust_enter(self);

    if (status < 0)
        return status;
    call_begin(self, semaphore, SLOT_WAIT_SEMAPHORE);
    return 0;
}

static int
acquire(struct semaphore *semaphore, struct self *self, int64_t until,
        const void *site)
{
    const struct wait_terms terms = {.until = until,
                                     .shared = is_shared(semaphore),
                                     .kind = SLOT_WAIT_SEMAPHORE,
                                     .object = semaphore};
    const bool recorded = is_recorded(semaphore);
    bool again = false; /* a second has passed: somebody may have died */
    int status = 0;

    for (;;) {
        if (recorded ? take_recorded(semaphore, self, again, site)
                     : take(semaphore))
            return 0;
        if (status < 0)
            return object_failed(status, "weft_semaphore_acquire", semaphore);
        status = wait_while(&semaphore->permits, 0, &terms);
        again = atomic_load(&semaphore->permits.value) == 0;
    }
}

int
weft_semaphore_acquire(weft_semaphore *object, weft_time deadline)
{
    struct semaphore *semaphore = semaphore_of(object);
    struct self *self = self_get();
    const void *site = __builtin_return_address(0);

    if (!semaphore)
        return why_set(WEFT_EINVAL, "weft_semaphore_acquire: NULL");
    if (!is_shared(semaphore))
        return take(semaphore) ? 0
                               : acquire(semaphore, self, deadline.ns, site);
    int status = enter_call(semaphore, self);

    if (status < 0)
        return status;
    status = acquire(semaphore, self, deadline.ns, site);
    call_end(self);
    if (is_recorded(semaphore))
        pay(semaphore, self);
    return status;
}

static int
release_shared(struct semaphore *semaphore, struct self *self, unsigned n)
{
    if (!self->certified)
        return give(semaphore, n); /* in a handler; recounts will mend it */
    if (robust_owner(&semaphore->lock) == self->owner) {
        atomic_fetch_add(&self->owed, n);
        return 0;
    }
    const struct call_saved saved = call_save(self);

    call_begin(self, semaphore, SLOT_WAIT_SEMAPHORE);
    const int status = is_recorded(semaphore)
                           ? give_recorded(semaphore, self, n)
                           : give(semaphore, n);

    if (status == 0)
        wait_wake(&semaphore->permits, n > INT_MAX ? INT_MAX : (int)n, true);
    call_restore(self, &saved);
    if (is_recorded(semaphore))
        pay(semaphore, self);
    return status;
}

int
weft_semaphore_release(weft_semaphore *object, unsigned n)
{
    struct semaphore *semaphore = semaphore_of(object);
    int status;

    if (!semaphore)
        return WEFT_EINVAL;
    if (is_shared(semaphore)) {
        struct self *self = self_get();
        const int saved = errno; /* of who was interrupted by a handler */

        (void)robust_enter(self);
        status = release_shared(semaphore, self, n);
        errno = saved;
        return status;
    }
    status = give(semaphore, n);
    if (status == 0)
        wait_wake(&semaphore->permits, n > INT_MAX ? INT_MAX : (int)n, false);
    return status;
}

unsigned
weft_semaphore_permits(const weft_semaphore *semaphore)
{
    object_must("weft_semaphore_permits", semaphore,
                __builtin_return_address(0));
    return atomic_load_explicit(&semaphore_of(semaphore)->permits.value,
                                memory_order_relaxed);
}

/* The dead one's permits return, unless there is no limit. */
static void
recover(void *object, const struct slot *dead, uint32_t ticket)
{
    struct semaphore *semaphore = object;
    struct self *self = self_get();

    (void)dead;
    (void)ticket;
    if (is_recorded(semaphore) && robust_enter(self) == 0) {
        enter(semaphore, self);
        recount(semaphore);
        robust_give(&semaphore->lock, true);
    }
    os_futex_wake(&semaphore->permits.value, INT_MAX, true);
}

__attribute__((constructor)) static void
teach(void)
{
    recover_teach(SLOT_WAIT_SEMAPHORE, recover,
                  offsetof(weft_semaphore, permits));
}
