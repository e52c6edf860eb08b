/* What the tests of queues among processes share. */
#ifndef SUPPORT_QUEUE_SUPPORT_H
#define SUPPORT_QUEUE_SUPPORT_H

#include "support/worker_support.h"

#define MS INT64_C(1000000)

enum {
    ROOM = 4
};

extern weft_queue *queue; /* the one that is tried */

/* A shared one of int64_t, called "shared". */
weft_queue *make(size_t capacity, bool leased);
void fill(void); /* `queue`, of ROOM, with 0, 1 … */

void put(weft_queue *to, int64_t item);
int64_t get(weft_queue *from);
int try_get(weft_queue *from); /* the item, or < 0 */

/* What a worker is told. */
struct order {
    weft_queue *queue, *other; /* queue NULL: the one that is tried */
    int count, from;
    _Atomic int *seen; /* in the shared heap */
};

weft_job *start(weft_fn *fn, struct order order);         /* a process */
weft_job *start_waiting(weft_fn *fn, struct order order); /* it waits now */
void kill_it(weft_job *job); /* which ends as killed, and is released */

/* Of an order's queue. */
weft_fn get_one; /* and says that it is done */
weft_fn put_one;
weft_fn join_it;

#endif
