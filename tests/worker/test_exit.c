/* What happens to jobs when the program ends. Each test is a program that is
 * run in a fork and looked at from outside. */
#include "support/worker_support.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define KIND kinds[_i]

static weft_kind kind; /* that the program uses */

static void
start(weft_fn *fn, const char *name, bool daemon)
{
    child_expect(
        weft_start(NULL, kind,
                   &(weft_task){.fn = fn, .name = name, .daemon = daemon}) ==
        0);
}

static void
run(struct ran *ran, void (*program)(void *arg), weft_kind which)
{
    kind = which;
    run_program(ran, program, NULL);
}

static int
work_a_little(weft_call *call)
{
    (void)call;
    gate_pass(&common->begun);
    child_expect(weft_sleep(weft_in(50 * WEFT_MS)) == 0);
    gate_open(&common->done);
    return 0;
}

static void
leave_work_behind(void *arg)
{
    (void)arg;
    start(work_a_little, "work", false);
    start(work_a_little, "more work", false);
    gate_open(&common->begun);
}

START_TEST(jobs_are_joined_at_exit)
{
    struct ran ran;

    run(&ran, leave_work_behind, KIND);
    ck_assert_int_eq(ran.code, 0);
    ck_assert_uint_eq(common->done.open, 1);
    ck_assert_int_ge(ran.took, 50 * WEFT_MS);
    ck_assert_str_eq(ran.err, ""); /* it took less than a second */
}

END_TEST

static void
leave_daemons_behind(void *arg)
{
    (void)arg;
    start(loop_for_ever, "endless", true);
    gate_pass(&common->begun);
}

START_TEST(daemons_are_not_joined)
{
    struct ran ran;

    run(&ran, leave_daemons_behind, KIND);
    ck_assert_int_eq(ran.code, 0);
    ck_assert_int_lt(ran.took, patient(5 * WEFT_SECOND));
    ck_assert_str_eq(ran.err, "");
}

END_TEST

static int
tell_pid_and_loop(weft_call *call)
{
    atomic_store(&common->pid, getpid());
    return loop_for_ever(call);
}

static void
leave_a_daemon_process(void *arg)
{
    (void)arg;
    start(tell_pid_and_loop, "endless", true);
    gate_pass(&common->begun);
}

START_TEST(a_daemon_process_is_killed)
{
    struct ran ran;

    run(&ran, leave_a_daemon_process, WEFT_PROCESS);
    ck_assert_int_eq(ran.code, 0);
    eventually(kill(atomic_load(&common->pid), 0) < 0);
}

END_TEST

static int
straggle(weft_call *call)
{
    (void)call;
    child_expect(weft_sleep(weft_in(1300 * WEFT_MS)) == 0);
    return 0;
}

static void
leave_stragglers(void *arg)
{
    (void)arg;
    start(straggle, "slow one", false);
    start(straggle, "slow two", false);
    start(sleep_for_ever, "daemon", true);
}

START_TEST(stragglers_are_named_after_a_second)
{
    struct ran ran;

    run(&ran, leave_stragglers, KIND);
    ck_assert_int_eq(ran.code, 0);
    ck_assert_int_ge(ran.took, 1300 * WEFT_MS);
    ck_assert_msg(stands(ran.err, "slow one", 1), "%s", ran.err);
    ck_assert_msg(stands(ran.err, "slow two", 1), "%s", ran.err);
    ck_assert_msg(stands(ran.err, "daemon", 0), "%s", ran.err);
    ck_assert_msg(stands(ran.err, "\n", 1), "%s", ran.err);
}

END_TEST

static void
leave_stragglers_quietly(void *arg)
{
    child_expect(weft_init(&(weft_options){.quiet = true}) == 0);
    leave_stragglers(arg);
}

START_TEST(stragglers_are_not_named_when_quiet)
{
    struct ran ran;

    run(&ran, leave_stragglers_quietly, KIND);
    ck_assert_int_eq(ran.code, 0);
    ck_assert_str_eq(ran.err, "");
}

END_TEST

static int
finish(weft_call *call)
{
    (void)call;
    gate_open(&common->done);
    return 0;
}

static void
leave_a_delayed_job(void *arg)
{
    (void)arg;
    child_expect(
        weft_start(NULL, kind,
                   &(weft_task){.fn = finish, .delay = 60 * WEFT_MS}) == 0);
}

START_TEST(a_delayed_job_is_run_and_joined)
{
    struct ran ran;

    run(&ran, leave_a_delayed_job, KIND);
    ck_assert_int_eq(ran.code, 0);
    ck_assert_uint_eq(common->done.open, 1);
    ck_assert_int_ge(ran.took, 60 * WEFT_MS);
}

END_TEST

static int
start_another(weft_call *call)
{
    (void)call;
    child_expect(weft_sleep(weft_in(20 * WEFT_MS)) == 0);
    child_expect(weft_start(NULL, WEFT_THREAD, &(weft_task){.fn = finish}) ==
                 0);
    return 0;
}

static void
leave_a_starter(void *arg)
{
    (void)arg;
    start(start_another, "starter", false);
}

START_TEST(what_a_job_starts_meanwhile_is_joined_too)
{
    struct ran ran;

    run(&ran, leave_a_starter, KIND);
    ck_assert_int_eq(ran.code, 0);
    ck_assert_uint_eq(common->done.open, 1);
}

END_TEST

/* --- exit elsewhere than in main */

static int
exit_5(weft_call *call)
{
    (void)call;
    gate_open(&common->begun);
    exit(5);
}

static void
wait_for_ever(void *arg)
{
    (void)arg;
    start(exit_5, "exiting", false);
    for (;;)
        pause();
}

START_TEST(exit_in_a_thread_ends_the_program)
{
    struct ran ran;

    run(&ran, wait_for_ever, WEFT_THREAD);
    ck_assert_int_eq(ran.code, 5);
    ck_assert_str_eq(ran.err, "");
}

END_TEST

static void
wait_beside_a_worker(void *arg)
{
    (void)arg;
    start(work_a_little, "work", false);
    start(exit_5, "exiting", false);
    for (;;)
        pause();
}

START_TEST(exit_in_a_thread_joins_the_others)
{
    struct ran ran;

    run(&ran, wait_beside_a_worker, WEFT_THREAD);
    ck_assert_int_eq(ran.code, 5);
    ck_assert_uint_eq(common->done.open, 1);
}

END_TEST

static void
exit_6(void)
{
    exit(6);
}

static void
exit_in_handler(void *arg)
{
    child_expect(atexit(exit_6) == 0);
    start(work_a_little, "work", false);
    gate_open(&common->begun);
    child_expect(atexit(exit_6) == 0);
    (void)arg;
}

START_TEST(exit_in_an_exit_handler_still_joins)
{
    struct ran ran;

    run(&ran, exit_in_handler, KIND);
    ck_assert_int_eq(ran.code, 6);
    ck_assert_uint_eq(common->done.open, 1);
}

END_TEST

static void
start_too_late(void)
{
    weft_job *job = NULL;

    child_expect(weft_start(&job, kind, &(weft_task){.fn = finish}) ==
                 WEFT_ECLOSED);
    child_expect(job == NULL);
    child_expect(strstr(weft_why(), "ending") != NULL);
    child_expect(weft_self()->main);
    child_expect(weft_list(WEFT_THREADS, NULL, 0) >= 1);
    child_expect(weft_sleep(weft_in(1)) == 0);
    weft_fini();
}

static void
start_in_handler(void *arg)
{
    (void)arg;
    child_expect(atexit(start_too_late) == 0); /* runs after weft's own */
    start(finish, "early", false);
}

START_TEST(after_the_joining_nothing_starts)
{
    struct ran ran;

    run(&ran, start_in_handler, KIND);
    ck_assert_msg(ran.code == 0, "code %d: %s", ran.code, ran.err);
}

END_TEST

static void
say(void *text)
{
    printf("%s", (const char *)text);
}

static void
say_b(void)
{
    say((void *)(uintptr_t) "b");
}

static void
leave_words(void *arg)
{
    (void)arg;
    child_expect(weft_at_end(say, (void *)(uintptr_t) "z") == 0);
    child_expect(weft_at_end(say, (void *)(uintptr_t) "a") == 0);
    child_expect(atexit(say_b) == 0); /* registered later, so runs first */
}

START_TEST(the_main_thread_s_at_end_runs_at_exit)
{
    struct ran ran;

    run(&ran, leave_words, WEFT_THREAD);
    ck_assert_int_eq(ran.code, 0);
    ck_assert_str_eq(ran.out, "baz");
}

END_TEST

/* --- fini */

static void
use_fini(void *arg)
{
    (void)arg;
    for (int i = 0; i < 5; i++) {
        memset(common, 0, sizeof *common);
        start(work_a_little, "work", false);
        gate_open(&common->begun);
        weft_fini();
        child_expect(atomic_load(&common->done.open) == 1);
        eventually(busy_threads() == 1);
    }
    weft_fini();
    weft_fini();
}

START_TEST(fini_joins_and_weft_may_be_used_again)
{
    struct ran ran;

    run(&ran, use_fini, KIND);
    ck_assert_msg(ran.code == 0, "code %d: %s", ran.code, ran.err);
    ck_assert_str_eq(ran.err, "");
}

END_TEST

static void
end_main_thread(void *arg)
{
    (void)arg;
    start(work_a_little, "work", false);
    gate_open(&common->begun);
    pthread_exit(NULL);
}

START_TEST(main_may_end_by_pthread_exit)
{
    struct ran ran;

    run(&ran, end_main_thread, KIND);
    ck_assert_msg(ran.code == 0, "code %d: %s", ran.code, ran.err);
    ck_assert_uint_eq(common->done.open, 1);
}

END_TEST

int
main(void)
{
    Suite *suite = suite_create("exit");
    TCase *tcase = support_case(suite, "exit", 15);

    tcase_add_checked_fixture(tcase, common_make, NULL);
    add_for_kinds(tcase, jobs_are_joined_at_exit);
    add_for_kinds(tcase, daemons_are_not_joined);
    tcase_add_test(tcase, a_daemon_process_is_killed);
    add_for_kinds(tcase, stragglers_are_named_after_a_second);
    add_for_kinds(tcase, stragglers_are_not_named_when_quiet);
    add_for_kinds(tcase, a_delayed_job_is_run_and_joined);
    add_for_kinds(tcase, what_a_job_starts_meanwhile_is_joined_too);
    tcase_add_test(tcase, exit_in_a_thread_ends_the_program);
    tcase_add_test(tcase, exit_in_a_thread_joins_the_others);
    add_for_kinds(tcase, exit_in_an_exit_handler_still_joins);
    add_for_kinds(tcase, after_the_joining_nothing_starts);
    tcase_add_test(tcase, the_main_thread_s_at_end_runs_at_exit);
    add_for_kinds(tcase, fini_joins_and_weft_may_be_used_again);
    if (!support_is_asan() && !support_is_tsan()) /* their own threads stay */
        add_for_kinds(tcase, main_may_end_by_pthread_exit);
    return support_run(suite);
}
