/* Functions that are called when a job has ended: each once, in order. */
#include "support/worker_support.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define KIND kinds[_i]

/* Processes are started while threads run. */
static void
make_ready(void)
{
    common_make();
    ck_assert_int_eq(weft_init(NULL), 0);
}

static void
count(weft_job *job, void *context)
{
    (void)job;
    atomic_fetch_add((_Atomic unsigned *)context, 1);
}

static void
note_letter(weft_job *job, void *context)
{
    const size_t length = strlen(common->text);

    child_expect(weft_outcome_of(job));
    common->text[length] = *(const char *)context;
    common->text[length + 1] = '\0';
    atomic_store(&common->tid, gettid());
    if (*(const char *)context == '.')
        gate_open(&common->done);
}

/* --- when and where */

START_TEST(functions_are_called_in_order_by_who_ends_the_job)
{
    weft_job *job = must_start(KIND, &(weft_task){.fn = wait_for_go});
    static const char letters[] = "abcd.";
    const weft_worker *worker = NULL;
    weft_worker services[8];

    gate_pass(&common->begun);
    for (int i = 0; i < 5; i++)
        ck_assert_int_eq(
            weft_on_end(job, note_letter, (void *)(uintptr_t)&letters[i]), 0);
    weft_worker of;

    weft_worker_of(job, &of);
    worker = &of;
    ck_assert_str_eq(common->text, "");
    gate_open(&common->go);
    must_join(job);
    gate_pass(&common->done);
    ck_assert_str_eq(common->text, "abcd.");
    if (KIND == WEFT_PROCESS) {
        const size_t found = weft_list(WEFT_SERVICES, services, 8);

        worker = NULL;
        for (size_t i = 0; i < found; i++)
            if (strcmp(services[i].name, "weft-service") == 0)
                worker = &services[i];
        ck_assert_ptr_nonnull(worker);
    }
    ck_assert_int_eq(atomic_load(&common->tid), worker->tid);
    weft_release(job);
}

END_TEST

START_TEST(an_ended_job_s_is_called_at_once_in_the_caller)
{
    weft_job *job = must_run(KIND, &(weft_task){.fn = do_fail});

    for (int i = 0; i < 2; i++) {
        ck_assert_int_eq(weft_on_end(job, note_letter, "z"), 0);
        ck_assert_int_eq(atomic_load(&common->tid), gettid());
    }
    ck_assert_str_eq(common->text, "zz");
    weft_release(job);
}

END_TEST

START_TEST(what_is_nothing_is_refused)
{
    _Atomic unsigned calls = 0;
    weft_job *job = must_run(WEFT_THREAD, &(weft_task){.fn = do_nothing});

    expect_refused(weft_on_end(NULL, count, &calls), WEFT_EINVAL, "job");
    expect_refused(weft_on_end(job, NULL, &calls), WEFT_EINVAL, "fn");
    ck_assert_uint_eq(calls, 0);
    weft_release(job);
}

END_TEST

/* --- what it may do */

static void
hold_up(weft_job *job, void *context)
{
    (void)job;
    gate_open(context);
    gate_pass(&common->go);
    gate_open(&common->done);
}

static int
sleep_until_stopped(weft_call *call)
{
    (void)sleep_for_ever(call);
    return 0;
}

/* It must not, but if it does it harms no one else. */
START_TEST(a_slow_function_keeps_neither_joiners_nor_other_jobs)
{
    static struct gate called;
    weft_job *job = must_start(KIND, &(weft_task){.fn = sleep_until_stopped});

    gate_pass(&common->begun);
    ck_assert_int_eq(weft_on_end(job, hold_up, &called), 0);
    ck_assert_int_eq(weft_stop(job), 0);
    must_join(job);
    gate_pass(&called);
    for (unsigned i = 0; i < scaled(50); i++)
        expect_end(must_start(WEFT_THREAD, &(weft_task){.fn = do_nothing}),
                   WEFT_OK);
    ck_assert_int_eq(common->done.open, 0);
    gate_open(&common->go);
    gate_pass(&common->done);
    weft_release(job);
}

END_TEST

static void
go_on(weft_job *job, void *context)
{
    weft_job *next = NULL;

    (void)context;
    child_expect(weft_on_end(job, note_letter, "b") == 0);
    child_expect(
        weft_start(&next, WEFT_THREAD, &(weft_task){.fn = do_nothing}) == 0);
    child_expect(weft_on_end(next, note_letter, ".") == 0);
    weft_release(next);
    weft_release(job);
}

START_TEST(it_may_start_jobs_register_more_and_release)
{
    weft_job *job = must_start(KIND, &(weft_task){.fn = wait_for_go});

    ck_assert_int_eq(weft_on_end(job, note_letter, "a"), 0);
    ck_assert_int_eq(weft_on_end(job, go_on, NULL), 0);
    gate_open(&common->go); /* from here on the reference is go_on's */
    gate_pass(&common->done);
    ck_assert_str_eq(common->text, "ab.");
}

END_TEST

static void
keep_next(weft_job *job, void *context)
{
    weft_job *next = context;

    child_expect(weft_keep(next, WEFT_OK, weft_outcome_of(job)->result,
                           sizeof(int)) == 0);
    weft_release(next);
}

/* Each kept promise keeps the next: no deeper for it. */
START_TEST(a_chain_of_promises_needs_no_stack)
{
    const unsigned length = scaled(100000);
    weft_job *first = NULL, *last = NULL;
    int number = 42, result = 0;

    ck_assert_int_eq(weft_promise(&first, "first"), 0);
    last = weft_retain(first);
    for (unsigned i = 0; i < length; i++) {
        weft_job *next = NULL;

        ck_assert_int_eq(weft_promise(&next, "next"), 0);
        ck_assert_int_eq(weft_on_end(last, keep_next, weft_retain(next)), 0);
        weft_release(last);
        last = next;
    }
    ck_assert_int_eq(weft_keep(first, WEFT_OK, &number, sizeof number), 0);
    ck_assert_int_eq(weft_result(last, &result, sizeof result, WEFT_NOW), 0);
    ck_assert_int_eq(result, number);
    weft_release(first);
    weft_release(last);
}

END_TEST

/* --- never lost, never twice */

struct storm {
    _Atomic(weft_job *) job;
    _Atomic unsigned round, calls, through;
    unsigned rounds;
    unsigned registered[3];
};

static void
register_some(struct storm *storm, unsigned me, weft_job *job)
{
    for (unsigned i = 0; i < 1 + me; i++) {
        child_expect(weft_on_end(job, count, &storm->calls) == 0);
        storm->registered[me]++;
    }
}

static int
register_in_time(weft_call *call)
{
    struct storm *storm = *(struct storm *const *)call->arg;

    for (unsigned i = 1; i <= storm->rounds; i++) {
        while (atomic_load(&storm->round) < i)
            support_spin();
        weft_job *job = weft_retain(atomic_load(&storm->job));

        atomic_fetch_add(&storm->through, 1);
        register_some(storm, 1, job);
        weft_release(job);
    }
    return 0;
}

/* While the job ends, two threads register. */
START_TEST(registering_while_it_ends_is_never_lost)
{
    struct storm storm = {.rounds = scaled(_i == 2 ? 20000 : _i ? 200 : 5000)};
    struct storm *const at = &storm;
    weft_job *other = must_start(
        WEFT_THREAD, &(weft_task){.fn = register_in_time, WEFT_ARG(at)});

    for (unsigned i = 1; i <= storm.rounds; i++) {
        weft_job *job = NULL;

        if (_i == 2)
            ck_assert_int_eq(weft_promise(&job, "storm"), 0);
        else
            job = must_start(KIND, &(weft_task){.fn = do_nothing});
        atomic_store(&storm.job, job);
        atomic_store(&storm.round, i);
        while (atomic_load(&storm.through) < i)
            support_spin();
        register_some(&storm, 0, job);
        if (_i == 2)
            ck_assert_int_eq(weft_keep(job, WEFT_OK, NULL, 0), 0);
        register_some(&storm, 2, job);
        must_join(job);
        weft_release(job);
    }
    expect_end(other, WEFT_OK);
    const unsigned sum =
        storm.registered[0] + storm.registered[1] + storm.registered[2];

    weft_fini();
    ck_assert_uint_eq(storm.calls, sum);
    ck_assert_uint_eq(sum, 6 * storm.rounds);
}

END_TEST

/* --- failures that nobody sees, and the end of the program */

static void
look(weft_job *job, void *context)
{
    (void)context;
    child_expect(weft_outcome_of(job)->status == WEFT_EFAILED);
}

static weft_job *volatile kept; /* a reference that is never given back */

static void
keep_for_ever(weft_job *job, void *context)
{
    (void)context;
    kept = weft_retain(job);
}

static void
ignore(weft_job *job, void *context)
{
    (void)job;
    (void)context;
}

static void
leave(weft_job *job, void *context)
{
    (void)job;
    (void)context;
    exit(7);
}

struct plan {
    weft_kind kind;
    void (*fn)(weft_job *job, void *context);
};

static void
start_and_let_go(void *arg)
{
    const struct plan *plan = arg;
    weft_job *job = NULL;

    child_expect(weft_start(&job, plan->kind,
                            &(weft_task){.fn = do_fail, .delay = WEFT_MS}) ==
                 0);
    child_expect(weft_on_end(job, plan->fn, NULL) == 0);
    weft_release(job);
    if (plan->fn == leave)
        for (;;)
            pause();
}

START_TEST(a_failure_that_a_function_looks_at_is_seen)
{
    static const struct {
        void (*fn)(weft_job *job, void *context);
        unsigned told;
        int code;
    } rows[] = {
        {look, 0, 0}, {ignore, 1, 0}, {keep_for_ever, 0, 0}, {leave, 0, 7}};
    struct plan plan = {kinds[_i % 2], rows[_i / 2].fn};
    struct ran ran;

    run_program(&ran, start_and_let_go, &plan);
    ck_assert_msg(ran.code == rows[_i / 2].code, "%d: %s", ran.code, ran.err);
    ck_assert_msg(stands(ran.err, "it is broken", rows[_i / 2].told), "%s",
                  ran.err);
}

END_TEST

static void
wait_and_note(weft_job *job, void *context)
{
    (void)context;
    child_expect(!weft_is_alive(job));
    child_expect(usleep(50000) == 0);
    gate_open(&common->done);
}

static void
leave_a_slow_one(void *arg)
{
    weft_job *job = NULL;

    child_expect(weft_start(&job, *(const weft_kind *)arg,
                            &(weft_task){.fn = wait_for_go}) == 0);
    child_expect(weft_on_end(job, wait_and_note, NULL) == 0);
    gate_open(&common->go);
    child_expect(weft_join(job, WEFT_FOREVER) == 0);
    weft_release(job);
}

START_TEST(the_exit_waits_for_what_is_called)
{
    weft_kind kind = KIND;
    struct ran ran;

    run_program(&ran, leave_a_slow_one, &kind);
    ck_assert_msg(ran.code == 0, "%d: %s", ran.code, ran.err);
    ck_assert_uint_eq(common->done.open, 1);
}

END_TEST

int
main(void)
{
    Suite *suite = suite_create("on_end");
    TCase *tcase = support_case(suite, "on_end", 30);

    tcase_add_checked_fixture(tcase, make_ready, NULL);
    add_for_kinds(tcase, functions_are_called_in_order_by_who_ends_the_job);
    add_for_kinds(tcase, an_ended_job_s_is_called_at_once_in_the_caller);
    tcase_add_test(tcase, what_is_nothing_is_refused);
    add_for_kinds(tcase, a_slow_function_keeps_neither_joiners_nor_other_jobs);
    add_for_kinds(tcase, it_may_start_jobs_register_more_and_release);
    tcase_add_test(tcase, a_chain_of_promises_needs_no_stack);
    tcase_add_loop_test(tcase, registering_while_it_ends_is_never_lost, 0, 3);
    tcase_add_loop_test(tcase, a_failure_that_a_function_looks_at_is_seen, 0,
                        8);
    add_for_kinds(tcase, the_exit_waits_for_what_is_called);
    return support_run(suite);
}
