/* Descriptors of queues among processes: an eventfd a queue in each process
 * that asks, which a hidden thread there keeps as readable as the queue. */
#ifndef QUEUE_OUTLET_H
#define QUEUE_OUTLET_H

#include "queue/shared.h"

extern _Atomic unsigned outlet_count; /* in this process */

/* This process's for the queue, made at the first call. WEFT_ENOMEM,
 * WEFT_EAGAIN. */
int outlet_open(struct shared_queue *queue);

void outlet_turn_slowly(struct shared_queue *queue);

/* After a change by this process: what it does next, its own descriptor knows.
 */
static inline void
outlet_turn(struct shared_queue *queue)
{
    if (__builtin_expect(
            atomic_load_explicit(&outlet_count, memory_order_relaxed) > 0, 0))
        outlet_turn_slowly(queue);
}

/* The queue is closed, its magic number gone: closes this process's, and has
 * the others' closed by their threads. */
void outlet_close(struct shared_queue *queue);

/* In a fresh copy of the process. */
void outlet_forked(void);

#endif
