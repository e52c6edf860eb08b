#include "queue/outlet.h"

#include "base/why.h"
#include "os/os.h"
#include "wait/lock.h"
#include "wait/sentry.h"

#include <weft/status.h>

#include <limits.h>
#include <stdlib.h>

/* Belongs to its hidden thread, which frees it; the others find it in `outlets`
 * until the queue is closed. */
struct outlet {
    struct outlet *next; /* under outlets.lock, as all but serial */
    struct shared_queue *queue;
    uint64_t serial; /* read-only */
    int fd;          /* -1: closed, and the outlet in no list */
    bool on;         /* it is readable */
};

static struct {
    struct lock lock;
    struct outlet *first; /* under lock */
} outlets;

_Atomic unsigned outlet_count;

/* The queue is as ready as the descriptor. Whoever changes the queue does this
 * after its change, so that the last one who has the lock is right. */
static void
set_fd(struct outlet *outlet)
{
    const bool ready = shared_is_ready(outlet->queue);

    if (ready == outlet->on)
        return;
    if (ready)
        os_event_ring(outlet->fd);
    else
        os_event_clear(outlet->fd);
    outlet->on = ready;
}

/* Where the pointer to it lies; to NULL if there is none. An outlet of an older
 * queue at the same address is passed by. */
static struct outlet **
find(const struct shared_queue *queue, uint64_t serial)
{
    struct outlet **at = &outlets.first;

    while (*at && ((*at)->queue != queue || (*at)->serial != serial))
        at = &(*at)->next;
    return at;
}

static void
take_out(struct outlet **at)
{
    struct outlet *outlet = *at;

    *at = outlet->next;
    os_close(outlet->fd);
    outlet->fd = -1;
    atomic_fetch_sub(&outlet_count, 1);
}

/* The memory of a closed queue can be read, whatever is in it now. */
static bool
is_open(const struct outlet *outlet)
{
    return atomic_load(&outlet->queue->base.magic) == QUEUE_MAGIC &&
           outlet->queue->serial == outlet->serial;
}

/* By the hidden thread. False: it ends. */
static bool
look(void *context, uint32_t *seen)
{
    struct outlet *outlet = context;

    lock_take(&outlets.lock);
    if (outlet->fd >= 0 && !is_open(outlet))
        take_out(find(outlet->queue, outlet->serial));
    const bool stays = outlet->fd >= 0;

    if (stays) {
        *seen = atomic_load(&outlet->queue->outside.value);
        set_fd(outlet);
    }
    lock_give(&outlets.lock);
    if (!stays)
        free(outlet);
    return stays;
}

/* Under the lock. The descriptor, or a status. */
static int
make(struct shared_queue *queue)
{
    struct outlet *outlet = calloc(1, sizeof *outlet);

    if (!outlet)
        return why_because(WEFT_ENOMEM, "weft_queue_fd");
    *outlet = (struct outlet){.queue = queue,
                              .serial = queue->serial,
                              .fd = os_event_open(),
                              .next = outlets.first};
    const int fd = outlet->fd;
    int status = fd;

    if (fd >= 0)
        status = sentry_keep(&queue->outside, look, outlet);
    if (status < 0) {
        if (fd >= 0)
            os_close(fd);
        free(outlet);
        return status;
    }
    outlets.first = outlet;
    atomic_fetch_add(&outlet_count, 1);
    set_fd(outlet);
    return fd;
}

int
outlet_open(struct shared_queue *queue)
{
    lock_take(&outlets.lock);
    struct outlet *outlet = *find(queue, queue->serial);
    const int fd = outlet ? outlet->fd : make(queue);

    lock_give(&outlets.lock);
    return fd;
}

void
outlet_turn_slowly(struct shared_queue *queue)
{
    lock_take(&outlets.lock);
    struct outlet *outlet = *find(queue, queue->serial);

    if (outlet)
        set_fd(outlet);
    lock_give(&outlets.lock);
}

void
outlet_close(struct shared_queue *queue)
{
    lock_take(&outlets.lock);
    struct outlet **at = find(queue, queue->serial);

    if (*at)
        take_out(at);
    lock_give(&outlets.lock);
    atomic_fetch_add(&queue->outside.value, 1);
    os_futex_wake(&queue->outside.value, INT_MAX, true);
}

void
outlet_forked(void)
{
    outlets.first = NULL;
    atomic_store(&outlets.lock.word, 0);
    atomic_store(&outlet_count, 0);
}
