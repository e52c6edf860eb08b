/* What pools do when each allocation and each call of the system fails once. */
#include "support/sweep.h"

#include <stdint.h>
#include <stdlib.h>

enum {
    LARGE = 1000,   /* bytes of an item that has no place on the stack */
    ITEMS = 1000,   /* of a loop */
    SORTED = 10000, /* enough for tables and forks */
    PRIME = 7919
};

/* --- pools of a scenario */

static weft_pool *
open_pool(const weft_pool_options *options, int *status)
{
    weft_pool *pool = NULL;

    *status = note(weft_pool_open(&pool, WEFT_THREAD, options));
    child_expect((*status == 0) == (pool != NULL));
    return pool;
}

static int
close_pool(weft_pool *pool, int status)
{
    child_expect(weft_pool_close(pool, WEFT_FOREVER) == 0);
    return status;
}

static int
submit(weft_job **out, weft_pool *pool, const weft_task *task)
{
    const int status = note(weft_submit(out, pool, task));

    if (status == 0)
        atomic_fetch_add(&seen->started, 1);
    return status;
}

static int
twice_in(weft_pool *pool, const weft_task *like)
{
    int number = 21, result = 0;
    weft_task task = *like;
    weft_job *job = NULL;

    task.fn = twice;
    task.arg = &number;
    task.arg_size = sizeof number;
    task.result_size = sizeof result;
    int status = submit(&job, pool, &task);

    if (status < 0)
        return status;
    status = note(weft_result(job, &result, sizeof result, WEFT_FOREVER));
    child_expect(status < 0 || result == 42);
    return either(status, finish(job));
}

static int
twice_with(const weft_pool_options *options, const weft_task *like)
{
    int status;
    weft_pool *pool = open_pool(options, &status);

    return pool ? close_pool(pool, twice_in(pool, like)) : status;
}

/* --- tasks */

static int
a_pool(void)
{
    return twice_with(&(weft_pool_options){.workers = 2, .name = "two"},
                      &(weft_task){.name = "twice"});
}

static int
a_pool_with_options(void)
{
    const unsigned cpu = 0;

    return twice_with(
        &(weft_pool_options){
            .workers = 1,
            .worker = {.stack_size = 1 << 20, .cpus = &cpu, .cpu_count = 1}},
        &(weft_task){.timeout = 3600 * WEFT_SECOND});
}

static int
prepare(weft_call *call)
{
    return *(const int *)call->arg == PRIME ? weft_set_name("prepared") : 1;
}

static int
a_prepared_pool(void)
{
    const int number = PRIME;
    const weft_task first = {.fn = prepare, WEFT_ARG(number)};

    return twice_with(&(weft_pool_options){.workers = 1, .prepare = &first},
                      &(weft_task){.name = "twice"});
}

static int
the_default_pool(void)
{
    return twice_in(NULL, &(weft_task){.name = "twice"});
}

static int
a_blocking_task(void)
{
    return twice_with(NULL, &(weft_task){.blocking = true});
}

static int
a_delayed_task(void)
{
    return twice_with(NULL, &(weft_task){.delay = WEFT_MS});
}

static int
a_serial_pool(void)
{
    weft_pool *pool = NULL;
    const int status = note(weft_pool_open(&pool, WEFT_SERIAL, NULL));

    return status < 0 ? status
                      : close_pool(pool, twice_in(pool, &(weft_task){0}));
}

static int
a_full_pool(void)
{
    const weft_task task = {.fn = nothing, .submit_by = WEFT_FOREVER};
    int status;
    weft_pool *pool = open_pool(
        &(weft_pool_options){.workers = 1, .backlog = 1, .idle = WEFT_MS},
        &status);

    for (int i = 0; i < 10 && status == 0; i++)
        status = submit(NULL, pool, &task);
    if (pool && status == 0)
        status = note(weft_pool_resize(pool, 3));
    return pool ? close_pool(pool, status) : status;
}

static int
a_scope(void)
{
    weft_scope *scope = NULL;
    int status;
    weft_pool *pool = open_pool(NULL, &status);

    if (!pool)
        return status;
    status = note(weft_scope_open(&scope, NULL));
    for (int i = 0; i < 4 && status == 0; i++)
        status =
            submit(NULL, pool, &(weft_task){.fn = nothing, .scope = scope});
    const int closed = note(weft_scope_close(scope, WEFT_FOREVER));

    return close_pool(pool, either(status, closed));
}

/* A task that waits for one that it submitted. */
static int
twice_below(weft_call *call)
{
    atomic_fetch_add(&seen->ran, 1);
    (void)call;
    return twice_in(NULL, &(weft_task){.name = "below"});
}

static int
a_task_in_a_task(void)
{
    weft_job *job = NULL;
    int status;
    weft_pool *pool = open_pool(&(weft_pool_options){.workers = 1}, &status);

    if (!pool)
        return status;
    status = submit(&job, pool, &(weft_task){.fn = twice_below});
    return close_pool(pool, either(status, finish(job)));
}

/* --- what follows a task */

static void
pass_on(weft_job *job, void *context)
{
    const weft_outcome *outcome = weft_outcome_of(job);
    weft_job *promise = context;

    if (note(weft_keep(promise, outcome->status, outcome->result,
                       outcome->result_size)) == WEFT_ENOMEM)
        child_expect(weft_keep(promise, WEFT_EFAILED, NULL, 0) == 0);
    weft_release(promise);
}

static int
a_promise_of_a_task(void)
{
    weft_job *promise = NULL, *job = NULL;
    int status;
    weft_pool *pool = open_pool(&(weft_pool_options){.workers = 1}, &status);

    if (!pool)
        return status;
    status = note(weft_promise(&promise, "later"));
    const int made = status;

    if (status == 0)
        status = submit(&job, pool, &(weft_task){.fn = nothing});
    if (status == 0) {
        status = note(weft_on_end(job, pass_on, weft_retain(promise)));
        if (status < 0)
            weft_release(promise);
    }
    if (made == 0 && status < 0)
        child_expect(weft_stop(promise) == 0);
    status = either(status, finish(job));
    return close_pool(pool, either(status, finish(promise)));
}

static int
a_sequence(void)
{
    weft_job *jobs[4] = {NULL};
    int status;
    weft_pool *pool = open_pool(&(weft_pool_options){.workers = 2}, &status);

    for (int i = 0; i < 4 && status == 0; i++)
        status = submit(&jobs[i], pool,
                        &(weft_task){.fn = nothing,
                                     .after = i ? jobs[i - 1] : NULL,
                                     .blocking = i == 2,
                                     .delay = i == 3 ? WEFT_MS : 0});
    for (int i = 0; i < 4; i++)
        status = either(status, finish(jobs[i]));
    return pool ? close_pool(pool, status) : status;
}

/* --- fork/join and loops */

struct fib {
    int n;
    long value;
};

static void
fib(weft_lane *lane, void *frame)
{
    struct fib *f = frame;
    struct fib left = {.n = f->n - 1}, right = {.n = f->n - 2};

    if (f->n < 2) {
        f->value = f->n;
        return;
    }
    weft_lane *inner = weft_fork(lane, fib, &left);

    fib(inner, &right);
    weft_sync(lane);
    f->value = left.value + right.value;
}

static int
forks(void)
{
    struct fib f = {.n = 15};
    int status;
    weft_pool *pool = open_pool(&(weft_pool_options){.workers = 2}, &status);

    if (!pool)
        return status;
    status = note(weft_enter(pool, fib, &f, WEFT_FOREVER));
    child_expect(status < 0 || f.value == 610);
    return close_pool(pool, status);
}

static int
forks_of_prepared_workers(void)
{
    const int number = PRIME;
    const weft_task first = {.fn = prepare, WEFT_ARG(number)};
    struct fib f = {.n = 15};
    int status;
    weft_pool *pool = open_pool(
        &(weft_pool_options){.workers = 2, .prepare = &first}, &status);

    if (!pool)
        return status;
    status = note(weft_enter(pool, fib, &f, WEFT_FOREVER));
    child_expect(status < 0 || f.value == 610);
    return close_pool(pool, status);
}

static int
mark_items(void *marks, size_t begin, size_t end)
{
    for (; begin < end; begin++)
        ((char *)marks)[begin]++;
    return 0;
}

static int
a_loop(void)
{
    char marks[ITEMS] = {0};
    const int status = note(weft_for(NULL, ITEMS, 1, mark_items, marks));

    for (int i = 0; i < ITEMS; i++)
        child_expect(status < 0 ? marks[i] <= 1 : marks[i] == 1);
    return status;
}

static int
negate(weft_call *call)
{
    const char *from = call->arg;
    char *to = call->result;

    for (int i = 0; i < LARGE; i++)
        to[i] = (char)~from[i];
    return 0;
}

static int
a_map(void)
{
    static char args[8][LARGE], results[8][LARGE];
    const int status = note(weft_map(
        NULL,
        &(weft_task){.fn = negate, .arg_size = LARGE, .result_size = LARGE},
        args, results, 8));

    for (int i = 0; i < 8; i++)
        child_expect(status < 0 || results[i][LARGE - 1] == ~0);
    return status;
}

static int
add_items(void *context, void *part, size_t begin, size_t end)
{
    size_t *sums = part;

    (void)context;
    for (; begin < end; begin++)
        sums[begin % (LARGE / sizeof *sums)] += begin;
    return 0;
}

static void
add_sums(void *context, void *left, const void *right)
{
    (void)context;
    for (size_t i = 0; i < LARGE / sizeof(size_t); i++)
        ((size_t *)left)[i] += ((const size_t *)right)[i];
}

static int
a_reduction(void)
{
    const weft_reduction how = {
        .size = LARGE, .grain = 10, .fold = add_items, .join = add_sums};
    size_t sums[LARGE / sizeof(size_t)] = {0}, all = 0;
    const int status = note(weft_reduce(NULL, ITEMS, &how, NULL, sums));

    for (size_t i = 0; i < sizeof sums / sizeof *sums; i++)
        all += sums[i];
    child_expect(all == (status < 0 ? 0 : (size_t)ITEMS * (ITEMS - 1) / 2));
    return status;
}

static int
compare(const void *left, const void *right, void *context)
{
    const int32_t a = *(const int32_t *)left, b = *(const int32_t *)right;

    (void)context;
    return (a > b) - (a < b);
}

/* One that fails has touched nothing. */
static int
sort_by(const weft_sorting *how)
{
    static int32_t items[SORTED];

    for (int i = 0; i < SORTED; i++)
        items[i] = (int32_t)((int64_t)i * PRIME % SORTED);
    const int status = note(weft_sort(NULL, items, SORTED, how));

    for (int i = 0; i < SORTED; i++)
        child_expect(items[i] ==
                     (status < 0 ? (int32_t)((int64_t)i * PRIME % SORTED) : i));
    return status;
}

static int
a_sort(void)
{
    return sort_by(
        &(weft_sorting){.size = sizeof(int32_t), .compare = compare});
}

static int
a_sort_by_key(void)
{
    return sort_by(
        &(weft_sorting){.size = sizeof(int32_t), .key = WEFT_KEY_I32});
}

static const struct sweep_scenario scenarios[] = {
    {"a pool", a_pool},
    {"a pool with options", a_pool_with_options},
    {"a prepared pool", a_prepared_pool},
    {"the default pool", the_default_pool},
    {"a blocking task", a_blocking_task},
    {"a delayed task", a_delayed_task},
    {"a serial pool", a_serial_pool},
    {"a full pool", a_full_pool},
    {"a scope", a_scope},
    {"a task in a task", a_task_in_a_task},
    {"a promise of a task", a_promise_of_a_task},
    {"a sequence", a_sequence},
    {"forks", forks},
    {"forks of prepared workers", forks_of_prepared_workers},
    {"a loop", a_loop},
    {"a map", a_map},
    {"a reduction", a_reduction},
    {"a sort", a_sort},
    {"a sort by key", a_sort_by_key},
};

int
main(void)
{
    return sweep_main("failing pools", scenarios,
                      sizeof scenarios / sizeof *scenarios);
}
