/* weft_reduce: the same bits for any number of workers. */
#include "support/worker_support.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const unsigned sizes[] = {1, 2, 8};

enum {
    SIZES = sizeof sizes / sizeof *sizes
};

static weft_pool *pools[SIZES];

static void
open_pools(void)
{
    common_make();
    for (int i = 0; i < SIZES; i++)
        ck_assert_int_eq(
            weft_pool_open(&pools[i], WEFT_THREAD,
                           &(weft_pool_options){.workers = sizes[i]}),
            0);
}

static void
close_pools(void)
{
    for (int i = 0; i < SIZES; i++)
        ck_assert_int_eq(weft_pool_close(pools[i], WEFT_FOREVER), 0);
}

static int
add_range(void *context, void *part, size_t begin, size_t end)
{
    const double *numbers = context;
    double sum = *(double *)part;

    for (size_t i = begin; i < end; i++)
        sum += numbers[i];
    memcpy(part, &sum, sizeof sum);
    return 0;
}

static void
add_parts(void *context, void *left, const void *right)
{
    (void)context;
    *(double *)left += *(const double *)right;
}

static const weft_reduction adding = {
    .size = sizeof(double), .fold = add_range, .join = add_parts};

/* Of all sizes, so that each order of adding has another result. */
static double *
make_numbers(size_t count)
{
    double *numbers = malloc((count + 1) * sizeof *numbers);
    unsigned seed = 1;

    for (size_t i = 0; i < count; i++)
        numbers[i] = 1.0 / (1 + (double)(seed = seed * 1103515245 + 12345));
    return numbers;
}

START_TEST(the_same_bits)
{
    const size_t counts[] = {1, 2, 3, 1000, 1000003};
    const size_t grains[] = {0, 1, 7, 1000, SIZE_MAX};
    double *numbers = make_numbers(1000003);

    for (size_t c = 0; c < sizeof counts / sizeof *counts; c++)
        for (size_t g = 0; g < sizeof grains / sizeof *grains; g++) {
            weft_reduction how = adding;
            double sums[SIZES];

            how.grain = grains[g];
            for (int i = 0; i < SIZES; i++)
                ck_assert_int_eq(
                    weft_reduce(pools[i], counts[c], &how, numbers, &sums[i]),
                    0);
            for (int i = 1; i < SIZES; i++)
                ck_assert(memcmp(&sums[i], &sums[0], sizeof *sums) == 0);
            ck_assert(sums[0] > 0);
        }
    free(numbers);
}

END_TEST

/* --- order: joined strings are the text itself */

struct piece {
    size_t length;
    char text[1000]; /* beyond what lies on the stack */
};

static int
append_range(void *context, void *part, size_t begin, size_t end)
{
    struct piece *piece = part;

    memcpy(piece->text + piece->length, (const char *)context + begin,
           end - begin);
    piece->length += end - begin;
    return 0;
}

static void
append_piece(void *context, void *left_, const void *right_)
{
    struct piece *left = left_;
    const struct piece *right = right_;

    (void)context;
    child_expect(left->length + right->length <= sizeof left->text);
    memcpy(left->text + left->length, right->text, right->length);
    left->length += right->length;
}

START_TEST(joined_in_order)
{
    char text[1000];

    for (size_t i = 0; i < sizeof text; i++)
        text[i] = (char)(i * 7 % 251);
    for (size_t grain = 0; grain < 40; grain++)
        for (size_t count = 0; count <= sizeof text; count += 125) {
            const weft_reduction how = {.size = sizeof(struct piece),
                                        .grain = grain,
                                        .fold = append_range,
                                        .join = append_piece};
            struct piece whole = {.length = 5};

            ck_assert_int_eq(weft_reduce(pools[_i], count, &how, text, &whole),
                             0);
            ck_assert_uint_eq(whole.length, count);
            ck_assert(memcmp(whole.text, text, count) == 0);
        }
}

END_TEST

/* --- identity */

static int
most_of(void *context, void *part, size_t begin, size_t end)
{
    const int *numbers = context;
    int *most = part;

    for (size_t i = begin; i < end; i++)
        *most = numbers[i] > *most ? numbers[i] : *most;
    return 0;
}

static void
join_most(void *context, void *left, const void *right)
{
    (void)most_of((void *)(uintptr_t)right, left, 0, 1);
    (void)context;
}

START_TEST(an_identity)
{
    const int least = -1000, numbers[] = {-5, -3, -9};
    const weft_reduction how = {.size = sizeof least,
                                .identity = &least,
                                .grain = 1,
                                .fold = most_of,
                                .join = join_most};
    int most = 7;

    ck_assert_int_eq(
        weft_reduce(pools[_i], 3, &how, (void *)(uintptr_t)numbers, &most), 0);
    ck_assert_int_eq(most, -3);
    ck_assert_int_eq(weft_reduce(pools[_i], 0, &how, NULL, &most), 0);
    ck_assert_int_eq(most, -1000);
}

END_TEST

/* --- failing */

static int
fail_at(void *context, void *part, size_t begin, size_t end)
{
    const size_t *at = context;

    *(double *)part += (double)(end - begin);
    return begin <= *at && *at < end ? -42 : 0;
}

START_TEST(a_failure_anywhere)
{
    const weft_reduction how = {
        .size = sizeof(double), .grain = 1, .fold = fail_at, .join = add_parts};

    for (size_t at = 0; at < 100; at++) {
        double result = 17;
        char words[64];

        snprintf(words, sizeof words, "items %zu to %zu", at, at);
        expect_refused(weft_reduce(pools[_i], 100, &how, &at, &result), -42,
                       words);
        ck_assert(result == 17);
    }
}

END_TEST

START_TEST(what_is_wrong)
{
    weft_reduction how = adding;
    double result = 0;

    expect_refused(weft_reduce(NULL, 1, NULL, NULL, &result), WEFT_EINVAL,
                   "how");
    expect_refused(weft_reduce(NULL, 1, &how, NULL, NULL), WEFT_EINVAL,
                   "result");
    how.size = 0;
    expect_refused(weft_reduce(NULL, 1, &how, NULL, &result), WEFT_EINVAL,
                   "size");
    how = adding;
    how.fold = NULL;
    expect_refused(weft_reduce(NULL, 0, &how, NULL, &result), WEFT_EINVAL,
                   "fold");
    how = adding;
    how.join = NULL;
    expect_refused(weft_reduce(NULL, 1, &how, NULL, &result), WEFT_EINVAL,
                   "join");
    how = adding;
    how.reserved[3] = 1;
    expect_refused(weft_reduce(NULL, 1, &how, NULL, &result), WEFT_EINVAL,
                   "reduction");
    how = adding;
    how.size = SIZE_MAX / 4;
    expect_refused(weft_reduce(NULL, 1, &how, NULL, &result), WEFT_ENOMEM,
                   "memory");
}

END_TEST

int
main(void)
{
    Suite *suite = suite_create("reduce");
    TCase *tcase = support_case(suite, "reduce", 20);

    tcase_add_checked_fixture(tcase, open_pools, close_pools);
    tcase_add_test(tcase, the_same_bits);
    support_add_table(tcase, joined_in_order, sizes);
    support_add_table(tcase, an_identity, sizes);
    support_add_table(tcase, a_failure_anywhere, sizes);
    tcase_add_test(tcase, what_is_wrong);
    return support_run(suite);
}
