/* Forks that are many, deep, or wrong. */
#include "support/actor_support.h"
#include "support/pool_support.h"

static const unsigned sizes[] = {1, 2, 8, 16};

/* --- wide and deep */

static void
count_one(weft_lane *lane, void *frame)
{
    (void)lane;
    atomic_fetch_add((_Atomic int *)frame, 1);
}

static void
fork_many(weft_lane *lane, void *frame)
{
    enum {
        MANY = 100000
    };

    for (int i = 0; i < MANY; i++)
        lane = weft_fork(lane, count_one, frame);
    for (int i = 0; i < MANY; i++)
        weft_sync(--lane);
}

START_TEST(a_hundred_thousand_forks_wait_at_a_time)
{
    weft_pool *pool = open_pool(.workers = sizes[_i]);
    _Atomic int count = 0;

    ck_assert_int_eq(weft_enter(pool, fork_many, &count, WEFT_FOREVER), 0);
    ck_assert_int_eq(atomic_load(&count), 100000);
    pool_drain(pool);
}

END_TEST

struct ladder {
    int left, sum;
};

/* What is forked waits while the rest goes deeper. */
static void
climb(weft_lane *lane, void *frame)
{
    struct ladder *ladder = frame;
    struct ladder one = {.left = 0}, rest = {.left = ladder->left - 1};

    if (ladder->left == 0) {
        ladder->sum = 1;
        return;
    }
    weft_lane *inner = weft_fork(lane, climb, &one);

    climb(inner, &rest);
    weft_sync(lane);
    ladder->sum = one.sum + rest.sum;
}

static void *
climb_high(void *pool)
{
    /* ThreadSanitizer remembers 65,536 calls within each other. */
    const int high = support_is_tsan() ? 50000 : 100000;
    struct ladder ladder = {.left = high};

    child_expect(weft_enter(pool, climb, &ladder, WEFT_FOREVER) == 0);
    child_expect(ladder.sum == high + 1);
    return NULL;
}

START_TEST(forks_nest_a_hundred_thousand_deep)
{
    weft_pool *pool = open_pool(.workers = sizes[_i],
                                .worker = {.stack_size = (size_t)256 << 20});
    pthread_attr_t attributes;
    pthread_t thread;

    ck_assert_int_eq(pthread_attr_init(&attributes), 0);
    ck_assert_int_eq(pthread_attr_setstacksize(&attributes, (size_t)256 << 20),
                     0);
    ck_assert_int_eq(pthread_create(&thread, &attributes, climb_high, pool), 0);
    support_join(thread);
    pthread_attr_destroy(&attributes);
    pool_drain(pool);
}

END_TEST

/* --- misuse */

static void
fork_only(weft_lane *lane, void *frame)
{
    weft_lane *next = weft_fork(lane, count_one, frame);

    (void)next;
}

static void
fork_too_many(weft_lane *lane, void *frame)
{
    for (;;)
        lane = weft_fork(lane, count_one, frame);
}

static void
enter_wrongly(void *arg)
{
    static _Atomic int count;

    (void)weft_enter(NULL, *(weft_fork_fn **)arg, &count, WEFT_FOREVER);
}

START_TEST(misuse_stops_the_program)
{
    weft_fork_fn *fn = fork_only;

    expect_misuse(enter_wrongly, &fn, "weft_fork", "never synced");
    fn = fork_too_many;
    expect_misuse(enter_wrongly, &fn, "weft_fork", "wait to be synced");
}

END_TEST

static Suite *
make(void)
{
    Suite *suite = suite_create("deep forks");
    TCase *tcase = support_case(suite, "deep", 20);

    tcase_add_checked_fixture(tcase, actors_make, NULL);
    support_add_table(tcase, a_hundred_thousand_forks_wait_at_a_time, sizes);
    support_add_table(tcase, forks_nest_a_hundred_thousand_deep, sizes);
    tcase_add_test(tcase, misuse_stops_the_program);
    return suite;
}

int
main(void)
{
    return support_run(make());
}
