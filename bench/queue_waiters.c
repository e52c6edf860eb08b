/* What a queue costs as more and more wait for it: getters are asleep, and one
 * operation puts an item and sees that one of them, and no other, has got it.
 * Ours against a ring under a mutex with two condition variables. The getters
 * are threads also where the queue is shared. All on one CPU, or it would be
 * told where the scheduler puts a thousand threads. */
#include "harness.h"
#include "ways.h"

#include <weft/weft.h>

#include <pthread.h>
#include <semaphore.h>
#include <stdio.h>
#include <stdlib.h>

enum {
    POINTS = 4,
    MOST = 1000,
    BATCH = 16,
    STACK = 64 << 10,
    END = 0 /* an item that ends a getter */
};

static const int waiters[POINTS] = {1, 10, 100, MOST};
static const double waiters_at[POINTS] = {1, 10, 100, MOST};

static struct {
    const struct way *way;
    void *queue;
    sem_t got; /* the one way back, for all */
    _Atomic int begun;
} now;

static void *
get_for_ever(void *unused)
{
    now.begun++;
    while (now.way->get(now.queue) != END)
        sem_post(&now.got);
    return unused;
}

static void
start_getters(pthread_t threads[], int count)
{
    pthread_attr_t small;

    now.begun = 0;
    pthread_attr_init(&small);
    pthread_attr_setstacksize(&small, STACK);
    for (int i = 0; i < count; i++)
        if (pthread_create(&threads[i], &small, get_for_ever, NULL) != 0)
            abort();
    pthread_attr_destroy(&small);
    while (now.begun < count)
        bench_sleep(BENCH_MS);
    bench_sleep(5 * BENCH_MS); /* to fall asleep */
}

static void
pass_one(void)
{
    now.way->put(now.queue, 1);
    while (sem_wait(&now.got) < 0)
        ;
}

struct how {
    const struct way *way;
    int waiters;
};

static double
pass_items(const void *arg, int64_t span)
{
    static pthread_t threads[MOST];
    const struct how *how = arg;

    now.way = how->way;
    now.queue = how->way->open();
    if (!now.queue)
        return -1;
    start_getters(threads, how->waiters);
    struct bench_run run = bench_run(span);

    while (bench_goes_on(&run))
        for (int i = 0; i < BATCH; i++)
            pass_one();
    for (int i = 0; i < how->waiters; i++)
        how->way->put(now.queue, END);
    for (int i = 0; i < how->waiters; i++)
        pthread_join(threads[i], NULL);
    how->way->close(now.queue);
    return bench_cost(&run, BATCH);
}

static void
grow(const char *name, const struct way *mine, const struct way *peer)
{
    const struct bench_group group = {.title = name, .pin = 1};
    struct how how[2 * POINTS];
    struct bench_entry entries[2 * POINTS];
    double ours[POINTS], theirs[POINTS];
    char row[96];

    for (int i = 0; i < 2 * POINTS; i++) {
        how[i] = (struct how){i % 2 ? peer : mine, waiters[i / 2]};
        entries[i] = bench_entry(how[i].way->name, pass_items, &how[i]);
    }
    if (!bench_measure(&group, entries, 2 * POINTS))
        return;
    for (int i = 0; i < POINTS; i++) {
        ours[i] = entries[2 * i].median;
        theirs[i] = entries[2 * i + 1].median;
        snprintf(row, sizeof row, "%s, %d waiting", name, waiters[i]);
        bench_ratio(row, &entries[2 * i], &entries[2 * i + 1],
                    (struct bench_promise){0, 0});
    }
    snprintf(row, sizeof row, "%s (peer: %s)", name, peer->name);
    bench_slope(&(struct bench_points){.name = row,
                                       .per = "waiter",
                                       .count = POINTS,
                                       .at = waiters_at,
                                       .ours = ours,
                                       .peer = theirs});
}

int
main(void)
{
    const weft_options options = {.quiet = true};

    bench_open("queues with many waiters");
    if (!ways_open() || sem_init(&now.got, 0, 0) < 0)
        return 1;
    weft_must(weft_init(&options), "init");
    grow("put, got by one", &ways[0], &ways[1]);
    grow("shared put, got by one", &ways_between[0], &ways_between[1]);
    return bench_close();
}
