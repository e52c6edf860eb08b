/* All queues among threads that are not a bounded FIFO: the last item first, by
 * priority, growing, leased. Under one lock, which is held for a few
 * instructions, and for a comparison a level of the heap.
 *
 * Items lie in nodes, which have a number that says when they were put. What is
 * ordered by that alone is a list, the rest a heap, where the number decides
 * between equals. A leased item that comes back finds its old place by its
 * number. */
#include "queue/lease.h"
#include "queue/private.h"

#include <weft/status.h>

#include <stdalign.h>
#include <stdlib.h>
#include <string.h>

enum {
    SPARE = 64,     /* free nodes that a growing queue keeps */
    HEAP_LEAST = 64 /* places */
};

struct node {
    struct list link; /* in `line` or the holder's; `next` alone in `free` */
    uint64_t number;
    alignas(max_align_t) unsigned char item[];
};

struct store {
    struct private_queue common; /* first */
    size_t item_size, stride;    /* read-only, as the next four */
    size_t capacity;             /* 0 = grows */
    bool leased;
    bool newest_first;
    int (*compare)(const void *a, const void *b); /* NULL: a list */
    char *block; /* all nodes; NULL: it grows */

    struct lock guard; /* over all that follows */
    bool closed;
    struct list *free;
    size_t free_count;
    struct list line;   /* oldest first */
    struct node **heap; /* [0] goes first; none goes before its parent */
    size_t heap_room;
    size_t queued;
    size_t taken; /* got, and not done */
    uint64_t next_number;
    struct list holders;
};

/* --- the heap */

static bool
goes_before(const struct store *store, const struct node *a,
            const struct node *b)
{
    const int order = store->compare(a->item, b->item);

    return order < 0 || (order == 0 && a->number < b->number);
}

/* Has room for one more, and for all that may come back. A bounded one has it
 * from the start. */
static bool
heap_reserve(struct store *store)
{
    const size_t out = store->leased ? store->taken : 0;

    if (store->capacity > 0 || store->queued + out < store->heap_room)
        return true;
    const size_t room =
        store->heap_room ? 2 * store->heap_room : (size_t)HEAP_LEAST;
    struct node **heap = realloc(store->heap, room * sizeof(struct node *));

    if (!heap)
        return false;
    store->heap = heap;
    store->heap_room = room;
    return true;
}

static void
heap_insert(struct store *store, struct node *node)
{
    struct node **heap = store->heap;
    size_t at = store->queued;

    while (at > 0 && goes_before(store, node, heap[(at - 1) / 2])) {
        heap[at] = heap[(at - 1) / 2];
        at = (at - 1) / 2;
    }
    heap[at] = node;
}

static struct node *
heap_take(struct store *store)
{
    struct node **heap = store->heap;
    struct node *first = heap[0];
    const size_t count = store->queued - 1;
    struct node *last = heap[count];
    size_t at = 0;

    for (;;) {
        size_t child = 2 * at + 1;

        if (child + 1 < count &&
            goes_before(store, heap[child + 1], heap[child]))
            child++;
        if (child >= count || goes_before(store, last, heap[child]))
            break;
        heap[at] = heap[child];
        at = child;
    }
    heap[at] = last;
    return first;
}

/* --- the list */

static struct node *
node_of(struct list *link)
{
    return list_entry(link, struct node, link);
}

/* What is freed is in no list, which the analyzer cannot see.
 * NOLINTBEGIN(clang-analyzer-unix.Malloc) */

/* Takes it out of its list. */
static struct node *
node_out(struct list *link)
{
    list_remove(link);
    return node_of(link);
}

/* A new one is the last; one that comes back is near the end where it was
 * taken. */
static void
line_insert(struct store *store, struct node *node)
{
    struct list *next = &store->line;

    if (store->newest_first || node->number + 1 == store->next_number) {
        while (next->previous != &store->line &&
               node_of(next->previous)->number > node->number)
            next = next->previous;
    } else {
        next = next->next;
        while (next != &store->line && node_of(next)->number < node->number)
            next = next->next;
    }
    list_append(next, &node->link);
}

static struct node *
line_take(struct store *store)
{
    struct list *link =
        store->newest_first ? store->line.previous : store->line.next;

    return node_out(link);
}

static void
insert(struct store *store, struct node *node)
{
    if (store->compare)
        heap_insert(store, node);
    else
        line_insert(store, node);
    store->queued++;
}

static struct node *
take(struct store *store)
{
    struct node *node = store->compare ? heap_take(store) : line_take(store);

    store->queued--;
    return node;
}

/* --- nodes */

/* NULL: full, or no memory. */
static struct node *
node_get(struct store *store)
{
    struct list *link;

    if (store->compare && !heap_reserve(store))
        return NULL;
    link = store->free;
    if (!link)
        return store->capacity == 0 ? malloc(store->stride) : NULL;
    store->free = link->next;
    store->free_count--;
    return node_of(link);
}

static void
node_put(struct store *store, struct node *node)
{
    if (store->capacity == 0 && store->free_count >= SPARE) {
        free(node);
        return;
    }
    node->link.next = store->free;
    store->free = &node->link;
    store->free_count++;
}

/* --- putting and getting */

static int
store_put(struct private_queue *queue, void *items, unsigned n,
          struct private_look *look)
{
    struct store *store = (struct store *)queue;
    struct node *node;
    unsigned put = 0;

    lock_take(&store->guard);
    if (store->closed) {
        lock_give(&store->guard);
        return WEFT_ECLOSED;
    }
    for (; put < n && (node = node_get(store)); put++) {
        memcpy(node->item, (const char *)items + put * store->item_size,
               store->item_size);
        node->number = store->next_number++;
        insert(store, node);
    }
    lock_give(&store->guard);
    if (put > 0) {
        side_notify(queue, &queue->items);
        return (int)put;
    }
    *look = (struct private_look){NULL, 0, false};
    return store->capacity == 0 ? WEFT_ENOMEM : PRIVATE_NOT_NOW;
}

static struct holder *
find_holder(struct store *store)
{
    const struct self *self = self_get();

    list_foreach (link, &store->holders) {
        struct holder *holder = list_entry(link, struct holder, in_queue);

        if (holder->self == self && holder->job == self->job)
            return holder;
    }
    return NULL;
}

/* The guard, and of a leased queue the caller's holder. */
static int
enter_as_holder(struct store *store, struct holder **holder)
{
    *holder = NULL;
    lock_take(&store->guard);
    if (!store->leased || (*holder = find_holder(store)))
        return 0;
    lock_give(&store->guard);
    const int status = lease_open(&store->common.face);

    if (status < 0)
        return status;
    lock_take(&store->guard);
    *holder = find_holder(store);
    return 0;
}

static void
hand_out(struct store *store, struct node *node, struct holder *holder,
         void *item)
{
    memcpy(item, node->item, store->item_size);
    store->taken++;
    if (!holder) {
        node_put(store, node);
        return;
    }
    list_append(&holder->nodes, &node->link);
    holder->count++;
}

static int
store_get(struct private_queue *queue, void *items, unsigned n,
          struct private_look *look)
{
    struct store *store = (struct store *)queue;
    struct holder *holder;
    unsigned got = 0;
    const int status = enter_as_holder(store, &holder);

    if (status < 0)
        return status;
    for (; got < n && store->queued > 0; got++)
        hand_out(store, take(store), holder,
                 (char *)items + got * store->item_size);
    const bool closed = store->closed;

    lock_give(&store->guard);
    if (got > 0) {
        /* A leased one's room is free only once it is done. */
        if (!holder || (atomic_load(&queue->room.waiting) & SIDE_FD))
            side_notify(queue, &queue->room);
        return (int)got;
    }
    *look = (struct private_look){NULL, 0, false};
    return closed ? WEFT_ECLOSED : PRIVATE_NOT_NOW;
}

static bool
store_may_get(struct private_queue *queue)
{
    struct store *store = (struct store *)queue;

    lock_take(&store->guard);
    const bool may = store->queued > 0 || store->closed;

    lock_give(&store->guard);
    return may;
}

static bool
store_may_put(struct private_queue *queue)
{
    struct store *store = (struct store *)queue;

    lock_take(&store->guard);
    const bool may = store->free_count > 0 && !store->closed;

    lock_give(&store->guard);
    return may;
}

/* --- counting */

static int
store_try_join(struct private_queue *queue, void *items, unsigned n,
               struct private_look *look)
{
    struct store *store = (struct store *)queue;

    (void)items;
    (void)n;
    *look = (struct private_look){NULL, 0, false};
    lock_take(&store->guard);
    const bool ended = store->queued + store->taken == 0;

    lock_give(&store->guard);
    return ended ? 1 : PRIVATE_NOT_NOW;
}

static void
finish(struct store *store, struct holder *holder, unsigned n)
{
    store->taken -= n;
    if (!holder)
        return;
    holder->count -= n;
    for (; n > 0; n--)
        node_put(store, node_out(holder->nodes.next));
}

/* NOLINTEND(clang-analyzer-unix.Malloc) */

static int
store_done(weft_queue *face, unsigned n)
{
    struct store *store = (struct store *)face;
    struct private_queue *queue = &store->common;

    lock_take(&store->guard);
    struct holder *holder = store->leased ? find_holder(store) : NULL;
    const size_t most = !store->leased ? store->taken
                        : holder       ? holder->count
                                       : 0;

    if (n <= most)
        finish(store, holder, n);
    const bool ended = store->queued + store->taken == 0;

    lock_give(&store->guard);
    if (n > most)
        return WEFT_EOVERFLOW;
    if (holder)
        side_notify(queue, &queue->room);
    if (ended)
        side_notify_all(queue, &queue->ended);
    return 0;
}

static size_t
store_size(const weft_queue *face)
{
    struct store *store = (struct store *)(uintptr_t)face;

    lock_take(&store->guard);
    const size_t size = store->queued;

    lock_give(&store->guard);
    return size;
}

static size_t
store_discard(weft_queue *face)
{
    struct store *store = (struct store *)face;
    struct private_queue *queue = &store->common;

    lock_take(&store->guard);
    const size_t count = store->queued;

    while (store->queued > 0)
        node_put(store, take(store));
    const bool ended = store->taken == 0;

    lock_give(&store->guard);
    side_notify(queue, &queue->room);
    if (ended)
        side_notify_all(queue, &queue->ended);
    return count;
}

static void
store_shutdown(weft_queue *face)
{
    struct store *store = (struct store *)face;

    lock_take(&store->guard);
    store->closed = true;
    lock_give(&store->guard);
    side_notify_all(&store->common, &store->common.items);
    side_notify_all(&store->common, &store->common.room);
}

/* --- leases */

void
lease_enter(struct holder *holder)
{
    struct store *store = (struct store *)holder->queue;

    lock_take(&store->guard);
    list_append(&store->holders, &holder->in_queue);
    lock_give(&store->guard);
}

void
lease_give_back(struct holder *holder)
{
    struct store *store = (struct store *)holder->queue;

    lock_take(&store->guard);
    list_remove(&holder->in_queue);
    while (!list_empty(&holder->nodes)) {
        store->taken--;
        insert(store, node_out(holder->nodes.next));
    }
    lock_give(&store->guard);
    side_notify(&store->common, &store->common.items);
}

/* --- the queue */

static const struct private_kind how = {
    .put = store_put,
    .get = store_get,
    .join = store_try_join,
    .may_get = store_may_get,
    .may_put = store_may_put,
};

/* A bounded queue allocates all at once. */
static bool
reserve(struct store *store)
{
    const size_t count = store->capacity;

    if (count == 0)
        return true;
    store->block = malloc(count * store->stride);
    if (store->compare)
        store->heap = malloc(count * sizeof(struct node *));
    if (!store->block || (store->compare && !store->heap))
        return false;
    store->heap_room = count;
    for (size_t i = 0; i < count; i++)
        node_put(store,
                 (struct node *)(void *)(store->block + i * store->stride));
    return true;
}

static void
store_free(struct store *store)
{
    struct list *link;

    while (!store->block && (link = store->free)) {
        store->free = link->next;
        free(node_of(link));
    }
    free(store->block);
    free(store->heap);
    free(store);
}

static int
store_open(weft_queue **out, const weft_queue_options *options)
{
    struct store *store = aligned_alloc(_Alignof(struct store), sizeof *store);

    if (!store)
        return WEFT_ENOMEM;
    memset(store, 0, sizeof *store);
    store->item_size = options->item_size;
    store->stride = queue_stride(sizeof(struct node), options->item_size);
    store->capacity = options->capacity;
    store->leased = options->leased;
    store->newest_first = options->order == WEFT_LIFO;
    store->compare = options->compare;
    list_init(&store->line);
    list_init(&store->holders);
    if (!reserve(store)) {
        store_free(store);
        return WEFT_ENOMEM;
    }
    private_open(&store->common, &how);
    *out = &store->common.face;
    return 0;
}

static void
store_close(weft_queue *face)
{
    struct store *store = (struct store *)face;

    list_foreach (link, &store->holders) {
        struct holder *holder = list_entry(link, struct holder, in_queue);

        finish(store, holder, holder->count);
    }
    lease_forget(&store->holders);
    (void)store_discard(face);
    private_close(&store->common);
    store_free(store);
}

const struct queue_kind queue_store = {
    .open = store_open,
    .put = private_put,
    .get = private_get,
    .done = store_done,
    .join = private_join,
    .shutdown = store_shutdown,
    .discard = store_discard,
    .size = store_size,
    .fd = private_fd,
    .waiters = private_waiters,
    .close = store_close,
    .any = {private_ready, private_watch, private_unwatch, NULL, NULL},
};
