/* Parallel loops and sorts against OpenMP (gcc's libgomp and clang's libomp),
 * pthreadpool, oneTBB, std::sort and qsort, each with as many threads as there
 * are CPUs. */
#include "loops.h"

#include "harness.h"

#include <weft/weft.h>

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    COMPUTED = 20000000,
    STREAMED = 100000000,
    SORTED = 50000000,
    LESS = 20 /* times, when it is to be quick */
};

static size_t
size_of(size_t count)
{
    return bench_is_quick() ? count / LESS : count;
}

/* --- loops */

static int
do_nothing(void *context, size_t begin, size_t end)
{
    (void)context;
    (void)begin;
    (void)end;
    return 0;
}

/* A part for each CPU. */
static void
weft_empty(void)
{
    weft_for(NULL, bench_cpus(), 1, do_nothing, NULL);
}

static int
compute(void *at, size_t begin, size_t end)
{
    loops_compute(at, begin, end);
    return 0;
}

static void
weft_compute(double *at, size_t count)
{
    weft_for(NULL, count, 0, compute, at);
}

struct streams {
    double *to;
    const double *from;
};

static int
stream(void *context, size_t begin, size_t end)
{
    const struct streams *streams = context;

    loops_stream(streams->to, streams->from, begin, end);
    return 0;
}

static void
weft_stream(double *to, const double *from, size_t count)
{
    weft_for(NULL, count, 0, stream, &(struct streams){to, from});
}

enum {
    OURS,
    GOMP,
    OMP,
    PTHREADPOOL,
    WAYS
};

/* What is not there has no functions. */
static struct loops_way ways[WAYS] = {
    [OURS] = {"weft_for", weft_empty, weft_compute, weft_stream},
    [GOMP] = {"libgomp", openmp_empty, openmp_compute, openmp_stream},
    [OMP] = {.name = "libomp"},
#if BENCH_PTHREADPOOL
    [PTHREADPOOL] = {"pthreadpool", pthreadpool_empty, pthreadpool_compute,
                     pthreadpool_stream},
#else
    [PTHREADPOOL] = {.name = "pthreadpool"},
#endif
};

static double *numbers, *others;

static double
measure_empty(const void *arg, int64_t span)
{
    enum {
        BATCH = 100
    };
    const struct loops_way *way = arg;
    struct bench_run run = bench_run(span);

    if (!way->empty)
        return -1;
    while (bench_goes_on(&run))
        for (int i = 0; i < BATCH; i++)
            way->empty();
    return bench_cost(&run, BATCH);
}

static double
timed(int64_t since)
{
    return (double)(bench_now() - since);
}

static double
measure_compute(const void *arg, int64_t span)
{
    const struct loops_way *way = arg;
    const int64_t begun = bench_now();

    (void)span;
    if (!way->compute)
        return -1;
    way->compute(numbers, size_of(COMPUTED));
    return timed(begun);
}

static double
measure_stream(const void *arg, int64_t span)
{
    const struct loops_way *way = arg;
    const int64_t begun = bench_now();

    (void)span;
    if (!way->stream)
        return -1;
    way->stream(numbers, others, size_of(STREAMED));
    return timed(begun);
}

/* --- sorts */

static int32_t *source, *items;

static int
compare(const void *a, const void *b)
{
    const int32_t x = *(const int32_t *)a, y = *(const int32_t *)b;

    return (x > y) - (x < y);
}

static int
compare_with(const void *a, const void *b, void *context)
{
    (void)context;
    return compare(a, b);
}

static void
weft_by_key(int32_t *at, size_t count)
{
    const weft_sorting how = {.size = sizeof *at, .key = WEFT_KEY_I32};

    weft_must(weft_sort(NULL, at, count, &how), "sort");
}

static void
weft_by_compare(int32_t *at, size_t count)
{
    const weft_sorting how = {.size = sizeof *at, .compare = compare_with};

    weft_must(weft_sort(NULL, at, count, &how), "sort");
}

static void
qsort_it(int32_t *at, size_t count)
{
    qsort(at, count, sizeof *at, compare);
}

struct sorter {
    void (*sort)(int32_t *items, size_t count);
};

static double
sort(const void *arg, int64_t span)
{
    const struct sorter *sorter = arg;
    const size_t count = size_of(SORTED);

    (void)span;
    memcpy(items, source, count * sizeof *items);
    const int64_t begun = bench_now();

    sorter->sort(items, count);
    const double took = timed(begun);

    for (size_t i = 1; i < count; i++)
        if (items[i - 1] > items[i])
            return -1;
    return took;
}

/* --- groups */

/* False when the filter leaves it out. */
static bool
measure_ways(const char *title, bench_fn *fn, struct bench_entry entries[WAYS])
{
    for (int i = 0; i < WAYS; i++)
        entries[i] = bench_entry(ways[i].name, fn, &ways[i]);
    return bench_measure(&(struct bench_group){.title = title}, entries, WAYS);
}

static void
print_way(const char *title, const struct bench_entry entries[WAYS], int i,
          double most)
{
    char name[64];

    snprintf(name, sizeof name, "%s / %s", title, ways[i].name);
    bench_ratio(name, &entries[0], &entries[i],
                (struct bench_promise){.most = most});
}

static void
region_rows(void)
{
    const char *title = "empty parallel region";
    struct bench_entry entries[WAYS];

    if (!measure_ways(title, measure_empty, entries))
        return;
    print_way(title, entries, GOMP, 0.15);
    print_way(title, entries, OMP, 0);
    print_way(title, entries, PTHREADPOOL, 0);
}

static void
compare_ways(const char *title, bench_fn *fn)
{
    struct bench_entry entries[WAYS];
    char name[64];

    if (!measure_ways(title, fn, entries))
        return;
    for (int i = 1; i < WAYS; i++)
        print_way(title, entries, i, 0);
    snprintf(name, sizeof name, "%s / best", title);
    bench_ratio(name, &entries[0], bench_best(entries, WAYS),
                (struct bench_promise){.most = 1});
}

static void
loop_rows(void)
{
    const size_t size = size_of(STREAMED) * sizeof *numbers;

    loops_load(&ways[OMP], BENCH_LIBOMP);
    region_rows();
    numbers = malloc(size);
    others = malloc(size);
    if (numbers && others) {
        memset(numbers, 0, size);
        memset(others, 0, size);
        compare_ways("parallel for, 20M, computing", measure_compute);
        compare_ways("parallel for, 100M doubles, memory", measure_stream);
    }
    free(numbers);
    free(others);
}

static void
sort_rows(void)
{
    const size_t count = size_of(SORTED);
    struct bench_entry by_key[] = {
        bench_entry("weft_sort", sort, &(struct sorter){weft_by_key}),
        bench_entry("std::sort", sort, &(struct sorter){cpp_sort}),
        bench_entry("tbb", sort, &(struct sorter){tbb_sort}),
    };
    struct bench_entry by_compare[] = {
        bench_entry("weft_sort", sort, &(struct sorter){weft_by_compare}),
        bench_entry("qsort", sort, &(struct sorter){qsort_it}),
    };
    uint64_t seed = 88172645463325252;

    source = malloc(count * sizeof *source);
    items = malloc(count * sizeof *items);
    for (size_t i = 0; source && items && i < count; i++) {
        seed ^= seed << 13;
        seed ^= seed >> 7;
        seed ^= seed << 17;
        source[i] = (int32_t)seed;
    }
    if (source && items) {
        if (bench_measure(&(struct bench_group){.title = "sort"}, by_key,
                          BENCH_TBB ? 3 : 2)) {
            bench_ratio("sort 50M int32 / tbb::parallel_sort", &by_key[0],
                        &by_key[2], (struct bench_promise){.most = 0.3});
            bench_ratio("sort 50M int32 / std::sort", &by_key[0], &by_key[1],
                        (struct bench_promise){0});
        }
        if (bench_measure(&(struct bench_group){.title = "compare"}, by_compare,
                          2))
            bench_ratio("sort 50M int32, comparator / qsort", &by_compare[0],
                        &by_compare[1], (struct bench_promise){.most = 0.35});
    }
    free(source);
    free(items);
}

int
main(void)
{
    bench_open("loops");
    loop_rows();
    sort_rows();
    return bench_close();
}
