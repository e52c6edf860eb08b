/* A queue of items of one size, by value; any number of putters and getters.
 *
 * Any thread may call everything here, and at once, but weft_queue_close. Do
 * not call it from a signal handler. A queue that is .shared may be used by all
 * processes of the program, and survives the death of any of them at any
 * instruction: an item is in it or it is not, and nobody waits for the dead. */
#ifndef WEFT_QUEUE_H
#define WEFT_QUEUE_H

#include <weft/status.h>
#include <weft/time.h>

typedef struct weft_queue weft_queue;

typedef enum weft_order {
    WEFT_FIFO,
    WEFT_LIFO,
    WEFT_PRIORITY
} weft_order;

typedef struct weft_queue_options {
    size_t item_size; /* bytes, 1..64 KiB; for more put a pointer */
    size_t capacity;  /* items; 0 = grows as needed (private queues only) */
    bool shared;      /* among processes: lives in the shared heap, so that the
                         weft_queue pointer may cross in arguments */
    bool leased; /* a getter holds its items until weft_queue_done, and they
                    count against the capacity; when it ends without, they
                    come back to their old places (at least once) */
    weft_order order;
    /* WEFT_PRIORITY: < 0 when a goes first; equal ones stay in order. It must
     * not call the queue. A shared queue's must be in the program, not in a
     * library loaded later. */
    int (*compare)(const void *a, const void *b);
    const char *name; /* for views and messages; copied; NULL = none */
    uintptr_t reserved[6];
} weft_queue_options;

WEFT_BEGIN

/* Allocates all that it will ever need, unless it grows. WEFT_EINVAL,
 * WEFT_ENOMEM; WEFT_ENOTSUP: a shared one that is not WEFT_FIFO. */
WEFT_API WEFT_MUST_CHECK int weft_queue_open(weft_queue **out,
                                             const weft_queue_options *options);

/* Copies one item in; once it returns, every other worker can see it. Waits
 * for room until the deadline; WEFT_NOW only tries. WEFT_ETIMEDOUT,
 * WEFT_ECANCELED, WEFT_ECLOSED; WEFT_ENOMEM if the queue grows. */
WEFT_API WEFT_MUST_CHECK int weft_queue_put(weft_queue *queue, const void *item,
                                            weft_time deadline);

/* Copies one item out. Waits for one until the deadline; WEFT_NOW only tries,
 * and finds every item whose put has returned. WEFT_ETIMEDOUT, WEFT_ECANCELED;
 * WEFT_ECLOSED when shut down and empty; WEFT_ENOMEM at a worker's first get
 * from a leased queue. */
WEFT_API WEFT_MUST_CHECK int weft_queue_get(weft_queue *queue, void *item,
                                            weft_time deadline);

/* The same for up to n >= 1: waits for the first, takes what else goes without
 * waiting. Returns how many, >= 1, or < 0 for none. */
WEFT_API WEFT_MUST_CHECK int weft_queue_put_many(weft_queue *queue,
                                                 const void *items, unsigned n,
                                                 weft_time deadline);
WEFT_API WEFT_MUST_CHECK int weft_queue_get_many(weft_queue *queue, void *items,
                                                 unsigned n,
                                                 weft_time deadline);

/* Says that n items got are finished: Python's task_done; of a leased queue the
 * caller's oldest ones. Never waits. What a worker has got of a shared queue
 * that is not leased, and said nothing of when it ends or dies, counts as done.
 * WEFT_EOVERFLOW: more than were got, and nothing is changed. */
WEFT_API int weft_queue_done(weft_queue *queue, unsigned n);

/* Waits until every item put is done. WEFT_ETIMEDOUT, WEFT_ECANCELED. */
WEFT_API WEFT_MUST_CHECK int weft_queue_join(weft_queue *queue,
                                             weft_time deadline);

/* No more puts, also none that waits; gets take what is left, then
 * WEFT_ECLOSED. For good. A leased item that comes back after that can be got
 * again. */
WEFT_API void weft_queue_shutdown(weft_queue *queue);

/* Throws away what is in it, as done. Returns how many. */
WEFT_API size_t weft_queue_discard(weft_queue *queue);

/* How many are in it; already old when you read it. */
WEFT_API size_t weft_queue_size(const weft_queue *queue);

/* A descriptor that is readable while a get would not wait: while there is an
 * item, or once the queue is shut down. For your event loop: only poll it. It
 * belongs to the queue, and makes each put and get dearer from then on. Each
 * process has its own for a shared queue, which shows a moment late what other
 * processes do, and is closed whoever closes the queue. WEFT_EAGAIN: no more
 * descriptors or threads; WEFT_ENOMEM. */
WEFT_API int weft_queue_fd(weft_queue *queue);

/* Frees it; a shared one for all processes. All other calls on it must have
 * returned: waited on, it is misuse, which ends the program. NULL is nothing.
 */
WEFT_API void weft_queue_close(weft_queue *queue);

WEFT_END
#endif
