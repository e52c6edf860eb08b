/* A state under a robust lock, and a word to sleep on that is changed whenever
 * somebody may go on. What a thread reads is an entry of its own slot;
 * `readers` and `waiting` are caches that are recounted when somebody died. */
#include "base/why.h"
#include "os/os.h"
#include "registry/registry.h"
#include "sync/held.h"
#include "sync/object.h"
#include "sync/recover.h"
#include "wait/robust.h"

#include <weft/rwlock.h>
#include <weft/status.h>

#include <limits.h>

/* The caller's view of the same words. */
struct rwlock {
    bool shared;
    struct wait_word lock;
    struct wait_word turn;
    _Atomic uint32_t readers; /* under lock, as below */
    _Atomic uint32_t waiting; /* writers */
    _Atomic uint32_t writer;  /* its owner's word; 0 = none */
};

_Static_assert(sizeof(struct rwlock) == sizeof(weft_rwlock), "the same words");

/* One call. */
struct call {
    struct rwlock *lock;
    struct self *self;
    bool shared, stubborn, write;
    int64_t until;
    const void *site;
    const char *name;
};

static unsigned
kind_of(const struct call *call)
{
    return (call->write ? SLOT_WAIT_WRITE : SLOT_WAIT_READ) |
           (call->shared ? SLOT_SHARED : 0);
}

struct sums {
    const struct rwlock *lock;
    uint32_t readers, waiting;
};

static void
add_slot(const struct slot *slot, void *context)
{
    struct sums *sums = context;

    sums->readers +=
        held_count_of(slot, sums->lock, SLOT_WAIT_READ | SLOT_SHARED);
    sums->waiting += atomic_load(&slot->call.object) == (uintptr_t)sums->lock &&
                     atomic_load(&slot->call.kind) == SLOT_WAIT_WRITE &&
                     atomic_load(&slot->call.ticket) != 0;
}

static void
recount(struct rwlock *lock)
{
    struct sums sums = {.lock = lock};

    registry_each_living(add_slot, &sums);
    atomic_store(&lock->readers, sums.readers);
    atomic_store(&lock->waiting, sums.waiting);
}

static void
enter(struct rwlock *lock, struct self *self, bool shared)
{
    if (robust_take(&lock->lock, self, shared) && shared)
        recount(lock);
}

/* Under the lock: others may go on. */
static void
turn(struct rwlock *lock)
{
    atomic_fetch_add(&lock->turn.value, 1);
}

static void
leave(struct rwlock *lock, bool shared, bool wake)
{
    robust_give(&lock->lock, shared);
    if (wake)
        wait_wake(&lock->turn, INT_MAX, shared);
}

/* Whether the caller is kept waiting by a writer, living or dead. */
static bool
writer_is_there(const struct rwlock *lock)
{
    const uint32_t writer = atomic_load(&lock->writer);

    return writer != 0 && registry_owner_lives(writer);
}

static bool
may_go(const struct call *call)
{
    struct rwlock *lock = call->lock;

    if (writer_is_there(lock))
        return false;
    if (call->write)
        return atomic_load(&lock->readers) == 0;
    return atomic_load(&lock->waiting) == 0 ||
           (call->self->slot &&
            held_find(call->self->slot, lock, kind_of(call)));
}

/* Under the lock. WEFT_OWNER_DIED when a writer died in it. */
static int
go(const struct call *call)
{
    struct rwlock *lock = call->lock;
    const uint32_t dead = atomic_exchange(&lock->writer, 0);
    char who[TEXT_NAME], name[TEXT_NAME];

    if (call->write) {
        held_add(call->self, lock, kind_of(call), call->site);
        atomic_store(&lock->writer, call->self->owner);
    } else {
        held_take(call->self, lock, kind_of(call), call->site);
        atomic_fetch_add(&lock->readers, 1);
    }
    return dead ? why_set(WEFT_OWNER_DIED, "%s ended writing %s",
                          object_owner(dead, who), object_name(lock, name))
                : 0;
}

/* A writer that waits is counted, so that no new reader goes before it. */
static void
count_waiting(const struct call *call, bool on)
{
    if (!call->write)
        return;
    if (call->shared)
        atomic_store(&call->self->slot->call.ticket, on);
    if (on)
        atomic_fetch_add(&call->lock->waiting, 1);
    else
        atomic_fetch_sub(&call->lock->waiting, 1);
}

static int
wait_turn(const struct call *call)
{
    struct rwlock *lock = call->lock;
    struct wait_terms terms = {.until = call->until,
                               .stubborn = call->stubborn,
                               .shared = call->shared,
                               .kind = kind_of(call) & ~SLOT_SHARED,
                               .object = lock};
    int status = 0;

    count_waiting(call, true);
    while (status == 0 && !may_go(call)) {
        const uint32_t seen = atomic_load(&lock->turn.value);

        terms.owner = atomic_load(&lock->writer);
        leave(lock, call->shared, false);
        status = wait_while(&lock->turn, seen, &terms);
        enter(lock, call->self, call->shared);
        if (status == WEFT_OWNER_DIED)
            status = 0;
        /* A second has passed: a reader may have died whom nobody recovered. */
        if (call->shared && atomic_load(&lock->turn.value) == seen)
            recount(lock);
    }
    count_waiting(call, false);
    return status;
}

static int
take(const struct call *call)
{
    struct rwlock *lock = call->lock;
    char name[TEXT_NAME];
    int status = 0;

    enter(lock, call->self, call->shared);
    const struct call reads = {.self = call->self, .shared = call->shared};

    if (atomic_load(&lock->writer) == call->self->owner ||
        (call->write && call->self->slot &&
         held_find(call->self->slot, lock, kind_of(&reads))))
        status = WEFT_EDEADLK;
    else if (!may_go(call))
        status = wait_turn(call);
    if (status == 0)
        status = go(call);
    else
        turn(lock); /* a writer that gave up lets readers in */
    leave(lock, call->shared, status < 0);
    if (status == WEFT_EDEADLK)
        return why_set(status, "the caller holds %s already",
                       object_name(lock, name));
    return status < 0 ? object_failed(status, call->name, lock) : status;
}

static int
lock_call(struct call *call)
{
    call->shared = object_is_shared(call->lock->shared, call->lock);
    if (!call->shared)
        return take(call);
    int status = object_enter(call->self, call->lock, kind_of(call));

    if (status < 0)
        return status;
    atomic_store(&call->self->slot->call.ticket, 0);
    call_begin(call->self, call->lock, kind_of(call) & ~SLOT_SHARED);
    status = take(call);
    call_end(call->self);
    return status;
}

static int
lock_until(weft_rwlock *lock, bool write, weft_time deadline, const void *site,
           const char *name)
{
    if (!lock)
        return why_set(WEFT_EINVAL, "%s: lock is NULL", name);
    return lock_call(&(struct call){.lock = (struct rwlock *)(void *)lock,
                                    .self = self_get(),
                                    .write = write,
                                    .until = deadline.ns,
                                    .site = site,
                                    .name = name});
}

static int
lock_for_good(weft_rwlock *lock, bool write, const void *site, const char *name)
{
    object_must(name, lock, site);
    const int status =
        lock_call(&(struct call){.lock = (struct rwlock *)(void *)lock,
                                 .self = self_get(),
                                 .write = write,
                                 .until = OS_NEVER,
                                 .stubborn = true,
                                 .site = site,
                                 .name = name});

    if (status < 0)
        object_misused(name, lock, site, weft_why());
    return status;
}

int
weft_rwlock_read(weft_rwlock *lock)
{
    return lock_for_good(lock, false, __builtin_return_address(0),
                         "weft_rwlock_read");
}

int
weft_rwlock_write(weft_rwlock *lock)
{
    return lock_for_good(lock, true, __builtin_return_address(0),
                         "weft_rwlock_write");
}

int
weft_rwlock_read_until(weft_rwlock *lock, weft_time deadline)
{
    return lock_until(lock, false, deadline, __builtin_return_address(0),
                      "weft_rwlock_read_until");
}

int
weft_rwlock_write_until(weft_rwlock *lock, weft_time deadline)
{
    return lock_until(lock, true, deadline, __builtin_return_address(0),
                      "weft_rwlock_write_until");
}

/* Under the lock. False: the caller holds it neither way. */
static bool
give(const struct call *call)
{
    struct rwlock *lock = call->lock;
    struct self *self = call->self;

    if (atomic_load(&lock->writer) == self->owner) {
        atomic_store(&lock->writer, 0);
        held_remove(self, lock);
        turn(lock);
        return true;
    }
    const uint32_t readers = atomic_load(&lock->readers);

    /* Beyond what a slot has room for nobody knows who reads. */
    if (readers == 0 || (!held_give(self, lock, kind_of(call), 1) &&
                         self->slot && held_has_place(self->slot)))
        return false;
    atomic_store(&lock->readers, readers - 1);
    if (readers == 1)
        turn(lock);
    return true;
}

void
weft_rwlock_unlock(weft_rwlock *object)
{
    struct call call = {.lock = (struct rwlock *)(void *)object,
                        .self = self_get()};

    object_must("weft_rwlock_unlock", object, __builtin_return_address(0));
    call.shared = object_is_shared(object->shared, object);
    if (call.shared && robust_enter(call.self) == 0)
        call_begin(call.self, object, SLOT_WAIT_READ);
    enter(call.lock, call.self, call.shared);
    const bool was_held = give(&call);

    leave(call.lock, call.shared, was_held);
    if (call.shared)
        call_end(call.self);
    if (!was_held)
        object_misused("weft_rwlock_unlock", object,
                       __builtin_return_address(0),
                       "the caller does not hold it");
}

static void
recover(void *object, const struct slot *dead, uint32_t ticket)
{
    struct rwlock *lock = object;
    struct self *self = self_get();

    (void)dead;
    (void)ticket;
    if (robust_enter(self) < 0)
        return;
    (void)robust_take(&lock->lock, self, true);
    recount(lock);
    turn(lock);
    leave(lock, true, false);
    os_futex_wake(&lock->turn.value, INT_MAX, true);
}

__attribute__((constructor)) static void
teach(void)
{
    recover_teach(SLOT_WAIT_READ, recover, offsetof(struct rwlock, turn));
    recover_teach(SLOT_WAIT_WRITE, recover, offsetof(struct rwlock, turn));
}
