/* Who waits in a pool helps, and only with what it waits for. */
#include "support/pool_support.h"

#include <string.h>

static weft_pool *
pool_of_call(const weft_call *call)
{
    return *(weft_pool *const *)call->arg;
}

static const unsigned sizes[] = {1, 2, 8};

/* --- deep */

struct depth {
    weft_pool *pool;
    int left;
};

static int
descend(weft_call *call)
{
    struct depth depth = *(const struct depth *)call->arg;
    weft_job *job = NULL;
    int below = 0;

    if (depth.left == 0)
        return 0;
    depth.left--;
    int status = weft_submit(&job, depth.pool,
                             &(weft_task){.fn = descend,
                                          .name = "descend",
                                          WEFT_ARG(depth),
                                          .result_size = sizeof(int)});

    if (status == 0)
        status = weft_result(job, &below, sizeof below, WEFT_FOREVER);
    weft_release(job);
    *(int *)call->result = below + 1;
    return status;
}

START_TEST(tasks_may_wait_for_tasks_to_any_depth)
{
    weft_pool *pool =
        open_pool(.workers = sizes[_i], .worker = {.stack_size = 16 << 20});

    for (unsigned i = 0; i < scaled(200); i++) {
        weft_job *job =
            submit(pool, .fn = descend, WEFT_ARG((struct depth){pool, 1000}),
                   .result_size = sizeof(int));
        int depth = 0;

        ck_assert_int_eq(weft_result(job, &depth, sizeof depth, WEFT_FOREVER),
                         0);
        ck_assert_int_eq(depth, 1000);
        weft_release(job);
    }
    pool_drain(pool);
}

END_TEST

/* --- the ways to wait, in a pool of one worker */

static int
wait_in_scope(weft_call *call)
{
    weft_scope *scope = NULL;
    weft_job *job;
    int status = weft_scope_open(&scope, NULL), count = 0;

    for (int i = 0; i < 5 && status == 0; i++)
        status = weft_submit(NULL, pool_of_call(call),
                             &(weft_task){.fn = do_nothing, .scope = scope});
    if (status == 0)
        while (weft_scope_next(scope, &job, WEFT_FOREVER) == 0)
            count++;
    const int closed = weft_scope_close(scope, WEFT_FOREVER);

    return status < 0 ? status : count == 5 ? closed : 1;
}

static int
close_scope(weft_call *call)
{
    weft_scope *scope = NULL;
    int status = weft_scope_open(&scope, NULL);

    for (int i = 0; i < 5 && status == 0; i++)
        status = weft_submit(NULL, pool_of_call(call),
                             &(weft_task){.fn = do_nothing, .scope = scope});
    const int closed = weft_scope_close(scope, WEFT_FOREVER);

    return status < 0 ? status : closed;
}

static int
wait_for_any(weft_call *call)
{
    weft_source sources[3] = {{0}};
    int status = 0, index = 0;

    for (int i = 0; i < 3 && status == 0; i++)
        status = weft_submit(&sources[i].job, pool_of_call(call),
                             &(weft_task){.fn = do_nothing});
    if (status == 0)
        index = weft_wait_any(sources, 3, 0, WEFT_FOREVER);
    if (index >= 0 && weft_is_alive(sources[index].job))
        index = -1;
    for (int i = 0; i < 3; i++)
        weft_release(sources[i].job);
    return status < 0 ? status : index < 0;
}

static int
join_delayed(weft_call *call)
{
    weft_job *job = NULL;
    int status =
        weft_submit(&job, pool_of_call(call),
                    &(weft_task){.fn = do_nothing, .delay = 5 * WEFT_MS});

    if (status == 0)
        status = weft_result(job, NULL, 0, WEFT_FOREVER);
    weft_release(job);
    return status;
}

static int
join_the_last(weft_call *call)
{
    weft_job *first = NULL, *last = NULL;
    int status =
        weft_submit(&first, pool_of_call(call), &(weft_task){.fn = do_nothing});

    if (status == 0)
        status = weft_submit(&last, pool_of_call(call),
                             &(weft_task){.fn = do_nothing, .after = first});
    if (status == 0)
        status = weft_result(last, NULL, 0, WEFT_FOREVER);
    weft_release(first);
    weft_release(last);
    return status;
}

static int
join_twice_removed(weft_call *call)
{
    weft_job *first = NULL, *last = NULL;
    int status = weft_submit(&first, pool_of_call(call),
                             &(weft_task){.fn = close_scope,
                                          .arg = call->arg,
                                          .arg_size = call->arg_size});

    if (status == 0)
        status = weft_submit(&last, pool_of_call(call),
                             &(weft_task){.fn = wait_in_scope,
                                          .arg = call->arg,
                                          .arg_size = call->arg_size});
    if (status == 0)
        status = weft_result(last, NULL, 0, WEFT_FOREVER);
    if (status == 0)
        status = weft_result(first, NULL, 0, WEFT_FOREVER);
    weft_release(first);
    weft_release(last);
    return status;
}

static int
join_a_blocking_one(weft_call *call)
{
    weft_job *job = NULL;
    int status = weft_submit(&job, pool_of_call(call),
                             &(weft_task){.fn = join_twice_removed,
                                          .arg = call->arg,
                                          .arg_size = call->arg_size,
                                          .blocking = true});

    if (status == 0)
        status = weft_result(job, NULL, 0, WEFT_FOREVER);
    weft_release(job);
    return status;
}

static weft_fn *const ways[] = {
    wait_in_scope, close_scope,        wait_for_any,       join_delayed,
    join_the_last, join_twice_removed, join_a_blocking_one};

START_TEST(one_worker_can_wait_for_what_it_submitted)
{
    weft_pool *pool = open_pool(.workers = 1);

    expect_end(submit(pool, .fn = ways[_i], WEFT_ARG(pool)), WEFT_OK);
    pool_drain(pool);
}

END_TEST

static int
wait_until_soon(weft_call *call)
{
    weft_job *job = NULL;
    int status = weft_submit(
        &job, pool_of_call(call),
        &(weft_task){.fn = do_nothing, .delay = 3600 * WEFT_SECOND});

    if (status == 0)
        status = weft_join(job, weft_in(WEFT_MS));
    (void)weft_stop(job);
    weft_release(job);
    return status;
}

START_TEST(a_wait_in_a_pool_has_a_deadline)
{
    weft_pool *pool = open_pool(.workers = 1);
    weft_job *job = submit(pool, .fn = wait_until_soon, WEFT_ARG(pool));

    must_join(job);
    ck_assert_int_eq(outcome(job)->code, WEFT_ETIMEDOUT);
    weft_release(job);
    pool_drain(pool);
}

END_TEST

/* --- scopes, from outside */

START_TEST(the_first_failure_stops_the_rest)
{
    weft_pool *pool = open_pool(.workers = 2);
    weft_scope *scope = NULL;
    weft_job *job;

    ck_assert_int_eq(weft_scope_open(&scope, NULL), 0);
    weft_release(submit(pool, .fn = sleep_for_ever, .scope = scope));
    gate_pass(&common->begun);
    weft_release(
        submit(pool, .fn = do_fail, .name = "culprit", .scope = scope));
    ck_assert_int_eq(weft_scope_next(scope, &job, WEFT_FOREVER), 0);
    ck_assert_str_eq(weft_name(job), "culprit");
    ck_assert_int_eq(weft_scope_next(scope, &job, WEFT_FOREVER), 0);
    ck_assert_int_eq(outcome(job)->status, WEFT_ECANCELED);
    expect_refused(
        weft_submit(&job, pool, &(weft_task){.fn = do_nothing, .scope = scope}),
        WEFT_ECANCELED, "scope");
    expect_refused(weft_scope_close(scope, WEFT_FOREVER), WEFT_EFAILED,
                   "culprit");
    ck_assert_uint_eq(counts_of(pool).waiting, 0);
    pool_drain(pool);
}

END_TEST

/* --- only with what it waits for */

struct locked {
    weft_pool *pool;
    weft_mutex mutex;
};

static int
lock_it(weft_call *call)
{
    struct locked *locked = *(struct locked *const *)call->arg;

    weft_mutex_lock(&locked->mutex);
    weft_mutex_unlock(&locked->mutex);
    return 0;
}

static int
hold_and_wait(weft_call *call)
{
    struct locked *locked = *(struct locked *const *)call->arg;
    weft_job *job = NULL;

    weft_mutex_lock(&locked->mutex);
    int status = weft_submit(&job, locked->pool,
                             &(weft_task){.fn = do_nothing, .name = "child"});

    if (status == 0)
        status = weft_result(job, NULL, 0, WEFT_FOREVER);
    weft_mutex_unlock(&locked->mutex);
    weft_release(job);
    return status;
}

/* Whoever would take any task while it waits takes one that wants the mutex it
 * holds itself (rayon's issue 592). */
START_TEST(who_holds_a_lock_and_waits_takes_no_stranger)
{
    struct locked locked = {.pool = open_pool(.workers = sizes[_i])};
    struct locked *const it = &locked;

    for (unsigned i = 0; i < scaled(200); i++) {
        weft_scope *scope = NULL;

        ck_assert_int_eq(weft_scope_open(&scope, NULL), 0);
        for (int k = 0; k < 8; k++)
            weft_release(submit(locked.pool,
                                .fn = k % 2 ? lock_it : hold_and_wait,
                                WEFT_ARG(it), .scope = scope));
        ck_assert_int_eq(weft_scope_close(scope, WEFT_FOREVER), 0);
    }
    pool_drain(locked.pool);
}

END_TEST

/* --- blocking */

static int
sleep_until_go(weft_call *call)
{
    (void)call;
    atomic_fetch_add(&common->count, 1);
    gate_pass(&common->go);
    return 0;
}

START_TEST(blocking_tasks_leave_the_workers_alone)
{
    weft_pool *pool = open_pool(.workers = 1);
    weft_job *jobs[100];

    for (int i = 0; i < 100; i++)
        jobs[i] = submit(pool, .fn = sleep_until_go, .blocking = true);
    const int64_t begun = weft_now().ns;

    expect_end(submit(pool, .fn = do_nothing), WEFT_OK);
    ck_assert_int_lt(weft_now().ns - begun, patient(50 * WEFT_MS));
    gate_open(&common->go);
    for (int i = 0; i < 100; i++)
        expect_end(jobs[i], WEFT_OK);
    pool_drain(pool);
}

END_TEST

START_TEST(more_may_block_than_there_are_threads)
{
    enum {
        COUNT = 600,
        THREADS = 512
    };

    weft_pool *pool = open_pool(.workers = 1);
    weft_job *jobs[COUNT];

    for (int i = 0; i < COUNT; i++)
        jobs[i] = submit(pool, .fn = sleep_until_go, .blocking = true);
    eventually(atomic_load(&common->count) == THREADS);
    ck_assert_uint_eq(counts_of(pool).waiting, COUNT - THREADS);
    ck_assert_int_eq(weft_stop(jobs[COUNT - 1]), 0);
    must_join(jobs[COUNT - 1]);
    gate_open(&common->go);
    for (int i = 0; i < COUNT - 1; i++)
        expect_end(jobs[i], WEFT_OK);
    expect_end(jobs[COUNT - 1], WEFT_ECANCELED);
    ck_assert_int_eq(atomic_load(&common->count), COUNT - 1);
    pool_drain(pool);
}

END_TEST

static Suite *
make(void)
{
    Suite *suite = suite_create("helping");
    TCase *tcase = support_case(suite, "helping", 20);

    tcase_add_checked_fixture(tcase, common_make, NULL);
    support_add_table(tcase, tasks_may_wait_for_tasks_to_any_depth, sizes);
    support_add_table(tcase, one_worker_can_wait_for_what_it_submitted, ways);
    tcase_add_test(tcase, a_wait_in_a_pool_has_a_deadline);
    tcase_add_test(tcase, the_first_failure_stops_the_rest);
    support_add_table(tcase, who_holds_a_lock_and_waits_takes_no_stranger,
                      sizes);
    tcase_add_test(tcase, blocking_tasks_leave_the_workers_alone);
    if (!support_is_valgrind()) /* it has no more than 500 threads */
        tcase_add_test(tcase, more_may_block_than_there_are_threads);
    return suite;
}

int
main(void)
{
    return support_run(make());
}
