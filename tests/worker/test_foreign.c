/* Programs that wait for children of their own, in ways that would take those
 * of a library that is not careful. */
#include "support/worker_support.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

static int
exit_with(weft_call *call)
{
    exit(*(const int *)call->arg);
}

/* One that exits, one that returns, one that is killed, and so on. */
static void
expect_right_end(int i)
{
    const int code = i % 256;
    weft_job *job;
    int twice = 0;

    switch (i % 3) {
    case 0:
        job = must_run(WEFT_PROCESS,
                       &(weft_task){.fn = exit_with, WEFT_ARG(code)});
        ck_assert_int_eq(outcome(job)->status, WEFT_EDIED);
        ck_assert_int_eq(outcome(job)->exit_code, code);
        break;
    case 1:
        job =
            must_start(WEFT_PROCESS, &(weft_task){.fn = double_it,
                                                  WEFT_ARG(i),
                                                  .result_size = sizeof twice});
        ck_assert_int_eq(weft_result(job, &twice, sizeof twice, WEFT_FOREVER),
                         0);
        ck_assert_int_eq(twice, 2 * i);
        break;
    default:
        job = must_start(WEFT_PROCESS, &(weft_task){.fn = loop_for_ever});
        ck_assert_int_eq(weft_kill(job, SIGKILL), 0);
        must_join(job);
        ck_assert_int_eq(outcome(job)->status, WEFT_EDIED);
        ck_assert_int_eq(outcome(job)->signal, SIGKILL);
    }
    weft_release(job);
}

static void
expect_right_ends(void)
{
    const int count = (int)scaled(1000);

    for (int i = 0; i < count; i++)
        expect_right_end(i);
}

/* --- who waits for all children */

static _Atomic int stop, reaped;
static atomic_bool foreign; /* there is a child to be reaped */

static void *
reap_all(void *unused)
{
    int status;

    while (!atomic_load(&stop)) {
        if (waitpid(-1, &status, WNOHANG) > 0)
            atomic_fetch_add(atomic_load(&foreign) && status == W_EXITCODE(3, 0)
                                 ? &reaped
                                 : &common->count,
                             1);
        support_spin();
    }
    return unused;
}

static void
exit_3(void *unused)
{
    (void)unused;
    _exit(3);
}

START_TEST(who_waits_for_any_child_takes_no_worker)
{
    ck_assert_int_eq(weft_init(NULL), 0);
    const pthread_t thread = support_thread(reap_all, NULL);

    expect_right_ends();
    atomic_store(&foreign, true);
    support_fork(exit_3, NULL);
    eventually(atomic_load(&reaped) == 1 || atomic_load(&common->count) > 0);
    atomic_store(&stop, 1);
    support_join(thread);
    ck_assert_int_eq(atomic_load(&reaped), 1);
    ck_assert_int_eq(atomic_load(&common->count), 0);
}

END_TEST

/* --- SIGCHLD */

START_TEST(who_ignores_sigchld_loses_no_status)
{
    ck_assert(signal(SIGCHLD, SIG_IGN) != SIG_ERR);
    if (_i)
        ck_assert_int_eq(weft_init(NULL), 0);
    expect_right_ends();
}

END_TEST

START_TEST(children_may_be_waited_for_by_nobody)
{
    const struct sigaction action = {.sa_handler = SIG_DFL,
                                     .sa_flags = SA_NOCLDWAIT};

    ck_assert_int_eq(sigaction(SIGCHLD, &action, NULL), 0);
    expect_right_ends();
}

END_TEST

static void
count_signal(int number)
{
    (void)number;
    atomic_fetch_add(&reaped, 1);
}

START_TEST(a_handler_of_sigchld_is_not_called)
{
    ck_assert(signal(SIGCHLD, count_signal) != SIG_ERR);
    expect_right_ends();
    ck_assert_int_eq(weft_init(NULL), 0);
    weft_fini();
    ck_assert_int_eq(atomic_load(&reaped), 0);
    const pid_t pid = support_fork(exit_3, NULL);

    ck_assert_int_eq(support_reap(pid), 3);
    eventually(atomic_load(&reaped) == 1);
}

END_TEST

/* --- threads that go */

static void *
start_and_go(void *jobs)
{
    for (int i = 0; i < 8; i++)
        ((weft_job **)jobs)[i] =
            must_start(WEFT_PROCESS, &(weft_task){.fn = double_it,
                                                  WEFT_ARG(i),
                                                  .result_size = sizeof(int)});
    ((weft_job **)jobs)[8] =
        must_start(WEFT_PROCESS, &(weft_task){.fn = wait_for_go});
    return NULL;
}

START_TEST(a_thread_that_goes_takes_no_worker_with_it)
{
    const int count = (int)scaled(50);

    ck_assert_int_eq(weft_init(NULL), 0);
    for (int i = 0; i < count; i++) {
        weft_job *jobs[9];

        memset(common, 0, sizeof *common);
        support_join(support_thread(start_and_go, jobs));
        eventually(busy_threads() <= 2); /* the service */
        for (int j = 0; j < 8; j++) {
            int twice = 0;

            ck_assert_int_eq(
                weft_result(jobs[j], &twice, sizeof twice, WEFT_FOREVER), 0);
            ck_assert_int_eq(twice, 2 * j);
            weft_release(jobs[j]);
        }
        gate_pass(&common->begun);
        ck_assert(weft_is_alive(jobs[8]));
        gate_open(&common->go);
        expect_end(jobs[8], WEFT_OK);
    }
}

END_TEST

static int
wait_and_count(weft_call *call)
{
    (void)call;
    gate_pass(&common->go);
    atomic_fetch_add(&common->count, 1);
    return 0;
}

/* Once the main thread sleeps in its end, or is gone. */
static void *
open_when_main_has_gone(void *unused)
{
    eventually(atomic_load(&common->value) == 1 &&
               strchr("SZ", support_state(getpid())));
    child_doubles();
    gate_open(&common->go);
    return unused;
}

static void
end_main(void *unused)
{
    (void)unused;
    child_expect(weft_init(NULL) == 0);
    for (int i = 0; i < 4; i++)
        child_expect(weft_start(NULL, WEFT_PROCESS,
                                &(weft_task){.fn = wait_and_count}) == 0);
    pthread_t thread;

    child_expect(pthread_create(&thread, NULL, open_when_main_has_gone, NULL) ==
                 0);
    atomic_store(&common->value, 1);
    pthread_exit(NULL);
}

START_TEST(main_may_go_before_its_workers)
{
    for (unsigned i = 0; i < scaled(20); i++) {
        struct ran ran;

        memset(common, 0, sizeof *common);
        run_program(&ran, end_main, NULL);
        ck_assert_msg(ran.code == 0, "%d: %s", ran.code, ran.err);
        ck_assert_int_eq(atomic_load(&common->count), 4);
    }
}

END_TEST

int
main(void)
{
    Suite *suite = suite_create("foreign");
    TCase *tcase = support_case(suite, "foreign", 20);

    tcase_add_checked_fixture(tcase, common_make, NULL);
    tcase_add_test(tcase, who_waits_for_any_child_takes_no_worker);
    tcase_add_loop_test(tcase, who_ignores_sigchld_loses_no_status, 0, 2);
    tcase_add_test(tcase, children_may_be_waited_for_by_nobody);
    tcase_add_test(tcase, a_handler_of_sigchld_is_not_called);
    tcase_add_test(tcase, a_thread_that_goes_takes_no_worker_with_it);
    if (!support_is_asan() && !support_is_tsan()) /* their own threads stay */
        tcase_add_test(tcase, main_may_go_before_its_workers);
    return support_run(suite);
}
