/* Parallel loops and sorts against OpenMP (gcc's libgomp), oneTBB, std::sort
 * and qsort, each with as many threads as there are CPUs. */
#include "loops.h"

#include "harness.h"

#include <weft/weft.h>

#include <math.h>
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

/* --- an empty region: a part for each CPU, which does nothing */

static int
nothing(void *context, size_t begin, size_t end)
{
    (void)context;
    (void)begin;
    (void)end;
    return 0;
}

static double
weft_empty(const void *arg, int64_t span)
{
    enum {
        BATCH = 100
    };
    struct bench_run run = bench_run(span);

    (void)arg;
    while (bench_goes_on(&run))
        for (int i = 0; i < BATCH; i++)
            weft_for(NULL, bench_cpus(), 1, nothing, NULL);
    return bench_cost(&run, BATCH);
}

static double
peer_empty(const void *arg, int64_t span)
{
    enum {
        BATCH = 100
    };
    struct bench_run run = bench_run(span);

    (void)arg;
    while (bench_goes_on(&run))
        for (int i = 0; i < BATCH; i++)
            openmp_empty();
    return bench_cost(&run, BATCH);
}

/* --- loops */

static double *numbers, *others;

static int
compute(void *context, size_t begin, size_t end)
{
    loops_compute(context, begin, end);
    return 0;
}

static int
stream(void *context, size_t begin, size_t end)
{
    loops_stream(context, others, begin, end);
    return 0;
}

static double
timed(int64_t since)
{
    return (double)(bench_now() - since);
}

static double
weft_compute(const void *arg, int64_t span)
{
    const int64_t begun = bench_now();

    (void)arg;
    (void)span;
    weft_for(NULL, size_of(COMPUTED), 0, compute, numbers);
    return timed(begun);
}

static double
peer_compute(const void *arg, int64_t span)
{
    const int64_t begun = bench_now();

    (void)arg;
    (void)span;
    openmp_compute(numbers, size_of(COMPUTED));
    return timed(begun);
}

static double
weft_stream(const void *arg, int64_t span)
{
    const int64_t begun = bench_now();

    (void)arg;
    (void)span;
    weft_for(NULL, size_of(STREAMED), 0, stream, numbers);
    return timed(begun);
}

static double
peer_stream(const void *arg, int64_t span)
{
    const int64_t begun = bench_now();

    (void)arg;
    (void)span;
    openmp_stream(numbers, others, size_of(STREAMED));
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

static void
empty_rows(void)
{
    struct bench_entry entries[] = {
        bench_entry("weft_for", weft_empty, NULL),
        bench_entry("libgomp", peer_empty, NULL),
    };

    if (bench_measure(&(struct bench_group){.title = "empty region"}, entries,
                      2))
        bench_ratio("empty parallel region", &entries[0], &entries[1],
                    (struct bench_promise){.most = 0.15});
}

static void
loop_rows(void)
{
    const size_t size = size_of(STREAMED) * sizeof *numbers;
    struct bench_entry computing[] = {
        bench_entry("weft_for", weft_compute, NULL),
        bench_entry("libgomp", peer_compute, NULL),
    };
    struct bench_entry streaming[] = {
        bench_entry("weft_for", weft_stream, NULL),
        bench_entry("libgomp", peer_stream, NULL),
    };

    numbers = malloc(size);
    others = malloc(size);
    if (numbers && others) {
        memset(numbers, 0, size);
        memset(others, 0, size);
        if (bench_measure(&(struct bench_group){.title = "compute"}, computing,
                          2))
            bench_ratio("parallel for, 20M, computing", &computing[0],
                        &computing[1], (struct bench_promise){.most = 1.05});
        if (bench_measure(&(struct bench_group){.title = "memory"}, streaming,
                          2))
            bench_ratio("parallel for, 100M doubles, memory", &streaming[0],
                        &streaming[1], (struct bench_promise){.most = 1.05});
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
    empty_rows();
    loop_rows();
    sort_rows();
    return bench_close();
}
