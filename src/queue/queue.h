/* A queue from inside: what the face in queue.c knows of the kinds of queues
 * behind it. */
#ifndef QUEUE_QUEUE_H
#define QUEUE_QUEUE_H

#include "base/text.h"
#include "wait/any.h"

#include <weft/queue.h>

/* Kept as a number, not as a pointer to a table: the library need not be at the
 * same address in all processes that use a queue. */
enum queue_sort {
    QUEUE_RING,   /* bounded FIFO among threads */
    QUEUE_STORE,  /* all else among threads */
    QUEUE_SHARED, /* among processes */
    QUEUE_SORTS
};

/* What every queue begins with; read-only after it is opened. */
struct weft_queue {
    _Atomic uint32_t magic; /* QUEUE_MAGIC until it is closed */
    uint32_t sort;
    size_t item_size;
    char name[TEXT_NAME]; /* "" = none */
};

#define QUEUE_MAGIC UINT32_C(0x75715f77) /* "w_qu" */

/* What a kind of queue does. The arguments have been checked; failures are put
 * into words by the face. `until` <= 0: without waiting. */
struct queue_kind {
    /* Makes the queue but for `face`'s fields. */
    int (*open)(weft_queue **out, const weft_queue_options *options);
    /* How many, 1..n, or < 0. `items` NULL: what is got is thrown away. */
    int (*put)(weft_queue *queue, const void *items, unsigned n, int64_t until);
    int (*get)(weft_queue *queue, void *items, unsigned n, int64_t until);
    int (*done)(weft_queue *queue, unsigned n);
    int (*join)(weft_queue *queue, int64_t until);
    void (*shutdown)(weft_queue *queue);
    size_t (*discard)(weft_queue *queue);
    size_t (*size)(const weft_queue *queue);
    int (*fd)(weft_queue *queue);
    /* Who waits on it, watchers included. */
    unsigned (*waiters)(weft_queue *queue);
    void (*close)(weft_queue *queue);
    /* For weft_wait_any: a get would not wait. */
    struct waitable any;
};

extern const struct queue_kind queue_ring, queue_store, queue_shared;

const struct queue_kind *queue_kind_of(const weft_queue *queue);

/* Bytes from one element to the next if each has `head` bytes before its item.
 * The limits of both sizes and of the count keep the product from overflowing.
 */
size_t queue_stride(size_t head, size_t item_size);

#endif
