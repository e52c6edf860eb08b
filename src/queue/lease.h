/* Leases: what a worker has got from a leased queue and not finished yet. */
#ifndef QUEUE_LEASE_H
#define QUEUE_LEASE_H

#include "base/list.h"
#include "registry/self.h"

#include <weft/queue.h>

/* One a worker and queue, from its first get until one of both ends. */
struct holder {
    struct list in_queue;       /* under the queue's lock */
    struct holder *next;        /* in self->leases; under the lock in lease.c */
    struct self *self;          /* read-only, as the rest */
    const struct weft_job *job; /* NULL: a thread that weft did not start. A
                                   serial job, and a pool's, shares its
                                   thread's block */
    weft_queue *queue;
    struct list nodes; /* oldest first; under the queue's lock */
    unsigned count;    /* of nodes; under the queue's lock */
};

/* Makes one for the calling worker and enters it. WEFT_ENOMEM. */
int lease_open(weft_queue *queue);

/* The calling worker ends: all that it holds goes back. */
void lease_end(struct self *self);

/* The queue whose holders these are ends: nobody holds anything of it. */
void lease_forget(struct list *holders);

/* By the queue, with the lock in lease.c held, which comes before its own. */
void lease_enter(struct holder *holder);
void lease_give_back(struct holder *holder);

#endif
