/* A queue between threads: producers and consumers that do nothing else, so
 * that only the hand-over costs. One operation is one item through the queue.
 *
 * The threads here are pthreads for all: weft adopts them at their first wait.
 */
#include "harness.h"
#include "ways.h"

#include <pthread.h>
#include <stdio.h>

enum {
    SIDE_MOST = 4,
    BATCH = 64,
    END = 0 /* an item that ends a consumer */
};

/* --- producers and consumers */

struct shape {
    const char *name;
    int producers, consumers;
};

static struct {
    const struct way *way;
    void *queue;
    _Atomic int finished; /* producers leave */
    _Atomic int64_t eaten;
} now;

static void *
produce(void *unused)
{
    (void)unused;
    while (!now.finished)
        for (uint64_t i = 1; i <= BATCH; i++)
            now.way->put(now.queue, i);
    return NULL;
}

static void *
consume(void *unused)
{
    int64_t eaten = 0;

    (void)unused;
    while (now.way->get(now.queue) != END)
        if (++eaten % BATCH == 0)
            now.eaten += BATCH;
    return NULL;
}

/* ns an item, over the second half of the span. */
static double
watch_them(int64_t span)
{
    bench_sleep(span / 2);
    const int64_t begun = bench_now(), before = now.eaten;

    bench_sleep(span / 2);
    const int64_t eaten = now.eaten - before;

    return (double)(bench_now() - begun) / (double)(eaten > 0 ? eaten : 1);
}

static double
feed(const struct way *way, const struct shape *shape, int64_t span)
{
    pthread_t producers[SIDE_MOST], consumers[SIDE_MOST];

    now.way = way;
    now.queue = way->open();
    now.finished = 0;
    now.eaten = 0;
    if (!now.queue)
        return -1;
    for (int i = 0; i < shape->consumers; i++)
        pthread_create(&consumers[i], NULL, consume, NULL);
    for (int i = 0; i < shape->producers; i++)
        pthread_create(&producers[i], NULL, produce, NULL);
    const double cost = watch_them(span);

    now.finished = 1;
    for (int i = 0; i < shape->producers; i++)
        pthread_join(producers[i], NULL);
    for (int i = 0; i < shape->consumers; i++)
        way->put(now.queue, END);
    for (int i = 0; i < shape->consumers; i++)
        pthread_join(consumers[i], NULL);
    way->close(now.queue);
    return cost;
}

struct how {
    const struct way *way;
    const struct shape *shape;
};

static double
run_shape(const void *arg, int64_t span)
{
    const struct how *how = arg;

    return feed(how->way, how->shape, span);
}

/* --- the rows */

struct row {
    struct shape shape;
    int hogs;
    struct bench_promise promises[3]; /* by way; the first is not used */
};

static const struct row rows[] = {
    {{"1P1C", 1, 1}, 0, {{0, 0}, {0.35, 0}, {0.2, 0}}},
    {{"2P2C", 2, 2}, 0, {{0, 0}, {0.65, 0.3}, {0, 0}}},
    {{"4P4C", 4, 4}, 0, {{0, 0}, {1.2, 0}, {1.2, 0}}},
    {{"1P1C, 1 busy loop", 1, 1}, 1, {{0, 0}, {1.2, 0}, {1.2, 0}}},
    {{"2P2C, 1 busy loop", 2, 2}, 1, {{0, 0}, {1.2, 0}, {1.2, 0}}},
    {{"4P4C, 1 busy loop", 4, 4}, 1, {{0, 0}, {1.2, 0}, {1.2, 0}}},
};

static void
compare(const struct row *row)
{
    const struct bench_group group = {
        .title = row->shape.name, .span = 160 * BENCH_MS, .hogs = row->hogs};
    struct how how[WAYS_MOST];
    struct bench_entry entries[WAYS_MOST];
    char name[96];

    for (int i = 0; i < ways_count; i++) {
        how[i] = (struct how){&ways[i], &row->shape};
        entries[i] = bench_entry(ways[i].name, run_shape, &how[i]);
    }
    if (!bench_measure(&group, entries, ways_count))
        return;
    for (int i = 1; i < ways_count; i++) {
        snprintf(name, sizeof name, "queue %s / %s", row->shape.name,
                 ways[i].name);
        bench_ratio(name, &entries[0], &entries[i], row->promises[i]);
    }
}

int
main(void)
{
    bench_open("queues");
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
        compare(&rows[i]);
    return bench_close();
}
