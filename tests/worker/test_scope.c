/* Scopes: jobs that end together. */
#include "support/worker_support.h"

#include <stdio.h>
#include <string.h>

#define KIND kinds[_i]

static weft_scope *
open_scope(const weft_scope_options *options)
{
    weft_scope *scope = NULL;

    ck_assert_int_eq(weft_scope_open(&scope, options), 0);
    ck_assert_ptr_nonnull(scope);
    return scope;
}

static void
add(weft_scope *scope, weft_kind kind, weft_fn *fn, const char *name)
{
    ck_assert_int_eq(
        weft_start(NULL, kind,
                   &(weft_task){.fn = fn, .name = name, .scope = scope}),
        0);
}

START_TEST(an_empty_scope_opens_and_closes)
{
    weft_job *job = NULL;
    weft_scope *scope = open_scope(&(weft_scope_options){.name = "empty"});

    ck_assert_int_eq(weft_scope_next(scope, &job, WEFT_FOREVER), WEFT_ENODATA);
    ck_assert_ptr_null(job);
    ck_assert_int_eq(weft_scope_close(scope, WEFT_NOW), 0);
    ck_assert_int_eq(weft_scope_close(NULL, WEFT_FOREVER), 0);
}

END_TEST

START_TEST(wrong_options_are_refused)
{
    weft_scope *scope = NULL;

    expect_refused(weft_scope_open(&scope, &(weft_scope_options){.name = ""}),
                   WEFT_EINVAL, "name");
    ck_assert_int_eq(
        weft_scope_open(&scope, &(weft_scope_options){.name = "a\nb"}),
        WEFT_EINVAL);
    for (int i = 0; i < 4; i++) {
        weft_scope_options options = {.keep_going = true};

        options.reserved[i] = 1;
        ck_assert_int_eq(weft_scope_open(&scope, &options), WEFT_EINVAL);
    }
    ck_assert_int_eq(weft_scope_open(NULL, NULL), WEFT_EINVAL);
    ck_assert_ptr_null(scope);
}

END_TEST

static int
end_in_turn(weft_call *call)
{
    const int mine = *(const int *)call->arg;

    while (atomic_load(&common->count) != mine)
        (void)weft_sleep(weft_in(50 * WEFT_US));
    return 0;
}

/* The next begins to end only when this one has been handed out. */
START_TEST(jobs_come_in_the_order_of_ending_each_once)
{
    enum {
        COUNT = 5
    };

    static const int order[COUNT] = {3, 0, 4, 1, 2};
    weft_scope *scope = open_scope(NULL);
    char name[16];

    for (int i = 0; i < COUNT; i++) {
        snprintf(name, sizeof name, "job %d", order[i]);
        ck_assert_int_eq(weft_start(NULL, KIND,
                                    &(weft_task){.fn = end_in_turn,
                                                 .name = name,
                                                 WEFT_ARG(order[i]),
                                                 .scope = scope}),
                         0);
    }
    for (int i = 0; i < COUNT; i++) {
        weft_job *job = NULL;

        ck_assert_int_eq(weft_scope_next(scope, &job, WEFT_FOREVER), 0);
        snprintf(name, sizeof name, "job %d", i);
        ck_assert_str_eq(weft_name(job), name);
        ck_assert(!weft_is_alive(job));
        ck_assert_int_eq(outcome(job)->status, WEFT_OK);
        atomic_store(&common->count, i + 1);
    }
    weft_job *none = NULL;

    ck_assert_int_eq(weft_scope_next(scope, &none, WEFT_FOREVER), WEFT_ENODATA);
    ck_assert_int_eq(weft_scope_close(scope, WEFT_NOW), 0);
}

END_TEST

START_TEST(the_next_one_has_a_deadline)
{
    weft_job *job = NULL;
    weft_scope *scope = open_scope(NULL);

    add(scope, KIND, wait_for_go, "slow");
    ck_assert_int_eq(weft_scope_next(scope, &job, WEFT_NOW), WEFT_ETIMEDOUT);
    ck_assert_int_eq(weft_scope_next(scope, &job, weft_in(5 * WEFT_MS)),
                     WEFT_ETIMEDOUT);
    ck_assert_ptr_null(job);
    gate_open(&common->go);
    ck_assert_int_eq(weft_scope_next(scope, &job, WEFT_FOREVER), 0);
    weft_job *kept = weft_retain(job);

    ck_assert_int_eq(weft_scope_close(scope, WEFT_FOREVER), 0);
    ck_assert_str_eq(weft_name(kept), "slow");
    expect_end(kept, WEFT_OK);
}

END_TEST

START_TEST(a_failure_stops_the_others)
{
    ck_assert_int_eq(weft_init(NULL), 0);
    weft_scope *scope = open_scope(NULL);
    weft_job *job;

    add(scope, WEFT_THREAD, sleep_for_ever, "thread");
    add(scope, WEFT_PROCESS, sleep_for_ever, "process");
    ck_assert_int_eq(weft_start(NULL, KIND,
                                &(weft_task){.fn = do_fail,
                                             .name = "late",
                                             .delay = 3600 * WEFT_SECOND,
                                             .scope = scope}),
                     0);
    add(scope, KIND, do_fail, "culprit");
    ck_assert_int_eq(weft_scope_next(scope, &job, WEFT_FOREVER), 0);
    ck_assert_str_eq(weft_name(job), "culprit");
    for (int i = 0; i < 3; i++) {
        ck_assert_int_eq(weft_scope_next(scope, &job, WEFT_FOREVER), 0);
        ck_assert_int_eq(outcome(job)->status, WEFT_ECANCELED);
    }
    expect_refused(
        weft_start(&job, KIND, &(weft_task){.fn = do_nothing, .scope = scope}),
        WEFT_ECANCELED, "scope");
    expect_refused(weft_scope_close(scope, WEFT_FOREVER), WEFT_EFAILED,
                   "culprit");
    ck_assert_ptr_nonnull(strstr(weft_why(), "failed: it is broken"));
}

END_TEST

START_TEST(a_scope_that_keeps_going_stops_nobody)
{
    weft_scope *scope = open_scope(&(weft_scope_options){.keep_going = true});
    weft_job *job;

    add(scope, KIND, wait_for_go, "worker");
    add(scope, KIND, do_fail, "culprit");
    ck_assert_int_eq(weft_scope_next(scope, &job, WEFT_FOREVER), 0);
    ck_assert_str_eq(weft_name(job), "culprit");
    add(scope, KIND, do_nothing, "another");
    gate_open(&common->go);
    for (int i = 0; i < 2; i++) {
        ck_assert_int_eq(weft_scope_next(scope, &job, WEFT_FOREVER), 0);
        ck_assert_int_eq(outcome(job)->status, WEFT_OK);
    }
    expect_refused(weft_scope_close(scope, WEFT_FOREVER), WEFT_EFAILED,
                   "culprit");
}

END_TEST

START_TEST(a_stopped_scope_refuses_new_jobs)
{
    weft_scope *scope = open_scope(NULL);
    weft_job *job =
        must_start(KIND, &(weft_task){.fn = sleep_for_ever, .scope = scope});
    weft_job *none = NULL;

    ck_assert_int_eq(weft_scope_stop(scope), 0);
    ck_assert_int_eq(
        weft_start(&none, KIND, &(weft_task){.fn = do_nothing, .scope = scope}),
        WEFT_ECANCELED);
    ck_assert_ptr_null(none);
    expect_end(job, WEFT_ECANCELED);
    ck_assert_int_eq(weft_scope_close(scope, WEFT_FOREVER), WEFT_EFAILED);
    ck_assert_int_lt(weft_scope_stop(NULL), 0);
}

END_TEST

START_TEST(at_the_deadline_the_rest_is_stopped)
{
    weft_scope *scope = open_scope(NULL);
    weft_job *good =
        must_start(KIND, &(weft_task){.fn = do_nothing, .scope = scope});
    weft_job *slow =
        must_start(KIND, &(weft_task){.fn = sleep_for_ever, .scope = scope});

    must_join(good);
    gate_pass(&common->begun);
    ck_assert_int_eq(weft_scope_close(scope, weft_in(20 * WEFT_MS)),
                     WEFT_ETIMEDOUT);
    ck_assert(!weft_is_alive(slow));
    expect_end(slow, WEFT_ECANCELED);
    expect_end(good, WEFT_OK);
}

END_TEST

static int
finish_when_asked(weft_call *call)
{
    (void)sleep_for_ever(call);
    return 0;
}

START_TEST(at_the_deadline_a_job_may_still_succeed)
{
    weft_scope *scope = open_scope(NULL);

    add(scope, KIND, finish_when_asked, "willing");
    gate_pass(&common->begun);
    expect_refused(weft_scope_close(scope, WEFT_NOW), WEFT_ETIMEDOUT,
                   "deadline");
}

END_TEST

static int
close_around_sleepers(weft_call *call)
{
    weft_scope *scope = NULL;

    (void)call;
    child_expect(weft_scope_open(&scope, NULL) == 0);
    child_expect(
        weft_start(NULL, WEFT_THREAD,
                   &(weft_task){.fn = sleep_for_ever, .scope = scope}) == 0);
    atomic_store(&common->value, weft_scope_close(scope, WEFT_FOREVER));
    return 0;
}

START_TEST(a_caller_that_is_stopped_stops_the_jobs)
{
    weft_job *job = must_start(KIND, &(weft_task){.fn = close_around_sleepers});

    gate_pass(&common->begun);
    ck_assert_int_eq(weft_stop(job), 0);
    expect_end(job, WEFT_OK);
    ck_assert_int_eq(atomic_load(&common->value), WEFT_ECANCELED);
}

END_TEST

static int
close_own_scope(weft_call *call)
{
    weft_scope *scope = *(weft_scope *const *)call->arg;

    atomic_store(&common->value, weft_scope_close(scope, WEFT_FOREVER));
    return 0;
}

static int
close_own_scope_deeper(weft_call *call)
{
    return weft_start(NULL, WEFT_SERIAL,
                      &(weft_task){.fn = close_own_scope,
                                   .arg = call->arg,
                                   .arg_size = call->arg_size});
}

START_TEST(a_job_cannot_close_its_own_scope)
{
    weft_fn *const fns[] = {close_own_scope, close_own_scope_deeper};
    weft_scope *scope = open_scope(NULL);

    ck_assert_int_eq(
        weft_start(
            NULL, WEFT_THREAD,
            &(weft_task){.fn = fns[_i], WEFT_ARG(scope), .scope = scope}),
        0);
    ck_assert_int_eq(weft_scope_close(scope, WEFT_FOREVER), 0);
    ck_assert_int_eq(atomic_load(&common->value), WEFT_EDEADLK);
}

END_TEST

/* --- from a signal handler */

static weft_scope *_Atomic stopped_scope;

static void
stop_scope(int number)
{
    weft_scope *scope = atomic_load(&stopped_scope);

    (void)number;
    if (scope)
        weft_scope_stop(scope);
}

START_TEST(a_signal_handler_may_stop_it_at_any_moment)
{
    const unsigned count = scaled(KIND == WEFT_THREAD ? 500 : 50);

    ck_assert_int_eq(weft_init(NULL), 0);
    storm(stop_scope, patient(97000));
    for (unsigned i = 0; i < count; i++) {
        weft_scope *scope = open_scope(NULL);
        int status = 0;

        atomic_store(&stopped_scope, scope);
        while (status == 0)
            status = weft_start(
                NULL, KIND, &(weft_task){.fn = sleep_for_ever, .scope = scope});
        ck_assert_int_eq(status, WEFT_ECANCELED);
        weft_job *job;

        while ((status = weft_scope_next(scope, &job, WEFT_FOREVER)) == 0)
            ck_assert_int_eq(outcome(job)->status, WEFT_ECANCELED);
        ck_assert_int_eq(status, WEFT_ENODATA);
        atomic_store(&stopped_scope, NULL);
        (void)weft_scope_close(scope, WEFT_FOREVER);
    }
    storm(NULL, 0);
}

END_TEST

/* --- all at once */

static int
fail_or_not(weft_call *call)
{
    return *(const unsigned *)call->arg % 3 == 0;
}

START_TEST(a_close_meets_every_end)
{
    const unsigned rounds = scaled(KIND == WEFT_THREAD ? 2000 : 50);

    for (unsigned i = 0; i < rounds; i++) {
        weft_scope *scope = open_scope(&(weft_scope_options){
            .keep_going = true, .name = i % 2 ? "odd" : NULL});

        for (unsigned k = 1; k <= 4; k++)
            ck_assert_int_eq(weft_start(NULL, KIND,
                                        &(weft_task){.fn = fail_or_not,
                                                     WEFT_ARG(k),
                                                     .scope = scope}),
                             0);
        ck_assert_int_eq(weft_scope_close(scope, WEFT_FOREVER), WEFT_EFAILED);
    }
}

END_TEST

int
main(void)
{
    Suite *suite = suite_create("scope");
    TCase *tcase = support_case(suite, "scope", 15);

    tcase_add_checked_fixture(tcase, common_make, NULL);
    tcase_add_test(tcase, an_empty_scope_opens_and_closes);
    tcase_add_test(tcase, wrong_options_are_refused);
    add_for_kinds(tcase, jobs_come_in_the_order_of_ending_each_once);
    add_for_kinds(tcase, the_next_one_has_a_deadline);
    add_for_kinds(tcase, a_failure_stops_the_others);
    add_for_kinds(tcase, a_scope_that_keeps_going_stops_nobody);
    add_for_kinds(tcase, a_stopped_scope_refuses_new_jobs);
    add_for_kinds(tcase, at_the_deadline_the_rest_is_stopped);
    add_for_kinds(tcase, at_the_deadline_a_job_may_still_succeed);
    add_for_kinds(tcase, a_caller_that_is_stopped_stops_the_jobs);
    tcase_add_loop_test(tcase, a_job_cannot_close_its_own_scope, 0, 2);
    add_for_kinds(tcase, a_signal_handler_may_stop_it_at_any_moment);
    add_for_kinds(tcase, a_close_meets_every_end);
    return support_run(suite);
}
