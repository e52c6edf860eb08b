/* Among threads: each waiter lies on its own stack, in a list under a lock, and
 * sleeps on a word of its own, so that exactly those wake who are meant. */
#include "sync/cond.h"

#include "base/why.h"
#include "sync/mutex.h"
#include "sync/object.h"
#include "wait/lock.h"
#include "wait/robust.h"

#include <weft/status.h>

struct waiting {
    struct waiting *next, *previous; /* under the condition's lock, as below */
    bool queued;
    struct wait_word word; /* 0, then 1 */
};

/* The caller's view of the same words. */
struct cond {
    bool shared;
    struct lock lock;
    uint32_t words[17]; /* cond_shared.c */
    struct waiting *first, *last;
};

_Static_assert(sizeof(struct cond) == sizeof(weft_cond), "the same words");

static void
append(struct cond *cond, struct waiting *waiting)
{
    waiting->previous = cond->last;
    if (cond->last)
        cond->last->next = waiting;
    else
        cond->first = waiting;
    cond->last = waiting;
    waiting->queued = true;
}

static void
take_out(struct cond *cond, struct waiting *waiting)
{
    if (waiting->previous)
        waiting->previous->next = waiting->next;
    else
        cond->first = waiting->next;
    if (waiting->next)
        waiting->next->previous = waiting->previous;
    else
        cond->last = waiting->previous;
    waiting->queued = false;
}

static int
wait_private(struct cond *cond, weft_mutex *mutex, struct self *self,
             const struct wait_terms *terms)
{
    struct waiting waiting = {0};
    int status;

    lock_take(&cond->lock);
    append(cond, &waiting);
    lock_give(&cond->lock);
    mutex_give(mutex, self);
    status = wait_while(&waiting.word, 0, terms);
    /* Also so that who woke this thread is done with its stack. */
    lock_take(&cond->lock);
    if (waiting.queued)
        take_out(cond, &waiting);
    else
        status = 0;
    lock_give(&cond->lock);
    return status;
}

static void
notify_private(struct cond *cond, unsigned n)
{
    lock_take(&cond->lock);
    for (; n > 0 && cond->first; n--) {
        struct waiting *waiting = cond->first;

        take_out(cond, waiting);
        wait_post(&waiting->word, 1, 1);
    }
    lock_give(&cond->lock);
}

/* The mutex is held again, as often as before. */
static int
take_back(weft_cond *cond, weft_mutex *mutex, struct self *self, uint16_t depth,
          const void *site)
{
    const int status = mutex_take_back(mutex, self, site);

    if (status < 0)
        object_misused("weft_cond_wait", cond, site, weft_why());
    mutex->internal_depth = depth;
    return status;
}

int
weft_cond_wait(weft_cond *cond, weft_mutex *mutex, weft_time deadline)
{
    struct self *self = self_get();
    const void *site = __builtin_return_address(0);

    if (!cond || !mutex)
        return why_set(WEFT_EINVAL, "weft_cond_wait: %s is NULL",
                       cond ? "mutex" : "cond");
    if (!mutex_is_mine(mutex, self))
        object_misused("weft_cond_wait", cond, site,
                       "the caller does not hold the mutex");
    const struct wait_terms terms = {.until = deadline.ns,
                                     .shared =
                                         object_is_shared(cond->shared, cond),
                                     .once = true,
                                     .kind = SLOT_WAIT_COND,
                                     .object = cond};
    const uint16_t depth = mutex->internal_depth;
    int status = terms.shared ? robust_enter(self) : 0;

    if (status < 0)
        return status;
    mutex->internal_depth = 0;
    status = terms.shared ? cond_shared_wait(cond, mutex, self, &terms)
                          : wait_private((struct cond *)(void *)cond, mutex,
                                         self, &terms);
    const int taken = take_back(cond, mutex, self, depth, site);

    if (terms.shared)
        cond_shared_end(self);
    /* That the data may be torn is told once, and more urgent. */
    return status < 0 && taken == 0
               ? object_failed(status, "weft_cond_wait", cond)
               : taken;
}

void
weft_cond_notify(weft_cond *cond, unsigned n)
{
    object_must("weft_cond_notify", cond, __builtin_return_address(0));
    if (!object_is_shared(cond->shared, cond))
        notify_private((struct cond *)(void *)cond, n);
    else
        cond_shared_notify(cond, self_get(), n);
}
