/* What queues among threads share: two sides that wait for each other, those
 * who wait for the end of all work, watchers and the descriptor. */
#ifndef QUEUE_PRIVATE_H
#define QUEUE_PRIVATE_H

#include "queue/queue.h"
#include "wait/lock.h"
#include "wait/wait.h"

/* Those who wait for one condition, and what the others must look at after each
 * change that may make it true.
 *
 *   waiting bit      who changes it                  legal       illegal
 *   SIDE_WAKING      set by a waker, just before it  too early   set, while all
 *                    wakes one; cleared by whoever   cleared     announced ones
 *                    leaves                                      sleep for good
 *   SIDE_WATCHED     under the watches' lock         too long    clear, while
 *                                                                there are any
 *   SIDE_FD          set once, under the same lock   –           ever cleared
 *   the rest: count  +1 before a waiter looks for    too high    too low
 *                    the last time, -1 after its wait
 *
 * Waiter: read word.value, announce, look once more, sleep while word.value is
 * the same. Changer: change, read `waiting`, and if somebody is there set
 * SIDE_WAKING, change word.value and wake one. All sequentially consistent, so
 * that one sees the other. While SIDE_WAKING stands nobody else is woken: the
 * one on its way looks at everything that happened before it clears the bit,
 * and if it leaves more than it takes, wakes the next. Somebody is on his way:
 * all who are announced when the bit is set have read word.value before its
 * change, so that one is woken, or does not fall asleep. */
enum {
    SIDE_WAKING = 1,
    SIDE_WATCHED = 2,
    SIDE_FD = 4,
    SIDE_ONE = 8
};

struct side {
    _Alignas(128) struct wait_word word;
    _Atomic uint32_t waiting;
};

struct private_queue {
    weft_queue face;                /* first */
    const struct private_kind *how; /* read-only */
    struct lock lock;
    int fd;              /* under lock; -1 until asked for */
    bool fd_on;          /* under lock: it is readable */
    struct list watches; /* under lock */
    struct side items;   /* getters wait here */
    struct side room;    /* putters */
    struct side ended;   /* joiners */
};

/* Why something cannot be done now. */
struct private_look {
    const _Atomic uint32_t *word; /* will not be `old` once it can: worth
                                     spinning on; NULL: none */
    uint32_t old;
    bool soon; /* somebody is just about to make it possible */
};

enum {
    PRIVATE_NOT_NOW = 0
};

/* Tries: how many, PRIVATE_NOT_NOW with *look, or < 0. */
typedef int private_try(struct private_queue *queue, void *items, unsigned n,
                        struct private_look *look);

struct private_kind {
    private_try *put, *get; /* put only reads the items */
    private_try *join;
    /* The last look before a sleep and the first after: whether it is worth
     * waking somebody. Claimed counts as there. */
    bool (*may_get)(struct private_queue *queue);
    bool (*may_put)(struct private_queue *queue);
};

void private_open(struct private_queue *queue, const struct private_kind *how);
void private_close(struct private_queue *queue);

/* The operations of struct queue_kind that are the same for all. */
int private_put(weft_queue *face, const void *items, unsigned n, int64_t until);
int private_get(weft_queue *face, void *items, unsigned n, int64_t until);
int private_join(weft_queue *face, int64_t until);
int private_fd(weft_queue *face);
unsigned private_waiters(weft_queue *face);
bool private_ready(void *object);
void private_watch(void *object, struct watch *watch);
void private_unwatch(void *object, struct watch *watch);

void side_tell(struct private_queue *queue, struct side *side, uint32_t seen);

/* After a change that somebody on that side may wait for. */
static inline void
side_notify(struct private_queue *queue, struct side *side)
{
    const uint32_t seen = atomic_load(&side->waiting);

    if (__builtin_expect(seen != 0, 0))
        side_tell(queue, side, seen);
}

/* After a change that concerns all of them. */
void side_notify_all(struct private_queue *queue, struct side *side);

#endif
