/* Promises: jobs that end when somebody says so. */
#include "support/worker_support.h"

#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static weft_job *
make(const char *name)
{
    weft_job *promise = NULL;

    ck_assert_int_eq(weft_promise(&promise, name), 0);
    ck_assert_ptr_nonnull(promise);
    return promise;
}

/* --- keeping */

START_TEST(a_kept_promise_has_ended_with_a_copy_of_the_result)
{
    static const size_t sizes[] = {0, 1, 7, 4096, 3 << 20};
    const size_t size = sizes[_i];
    char *bytes = malloc(size + 1), *back = malloc(size + 1);
    weft_job *promise = make("answer");

    memset(bytes, 'x', size + 1);
    ck_assert(weft_is_alive(promise));
    ck_assert_ptr_null(weft_outcome_of(promise));
    ck_assert_int_eq(weft_join(promise, WEFT_NOW), WEFT_ETIMEDOUT);
    ck_assert_int_eq(weft_keep(promise, WEFT_OK, bytes, size), 0);
    memset(bytes, 'y', size);
    ck_assert(!weft_is_alive(promise));
    ck_assert_int_eq(weft_result(promise, back, size, WEFT_NOW), 0);
    memset(bytes, 'x', size);
    ck_assert_int_eq(memcmp(back, bytes, size), 0);
    ck_assert_int_eq(outcome(promise)->status, WEFT_OK);
    ck_assert_uint_eq(outcome(promise)->result_size, size);
    ck_assert_uint_eq((uintptr_t)outcome(promise)->result % 16, 0);
    ck_assert_int_eq(outcome(promise)->pid, 0);
    ck_assert_str_eq(outcome(promise)->text, "promise answer ended");
    ck_assert_int_eq(weft_result(promise, back, size + 1, WEFT_NOW),
                     WEFT_EMSGSIZE);
    weft_release(promise);
    free(bytes);
    free(back);
}

END_TEST

START_TEST(a_promise_can_end_badly)
{
    static const struct {
        int status, result;
        const char *text;
    } rows[] = {
        {WEFT_EFAILED, WEFT_EFAILED,
         "promise p failed: the job's function returned a failure"},
        {WEFT_EDIED, WEFT_EDIED, "promise p failed: the job's worker died"},
        {WEFT_ETIMEDOUT, WEFT_EFAILED, "promise p failed: the deadline passed"},
        {WEFT_ECANCELED, WEFT_EFAILED, "promise p was stopped"},
    };

    weft_job *promise = make("p");

    ck_assert_int_eq(weft_keep(promise, rows[_i].status, NULL, 0), 0);
    ck_assert_int_eq(weft_join(promise, WEFT_NOW), 0);
    ck_assert_int_eq(outcome(promise)->status, rows[_i].status);
    ck_assert_str_eq(outcome(promise)->text, rows[_i].text);
    ck_assert_ptr_null(outcome(promise)->result);
    ck_assert_int_eq(weft_result(promise, NULL, 0, WEFT_NOW), rows[_i].result);
    weft_release(promise);
}

END_TEST

static int
keep_it(weft_call *call)
{
    weft_job *promise = (weft_job *)(uintptr_t)call->arg;

    gate_pass(&common->go);
    return weft_keep(promise, WEFT_OK, "ab", 2);
}

START_TEST(who_waits_is_woken)
{
    weft_job *promise = make(NULL);
    weft_job *keeper =
        must_start(WEFT_THREAD, &(weft_task){.fn = keep_it, .arg = promise});
    const int fd = weft_fd(promise);
    struct pollfd one = {.fd = fd, .events = POLLIN};
    const weft_source source = {.job = promise};
    char bytes[2];

    ck_assert_str_eq(weft_name(promise), "promise");
    ck_assert_int_ge(fd, 0);
    ck_assert_int_eq(poll(&one, 1, 0), 0);
    gate_open(&common->go);
    switch (_i) {
    case 0:
        must_join(promise);
        break;
    case 1:
        ck_assert_int_eq(weft_wait_any(&source, 1, 0, WEFT_FOREVER), 0);
        break;
    case 2:
        ck_assert_int_eq(poll(&one, 1, -1), 1);
        break;
    default:
        ck_assert_int_eq(weft_result(promise, bytes, 2, WEFT_FOREVER), 0);
        ck_assert_mem_eq(bytes, "ab", 2);
    }
    must_join(promise);
    weft_release(promise);
    expect_end(keeper, WEFT_OK);
}

END_TEST

/* --- once */

START_TEST(a_promise_is_kept_once)
{
    weft_job *promise = make("only");

    ck_assert_int_eq(weft_keep(promise, WEFT_OK, "a", 1), 0);
    expect_refused(weft_keep(promise, WEFT_OK, "b", 1), WEFT_EINVAL,
                   "'only' was already kept");
    ck_assert_int_eq(weft_stop(promise), 0);
    expect_refused(weft_keep(promise, WEFT_EFAILED, NULL, 0), WEFT_EINVAL,
                   "already kept");
    ck_assert_mem_eq(outcome(promise)->result, "a", 1);
    weft_release(promise);
}

END_TEST

enum {
    KEEPERS = 4
};

struct race {
    weft_job *promise;
    _Atomic unsigned round, ready, kept, refused, canceled;
    unsigned rounds;
    bool stops;
};

/* Each round all of them keep the same promise, or one of them stops it. */
static int
race(weft_call *call)
{
    struct race *race = (struct race *)(uintptr_t)call->arg;

    for (unsigned i = 1; i <= race->rounds; i++) {
        atomic_fetch_add(&race->ready, 1);
        while (atomic_load(&race->round) < i)
            support_spin();
        const unsigned number = i;
        const int status =
            weft_keep(race->promise, WEFT_OK, &number, sizeof number);

        atomic_fetch_add(status == 0                ? &race->kept
                         : status == WEFT_ECANCELED ? &race->canceled
                                                    : &race->refused,
                         1);
    }
    return 0;
}

START_TEST(of_many_who_keep_it_one_does)
{
    struct race all = {.rounds = scaled(2000), .stops = _i};
    weft_job *keepers[KEEPERS];
    unsigned stopped = 0;

    for (int i = 0; i < KEEPERS; i++)
        keepers[i] =
            must_start(WEFT_THREAD, &(weft_task){.fn = race, .arg = &all});
    for (unsigned i = 1; i <= all.rounds; i++) {
        unsigned number = 0;

        while (atomic_load(&all.ready) < i * KEEPERS)
            support_spin();
        if (i > 1)
            weft_release(all.promise);
        all.promise = make("raced");
        atomic_store(&all.round, i);
        if (all.stops)
            ck_assert_int_eq(weft_stop(all.promise), 0);
        must_join(all.promise);
        if (outcome(all.promise)->status == WEFT_OK) {
            memcpy(&number, outcome(all.promise)->result, sizeof number);
            ck_assert_uint_eq(number, i);
        } else {
            ck_assert_int_eq(outcome(all.promise)->status, WEFT_ECANCELED);
            stopped++;
        }
    }
    for (int i = 0; i < KEEPERS; i++)
        expect_end(keepers[i], WEFT_OK);
    weft_release(all.promise);
    ck_assert_uint_eq(all.kept + stopped, all.rounds);
    ck_assert_uint_eq(all.kept + all.refused + all.canceled,
                      KEEPERS * all.rounds);
    ck_assert(all.stops || all.canceled == 0);
}

END_TEST

/* --- what is refused */

START_TEST(what_cannot_be_kept_is_refused)
{
    weft_job *promise = make("p");
    weft_job *job =
        must_run(WEFT_THREAD, &(weft_task){.fn = do_nothing, .name = "thread"});

    expect_refused(weft_keep(NULL, 0, NULL, 0), WEFT_EINVAL, "NULL");
    expect_refused(weft_keep(job, 0, NULL, 0), WEFT_EINVAL,
                   "'thread' is no promise");
    expect_refused(weft_keep(promise, 1, NULL, 0), WEFT_EINVAL, "1");
    expect_refused(weft_keep(promise, WEFT_ENOMEM, NULL, 0), WEFT_EINVAL,
                   "out of memory");
    expect_refused(weft_keep(promise, -9999, NULL, 0), WEFT_EINVAL, "-9999");
    expect_refused(weft_keep(promise, WEFT_EFAILED, "x", 1), WEFT_EINVAL,
                   "failure");
    expect_refused(weft_keep(promise, WEFT_OK, NULL, 1), WEFT_EINVAL, "NULL");
    if (!support_is_checked()) /* which stop at that size */
        expect_refused(weft_keep(promise, WEFT_OK, "x", SIZE_MAX / 4),
                       WEFT_ENOMEM, "weft_keep");
    ck_assert(weft_is_alive(promise));
    expect_refused(weft_promise(NULL, "p"), WEFT_EINVAL, "out");
    expect_refused(weft_promise(&job, ""), WEFT_EINVAL, "name");
    expect_refused(weft_promise(&job, "a\n"), WEFT_EINVAL, "name");
    expect_refused(weft_kill(promise, 9), WEFT_ENOTSUP, "promise");
    expect_refused(
        weft_start(&job, WEFT_PROMISE, &(weft_task){.fn = do_nothing}),
        WEFT_EINVAL, "no kind");
    ck_assert_int_eq(weft_keep(promise, WEFT_OK, "x", 1), 0);
    weft_release(promise);
    weft_release(job);
}

END_TEST

START_TEST(a_promise_looks_like_one)
{
    weft_job *promise = make("answer");
    weft_worker worker;
    char text[WEFT_TEXT];

    weft_worker_of(promise, &worker);
    ck_assert_str_eq(weft_describe(&worker, text, sizeof text),
                     "<Promise(answer, pending)>");
    ck_assert_str_eq(weft_kind_name(WEFT_PROMISE), "Promise");
    ck_assert_int_eq(worker.kind, WEFT_PROMISE);
    ck_assert_int_eq(worker.tid, 0);
    ck_assert(!worker.stopping);
    ck_assert_int_eq(weft_keep(promise, WEFT_OK, NULL, 0), 0);
    weft_worker_of(promise, &worker);
    ck_assert_int_eq(worker.state, WEFT_ENDED);
    ck_assert_str_eq(weft_describe(&worker, text, sizeof text),
                     "<Promise(answer, ended)>");
    weft_release(promise);
}

END_TEST

/* --- stopped, or nobody's */

START_TEST(a_stopped_promise_has_ended_and_cannot_be_kept)
{
    weft_job *promise = make("stopped");
    weft_worker worker;

    ck_assert_int_eq(weft_stop(promise), 0);
    weft_worker_of(promise, &worker);
    ck_assert(worker.stopping);
    expect_refused(weft_keep(promise, WEFT_OK, NULL, 0), WEFT_ECANCELED,
                   "'stopped' was stopped");
    must_join(promise);
    ck_assert_int_eq(outcome(promise)->status, WEFT_ECANCELED);
    ck_assert_str_eq(outcome(promise)->text, "promise stopped was stopped");
    expect_refused(weft_keep(promise, WEFT_OK, NULL, 0), WEFT_ECANCELED,
                   "stopped");
    weft_release(promise);
}

END_TEST

static void
note_end(weft_job *job, void *context)
{
    (void)context;
    snprintf(common->text, sizeof common->text, "%s",
             weft_outcome_of(job)->text);
    gate_open(&common->done);
}

START_TEST(a_promise_that_nobody_holds_ends)
{
    weft_job *promise = make("lost");
    weft_job *next = must_start(
        WEFT_THREAD, &(weft_task){.fn = do_nothing, .after = promise});

    ck_assert_int_eq(weft_on_end(promise, note_end, NULL), 0);
    weft_release(weft_retain(promise));
    ck_assert(weft_is_alive(promise));
    weft_release(promise);
    gate_pass(&common->done);
    ck_assert_str_eq(common->text, "promise lost was never kept: nobody held "
                                   "it any more");
    expect_end(next, WEFT_ECANCELED);
}

END_TEST

/* --- the end of the program */

static void
fail_and_let_go(void *arg)
{
    weft_job *promise = NULL;

    (void)arg;
    child_expect(weft_promise(&promise, "bad") == 0);
    child_expect(weft_keep(promise, WEFT_EFAILED, NULL, 0) == 0);
    weft_release(promise);
}

static weft_job *kept[2]; /* references that are never given back */

static void
leave_it(void *arg)
{
    weft_job *promise = NULL;

    (void)arg;
    child_expect(weft_promise(&promise, "left") == 0);
    kept[kept[0] != NULL] = promise;
    child_expect(weft_start(NULL, WEFT_THREAD,
                            &(weft_task){.fn = do_nothing, .after = promise}) ==
                 0);
    child_expect(weft_on_end(promise, note_end, NULL) == 0);
}

static void
leave_it_twice(void *arg)
{
    leave_it(arg);
    weft_fini();
    child_expect(common->done.open);
    common->done.open = 0;
    leave_it(arg);
}

static int
keep_late(weft_call *call)
{
    weft_job *promise = (weft_job *)(uintptr_t)call->arg;

    child_expect(weft_sleep(weft_in(50 * WEFT_MS)) == 0);
    return weft_keep(promise, WEFT_OK, "x", 1);
}

static void
leave_it_to_be_kept(void *arg)
{
    weft_job *promise = NULL;

    (void)arg;
    child_expect(weft_promise(&promise, "left") == 0);
    kept[kept[0] != NULL] = promise;
    child_expect(weft_on_end(promise, note_end, NULL) == 0);
    child_expect(weft_start(NULL, WEFT_THREAD,
                            &(weft_task){.fn = keep_late, .arg = promise}) ==
                 0);
}

START_TEST(the_exit_does_not_wait_for_ever)
{
    static const struct {
        void (*program)(void *arg);
        const char *end, *err;
    } rows[] = {
        {fail_and_let_go, "",
         "weft: promise bad failed: the job's function returned a failure\n"},
        {leave_it, "promise left was stopped", ""},
        {leave_it_twice, "promise left was stopped", ""},
        {leave_it_to_be_kept, "promise left ended", ""},
    };
    struct ran ran;

    run_program(&ran, rows[_i].program, NULL);
    ck_assert_msg(ran.code == 0, "%d: %s", ran.code, ran.err);
    ck_assert_str_eq(ran.err, rows[_i].err);
    ck_assert_str_eq(common->text, rows[_i].end);
    ck_assert_int_lt(ran.took, patient(5 * WEFT_SECOND));
}

END_TEST

int
main(void)
{
    Suite *suite = suite_create("promise");
    TCase *tcase = support_case(suite, "promise", 20);

    tcase_add_checked_fixture(tcase, common_make, NULL);
    tcase_add_loop_test(
        tcase, a_kept_promise_has_ended_with_a_copy_of_the_result, 0, 5);
    tcase_add_loop_test(tcase, a_promise_can_end_badly, 0, 4);
    tcase_add_loop_test(tcase, who_waits_is_woken, 0, 4);
    tcase_add_test(tcase, a_promise_is_kept_once);
    tcase_add_loop_test(tcase, of_many_who_keep_it_one_does, 0, 2);
    tcase_add_test(tcase, what_cannot_be_kept_is_refused);
    tcase_add_test(tcase, a_promise_looks_like_one);
    tcase_add_test(tcase, a_stopped_promise_has_ended_and_cannot_be_kept);
    tcase_add_test(tcase, a_promise_that_nobody_holds_ends);
    tcase_add_loop_test(tcase, the_exit_does_not_wait_for_ever, 0, 4);
    return support_run(suite);
}
