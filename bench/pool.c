/* Submitting to a pool, and waiting for what was submitted, against the pools
 * of libuv, GLib and oneTBB. */
#include "harness.h"
#include "tbb.h"

#include <weft/weft.h>

#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>

#if BENCH_GLIB
#    include <glib.h>
#endif
#if BENCH_UV
#    include <uv.h>
#endif

enum {
    BATCH = 2000, /* tasks */
    PRODUCERS = 2
};

/* How a pool is used: `submit` gives it `count` tasks that count down `left`,
 * and may return before they have been run. */
struct way {
    const char *name;
    void (*submit)(atomic_int *left, int count);
    void (*call)(atomic_int *left); /* one, and waits for it */
};

static void
settle(atomic_int *left)
{
    while (atomic_load_explicit(left, memory_order_acquire) > 0)
        sched_yield();
}

/* --- weft */

static weft_pool *pool;

static int
count_down(weft_call *call)
{
    atomic_fetch_sub((atomic_int *)(uintptr_t)call->arg, 1);
    return 0;
}

static void
weft_submit_all(atomic_int *left, int count)
{
    for (int i = 0; i < count; i++)
        weft_must(
            weft_submit(
                NULL, pool,
                &(weft_task){.fn = count_down, .name = "count", .arg = left}),
            "submit");
}

static void
weft_call_one(atomic_int *left)
{
    weft_job *job;

    weft_must(weft_submit(
                  &job, pool,
                  &(weft_task){.fn = count_down, .name = "count", .arg = left}),
              "submit");
    weft_must(weft_join(job, WEFT_FOREVER), "join");
    weft_release(job);
}

static const struct way weft = {"weft", weft_submit_all, weft_call_one};

/* --- GLib */

#if BENCH_GLIB
static GThreadPool *glib_pool;

static void
glib_run(void *left, void *unused)
{
    (void)unused;
    atomic_fetch_sub((atomic_int *)left, 1);
}

static void
glib_submit(atomic_int *left, int count)
{
    if (!glib_pool)
        glib_pool =
            g_thread_pool_new(glib_run, NULL, (int)bench_cpus(), TRUE, NULL);
    for (int i = 0; i < count; i++)
        g_thread_pool_push(glib_pool, left, NULL);
}
#endif

/* --- libuv: one loop takes the tasks, in the calling thread */

#if BENCH_UV
static void
uv_run_one(uv_work_t *work)
{
    atomic_fetch_sub((atomic_int *)work->data, 1);
}

static void
uv_submit(atomic_int *left, int count)
{
    static _Thread_local uv_loop_t *loop;
    static _Thread_local uv_work_t works[BATCH];

    if (!loop) {
        loop = malloc(sizeof *loop);
        uv_loop_init(loop);
    }
    for (int i = 0; i < count; i++) {
        works[i].data = left;
        uv_queue_work(loop, &works[i], uv_run_one, NULL);
    }
    uv_run(loop, UV_RUN_DEFAULT);
}
#endif

/* --- oneTBB */

#if BENCH_TBB
static void
tbb_run(void *left)
{
    atomic_fetch_sub((atomic_int *)left, 1);
}

static void
tbb_submit(atomic_int *left, int count)
{
    for (int i = 0; i < count; i++)
        bench_tbb_enqueue(tbb_run, left);
}
#endif

static void
call_one(const struct way *way, atomic_int *left)
{
    way->submit(left, 1);
    settle(left);
}

static const struct way peers[] = {
#if BENCH_UV
    {"libuv", uv_submit, NULL},
#endif
#if BENCH_GLIB
    {"GLib", glib_submit, NULL},
#endif
#if BENCH_TBB
    {"oneTBB", tbb_submit, NULL},
#endif
    {NULL, NULL, NULL},
};

/* --- measuring */

static double
measure_submit(const void *arg, int64_t span)
{
    const struct way *way = arg;
    struct bench_run run = bench_run(span);

    while (bench_goes_on(&run)) {
        atomic_int left = BATCH;

        way->submit(&left, BATCH);
        settle(&left);
    }
    return bench_cost(&run, BATCH);
}

static void *
produce(void *arg)
{
    const struct way *way = arg;
    atomic_int left = BATCH;

    way->submit(&left, BATCH);
    settle(&left);
    return NULL;
}

static double
measure_producers(const void *arg, int64_t span)
{
    struct bench_run run = bench_run(span);

    while (bench_goes_on(&run)) {
        pthread_t threads[PRODUCERS];

        for (int i = 0; i < PRODUCERS; i++)
            pthread_create(&threads[i], NULL, produce, (void *)(uintptr_t)arg);
        for (int i = 0; i < PRODUCERS; i++)
            pthread_join(threads[i], NULL);
    }
    return bench_cost(&run, PRODUCERS * BATCH);
}

static double
measure_calls(const void *arg, int64_t span)
{
    const struct way *way = arg;
    struct bench_run run = bench_run(span);

    while (bench_goes_on(&run)) {
        atomic_int left = 1;

        if (way->call)
            way->call(&left);
        else
            call_one(way, &left);
    }
    return bench_cost(&run, 1);
}

static double
measure_inside(const void *unused, int64_t span)
{
    (void)unused;
    struct bench_run run = bench_run(span);

    while (bench_goes_on(&run)) {
        atomic_int left = 1;

        weft_call_one(&left);
    }
    return bench_cost(&run, 1);
}

static int64_t inside_span;
static double inside_cost;

static int
call_inside(weft_call *call)
{
    (void)call;
    inside_cost = measure_inside(NULL, inside_span);
    return 0;
}

static double
measure_from_worker(const void *unused, int64_t span)
{
    weft_job *job;

    (void)unused;
    inside_span = span;
    weft_must(weft_submit(&job, pool,
                          &(weft_task){.fn = call_inside, .name = "inside"}),
              "submit");
    weft_must(weft_join(job, WEFT_FOREVER), "join");
    weft_release(job);
    return inside_cost;
}

static void
compare(const char *title, int hogs, bench_fn *fn, struct bench_promise promise)
{
    struct bench_entry entries[8] = {bench_entry(weft.name, fn, &weft)};
    int count = 1;
    char name[64];

    for (const struct way *peer = peers; peer->name; peer++)
        entries[count++] = bench_entry(peer->name, fn, peer);
    if (!bench_measure(&(struct bench_group){.title = title, .hogs = hogs},
                       entries, count))
        return;
    for (int i = 1; i < count; i++) {
        snprintf(name, sizeof name, "%s / %s", title, entries[i].name);
        bench_ratio(name, &entries[0], &entries[i], (struct bench_promise){0});
    }
    snprintf(name, sizeof name, "%s / best", title);
    bench_ratio(name, &entries[0], bench_best(entries, count), promise);
}

static void
compare_inside(void)
{
    struct bench_entry entries[8] = {
        bench_entry("weft", measure_from_worker, NULL)};
    int count = 1;

    for (const struct way *peer = peers; peer->name; peer++)
        entries[count++] = bench_entry(peer->name, measure_calls, peer);
    if (bench_measure(&(struct bench_group){.title = "submit and wait inside"},
                      entries, count))
        bench_ratio("submit and wait, waiter may help / best", &entries[0],
                    bench_best(entries, count),
                    (struct bench_promise){0.02, 0});
}

int
main(void)
{
    bench_open("pool");
    weft_must(weft_pool_open(&pool, WEFT_THREAD, NULL), "open a pool");
    compare("submit, 1 producer", 0, measure_submit,
            (struct bench_promise){0.6, 0.25});
    compare("submit, 2 producers", 0, measure_producers,
            (struct bench_promise){0.6, 0.25});
    compare("submit, 1 producer, beside a busy loop", 1, measure_submit,
            (struct bench_promise){1.2, 0});
    compare("submit and wait", 0, measure_calls,
            (struct bench_promise){0.1, 0});
    compare_inside();
    weft_pool_close(pool, WEFT_FOREVER);
    return bench_close();
}
