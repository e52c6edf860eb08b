/* Ten million items, and the resident memory that they take: that of the arrays
 * of the caller, and no more. */
#include "support/pool_support.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    ITEMS = 10000000,
    WARM = ITEMS / 100,
    MOST = 2048 /* KiB that the rest may add to the most it was at a time */
};

/* What was the most so far, in KiB. */
static long
peak(void)
{
    FILE *file = fopen("/proc/self/status", "re");
    char line[128];
    long kib = -1;

    ck_assert_ptr_nonnull(file);
    while (fgets(line, sizeof line, file))
        if (sscanf(line, "VmHWM: %ld", &kib) == 1)
            break;
    fclose(file);
    ck_assert_int_gt(kib, 0);
    return kib;
}

static void
expect_flat(const char *what, unsigned count, long before)
{
    const long more = peak() - before;

    printf("%u %s: resident memory %ld KiB at most, %ld of it since the first "
           "%u\n",
           count, what, peak(), more, count / (ITEMS / WARM));
    if (!support_is_checked())
        ck_assert_int_le(more, MOST);
}

/* --- a map */

START_TEST(a_map_takes_the_memory_of_its_arrays)
{
    const unsigned count = scaled(ITEMS), first = count / (ITEMS / WARM);
    const weft_task task = {
        .fn = double_it, .arg_size = sizeof(int), .result_size = sizeof(int)};
    int *args = malloc(count * sizeof *args);
    int *results = malloc(count * sizeof *results);
    weft_pool *pool = open_pool(.workers = 2);

    ck_assert(args && results);
    memset(results, -1, count * sizeof *results);
    for (unsigned i = 0; i < count; i++)
        args[i] = (int)i;
    ck_assert_int_eq(weft_map(pool, &task, args, results, first), 0);
    const long before = peak();

    ck_assert_int_eq(weft_map(pool, &task, args, results, count), 0);
    expect_flat("items of a map", count, before);
    for (unsigned i = 0; i < count; i++)
        if (results[i] != 2 * (int)i)
            ck_abort_msg("item %u: %d", i, results[i]);
    pool_drain(pool);
    free(args);
    free(results);
}

END_TEST

/* --- tasks that are submitted as fast as they are taken */

static int
count_up(weft_call *call)
{
    (void)call;
    atomic_fetch_add_explicit(&common->count, 1, memory_order_relaxed);
    return 0;
}

static void
submit_many(weft_pool *pool, unsigned count)
{
    for (unsigned i = 0; i < count; i++)
        ck_assert_int_eq(weft_submit(NULL, pool,
                                     &(weft_task){.fn = count_up,
                                                  .name = "tiny",
                                                  .submit_by = WEFT_FOREVER}),
                         0);
}

START_TEST(submitted_tasks_take_the_memory_of_the_backlog)
{
    const unsigned count = scaled(ITEMS), first = count / (ITEMS / WARM);
    weft_pool *pool = open_pool(.workers = 2, .backlog = 1000);

    submit_many(pool, first);
    const long before = peak();

    submit_many(pool, count - first);
    pool_drain(pool);
    expect_flat("tasks", count, before);
    ck_assert_int_eq(atomic_load(&common->count), (int)count);
}

END_TEST

int
main(void)
{
    Suite *suite = suite_create("memory of a pool");
    TCase *tcase = support_case(suite, "memory", 240);

    tcase_add_checked_fixture(tcase, common_make, NULL);
    tcase_add_test(tcase, a_map_takes_the_memory_of_its_arrays);
    tcase_add_test(tcase, submitted_tasks_take_the_memory_of_the_backlog);
    return support_run(suite);
}
