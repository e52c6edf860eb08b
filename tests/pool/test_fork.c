/* Fork/join: every fork is run once, wherever, and what it wrote is seen after
 * its sync. */
#include "support/pool_support.h"

#include <string.h>

static const unsigned sizes[] = {1, 2, 8, 16};

static void
enter(weft_pool *pool, weft_fork_fn *fn, void *frame)
{
    ck_assert_int_eq(weft_enter(pool, fn, frame, WEFT_FOREVER), 0);
}

/* --- fib, by unfork */

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
    if (weft_unfork(lane))
        fib(lane, &left);
    f->value = left.value + right.value;
}

START_TEST(fib_is_right)
{
    weft_pool *pool = open_pool(.workers = sizes[_i]);

    for (unsigned i = 0; i < scaled(200); i++) {
        struct fib f = {.n = 15};

        enter(pool, fib, &f);
        ck_assert_int_eq(f.value, 610);
    }
    pool_drain(pool);
}

END_TEST

/* --- queens, many forks in one function, synced in reverse order */

struct queens {
    unsigned size, columns, left, right;
    long found;
};

static void
queens(weft_lane *lane, void *frame)
{
    struct queens *q = frame;
    const unsigned all = (1U << q->size) - 1;
    struct queens next[16];
    int count = 0;

    if (q->columns == all) {
        q->found = 1;
        return;
    }
    for (unsigned free = all & ~(q->columns | q->left | q->right); free;
         free &= free - 1) {
        const unsigned bit = free & -free;

        next[count] =
            (struct queens){q->size, q->columns | bit, (q->left | bit) << 1,
                            (q->right | bit) >> 1, 0};
        lane = weft_fork(lane, queens, &next[count++]);
    }
    q->found = 0;
    while (count-- > 0) {
        weft_sync(--lane);
        q->found += next[count].found;
    }
}

START_TEST(queens_are_right)
{
    weft_pool *pool = open_pool(.workers = sizes[_i]);

    for (unsigned i = 0; i < scaled(200); i++) {
        struct queens q = {.size = 6};

        enter(pool, queens, &q);
        ck_assert_int_eq(q.found, 4);
    }
    pool_drain(pool);
}

END_TEST

/* --- entering */

struct inside {
    weft_pool *pool;
    long value;
};

static void
enter_again(weft_lane *lane, void *frame)
{
    struct inside *inside = frame;
    struct fib outer = {.n = 12}, inner = {.n = 12};
    weft_lane *next = weft_fork(lane, fib, &outer);

    (void)next;
    child_expect(weft_enter(inside->pool, fib, &inner, WEFT_FOREVER) == 0);
    weft_sync(lane);
    inside->value = outer.value + inner.value;
}

START_TEST(entering_nests)
{
    weft_pool *pool = open_pool(.workers = sizes[_i]);
    weft_pool *another = open_pool(.workers = 2);

    for (unsigned i = 0; i < scaled(200); i++) {
        struct inside inside[] = {{pool, 0}, {another, 0}, {NULL, 0}};

        for (int k = 0; k < 3; k++) {
            enter(pool, enter_again, &inside[k]);
            ck_assert_int_eq(inside[k].value, 288);
        }
    }
    pool_drain(pool);
    pool_drain(another);
}

END_TEST

static void *
enter_often(void *pool)
{
    for (unsigned i = 0; i < scaled(50); i++) {
        struct fib f = {.n = 14};

        child_expect(weft_enter(pool, fib, &f, WEFT_FOREVER) == 0);
        child_expect(f.value == 377);
    }
    return NULL;
}

START_TEST(eight_threads_enter_at_once)
{
    weft_pool *pool = open_pool(.workers = sizes[_i]);
    pthread_t threads[8];

    for (int i = 0; i < 8; i++)
        threads[i] = support_thread(enter_often, pool);
    for (int i = 0; i < 8; i++)
        support_join(threads[i]);
    pool_drain(pool);
}

END_TEST

static int
enter_in_job(weft_call *call)
{
    struct fib f = {.n = 14};

    (void)call;
    child_expect(weft_enter(NULL, fib, &f, WEFT_FOREVER) == 0);
    return f.value == 377 ? 0 : 1;
}

struct joining {
    weft_pool *pool;
    int status;
};

static void
join_in_fork(weft_lane *lane, void *frame)
{
    struct joining *joining = frame;
    weft_job *job = NULL;

    (void)lane;
    joining->status =
        weft_submit(&job, joining->pool, &(weft_task){.fn = enter_in_job});
    if (joining->status == 0)
        joining->status = weft_result(job, NULL, 0, WEFT_FOREVER);
    weft_release(job);
}

static void
join_in_forks(weft_lane *lane, void *frame)
{
    struct joining *joining = frame;
    struct joining left = *joining, right = *joining;
    weft_lane *inner = weft_fork(lane, join_in_fork, &left);

    join_in_fork(inner, &right);
    weft_sync(lane);
    joining->status = left.status ? left.status : right.status;
}

START_TEST(jobs_enter_and_forks_join_jobs)
{
    weft_pool *pool = open_pool(.workers = sizes[_i]);

    for (unsigned i = 0; i < scaled(100); i++) {
        weft_job *jobs[4];
        struct joining joining = {pool, -1};

        for (int k = 0; k < 4; k++)
            jobs[k] = submit(pool, .fn = enter_in_job, .blocking = k == 3);
        enter(pool, join_in_forks, &joining);
        ck_assert_int_eq(joining.status, 0);
        for (int k = 0; k < 4; k++)
            expect_end(jobs[k], WEFT_OK);
    }
    pool_drain(pool);
}

END_TEST

static int
set_prepared(weft_call *call)
{
    (void)call;
    return weft_set_name("prepared");
}

static void
look_who(weft_lane *lane, void *frame)
{
    struct fib f = {.n = 10};

    fib(lane, &f);
    *(bool *)frame =
        f.value == 55 && strcmp(weft_self()->name, "prepared") == 0;
}

START_TEST(where_workers_are_prepared_only_they_fork)
{
    const weft_task first = {.fn = set_prepared};
    weft_pool *pool = open_pool(.workers = 2, .prepare = &first);
    bool prepared = false;

    enter(pool, look_who, &prepared);
    ck_assert(prepared);
    expect_refused(weft_enter(pool, NULL, NULL, WEFT_FOREVER), WEFT_EINVAL,
                   "fn");
    pool_drain(pool);
}

END_TEST

START_TEST(entering_has_a_deadline)
{
    const weft_task first = {.fn = do_nothing};
    weft_pool *pool = open_pool(.workers = 1, .prepare = &first);
    weft_job *busy = keep_busy(pool);
    bool prepared = false;

    ck_assert_int_eq(weft_enter(pool, look_who, &prepared, weft_in(WEFT_MS)),
                     WEFT_ETIMEDOUT);
    let_go(busy);
    pool_drain(pool);
}

END_TEST

struct beyond {
    weft_time deadline;
    int slept;
};

static void
sleep_beyond(weft_lane *lane, void *frame)
{
    struct beyond *beyond = frame;

    (void)lane;
    beyond->slept =
        weft_sleep(weft_at(beyond->deadline.ns + 20 * WEFT_MS)) == 0 ? 1 : -1;
}

START_TEST(what_began_by_the_deadline_is_not_stopped)
{
    const weft_task first = {.fn = do_nothing};
    weft_pool *pool = open_pool(.workers = 1, .prepare = &first);

    expect_end(submit(pool, .fn = do_nothing), WEFT_OK);
    struct beyond beyond = {.deadline = weft_in(patient(100 * WEFT_MS))};

    ck_assert_int_eq(weft_enter(pool, sleep_beyond, &beyond, beyond.deadline),
                     0);
    ck_assert_int_eq(beyond.slept, 1);
    pool_drain(pool);
}

END_TEST

/* --- a storm: trees of any shape, with pauses of any length */

struct tree {
    uint64_t seed;
    int left; /* levels */
    uint64_t sum;
    unsigned runs;
};

static uint64_t
mix(uint64_t x)
{
    x += 0x9e3779b97f4a7c15;
    x = (x ^ x >> 30) * 0xbf58476d1ce4e5b9;
    x = (x ^ x >> 27) * 0x94d049bb133111eb;
    return x ^ x >> 31;
}

static uint64_t
serially(uint64_t seed, int left)
{
    const int children = left > 0 ? (int)(mix(seed) % 5) : 0;
    uint64_t sum = mix(seed ^ 1);

    for (int i = 0; i < children; i++)
        sum += serially(mix(seed + 2 + (uint64_t)i), left - 1);
    return sum;
}

static void
spin_some(uint64_t seed)
{
    const unsigned turns = seed % 16 == 0 ? seed >> 8 & 1023 : 0;

    for (volatile unsigned i = 0; i < turns; i++)
        ;
}

static void
add_up(weft_lane *lane, void *frame)
{
    struct tree *tree = frame;
    const uint64_t seed = tree->seed;
    const int children = tree->left > 0 ? (int)(mix(seed) % 5) : 0;
    struct tree below[5];

    tree->runs++;
    tree->sum = mix(seed ^ 1);
    for (int i = 0; i < children; i++) {
        below[i] = (struct tree){.seed = mix(seed + 2 + (uint64_t)i),
                                 .left = tree->left - 1};
        if (i < children - 1)
            lane = weft_fork(lane, add_up, &below[i]);
        spin_some(mix(seed + 7 + (uint64_t)i));
    }
    if (children > 0)
        add_up(lane, &below[children - 1]);
    for (int i = children - 1; i >= 0; i--) {
        if (i < children - 1)
            weft_sync(--lane);
        child_expect(below[i].runs == 1);
        tree->sum += below[i].sum;
    }
    spin_some(mix(seed + 5));
}

START_TEST(trees_of_any_shape_are_added_right)
{
    weft_pool *pool = open_pool(.workers = sizes[_i]);
    const int64_t until = weft_in((weft_duration)scaled(3000) * WEFT_MS).ns;

    for (uint64_t seed = 1; weft_now().ns < until; seed++) {
        struct tree tree = {.seed = mix(seed), .left = 4 + (int)(seed % 9)};

        enter(pool, add_up, &tree);
        ck_assert_uint_eq(tree.sum, serially(mix(seed), 4 + (int)(seed % 9)));
        ck_assert_uint_eq(tree.runs, 1);
    }
    pool_drain(pool);
}

END_TEST

static Suite *
make(void)
{
    Suite *suite = suite_create("fork/join");
    TCase *tcase = support_case(suite, "forks", 20);

    tcase_add_checked_fixture(tcase, common_make, NULL);
    support_add_table(tcase, fib_is_right, sizes);
    support_add_table(tcase, queens_are_right, sizes);
    support_add_table(tcase, entering_nests, sizes);
    support_add_table(tcase, eight_threads_enter_at_once, sizes);
    support_add_table(tcase, jobs_enter_and_forks_join_jobs, sizes);
    tcase_add_test(tcase, where_workers_are_prepared_only_they_fork);
    tcase_add_test(tcase, entering_has_a_deadline);
    tcase_add_test(tcase, what_began_by_the_deadline_is_not_stopped);
    support_add_table(tcase, trees_of_any_shape_are_added_right, sizes);
    return suite;
}

int
main(void)
{
    return support_run(make());
}
