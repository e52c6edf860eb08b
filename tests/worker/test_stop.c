/* A stop ends waits, and nothing but waits; a shield puts it off. */
#include "support/worker_support.h"

#include <string.h>
#include <unistd.h>

#define KIND kinds[_i % 2]

/* --- every wait there is, in a worker */

/* What a worker waits in for ever, having opened common->begun just before. */
static int
wait_in_sleep(void)
{
    gate_open(&common->begun);
    return weft_sleep(WEFT_FOREVER);
}

/* Starts a job of its own and waits for it, in one way or another. */
static int
with_inner(int (*wait)(weft_job *job))
{
    weft_job *inner = NULL;

    child_expect(
        weft_start(&inner, WEFT_THREAD, &(weft_task){.fn = wait_for_go}) == 0);
    gate_pass(&common->begun);
    const int status = wait(inner);

    child_expect(weft_is_alive(inner));
    gate_open(&common->go);
    weft_shield(true);
    child_expect(weft_join(inner, WEFT_FOREVER) == 0);
    weft_release(inner);
    return status;
}

static int
join(weft_job *job)
{
    return weft_join(job, WEFT_FOREVER);
}

static int
take_result(weft_job *job)
{
    return weft_result(job, NULL, 0, weft_in(3600 * WEFT_SECOND));
}

static int
any_of_jobs(weft_job *job)
{
    const weft_source sources[] = {{.job = job}, {.job = job}};

    return weft_wait_any(sources, 2, 1, WEFT_FOREVER);
}

static int
any_with_descriptor(weft_job *job)
{
    int ends[2];

    child_expect(pipe(ends) == 0);
    const weft_source sources[] = {{.fd = ends[0], .events = WEFT_READABLE},
                                   {.job = job}};
    const int status =
        weft_wait_any(sources, 2, 0, weft_in(3600 * WEFT_SECOND));

    close(ends[0]);
    close(ends[1]);
    return status;
}

static int
wait_in_join(void)
{
    return with_inner(join);
}

static int
wait_in_result(void)
{
    return with_inner(take_result);
}

static int
wait_in_any(void)
{
    return with_inner(any_of_jobs);
}

static int
wait_in_any_with_descriptor(void)
{
    return with_inner(any_with_descriptor);
}

static int
wait_in_scope_next(void)
{
    weft_scope *scope = NULL;
    weft_job *job = NULL;

    child_expect(weft_scope_open(&scope, NULL) == 0);
    child_expect(weft_start(NULL, WEFT_THREAD,
                            &(weft_task){.fn = wait_for_go, .scope = scope}) ==
                 0);
    gate_pass(&common->begun);
    const int status = weft_scope_next(scope, &job, WEFT_FOREVER);

    child_expect(job == NULL);
    gate_open(&common->go);
    weft_shield(true);
    child_expect(weft_scope_close(scope, WEFT_FOREVER) == 0);
    return status;
}

/* Here the jobs of the scope are stopped too. */
static int
wait_in_scope_close(void)
{
    weft_scope *scope = NULL;

    child_expect(weft_scope_open(&scope, NULL) == 0);
    child_expect(
        weft_start(NULL, WEFT_THREAD,
                   &(weft_task){.fn = sleep_for_ever, .scope = scope}) == 0);
    return weft_scope_close(scope, WEFT_FOREVER);
}

/* A serial job's worker is its caller: a stop of that one ends its waits. */
static int
wait_in_serial(void)
{
    weft_job *job = NULL;

    child_expect(
        weft_start(&job, WEFT_SERIAL, &(weft_task){.fn = sleep_for_ever}) == 0);
    child_expect(weft_join(job, WEFT_NOW) == 0);
    const int status = weft_outcome_of(job)->code;

    weft_release(job);
    return status;
}

/* Whether it sleeps. The record of a process is not that of its main thread. */
static bool
waits(const weft_job *job)
{
    weft_worker worker;

    weft_worker_of(job, &worker);
    return worker.kind == WEFT_PROCESS ? support_state(worker.pid) == 'S'
                                       : worker.state == WEFT_WAITING;
}

static int (*const ways[])(void) = {
    wait_in_sleep,       wait_in_join,       wait_in_result,
    wait_in_any,         wait_in_scope_next, wait_in_any_with_descriptor,
    wait_in_scope_close, wait_in_serial,
};

#define WAYS (int)(sizeof ways / sizeof *ways)

static int
perform(weft_call *call)
{
    const int status = ways[*(const int *)call->arg]();

    atomic_store(&common->value, status);
    atomic_store(&common->count, weft_stopping());
    return 0;
}

START_TEST(a_stop_ends_the_wait)
{
    const int which = _i / 2;
    weft_job *job = must_start(
        KIND, &(weft_task){.fn = perform, .name = "waiter", WEFT_ARG(which)});

    gate_pass(&common->begun);
    eventually(waits(job));
    ck_assert_int_eq(weft_stop(job), 0);
    ck_assert_int_eq(weft_join(job, weft_in(patient(5 * WEFT_SECOND))), 0);
    ck_assert_int_eq(atomic_load(&common->value), WEFT_ECANCELED);
    ck_assert_int_eq(atomic_load(&common->count), true);
    expect_end(job, WEFT_OK);
}

END_TEST

/* The same without looking whether it waits yet, many times. */
START_TEST(a_stop_that_comes_at_the_same_moment_ends_the_wait)
{
    const int which = _i / 2;
    const unsigned count = scaled(KIND == WEFT_THREAD ? 1000 : 30);

    for (unsigned i = 0; i < count; i++) {
        memset(common, 0, sizeof *common);
        weft_job *job =
            must_start(KIND, &(weft_task){.fn = perform, WEFT_ARG(which)});

        gate_pass(&common->begun);
        ck_assert_int_eq(weft_stop(job), 0);
        expect_end(job, WEFT_OK);
        ck_assert_int_eq(atomic_load(&common->value), WEFT_ECANCELED);
    }
}

END_TEST

/* --- what needs no wait */

static int
need_no_wait(weft_call *call)
{
    weft_job *ended = NULL, *other = NULL;
    weft_scope *scope = NULL;

    (void)call;
    child_expect(
        weft_start(&ended, WEFT_THREAD, &(weft_task){.fn = do_nothing}) == 0);
    child_expect(weft_join(ended, WEFT_FOREVER) == 0);
    child_expect(weft_scope_open(&scope, NULL) == 0);
    child_expect(weft_start(&other, WEFT_THREAD,
                            &(weft_task){.fn = do_nothing, .scope = scope}) ==
                 0);
    child_expect(weft_join(other, WEFT_FOREVER) == 0);
    child_expect(!weft_stopping());
    child_expect(sleep_for_ever(call) == WEFT_ECANCELED);
    child_expect(weft_stopping());

    const weft_source source = {.job = ended};
    weft_job *given = NULL;

    child_expect(weft_join(ended, WEFT_FOREVER) == 0);
    child_expect(weft_result(ended, NULL, 0, WEFT_FOREVER) == 0);
    child_expect(weft_wait_any(&source, 1, 0, WEFT_FOREVER) == 0);
    child_expect(weft_scope_next(scope, &given, WEFT_FOREVER) == 0);
    child_expect(weft_scope_next(scope, &given, WEFT_FOREVER) == WEFT_ENODATA);
    child_expect(weft_scope_close(scope, WEFT_FOREVER) == 0);
    weft_release(ended);
    weft_release(other);
    child_expect(
        weft_start(&ended, WEFT_THREAD, &(weft_task){.fn = do_nothing}) == 0);
    weft_release(ended);
    return 0;
}

START_TEST(a_stop_refuses_nothing_that_needs_no_wait)
{
    weft_job *job = must_start(KIND, &(weft_task){.fn = need_no_wait});

    gate_pass(&common->begun);
    ck_assert_int_eq(weft_stop(job), 0);
    expect_end(job, WEFT_OK);
}

END_TEST

static int
sleep_in_the_past(weft_call *call)
{
    child_expect(sleep_for_ever(call) == WEFT_ECANCELED);
    child_expect(weft_sleep(weft_in(1 * WEFT_MS)) == WEFT_ECANCELED);
    child_expect(weft_sleep(WEFT_NOW) == 0);
    child_expect(weft_sleep(weft_in(-1 * WEFT_MS)) == 0);
    return 0;
}

START_TEST(a_sleep_that_is_over_is_no_wait)
{
    weft_job *job = must_start(KIND, &(weft_task){.fn = sleep_in_the_past});

    gate_pass(&common->begun);
    ck_assert_int_eq(weft_stop(job), 0);
    expect_end(job, WEFT_OK);
}

END_TEST

/* --- shield */

static int
behind_a_shield(weft_call *call)
{
    child_expect(sleep_for_ever(call) == WEFT_ECANCELED);
    weft_shield(true);
    weft_shield(true);
    for (int i = 0; i < 2; i++) {
        const weft_time until = weft_in(5 * WEFT_MS);

        child_expect(weft_stopping());
        child_expect(weft_sleep(until) == 0);
        child_expect(weft_now().ns >= until.ns);
        weft_shield(false);
    }
    child_expect(weft_sleep(WEFT_FOREVER) == WEFT_ECANCELED);
    weft_shield(false); /* one too many is nothing */
    child_expect(weft_sleep(WEFT_FOREVER) == WEFT_ECANCELED);
    weft_shield(true);
    child_expect(weft_sleep(weft_in(1 * WEFT_MS)) == 0);
    return 0;
}

START_TEST(a_shield_lets_a_stopped_worker_wait)
{
    weft_job *job = must_start(KIND, &(weft_task){.fn = behind_a_shield});

    gate_pass(&common->begun);
    ck_assert_int_eq(weft_stop(job), 0);
    expect_end(job, WEFT_OK);
}

END_TEST

static int
sleep_shielded(weft_call *call)
{
    const weft_time until = weft_in(100 * WEFT_MS);

    (void)call;
    weft_shield(true);
    gate_open(&common->begun);
    child_expect(weft_sleep(until) == 0);
    child_expect(weft_now().ns >= until.ns);
    child_expect(weft_stopping());
    weft_shield(false);
    return weft_sleep(WEFT_FOREVER);
}

START_TEST(a_stop_does_not_end_a_shielded_wait)
{
    weft_job *job = must_start(KIND, &(weft_task){.fn = sleep_shielded});

    gate_pass(&common->begun);
    eventually(waits(job));
    ck_assert_int_eq(weft_stop(job), 0);
    expect_end(job, WEFT_ECANCELED);
}

END_TEST

static int
leave_a_shield_up(weft_call *call)
{
    (void)call;
    weft_shield(true);
    return 0;
}

START_TEST(a_shield_ends_with_its_job)
{
    expect_end(must_start(KIND, &(weft_task){.fn = leave_a_shield_up}),
               WEFT_OK);
    weft_job *job = must_start(KIND, &(weft_task){.fn = sleep_for_ever});

    gate_pass(&common->begun);
    ck_assert_int_eq(weft_stop(job), 0);
    expect_end(job, WEFT_ECANCELED);
}

END_TEST

/* --- the rest */

START_TEST(a_stop_of_an_ended_job_is_nothing)
{
    weft_job *job = must_run(KIND, &(weft_task){.fn = do_fail});

    for (int i = 0; i < 3; i++)
        ck_assert_int_eq(weft_stop(job), 0);
    ck_assert_int_eq(outcome(job)->status, WEFT_EFAILED);
    expect_end(job, WEFT_EFAILED);
    ck_assert_int_lt(weft_stop(NULL), 0);
}

END_TEST

START_TEST(only_the_stopped_job_is_stopped)
{
    weft_job *job = must_start(KIND, &(weft_task){.fn = sleep_for_ever});
    weft_job *other = must_start(KIND, &(weft_task){.fn = wait_for_go});

    ck_assert_int_eq(weft_stop(job), 0);
    expect_end(job, WEFT_ECANCELED);
    ck_assert(weft_is_alive(other));
    ck_assert(!weft_stopping());
    ck_assert_int_eq(weft_sleep(weft_in(1 * WEFT_MS)), 0);
    gate_open(&common->go);
    expect_end(other, WEFT_OK);
}

END_TEST

START_TEST(a_record_tells_that_it_is_stopping)
{
    weft_worker worker;
    weft_job *job = must_start(KIND, &(weft_task){.fn = wait_for_go});

    gate_pass(&common->begun);
    weft_worker_of(job, &worker);
    ck_assert(!worker.stopping);
    ck_assert_int_eq(weft_stop(job), 0);
    weft_worker_of(job, &worker);
    ck_assert(worker.stopping);
    gate_open(&common->go);
    expect_end(job, WEFT_OK);
}

END_TEST

int
main(void)
{
    Suite *suite = suite_create("stop");
    TCase *tcase = support_case(suite, "stop", 20);

    tcase_add_checked_fixture(tcase, common_make, NULL);
    tcase_add_loop_test(tcase, a_stop_ends_the_wait, 0, 2 * WAYS);
    tcase_add_loop_test(
        tcase, a_stop_that_comes_at_the_same_moment_ends_the_wait, 0, 2 * WAYS);
    add_for_kinds(tcase, a_stop_refuses_nothing_that_needs_no_wait);
    add_for_kinds(tcase, a_sleep_that_is_over_is_no_wait);
    add_for_kinds(tcase, a_shield_lets_a_stopped_worker_wait);
    add_for_kinds(tcase, a_stop_does_not_end_a_shielded_wait);
    add_for_kinds(tcase, a_shield_ends_with_its_job);
    add_for_kinds(tcase, a_stop_of_an_ended_job_is_nothing);
    add_for_kinds(tcase, only_the_stopped_job_is_stopped);
    add_for_kinds(tcase, a_record_tells_that_it_is_stopping);
    return support_run(suite);
}
