/* Tasks of a pool: order, backlog, stopping, closing. */
#include "support/pool_support.h"

#include <string.h>

/* --- what a submitted task is */

START_TEST(results_come_back)
{
    weft_pool *pool = open_pool(.workers = 2);
    weft_job *jobs[100];

    for (int i = 0; i < 100; i++)
        jobs[i] = submit(pool, .fn = double_it, .name = "double", WEFT_ARG(i),
                         .result_size = sizeof(int));
    for (int i = 0; i < 100; i++) {
        int twice = 0;

        ck_assert_int_eq(
            weft_result(jobs[i], &twice, sizeof twice, WEFT_FOREVER), 0);
        ck_assert_int_eq(twice, 2 * i);
        ck_assert_str_eq(weft_name(jobs[i]), "double");
        ck_assert_int_eq(outcome(jobs[i])->status, WEFT_OK);
        ck_assert_int_gt(outcome(jobs[i])->pid, 0);
        weft_release(jobs[i]);
    }
    pool_drain(pool);
}

END_TEST

START_TEST(a_result_that_does_not_fit_stays)
{
    weft_pool *pool = open_pool(.workers = 1);
    int twice = 0, seven = 7;
    weft_job *job = submit(pool, .fn = double_it, WEFT_ARG(seven),
                           .result_size = sizeof twice);

    expect_refused(weft_result(job, &twice, 1, WEFT_FOREVER), WEFT_EMSGSIZE,
                   "4 bytes");
    ck_assert_int_eq(twice, 0);
    ck_assert_uint_eq(outcome(job)->result_size, sizeof twice);
    ck_assert_int_eq(weft_result(job, &twice, sizeof twice, WEFT_NOW), 0);
    ck_assert_int_eq(twice, 14);
    weft_release(job);
    pool_drain(pool);
}

END_TEST

START_TEST(a_failure_is_told)
{
    weft_pool *pool = open_pool(.workers = 1);
    weft_job *job = submit(pool, .fn = do_fail, .name = "broken");

    expect_refused(weft_result(job, NULL, 0, WEFT_FOREVER), WEFT_EFAILED,
                   "it is broken");
    ck_assert_str_eq(outcome(job)->message, "it is broken");
    expect_end(job, WEFT_EFAILED);
    pool_drain(pool);
}

END_TEST

START_TEST(wrong_tasks_are_refused)
{
    weft_pool *pool = open_pool(.workers = 1);
    weft_job *job = NULL;
    const weft_task bare = {.name = "x"};
    const weft_task own = {.fn = do_nothing,
                           .worker = &(weft_worker_options){.nice = 0}};

    expect_refused(weft_submit(&job, pool, NULL), WEFT_EINVAL, "task");
    expect_refused(weft_submit(&job, pool, &bare), WEFT_EINVAL, "fn");
    expect_refused(weft_submit(&job, pool, &own), WEFT_EINVAL, "worker");
    ck_assert_ptr_null(job);
    ck_assert_uint_eq(counts_of(pool).waiting, 0);
    pool_drain(pool);
}

END_TEST

enum {
    QUEUED = 2000
};

static int
append(weft_call *call)
{
    common->text[atomic_fetch_add(&common->count, 1)] =
        *(const char *)call->arg;
    return 0;
}

START_TEST(one_worker_keeps_the_order)
{
    weft_pool *pool = open_pool(.workers = 1);
    weft_job *busy = keep_busy(pool);
    const char *alphabet = "abcdefghijklmnopqrstuvwxyz";

    for (int i = 0; i < 26; i++)
        weft_release(submit(pool, .fn = append, WEFT_ARG(alphabet[i])));
    let_go(busy);
    pool_drain(pool);
    ck_assert_str_eq(common->text, alphabet);
}

END_TEST

static void
count_end(void *arg)
{
    atomic_fetch_add((_Atomic int *)arg, 1);
}

static int
end_with_worker(weft_call *call)
{
    (void)call;
    return weft_at_end(count_end, &common->count);
}

/* The worker ends, not the task. */
START_TEST(what_is_for_the_end_waits_for_the_worker)
{
    weft_pool *pool = open_pool(.workers = 1);

    expect_end(submit(pool, .fn = end_with_worker), WEFT_OK);
    expect_end(submit(pool, .fn = end_with_worker), WEFT_OK);
    ck_assert_int_eq(atomic_load(&common->count), 0);
    pool_drain(pool);
    eventually(atomic_load(&common->count) == 2);
}

END_TEST

/* --- the backlog */

START_TEST(a_full_backlog_is_refused_at_once)
{
    weft_pool *pool = open_pool(.workers = 1, .backlog = 2);
    weft_job *busy = keep_busy(pool);
    weft_job *jobs[2], *none = NULL;

    for (int i = 0; i < 2; i++)
        jobs[i] = submit(pool, .fn = do_nothing);
    expect_refused(weft_submit(&none, pool, &(weft_task){.fn = do_nothing}),
                   WEFT_EAGAIN, "2 tasks");
    expect_refused(weft_submit(&none, pool,
                               &(weft_task){.fn = do_nothing,
                                            .submit_by = weft_in(WEFT_MS)}),
                   WEFT_ETIMEDOUT, "room");
    ck_assert_ptr_null(none);
    let_go(busy);
    expect_end(submit(pool, .fn = do_nothing, .submit_by = WEFT_FOREVER),
               WEFT_OK);
    for (int i = 0; i < 2; i++)
        expect_end(jobs[i], WEFT_OK);
    pool_drain(pool);
}

END_TEST

static int
submit_patiently(weft_call *call)
{
    weft_pool *pool = *(weft_pool *const *)call->arg;

    atomic_fetch_add(&common->count, 1);
    return weft_submit(
        NULL, pool, &(weft_task){.fn = do_nothing, .submit_by = WEFT_FOREVER});
}

static weft_job *
start_submitter(weft_pool *pool)
{
    weft_job *job = must_start(
        WEFT_THREAD, &(weft_task){.fn = submit_patiently, WEFT_ARG(pool)});

    eventually(state_of(job) == WEFT_WAITING);
    return job;
}

START_TEST(who_waits_for_room_gets_it_or_is_stopped)
{
    weft_pool *pool = open_pool(.workers = 1, .backlog = 1);
    weft_job *busy = keep_busy(pool);
    weft_job *queued = submit(pool, .fn = do_nothing);
    weft_job *stopped = start_submitter(pool);
    weft_job *lucky = start_submitter(pool);

    ck_assert_int_eq(weft_stop(stopped), 0);
    must_join(stopped);
    ck_assert_int_eq(outcome(stopped)->code, WEFT_ECANCELED);
    weft_release(stopped);
    let_go(busy);
    expect_end(lucky, WEFT_OK);
    expect_end(queued, WEFT_OK);
    pool_drain(pool);
}

END_TEST

static void *
close_forever(void *pool)
{
    child_expect(weft_pool_close(pool, WEFT_FOREVER) == 0);
    return NULL;
}

START_TEST(who_waits_for_room_learns_of_the_close)
{
    enum {
        COUNT = 5
    };

    weft_pool *pool = open_pool(.workers = 1, .backlog = 1);
    weft_job *busy = keep_busy(pool);
    weft_job *queued = submit(pool, .fn = do_nothing);
    weft_job *jobs[COUNT];

    for (int i = 0; i < COUNT; i++)
        jobs[i] = start_submitter(pool);
    const pthread_t closer = support_thread(close_forever, pool);

    for (int i = 0; i < COUNT; i++) {
        must_join(jobs[i]);
        ck_assert_int_eq(outcome(jobs[i])->code, WEFT_ECLOSED);
        weft_release(jobs[i]);
    }
    ck_assert(weft_is_alive(queued));
    let_go(busy);
    expect_end(queued, WEFT_OK);
    support_join(closer);
}

END_TEST

/* --- closing */

START_TEST(close_drains)
{
    weft_pool *pool = open_pool(.workers = 2);

    for (int i = 0; i < 1000; i++)
        weft_release(submit(pool, .fn = append, WEFT_ARG("x")));
    pool_drain(pool);
    ck_assert_int_eq(atomic_load(&common->count), 1000);
}

END_TEST

/* So many that the one that runs has ended before all are asked to stop. */
START_TEST(close_now_cancels)
{
    weft_pool *pool = open_pool(.workers = 1);
    weft_job *running = submit(pool, .fn = sleep_for_ever);
    weft_job *queued[QUEUED];

    gate_pass(&common->begun);
    for (int i = 0; i < QUEUED; i++)
        queued[i] = submit(pool, .fn = append, WEFT_ARG("x"));
    expect_refused(weft_pool_close(pool, WEFT_NOW), WEFT_ETIMEDOUT, "stop");
    for (int i = 0; i < QUEUED; i++) {
        ck_assert(!weft_is_alive(queued[i]));
        ck_assert_int_eq(outcome(queued[i])->pid, 0);
        expect_end(queued[i], WEFT_ECANCELED);
    }
    expect_end(running, WEFT_ECANCELED);
    ck_assert_int_eq(atomic_load(&common->count), 0);
}

END_TEST

START_TEST(close_has_a_deadline)
{
    weft_pool *pool = open_pool(.workers = 1);
    weft_job *running = submit(pool, .fn = sleep_for_ever);
    const int64_t until = weft_in(20 * WEFT_MS).ns;

    gate_pass(&common->begun);
    ck_assert_int_eq(weft_pool_close(pool, weft_at(until)), WEFT_ETIMEDOUT);
    ck_assert_int_ge(weft_now().ns, until);
    expect_end(running, WEFT_ECANCELED);
}

END_TEST

static int
close_own(weft_call *call)
{
    return weft_pool_close(*(weft_pool *const *)call->arg, WEFT_FOREVER);
}

START_TEST(a_worker_cannot_close_its_own_pool)
{
    weft_pool *pool = open_pool(.workers = 1);
    weft_job *job =
        submit(pool, .fn = close_own, WEFT_ARG(pool), .blocking = _i != 0);

    must_join(job);
    ck_assert_int_eq(outcome(job)->code, WEFT_EDEADLK);
    weft_release(job);
    pool_drain(pool);
}

END_TEST

static int
submit_late(weft_call *call)
{
    weft_pool *pool = *(weft_pool *const *)call->arg;
    int status = 0;

    gate_open(&common->begun);
    while (status == 0)
        status = weft_submit(NULL, pool, &(weft_task){.fn = do_nothing});
    return status;
}

START_TEST(a_closed_pool_refuses)
{
    weft_pool *pool = open_pool(.workers = 1);
    weft_job *job = submit(pool, .fn = submit_late, WEFT_ARG(pool));

    gate_pass(&common->begun);
    pool_drain(pool);
    must_join(job);
    ck_assert_int_eq(outcome(job)->code, WEFT_ECLOSED);
    weft_release(job);
}

END_TEST

/* --- stop, timeout, delay */

START_TEST(stopped_before_it_begins_it_ends_soon)
{
    weft_pool *pool = open_pool(.workers = 1);
    weft_job *busy = keep_busy(pool);
    weft_job *job = submit(pool, .fn = append, WEFT_ARG("x"));

    ck_assert_int_eq(weft_stop(job), 0);
    expect_end(job, WEFT_ECANCELED);
    ck_assert_uint_eq(counts_of(pool).waiting, 0);
    let_go(busy);
    pool_drain(pool);
    ck_assert_int_eq(atomic_load(&common->count), 0);
}

END_TEST

START_TEST(stopped_while_it_runs_and_after)
{
    weft_pool *pool = open_pool(.workers = 1);
    weft_job *job = submit(pool, .fn = sleep_for_ever);

    gate_pass(&common->begun);
    ck_assert_int_eq(weft_stop(job), 0);
    must_join(job);
    ck_assert_int_eq(weft_stop(job), 0);
    expect_end(job, WEFT_ECANCELED);
    job = submit(pool, .fn = do_nothing); /* the stop was that job's alone */
    must_join(job);
    ck_assert_int_eq(weft_stop(job), 0);
    expect_end(job, WEFT_OK);
    pool_drain(pool);
}

END_TEST

START_TEST(a_timeout_stops_it)
{
    weft_pool *pool = open_pool(.workers = 1);

    expect_end(submit(pool, .fn = sleep_for_ever, .timeout = 5 * WEFT_MS),
               WEFT_ETIMEDOUT);
    pool_drain(pool);
}

END_TEST

START_TEST(a_delay_delays_it)
{
    weft_pool *pool = open_pool(.workers = 1);
    const int64_t begun = weft_now().ns;

    expect_end(submit(pool, .fn = do_nothing, .delay = 10 * WEFT_MS), WEFT_OK);
    ck_assert_int_ge(weft_now().ns - begun, 10 * WEFT_MS);
    pool_drain(pool);
}

END_TEST

START_TEST(stopped_while_it_is_delayed_it_leaves_its_place)
{
    weft_pool *pool = open_pool(.workers = 1, .backlog = 1);
    weft_job *job = submit(pool, .fn = do_nothing, .delay = 3600 * WEFT_SECOND);

    ck_assert_int_eq(weft_stop(job), 0);
    expect_end(job, WEFT_ECANCELED);
    eventually(counts_of(pool).waiting == 0);
    expect_end(submit(pool, .fn = do_nothing), WEFT_OK);
    pool_drain(pool);
}

END_TEST

START_TEST(close_now_cancels_delayed_ones)
{
    weft_pool *pool = open_pool(.workers = 1);
    weft_job *job = submit(pool, .fn = do_nothing, .delay = 3600 * WEFT_SECOND);

    ck_assert_int_eq(weft_pool_close(pool, WEFT_NOW), WEFT_ETIMEDOUT);
    expect_end(job, WEFT_ECANCELED);
}

END_TEST

START_TEST(stops_come_at_any_moment)
{
    weft_pool *pool = open_pool(.workers = 2);

    for (unsigned i = 0; i < scaled(20000); i++) {
        weft_job *job = submit(pool, .fn = do_nothing);

        for (unsigned k = i % 64; k > 0; k--)
            support_spin();
        (void)weft_stop(job);
        must_join(job);
        ck_assert(outcome(job)->status == WEFT_OK ||
                  outcome(job)->status == WEFT_ECANCELED);
        weft_release(job);
    }
    const weft_pool_counts counts = counts_of(pool);

    ck_assert_uint_eq(counts.succeeded + counts.failed, scaled(20000));
    pool_drain(pool);
}

END_TEST

START_TEST(a_million_tasks_leave_nothing_behind)
{
    weft_pool *pool = open_pool(.workers = 2, .backlog = 1000);
    const unsigned count = scaled(pool_kind == WEFT_THREAD ? 1000000 : 50000);
    long before = 0;

    for (unsigned i = 0; i < count; i++) {
        if (i == count / 10)
            before = support_rss();
        ck_assert_int_eq(weft_submit(NULL, pool,
                                     &(weft_task){.fn = do_nothing,
                                                  .name = "tiny",
                                                  .submit_by = WEFT_FOREVER}),
                         0);
    }
    eventually(counts_of(pool).succeeded == count);
    if (!support_is_checked())
        ck_assert_int_lt(support_rss(), before + 4096);
    pool_drain(pool);
}

END_TEST

/* What holds for threads and processes. */
static void
add_for_both(TCase *tcase)
{
    tcase_add_test(tcase, results_come_back);
    tcase_add_test(tcase, a_result_that_does_not_fit_stays);
    tcase_add_test(tcase, a_failure_is_told);
    tcase_add_test(tcase, wrong_tasks_are_refused);
    tcase_add_test(tcase, one_worker_keeps_the_order);
    tcase_add_test(tcase, what_is_for_the_end_waits_for_the_worker);
    tcase_add_test(tcase, a_full_backlog_is_refused_at_once);
    tcase_add_test(tcase, who_waits_for_room_gets_it_or_is_stopped);
    tcase_add_test(tcase, who_waits_for_room_learns_of_the_close);
    tcase_add_test(tcase, close_drains);
    tcase_add_test(tcase, close_now_cancels);
    tcase_add_test(tcase, close_has_a_deadline);
    tcase_add_test(tcase, stopped_before_it_begins_it_ends_soon);
    tcase_add_test(tcase, stopped_while_it_runs_and_after);
    tcase_add_test(tcase, a_timeout_stops_it);
    tcase_add_test(tcase, a_delay_delays_it);
    tcase_add_test(tcase, stopped_while_it_is_delayed_it_leaves_its_place);
    tcase_add_test(tcase, close_now_cancels_delayed_ones);
}

static Suite *
make(void)
{
    Suite *suite = suite_create("jobs of a pool");
    TCase *tcase = support_case(suite, "jobs", 10);

    tcase_add_checked_fixture(tcase, pools_of_threads, NULL);
    add_for_both(tcase);
    tcase_add_loop_test(tcase, a_worker_cannot_close_its_own_pool, 0, 2);
    tcase_add_test(tcase, a_closed_pool_refuses);

    tcase = support_case(suite, "many", 30);
    tcase_add_checked_fixture(tcase, pools_of_threads, NULL);
    tcase_add_test(tcase, stops_come_at_any_moment);
    tcase_add_test(tcase, a_million_tasks_leave_nothing_behind);
    if (support_is_valgrind()) /* it has no process workers */
        return suite;

    tcase = support_case(suite, "processes", 30);
    tcase_add_checked_fixture(tcase, pools_of_processes, NULL);
    add_for_both(tcase);
    tcase_add_test(tcase, stops_come_at_any_moment);
    tcase_add_test(tcase, a_million_tasks_leave_nothing_behind);
    return suite;
}

int
main(void)
{
    return support_run(make());
}
