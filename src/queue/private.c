#include "queue/private.h"

#include "os/os.h"

#include <weft/status.h>

#include <limits.h>

/* --- the two ends of a wait */

/* Returns the value to wait on; after it, look once more. */
static uint32_t
announce(struct side *side)
{
    const uint32_t value = atomic_load(&side->word.value);

    atomic_fetch_add(&side->waiting, SIDE_ONE);
    return value;
}

/* What the bit was set for, if it was, is now the caller's to look at. */
static void
leave(struct side *side)
{
    uint32_t now = atomic_load(&side->waiting);

    while (!atomic_compare_exchange_weak(
        &side->waiting, &now, (now - SIDE_ONE) & ~(uint32_t)SIDE_WAKING))
        ;
}

/* The descriptor is as ready as the queue. Whoever changes the queue does this
 * after its change, so that the last one who has the lock is right. */
static void
set_fd(struct private_queue *queue)
{
    const bool ready = private_ready(queue);

    if (ready == queue->fd_on)
        return;
    if (ready)
        os_event_ring(queue->fd);
    else
        os_event_clear(queue->fd);
    queue->fd_on = ready;
}

static void
tell_outside(struct private_queue *queue, uint32_t seen)
{
    lock_take(&queue->lock);
    if (seen & SIDE_FD)
        set_fd(queue);
    if (seen & SIDE_WATCHED)
        list_foreach (link, &queue->watches)
            watch_ring(list_entry(link, struct watch, link));
    lock_give(&queue->lock);
}

void
side_tell(struct private_queue *queue, struct side *side, uint32_t seen)
{
    if (seen & (SIDE_FD | SIDE_WATCHED))
        tell_outside(queue, seen);
    while (seen >= SIDE_ONE && !(seen & SIDE_WAKING))
        if (atomic_compare_exchange_weak(&side->waiting, &seen,
                                         seen | SIDE_WAKING)) {
            atomic_fetch_add(&side->word.value, 1);
            wait_wake(&side->word, 1, false);
            return;
        }
}

void
side_notify_all(struct private_queue *queue, struct side *side)
{
    const uint32_t seen = atomic_load(&side->waiting);

    if (seen & (SIDE_FD | SIDE_WATCHED))
        tell_outside(queue, seen);
    if (seen < SIDE_ONE)
        return;
    atomic_fetch_add(&side->word.value, 1);
    wait_wake(&side->word, INT_MAX, false);
}

/* --- waiting */

struct request {
    struct private_queue *queue;
    struct side *side;
    private_try *try;
    bool (*more)(struct private_queue *queue); /* NULL: all are woken at once */
    void *items;
    unsigned n;
    struct wait_terms terms;
    struct private_look look; /* of the last try */
    int over;                 /* < 0: the wait ended so, and one try is left */
    bool announced;           /* somebody may have been woken for it */
};

static int
attempt(struct request *request)
{
    return request->try(request->queue, request->items, request->n,
                        &request->look);
}

/* What is just about to be possible is waited for even by who only tries: an
 * item whose put has returned may stand behind one whose putter was stopped
 * between taking its place and filling it. */
static struct wait_terms
terms_of(const struct request *request)
{
    struct wait_terms terms = request->terms;

    if (request->look.soon) {
        terms.until = OS_NEVER;
        terms.stubborn = true;
    }
    return terms;
}

/* Sleeps, announced, unless the last look before it succeeds. */
static int
sleep_on(struct request *request)
{
    struct side *side = request->side;
    const bool spun = request->look.word != NULL;
    const uint32_t value = announce(side);
    const int status = attempt(request);

    request->announced = true;
    if (status == PRIVATE_NOT_NOW) {
        const struct wait_terms terms = terms_of(request);

        request->over = spun ? wait_asleep(&side->word, value, &terms)
                             : wait_while(&side->word, value, &terms);
    }
    leave(side);
    return status == PRIVATE_NOT_NOW ? attempt(request) : status;
}

/* Waits a little, then tries. */
static int
wait_once(struct request *request)
{
    const struct private_look *look = &request->look;
    const struct wait_terms terms = terms_of(request);

    request->over = 0;
    if (look->word) {
        const int spun =
            wait_spin(&request->side->word, look->word, look->old, &terms);

        if (spun < 0)
            request->over = spun;
        if (spun != 0)
            return attempt(request);
    }
    return sleep_on(request);
}

static int
wait_for(struct request *request)
{
    for (;;) {
        const int status = wait_once(request);

        if (status == PRIVATE_NOT_NOW) {
            if (request->over < 0 && !request->look.soon)
                return request->over;
            continue;
        }
        if (status > 0 && request->announced && request->more &&
            request->more(request->queue))
            side_notify(request->queue, request->side);
        return status;
    }
}

/* After a try that did not succeed. */
static int
run(struct request request)
{
    if (request.terms.until <= 0 && !request.look.soon)
        return WEFT_ETIMEDOUT;
    return wait_for(&request);
}

/* Out of line, so that what need not wait does not pay for the room. */
static __attribute__((noinline)) int
put_slowly(struct private_queue *queue, void *items, unsigned n, int64_t until,
           const struct private_look *look)
{
    return run((struct request){
        .queue = queue,
        .side = &queue->room,
        .try = queue->how->put,
        .more = queue->how->may_put,
        .items = items,
        .n = n,
        .look = *look,
        .terms = {.until = until, .kind = SLOT_WAIT_PUT, .object = queue}});
}

static __attribute__((noinline)) int
get_slowly(struct private_queue *queue, void *items, unsigned n, int64_t until,
           const struct private_look *look)
{
    return run((struct request){
        .queue = queue,
        .side = &queue->items,
        .try = queue->how->get,
        .more = queue->how->may_get,
        .items = items,
        .n = n,
        .look = *look,
        .terms = {.until = until, .kind = SLOT_WAIT_GET, .object = queue}});
}

int
private_put(weft_queue *face, const void *items, unsigned n, int64_t until)
{
    struct private_queue *queue = (struct private_queue *)face;
    void *only_read = (void *)(uintptr_t)items;
    struct private_look look;
    const int put = queue->how->put(queue, only_read, n, &look);

    return put != PRIVATE_NOT_NOW
               ? put
               : put_slowly(queue, only_read, n, until, &look);
}

int
private_get(weft_queue *face, void *items, unsigned n, int64_t until)
{
    struct private_queue *queue = (struct private_queue *)face;
    struct private_look look;
    const int got = queue->how->get(queue, items, n, &look);

    return got != PRIVATE_NOT_NOW ? got
                                  : get_slowly(queue, items, n, until, &look);
}

int
private_join(weft_queue *face, int64_t until)
{
    struct private_queue *queue = (struct private_queue *)face;
    struct private_look look;
    int status = queue->how->join(queue, NULL, 0, &look);

    if (status == PRIVATE_NOT_NOW)
        status = run((struct request){.queue = queue,
                                      .side = &queue->ended,
                                      .try = queue->how->join,
                                      .look = look,
                                      .terms = {.until = until,
                                                .kind = SLOT_WAIT_DONE,
                                                .object = queue}});
    return status < 0 ? status : 0;
}

unsigned
private_waiters(weft_queue *face)
{
    struct private_queue *queue = (struct private_queue *)face;
    unsigned count = atomic_load(&queue->items.waiting) / SIDE_ONE +
                     atomic_load(&queue->room.waiting) / SIDE_ONE +
                     atomic_load(&queue->ended.waiting) / SIDE_ONE;

    lock_take(&queue->lock);
    list_foreach (link, &queue->watches)
        count++;
    lock_give(&queue->lock);
    return count;
}

/* --- watches and the descriptor
 *
 * Putter: make the item visible, look at `waiting`. Watcher: set SIDE_WATCHED,
 * look at the queue. Both sequentially consistent: one sees the other. */

bool
private_ready(void *object)
{
    struct private_queue *queue = object;

    return queue->how->may_get(queue);
}

void
private_watch(void *object, struct watch *watch)
{
    struct private_queue *queue = object;

    lock_take(&queue->lock);
    list_append(&queue->watches, &watch->link);
    atomic_fetch_or(&queue->items.waiting, SIDE_WATCHED);
    lock_give(&queue->lock);
}

void
private_unwatch(void *object, struct watch *watch)
{
    struct private_queue *queue = object;

    lock_take(&queue->lock);
    list_remove(&watch->link);
    if (list_empty(&queue->watches))
        atomic_fetch_and(&queue->items.waiting, ~(uint32_t)SIDE_WATCHED);
    lock_give(&queue->lock);
}

int
private_fd(weft_queue *face)
{
    struct private_queue *queue = (struct private_queue *)face;

    lock_take(&queue->lock);
    if (queue->fd < 0) {
        queue->fd = os_event_open();
        if (queue->fd >= 0) {
            /* Getters look at `room`, putters at `items`. */
            atomic_fetch_or(&queue->items.waiting, SIDE_FD);
            atomic_fetch_or(&queue->room.waiting, SIDE_FD);
            set_fd(queue);
        }
    }
    const int fd = queue->fd;

    lock_give(&queue->lock);
    return fd;
}

void
private_open(struct private_queue *queue, const struct private_kind *how)
{
    queue->how = how;
    queue->fd = -1;
    list_init(&queue->watches);
}

void
private_close(struct private_queue *queue)
{
    if (queue->fd >= 0)
        os_close(queue->fd);
}
