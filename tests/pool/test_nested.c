/* Loops within loops: who waits helps, what they compute is right, and no more
 * threads run than there are places. */
#include "support/pool_support.h"

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

static const unsigned sizes[] = {1, 2, 8};

/* --- who waits for a part takes from the loop within it */

struct handing {
    weft_pool *pool;
    bool by_reduce;
    atomic_bool begun, taken;
};

static int
nothing(void *context, size_t begin, size_t end)
{
    (void)context;
    (void)begin;
    (void)end;
    return 0;
}

/* The first part comes to its end when another thread has run the second; only
 * a fork looks whether somebody is hungry. */
static int
wait_for_help(void *context, size_t begin, size_t end)
{
    struct handing *handing = context;
    const weft_time until = weft_in(patient(5 * WEFT_SECOND));

    (void)end;
    if (begin == 1)
        atomic_store(&handing->taken, true);
    while (!atomic_load(&handing->taken)) {
        child_expect(weft_now().ns < until.ns);
        child_expect(weft_for(handing->pool, 2, 1, nothing, NULL) == 0);
    }
    return 0;
}

static int
fold_help(void *context, void *part, size_t begin, size_t end)
{
    (void)part;
    return wait_for_help(context, begin, end);
}

static void
join_none(void *context, void *left, const void *right)
{
    (void)context;
    (void)left;
    (void)right;
}

static int
loop_inside(struct handing *handing)
{
    static const weft_reduction how = {
        .size = 1, .grain = 1, .fold = fold_help, .join = join_none};
    char none;

    return handing->by_reduce
               ? weft_reduce(handing->pool, 2, &how, handing, &none)
               : weft_for(handing->pool, 2, 1, wait_for_help, handing);
}

/* The second part is another thread's; the first one's has nothing to do but to
 * wait for it. */
static int
hand_over(void *context, size_t begin, size_t end)
{
    struct handing *handing = context;

    (void)end;
    if (begin == 1) {
        atomic_store(&handing->begun, true);
        return loop_inside(handing);
    }
    const weft_time until = weft_in(patient(5 * WEFT_SECOND));

    while (!atomic_load(&handing->begun)) {
        child_expect(weft_now().ns < until.ns);
        child_expect(weft_for(handing->pool, 2, 1, nothing, NULL) == 0);
    }
    return 0;
}

START_TEST(who_waits_takes_from_the_loop_within)
{
    weft_pool *pool = open_pool(.workers = 2);

    for (unsigned i = 0; i < scaled(200); i++) {
        struct handing handing = {.pool = pool, .by_reduce = _i};

        ck_assert_int_eq(weft_for(pool, 2, 1, hand_over, &handing), 0);
        ck_assert(atomic_load(&handing.taken));
    }
    pool_drain(pool);
}

END_TEST

/* --- loops, sorts and reductions in each other */

enum {
    ROWS = 16,
    ITEMS = 6000 /* more than a sort does by itself */
};

static int
add_up(void *context, void *part, size_t begin, size_t end)
{
    (void)context;
    for (; begin < end; begin++)
        *(size_t *)part += begin;
    return 0;
}

static void
add(void *context, void *left, const void *right)
{
    (void)context;
    *(size_t *)left += *(const size_t *)right;
}

static void
expect_sum(weft_pool *pool, size_t count)
{
    const weft_reduction how = {
        .size = sizeof count, .grain = 3, .fold = add_up, .join = add};
    size_t sum = 0;

    child_expect(weft_reduce(pool, count, &how, NULL, &sum) == 0);
    child_expect(sum == count * (count - 1) / 2);
}

/* Now and then in the middle of a sort. */
static int
compare(const void *left, const void *right, void *pool)
{
    const uint32_t a = *(const uint32_t *)left, b = *(const uint32_t *)right;

    if ((a ^ b) % 1024 == 0)
        expect_sum(pool, 100);
    return (a > b) - (a < b);
}

static void
sort_row(weft_pool *pool, uint32_t seed, bool by_key)
{
    const weft_sorting how = {.size = sizeof seed,
                              .compare = by_key ? NULL : compare,
                              .context = by_key ? NULL : pool,
                              .key = by_key ? WEFT_KEY_U32 : WEFT_KEY_NONE};
    uint32_t *items = malloc(ITEMS * sizeof *items);

    child_expect(items);
    for (int i = 0; i < ITEMS; i++)
        items[i] = seed = seed * 1664525 + 1013904223;
    child_expect(weft_sort(pool, items, ITEMS, &how) == 0);
    for (int i = 1; i < ITEMS; i++)
        child_expect(items[i - 1] <= items[i]);
    free(items);
}

static int
do_row(void *pool, size_t begin, size_t end)
{
    for (; begin < end; begin++) {
        sort_row(pool, (uint32_t)begin, begin % 2);
        expect_sum(pool, 100 + begin);
    }
    return 0;
}

static int
do_rows(weft_call *call)
{
    weft_pool *pool = *(weft_pool *const *)call->arg;

    return weft_for(pool, ROWS, 1, do_row, pool);
}

static int
join_rows(void *pool, size_t begin, size_t end)
{
    for (; begin < end; begin++) {
        weft_job *job = NULL;

        child_expect(weft_submit(&job, pool,
                                 &(weft_task){.fn = do_rows, WEFT_ARG(pool)}) ==
                     0);
        child_expect(weft_result(job, NULL, 0, WEFT_FOREVER) == 0);
        weft_release(job);
        child_expect(do_row(pool, begin, begin + 1) == 0);
    }
    return 0;
}

START_TEST(each_in_each)
{
    weft_pool *pool = open_pool(.workers = sizes[_i]);

    for (unsigned i = 0; i < scaled(5); i++)
        ck_assert_int_eq(weft_for(pool, 4, 1, join_rows, pool), 0);
    pool_drain(pool);
}

END_TEST

/* --- no more run than there are places */

enum {
    WORKERS = 2,
    SIDE = 8,
    BURN = 50 /* us an item */
};

struct crowd {
    weft_pool *pool;
    atomic_bool done;
    unsigned looks, over; /* by the looker: in all, and with too many */
};

static void
burn(void)
{
    const weft_time until = weft_in(BURN * WEFT_US);

    while (weft_now().ns < until.ns)
        ;
}

static int
burn_items(void *context, size_t begin, size_t end)
{
    (void)context;
    for (; begin < end; begin++)
        burn();
    return 0;
}

static int
burn_rows(void *context, size_t begin, size_t end)
{
    const struct crowd *crowd = context;

    for (; begin < end; begin++)
        child_expect(weft_for(crowd->pool, SIDE, 1, burn_items, NULL) == 0);
    return 0;
}

static int
burn_one(weft_call *call)
{
    (void)call;
    burn();
    return 0;
}

static int
submit_row(weft_call *call)
{
    const struct crowd *crowd = call->arg;
    weft_scope *scope = NULL;

    child_expect(weft_scope_open(&scope, NULL) == 0);
    for (int i = 0; i < SIDE; i++)
        child_expect(
            weft_submit(NULL, crowd->pool,
                        &(weft_task){.fn = burn_one, .scope = scope}) == 0);
    return weft_scope_close(scope, WEFT_FOREVER);
}

static void
loop_all(struct crowd *crowd)
{
    ck_assert_int_eq(weft_for(crowd->pool, SIDE, 1, burn_rows, crowd), 0);
}

static void
submit_all(struct crowd *crowd)
{
    weft_scope *scope = NULL;

    ck_assert_int_eq(weft_scope_open(&scope, NULL), 0);
    for (int i = 0; i < SIDE; i++)
        weft_release(submit(crowd->pool, .fn = submit_row, .arg = crowd,
                            .scope = scope));
    ck_assert_int_eq(weft_scope_close(scope, WEFT_FOREVER), 0);
}

static unsigned
running_beside(pid_t looker)
{
    DIR *directory = opendir("/proc/self/task");
    unsigned count = 0;

    child_expect(directory);
    for (struct dirent *entry; (entry = readdir(directory));) {
        const pid_t tid = (pid_t)strtol(entry->d_name, NULL, 10);

        count += tid > 0 && tid != looker && support_state(tid) == 'R';
    }
    closedir(directory);
    return count;
}

static void *
look(void *arg)
{
    struct crowd *crowd = arg;
    const pid_t self = (pid_t)syscall(SYS_gettid);

    while (!atomic_load(&crowd->done)) {
        crowd->over += running_beside(self) > WORKERS;
        crowd->looks++;
    }
    return NULL;
}

static void (*const crowds[])(struct crowd *crowd) = {loop_all, submit_all};

/* One that is just being woken, or about to sleep, runs for a moment beside
 * those that are to. */
START_TEST(no_more_run_than_there_are_places)
{
    struct crowd crowd = {.pool = open_pool(.workers = WORKERS)};
    const pthread_t looker = support_thread(look, &crowd);

    for (unsigned i = 0; i < scaled(100); i++)
        crowds[_i](&crowd);
    atomic_store(&crowd.done, true);
    support_join(looker);
    ck_assert_uint_gt(crowd.looks, 0);
    ck_assert_msg(crowd.over * 2 <= crowd.looks,
                  "more than %d ran in %u of %u looks", WORKERS, crowd.over,
                  crowd.looks);
    pool_drain(crowd.pool);
}

END_TEST

int
main(void)
{
    Suite *suite = suite_create("nested loops");
    TCase *tcase = support_case(suite, "nested", 30);

    tcase_add_checked_fixture(tcase, common_make, NULL);
    tcase_add_loop_test(tcase, who_waits_takes_from_the_loop_within, 0, 2);
    support_add_table(tcase, each_in_each, sizes);
    if (!support_is_checked()) /* theirs is another schedule */
        support_add_table(tcase, no_more_run_than_there_are_places, crowds);
    return support_run(suite);
}
