/* One word: bit 0 = set, above it a count of how often it was set, so that a
 * waiter sees a setting that was cleared again at once. Changed by compare-and-
 * swap; signal-safe.
 *
 * Who waits for several things lies in a list of watches, under a lock that a
 * signal handler may find taken by the very thread that it interrupts. So a
 * setter only tries, and leaves a note (`missed`) for the holder, who rings in
 * its place. Setter: note, try. Holder: give, look for the note. Both
 * sequentially consistent: one sees the other. */
#include "sync/event.h"

#include "base/why.h"
#include "os/os.h"
#include "sync/object.h"
#include "sync/recover.h"
#include "wait/lock.h"
#include "wait/robust.h"

#include <weft/event.h>
#include <weft/status.h>

#include <limits.h>

enum {
    SET = 1,
    ONE_MORE = 2
};

/* The caller's view of the same words. */
struct event {
    bool shared;
    struct wait_word word;
    struct lock lock;
    _Atomic uint32_t missed, watchers; /* watchers: changed under lock */
    struct list watches;               /* under lock; all-zero at first */
};

_Static_assert(sizeof(struct event) == sizeof(weft_event), "the same words");

static struct event *
event_of(const weft_event *event)
{
    return (struct event *)(uintptr_t)event;
}

static struct wait_word *
word_of(const weft_event *event)
{
    return &event_of(event)->word;
}

static void
ring_watches(struct event *event)
{
    while (atomic_load(&event->missed) && lock_try(&event->lock)) {
        atomic_store(&event->missed, 0);
        if (atomic_load(&event->watchers) == 0) {
            lock_give(&event->lock);
            break;
        }
        list_foreach (at, &event->watches)
            watch_ring(list_entry(at, struct watch, link));
        lock_give(&event->lock);
    }
}

static void
watch(void *object, struct watch *watch)
{
    struct event *event = event_of(object);

    lock_take(&event->lock);
    if (!event->watches.next)
        list_init(&event->watches);
    list_append(&event->watches, &watch->link);
    atomic_fetch_add(&event->watchers, 1);
    lock_give(&event->lock);
    ring_watches(event);
}

static void
unwatch(void *object, struct watch *watch)
{
    struct event *event = event_of(object);

    lock_take(&event->lock);
    list_remove(&watch->link);
    atomic_fetch_sub(&event->watchers, 1);
    lock_give(&event->lock);
    ring_watches(event);
}

static bool
ready(void *object)
{
    return weft_event_is_set(object);
}

static struct wait_word *
shared_word(void *object)
{
    const weft_event *event = object;

    return object_is_shared(event->shared, event) ? word_of(event) : NULL;
}

const struct waitable event_waitable = {ready, watch, unwatch, shared_word,
                                        NULL};

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
    if (!shared && atomic_load(&event_of(event)->watchers) > 0) {
        atomic_store(&event_of(event)->missed, 1);
        ring_watches(event_of(event));
    }
}

void
weft_event_set(weft_event *event)
{
    struct self *self = self_here;

    object_must("weft_event_set", event, __builtin_return_address(0));
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

__attribute__((constructor)) static void
teach(void)
{
    recover_teach(SLOT_WAIT_EVENT, NULL, offsetof(struct event, word));
}

void
weft_event_clear(weft_event *event)
{
    object_must("weft_event_clear", event, __builtin_return_address(0));
    atomic_fetch_and(&word_of(event)->value, ~(uint32_t)SET);
}

bool
weft_event_is_set(const weft_event *event)
{
    object_must("weft_event_is_set", event, __builtin_return_address(0));
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
