/* Work and span of graphs that are known: what comes out must be exact, however
 * the tasks were spread over workers. */
#include "support/forge.h"
#include "support/support.h"

#include <weft/recording.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    UNIT = 1000 /* ns */
};

static char directory[64], path[96];
static struct forge forge;
static uint64_t boss; /* the main thread, which submits */

static void
begin_forging(void)
{
    support_directory(directory);
    snprintf(path, sizeof path, "%s/dag.weft", directory);
    forge_open(&forge, path);
    boss = forge_thread(&forge, forge_worker(&forge, "main", RECORDING_MAIN));
}

static weft_metrics
measure(uint64_t stop)
{
    weft_recording *recording;
    weft_metrics m;

    forge_close(&forge, stop);
    ck_assert_int_eq(weft_recording_open(&recording, path), 0);
    weft_recording_metrics(recording, &m);
    weft_recording_close(recording);
    support_remove(directory);
    ck_assert(!m.cut && !m.estimated && m.lost == 0);
    return m;
}

static void
expect(uint64_t stop, uint64_t work, uint64_t span)
{
    const weft_metrics m = measure(stop);

    ck_assert_int_eq(m.work, (int64_t)(work * UNIT));
    ck_assert_int_eq(m.span, (int64_t)(span * UNIT));
}

/* --- fib: one unit, fork fib(n - 1), fib(n - 2) oneself, join, one unit */

static uint64_t
fib_work(unsigned n)
{
    return n < 2 ? 1 : 2 + fib_work(n - 1) + fib_work(n - 2);
}

static uint64_t
fib_span(unsigned n)
{
    return n < 2 ? 1
                 : 2 + (fib_span(n - 1) > fib_span(n - 2) ? fib_span(n - 1)
                                                          : fib_span(n - 2));
}

/* Runs the body of a task at `at`, the forks of which are run by the same
 * worker while it waits for them. Returns when it is over. */
static uint64_t
fib_helping(unsigned n, uint64_t me, uint32_t worker, uint64_t at)
{
    at += UNIT;
    if (n < 2)
        return at;
    const uint64_t forked = at;

    at = fib_helping(n - 2, me, worker, at);
    const uint64_t child =
        forge_task(&forge, worker,
                   &(struct forge_task){"fib", at, at + fib_work(n - 1) * UNIT,
                                        me, forked, 0, RECORD_POOLED});

    at = fib_helping(n - 1, child, worker, at);
    forge_join(&forge, worker, me, child, at);
    return at + UNIT;
}

/* The same with a worker for each fork, at once. */
static uint64_t
fib_apart(unsigned n, uint64_t me, uint32_t worker, uint64_t at)
{
    at += UNIT;
    if (n < 2)
        return at;
    const uint32_t other = forge_worker(&forge, "other", 0);
    const uint64_t ends = at + fib_span(n - 1) * UNIT;
    const uint64_t child = forge_task(
        &forge, other,
        &(struct forge_task){"fib", at, ends, me, at, 0, RECORD_POOLED});

    fib_apart(n - 1, child, other, at);
    at = fib_apart(n - 2, me, worker, at);
    if (at < ends) {
        forge_wait(&forge, worker, RECORD_WAIT_JOIN, NULL, 1, at, ends);
        at = ends;
    }
    forge_join(&forge, worker, me, child, at);
    return at + UNIT;
}

static const unsigned fibs[] = {1, 2, 5, 10, 14};

START_TEST(fib_on_one_worker_has_its_work_and_span)
{
    const unsigned n = fibs[_i];
    const uint32_t worker = forge_worker(&forge, "worker", 0);
    const uint64_t length = fib_work(n) * UNIT;
    const uint64_t root =
        forge_task(&forge, worker,
                   &(struct forge_task){"fib", 10, 10 + length, boss, 5, 0, 0});

    ck_assert_uint_eq(fib_helping(n, root, worker, 10), 10 + length);
    expect(length + 20, fib_work(n), fib_span(n));
}

END_TEST

START_TEST(fib_on_many_workers_has_the_same)
{
    const unsigned n = fibs[_i];
    const uint32_t worker = forge_worker(&forge, "worker", 0);
    const uint64_t length = fib_span(n) * UNIT;
    const uint64_t root =
        forge_task(&forge, worker,
                   &(struct forge_task){"fib", 10, 10 + length, boss, 5, 0, 0});

    ck_assert_uint_eq(fib_apart(n, root, worker, 10), 10 + length);
    expect(length + 20, fib_work(n), fib_span(n));
}

END_TEST

/* --- graphs of tasks with costs, on as many workers as there are */

enum {
    MOST = 64
};

struct graph {
    unsigned count;
    unsigned cost[MOST];             /* units */
    uint64_t needs[MOST];            /* bits of tasks with lower numbers */
    unsigned worker[MOST];           /* where the schedule puts it */
    uint64_t begin[MOST], end[MOST]; /* when, in units */
};

static uint64_t
graph_work(const struct graph *graph)
{
    uint64_t work = 0;

    for (unsigned i = 0; i < graph->count; i++)
        work += graph->cost[i];
    return work;
}

static uint64_t
graph_span(const struct graph *graph)
{
    uint64_t finish[MOST], span = 0;

    for (unsigned i = 0; i < graph->count; i++) {
        uint64_t start = 0;

        for (unsigned k = 0; k < i; k++)
            if (graph->needs[i] >> k & 1 && finish[k] > start)
                start = finish[k];
        finish[i] = start + graph->cost[i];
        span = finish[i] > span ? finish[i] : span;
    }
    return span;
}

/* Greedy: at no time is a worker idle while a task is ready. Returns the time
 * that it takes. */
static uint64_t
graph_schedule(struct graph *graph, unsigned workers)
{
    uint64_t done = 0, free_at[MOST] = {0}, last = 0;
    unsigned left = graph->count;
    uint64_t begun = 0;

    for (uint64_t now = 0; left > 0; now++) {
        for (unsigned i = 0; i < graph->count; i++)
            if (begun >> i & 1 && graph->end[i] == now)
                done |= UINT64_C(1) << i;
        for (unsigned w = 0; w < workers; w++) {
            if (free_at[w] > now)
                continue;
            for (unsigned i = 0; i < graph->count; i++) {
                if (begun >> i & 1 || (graph->needs[i] & ~done))
                    continue;
                begun |= UINT64_C(1) << i;
                graph->worker[i] = w;
                graph->begin[i] = now;
                graph->end[i] = free_at[w] = now + graph->cost[i];
                last = graph->end[i] > last ? graph->end[i] : last;
                left--;
                break;
            }
        }
    }
    return last;
}

static int
by_begin(const void *a, const void *b)
{
    const uint64_t *x = a, *y = b;

    return (*x > *y) - (*x < *y);
}

/* Writes the graph as it was scheduled. `order` has the tasks by begin. */
static void
graph_forge(const struct graph *graph, unsigned workers)
{
    uint64_t order[MOST], ids[MOST];
    uint32_t threads[MOST];

    for (unsigned w = 0; w < workers; w++)
        threads[w] = forge_worker(&forge, "worker", 0);
    for (unsigned i = 0; i < graph->count; i++)
        order[i] = graph->begin[i] << 8 | i;
    qsort(order, graph->count, sizeof *order, by_begin);
    for (unsigned k = 0; k < graph->count; k++) {
        const unsigned i = order[k] & 0xff;
        uint64_t ready = 0;

        for (unsigned n = 0; n < i; n++)
            if (graph->needs[i] >> n & 1 && graph->end[n] > ready)
                ready = graph->end[n];
        ids[i] = forge_task(&forge, threads[graph->worker[i]],
                            &(struct forge_task){
                                .name = "node",
                                .begin = graph->begin[i] * UNIT,
                                .end = graph->end[i] * UNIT,
                                .parent = boss,
                                .ready = ready * UNIT,
                                .flags = RECORD_POOLED,
                            });
        for (unsigned n = 0; n < i; n++)
            if (graph->needs[i] >> n & 1)
                forge_after(&forge, threads[graph->worker[i]], ids[i], ids[n],
                            graph->end[n] * UNIT);
    }
}

static const unsigned cpus[] = {1, 2, 3, 8};

/* Schedules, writes and measures it; the wall time is that of the schedule and
 * within the bounds of greedy ones. */
static void
graph_expect(struct graph *graph, unsigned workers, uint64_t work,
             uint64_t span)
{
    const uint64_t took = graph_schedule(graph, workers);

    ck_assert_uint_eq(graph_work(graph), work);
    ck_assert_uint_eq(graph_span(graph), span);
    graph_forge(graph, workers);
    const weft_metrics m = measure(took * UNIT);
    const int64_t p = workers;

    ck_assert_int_eq(m.work, (int64_t)(work * UNIT));
    ck_assert_int_eq(m.span, (int64_t)(span * UNIT));
    ck_assert_int_eq(m.wall, (int64_t)(took * UNIT));
    ck_assert_int_ge(m.wall, m.span);
    ck_assert_int_ge(m.wall * p, m.work);
    ck_assert_int_le((m.wall - m.span) * p, m.work - m.span);
}

static void
add_node(struct graph *graph, unsigned cost, uint64_t needs)
{
    graph->needs[graph->count] = needs;
    graph->cost[graph->count++] = cost;
}

START_TEST(chain)
{
    struct graph graph = {0};

    for (unsigned i = 0; i < 20; i++)
        add_node(&graph, 1, i ? UINT64_C(1) << (i - 1) : 0);
    graph_expect(&graph, cpus[_i], 20, 20);
}

END_TEST

START_TEST(independent)
{
    struct graph graph = {0};

    for (unsigned i = 0; i < 16; i++)
        add_node(&graph, 3, 0);
    graph_expect(&graph, cpus[_i], 48, 3);
}

END_TEST

/* Stage s of item i comes after stage s - 1 of it and stage s of item i - 1. */
START_TEST(pipeline)
{
    enum {
        STAGES = 4,
        ITEMS = 10
    };
    struct graph graph = {0};

    for (unsigned i = 0; i < ITEMS; i++)
        for (unsigned s = 0; s < STAGES; s++)
            add_node(&graph, 1,
                     (s ? UINT64_C(1) << (graph.count - 1) : 0) |
                         (i ? UINT64_C(1) << (graph.count - STAGES) : 0));
    graph_expect(&graph, cpus[_i], 40, 13);
}

END_TEST

START_TEST(diamond)
{
    struct graph graph = {0};

    add_node(&graph, 5, 0);
    add_node(&graph, 2, 1);
    add_node(&graph, 7, 1);
    add_node(&graph, 3, 2 | 4);
    graph_expect(&graph, cpus[_i], 17, 15);
}

END_TEST

static uint64_t
random_next(uint64_t *state)
{
    *state = *state * UINT64_C(6364136223846793005) + 1442695040888963407u;
    return *state >> 33;
}

START_TEST(random_graphs)
{
    uint64_t state = (uint64_t)_i + 1;
    const unsigned rounds = scaled(100);

    for (unsigned round = 0; round < rounds; round++) {
        struct graph graph = {0};
        const unsigned count = 2 + (unsigned)(random_next(&state) % 39);

        if (round > 0)
            begin_forging();
        for (unsigned i = 0; i < count; i++) {
            uint64_t needs = 0;

            for (unsigned k = 0; k < i; k++)
                if (random_next(&state) % 100 < 15)
                    needs |= UINT64_C(1) << k;
            add_node(&graph, 1 + (unsigned)(random_next(&state) % 20), needs);
        }
        graph_expect(&graph, cpus[_i], graph_work(&graph), graph_span(&graph));
    }
}

END_TEST

/* Main joins all of a phase before it submits the next. */
START_TEST(phases_follow_each_other)
{
    enum {
        PHASES = 3,
        WIDE = 4
    };

    uint32_t workers[WIDE];
    uint64_t ids[WIDE];

    for (unsigned w = 0; w < WIDE; w++)
        workers[w] = forge_worker(&forge, "worker", 0);
    for (uint64_t p = 0; p < PHASES; p++) {
        for (unsigned w = 0; w < WIDE; w++)
            ids[w] = forge_task(&forge, workers[w],
                                &(struct forge_task){
                                    .begin = p * 10 * UNIT,
                                    .end = (p * 10 + w + 1) * UNIT,
                                    .parent = boss,
                                    .spawned = p * 10 * UNIT,
                                });
        for (unsigned w = 0; w < WIDE; w++)
            forge_join(&forge, 0, boss, ids[w], (p * 10 + w + 2) * UNIT);
    }
    expect(PHASES * 10 * UNIT, (uint64_t)PHASES * 10, (uint64_t)PHASES * WIDE);
}

END_TEST

int
main(void)
{
    Suite *suite = suite_create("dags");
    TCase *fib = support_case(suite, "fib", 20);
    TCase *graphs = support_case(suite, "graphs", 60);

    tcase_add_checked_fixture(fib, begin_forging, NULL);
    support_add_table(fib, fib_on_one_worker_has_its_work_and_span, fibs);
    support_add_table(fib, fib_on_many_workers_has_the_same, fibs);
    tcase_add_test(fib, phases_follow_each_other);
    tcase_add_checked_fixture(graphs, begin_forging, NULL);
    support_add_table(graphs, chain, cpus);
    support_add_table(graphs, independent, cpus);
    support_add_table(graphs, pipeline, cpus);
    support_add_table(graphs, diamond, cpus);
    support_add_table(graphs, random_graphs, cpus);
    return support_run(suite);
}
