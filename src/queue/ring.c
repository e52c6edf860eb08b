/* A bounded queue in order of arrival, without a lock: D. Vyukov's "Bounded
 * MPMC queue" (1024cores.net), with a word in each cell that says whose turn it
 * is there. Positions are counted for ever; position p is in cell p % capacity.
 *
 *   cell.turn at position p   meaning                 who sets it
 *   2(p - cell)               free for the putter     the getter of p -
 * capacity 2(p - cell) + 1           filled for the getter   the putter of p
 *
 * so that all zero is ready; it is cut to 32 bits, which no two positions that
 * meet in a cell share. (With turns of one step, as in the original, a cell of
 * a queue for one item would be free and filled at once.)
 *
 *   word       who changes it                            illegal
 *   tail       a putter that claims positions: CAS;      to move while closed,
 *              its highest bit: shutdown, once           to pass head +
 * capacity head       a getter that claims positions: CAS       to pass tail
 *   finished   done: CAS                                 to pass head
 *
 * A position that is claimed and not filled, or not emptied, yet makes others
 * wait for a moment behind it, whatever lies further on: an item must be found
 * once its put has returned. So nothing may be between a claim and its turn but
 * the copying.
 *
 * All turns and positions are changed sequentially consistently, since after
 * each change the other side's `waiting` is read; see private.h. */
#include "queue/private.h"

#include <weft/status.h>

#include <stdlib.h>
#include <string.h>

#define CLOSED (UINT64_C(1) << 63)

struct cell {
    _Atomic uint32_t turn;
    unsigned char item[];
};

/* What is read all the time shares no line with what is written all the time.
 */
struct ring { /* NOLINT(clang-analyzer-optin.performance.Padding) */
    struct private_queue common; /* first */
    size_t capacity;
    size_t mask; /* capacity - 1 where that is a power of two, else 0 */
    size_t item_size;
    size_t stride;
    char *cells;
    _Alignas(128) _Atomic uint64_t tail;
    _Alignas(128) _Atomic uint64_t head;
    _Alignas(128) _Atomic uint64_t finished;
};

enum {
    FREE = 0,
    FILLED = 1
};

struct place {
    struct cell *cell;
    uint32_t lap; /* the turn that is FREE there */
};

static inline struct place
place_of(const struct ring *ring, uint64_t position)
{
    const uint64_t at = ring->mask || ring->capacity == 1
                            ? position & ring->mask
                            : position % ring->capacity;

    return (struct place){
        (struct cell *)(void *)(ring->cells + at * ring->stride),
        (uint32_t)(2 * (position - at))};
}

/* How many cells from a position on, up to n, have the turn; if none, the look
 * is at the first. They keep it until the position is claimed. */
static inline unsigned
count_ready(const struct ring *ring, uint64_t position, unsigned n,
            uint32_t wanted, struct private_look *look)
{
    unsigned ready = 0;

    for (; ready < n; ready++) {
        const struct place place = place_of(ring, position + ready);
        const uint32_t turn = atomic_load(&place.cell->turn);

        if (turn == place.lap + wanted)
            continue;
        if (ready == 0) {
            look->word = &place.cell->turn;
            look->old = turn;
        }
        break;
    }
    return ready;
}

/* --- putting */

static void
fill(const struct ring *ring, uint64_t position, const char *items, unsigned n)
{
    for (unsigned i = 0; i < n; i++) {
        const struct place place = place_of(ring, position + i);

        memcpy(place.cell->item, items + i * ring->item_size, ring->item_size);
        atomic_store(&place.cell->turn, place.lap + FILLED);
    }
}

static int
ring_put(struct private_queue *queue, void *items, unsigned n,
         struct private_look *look)
{
    struct ring *ring = (struct ring *)queue;
    uint64_t tail = atomic_load(&ring->tail);

    for (;;) {
        if (tail & CLOSED)
            return WEFT_ECLOSED;
        const unsigned ready = count_ready(ring, tail, n, FREE, look);

        if (ready > 0) {
            if (!atomic_compare_exchange_weak(&ring->tail, &tail, tail + ready))
                continue;
            fill(ring, tail, items, ready);
            side_notify(queue, &queue->items);
            return (int)ready;
        }
        const uint64_t now = atomic_load(&ring->tail);

        if (now == tail)
            break;
        tail = now;
    }
    /* Full; or a getter has claimed what is there and is about to free it. */
    const uint64_t head = atomic_load(&ring->head);

    look->soon = (int64_t)(tail - head) < (int64_t)ring->capacity;
    return PRIVATE_NOT_NOW;
}

static bool
ring_may_put(struct private_queue *queue)
{
    struct ring *ring = (struct ring *)queue;
    const uint64_t head = atomic_load(&ring->head);
    const uint64_t tail = atomic_load(&ring->tail);

    return !(tail & CLOSED) && tail - head < ring->capacity;
}

/* --- getting */

static void
empty(const struct ring *ring, uint64_t position, char *items, unsigned n)
{
    for (unsigned i = 0; i < n; i++) {
        const struct place place = place_of(ring, position + i);
        const uint32_t next = place.lap + 2 * (uint32_t)ring->capacity;

        if (items)
            memcpy(items + i * ring->item_size, place.cell->item,
                   ring->item_size);
        atomic_store(&place.cell->turn, next + FREE);
    }
}

static int
ring_get(struct private_queue *queue, void *items, unsigned n,
         struct private_look *look)
{
    struct ring *ring = (struct ring *)queue;
    uint64_t head = atomic_load(&ring->head);

    for (;;) {
        const unsigned ready = count_ready(ring, head, n, FILLED, look);

        if (ready > 0) {
            if (!atomic_compare_exchange_weak(&ring->head, &head, head + ready))
                continue;
            empty(ring, head, items, ready);
            side_notify(queue, &queue->room);
            return (int)ready;
        }
        const uint64_t now = atomic_load(&ring->head);

        if (now == head)
            break;
        head = now;
    }
    /* Empty; or a putter has claimed it and is about to fill it. After the
     * shutdown nobody claims, so that empty is for good. */
    const uint64_t tail = atomic_load(&ring->tail);

    if (tail == (head | CLOSED))
        return WEFT_ECLOSED;
    look->soon = tail != head;
    return PRIVATE_NOT_NOW;
}

static bool
ring_may_get(struct private_queue *queue)
{
    struct ring *ring = (struct ring *)queue;
    const uint64_t head = atomic_load(&ring->head);

    return atomic_load(&ring->tail) != head;
}

/* --- counting */

static int
ring_try_join(struct private_queue *queue, void *items, unsigned n,
              struct private_look *look)
{
    struct ring *ring = (struct ring *)queue;
    const uint64_t finished = atomic_load(&ring->finished);

    (void)items;
    (void)n;
    *look = (struct private_look){NULL, 0, false};
    return (atomic_load(&ring->tail) & ~CLOSED) == finished ? 1
                                                            : PRIVATE_NOT_NOW;
}

static int
ring_done(weft_queue *face, unsigned n)
{
    struct ring *ring = (struct ring *)face;
    uint64_t finished = atomic_load(&ring->finished);

    do {
        if (n > atomic_load(&ring->head) - finished)
            return WEFT_EOVERFLOW;
    } while (!atomic_compare_exchange_weak(&ring->finished, &finished,
                                           finished + n));
    if ((atomic_load(&ring->tail) & ~CLOSED) == finished + n)
        side_notify_all(&ring->common, &ring->common.ended);
    return 0;
}

static size_t
ring_size(const weft_queue *face)
{
    const struct ring *ring = (const struct ring *)face;
    const uint64_t head = atomic_load(&ring->head);
    const uint64_t size = (atomic_load(&ring->tail) & ~CLOSED) - head;

    return size < ring->capacity ? size : ring->capacity;
}

static size_t
ring_discard(weft_queue *face)
{
    const size_t most = ring_size(face);
    size_t count = 0;

    while (count < most) {
        const size_t left = most - count;
        const int got = private_get(
            face, NULL, left < INT32_MAX ? (unsigned)left : INT32_MAX, 0);

        if (got < 0)
            break;
        (void)ring_done(face, (unsigned)got);
        count += (size_t)got;
    }
    return count;
}

static void
ring_shutdown(weft_queue *face)
{
    struct ring *ring = (struct ring *)face;

    atomic_fetch_or(&ring->tail, CLOSED);
    side_notify_all(&ring->common, &ring->common.items);
    side_notify_all(&ring->common, &ring->common.room);
}

/* --- the queue */

static const struct private_kind how = {
    .put = ring_put,
    .get = ring_get,
    .join = ring_try_join,
    .may_get = ring_may_get,
    .may_put = ring_may_put,
};

static int
ring_open(weft_queue **out, const weft_queue_options *options)
{
    const size_t capacity = options->capacity;
    struct ring *ring = aligned_alloc(_Alignof(struct ring), sizeof *ring);

    if (!ring)
        return WEFT_ENOMEM;
    memset(ring, 0, sizeof *ring);
    ring->capacity = capacity;
    ring->mask = (capacity & (capacity - 1)) == 0 ? capacity - 1 : 0;
    ring->item_size = options->item_size;
    ring->stride = queue_stride(sizeof(struct cell), options->item_size);
    ring->cells = calloc(capacity, ring->stride);
    if (!ring->cells) {
        free(ring);
        return WEFT_ENOMEM;
    }
    private_open(&ring->common, &how);
    *out = &ring->common.face;
    return 0;
}

static void
ring_close(weft_queue *face)
{
    struct ring *ring = (struct ring *)face;

    private_close(&ring->common);
    free(ring->cells);
    free(ring);
}

const struct queue_kind queue_ring = {
    .open = ring_open,
    .put = private_put,
    .get = private_get,
    .done = ring_done,
    .join = private_join,
    .shutdown = ring_shutdown,
    .discard = ring_discard,
    .size = ring_size,
    .fd = private_fd,
    .waiters = private_waiters,
    .close = ring_close,
    .any = {private_ready, private_watch, private_unwatch, NULL, NULL},
};
