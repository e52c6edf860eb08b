/* What a pool's work costs as its workers become many more than there are CPUs:
 * a task, and a part of a loop. All workers are alive by then. */
#include "harness.h"

#include <weft/weft.h>

#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>

#if BENCH_GLIB
#    include <glib.h>
#endif

enum {
    BATCH = 2000, /* tasks */
    PARTS = 2000, /* of a loop */
    SHORT = 20 * BENCH_MS,
    SIZES = 8
};

static const unsigned sizes[SIZES] = {1, 2, 4, 8, 32, 64, 256, 512};
static const double sizes_at[SIZES] = {1, 2, 4, 8, 32, 64, 256, 512};

typedef double table[SIZES][BENCH_ROUNDS];

static atomic_uint left;
static pthread_barrier_t meeting;

/* Done once by each worker. */
static void
meet(void)
{
    pthread_barrier_wait(&meeting);
    atomic_fetch_sub(&left, 1);
}

static void
expect_all(unsigned workers)
{
    pthread_barrier_init(&meeting, NULL, workers);
    atomic_store(&left, workers);
}

/* Waits until all that was to be done is. */
static void
settle(void)
{
    while (atomic_load_explicit(&left, memory_order_acquire) > 0)
        sched_yield();
}

static int
meet_others(weft_call *call)
{
    (void)call;
    meet();
    return 0;
}

static int
count_down(weft_call *call)
{
    (void)call;
    atomic_fetch_sub(&left, 1);
    return 0;
}

static int
do_part(void *context, size_t first, size_t last)
{
    (void)context;
    (void)first;
    (void)last;
    return 0;
}

static void
submit(weft_pool *pool, const weft_task *task, unsigned count)
{
    for (unsigned i = 0; i < count; i++)
        weft_must(weft_submit(NULL, pool, task), "submit");
}

static weft_pool *
open_pool(unsigned workers)
{
    weft_pool *pool;

    expect_all(workers);
    weft_must(weft_pool_open(&pool, WEFT_THREAD,
                             &(weft_pool_options){.workers = workers}),
              "open a pool");
    submit(pool, &(weft_task){.fn = meet_others, .name = "meet"}, workers);
    settle();
    return pool;
}

static double
time_tasks(weft_pool *pool)
{
    struct bench_run run = bench_run(SHORT);

    while (bench_goes_on(&run)) {
        atomic_store(&left, BATCH);
        submit(pool, &(weft_task){.fn = count_down, .name = "count"}, BATCH);
        settle();
    }
    return bench_cost(&run, BATCH);
}

static double
time_loops(weft_pool *pool)
{
    struct bench_run run = bench_run(SHORT);

    while (bench_goes_on(&run))
        weft_must(weft_for(pool, PARTS, 1, do_part, NULL), "loop");
    return bench_cost(&run, PARTS);
}

#if BENCH_GLIB
static void
glib_task(void *meets, void *unused)
{
    (void)unused;
    if (meets == &meeting)
        meet();
    else
        atomic_fetch_sub(&left, 1);
}

static double
time_peer(unsigned workers)
{
    GThreadPool *pool =
        g_thread_pool_new(glib_task, NULL, (int)workers, TRUE, NULL);
    struct bench_run run = bench_run(SHORT);

    expect_all(workers);
    for (unsigned i = 0; i < workers; i++)
        g_thread_pool_push(pool, &meeting, NULL);
    settle();
    while (bench_goes_on(&run)) {
        atomic_store(&left, BATCH);
        for (int i = 0; i < BATCH; i++)
            g_thread_pool_push(pool, &left, NULL);
        settle();
    }
    g_thread_pool_free(pool, FALSE, TRUE);
    return bench_cost(&run, BATCH);
}
#endif

static void
medians(table samples, double out[SIZES])
{
    struct bench_entry entry;

    for (int i = 0; i < SIZES; i++) {
        bench_summarise(&entry, samples[i], bench_rounds(), 0.5);
        out[i] = entry.median;
    }
}

static void
grow_pools(void)
{
    static table tasks, loops, peer;
    double task_medians[SIZES], loop_medians[SIZES];
    double peer_medians[SIZES];

    for (int round = 0; round < bench_rounds(); round++) {
        (void)bench_wait_for_quiet();
        for (int i = 0; i < SIZES; i++) {
            weft_pool *pool = open_pool(sizes[i]);

            tasks[i][round] = time_tasks(pool);
            loops[i][round] = time_loops(pool);
            weft_pool_close(pool, WEFT_FOREVER);
#if BENCH_GLIB
            peer[i][round] = time_peer(sizes[i]);
#endif
        }
    }
    medians(tasks, task_medians);
    medians(loops, loop_medians);
    medians(peer, peer_medians);
    bench_slope(
        &(struct bench_points){.name = "a pool's task (peer: GLib)",
                               .per = "worker",
                               .count = SIZES,
                               .at = sizes_at,
                               .ours = task_medians,
                               .peer = BENCH_GLIB ? peer_medians : NULL});
    bench_slope(&(struct bench_points){.name = "a part of weft_for",
                                       .per = "worker",
                                       .count = SIZES,
                                       .at = sizes_at,
                                       .ours = loop_medians});
}

int
main(void)
{
    bench_open("growth of a pool");
    grow_pools();
    return bench_close();
}
