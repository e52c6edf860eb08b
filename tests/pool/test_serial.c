/* Pools without workers. */
#include "support/pool_support.h"

#include <stdlib.h>

static weft_pool *
open_serial(void)
{
    weft_pool *pool = NULL;

    ck_assert_int_eq(weft_pool_open(&pool, WEFT_SERIAL, NULL), 0);
    return pool;
}

/* --- loops */

enum {
    COUNT = 100000 /* enough for a sort by key in several parts */
};

static int
add(void *sum, size_t begin, size_t end)
{
    for (size_t i = begin; i < end; i++)
        *(uint64_t *)sum += i;
    return 0;
}

START_TEST(the_caller_runs_a_loop)
{
    weft_pool *pool = open_serial();
    uint64_t sum = 0;

    ck_assert_int_eq(weft_for(pool, COUNT, 0, add, &sum), 0);
    ck_assert_uint_eq(sum, (uint64_t)COUNT * (COUNT - 1) / 2);
    pool_drain(pool);
}

END_TEST

START_TEST(the_caller_runs_a_map)
{
    weft_pool *pool = open_serial();
    int args[100], results[100];

    for (int i = 0; i < 100; i++)
        args[i] = i;
    ck_assert_int_eq(weft_map(pool,
                              &(weft_task){.fn = double_it,
                                           .arg_size = sizeof *args,
                                           .result_size = sizeof *results},
                              args, results, 100),
                     0);
    for (int i = 0; i < 100; i++)
        ck_assert_int_eq(results[i], 2 * i);
    pool_drain(pool);
}

END_TEST

START_TEST(the_caller_sorts)
{
    weft_pool *pool = open_serial();
    uint32_t *items = malloc(COUNT * sizeof *items);

    for (uint32_t i = 0; i < COUNT; i++)
        items[i] = i * 2654435761u;
    ck_assert_int_eq(
        weft_sort(pool, items, COUNT,
                  &(weft_sorting){.size = sizeof *items, .key = WEFT_KEY_U32}),
        0);
    for (uint32_t i = 1; i < COUNT; i++)
        ck_assert_uint_le(items[i - 1], items[i]);
    free(items);
    pool_drain(pool);
}

END_TEST

static Suite *
make(void)
{
    Suite *suite = suite_create("serial pools");
    TCase *tcase = support_case(suite, "serial pools", 20);

    tcase_add_checked_fixture(tcase, common_make, NULL);
    tcase_add_test(tcase, the_caller_runs_a_loop);
    tcase_add_test(tcase, the_caller_runs_a_map);
    tcase_add_test(tcase, the_caller_sorts);
    return suite;
}

int
main(void)
{
    return support_run(make());
}
