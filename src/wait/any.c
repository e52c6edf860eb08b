#include "wait/any.h"

#include "base/why.h"
#include "os/os.h"
#include "wait/bell.h"
#include "wait/sentry.h"

#include <weft/status.h>

#include <errno.h>
#include <stdlib.h>
#include <string.h>

enum {
    POLLING = 1,
    RING = 2
};

/* One call's state: the sources, and the descriptors among them with their
 * indices, the bell last. */
struct any {
    struct any_source *sources;
    size_t count, from;
    struct os_poll *polls; /* NULL: no descriptor */
    size_t *indices;
    unsigned poll_count; /* without the bell */
    struct waiter waiter;
    /* The words of sources that other processes use, after the waiter's own. */
    struct os_wait words[1 + ANY_SHARED];
    unsigned word_count;
};

enum {
    NET = 1000000000, /* ns: the longest sleep on shared words */
    SLICE = 10000000  /* ns, where not all words fit into one sleep */
};

void
watch_ring(struct watch *watch)
{
    struct waiter *waiter = watch->waiter;

    if (atomic_fetch_add(&waiter->word.value, RING) & POLLING)
        os_event_ring(waiter->bell);
    wait_wake(&waiter->word, 1, false);
}

/* How far index i lies behind `from` in the circle. */
static size_t
distance(const struct any *any, size_t i)
{
    return i >= any->from ? i - any->from : i + any->count - any->from;
}

/* Looks at the descriptors, sleeping until `until` if none is ready and the
 * bell is silent. The nearest ready one, any->count for none, or an error. */
static int
look_at_fds(struct any *any, bool with_bell, int64_t until, size_t *nearest)
{
    struct os_poll *polls = any->polls;

    for (unsigned i = 0; i < any->poll_count; i++) {
        const struct any_source *source = &any->sources[any->indices[i]];

        polls[i] =
            (struct os_poll){source->fd, source->readable, source->writable};
    }
    polls[any->poll_count] = (struct os_poll){any->waiter.bell, true, false};
    const int status = os_poll(polls, any->poll_count + with_bell, until);

    for (unsigned i = 0; status > 0 && i < any->poll_count; i++) {
        if (!polls[i].readable && !polls[i].writable)
            continue;
        if (*nearest == any->count ||
            distance(any, any->indices[i]) < distance(any, *nearest))
            *nearest = any->indices[i];
    }
    return status == -ETIMEDOUT || status == -EINTR ? 0 : status;
}

/* The first ready source in the circle, any->count for none, or an error. */
static int
look(struct any *any, size_t *nearest)
{
    *nearest = any->count;
    for (size_t k = 0; k < any->count; k++) {
        const size_t i = (any->from + k) % any->count;
        const struct any_source *source = &any->sources[i];

        if (source->kind && source->kind->ready(source->object)) {
            *nearest = i;
            break;
        }
    }
    return any->polls ? look_at_fds(any, false, 0, nearest) : 0;
}

static void
watch_all(struct any *any, bool on)
{
    for (size_t i = 0; i < any->count; i++) {
        struct any_source *source = &any->sources[i];

        if (!source->kind)
            continue;
        if (source->shared) {
            atomic_fetch_add(&source->shared->parked, on ? 1 : UINT32_MAX);
            if (source->kind->attend)
                source->kind->attend(source->object, on);
            continue;
        }
        if (!on) {
            source->kind->unwatch(source->object, &source->watch);
            continue;
        }
        source->watch.waiter = &any->waiter;
        source->kind->watch(source->object, &source->watch);
    }
}

static int
poll_once(struct any *any, int64_t until, size_t *nearest)
{
    struct self *self = self_here;
    const int64_t slice = bell_slice(self);

    if (stop_pending(self))
        return WEFT_ECANCELED;
    const int status =
        look_at_fds(any, true, slice < until ? slice : until, nearest);

    os_event_clear(any->waiter.bell);
    return status;
}

/* What the shared words say before the sources are looked at. */
static void
note_words(struct any *any)
{
    any->words[0] = (struct os_wait){
        &any->waiter.word.value, atomic_load(&any->waiter.word.value), false};
    any->word_count = 1;
    for (size_t i = 0; i < any->count; i++) {
        const struct wait_word *word = any->sources[i].shared;

        if (word)
            any->words[any->word_count++] =
                (struct os_wait){&word->value, atomic_load(&word->value), true};
    }
}

/* Sleeps in poll, the bell among the descriptors. */
static int
wait_polling(struct any *any, const struct wait_terms *terms, size_t *nearest)
{
    struct self *self = self_here;
    int status;

    wait_publish(self, terms);
    policy_enter(self);
    policy_sleeps(self);
    stop_listen(self, any->waiter.bell);
    atomic_fetch_or(&any->waiter.word.value, POLLING);
    for (;;) {
        note_words(any);
        if (any->word_count > 1)
            sentry_post(self, any->words + 1, any->word_count - 1);
        status = look(any, nearest);
        if (status < 0 || *nearest < any->count)
            break;
        if (terms->until != OS_NEVER && os_now() >= terms->until)
            status = WEFT_ETIMEDOUT;
        else
            status = poll_once(any, terms->until, nearest);
        if (status < 0 || *nearest < any->count)
            break;
    }
    atomic_fetch_and(&any->waiter.word.value, ~(uint32_t)POLLING);
    if (any->word_count > 1)
        sentry_recall(self);
    stop_ignore(self);
    os_event_clear(any->waiter.bell);
    policy_wakes(self);
    wait_withdraw(self);
    return status;
}

/* The waiter's word, the shared ones, and the thread's stop words; where those
 * do not fit they are looked at in slices. */
static int
sleep_on_words(struct any *any, const struct wait_terms *terms)
{
    struct self *self = self_here;
    struct os_wait words[OS_WAITS];
    unsigned count = any->word_count;
    const struct stop *stop = self->shield ? NULL : self->stop;

    memcpy(words, any->words, count * sizeof *words);
    for (; stop && count < OS_WAITS; stop = stop->outer)
        words[count++] = (struct os_wait){stop->asked, 0, stop->remote};
    const int64_t now = os_now();
    const int64_t slice = now + (stop ? SLICE : NET);

    if (stop_pending(self))
        return WEFT_ECANCELED;
    if (terms->until != OS_NEVER && now >= terms->until)
        return WEFT_ETIMEDOUT;
    if (os_futex_wait_any(words, count,
                          slice < terms->until ? slice : terms->until) ==
        -ENOSYS)
        (void)os_futex_wait(
            words[0].word, words[0].old,
            now + SLICE < terms->until ? now + SLICE : terms->until, false);
    return 0;
}

static int
wait_on_words(struct any *any, const struct wait_terms *terms)
{
    struct self *self = self_get();

    policy_enter(self);
    for (unsigned i = 0; i < any->word_count; i++)
        if (atomic_load(any->words[i].word) != any->words[i].old)
            return 0;
    atomic_fetch_add(&any->waiter.word.parked, 1);
    wait_publish(self, terms);
    policy_sleeps(self);
    const int status = sleep_on_words(any, terms);

    policy_wakes(self);
    wait_withdraw(self);
    atomic_fetch_sub(&any->waiter.word.parked, 1);
    return status;
}

/* Sleeps on the waiter's word, and on those of shared sources. */
static int
wait_on_word(struct any *any, const struct wait_terms *terms, size_t *nearest)
{
    for (;;) {
        note_words(any);
        int status = look(any, nearest);

        if (status < 0 || *nearest < any->count)
            return status;
        status = any->word_count > 1
                     ? wait_on_words(any, terms)
                     : wait_while(&any->waiter.word, any->words[0].old, terms);
        if (status < 0) {
            /* What became ready at the last moment is not lost. */
            const int last = look(any, nearest);

            return last == 0 && *nearest < any->count ? 0 : status;
        }
    }
}

static int
gather_fds(struct any *any)
{
    size_t fds = 0;

    for (size_t i = 0; i < any->count; i++)
        fds += !any->sources[i].kind;
    if (fds == 0)
        return 0;
    any->polls = calloc(fds + 1, sizeof *any->polls + sizeof *any->indices);
    if (!any->polls)
        return why_because(WEFT_ENOMEM, "weft_wait_any");
    any->indices = (size_t *)(void *)(any->polls + fds + 1);
    for (size_t i = 0; i < any->count; i++)
        if (!any->sources[i].kind)
            any->indices[any->poll_count++] = i;
    any->waiter.bell = bell_get(self_get());
    return any->waiter.bell < 0 ? any->waiter.bell : 0;
}

/* A status. */
static int
find_shared(struct any_source *sources, size_t count)
{
    unsigned shared = 0;

    for (size_t i = 0; i < count; i++) {
        struct any_source *source = &sources[i];

        source->shared = source->kind && source->kind->shared
                             ? source->kind->shared(source->object)
                             : NULL;
        shared += source->shared != NULL;
    }
    return shared <= ANY_SHARED
               ? 0
               : why_set(WEFT_EINVAL,
                         "%u sources are shared between processes; %d may be",
                         shared, ANY_SHARED);
}

static bool
has_shared(const struct any *any)
{
    for (size_t i = 0; i < any->count; i++)
        if (any->sources[i].shared)
            return true;
    return false;
}

/* A status; the caller frees any->polls. */
static int
prepare(struct any *any)
{
    struct self *self = self_get();
    int status = find_shared(any->sources, any->count);

    if (status == 0)
        status = gather_fds(any);
    if (status == 0 && any->polls && has_shared(any))
        status = sentry_get(self, any->waiter.bell);
    return status;
}

int
any_wait(struct any_source *sources, size_t count, size_t from,
         const struct wait_terms *terms)
{
    struct any any = {
        .sources = sources, .count = count, .from = count ? from % count : 0};
    size_t nearest = count;

    int status = prepare(&any);

    if (status < 0) {
        free(any.polls);
        return status; /* it has said why */
    }
    status = look(&any, &nearest);
    if (status == 0 && nearest == count && terms->until <= 0)
        status = WEFT_ETIMEDOUT;
    if (status == 0 && nearest == count) {
        watch_all(&any, true);
        status = any.polls ? wait_polling(&any, terms, &nearest)
                           : wait_on_word(&any, terms, &nearest);
        watch_all(&any, false);
    }
    free(any.polls);
    if (status == -EBADF)
        return why_set(WEFT_EINVAL, "a source's fd is no open descriptor");
    if (status < 0)
        return status == WEFT_ETIMEDOUT || status == WEFT_ECANCELED
                   ? status
                   : why_system(status, "cannot wait for descriptors");
    return (int)nearest;
}
