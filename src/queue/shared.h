/* What queues among processes share: two sides that wait for each other, who
 * waits for the end of all work, watchers and descriptors. Kinds behind it: a
 * ring where nothing is leased (shared_ring.c), cells in any order where
 * something may be (shared_leased.c).
 *
 * Any user may be killed at any instruction. The truth about items is a word a
 * cell, of which each operation changes one by one store, under a robust lock;
 * all else is made anew from those words by the next taker of the lock. Who
 * dies in a call may leave others asleep on what is there: its death is
 * recovered by looking at everything again, and by waking all who wait; who is
 * in nobody's care looks again after a second. */
#ifndef QUEUE_SHARED_H
#define QUEUE_SHARED_H

#include "queue/queue.h"
#include "registry/self.h"
#include "wait/wait.h"

/* Those who wait for an item, or for room, and what the others must look at
 * after each change that may make it true.
 *
 *   waiting bit    who changes it                      legal       illegal
 *   SIDE_WAKING    set by a waker, just before it      too early   set, while
 * all wakes one; cleared by whoever       cleared     announced ones comes or
 * leaves, and after deaths               sleep for good the rest:      +1
 * before a waiter looks for the    too high,   too low count          last
 * time, -1 after its wait        after deaths
 *
 * Waiter: read word.value, announce, look once more, sleep while word.value is
 * the same. Changer: change, give the lock back, read `waiting`, and if there
 * is somebody and nobody is on his way yet, set SIDE_WAKING, change word.value
 * and wake one. The exchange that gives the lock back stands between the change
 * and the look, and the announcement before the taking of the lock: one sees
 * the other. Who was woken and leaves more than it takes wakes the next. Who
 * comes clears the mark, since the one on its way may have died. */
enum {
    SHARED_WAKING = 1,
    SHARED_ONE = 2
};

struct shared_side {
    struct wait_word word;
    _Atomic uint32_t waiting;
};

struct shared_queue {
    struct weft_queue base; /* first */
    uint32_t capacity;      /* read-only, as the next three */
    uint32_t leased;        /* a truth */
    size_t stride;
    uint64_t serial; /* never the same again at this address */
    /* Looked at by each put, changed by those who wait for items. */
    _Alignas(64) struct shared_side items;
    struct wait_word watched; /* for those who only look whether there is one:
                                 all are woken, so that the wake-up of one who
                                 takes is not used up */
    /* Looked at by each get, changed by those who wait for room, and … */
    _Alignas(64) struct shared_side room;
    struct wait_word outside; /* … by who keeps descriptors right; outlet.h */
    struct wait_word settled; /* changed under a lock: all may be done */
    _Atomic uint32_t closed;  /* by the kind: no put commits after it is set */
};

/* Why something cannot be done now: the word will not be `old` once it can. */
struct shared_look {
    const _Atomic uint32_t *word;
    uint32_t old;
};

/* > 0: it did so many; 0: not now, and why; < 0: never. */
typedef int shared_try(struct shared_queue *queue, struct self *self,
                       void *items, unsigned n, struct shared_look *look);

/* All of a kind takes its locks itself, and gives them back. */
struct shared_kind {
    size_t (*size)(size_t capacity, size_t stride); /* of it all, in bytes */
    size_t head; /* bytes of each element before its item */
    void (*prepare)(struct shared_queue *queue);
    shared_try *put;    /* only reads the items */
    shared_try *get;    /* items NULL: thrown away, as done */
    shared_try *settle; /* 1: everything is done */
    /* A status; 1: now everything is. */
    int (*done)(struct shared_queue *queue, struct self *self, unsigned n);
    void (*shut)(struct shared_queue *queue, struct self *self);
    /* After a death: whole again, and what the dead had got is no longer
     * theirs. */
    void (*mend)(struct shared_queue *queue, struct self *self);
    /* Of items that can be got; without a lock, and without following anything
     * in the queue, since outlet.c asks when it may just have been closed. What
     * a put or a get has changed, it has changed before it tells anybody. */
    size_t (*count)(const struct shared_queue *queue);
};

extern const struct shared_kind shared_ring, shared_leased;

/* Whether a get would not wait: an item, or the end. */
bool shared_is_ready(const struct shared_queue *queue);

/* Under the lock that guards what `settled` tells of. */
static inline void
shared_settled(struct shared_queue *queue)
{
    atomic_fetch_add(&queue->settled.value, 1);
}

#endif
