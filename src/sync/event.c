/* One word: bit 0 = set, above it a count of how often it was set, so that a
 * waiter sees a setting that was cleared again at once. Changed by compare-and-
 * swap; signal-safe. */
#include "base/why.h"
#include "os/os.h"
#include "sync/object.h"
#include "sync/recover.h"
#include "wait/robust.h"

#include <weft/event.h>
#include <weft/status.h>

#include <limits.h>

enum {
    SET = 1,
    ONE_MORE = 2
};

static struct wait_word *
word_of(const weft_event *event)
{
    return (struct wait_word *)(uintptr_t)event->internal_word;
}

static void
set(weft_event *event, bool shared)
{
    struct wait_word *word = word_of(event);
    uint32_t now = atomic_load_explicit(&word->value, memory_order_relaxed);

    do
        if (now & SET)
            break;
    while (!atomic_compare_exchange_weak(&word->value, &now,
                                         (now + ONE_MORE) | SET));
    /* Also when it was set before: who set it may have been killed since. */
    wait_wake(word, INT_MAX, shared);
}

void
weft_event_set(weft_event *event)
{
    struct self *self = self_here;
    const bool shared = object_is_shared(event->shared, event);

    if (!shared || !self || !self->certified) {
        set(event, shared);
        return;
    }
    /* A signal handler may be in the middle of another call. */
    const struct call_saved saved = call_save(self);

    call_begin(self, event, SLOT_WAIT_EVENT);
    set(event, true);
    call_restore(self, &saved);
}

static void
recover(void *object, const struct slot *dead, uint32_t ticket)
{
    (void)dead;
    (void)ticket;
    os_futex_wake(&word_of(object)->value, INT_MAX, true);
}

__attribute__((constructor)) static void
teach(void)
{
    recover_teach(SLOT_WAIT_EVENT, recover,
                  offsetof(weft_event, internal_word));
}

void
weft_event_clear(weft_event *event)
{
    atomic_fetch_and(&word_of(event)->value, ~(uint32_t)SET);
}

bool
weft_event_is_set(const weft_event *event)
{
    /* acquire: what was written before the setting is seen */
    return atomic_load_explicit(&word_of(event)->value, memory_order_acquire) &
           SET;
}

int
weft_event_wait(weft_event *event, weft_time deadline)
{
    if (!event)
        return why_set(WEFT_EINVAL, "weft_event_wait: event is NULL");
    struct wait_word *word = word_of(event);
    const struct wait_terms terms = {.until = deadline.ns,
                                     .shared =
                                         object_is_shared(event->shared, event),
                                     .kind = SLOT_WAIT_EVENT,
                                     .object = event};
    const uint32_t first =
        atomic_load_explicit(&word->value, memory_order_acquire);
    int status = 0;

    /* Not set, and so it is set when the word is another. */
    while (status == 0 && !(first & SET) &&
           atomic_load_explicit(&word->value, memory_order_acquire) == first)
        status = wait_while(word, first, &terms);
    return status < 0 ? object_failed(status, "weft_event_wait", event) : 0;
}
