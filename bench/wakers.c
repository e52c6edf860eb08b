/* What it costs to set an event or to put into a queue when nobody waits there,
 * and when nobody does any more: a thread has waited there, among other sources
 * and in poll, and now polls elsewhere. It should make no difference. */
#include "harness.h"

#include <weft/weft.h>

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum {
    BATCH = 256,
    LINE = 128
};

/* What is waited for; two of each kind: one that nobody ever watched, and one
 * that was polled. */
struct thing {
    weft_event *event;
    weft_queue *queue;
};

static void
tell(const struct thing *thing)
{
    uint64_t item = 1;

    if (thing->event)
        weft_event_set(thing->event);
    else if (weft_queue_put(thing->queue, &item, WEFT_FOREVER) < 0)
        abort();
}

static void
take(const struct thing *thing)
{
    uint64_t item;

    if (thing->event)
        weft_event_clear(thing->event);
    else if (weft_queue_get(thing->queue, &item, WEFT_NOW) < 0)
        abort();
}

static double
tell_and_take(const void *arg, int64_t span)
{
    struct bench_run run = bench_run(span);

    while (bench_goes_on(&run))
        for (int i = 0; i < BATCH; i++) {
            tell(arg);
            take(arg);
        }
    return bench_cost(&run, BATCH);
}

/* On a cache line of its own, as the shared heap's. */
static void *
aligned(size_t size)
{
    void *memory = aligned_alloc(LINE, (size + LINE - 1) / LINE * LINE);

    return memory ? memset(memory, 0, size) : NULL;
}

static struct thing
make(bool event, bool shared)
{
    struct thing thing = {0};
    const weft_queue_options options = {
        .item_size = sizeof(uint64_t), .capacity = 64, .shared = shared};

    if (!event)
        weft_must(weft_queue_open(&thing.queue, &options), "queue");
    else if (shared)
        thing.event = weft_shared_alloc(sizeof *thing.event);
    else
        thing.event = aligned(sizeof *thing.event);
    if (!thing.queue && !thing.event)
        abort();
    return thing;
}

/* --- the thread that polls: first the thing, then what never comes */

struct poller {
    const struct thing *thing;
    int ends[2];
    _Atomic int passed; /* the thing */
};

static void *
poll_things(void *memory)
{
    struct poller *poller = memory;
    const weft_source sources[] = {
        {.fd = poller->ends[0], .events = WEFT_READABLE},
        {.event = poller->thing->event, .queue = poller->thing->queue}};

    weft_must(weft_wait_any(sources, 2, 0, WEFT_FOREVER), "wait");
    poller->passed = 1;
    weft_must(weft_wait_any(sources, 1, 0, WEFT_FOREVER), "wait");
    return NULL;
}

static pthread_t
have_it_polled(struct poller *poller)
{
    pthread_t thread;

    if (pipe(poller->ends) < 0 ||
        pthread_create(&thread, NULL, poll_things, poller) != 0)
        abort();
    bench_sleep(10 * BENCH_MS); /* to fall asleep */
    tell(poller->thing);
    while (!poller->passed)
        bench_sleep(BENCH_MS);
    take(poller->thing);
    return thread;
}

static void
end(struct poller *poller, pthread_t thread)
{
    if (write(poller->ends[1], "x", 1) != 1)
        abort();
    pthread_join(thread, NULL);
    close(poller->ends[0]);
    close(poller->ends[1]);
}

static void
compare(const char *name, bool event, bool shared)
{
    const struct bench_group group = {.title = name, .pin = 1};
    const struct thing watched = make(event, shared);
    const struct thing fresh = make(event, shared);
    struct poller poller = {.thing = &watched};
    const pthread_t thread = have_it_polled(&poller);
    struct bench_entry entries[] = {
        bench_entry("polled before", tell_and_take, &watched),
        bench_entry("never watched", tell_and_take, &fresh)};

    if (bench_measure(&group, entries, 2))
        bench_ratio(name, &entries[0], &entries[1],
                    (struct bench_promise){1.1, 0});
    end(&poller, thread);
}

int
main(void)
{
    const weft_options options = {.quiet = true};

    bench_open("wakers");
    weft_must(weft_init(&options), "init");
    compare("event set + clear, nobody polls it any more", true, false);
    compare("queue put + get, nobody polls it any more", false, false);
    compare("shared event set + clear, polled no more", true, true);
    compare("shared queue put + get, polled no more", false, true);
    return bench_close();
}
