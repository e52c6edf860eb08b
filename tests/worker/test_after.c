/* Jobs that begin when another one has succeeded. */
#include "support/worker_support.h"

#include <signal.h>
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

enum {
    PAIRS = 9
};

/* Who is first and who follows. */
static const weft_kind pair[PAIRS][2] = {
    {WEFT_THREAD, WEFT_THREAD},  {WEFT_THREAD, WEFT_PROCESS},
    {WEFT_PROCESS, WEFT_THREAD}, {WEFT_PROCESS, WEFT_PROCESS},
    {WEFT_THREAD, WEFT_SERIAL},  {WEFT_PROCESS, WEFT_SERIAL},
    {WEFT_PROMISE, WEFT_THREAD}, {WEFT_PROMISE, WEFT_PROCESS},
    {WEFT_SERIAL, WEFT_PROCESS},
};

static int
wait_and_double(weft_call *call)
{
    gate_pass(&common->go);
    return double_it(call);
}

/* A job, or a promise, whose result will be 42 once common->go is open. */
static weft_job *
start_first(weft_kind kind)
{
    const int number = 21;
    weft_job *job = NULL;

    if (kind == WEFT_PROMISE) {
        ck_assert_int_eq(weft_promise(&job, "first"), 0);
        return job;
    }
    if (kind == WEFT_SERIAL)
        gate_open(&common->go);
    return must_start(kind, &(weft_task){.fn = wait_and_double,
                                         .name = "first",
                                         WEFT_ARG(number),
                                         .result_size = sizeof(int)});
}

static void
let_first(weft_job *first)
{
    const int number = 42;
    weft_worker worker;

    weft_worker_of(first, &worker);
    gate_open(&common->go);
    if (worker.kind == WEFT_PROMISE)
        ck_assert_int_eq(weft_keep(first, WEFT_OK, &number, sizeof number), 0);
}

static void
expect_int(weft_job *job, int number)
{
    int result = 0;
    const int status = weft_result(job, &result, sizeof result, WEFT_FOREVER);

    ck_assert_msg(status == 0, "%d: %s", status, weft_why());
    ck_assert_int_eq(result, number);
    weft_release(job);
}

/* --- what it is given */

START_TEST(the_result_becomes_the_argument)
{
    weft_job *first = start_first(pair[_i][0]);
    const weft_task task = {
        .fn = double_it, .after = first, .result_size = sizeof(int)};
    weft_job *second;

    if (pair[_i][1] == WEFT_SERIAL)
        let_first(first);
    second = must_start(pair[_i][1], &task);
    if (pair[_i][1] != WEFT_SERIAL && pair[_i][0] != WEFT_SERIAL) {
        ck_assert(weft_is_alive(second));
        ck_assert_int_eq(state_of(second), WEFT_STARTING);
        let_first(first);
    }
    weft_release(first);
    expect_int(second, 84);
}

END_TEST

START_TEST(it_may_be_after_a_job_that_has_ended)
{
    weft_job *first = start_first(pair[_i][0]);

    let_first(first);
    must_join(first);
    weft_job *second =
        must_start(pair[_i][1], &(weft_task){.fn = double_it,
                                             .after = first,
                                             .delay = WEFT_MS * (_i % 2),
                                             .result_size = sizeof(int)});
    weft_release(first);
    expect_int(second, 84);
}

END_TEST

START_TEST(an_argument_of_its_own_stays)
{
    const int number = 5;
    weft_job *first = start_first(pair[_i][0]);

    let_first(first);
    weft_job *second =
        must_start(pair[_i][1], &(weft_task){.fn = double_it,
                                             .after = first,
                                             WEFT_ARG(number),
                                             .result_size = sizeof(int)});
    weft_release(first);
    expect_int(second, 10);
}

END_TEST

static int
expect_nothing(weft_call *call)
{
    return call->arg != NULL || call->arg_size != 0;
}

static int
expect_pointer(weft_call *call)
{
    return call->arg != &common || call->arg_size != 0;
}

START_TEST(no_result_is_no_argument)
{
    weft_job *first =
        must_start(pair[_i][0] == WEFT_PROMISE ? WEFT_THREAD : pair[_i][0],
                   &(weft_task){.fn = do_nothing});

    expect_end(must_start(pair[_i][1],
                          &(weft_task){.fn = expect_nothing, .after = first}),
               WEFT_OK);
    expect_end(must_start(WEFT_THREAD, &(weft_task){.fn = expect_pointer,
                                                    .arg = &common,
                                                    .after = first}),
               WEFT_OK);
    weft_release(first);
}

END_TEST

enum {
    LARGE = 3000001
};

static int
make_large(weft_call *call)
{
    memset(call->result, 'x', LARGE);
    return 0;
}

/* What came with the argument is still there: the environment. */
static int
check_large(weft_call *call)
{
    const char *bytes = call->arg;
    const char *home = getenv("AFTER");

    if (call->arg_size != LARGE || (uintptr_t)bytes % 16 != 0)
        return weft_fail(call, "%zu bytes at %p", call->arg_size, call->arg);
    for (size_t i = 0; i < LARGE; i++)
        if (bytes[i] != 'x')
            return weft_fail(call, "byte %zu", i);
    *(char *)call->result = 'y';
    return home && strcmp(home, "all") == 0
               ? 0
               : weft_fail(call, "AFTER is %s", home ? home : "not there");
}

START_TEST(a_large_result_is_handed_on_whole)
{
    setenv("AFTER", "all", 1);
    weft_job *first = must_start(
        pair[_i][0], &(weft_task){.fn = make_large, .result_size = LARGE});
    weft_job *second =
        must_start(pair[_i][1], &(weft_task){.fn = check_large,
                                             .after = first,
                                             .delay = 5 * WEFT_MS,
                                             .result_size = 1});

    setenv("AFTER", "changed since", 1);
    weft_release(first);
    if (pair[_i][1] == WEFT_THREAD) {
        must_join(second); /* whose environment is the program's */
        ck_assert_str_eq(outcome(second)->message, "AFTER is changed since");
        weft_release(second);
        return;
    }
    must_join(second);
    ck_assert_msg(outcome(second)->status == 0, "%s", outcome(second)->text);
    weft_release(second);
}

END_TEST

/* --- what it does not begin for */

static int
be_killed(weft_call *call)
{
    (void)call;
    return raise(SIGKILL);
}

static int
never(weft_call *call)
{
    (void)call;
    atomic_fetch_add(&common->count, 1);
    return 0;
}

static const struct {
    weft_kind kind;
    weft_fn *fn;
    weft_duration timeout;
    const char *how;
} bad[] = {
    {WEFT_THREAD, do_fail, 0, "failed"},
    {WEFT_PROCESS, do_fail, 0, "failed"},
    {WEFT_PROCESS, be_killed, 0, "died"},
    {WEFT_THREAD, sleep_for_ever, 0, "was stopped or never began"},
    {WEFT_THREAD, sleep_for_ever, WEFT_MS, "exceeded its timeout"},
};

START_TEST(after_a_failure_it_never_begins)
{
    const weft_kind followers[] = {WEFT_THREAD, WEFT_PROCESS, WEFT_SERIAL};
    weft_job *first =
        must_start(bad[_i].kind, &(weft_task){.fn = bad[_i].fn,
                                              .name = "bad",
                                              .timeout = bad[_i].timeout,
                                              .delay = 5 * WEFT_MS});
    char words[128];

    snprintf(words, sizeof words,
             "second never began: 'bad', which it was to follow, %s",
             bad[_i].how);
    if (!bad[_i].timeout && bad[_i].fn == sleep_for_ever)
        ck_assert_int_eq(weft_stop(first), 0);
    for (int i = 0; i < 6; i++) {
        if (i == 3)
            must_join(first); /* from here on it has ended */
        weft_job *second = must_start(
            followers[i % 3],
            &(weft_task){.fn = never, .name = "second", .after = first});

        must_join(second);
        ck_assert_int_eq(outcome(second)->status, WEFT_ECANCELED);
        ck_assert_msg(strstr(outcome(second)->text, words), "%s",
                      outcome(second)->text);
        ck_assert_int_eq(outcome(second)->pid, 0);
        weft_release(second);
    }
    (void)outcome(first);
    weft_release(first);
    ck_assert_int_eq(common->count, 0);
}

END_TEST

START_TEST(stopped_while_it_waits_it_has_ended)
{
    weft_job *first = must_start(
        WEFT_THREAD, &(weft_task){.fn = wait_for_go, .name = "first"});
    weft_job *second = must_start(
        KIND, &(weft_task){.fn = never, .name = "second", .after = first});

    ck_assert_int_eq(weft_stop(second), 0);
    must_join(second);
    ck_assert_int_eq(outcome(second)->status, WEFT_ECANCELED);
    ck_assert_msg(strstr(outcome(second)->text,
                         "second never began: it was stopped while it waited "
                         "for 'first'"),
                  "%s", outcome(second)->text);
    weft_release(second);
    gate_open(&common->go);
    expect_end(first, WEFT_OK);
    ck_assert_int_eq(common->count, 0);
}

END_TEST

/* --- with other fields */

START_TEST(a_delay_counts_from_the_other_s_end)
{
    const weft_duration delay = 40 * WEFT_MS;
    weft_job *first = must_start(WEFT_THREAD, &(weft_task){.fn = wait_for_go});
    weft_job *second = must_start(
        KIND, &(weft_task){.fn = do_nothing, .after = first, .delay = delay});
    weft_job *stopped = must_start(
        KIND,
        &(weft_task){.fn = never, .after = first, .delay = 3600 * WEFT_SECOND});

    ck_assert_int_eq(weft_sleep(weft_in(2 * delay)), 0);
    const weft_time before = weft_now();

    gate_open(&common->go);
    must_join(second);
    ck_assert_int_ge(weft_now().ns, before.ns + delay);
    expect_end(first, WEFT_OK);
    expect_end(second, WEFT_OK);
    ck_assert_int_eq(weft_stop(stopped), 0);
    expect_end(stopped, WEFT_ECANCELED);
}

END_TEST

START_TEST(a_timeout_counts_from_the_beginning)
{
    weft_job *first = must_start(WEFT_THREAD, &(weft_task){.fn = wait_for_go});
    weft_job *second = must_start(KIND, &(weft_task){.fn = sleep_for_ever,
                                                     .after = first,
                                                     .timeout = 20 * WEFT_MS});

    ck_assert_int_eq(weft_sleep(weft_in(40 * WEFT_MS)), 0);
    ck_assert(weft_is_alive(second));
    gate_open(&common->go);
    expect_end(second, WEFT_ETIMEDOUT);
    expect_end(first, WEFT_OK);
}

END_TEST

START_TEST(a_scope_waits_for_those_that_wait)
{
    weft_scope *scope = NULL;
    weft_job *first = must_start(WEFT_THREAD, &(weft_task){.fn = wait_for_go});

    ck_assert_int_eq(weft_scope_open(&scope, NULL), 0);
    for (int i = 0; i < 5; i++)
        ck_assert_int_eq(
            weft_start(
                NULL, KIND,
                &(weft_task){.fn = do_nothing, .after = first, .scope = scope}),
            0);
    gate_open(&common->go);
    ck_assert_int_eq(weft_scope_close(scope, WEFT_FOREVER), 0);
    expect_end(first, WEFT_OK);
}

END_TEST

START_TEST(a_scope_that_fails_ends_those_that_wait)
{
    weft_scope *scope = NULL;
    weft_job *promise = NULL;

    ck_assert_int_eq(weft_promise(&promise, "never"), 0);
    ck_assert_int_eq(weft_scope_open(&scope, NULL), 0);
    for (int i = 0; i < 5; i++)
        ck_assert_int_eq(
            weft_start(
                NULL, KIND,
                &(weft_task){.fn = never, .after = promise, .scope = scope}),
            0);
    ck_assert_int_eq(weft_start(NULL, WEFT_THREAD,
                                &(weft_task){.fn = do_fail, .scope = scope}),
                     0);
    expect_refused(weft_scope_close(scope, WEFT_FOREVER), WEFT_EFAILED,
                   "it is broken");
    weft_release(promise);
    ck_assert_int_eq(common->count, 0);
}

END_TEST

static int
follow_oneself(weft_call *call)
{
    weft_job *self = *(weft_job *const *)call->arg;
    weft_job *next = NULL;

    gate_pass(&common->go);
    child_expect(weft_start(&next, WEFT_SERIAL,
                            &(weft_task){.fn = never, .after = self}) ==
                 WEFT_EDEADLK);
    child_expect(weft_start(&next, WEFT_THREAD,
                            &(weft_task){.fn = do_nothing, .after = self}) ==
                 0);
    *(weft_job **)call->result = next;
    return 0;
}

START_TEST(a_job_may_start_what_follows_it)
{
    weft_job *self[1] = {NULL}, *next = NULL;
    weft_job **at = self;

    /* The argument is copied before the handle is known. */
    weft_job *promise = NULL;

    ck_assert_int_eq(weft_promise(&promise, "handle"), 0);
    self[0] = must_start(WEFT_THREAD, &(weft_task){.fn = follow_oneself,
                                                   .after = promise,
                                                   .result_size = sizeof next});
    ck_assert_int_eq(weft_keep(promise, WEFT_OK, at, sizeof *at), 0);
    gate_open(&common->go);
    ck_assert_int_eq(weft_result(self[0], &next, sizeof next, WEFT_FOREVER), 0);
    expect_end(next, WEFT_OK);
    weft_release(self[0]);
    weft_release(promise);
}

END_TEST

START_TEST(a_fork_cannot_wait)
{
    weft_job *first = must_run(WEFT_THREAD, &(weft_task){.fn = do_nothing});
    weft_job *job = NULL;

    expect_refused(
        weft_start(&job, WEFT_PROCESS,
                   &(weft_task){
                       .fn = never,
                       .after = first,
                       .worker = &(weft_worker_options){.method = WEFT_FORK}}),
        WEFT_ENOTSUP, "WEFT_FORK");
    weft_release(first);
}

END_TEST

/* --- many */

static int
add_one(weft_call *call)
{
    *(int *)call->result = *(const int *)call->arg + 1;
    return 0;
}

/* The time of a chain of `length`, which succeeds or not. */
static int64_t
run_chain(unsigned length, bool good)
{
    const int zero = 0;
    const weft_time before = weft_now();
    weft_job *first = NULL, *last = NULL;

    ck_assert_int_eq(weft_promise(&first, "first"), 0);
    last = weft_retain(first);
    for (unsigned i = 0; i < length; i++) {
        weft_job *next =
            must_start(WEFT_THREAD, &(weft_task){.fn = add_one,
                                                 .name = "link",
                                                 .after = last,
                                                 .result_size = sizeof(int)});

        weft_release(last);
        last = next;
    }
    if (good)
        ck_assert_int_eq(weft_keep(first, WEFT_OK, &zero, sizeof zero), 0);
    else
        ck_assert_int_eq(weft_keep(first, WEFT_ECANCELED, NULL, 0), 0);
    weft_release(first);
    if (good)
        expect_int(last, (int)length);
    else
        expect_end(last, WEFT_ECANCELED);
    return weft_now().ns - before.ns;
}

START_TEST(a_long_chain_needs_neither_stack_nor_square_time)
{
    const unsigned length = scaled(100000);
    const bool good = _i;

    (void)run_chain(length / 10 + 1, good);
    const int64_t part = run_chain(length / 10 + 1, good);
    const int64_t whole = run_chain(length, good);

    /* Ten times as long, with much room for noise; were it square: 100. */
    ck_assert_msg(whole < 40 * part + patient(WEFT_SECOND),
                  "%lld us for %u, %lld us for a tenth",
                  (long long)whole / 1000, length, (long long)part / 1000);
}

END_TEST

static int
count_call(weft_call *call)
{
    (void)call;
    atomic_fetch_add(&common->count, 1);
    return 0;
}

START_TEST(many_may_follow_one)
{
    enum {
        MOST = 500
    };

    weft_job *first = must_start(KIND, &(weft_task){.fn = wait_for_go});
    weft_job *jobs[MOST];
    const unsigned count = scaled(MOST);

    for (unsigned i = 0; i < count; i++)
        jobs[i] = must_start(WEFT_THREAD,
                             &(weft_task){.fn = count_call, .after = first});
    gate_open(&common->go);
    for (unsigned i = 0; i < count; i++)
        expect_end(jobs[i], WEFT_OK);
    expect_end(first, WEFT_OK);
    ck_assert_int_eq(common->count, (int)count);
}

END_TEST

/* The other ends, this one starts, and somebody stops it, all at once. */
START_TEST(starts_ends_and_stops_may_race)
{
    const unsigned rounds = scaled(_i ? 200 : 3000);
    unsigned ran = 0;

    for (unsigned i = 0; i < rounds; i++) {
        weft_job *first =
            must_start(WEFT_THREAD, &(weft_task){.fn = do_nothing});
        weft_job *second =
            must_start(KIND, &(weft_task){.fn = count_call,
                                          .after = first,
                                          .delay = i % 4 == 3 ? 10000 : 0});

        if (i % 3)
            ck_assert_int_eq(weft_stop(second), 0);
        must_join(second);
        const int status = outcome(second)->status;

        ck_assert(status == WEFT_OK || (i % 3 && status == WEFT_ECANCELED));
        ran += status == WEFT_OK;
        weft_release(second);
        expect_end(first, WEFT_OK);
    }
    ck_assert_int_ge(common->count, (int)ran);
    ck_assert_uint_ge(ran, rounds / 3);
}

END_TEST

/* --- the end of the program */

static int
finish(weft_call *call)
{
    (void)call;
    gate_open(&common->done);
    return 0;
}

struct plan {
    weft_kind kind;
    bool endless; /* the first, a daemon */
    bool fini;
};

static int
sleep_a_little(weft_call *call)
{
    (void)call;
    return weft_sleep(weft_in(50 * WEFT_MS));
}

static void
leave_a_pair(void *arg)
{
    const struct plan *plan = arg;
    weft_job *first = NULL;

    child_expect(weft_init(NULL) == 0);
    child_expect(weft_start(&first, WEFT_THREAD,
                            &(weft_task){.fn = plan->endless ? sleep_for_ever
                                                             : sleep_a_little,
                                         .daemon = plan->endless}) == 0);
    child_expect(weft_start(NULL, plan->kind,
                            &(weft_task){.fn = finish, .after = first}) == 0);
    weft_release(first);
    if (plan->fini) {
        weft_fini();
        child_expect((common->done.open != 0) == !plan->endless);
    }
}

START_TEST(at_the_end_it_follows_the_one_it_waits_for)
{
    struct plan plan = {kinds[_i % 2], _i & 2, _i & 4};
    struct ran ran;

    run_program(&ran, leave_a_pair, &plan);
    ck_assert_msg(ran.code == 0, "%d: %s", ran.code, ran.err);
    ck_assert_str_eq(ran.err, "");
    ck_assert_uint_eq(common->done.open, !plan.endless);
}

END_TEST

static void
add_many(Suite *suite)
{
    TCase *tcase = support_case(suite, "many", 60);

    tcase_add_checked_fixture(tcase, make_ready, NULL);
    tcase_add_loop_test(tcase, a_long_chain_needs_neither_stack_nor_square_time,
                        0, 2);
    add_for_kinds(tcase, many_may_follow_one);
    add_for_kinds(tcase, starts_ends_and_stops_may_race);
}

int
main(void)
{
    Suite *suite = suite_create("after");
    TCase *tcase = support_case(suite, "after", 20);

    tcase_add_checked_fixture(tcase, make_ready, NULL);
    tcase_add_loop_test(tcase, the_result_becomes_the_argument, 0, PAIRS);
    tcase_add_loop_test(tcase, it_may_be_after_a_job_that_has_ended, 0, PAIRS);
    tcase_add_loop_test(tcase, an_argument_of_its_own_stays, 0, PAIRS);
    tcase_add_loop_test(tcase, no_result_is_no_argument, 0, PAIRS);
    tcase_add_loop_test(tcase, a_large_result_is_handed_on_whole, 0, 4);
    support_add_table(tcase, after_a_failure_it_never_begins, bad);
    add_for_kinds(tcase, stopped_while_it_waits_it_has_ended);
    add_for_kinds(tcase, a_delay_counts_from_the_other_s_end);
    add_for_kinds(tcase, a_timeout_counts_from_the_beginning);
    add_for_kinds(tcase, a_scope_waits_for_those_that_wait);
    add_for_kinds(tcase, a_scope_that_fails_ends_those_that_wait);
    tcase_add_test(tcase, a_job_may_start_what_follows_it);
    tcase_add_test(tcase, a_fork_cannot_wait);
    tcase_add_loop_test(tcase, at_the_end_it_follows_the_one_it_waits_for, 0,
                        8);
    add_many(suite);
    return support_run(suite);
}
