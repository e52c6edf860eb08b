/* weft_for: each item once, failures, stops, loops within loops. */
#include "support/worker_support.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static const unsigned sizes[] = {1, 2, 8};

static weft_pool *
open_pool(int i)
{
    weft_pool *pool;

    ck_assert_int_eq(weft_pool_open(&pool, WEFT_THREAD,
                                    &(weft_pool_options){.workers = sizes[i]}),
                     0);
    return pool;
}

static void
close_pool(weft_pool *pool)
{
    ck_assert_int_eq(weft_pool_close(pool, WEFT_FOREVER), 0);
}

struct visits {
    size_t grain, count;
    _Atomic unsigned char *seen;
    _Atomic size_t items, fails_at;
    _Atomic int parts;
};

static int
visit(void *context, size_t begin, size_t end)
{
    struct visits *visits = context;

    child_expect(begin < end && end <= visits->count);
    if (visits->grain)
        child_expect(begin % visits->grain == 0 &&
                     (end - begin == visits->grain || end == visits->count));
    visits->parts++;
    for (size_t i = begin; i < end; i++) {
        visits->seen[i]++;
        if (i == visits->fails_at)
            return -77;
    }
    visits->items += end - begin;
    return 0;
}

static void
visit_all(weft_pool *pool, size_t count, size_t grain)
{
    struct visits visits = {
        .grain = grain,
        .count = count,
        .seen = calloc(count + 1, 1),
        .fails_at = SIZE_MAX,
    };

    ck_assert_int_eq(weft_for(pool, count, grain, visit, &visits), 0);
    ck_assert_uint_eq(visits.items, count);
    for (size_t i = 0; i < count; i++)
        child_expect(visits.seen[i] == 1);
    free((void *)visits.seen);
}

START_TEST(each_item_once)
{
    const size_t counts[] = {0, 1, 2, 3, 7, 64, 1000, 100003};
    const size_t grains[] = {0, 1, 2, 3, 64, 1000, SIZE_MAX};
    weft_pool *pool = open_pool(_i);

    for (size_t c = 0; c < sizeof counts / sizeof *counts; c++)
        for (size_t g = 0; g < sizeof grains / sizeof *grains; g++)
            visit_all(pool, counts[c], grains[g]);
    close_pool(pool);
}

END_TEST

START_TEST(the_default_pool)
{
    visit_all(NULL, 1000, 0);
}

END_TEST

START_TEST(often)
{
    weft_pool *pool = open_pool(_i);

    for (unsigned i = scaled(2000); i > 0; i--)
        visit_all(pool, 20, 1);
    close_pool(pool);
}

END_TEST

/* --- failing */

START_TEST(a_failure_anywhere)
{
    const size_t count = 100;
    weft_pool *pool = open_pool(_i);

    for (size_t at = 0; at < count; at++) {
        struct visits visits = {.grain = 1,
                                .count = count,
                                .seen = calloc(count, 1),
                                .fails_at = at};
        char words[64];

        snprintf(words, sizeof words, "items %zu to %zu", at, at);
        expect_refused(weft_for(pool, count, 1, visit, &visits), -77, words);
        for (size_t i = 0; i < count; i++)
            child_expect(visits.seen[i] <= 1);
        free((void *)visits.seen);
    }
    close_pool(pool);
}

END_TEST

START_TEST(the_rest_is_not_begun)
{
    const size_t count = 1000;
    weft_pool *pool = open_pool(0);
    struct visits visits = {
        .grain = 1, .count = count, .seen = calloc(count, 1), .fails_at = 3};

    ck_assert_int_eq(weft_for(pool, count, 1, visit, &visits), -77);
    ck_assert_int_eq(visits.parts, 4);
    free((void *)visits.seen);
    close_pool(pool);
}

END_TEST

static int
succeed(void *context, size_t begin, size_t end)
{
    (void)context;
    return begin < end ? 7 : -1;
}

START_TEST(more_than_zero_is_no_failure)
{
    ck_assert_int_eq(weft_for(NULL, 100, 1, succeed, NULL), 0);
}

END_TEST

static int
fail_late(void *context, size_t begin, size_t end)
{
    size_t *sum = context;

    __atomic_add_fetch(sum, end - begin, __ATOMIC_RELAXED);
    return end == SIZE_MAX ? -5 : 0;
}

START_TEST(as_many_items_as_can_be)
{
    size_t sum = 0;

    ck_assert_int_eq(weft_for(NULL, SIZE_MAX, SIZE_MAX / 5, fail_late, &sum),
                     -5);
    sum = 0;
    ck_assert_int_eq(weft_for(NULL, SIZE_MAX - 1, 0, fail_late, &sum), 0);
    ck_assert_uint_eq(sum, SIZE_MAX - 1);
}

END_TEST

START_TEST(no_body)
{
    expect_refused(weft_for(NULL, 1, 0, NULL, NULL), WEFT_EINVAL, "body");
    expect_refused(weft_for(NULL, 0, 0, NULL, NULL), WEFT_EINVAL, "body");
}

END_TEST

/* --- loops within loops */

struct grid {
    weft_pool *inner; /* NULL: the one that it runs in */
    _Atomic int cells;
};

static int
count_cells(void *context, size_t begin, size_t end)
{
    struct grid *grid = context;

    grid->cells += (int)(end - begin);
    return 0;
}

static int
do_row(void *context, size_t begin, size_t end)
{
    struct grid *grid = context;

    for (size_t i = begin; i < end; i++)
        child_expect(weft_for(grid->inner, 100, 3, count_cells, grid) == 0);
    return 0;
}

START_TEST(within_each_other)
{
    weft_pool *pool = open_pool(_i), *other = open_pool(1);
    weft_pool *inner[] = {NULL, pool, other};

    for (int i = 0; i < 3; i++) {
        struct grid grid = {.inner = inner[i]};

        ck_assert_int_eq(weft_for(pool, 100, 1, do_row, &grid), 0);
        ck_assert_int_eq(grid.cells, 10000);
    }
    close_pool(pool);
    close_pool(other);
}

END_TEST

static int
fail_within(void *context, size_t begin, size_t end)
{
    struct grid *grid = context;
    struct visits visits = {.grain = 1,
                            .count = 10,
                            .seen = calloc(10, 1),
                            .fails_at = begin == 50 ? 5 : SIZE_MAX};
    const int status = weft_for(grid->inner, 10, 1, visit, &visits);

    (void)end;
    free((void *)visits.seen);
    return status;
}

START_TEST(failures_come_out)
{
    weft_pool *pool = open_pool(_i);
    struct grid grid = {.inner = NULL};

    expect_refused(weft_for(pool, 100, 1, fail_within, &grid), -77,
                   "items 50 to 50");
    close_pool(pool);
}

END_TEST

/* --- several callers at once */

static void *
call_often(void *pool)
{
    for (unsigned i = scaled(200); i > 0; i--) {
        struct grid grid = {.inner = NULL};

        child_expect(weft_for(pool, 64, 1, count_cells, &grid) == 0);
        child_expect(grid.cells == 64);
    }
    return NULL;
}

START_TEST(callers_at_once)
{
    pthread_t callers[4];
    weft_pool *pool = open_pool(_i);

    for (int i = 0; i < 4; i++)
        callers[i] = support_thread(call_often, pool);
    for (int i = 0; i < 4; i++)
        support_join(callers[i]);
    close_pool(pool);
}

END_TEST

/* --- stops */

struct stopped {
    weft_pool *pool;
    size_t grain;
    bool nested, shielded;
    struct gate begun;
    _Atomic int parts, waiting;
};

/* Each part waits for the stop. */
static int
wait_for_stop(void *context, size_t begin, size_t end)
{
    struct stopped *stopped = context;

    (void)begin;
    (void)end;
    stopped->parts++;
    gate_open(&stopped->begun);
    while (!weft_stopping())
        support_spin();
    return 0;
}

static int
sleep_till_stop(void *context, size_t begin, size_t end)
{
    struct stopped *stopped = context;

    (void)begin;
    (void)end;
    stopped->parts++;
    gate_open(&stopped->begun);
    child_expect(weft_sleep(WEFT_FOREVER) == WEFT_ECANCELED);
    return 0;
}

static int
poll_till_stop(void *context, size_t begin, size_t end)
{
    struct stopped *stopped = context;
    int ends[2];

    (void)begin;
    (void)end;
    child_expect(pipe(ends) == 0);
    stopped->parts++;
    gate_open(&stopped->begun);
    const weft_source source = {.fd = ends[0], .events = WEFT_READABLE};

    child_expect(weft_wait_any(&source, 1, 0, WEFT_FOREVER) == WEFT_ECANCELED);
    close(ends[0]);
    close(ends[1]);
    return 0;
}

static weft_range_fn *const ways_to_wait[] = {wait_for_stop, sleep_till_stop,
                                              poll_till_stop};
static weft_range_fn *way_to_wait;

static int
loop_inside(void *context, size_t begin, size_t end)
{
    struct stopped *stopped = context;

    (void)begin;
    (void)end;
    return weft_for(stopped->pool, 1000, 1, way_to_wait, stopped);
}

static int
run_loop(weft_call *call)
{
    struct stopped *stopped = (struct stopped *)(uintptr_t)call->arg;

    return weft_for(stopped->pool, 1000, 1,
                    stopped->nested ? loop_inside : way_to_wait, stopped);
}

/* Whoever runs a part, in the loop or in one within it, learns of the stop. */
START_TEST(a_stop_ends_it)
{
    for (size_t way = 0; way < 3; way++) {
        way_to_wait = ways_to_wait[way];
        for (int nested = 0; nested < 2; nested++) {
            struct stopped stopped = {.pool = open_pool(_i), .nested = nested};
            weft_job *job = must_start(
                WEFT_THREAD, &(weft_task){.fn = run_loop, .arg = &stopped});

            gate_pass(&stopped.begun);
            weft_stop(job);
            must_join(job);
            ck_assert_int_eq(outcome(job)->code, WEFT_ECANCELED);
            ck_assert_int_le(stopped.parts, 2 * 8);
            weft_release(job);
            close_pool(stopped.pool);
        }
    }
}

END_TEST

static int
loop_shielded(weft_call *call)
{
    struct grid grid = {.inner = NULL};

    (void)call;
    while (!weft_stopping())
        support_spin();
    child_expect(weft_for(NULL, 100, 1, count_cells, &grid) == WEFT_ECANCELED);
    child_expect(grid.cells == 0);
    weft_shield(true);
    child_expect(weft_for(NULL, 100, 1, count_cells, &grid) == 0);
    child_expect(grid.cells == 100);
    weft_shield(false);
    return 0;
}

START_TEST(a_shielded_one_goes_on)
{
    weft_job *job = must_start(WEFT_THREAD, &(weft_task){.fn = loop_shielded});

    weft_stop(job);
    must_join(job);
    ck_assert_int_eq(outcome(job)->code, 0);
    weft_release(job);
}

END_TEST

/* --- where workers are prepared */

static _Thread_local int prepared;

static int
prepare(weft_call *call)
{
    (void)call;
    prepared = 1;
    return 0;
}

static int
look_prepared(void *context, size_t begin, size_t end)
{
    (void)context;
    (void)begin;
    (void)end;
    return prepared ? 0 : -1;
}

START_TEST(on_prepared_workers)
{
    weft_pool *pool;

    ck_assert_int_eq(
        weft_pool_open(
            &pool, WEFT_THREAD,
            &(weft_pool_options){.workers = sizes[_i],
                                 .prepare = &(weft_task){.fn = prepare}}),
        0);
    for (int i = 0; i < 20; i++)
        ck_assert_int_eq(weft_for(pool, 100, 1, look_prepared, NULL), 0);
    close_pool(pool);
}

END_TEST

int
main(void)
{
    Suite *suite = suite_create("loop");
    TCase *tcase = support_case(suite, "for", 20);

    tcase_add_checked_fixture(tcase, common_make, NULL);
    support_add_table(tcase, each_item_once, sizes);
    tcase_add_test(tcase, the_default_pool);
    support_add_table(tcase, often, sizes);
    support_add_table(tcase, a_failure_anywhere, sizes);
    tcase_add_test(tcase, the_rest_is_not_begun);
    tcase_add_test(tcase, more_than_zero_is_no_failure);
    tcase_add_test(tcase, as_many_items_as_can_be);
    tcase_add_test(tcase, no_body);
    support_add_table(tcase, within_each_other, sizes);
    support_add_table(tcase, failures_come_out, sizes);
    support_add_table(tcase, callers_at_once, sizes);
    support_add_table(tcase, a_stop_ends_it, sizes);
    tcase_add_test(tcase, a_shielded_one_goes_on);
    support_add_table(tcase, on_prepared_workers, sizes);
    return support_run(suite);
}
