/* A bounded queue among processes in order of arrival whose items are leased:
 * cells that get free in any order, under one lock.
 *
 *   meta[c]     the only truth about cell c: FREE, QUEUED with its sequence
 *               number, or LEASED with that and its getter's owner word. Each
 *               operation on an item commits by ONE store of it; a payload that
 *               is half copied lies in a FREE cell
 *   the rest    caches of it, under the same robust lock: which cells are free,
 *               the order of the queued ones, the next sequence number. Rebuilt
 *               by the next taker of the lock when its holder died */
#include "queue/shared.h"
#include "registry/registry.h"
#include "sync/held.h"
#include "wait/robust.h"

#include <weft/status.h>

#include <stdlib.h>
#include <string.h>

/* meta: bits 0–31 the sequence number, 32–61 the owner, 62 QUEUED, 63 LEASED.
 */
#define FREE       UINT64_C(0)
#define QUEUED     (UINT64_C(1) << 62)
#define LEASED     (UINT64_C(1) << 63)
#define OWNER_AT   32
#define OWNER_MASK UINT64_C(0x3fffffff)

struct cells {
    struct shared_queue common;
    _Alignas(64) struct wait_word lock;
    /* Under lock; the counts are read also without. */
    uint32_t next; /* sequence number */
    uint32_t head; /* of order[]: the queued cells */
    _Atomic uint32_t count, free_count;
    _Alignas(64) _Atomic uint64_t meta[];
    /* then: uint32_t order[capacity], free[capacity]; then the items */
};

enum {
    HELD = SLOT_WAIT_DONE | SLOT_SHARED
};

static struct cells *
cells_of(const struct shared_queue *queue)
{
    return (struct cells *)(uintptr_t)queue;
}

static uint32_t
capacity_of(const struct cells *cells)
{
    return cells->common.capacity;
}

static uint32_t *
order_of(struct cells *cells)
{
    return (uint32_t *)(void *)(cells->meta + capacity_of(cells));
}

static uint32_t *
free_of(struct cells *cells)
{
    return order_of(cells) + capacity_of(cells);
}

static char *
item_at(struct cells *cells, uint32_t cell)
{
    return (char *)(free_of(cells) + capacity_of(cells)) +
           cell * cells->common.stride;
}

static uint32_t
get_count(const _Atomic uint32_t *count)
{
    return atomic_load_explicit(count, memory_order_relaxed);
}

static void
set_count(_Atomic uint32_t *count, uint32_t value)
{
    atomic_store_explicit(count, value, memory_order_relaxed);
}

static uint64_t
meta_of(const struct cells *cells, uint32_t cell)
{
    return atomic_load_explicit(&cells->meta[cell], memory_order_relaxed);
}

static void
commit(struct cells *cells, uint32_t cell, uint64_t meta)
{
    atomic_store_explicit(&cells->meta[cell], meta, memory_order_release);
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
    const struct cells *cells = context;
    const uint32_t first = sequence_of(meta_of(cells, *(const uint32_t *)a));
    const uint32_t second = sequence_of(meta_of(cells, *(const uint32_t *)b));

    return first == second ? 0 : (int32_t)(first - second) < 0 ? -1 : 1;
}

/* All caches, from meta. It may be cut short by a death, and is done again. */
static void
rebuild(struct cells *cells)
{
    uint32_t *order = order_of(cells), *unused = free_of(cells);
    uint32_t next = cells->next, count = 0, free_count = 0;

    cells->head = 0;
    for (uint32_t c = capacity_of(cells); c-- > 0;) {
        const uint64_t meta = meta_of(cells, c);

        if (meta == FREE)
            unused[free_count++] = c;
        else if (meta & QUEUED)
            order[count++] = c;
        if (meta != FREE && (int32_t)(sequence_of(meta) - next) >= 0)
            next = sequence_of(meta) + 1;
    }
    qsort_r(order, count, sizeof *order, by_sequence, cells);
    set_count(&cells->count, count);
    set_count(&cells->free_count, free_count);
    cells->next = next;
}

static void
lock(struct cells *cells, struct self *self)
{
    if (robust_take(&cells->lock, self, true))
        rebuild(cells);
}

static void
unlock(struct cells *cells)
{
    robust_give(&cells->lock, true);
}

static bool
is_settled(const struct cells *cells)
{
    return get_count(&cells->free_count) == capacity_of(cells);
}

/* Leases of those who can give them back no longer return to their places. */
static void
return_leases(struct cells *cells)
{
    bool found = false;

    for (uint32_t c = 0; c < capacity_of(cells); c++) {
        const uint64_t meta = meta_of(cells, c);

        if (!(meta & LEASED) || registry_owner_lives(owner_of(meta)))
            continue;
        commit(cells, c, QUEUED | sequence_of(meta));
        found = true;
    }
    if (found)
        rebuild(cells);
}

static void
mend(struct shared_queue *queue, struct self *self)
{
    struct cells *cells = cells_of(queue);

    lock(cells, self);
    return_leases(cells);
    unlock(cells);
}

/* --- Putting and getting */

/* Of order[], `after` <= capacity behind the head. */
static uint32_t
place_after(const struct cells *cells, uint32_t after)
{
    const uint32_t place = cells->head + after;

    return place < capacity_of(cells) ? place : place - capacity_of(cells);
}

static void
put_one(struct cells *cells, const char *from)
{
    const uint32_t unused = get_count(&cells->free_count) - 1;
    const uint32_t cell = free_of(cells)[unused];
    const uint32_t count = get_count(&cells->count);

    memcpy(item_at(cells, cell), from, cells->common.base.item_size);
    commit(cells, cell, QUEUED | cells->next);
    set_count(&cells->free_count, unused);
    order_of(cells)[place_after(cells, count)] = cell;
    set_count(&cells->count, count + 1);
    cells->next++;
}

static int
put(struct shared_queue *queue, struct self *self, void *items, unsigned n,
    struct shared_look *look)
{
    struct cells *cells = cells_of(queue);
    const char *from = items;
    unsigned did = 0;

    lock(cells, self);
    const bool closed =
        atomic_load_explicit(&queue->closed, memory_order_relaxed);

    while (!closed && did < n && get_count(&cells->free_count) > 0)
        put_one(cells, from + did++ * queue->base.item_size);
    unlock(cells);
    *look = (struct shared_look){&cells->free_count, 0};
    return closed ? WEFT_ECLOSED : (int)did;
}

static void
free_cell(struct cells *cells, uint32_t cell)
{
    const uint32_t unused = get_count(&cells->free_count);

    commit(cells, cell, FREE);
    free_of(cells)[unused] = cell;
    set_count(&cells->free_count, unused + 1);
}

static void
lease(struct cells *cells, struct self *self, uint32_t cell, char *to)
{
    const uint64_t owner = (uint64_t)self->owner << OWNER_AT;

    memcpy(to, item_at(cells, cell), cells->common.base.item_size);
    held_take(self, cells, HELD, __builtin_return_address(0));
    commit(cells, cell, LEASED | owner | sequence_of(meta_of(cells, cell)));
}

static int
get(struct shared_queue *queue, struct self *self, void *items, unsigned n,
    struct shared_look *look)
{
    struct cells *cells = cells_of(queue);
    char *to = items;
    unsigned did = 0;

    lock(cells, self);
    for (uint32_t count; did < n && (count = get_count(&cells->count)) > 0;) {
        const uint32_t cell = order_of(cells)[cells->head];

        if (to)
            lease(cells, self, cell, to + did * queue->base.item_size);
        else
            free_cell(cells, cell);
        cells->head = place_after(cells, 1);
        set_count(&cells->count, count - 1);
        did++;
    }
    const bool closed =
        atomic_load_explicit(&queue->closed, memory_order_relaxed);

    if (!to && is_settled(cells))
        shared_settled(queue);
    unlock(cells);
    *look = (struct shared_look){&cells->count, 0};
    return did == 0 && closed ? WEFT_ECLOSED : (int)did;
}

/* --- Done */

/* The caller's lease of the least sequence number; capacity: it has none. */
static uint32_t
oldest_lease(struct cells *cells, const struct self *self)
{
    uint32_t oldest = capacity_of(cells);

    for (uint32_t c = 0; c < capacity_of(cells); c++) {
        const uint64_t meta = meta_of(cells, c);

        if (meta & LEASED && owner_of(meta) == self->owner &&
            (oldest == capacity_of(cells) ||
             by_sequence(&c, &oldest, cells) < 0))
            oldest = c;
    }
    return oldest;
}

static uint32_t
leases_of(struct cells *cells, const struct self *self)
{
    uint32_t count = 0;

    for (uint32_t c = 0; c < capacity_of(cells); c++) {
        const uint64_t meta = meta_of(cells, c);

        count += meta & LEASED && owner_of(meta) == self->owner;
    }
    return count;
}

static int
end_leases(struct cells *cells, struct self *self, unsigned n)
{
    if (n > leases_of(cells, self))
        return WEFT_EOVERFLOW;
    for (; n > 0; n--) {
        free_cell(cells, oldest_lease(cells, self));
        (void)held_give(self, cells, HELD, 1);
    }
    return 0;
}

static int
done(struct shared_queue *queue, struct self *self, unsigned n)
{
    struct cells *cells = cells_of(queue);

    lock(cells, self);
    int status = end_leases(cells, self, n);

    if (status == 0 && is_settled(cells)) {
        shared_settled(queue);
        status = 1;
    }
    unlock(cells);
    return status;
}

static int
settle(struct shared_queue *queue, struct self *self, void *items, unsigned n,
       struct shared_look *look)
{
    struct cells *cells = cells_of(queue);

    (void)items;
    (void)n;
    lock(cells, self);
    const bool settled = is_settled(cells);

    *look = (struct shared_look){&queue->settled.value,
                                 atomic_load(&queue->settled.value)};
    unlock(cells);
    return settled;
}

static void
shut(struct shared_queue *queue, struct self *self)
{
    struct cells *cells = cells_of(queue);

    lock(cells, self);
    atomic_store(&queue->closed, 1);
    unlock(cells);
}

static size_t
count(const struct shared_queue *queue)
{
    return atomic_load(&cells_of(queue)->count);
}

static size_t
size(size_t capacity, size_t stride)
{
    return sizeof(struct cells) +
           capacity * (sizeof(uint64_t) + 2 * sizeof(uint32_t) + stride);
}

static void
prepare(struct shared_queue *queue)
{
    rebuild(cells_of(queue));
}

const struct shared_kind shared_leased = {
    .size = size,
    .head = 0,
    .prepare = prepare,
    .put = put,
    .get = get,
    .settle = settle,
    .done = done,
    .shut = shut,
    .mend = mend,
    .count = count,
};
