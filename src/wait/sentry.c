/* Orders go through one word, which the thread that polls counts up:
 *
 *   order    its writer, the polling thread: +1 for each order
 *   posted   how many words to watch; 0 = none; SENTRY_ENDS: end. Written
 * before `order` seen     the sentry: the order that it has taken note of. From
 * then on it touches no words of an earlier one */
#include "wait/sentry.h"

#include "base/why.h"

#include <weft/status.h>

#include <limits.h>
#include <stdlib.h>
#include <string.h>

enum {
    STACK = 64 << 10,
    WORDS = OS_WAITS - 1,
    SENTRY_ENDS = WORDS + 1,
    NET = 1000000000 /* ns; who sleeps on shared words looks again */
};

struct sentry {
    _Atomic uint32_t order, seen;
    _Atomic unsigned posted;
    int bell;
    struct os_wait words[1 + WORDS]; /* the first one is `order` */
};

static _Atomic int running;

/* Watches until a word changes, or another order comes. */
static void
watch(struct sentry *sentry, uint32_t order, unsigned count)
{
    sentry->words[0] = (struct os_wait){&sentry->order, order, false};
    (void)os_futex_wait_any(sentry->words, count + 1, os_now() + NET);
    if (atomic_load(&sentry->order) == order)
        os_event_ring(sentry->bell);
}

static void
stand(void *memory)
{
    struct sentry *sentry = memory;

    for (;;) {
        const uint32_t order = atomic_load(&sentry->order);
        const unsigned posted = atomic_load(&sentry->posted);

        if (atomic_load(&sentry->order) != order)
            continue;
        atomic_store(&sentry->seen, order);
        os_futex_wake(&sentry->seen, INT_MAX, false);
        if (posted == SENTRY_ENDS)
            break;
        if (posted > 0)
            watch(sentry, order, posted);
        while (atomic_load(&sentry->order) == order)
            (void)os_futex_wait(&sentry->order, order, OS_NEVER, false);
    }
    atomic_fetch_sub(&running, 1);
    free(sentry);
}

int
sentry_get(struct self *self, int bell)
{
    const struct os_thread_options options = {.stack_size = STACK,
                                              .quiet = true};

    if (self->sentry)
        return 0;
    struct sentry *sentry = calloc(1, sizeof *sentry);

    if (!sentry)
        return why_because(WEFT_ENOMEM, "weft_wait_any");
    sentry->bell = bell;
    atomic_fetch_add(&running, 1);
    const int status = os_thread_start(stand, sentry, &options);

    if (status < 0) {
        atomic_fetch_sub(&running, 1);
        free(sentry);
        return why_system(status, "cannot start a thread that waits for words");
    }
    self->sentry = sentry;
    return 0;
}

static uint32_t
give_order(struct sentry *sentry, unsigned posted)
{
    const uint32_t order = atomic_load(&sentry->order) + 1;

    atomic_store(&sentry->posted, posted);
    atomic_store(&sentry->order, order);
    os_futex_wake(&sentry->order, 1, false);
    return order;
}

/* It may be copying nothing and watching nothing when the words change hands.
 */
static void
await(struct sentry *sentry, uint32_t order)
{
    uint32_t seen;

    while ((seen = atomic_load(&sentry->seen)) != order)
        (void)os_futex_wait(&sentry->seen, seen, OS_NEVER, false);
}

void
sentry_post(struct self *self, const struct os_wait *words, unsigned count)
{
    struct sentry *sentry = self->sentry;

    sentry_recall(self);
    memcpy(sentry->words + 1, words, count * sizeof *words);
    (void)give_order(sentry, count);
}

void
sentry_recall(struct self *self)
{
    if (atomic_load(&self->sentry->posted) != 0)
        await(self->sentry, give_order(self->sentry, 0));
}

void
sentry_end(struct self *self)
{
    if (self->sentry)
        (void)give_order(self->sentry, SENTRY_ENDS);
    self->sentry = NULL;
}

/* --- One that stays at its word */

struct keeper {
    const struct wait_word *word;
    bool (*look)(void *context, uint32_t *seen);
    void *context;
};

static void
keep(void *memory)
{
    const struct keeper keeper = *(struct keeper *)memory;
    uint32_t seen;

    free(memory);
    while (keeper.look(keeper.context, &seen))
        (void)os_futex_wait(&keeper.word->value, seen, os_now() + NET, true);
    atomic_fetch_sub(&running, 1);
}

int
sentry_keep(struct wait_word *word, bool (*look)(void *context, uint32_t *seen),
            void *context)
{
    const struct os_thread_options options = {.stack_size = STACK,
                                              .quiet = true};
    struct keeper *keeper = malloc(sizeof *keeper);

    if (!keeper)
        return why_because(WEFT_ENOMEM, "weft_queue_fd");
    *keeper = (struct keeper){word, look, context};
    atomic_fetch_add(&running, 1);
    atomic_fetch_add(&word->parked, 1);
    const int status = os_thread_start(keep, keeper, &options);

    if (status < 0) {
        atomic_fetch_sub(&word->parked, 1);
        atomic_fetch_sub(&running, 1);
        free(keeper);
        return why_system(status, "cannot start a thread that waits for words");
    }
    return 0;
}

int
sentry_count(void)
{
    return atomic_load(&running);
}

void
sentry_forked(void)
{
    atomic_store(&running, 0);
}
