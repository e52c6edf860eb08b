/* A bounded FIFO among processes, in the shared heap, that survives the death
 * of any of its users at any instruction.
 *
 *   meta[c]     the only truth about cell c: FREE, QUEUED with its sequence
 *               number, or LEASED with that and its getter's owner word. Each
 *               operation on an item commits by ONE store of it; a payload that
 *               is half copied lies in a FREE cell
 *   the rest    caches of it, under the same robust lock: which cells are free,
 *               the order of the queued ones, the next sequence number. Rebuilt
 *               by the next taker of the lock when its holder died
 *
 * not_empty, not_full and settled are words to sleep on, changed under the lock
 * after each commit that they tell of. `watched` is for those who only look
 * whether there is an item: all of them are woken, so that the wake-up of one
 * who takes is not used up. Who dies in a call may leave others
 * asleep on what is there: its death is recovered by rebuilding, and by waking
 * all who wait; who is in nobody's care looks again after a second. */
#include "base/why.h"
#include "os/os.h"
#include "queue/queue.h"
#include "registry/registry.h"
#include "sync/held.h"
#include "sync/object.h"
#include "sync/recover.h"
#include "wait/robust.h"

#include <weft/shared.h>
#include <weft/status.h>

#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>

/* meta: bits 0–31 the sequence number, 32–61 the owner, 62 QUEUED, 63 LEASED.
 */
#define FREE       UINT64_C(0)
#define QUEUED     (UINT64_C(1) << 62)
#define LEASED     (UINT64_C(1) << 63)
#define OWNER_AT   32
#define OWNER_MASK UINT64_C(0x3fffffff)

struct shared_queue {
    struct weft_queue base;
    uint32_t capacity; /* read-only, as the next two */
    bool leased;
    size_t stride;
    _Alignas(64) struct wait_word lock;
    /* Under lock. */
    _Atomic uint32_t closed, open, next; /* open: got and not done; next: seq */
    uint32_t head;                       /* of order[]: the queued cells */
    _Atomic uint32_t count;              /* of them; read also without */
    uint32_t free_count;
    _Alignas(64) struct wait_word not_empty;
    _Alignas(64) struct wait_word not_full;
    _Alignas(64) struct wait_word settled; /* nothing queued, nothing open */
    struct wait_word watched;              /* as not_empty */
    _Alignas(64) _Atomic uint64_t meta[];
    /* then: uint32_t order[capacity], free[capacity]; then the items */
};

static struct shared_queue *
shared_of(const weft_queue *queue)
{
    return (struct shared_queue *)(uintptr_t)queue;
}

static uint32_t *
order_of(struct shared_queue *queue)
{
    return (uint32_t *)(void *)(queue->meta + queue->capacity);
}

static uint32_t *
free_of(struct shared_queue *queue)
{
    return order_of(queue) + queue->capacity;
}

static char *
item_at(struct shared_queue *queue, uint32_t cell)
{
    return (char *)(free_of(queue) + queue->capacity) + cell * queue->stride;
}

static uint32_t
count_of(const struct shared_queue *queue)
{
    return atomic_load_explicit(&queue->count, memory_order_relaxed);
}

static void
set_count(struct shared_queue *queue, uint32_t count)
{
    atomic_store_explicit(&queue->count, count, memory_order_relaxed);
}

static uint32_t
sequence_of(uint64_t meta)
{
    return (uint32_t)meta;
}

static uint32_t
owner_of(uint64_t meta)
{
    return (uint32_t)(meta >> OWNER_AT & OWNER_MASK);
}

/* --- Repair */

/* Sequence numbers wrap around; those in a queue are close together. */
static int
by_sequence(const void *a, const void *b, void *context)
{
    const struct shared_queue *queue = context;
    const uint32_t first =
        sequence_of(atomic_load(&queue->meta[*(const uint32_t *)a]));
    const uint32_t second =
        sequence_of(atomic_load(&queue->meta[*(const uint32_t *)b]));

    return first == second ? 0 : (int32_t)(first - second) < 0 ? -1 : 1;
}

/* All caches, from meta. It may be cut short by a death, and is done again. */
static void
rebuild(struct shared_queue *queue)
{
    uint32_t *order = order_of(queue), *unused = free_of(queue);
    uint32_t next = atomic_load(&queue->next);

    uint32_t count = 0;

    queue->head = queue->free_count = 0;
    for (uint32_t c = queue->capacity; c-- > 0;) {
        const uint64_t meta = atomic_load(&queue->meta[c]);

        if (meta == FREE)
            unused[queue->free_count++] = c;
        else if (meta & QUEUED)
            order[count++] = c;
        if (meta != FREE && (int32_t)(sequence_of(meta) - next) >= 0)
            next = sequence_of(meta) + 1;
    }
    qsort_r(order, count, sizeof *order, by_sequence, queue);
    set_count(queue, count);
    atomic_store(&queue->next, next);
}

/* Leases of those who can give them back no longer return to their places. */
static void
return_leases(struct shared_queue *queue)
{
    bool found = false;

    for (uint32_t c = 0; queue->leased && c < queue->capacity; c++) {
        const uint64_t meta = atomic_load(&queue->meta[c]);

        if (!(meta & LEASED) || registry_owner_lives(owner_of(meta)))
            continue;
        atomic_store(&queue->meta[c], QUEUED | sequence_of(meta));
        found = true;
    }
    if (found)
        rebuild(queue);
}

/* Under the lock: what waiters wait for may be there. release: who sees it goes
 * for the lock, whose exchange also stands between this and the look at parked.
 */
static void
change(struct wait_word *word)
{
    const uint32_t value =
        atomic_load_explicit(&word->value, memory_order_relaxed);

    atomic_store_explicit(&word->value, value + 1, memory_order_release);
}

/* After the lock was given back, whose exchange pairs with parked++ in any.c:
 * the watcher is seen, or sees the item. */
static void
wake_watchers(struct shared_queue *queue)
{
    if (atomic_load(&queue->watched.parked) == 0)
        return;
    atomic_fetch_add(&queue->watched.value, 1);
    os_futex_wake(&queue->watched.value, INT_MAX, true);
}

static void
lock(struct shared_queue *queue, struct self *self)
{
    if (!robust_take(&queue->lock, self, true))
        return;
    rebuild(queue);
    change(&queue->not_empty);
    change(&queue->not_full);
    change(&queue->settled);
}

static void
unlock(struct shared_queue *queue)
{
    robust_give(&queue->lock, true);
}

static bool
is_settled(const struct shared_queue *queue)
{
    return count_of(queue) == 0 && atomic_load(&queue->open) == 0 &&
           (!queue->leased || queue->free_count == queue->capacity);
}

static void
recover(void *object, const struct slot *dead, uint32_t ticket)
{
    struct shared_queue *queue = object;
    struct self *self = self_get();

    (void)dead;
    (void)ticket;
    if (queue->base.magic != QUEUE_MAGIC || robust_enter(self) < 0)
        return;
    lock(queue, self);
    return_leases(queue);
    change(&queue->not_empty);
    change(&queue->not_full);
    change(&queue->settled);
    unlock(queue);
    os_futex_wake(&queue->not_empty.value, INT_MAX, true);
    os_futex_wake(&queue->not_full.value, INT_MAX, true);
    os_futex_wake(&queue->settled.value, INT_MAX, true);
    wake_watchers(queue);
}

__attribute__((constructor)) static void
teach(void)
{
    recover_teach(SLOT_WAIT_PUT, recover, 0);
    recover_teach(SLOT_WAIT_GET, recover, 0);
    recover_teach(SLOT_WAIT_DONE, recover, 0);
}

/* --- Opening and closing */

static int
open_shared(weft_queue **out, const weft_queue_options *options)
{
    const size_t stride = queue_stride(0, options->item_size);
    struct shared_queue *queue;
    const size_t size =
        sizeof *queue + options->capacity * (sizeof *queue->meta +
                                             2 * sizeof(uint32_t) + stride);

    queue = weft_shared_alloc(size);
    if (!queue)
        return WEFT_ENOMEM;
    queue->capacity = (uint32_t)options->capacity;
    queue->leased = options->leased;
    queue->stride = stride;
    rebuild(queue);
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
}

/* Words' counts may be too high after deaths; what the living say is exact. */
static unsigned
users_of(weft_queue *queue)
{
    struct users users = {.queue = shared_of(queue)};

    registry_each_living(count_user, &users);
    return users.count;
}

static void
close_shared(weft_queue *queue)
{
    weft_shared_free(queue);
}

/* --- Putting and getting */

/* What one call does under the lock. > 0: it did so many; 0: it must wait. */
typedef int step_fn(struct shared_queue *queue, struct self *self, void *items,
                    unsigned n);

struct call {
    struct shared_queue *queue;
    step_fn *step;
    struct wait_word *wait, *tell; /* sleeps on; wakes others on */
    unsigned kind;
    void *items;
    unsigned n;
};

/* Of order[], `after` <= capacity behind the head. */
static uint32_t
place_after(const struct shared_queue *queue, uint32_t after)
{
    const uint32_t place = queue->head + after;

    return place < queue->capacity ? place : place - queue->capacity;
}

static int
put_some(struct shared_queue *queue, struct self *self, void *items, unsigned n)
{
    const char *from = items;
    unsigned done = 0;

    (void)self;
    if (atomic_load(&queue->closed))
        return WEFT_ECLOSED;
    for (; done < n && queue->free_count > 0; done++) {
        const uint32_t cell = free_of(queue)[queue->free_count - 1];
        const uint32_t sequence = atomic_load(&queue->next);

        memcpy(item_at(queue, cell), from + done * queue->base.item_size,
               queue->base.item_size);
        /* The commit. */
        atomic_store_explicit(&queue->meta[cell], QUEUED | sequence,
                              memory_order_release);
        queue->free_count--;
        order_of(queue)[place_after(queue, count_of(queue))] = cell;
        set_count(queue, count_of(queue) + 1);
        atomic_store_explicit(&queue->next, sequence + 1, memory_order_relaxed);
    }
    return (int)done;
}

static void
take_one(struct shared_queue *queue, struct self *self, char *to)
{
    const uint32_t cell = order_of(queue)[queue->head];
    const uint64_t sequence = sequence_of(
        atomic_load_explicit(&queue->meta[cell], memory_order_relaxed));

    if (to)
        memcpy(to, item_at(queue, cell), queue->base.item_size);
    if (to && queue->leased) {
        held_take(self, queue, SLOT_WAIT_DONE | SLOT_SHARED,
                  __builtin_return_address(0));
        /* The commit, as the other one. */
        atomic_store_explicit(&queue->meta[cell],
                              LEASED | (uint64_t)self->owner << OWNER_AT |
                                  sequence,
                              memory_order_release);
    } else {
        atomic_store_explicit(&queue->meta[cell], FREE, memory_order_release);
        free_of(queue)[queue->free_count++] = cell;
        if (to)
            atomic_store_explicit(&queue->open, atomic_load(&queue->open) + 1,
                                  memory_order_relaxed);
    }
    queue->head = place_after(queue, 1);
    set_count(queue, count_of(queue) - 1);
}

static int
get_some(struct shared_queue *queue, struct self *self, void *items, unsigned n)
{
    char *to = items;
    unsigned done = 0;

    for (; done < n && count_of(queue) > 0; done++)
        take_one(queue, self, to + done * queue->base.item_size);
    return done == 0 && atomic_load(&queue->closed) ? WEFT_ECLOSED : (int)done;
}

/* What sleepers on the word wait for: items, or room. */
static uint32_t
stock(const struct shared_queue *queue, const struct wait_word *word)
{
    return word == &queue->not_empty  ? count_of(queue)
           : word == &queue->not_full ? queue->free_count
                                      : 0;
}

/* One try; *seen is what the word to sleep on says if it did nothing. One
 * wake-up is under way at a time: the first item, or room, wakes, and who took
 * one and leaves others passes it on. */
static int
try_once(const struct call *call, struct self *self, bool again, uint32_t *seen)
{
    struct shared_queue *queue = call->queue;

    lock(queue, self);
    const bool first = stock(queue, call->tell) == 0;

    if (again)
        return_leases(queue);
    const int did = call->step(queue, self, call->items, call->n);
    const bool left = stock(queue, call->wait) > 0;

    *seen = atomic_load_explicit(&call->wait->value, memory_order_relaxed);
    if (did > 0)
        change(call->tell);
    unlock(queue);
    if (did > 0 && first)
        wait_wake(call->tell, did, true);
    if (did > 0 && left)
        wait_wake(call->wait, 1, true);
    if (did > 0 && call->tell == &queue->not_empty)
        wake_watchers(queue);
    return did;
}

static int
run(const struct call *call, struct self *self, int64_t until)
{
    const struct wait_terms terms = {.until = until,
                                     .shared = true,
                                     .kind = call->kind,
                                     .object = call->queue};
    bool again = false;
    int status = 0;

    for (;;) {
        uint32_t seen;
        const int did = try_once(call, self, again, &seen);

        if (did != 0 || status < 0)
            return did != 0 ? did : status;
        status = wait_while(call->wait, seen, &terms);
        again = atomic_load(&call->wait->value) == seen;
    }
}

static int
enter(const struct call *call, int64_t until)
{
    struct self *self = self_get();
    const bool leases = call->queue->leased && call->kind == SLOT_WAIT_GET;
    int status =
        leases ? object_enter(self, call->queue, SLOT_WAIT_DONE | SLOT_SHARED)
               : robust_enter(self);

    if (status < 0)
        return status;
    call_begin(self, call->queue, call->kind);
    status = run(call, self, until);
    call_end(self);
    return status;
}

static int
put_shared(weft_queue *base, const void *items, unsigned n, int64_t until)
{
    struct shared_queue *queue = shared_of(base);

    return enter(&(struct call){.queue = queue,
                                .step = put_some,
                                .wait = &queue->not_full,
                                .tell = &queue->not_empty,
                                .kind = SLOT_WAIT_PUT,
                                .items = (void *)(uintptr_t)items,
                                .n = n},
                 until);
}

static int
get_shared(weft_queue *base, void *items, unsigned n, int64_t until)
{
    struct shared_queue *queue = shared_of(base);

    return enter(&(struct call){.queue = queue,
                                .step = get_some,
                                .wait = &queue->not_empty,
                                .tell = &queue->not_full,
                                .kind = SLOT_WAIT_GET,
                                .items = items,
                                .n = n},
                 until);
}

/* --- Done and join */

/* The caller's lease of the least sequence number; capacity: it has none. */
static uint32_t
oldest_lease(struct shared_queue *queue, const struct self *self)
{
    uint32_t oldest = queue->capacity;

    for (uint32_t c = 0; c < queue->capacity; c++) {
        const uint64_t meta = atomic_load(&queue->meta[c]);

        if (meta & LEASED && owner_of(meta) == self->owner &&
            (oldest == queue->capacity || by_sequence(&c, &oldest, queue) < 0))
            oldest = c;
    }
    return oldest;
}

static uint32_t
leases_of(struct shared_queue *queue, const struct self *self)
{
    uint32_t count = 0;

    for (uint32_t c = 0; c < queue->capacity; c++) {
        const uint64_t meta = atomic_load(&queue->meta[c]);

        count += meta & LEASED && owner_of(meta) == self->owner;
    }
    return count;
}

static int
end_leases(struct shared_queue *queue, struct self *self, unsigned n)
{
    if (n > leases_of(queue, self))
        return WEFT_EOVERFLOW;
    for (; n > 0; n--) {
        const uint32_t cell = oldest_lease(queue, self);

        atomic_store_explicit(&queue->meta[cell], FREE, memory_order_release);
        free_of(queue)[queue->free_count++] = cell;
        (void)held_give(self, queue, SLOT_WAIT_DONE | SLOT_SHARED, 1);
    }
    return 0;
}

static int
count_done(struct shared_queue *queue, struct self *self, unsigned n)
{
    const uint32_t open = atomic_load(&queue->open);

    if (queue->leased)
        return end_leases(queue, self, n);
    if (n > open)
        return WEFT_EOVERFLOW;
    atomic_store(&queue->open, open - n);
    return 0;
}

static int
done_shared(weft_queue *base, unsigned n)
{
    struct shared_queue *queue = shared_of(base);
    struct self *self = self_get();
    int status = robust_enter(self);

    if (status < 0)
        return status;
    call_begin(self, queue, SLOT_WAIT_DONE);
    lock(queue, self);
    status = count_done(queue, self, n);
    const bool settled = is_settled(queue);

    if (settled)
        change(&queue->settled);
    if (queue->leased)
        change(&queue->not_full);
    unlock(queue);
    if (settled)
        wait_wake(&queue->settled, INT_MAX, true);
    if (queue->leased)
        wait_wake(&queue->not_full, (int)n, true);
    call_end(self);
    return status;
}

static int
settle_step(struct shared_queue *queue, struct self *self, void *items,
            unsigned n)
{
    (void)self;
    (void)items;
    (void)n;
    return is_settled(queue);
}

static int
join_shared(weft_queue *base, int64_t until)
{
    struct shared_queue *queue = shared_of(base);
    const int status = enter(&(struct call){.queue = queue,
                                            .step = settle_step,
                                            .wait = &queue->settled,
                                            .tell = &queue->settled,
                                            .kind = SLOT_WAIT_DONE},
                             until);

    return status > 0 ? 0 : status;
}

static void
shutdown_shared(weft_queue *base)
{
    struct shared_queue *queue = shared_of(base);
    struct self *self = self_get();

    if (robust_enter(self) < 0)
        return;
    call_begin(self, queue, SLOT_WAIT_PUT);
    lock(queue, self);
    atomic_store(&queue->closed, 1);
    change(&queue->not_empty);
    change(&queue->not_full);
    unlock(queue);
    wait_wake(&queue->not_empty, INT_MAX, true);
    wait_wake(&queue->not_full, INT_MAX, true);
    wake_watchers(queue);
    call_end(self);
}

static size_t
discard_shared(weft_queue *base)
{
    struct shared_queue *queue = shared_of(base);
    struct self *self = self_get();
    size_t count = 0;

    if (robust_enter(self) < 0)
        return 0;
    call_begin(self, queue, SLOT_WAIT_GET);
    lock(queue, self);
    for (; count_of(queue) > 0; count++)
        take_one(queue, self, NULL);
    change(&queue->not_full);
    change(&queue->settled);
    unlock(queue);
    wait_wake(&queue->not_full, INT_MAX, true);
    wait_wake(&queue->settled, INT_MAX, true);
    call_end(self);
    return count;
}

static size_t
size_shared(const weft_queue *base)
{
    return count_of(shared_of(base));
}

/* --- For weft_wait_any: only by the word, never by watches */

static bool
is_ready(void *object)
{
    struct shared_queue *queue = shared_of(object);

    return count_of(queue) > 0 || atomic_load(&queue->closed);
}

static void
no_watch(void *object, struct watch *watch)
{
    (void)object;
    (void)watch;
}

static struct wait_word *
word_of(void *object)
{
    return &shared_of(object)->watched;
}

/* An eventfd belongs to a process; who sleeps in another one's loop waits with
 * weft_wait_any. */
static int
no_fd(weft_queue *queue)
{
    (void)queue;
    return -EOPNOTSUPP;
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
    .fd = no_fd,
    .waiters = users_of,
    .close = close_shared,
    .any = {is_ready, no_watch, no_watch, word_of},
};
