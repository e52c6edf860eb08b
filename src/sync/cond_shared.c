/* Among processes there are no lists, which a death could tear, but tickets:
 *
 *   next      the next waiter's ticket
 *   granted   all tickets below it may go on: changed by one store, which is
 *             the notification
 *   holes     how many of the tickets from granted to next nobody waits with:
 *             a cache, recounted when somebody died
 *
 * all under a robust lock. Who waits says so, with its ticket, in its own slot.
 * As long as there are no holes a notification looks at nothing else; with
 * holes, or where nobody recovers the dead, it looks for the waiters in their
 * slots. A waiter sleeps on one of a few words that are changed after
 * `granted`, so that not all wake for one.
 *
 * A waiter that was granted says so in its slot until it has the mutex: killed
 * before, it can have seen nothing of what it was told, and the notification
 * goes to the next one. */
#include "os/os.h"
#include "registry/registry.h"
#include "sync/cond.h"
#include "sync/mutex.h"
#include "sync/object.h"
#include "sync/recover.h"
#include "wait/robust.h"

#include <weft/status.h>

#include <limits.h>

enum {
    CHANNELS = 4
};

struct cond {
    bool shared;
    struct wait_word lock;
    _Atomic uint32_t next, granted, holes; /* under lock; granted is read also
                                              without */
    struct wait_word channels[CHANNELS];
};

_Static_assert(sizeof(struct cond) <= sizeof(weft_cond), "the same words");

static struct cond *
cond_of(void *cond)
{
    return cond;
}

/* Tickets wrap around. */
static bool
is_before(uint32_t a, uint32_t b)
{
    return (int32_t)(a - b) < 0;
}

static bool
is_granted(const struct cond *cond, uint32_t ticket)
{
    return is_before(ticket, atomic_load(&cond->granted));
}

/* The waiters that live and are not granted. */
struct look {
    const struct cond *cond;
    uint32_t count, least; /* least: of the tickets, from granted */
};

static void
look_at(const struct slot *slot, void *context)
{
    struct look *look = context;
    const uint32_t granted = atomic_load(&look->cond->granted);

    if (atomic_load(&slot->call.object) != (uintptr_t)look->cond ||
        atomic_load(&slot->call.kind) != SLOT_WAIT_COND)
        return;
    const uint32_t from = atomic_load(&slot->call.ticket) - granted;

    if (from >= atomic_load(&look->cond->next) - granted)
        return;
    look->count++;
    if (from < look->least)
        look->least = from;
}

static struct look
look_for_waiters(const struct cond *cond)
{
    struct look look = {.cond = cond, .least = UINT32_MAX};

    registry_each_living(look_at, &look);
    return look;
}

static void
recount(struct cond *cond)
{
    const struct look look = look_for_waiters(cond);

    atomic_store(&cond->holes, atomic_load(&cond->next) -
                                   atomic_load(&cond->granted) - look.count);
}

static void
enter(struct cond *cond, struct self *self)
{
    if (robust_take(&cond->lock, self, true))
        recount(cond);
}

/* One more may go on; false: nobody waits. */
static bool
grant_one(struct cond *cond)
{
    const uint32_t granted = atomic_load(&cond->granted);
    const struct look look = look_for_waiters(cond);

    if (look.count == 0) {
        atomic_store(&cond->granted, atomic_load(&cond->next));
        atomic_store(&cond->holes, 0);
        return false;
    }
    atomic_store(&cond->granted, granted + look.least + 1);
    atomic_fetch_sub(&cond->holes, look.least);
    return true;
}

static void
grant(struct cond *cond, unsigned n)
{
    const uint32_t next = atomic_load(&cond->next);
    const uint32_t granted = atomic_load(&cond->granted);

    if (n >= next - granted) {
        atomic_store(&cond->granted, next);
        atomic_store(&cond->holes, 0);
    } else if (atomic_load(&cond->holes) == 0 && object_can_be_reached(cond)) {
        atomic_store(&cond->granted, granted + n);
    } else {
        while (n-- > 0 && grant_one(cond))
            ;
    }
}

/* Who sleeps on the channels of the tickets from `from` to `to` looks again. */
static void
ring(struct cond *cond, uint32_t from, uint32_t to)
{
    for (unsigned i = 0; i < CHANNELS && from != to; i++, from++) {
        struct wait_word *channel = &cond->channels[from % CHANNELS];

        atomic_fetch_add(&channel->value, 1);
        wait_wake(channel, INT_MAX, true);
    }
}

void
cond_shared_notify(weft_cond *object, struct self *self, unsigned n)
{
    struct cond *cond = cond_of(object);

    if (robust_enter(self) < 0)
        object_misused("weft_cond_notify", object, __builtin_return_address(0),
                       weft_why());
    call_begin(self, object, SLOT_WAIT_NOTIFY);
    enter(cond, self);
    const uint32_t before = atomic_load(&cond->granted);

    grant(cond, n);
    const uint32_t after = atomic_load(&cond->granted);

    robust_give(&cond->lock, true);
    ring(cond, before, after);
    call_end(self);
}

static uint32_t
draw_ticket(struct cond *cond, struct self *self)
{
    enter(cond, self);
    const uint32_t ticket = atomic_load(&cond->next);

    atomic_store(&self->slot->call.ticket, ticket);
    call_begin(self, cond, SLOT_WAIT_COND);
    atomic_store(&cond->next, ticket + 1);
    robust_give(&cond->lock, true);
    return ticket;
}

/* The wait is over, but for the mutex. Both words are the cond's for a moment:
 * sync/recover.c takes that for one. */
static void
keep_grant(struct cond *cond, struct self *self, uint32_t ticket)
{
    struct slot_call *granted = &self->slot->granted;

    atomic_store_explicit(&granted->kind, SLOT_WAIT_COND, memory_order_relaxed);
    atomic_store_explicit(&granted->ticket, ticket, memory_order_relaxed);
    /* release: whoever sees the object sees its kind and ticket */
    atomic_store_explicit(&granted->object, (uintptr_t)cond,
                          memory_order_release);
    call_end(self);
}

void
cond_shared_end(struct self *self)
{
    atomic_store_explicit(&self->slot->granted.object, 0, memory_order_release);
}

/* The waiter leaves; granted at the last moment counts. The slot's word goes
 * first: who dies in between leaves a hole that is found by counting. */
static int
give_ticket_back(struct cond *cond, struct self *self, uint32_t ticket,
                 int status)
{
    enter(cond, self);
    if (is_granted(cond, ticket)) {
        keep_grant(cond, self, ticket);
        status = 0;
    } else {
        call_end(self);
        if (ticket + 1 == atomic_load(&cond->next))
            atomic_store(&cond->next, ticket);
        else
            atomic_fetch_add(&cond->holes, 1);
    }
    robust_give(&cond->lock, true);
    return status;
}

int
cond_shared_wait(weft_cond *object, weft_mutex *mutex, struct self *self,
                 const struct wait_terms *terms)
{
    struct cond *cond = cond_of(object);
    const uint32_t ticket = draw_ticket(cond, self);
    struct wait_word *channel = &cond->channels[ticket % CHANNELS];
    int status = 0;

    mutex_give(mutex, self);
    for (;;) {
        const uint32_t seen =
            atomic_load_explicit(&channel->value, memory_order_acquire);

        if (is_granted(cond, ticket)) {
            keep_grant(cond, self, ticket);
            return 0;
        }
        if (status < 0)
            return give_ticket_back(cond, self, ticket, status);
        status = wait_while(channel, seen, terms);
    }
}

static bool
is_wait_for(const struct slot_call *call, const void *object)
{
    return atomic_load(&call->object) == (uintptr_t)object &&
           atomic_load(&call->kind) == SLOT_WAIT_COND;
}

/* A notification that its waiter took to the grave goes to the next one. */
static void
recover(void *object, const struct slot *dead, uint32_t ticket)
{
    struct cond *cond = object;
    struct self *self = self_get();
    const bool waited =
        is_wait_for(&dead->call, object) || is_wait_for(&dead->granted, object);

    if (robust_enter(self) < 0)
        return;
    (void)robust_take(&cond->lock, self, true);
    recount(cond);
    if (waited && is_granted(cond, ticket) &&
        atomic_load(&cond->next) != atomic_load(&cond->granted))
        (void)grant_one(cond);
    robust_give(&cond->lock, true);
    for (unsigned i = 0; i < CHANNELS; i++) {
        atomic_fetch_add(&cond->channels[i].value, 1);
        os_futex_wake(&cond->channels[i].value, INT_MAX, true);
    }
}

__attribute__((constructor)) static void
teach(void)
{
    recover_teach(SLOT_WAIT_COND, recover, 0);
    recover_teach(SLOT_WAIT_NOTIFY, recover, 0);
}
