/* Fork and join, against plain recursion, oneTBB's task groups and libgomp's
 * tasks: fib without cut-off, so that nothing is measured but the forks. */
#include "harness.h"
#include "tbb.h"

#include <weft/weft.h>

#include <stdlib.h>

enum {
    N = 24, /* 75,024 forks */
    FORKS = 75024,
    WANTED = 46368
};

/* --- weft: the leaf test in an inline function, as in the manual */

struct fib {
    int n;
    long value;
};

static long fib_forked(weft_lane *lane, int n);

static inline long
fib(weft_lane *lane, int n)
{
    return n < 2 ? n : fib_forked(lane, n);
}

static void
fib_frame(weft_lane *lane, void *frame)
{
    struct fib *f = frame;

    f->value = fib(lane, f->n);
}

static long
fib_forked(weft_lane *lane, int n)
{
    struct fib left = {.n = n - 1};
    weft_lane *inner = weft_fork(lane, fib_frame, &left);
    const long right = fib(inner, n - 2);

    if (weft_unfork(lane))
        return fib(lane, n - 1) + right;
    return left.value + right;
}

/* The same through the function pointer. */
static void
fib_pointer(weft_lane *lane, void *frame)
{
    struct fib *f = frame;

    if (f->n < 2) {
        f->value = f->n;
        return;
    }
    struct fib left = {.n = f->n - 1}, right = {.n = f->n - 2};

    fib_pointer(weft_fork(lane, fib_pointer, &left), &right);
    weft_sync(lane);
    f->value = left.value + right.value;
}

static long fib_serial_inner(int n);

static inline long
fib_serial(int n)
{
    return n < 2 ? n : fib_serial_inner(n);
}

__attribute__((noinline)) static long
fib_serial_inner(int n)
{
    const long right = fib_serial(n - 2);

    return fib_serial(n - 1) + right;
}

#if BENCH_OPENMP
static long
fib_openmp(int n)
{
    long left, right;

    if (n < 2)
        return n;
#    pragma omp task shared(left) firstprivate(n)
    left = fib_openmp(n - 1);
    right = fib_openmp(n - 2);
#    pragma omp taskwait
    return left + right;
}

static long
run_openmp(int threads)
{
    long value = 0;

#    pragma omp parallel num_threads(threads)
#    pragma omp single
    value = fib_openmp(N);
    return value;
}
#endif

/* --- measuring */

static weft_pool *pools[3]; /* by workers */

static long
run_weft(weft_fork_fn *fn, int workers)
{
    struct fib f = {.n = N};

    weft_must(weft_enter(pools[workers], fn, &f, WEFT_FOREVER), "enter");
    return f.value;
}

static long
run_unfork(int workers)
{
    return run_weft(fib_frame, workers);
}

static long
run_pointer(int workers)
{
    return run_weft(fib_pointer, workers);
}

static long
run_plain(int unused)
{
    volatile int n = N;

    (void)unused;
    return fib_serial(n);
}

#if BENCH_TBB
static long
run_tbb(int threads)
{
    return bench_tbb_fib(N, threads);
}
#endif

struct way {
    long (*run)(int workers);
    int workers;
};

static double
measure(const void *arg, int64_t span)
{
    const struct way *way = arg;

    if (!way->run)
        return -1;
    struct bench_run run = bench_run(span);

    while (bench_goes_on(&run))
        if (way->run(way->workers) != WANTED)
            abort();
    return bench_cost(&run, FORKS);
}

enum {
    UNFORK,
    PLAIN,
    POINTER,
    UNFORK_2,
    TBB,
    OPENMP,
    WAYS
};

static const struct way ways[WAYS] = {
    [UNFORK] = {run_unfork, 1},   [PLAIN] = {run_plain, 1},
    [POINTER] = {run_pointer, 1}, [UNFORK_2] = {run_unfork, 2},
#if BENCH_TBB
    [TBB] = {run_tbb, 1},
#endif
#if BENCH_OPENMP
    [OPENMP] = {run_openmp, 1},
#endif
};

static void
compare(const char *title, int hogs)
{
    static const char *const names[WAYS] = {
        "weft_unfork", "plain recursion", "weft_sync", "weft_unfork, 2 workers",
        "oneTBB",      "libgomp"};
    struct bench_entry entries[WAYS];

    for (int i = 0; i < WAYS; i++)
        entries[i] = bench_entry(names[i], measure, &ways[i]);
    if (!bench_measure(&(struct bench_group){.title = title, .hogs = hogs},
                       entries, WAYS))
        return;
    if (hogs > 0) {
        bench_ratio("fork/join, 2 workers / 1, beside a busy loop",
                    &entries[UNFORK_2], &entries[UNFORK],
                    (struct bench_promise){1.0, 0});
        return;
    }
    struct bench_entry over = entries[UNFORK];

    over.median -= entries[PLAIN].median;
    bench_limit("fork/join, weft_unfork, over plain recursion", &over, 1.5);
    bench_ratio("fork/join, weft_sync / oneTBB", &entries[POINTER],
                &entries[TBB], (struct bench_promise){0.08, 0});
    bench_ratio("fork/join, weft_sync / libgomp", &entries[POINTER],
                &entries[OPENMP], (struct bench_promise){0.15, 0});
    bench_ratio("fork/join, 2 workers / 1", &entries[UNFORK_2],
                &entries[UNFORK], (struct bench_promise){1 / 1.9, 0});
}

int
main(void)
{
    bench_open("fork");
    for (unsigned i = 1; i <= 2; i++)
        weft_must(weft_pool_open(&pools[i], WEFT_THREAD,
                                 &(weft_pool_options){.workers = i}),
                  "open a pool");
    compare("fork/join", 0);
    compare("fork/join beside a busy loop", 1);
    return bench_close();
}
