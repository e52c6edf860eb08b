/* 10^8 items: in order, and none lost. */
#include "support/worker_support.h"

#include <stdlib.h>

START_TEST(a_hundred_million)
{
    const size_t count =
        scaled(100) < 100 ? scaled(100) * 1000000ul : 100000000ul;
    uint32_t *items = malloc(count * sizeof *items), seed = 1;
    uint64_t before = 0, after = 0;
    bool ordered = true;

    if (!items)
        return;
    for (size_t i = 0; i < count; i++)
        before += items[i] = seed = seed * 1664525 + 1013904223;
    ck_assert_int_eq(
        weft_sort(NULL, items, count,
                  &(weft_sorting){.size = sizeof *items, .key = WEFT_KEY_U32}),
        0);
    for (size_t i = 0; i < count; i++) {
        ordered &= i == 0 || items[i - 1] <= items[i];
        after += items[i];
    }
    ck_assert(ordered);
    ck_assert_uint_eq(before, after);
    free(items);
}

END_TEST

int
main(void)
{
    Suite *suite = suite_create("sort_large");
    TCase *tcase = support_case(suite, "large", 120);

    tcase_add_test(tcase, a_hundred_million);
    return support_run(suite);
}
