/* A bounded queue among processes in order of arrival, of which nothing is
 * leased: a ring with one lock for those who put and one for those who get, so
 * that one of each are never in each other's way. What they share is the cells.
 *
 *   cell.turn   the only truth about a cell: how often it was filled and
 *               emptied. Even: free; odd: filled. A put, and a get, commits by
 *               ONE store of the next turn; what is half copied lies in a free
 *               cell
 *   tail, head  the next place to fill and to empty, under put_lock and
 *               get_lock: the number of the cell, and the turn in which it is
 *               free in this round. Caches: after the death of the lock's
 *               holder they are at most one place behind the turns
 *
 * What a thread has got and not said to be done it counts in its own slot
 * (held.h), as far as that has room; `open` is the sum over the living, plus
 * `apart`: what was got without room, less what was said to be done by others
 * than had got it. So what somebody had got counts as done once he is gone. The
 * entry's site is the queue's serial number: an older queue's at the same
 * address counts for nothing. */
#include "queue/shared.h"
#include "registry/registry.h"
#include "sync/held.h"
#include "wait/robust.h"

#include <weft/status.h>

#include <string.h>

struct cell {
    _Atomic uint32_t turn;
    unsigned char item[];
};

struct ring {
    struct shared_queue common;
    _Alignas(64) struct wait_word put_lock;
    _Atomic uint64_t tail; /* written under put_lock */
    _Alignas(64) struct wait_word get_lock;
    _Atomic uint64_t head; /* written under get_lock */
    uint32_t open;         /* under get_lock: got and not done */
    uint32_t apart;        /* the same; may be below 0 */
    _Alignas(64) char cells[];
};

enum {
    HELD = SLOT_WAIT_DONE | SLOT_SHARED
};

static struct ring *
ring_of(const struct shared_queue *queue)
{
    return (struct ring *)(uintptr_t)queue;
}

/* --- Places: bits 0–31 the cell, 32–63 the turn */

static struct cell *
cell_at(const struct ring *ring, uint64_t place)
{
    return (struct cell *)(uintptr_t)(ring->cells +
                                      (uint32_t)place * ring->common.stride);
}

static uint32_t
free_turn(uint64_t place)
{
    return (uint32_t)(place >> 32);
}

static uint64_t
after(const struct ring *ring, uint64_t place)
{
    return (uint32_t)place + 1 < ring->common.capacity
               ? place + 1
               : (uint64_t)(free_turn(place) + 2) << 32;
}

/* acquire: pairs with the commits */
static uint32_t
turn_at(const struct ring *ring, uint64_t place)
{
    return atomic_load_explicit(&cell_at(ring, place)->turn,
                                memory_order_acquire);
}

static void
commit(struct cell *cell, uint32_t turn)
{
    atomic_store_explicit(&cell->turn, turn, memory_order_release);
}

static uint64_t
get_place(const _Atomic uint64_t *place)
{
    return atomic_load_explicit(place, memory_order_relaxed);
}

static void
set_place(_Atomic uint64_t *place, uint64_t value)
{
    atomic_store_explicit(place, value, memory_order_relaxed);
}

/* --- Repair, by who finds the lock's holder dead */

/* Past each cell that has come further than `turns` into its round. */
static void
catch_up(struct ring *ring, _Atomic uint64_t *at, uint32_t turns)
{
    uint64_t place = get_place(at);

    while ((int32_t)(turn_at(ring, place) - free_turn(place) - turns) > 0)
        place = after(ring, place);
    set_place(at, place);
}

static void
lock_put(struct ring *ring, struct self *self)
{
    if (robust_take(&ring->put_lock, self, true))
        catch_up(ring, &ring->tail, 0);
}

struct sum {
    const struct ring *ring;
    uint32_t open;
};

static struct slot_held *
entry_of(const struct ring *ring, const struct slot *slot)
{
    struct slot_held *held =
        held_find((struct slot *)(uintptr_t)slot, ring, HELD);

    return held && atomic_load(&held->site) == ring->common.serial ? held
                                                                   : NULL;
}

static void
add_open(const struct slot *slot, void *context)
{
    struct sum *sum = context;
    const struct slot_held *held = entry_of(sum->ring, slot);

    if (held)
        sum->open += atomic_load(&held->count);
}

/* Entries change only under get_lock. */
static void
count_open(struct ring *ring)
{
    struct sum sum = {.ring = ring};

    registry_each_living(add_open, &sum);
    if ((int32_t)(sum.open + ring->apart) < 0)
        ring->apart = 0 - sum.open;
    ring->open = sum.open + ring->apart;
}

static void
lock_get(struct ring *ring, struct self *self)
{
    if (!robust_take(&ring->get_lock, self, true))
        return;
    catch_up(ring, &ring->head, 1);
    count_open(ring);
}

/* Under get_lock. */
static bool
is_settled(const struct ring *ring)
{
    const uint64_t head = get_place(&ring->head);

    return ring->open == 0 && turn_at(ring, head) == free_turn(head);
}

static void
mend(struct shared_queue *queue, struct self *self)
{
    struct ring *ring = ring_of(queue);

    lock_put(ring, self);
    catch_up(ring, &ring->tail, 0);
    robust_give(&ring->put_lock, true);
    lock_get(ring, self);
    catch_up(ring, &ring->head, 1);
    count_open(ring);
    if (is_settled(ring))
        shared_settled(queue);
    robust_give(&ring->get_lock, true);
}

/* --- Putting and getting */

static bool
has_turn(const struct ring *ring, uint64_t place, uint32_t wanted,
         struct shared_look *look)
{
    look->old = turn_at(ring, place);
    look->word = &cell_at(ring, place)->turn;
    return look->old == wanted;
}

static int
put_some(struct ring *ring, const char *from, unsigned n,
         struct shared_look *look)
{
    const size_t size = ring->common.base.item_size;
    uint64_t place = get_place(&ring->tail);
    unsigned done = 0;

    while (done < n && has_turn(ring, place, free_turn(place), look)) {
        struct cell *cell = cell_at(ring, place);

        memcpy(cell->item, from + done++ * size, size);
        commit(cell, free_turn(place) + 1);
        place = after(ring, place);
        set_place(&ring->tail, place);
    }
    return (int)done;
}

static int
put(struct shared_queue *queue, struct self *self, void *items, unsigned n,
    struct shared_look *look)
{
    struct ring *ring = ring_of(queue);

    lock_put(ring, self);
    const int did = atomic_load_explicit(&queue->closed, memory_order_relaxed)
                        ? WEFT_ECLOSED
                        : put_some(ring, items, n, look);

    robust_give(&ring->put_lock, true);
    return did;
}

/* The entry has room for a queue's serial number where others keep a place in
 * the program. */
static void
note_got(struct ring *ring, struct self *self, uint32_t n)
{
    struct slot_held *held = entry_of(ring, self->slot);

    ring->open += n;
    if (held) {
        atomic_store_explicit(
            &held->count,
            atomic_load_explicit(&held->count, memory_order_relaxed) + n,
            memory_order_release);
        return;
    }
    (void)held_give(self, ring, HELD, UINT32_MAX); /* an older queue's */
    if (!held_has_room(self)) {
        ring->apart += n;
        return;
    }
    held_add(self, ring, HELD, (const void *)(uintptr_t)ring->common.serial);
    held = entry_of(ring, self->slot);
    atomic_store_explicit(&held->count, n, memory_order_release);
}

static int
get_some(struct ring *ring, struct self *self, char *to, unsigned n,
         struct shared_look *look)
{
    const size_t size = ring->common.base.item_size;
    uint64_t place = get_place(&ring->head);
    unsigned done = 0;

    while (done < n && has_turn(ring, place, free_turn(place) + 1, look)) {
        struct cell *cell = cell_at(ring, place);

        if (to) {
            memcpy(to + done * size, cell->item, size);
            note_got(ring, self, 1);
        }
        commit(cell, free_turn(place) + 2);
        place = after(ring, place);
        set_place(&ring->head, place);
        done++;
    }
    if (!to && is_settled(ring))
        shared_settled(&ring->common);
    return (int)done;
}

static int
get(struct shared_queue *queue, struct self *self, void *items, unsigned n,
    struct shared_look *look)
{
    struct ring *ring = ring_of(queue);

    lock_get(ring, self);
    /* Before the cells are looked at: what is not there then never comes. */
    const bool closed = atomic_load(&queue->closed);
    const int did = get_some(ring, self, items, n, look);

    robust_give(&ring->get_lock, true);
    return did == 0 && closed ? WEFT_ECLOSED : did;
}

/* --- Done */

static int
settle(struct shared_queue *queue, struct self *self, void *items, unsigned n,
       struct shared_look *look)
{
    struct ring *ring = ring_of(queue);

    (void)items;
    (void)n;
    lock_get(ring, self);
    const bool settled = is_settled(ring);

    *look = (struct shared_look){&queue->settled.value,
                                 atomic_load(&queue->settled.value)};
    robust_give(&ring->get_lock, true);
    return settled;
}

static void
note_done(struct ring *ring, struct self *self, uint32_t n)
{
    const uint32_t own =
        entry_of(ring, self->slot) ? held_give(self, ring, HELD, n) : 0;

    ring->open -= n;
    ring->apart -= n - own;
}

static int
done(struct shared_queue *queue, struct self *self, unsigned n)
{
    struct ring *ring = ring_of(queue);

    lock_get(ring, self);
    const bool right = n <= ring->open;

    if (right)
        note_done(ring, self, n);
    const bool settled = right && is_settled(ring);

    if (settled)
        shared_settled(queue);
    robust_give(&ring->get_lock, true);
    return right ? settled : WEFT_EOVERFLOW;
}

static void
shut(struct shared_queue *queue, struct self *self)
{
    struct ring *ring = ring_of(queue);

    lock_put(ring, self);
    atomic_store(&queue->closed, 1);
    robust_give(&ring->put_lock, true);
}

static size_t
count(const struct shared_queue *queue)
{
    const struct ring *ring = ring_of(queue);
    const uint64_t head = atomic_load(&ring->head);
    const uint64_t tail = atomic_load(&ring->tail);
    const int64_t rounds = (int32_t)(free_turn(tail) - free_turn(head)) / 2;
    const int64_t items = rounds * queue->capacity + (int64_t)(uint32_t)tail -
                          (int64_t)(uint32_t)head;

    /* Each is a moment behind the cells, not always the same one. */
    return items < 0                 ? 0
           : items > queue->capacity ? queue->capacity
                                     : (size_t)items;
}

static size_t
size(size_t capacity, size_t stride)
{
    return sizeof(struct ring) + capacity * stride;
}

/* All zero is ready. */
static void
prepare(struct shared_queue *queue)
{
    (void)queue;
}

const struct shared_kind shared_ring = {
    .size = size,
    .head = sizeof(struct cell),
    .prepare = prepare,
    .put = put,
    .get = get,
    .settle = settle,
    .done = done,
    .shut = shut,
    .mend = mend,
    .count = count,
};
