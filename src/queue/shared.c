/* Waiting, waking and recovering, for all kinds of queues among processes. */
#include "queue/shared.h"

#include "os/os.h"
#include "queue/outlet.h"
#include "registry/registry.h"
#include "sync/held.h"
#include "sync/object.h"
#include "sync/recover.h"
#include "wait/robust.h"

#include <weft/shared.h>
#include <weft/status.h>

#include <limits.h>

static struct shared_queue *
shared_of(const void *queue)
{
    return (struct shared_queue *)(uintptr_t)queue;
}

/* Found anew in each process: the tables need not be at the same address. */
static inline const struct shared_kind *
kind_of(const struct shared_queue *queue)
{
    return queue->leased ? &shared_leased : &shared_ring;
}

static bool
may_get(const struct shared_queue *queue)
{
    return kind_of(queue)->count(queue) > 0;
}

/* Room may still be taken up by leases: a wake-up for nothing. */
static bool
may_put(const struct shared_queue *queue)
{
    return kind_of(queue)->count(queue) < queue->capacity;
}

/* --- Waking */

static void
wake_all(struct wait_word *word)
{
    atomic_fetch_add(&word->value, 1);
    os_futex_wake(&word->value, INT_MAX, true);
}

static void
tell_slowly(struct shared_side *side, uint32_t seen)
{
    while (seen >= SHARED_ONE && !(seen & SHARED_WAKING))
        if (atomic_compare_exchange_weak(&side->waiting, &seen,
                                         seen | SHARED_WAKING)) {
            atomic_fetch_add(&side->word.value, 1);
            wait_wake(&side->word, 1, true);
            return;
        }
}

static inline void
tell(struct shared_side *side)
{
    const uint32_t seen = atomic_load(&side->waiting);

    if (__builtin_expect(seen >= SHARED_ONE, 0))
        tell_slowly(side, seen);
}

static void
tell_all(struct shared_side *side)
{
    atomic_fetch_and(&side->waiting, ~(uint32_t)SHARED_WAKING);
    wake_all(&side->word);
}

static inline void
tell_watchers(struct wait_word *word)
{
    if (__builtin_expect(atomic_load(&word->parked) > 0, 0))
        wake_all(word);
}

/* It may be ready now, or no longer. */
static inline void
tell_outside(struct shared_queue *queue)
{
    tell_watchers(&queue->outside);
    outlet_turn(queue);
}

static void
tell_items(struct shared_queue *queue)
{
    tell(&queue->items);
    tell_watchers(&queue->watched);
    tell_outside(queue);
}

static void
tell_room(struct shared_queue *queue)
{
    tell(&queue->room);
    tell_outside(queue);
}

static void
tell_everybody(struct shared_queue *queue)
{
    tell_all(&queue->items);
    tell_all(&queue->room);
    wake_all(&queue->settled);
    tell_watchers(&queue->watched);
    tell_outside(queue);
}

static void
recover(void *object, const struct slot *dead, uint32_t ticket)
{
    struct shared_queue *queue = object;
    struct self *self = self_get();

    (void)dead;
    (void)ticket;
    if (atomic_load(&queue->base.magic) != QUEUE_MAGIC ||
        robust_enter(self) < 0)
        return;
    kind_of(queue)->mend(queue, self);
    tell_everybody(queue);
}

__attribute__((constructor)) static void
teach(void)
{
    recover_teach(SLOT_WAIT_PUT, recover, 0);
    recover_teach(SLOT_WAIT_GET, recover, 0);
    recover_teach(SLOT_WAIT_DONE, recover, 0);
    /* Held by watchers, who take nothing with them. */
    recover_teach(SLOT_WAIT_ANY, NULL, offsetof(struct shared_queue, watched));
}

/* --- Waiting */

struct call {
    struct shared_queue *queue;
    struct self *self;
    shared_try *try;
    struct shared_side *side; /* where it waits */
    bool (*more)(const struct shared_queue *queue);
    void *items;
    unsigned n;
    struct wait_terms terms;
    struct shared_look look; /* of the last try */
    bool announced;          /* somebody may have been woken for it */
};

static int
attempt(struct call *call)
{
    return call->try(call->queue, call->self, call->items, call->n,
                     &call->look);
}

static uint32_t
announce(struct shared_side *side)
{
    const uint32_t value = atomic_load(&side->word.value);
    uint32_t now = atomic_load(&side->waiting);

    while (!atomic_compare_exchange_weak(
        &side->waiting, &now, (now + SHARED_ONE) & ~(uint32_t)SHARED_WAKING))
        ;
    return value;
}

static void
leave(struct shared_side *side)
{
    uint32_t now = atomic_load(&side->waiting);

    while (!atomic_compare_exchange_weak(
        &side->waiting, &now, (now - SHARED_ONE) & ~(uint32_t)SHARED_WAKING))
        ;
}

/* Sleeps, announced, unless the last look before it succeeds. *did is what that
 * look did. */
static int
sleep_on(struct call *call, int *did)
{
    struct shared_side *side = call->side;
    const uint32_t value = announce(side);
    int over = 0;

    call->announced = true;
    *did = attempt(call);
    if (*did == 0) {
        over = wait_asleep(&side->word, value, &call->terms);
        if (over == 0 && atomic_load(&side->word.value) == value)
            kind_of(call->queue)->mend(call->queue, call->self);
    }
    leave(side);
    return over;
}

static int
wait_for(struct call *call)
{
    for (;;) {
        int did = 0;
        int over = wait_spin(&call->side->word, call->look.word, call->look.old,
                             &call->terms);

        if (over == 0)
            over = sleep_on(call, &did);
        if (did == 0)
            did = attempt(call);
        if (did > 0 && call->announced && call->more(call->queue))
            tell(call->side);
        if (did != 0)
            return did;
        if (over < 0)
            return over;
    }
}

/* Out of line, so that what need not wait does not pay for the room. */
static __attribute__((noinline)) int
run(struct call call)
{
    return call.terms.until <= 0 ? WEFT_ETIMEDOUT : wait_for(&call);
}

static int
put_shared(weft_queue *base, const void *items, unsigned n, int64_t until)
{
    struct shared_queue *queue = shared_of(base);
    const struct shared_kind *kind = kind_of(queue);
    void *only_read = (void *)(uintptr_t)items;
    struct self *self = self_get();
    struct shared_look look;
    int did = robust_enter(self);

    if (did < 0)
        return did;
    call_begin(self, queue, SLOT_WAIT_PUT);
    did = kind->put(queue, self, only_read, n, &look);
    if (did == 0)
        did = run((struct call){.queue = queue,
                                .self = self,
                                .try = kind->put,
                                .side = &queue->room,
                                .more = may_put,
                                .items = only_read,
                                .n = n,
                                .look = look,
                                .terms = {.until = until,
                                          .shared = true,
                                          .kind = SLOT_WAIT_PUT,
                                          .object = queue}});
    if (did > 0)
        tell_items(queue);
    call_end(self);
    return did;
}

/* What is held is told to others, so that it comes back after a death. */
static int
enter_to_get(struct shared_queue *queue, struct self *self)
{
    return queue->leased
               ? object_enter(self, queue, SLOT_WAIT_DONE | SLOT_SHARED)
               : robust_enter(self);
}

static int
get_shared(weft_queue *base, void *items, unsigned n, int64_t until)
{
    struct shared_queue *queue = shared_of(base);
    const struct shared_kind *kind = kind_of(queue);
    struct self *self = self_get();
    struct shared_look look;
    int did = enter_to_get(queue, self);

    if (did < 0)
        return did;
    call_begin(self, queue, SLOT_WAIT_GET);
    did = kind->get(queue, self, items, n, &look);
    if (did == 0)
        did = run((struct call){.queue = queue,
                                .self = self,
                                .try = kind->get,
                                .side = &queue->items,
                                .more = may_get,
                                .items = items,
                                .n = n,
                                .look = look,
                                .terms = {.until = until,
                                          .shared = true,
                                          .kind = SLOT_WAIT_GET,
                                          .object = queue}});
    if (did > 0)
        tell_room(queue);
    call_end(self);
    return did;
}

/* --- Done, join, shutdown and discard */

static int
done_shared(weft_queue *base, unsigned n)
{
    struct shared_queue *queue = shared_of(base);
    struct self *self = self_get();
    int status = robust_enter(self);

    if (status < 0)
        return status;
    call_begin(self, queue, SLOT_WAIT_DONE);
    status = kind_of(queue)->done(queue, self, n);
    if (status > 0)
        wait_wake(&queue->settled, INT_MAX, true);
    if (status >= 0 && queue->leased)
        tell_room(queue);
    call_end(self);
    return status < 0 ? status : 0;
}

static int
wait_until_settled(struct shared_queue *queue, struct self *self, int64_t until)
{
    const struct shared_kind *kind = kind_of(queue);
    const struct wait_terms terms = {.until = until,
                                     .shared = true,
                                     .kind = SLOT_WAIT_DONE,
                                     .object = queue};
    int over = 0;

    for (;;) {
        struct shared_look look;

        if (kind->settle(queue, self, NULL, 0, &look) > 0)
            return 0;
        if (over < 0)
            return over;
        over = wait_while(&queue->settled, look.old, &terms);
        if (over == 0 && atomic_load(&queue->settled.value) == look.old)
            kind->mend(queue, self);
    }
}

static int
join_shared(weft_queue *base, int64_t until)
{
    struct shared_queue *queue = shared_of(base);
    struct self *self = self_get();
    int status = robust_enter(self);

    if (status < 0)
        return status;
    call_begin(self, queue, SLOT_WAIT_DONE);
    status = wait_until_settled(queue, self, until);
    call_end(self);
    return status;
}

static void
shutdown_shared(weft_queue *base)
{
    struct shared_queue *queue = shared_of(base);
    struct self *self = self_get();

    if (robust_enter(self) < 0)
        return;
    call_begin(self, queue, SLOT_WAIT_PUT);
    kind_of(queue)->shut(queue, self);
    tell_everybody(queue);
    call_end(self);
}

static size_t
discard_shared(weft_queue *base)
{
    struct shared_queue *queue = shared_of(base);
    struct self *self = self_get();
    struct shared_look look;

    if (robust_enter(self) < 0)
        return 0;
    call_begin(self, queue, SLOT_WAIT_GET);
    const int did =
        kind_of(queue)->get(queue, self, NULL, queue->capacity, &look);

    if (did > 0)
        tell_everybody(queue);
    call_end(self);
    return did > 0 ? (size_t)did : 0;
}

static size_t
size_shared(const weft_queue *base)
{
    const struct shared_queue *queue = shared_of(base);

    return kind_of(queue)->count(queue);
}

/* --- For weft_wait_any, and for event loops */

bool
shared_is_ready(const struct shared_queue *queue)
{
    return may_get(queue) || atomic_load(&queue->closed);
}

static bool
is_ready(void *object)
{
    return shared_is_ready(object);
}

static void
no_watch(void *object, struct watch *watch)
{
    (void)object;
    (void)watch;
}

/* Who watches sleeps on the word; that it does is told to who closes the queue,
 * as far as its slot has room. */
static void
attend(void *object, bool on)
{
    struct self *self = self_get();

    if (!on)
        (void)held_give(self, object, SLOT_WAIT_ANY | SLOT_SHARED, 1);
    else if (robust_enter(self) == 0 && held_has_room(self))
        held_take(self, object, SLOT_WAIT_ANY | SLOT_SHARED,
                  __builtin_return_address(0));
}

static struct wait_word *
word_of(void *object)
{
    return &shared_of(object)->watched;
}

static int
fd_shared(weft_queue *base)
{
    return outlet_open(shared_of(base));
}

/* --- Opening and closing */

static int
open_shared(weft_queue **out, const weft_queue_options *options)
{
    const struct shared_kind *kind =
        options->leased ? &shared_leased : &shared_ring;
    const size_t stride = queue_stride(kind->head, options->item_size);
    struct shared_queue *queue =
        weft_shared_alloc(kind->size(options->capacity, stride));

    if (!queue)
        return WEFT_ENOMEM;
    queue->capacity = (uint32_t)options->capacity;
    queue->leased = options->leased;
    queue->stride = stride;
    queue->serial = (uint64_t)os_now();
    kind->prepare(queue);
    *out = &queue->base;
    return 0;
}

struct users {
    const struct shared_queue *queue;
    unsigned count;
};

static void
count_user(const struct slot *slot, void *context)
{
    struct users *users = context;

    users->count += atomic_load(&slot->call.object) == (uintptr_t)users->queue;
    users->count +=
        held_count_of(slot, users->queue, SLOT_WAIT_ANY | SLOT_SHARED);
}

/* Words' counts may be too high after deaths; what the living say is exact. */
static unsigned
users_of(weft_queue *queue)
{
    struct users users = {.queue = shared_of(queue)};

    registry_each_living(count_user, &users);
    return users.count;
}

/* The face has taken its magic number away, by which descriptors of all
 * processes see that it is over. */
static void
close_shared(weft_queue *base)
{
    struct shared_queue *queue = shared_of(base);

    outlet_close(queue);
    weft_shared_free(queue);
}

const struct queue_kind queue_shared = {
    .open = open_shared,
    .put = put_shared,
    .get = get_shared,
    .done = done_shared,
    .join = join_shared,
    .shutdown = shutdown_shared,
    .discard = discard_shared,
    .size = size_shared,
    .fd = fd_shared,
    .waiters = users_of,
    .close = close_shared,
    .any = {is_ready, no_watch, no_watch, word_of, attend},
};
