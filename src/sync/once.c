/*   word        who changes it
 *   0           nobody has done it
 *   owner       this thread does it: by compare-and-swap from 0, or from an
 *               owner that is dead
 *   DONE        for good: by the owner */
#include "base/why.h"
#include "os/os.h"
#include "registry/registry.h"
#include "sync/object.h"
#include "sync/recover.h"
#include "wait/robust.h"

#include <weft/once.h>
#include <weft/status.h>

#include <limits.h>

#define DONE UINT32_MAX

static struct wait_word *
word_of(weft_once *once)
{
    return (struct wait_word *)(void *)once->internal_word;
}

static void
tell(struct wait_word *word, uint32_t value, bool shared)
{
    atomic_store(&word->value, value);
    wait_wake(word, INT_MAX, shared);
}

/* 1: it is done; 0: the caller is to do it; else a failure. */
static int
take(struct wait_word *word, struct self *self, struct wait_terms *terms)
{
    for (;;) {
        uint32_t now = atomic_load_explicit(&word->value, memory_order_acquire);

        if (now == DONE)
            return 1;
        if (now == self->owner)
            return why_set(WEFT_EDEADLK, "weft_once_do: called by its own "
                                         "function");
        if ((now == 0 || !registry_owner_lives(now)) &&
            atomic_compare_exchange_strong(&word->value, &now, self->owner))
            return 0;
        terms->owner = now == DONE ? 0 : now;
        if (now == 0 || now == DONE)
            continue;
        (void)wait_while(word, now, terms);
    }
}

static int
do_it(weft_once *once, int (*fn)(void *arg), void *arg)
{
    struct self *self = self_get();
    struct wait_word *word = word_of(once);
    const bool shared = object_is_shared(once->shared, once);
    struct wait_terms terms = {.until = OS_NEVER,
                               .stubborn = true,
                               .shared = shared,
                               .kind = SLOT_WAIT_ONCE,
                               .object = once};
    int status = shared ? robust_enter(self) : 0;

    if (status < 0)
        return status;
    if (shared)
        call_begin(self, once, SLOT_WAIT_ONCE);
    status = take(word, self, &terms);
    if (status == 0) {
        status = fn(arg);
        tell(word, status == 0 ? DONE : 0, shared);
    } else if (status > 0) {
        status = 0;
    }
    if (shared)
        call_end(self);
    return status;
}

int
weft_once_do(weft_once *once, int (*fn)(void *arg), void *arg)
{
    if (!once || !fn)
        return why_set(WEFT_EINVAL, "weft_once_do: %s is NULL",
                       once ? "fn" : "once");
    /* acquire: pairs with the store of DONE */
    if (atomic_load_explicit(&word_of(once)->value, memory_order_acquire) ==
        DONE)
        return 0;
    return do_it(once, fn, arg);
}

__attribute__((constructor)) static void
teach(void)
{
    recover_teach(SLOT_WAIT_ONCE, NULL, offsetof(weft_once, internal_word));
}
