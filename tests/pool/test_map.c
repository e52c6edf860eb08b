/* weft_map: each element's call, and how it fails. */
#include "support/worker_support.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const unsigned sizes[] = {1, 2, 8};
static weft_pool *pool;

static void
open_pool(int i)
{
    ck_assert_int_eq(weft_pool_open(&pool, WEFT_THREAD,
                                    &(weft_pool_options){.workers = sizes[i]}),
                     0);
}

static void
close_pool(void)
{
    ck_assert_int_eq(weft_pool_close(pool, WEFT_FOREVER), 0);
}

/* --- calls */

static int
square(weft_call *call)
{
    const int n = *(const int *)call->arg;
    int64_t *result = call->result;

    child_expect((uintptr_t)call->arg % 16 == 0);
    child_expect((uintptr_t)call->result % 16 == 0);
    child_expect(call->arg_size == sizeof n && call->attempt == 0);
    child_expect(call->result_size == sizeof *result && *result == 0);
    child_expect(call->fd_count == 0);
    *(int *)(uintptr_t)call->arg = 0; /* its own */
    *result = (int64_t)n * n;
    return 0;
}

START_TEST(each_element)
{
    enum {
        COUNT = 1000
    };

    const size_t counts[] = {0, 1, 2, 3, COUNT};
    int numbers[COUNT];
    int64_t squares[COUNT + 1];

    open_pool(_i);
    for (int i = 0; i < COUNT; i++)
        numbers[i] = i - 500;
    for (int c = 0; c < 5; c++) {
        memset(squares, 0xff, sizeof squares);
        ck_assert_int_eq(weft_map(pool,
                                  &(weft_task){.fn = square,
                                               .arg_size = sizeof *numbers,
                                               .result_size = sizeof *squares},
                                  numbers, squares, counts[c]),
                         0);
        for (size_t i = 0; i < counts[c]; i++)
            ck_assert_int_eq(squares[i], (int64_t)numbers[i] * numbers[i]);
        ck_assert_int_eq(squares[counts[c]], -1);
    }
    close_pool();
}

END_TEST

struct large {
    char bytes[1001];
};

static int
reverse(weft_call *call)
{
    const struct large *in = call->arg;
    struct large *out = call->result;

    for (size_t i = 0; i < sizeof in->bytes; i++)
        out->bytes[sizeof in->bytes - 1 - i] = in->bytes[i];
    return 0;
}

START_TEST(large_elements)
{
    enum {
        COUNT = 50
    };

    struct large *in = calloc(COUNT, sizeof *in);
    struct large *out = calloc(COUNT, sizeof *out);

    open_pool(_i);
    for (size_t i = 0; i < COUNT; i++)
        for (size_t k = 0; k < sizeof in->bytes; k++)
            in[i].bytes[k] = (char)(i + k);
    ck_assert_int_eq(weft_map(pool,
                              &(weft_task){.fn = reverse,
                                           .arg_size = sizeof *in,
                                           .result_size = sizeof *out},
                              in, out, COUNT),
                     0);
    for (size_t i = 0; i < COUNT; i++)
        for (size_t k = 0; k < sizeof in->bytes; k++)
            ck_assert_int_eq(out[i].bytes[1000 - k], (char)(i + k));
    close_pool();
    free(in);
    free(out);
}

END_TEST

static int
count_call(weft_call *call)
{
    _Atomic int *count = (_Atomic int *)(uintptr_t)call->arg;

    child_expect(call->arg_size == 0 && !call->result);
    (*count)++;
    return 0;
}

START_TEST(without_arguments_and_results)
{
    _Atomic int count = 0;

    ck_assert_int_eq(weft_map(NULL, &(weft_task){.fn = count_call},
                              (const void *)&count, NULL, 1000),
                     0);
    ck_assert_int_eq(count, 1000);
}

END_TEST

/* --- results of other sizes */

static int
resize_and_back(weft_call *call)
{
    const int n = *(const int *)call->arg;
    int *result = weft_result_resize(call, 10000);

    child_expect(result && result == call->result && result[2499] == 0);
    result[2499] = result[0] = n;
    child_expect(weft_result_resize(call, sizeof *result) == call->result);
    return n == 33 ? weft_result_resize(call, 8) == NULL : 0;
}

START_TEST(results_have_their_size)
{
    int numbers[100], results[100];

    for (int i = 0; i < 100; i++)
        numbers[i] = i;
    const weft_task task = {.fn = resize_and_back,
                            .arg_size = sizeof *numbers,
                            .result_size = sizeof *results};

    ck_assert_int_eq(weft_map(NULL, &task, numbers, results, 33), 0);
    for (int i = 0; i < 33; i++)
        ck_assert_int_eq(results[i], i);
    expect_refused(weft_map(NULL, &task, numbers, results, 100), WEFT_EMSGSIZE,
                   "item 33");
}

END_TEST

/* --- failing */

static int bad;

static int
fail_one(weft_call *call)
{
    const int n = *(const int *)call->arg;

    *(int *)call->result = n;
    if (n == bad)
        return n % 2 ? weft_fail(call, "%d is odd", n) : 5;
    return 0;
}

START_TEST(a_failure_anywhere)
{
    int numbers[100], results[100];
    char words[64];

    open_pool(_i);
    for (int i = 0; i < 100; i++)
        numbers[i] = i;
    for (bad = 0; bad < 100; bad++) {
        snprintf(words, sizeof words,
                 bad % 2 ? "item %d: %d is odd" : "item %d returned 5", bad,
                 bad);
        expect_refused(weft_map(pool,
                                &(weft_task){.fn = fail_one,
                                             .arg_size = sizeof *numbers,
                                             .result_size = sizeof *results},
                                numbers, results, 100),
                       WEFT_EFAILED, words);
    }
    close_pool();
}

END_TEST

static int
leave_shielded(weft_call *call)
{
    (void)call;
    weft_shield(true);
    return 0;
}

static int
map_and_stop(weft_call *call)
{
    (void)call;
    child_expect(weft_map(NULL, &(weft_task){.fn = leave_shielded}, NULL, NULL,
                          100) == 0);
    gate_open(&common->begun);
    return weft_sleep(WEFT_FOREVER) == WEFT_ECANCELED ? 0 : 1;
}

START_TEST(a_shield_ends_with_its_call)
{
    weft_job *job = must_start(WEFT_THREAD, &(weft_task){.fn = map_and_stop});

    gate_pass(&common->begun);
    weft_stop(job);
    must_join(job);
    ck_assert_int_eq(outcome(job)->code, 0);
    weft_release(job);
}

END_TEST

START_TEST(what_is_wrong)
{
    const weft_task tasks[] = {
        {.fn = do_nothing, .arg = &bad},
        {.fn = do_nothing, .delay = 1},
        {.fn = do_nothing, .timeout = 1},
        {.fn = do_nothing, .retries = 1},
        {.fn = do_nothing, .daemon = true},
        {.fn = do_nothing, .blocking = true},
        {.fn = do_nothing, .submit_by = WEFT_FOREVER},
    };
    const char *const words[] = {"arg",    "delay",    "timeout",  "retries",
                                 "daemon", "blocking", "submit_by"};
    int numbers[1];

    for (size_t i = 0; i < sizeof tasks / sizeof *tasks; i++)
        expect_refused(weft_map(NULL, &tasks[i], NULL, NULL, 1), WEFT_EINVAL,
                       words[i]);
    expect_refused(weft_map(NULL, NULL, NULL, NULL, 1), WEFT_EINVAL, "task");
    expect_refused(weft_map(NULL, &(weft_task){.name = "x"}, NULL, NULL, 1),
                   WEFT_EINVAL, "fn");
    expect_refused(weft_map(NULL, &(weft_task){.fn = square, .arg_size = 4},
                            NULL, NULL, 1),
                   WEFT_EINVAL, "args");
    expect_refused(weft_map(NULL, &(weft_task){.fn = square, .result_size = 4},
                            NULL, NULL, 1),
                   WEFT_EINVAL, "results");
    expect_refused(weft_map(NULL, &(weft_task){.fn = square, .arg_size = 4},
                            numbers, NULL, SIZE_MAX / 2),
                   WEFT_EINVAL, "memory");
}

END_TEST

int
main(void)
{
    Suite *suite = suite_create("map");
    TCase *tcase = support_case(suite, "map", 20);

    tcase_add_checked_fixture(tcase, common_make, NULL);
    support_add_table(tcase, each_element, sizes);
    support_add_table(tcase, large_elements, sizes);
    tcase_add_test(tcase, without_arguments_and_results);
    tcase_add_test(tcase, results_have_their_size);
    support_add_table(tcase, a_failure_anywhere, sizes);
    tcase_add_test(tcase, a_shield_ends_with_its_call);
    tcase_add_test(tcase, what_is_wrong);
    return support_run(suite);
}
