/* Several pools, the default one, and pools in other processes. */
#include "support/pool_support.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static int
tell_worker(weft_call *call)
{
    strncpy(call->result, weft_self()->name, call->result_size - 1);
    return 0;
}

static void
expect_worker(weft_job *job, const char *start)
{
    char name[64];

    ck_assert_int_eq(weft_result(job, name, sizeof name, WEFT_FOREVER), 0);
    ck_assert_msg(strncmp(name, start, strlen(start)) == 0, "%s", name);
    weft_release(job);
}

static int
submit_to_null(weft_call *call)
{
    weft_job *job = NULL;
    int status = weft_submit(
        &job, NULL,
        &(weft_task){.fn = tell_worker, .result_size = call->result_size});

    if (status == 0)
        status =
            weft_result(job, call->result, call->result_size, WEFT_FOREVER);
    weft_release(job);
    return status;
}

START_TEST(null_is_the_default_pool)
{
    expect_worker(submit(NULL, .fn = tell_worker, .result_size = 64), "pool-");
    expect_worker(submit(NULL, .fn = submit_to_null, .result_size = 64),
                  "pool-");
}

END_TEST

START_TEST(null_is_the_pool_one_works_for)
{
    weft_pool *pool = open_pool(.workers = 1, .name = "mine");

    expect_worker(submit(pool, .fn = submit_to_null, .result_size = 64),
                  "mine-0");
    expect_worker(
        submit(pool, .fn = submit_to_null, .result_size = 64, .blocking = true),
        "mine-");
    pool_drain(pool);
}

END_TEST

static void *
use_default(void *arg)
{
    for (int i = 0; i < 100; i++) {
        weft_job *job = NULL;

        child_expect(weft_submit(&job, NULL, &(weft_task){.fn = do_nothing}) ==
                     0);
        child_expect(weft_result(job, NULL, 0, WEFT_FOREVER) == 0);
        weft_release(job);
    }
    return arg;
}

START_TEST(many_threads_make_one_default_pool)
{
    pthread_t threads[8];

    for (int i = 0; i < 8; i++)
        threads[i] = support_thread(use_default, NULL);
    for (int i = 0; i < 8; i++)
        support_join(threads[i]);
    expect_worker(submit(NULL, .fn = tell_worker, .result_size = 64), "pool-");
}

END_TEST

/* --- tasks of one pool inside another */

struct pair {
    weft_pool *here, *there;
    int left;
};

static int
cross(weft_call *call)
{
    const struct pair *pair = call->arg;
    const struct pair next = {pair->there, pair->here, pair->left - 1};
    weft_job *job = NULL;

    if (pair->left == 0)
        return 0;
    int status = weft_submit(&job, pair->there,
                             &(weft_task){.fn = cross, WEFT_ARG(next)});

    if (status == 0)
        status = weft_result(job, NULL, 0, WEFT_FOREVER);
    weft_release(job);
    return status;
}

START_TEST(tasks_wait_for_those_of_another_pool)
{
    weft_pool *one = open_pool(.workers = 2, .name = "one");
    weft_pool *two = open_pool(.workers = 2, .name = "two");

    for (unsigned i = 0; i < scaled(500); i++)
        expect_end(
            submit(one, .fn = cross, WEFT_ARG((struct pair){one, two, 3})),
            WEFT_OK);
    pool_drain(one);
    pool_drain(two);
}

END_TEST

START_TEST(pools_come_and_go)
{
    const int threads = busy_threads();

    for (unsigned i = 0; i < scaled(500); i++) {
        weft_pool *pool = open_pool(.workers = 1 + i % 3);

        for (unsigned k = 0; k < i % 5; k++)
            weft_release(submit(pool, .fn = do_nothing));
        pool_drain(pool);
    }
    /* Idle threads are kept for the next, and there is the service. */
    ck_assert_int_le(busy_threads(), threads + 4);
}

END_TEST

static int
submit_back(weft_call *call)
{
    const struct pair *pair = *(const struct pair *const *)call->arg;
    weft_job *job = NULL;
    int status = weft_submit(&job, pair->here, &(weft_task){.fn = do_nothing});

    if (status == 0)
        status = weft_result(job, NULL, 0, WEFT_FOREVER);
    weft_release(job);
    return status;
}

static int
submit_back_from_loop(void *pair, size_t begin, size_t end)
{
    (void)begin;
    (void)end;
    return submit_back(&(weft_call){.arg = &pair});
}

static int
go_through_loop(weft_call *call)
{
    struct pair *pair = *(struct pair *const *)call->arg;

    return weft_for(pair->there, 1, 1, submit_back_from_loop, pair);
}

static int
go_through_task(weft_call *call)
{
    const struct pair *pair = *(const struct pair *const *)call->arg;

    return weft_submit(NULL, pair->there,
                       &(weft_task){.fn = submit_back,
                                    .arg = call->arg,
                                    .arg_size = call->arg_size});
}

static int
close_from_loop(void *pair_, size_t begin, size_t end)
{
    const struct pair *pair = pair_;

    (void)begin;
    (void)end;
    return weft_pool_close(pair->here, WEFT_FOREVER);
}

static int
close_through_loop(weft_call *call)
{
    struct pair *pair = *(struct pair *const *)call->arg;

    return weft_for(pair->there, 1, 1, close_from_loop, pair);
}

static const struct {
    weft_kind there;
    weft_fn *fn;
    int code;
} through[] = {
    {WEFT_THREAD, go_through_loop, 0},
    {WEFT_SERIAL, go_through_loop, 0},
    {WEFT_SERIAL, go_through_task, 0},
    {WEFT_THREAD, close_through_loop, WEFT_EDEADLK},
    {WEFT_SERIAL, close_through_loop, WEFT_EDEADLK},
};

START_TEST(a_worker_stays_one_within_another_pool)
{
    struct pair pair = {.here = open_pool(.workers = 1)};
    struct pair *const it = &pair;

    ck_assert_int_eq(weft_pool_open(&pair.there, through[_i].there, NULL), 0);
    weft_job *job = submit(pair.here, .fn = through[_i].fn, WEFT_ARG(it));

    must_join(job);
    ck_assert_int_eq(outcome(job)->code, through[_i].code);
    weft_release(job);
    pool_drain(pair.there);
    pool_drain(pair.here);
}

END_TEST

/* --- in other processes */

static void
sum_up(weft_lane *lane, void *frame)
{
    (void)lane;
    *(int *)frame += 1;
}

static int
use_pools(weft_call *call)
{
    weft_pool *pool = NULL;
    int count = 0;

    (void)use_default(call);
    child_expect(weft_enter(NULL, sum_up, &count, WEFT_FOREVER) == 0);
    child_expect(weft_pool_open(&pool, WEFT_THREAD, NULL) == 0);
    for (int i = 0; i < 100; i++)
        child_expect(weft_submit(NULL, pool, &(weft_task){.fn = do_nothing}) ==
                     0);
    child_expect(weft_pool_close(pool, WEFT_FOREVER) == 0);
    return count - 1;
}

static const weft_kind others[] = {WEFT_PROCESS, WEFT_THREAD, WEFT_SERIAL};

START_TEST(workers_of_any_kind_have_pools)
{
    ck_assert_int_eq(weft_init(NULL), 0);
    expect_end(submit(NULL, .fn = do_nothing), WEFT_OK);
    expect_end(must_start(others[_i], &(weft_task){.fn = use_pools}), WEFT_OK);
}

END_TEST

static void
use_pools_in_fork(void *arg)
{
    weft_call call = {.arg = arg};

    child_expect(use_pools(&call) == 0);
}

START_TEST(a_fork_has_a_default_pool_of_its_own)
{
    ck_assert_int_eq(setenv("WEFT_CPUS", "1", 1), 0);
    expect_end(submit(NULL, .fn = do_nothing), WEFT_OK);
    ck_assert_int_eq(support_run_fork(use_pools_in_fork, NULL), 0);
    expect_end(submit(NULL, .fn = do_nothing), WEFT_OK);
}

END_TEST

static int
fork_and_use(weft_call *call)
{
    (void)call;
    const pid_t pid = fork();

    if (pid == 0) {
        use_pools_in_fork(NULL);
        _exit(0);
    }
    return support_reap(pid);
}

START_TEST(a_fork_from_a_task_works_for_no_pool)
{
    weft_pool *pool = open_pool(.workers = 1);

    expect_end(submit(pool, .fn = fork_and_use), WEFT_OK);
    pool_drain(pool);
}

END_TEST

static int
set_prepared(weft_call *call)
{
    (void)call;
    return weft_set_name("prepared");
}

static int
is_prepared(weft_call *call)
{
    return strcmp(weft_self()->name, "prepared") == 0
               ? 0
               : weft_fail(call, "in %s", weft_self()->name);
}

START_TEST(threads_of_blocking_tasks_are_prepared)
{
    const weft_task first = {.fn = set_prepared};
    weft_pool *pool = open_pool(.workers = 1, .prepare = &first);

    expect_end(submit(pool, .fn = is_prepared, .blocking = true), WEFT_OK);
    pool_drain(pool);
}

END_TEST

static void *
submit_and_wait(void *pool)
{
    weft_job *job = submit(pool, .fn = wait_for_go);

    weft_release(job);
    return NULL;
}

static void *
close_it(void *pool)
{
    ck_assert_int_eq(weft_pool_close(pool, WEFT_FOREVER), 0);
    return NULL;
}

START_TEST(closing_a_serial_pool_waits_for_its_task)
{
    weft_pool *pool = NULL;

    ck_assert_int_eq(weft_pool_open(&pool, WEFT_SERIAL, NULL), 0);
    const pthread_t busy = support_thread(submit_and_wait, pool);

    gate_pass(&common->begun);
    const pthread_t closer = support_thread(close_it, pool);
    weft_worker all[16];
    bool waits = false;

    while (!waits) {
        const size_t count = weft_list(WEFT_THREADS, all, 16);

        for (size_t i = 0; i < count && i < 16; i++)
            waits |= all[i].state == WEFT_WAITING;
    }
    gate_open(&common->go);
    support_join(busy);
    support_join(closer);
}

END_TEST

static Suite *
make(void)
{
    Suite *suite = suite_create("several pools");
    TCase *tcase = support_case(suite, "several", 15);

    tcase_add_checked_fixture(tcase, common_make, NULL);
    tcase_add_test(tcase, null_is_the_default_pool);
    tcase_add_test(tcase, null_is_the_pool_one_works_for);
    tcase_add_test(tcase, many_threads_make_one_default_pool);
    tcase_add_test(tcase, tasks_wait_for_those_of_another_pool);
    tcase_add_test(tcase, pools_come_and_go);
    tcase_add_test(tcase, threads_of_blocking_tasks_are_prepared);
    tcase_add_test(tcase, closing_a_serial_pool_waits_for_its_task);
    support_add_table(tcase, workers_of_any_kind_have_pools, others);

    TCase *within = support_case(suite, "within each other", 15);

    tcase_add_checked_fixture(within, common_make, NULL);
    support_add_table(within, a_worker_stays_one_within_another_pool, through);
    /* ThreadSanitizer ends a fork of many threads that makes more;
     * AddressSanitizer may have copied its allocator's lock as it was held. */
    if (support_is_tsan() || support_is_asan())
        return suite;
    tcase_add_test(tcase, a_fork_has_a_default_pool_of_its_own);
    tcase_add_test(tcase, a_fork_from_a_task_works_for_no_pool);
    return suite;
}

int
main(void)
{
    return support_run(make());
}
