/* Waiting for the first of several objects. An object that can be waited for
 * this way keeps a list of watches, guarded by a lock of its own, and rings
 * each when it becomes ready. */
#ifndef WAIT_ANY_H
#define WAIT_ANY_H

#include "base/list.h"
#include "wait/wait.h"

/* The waiter's word: bit 0 = it polls, so ring its bell; each ring adds 2.
 * Waiter: set bit 0, look at the objects, poll. Ringer: make the object ready,
 * add 2 and see bit 0. Both sequentially consistent: one sees the other. */
struct waiter {
    struct wait_word word;
    int bell; /* written before bit 0 is set */
};

struct watch {
    struct list link; /* under the object's lock */
    struct waiter *waiter;
};

/* By the object, under its lock, after it has become ready. */
void watch_ring(struct watch *watch);

/* What a kind of object does. */
struct waitable {
    bool (*ready)(void *object);
    void (*watch)(void *object, struct watch *watch);
    void (*unwatch)(void *object, struct watch *watch);
    /* Of an object that other processes use: the word that changes when it may
     * have become ready; it is waited on in place of a watch. NULL: no other
     * process uses it. The function may be NULL. */
    struct wait_word *(*shared)(void *object);
    /* Of such an object: the calling thread begins to wait on it, and ends to.
     * May be NULL. */
    void (*attend)(void *object, bool on);
};

enum {
    ANY_SHARED = 127 /* sources that other processes use, at most */
};

/* One thing to wait for: an object, or a descriptor where `kind` is NULL. */
struct any_source {
    const struct waitable *kind;
    void *object;
    struct watch watch;
    struct wait_word *shared; /* found by any_wait */
    int fd;
    bool readable, writable;
};

/* Waits until one is ready; the index of the first ready one at or after `from`
 * in a circle. WEFT_ETIMEDOUT, WEFT_ECANCELED, WEFT_EINVAL (a closed
 * descriptor, more than ANY_SHARED), WEFT_ENOMEM, WEFT_EAGAIN. */
int any_wait(struct any_source *sources, size_t count, size_t from,
             const struct wait_terms *terms);

#endif
