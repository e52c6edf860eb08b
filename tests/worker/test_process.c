/* Process workers: how they end, what they inherit, and what they leave. */
#include "support/worker_support.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

static weft_job *
start(weft_fn *fn)
{
    return must_start(WEFT_PROCESS, &(weft_task){.fn = fn});
}

static void
expect_good(weft_fn *fn)
{
    weft_job *job = must_run(WEFT_PROCESS, &(weft_task){.fn = fn});

    ck_assert_msg(outcome(job)->status == 0, "%s", outcome(job)->text);
    weft_release(job);
}

/* --- exit status */

struct storm {
    atomic_bool over;
    unsigned stolen;
};

static void *
take_every_child(void *memory)
{
    struct storm *storm = memory;

    while (!atomic_load(&storm->over)) {
        int status;

        storm->stolen += waitpid(-1, &status, WNOHANG) > 0;
    }
    return NULL;
}

static int
exit_with(weft_call *call)
{
    const int code = *(const int *)call->arg;

    if (code % 3 == 0)
        return code;
    if (code % 3 == 1)
        _exit(code);
    exit(code);
}

/* The program waits for any child all the time, and ignores SIGCHLD. */
START_TEST(no_exit_status_is_lost)
{
    const int count = (int)scaled(1000);
    struct storm storm = {false, 0};

    signal(SIGCHLD, SIG_IGN);
    ck_assert_int_eq(weft_init(NULL), 0);
    const pthread_t thread = support_thread(take_every_child, &storm);

    for (int i = 0; i < count; i++) {
        const int code = i % 255 + 1;
        weft_job *job = must_run(WEFT_PROCESS,
                                 &(weft_task){.fn = exit_with, WEFT_ARG(code)});

        ck_assert_int_eq(outcome(job)->exit_code, code % 3 ? code : -1);
        ck_assert_int_eq(outcome(job)->code, code % 3 ? 0 : code);
        weft_release(job);
    }
    atomic_store(&storm.over, true);
    support_join(thread);
    ck_assert_uint_eq(storm.stolen, 0);
}

END_TEST

static int
be_killed(weft_call *call)
{
    (void)call;
    setrlimit(RLIMIT_CORE, &(struct rlimit){0, 0});
    return wait_for_go(call);
}

static const int signals[] = {SIGKILL, SIGTERM, SIGINT,  SIGHUP,
                              SIGUSR1, SIGPIPE, SIGQUIT, SIGXCPU};

START_TEST(a_killed_process_tells_the_signal)
{
    (void)signal(signals[_i], SIG_DFL); /* a shell may ignore it for a job */
    weft_job *job = start(be_killed);

    gate_pass(&common->begun);
    ck_assert_int_eq(weft_kill(job, 0), 0);
    ck_assert_int_eq(weft_kill(job, signals[_i]), 0);
    must_join(job);
    ck_assert_int_eq(outcome(job)->signal, signals[_i]);
    ck_assert_int_eq(outcome(job)->exit_code, -1);
    ck_assert(!outcome(job)->core_dumped);
    ck_assert_int_eq(outcome(job)->status, WEFT_EDIED);
    ck_assert_int_eq(weft_kill(job, SIGKILL), WEFT_ESRCH);
    expect_end(job, WEFT_EDIED);
}

END_TEST

START_TEST(a_kill_needs_a_running_process)
{
    weft_job *job =
        must_start(WEFT_PROCESS,
                   &(weft_task){.fn = do_nothing, .delay = 3600 * WEFT_SECOND});
    weft_job *thread = must_run(WEFT_THREAD, &(weft_task){.fn = do_nothing});

    ck_assert_int_eq(weft_kill(job, SIGKILL), WEFT_ESRCH);
    ck_assert_int_eq(weft_kill(thread, SIGKILL), WEFT_ENOTSUP);
    ck_assert_int_eq(weft_kill(job, 1000), WEFT_EINVAL);
    ck_assert_int_eq(weft_kill(job, -1), WEFT_EINVAL);
    ck_assert_int_eq(weft_stop(job), 0);
    expect_end(job, WEFT_ECANCELED);
    weft_release(thread);
}

END_TEST

static int
stop_and_go_on(weft_call *call)
{
    (void)call;
    gate_open(&common->begun);
    gate_pass(&common->go);
    return 0;
}

START_TEST(a_process_can_be_halted_and_continued)
{
    weft_job *job = start(stop_and_go_on);
    weft_worker worker;

    gate_pass(&common->begun);
    weft_worker_of(job, &worker);
    ck_assert_int_eq(weft_kill(job, SIGSTOP), 0);
    eventually(support_state(worker.pid) == 'T');
    gate_open(&common->go);
    ck_assert(weft_is_alive(job));
    ck_assert_int_eq(weft_kill(job, SIGCONT), 0);
    expect_end(job, WEFT_OK);
}

END_TEST

/* --- exit handlers and output */

static void
program_s_handler(void)
{
    atomic_fetch_add(&common->count, 1);
}

static void
worker_s_handler(void)
{
    atomic_fetch_add(&common->value, 1);
}

static int
exit_with_handler(weft_call *call)
{
    if (atexit(worker_s_handler) != 0)
        return 1;
    if (*(const int *)call->arg == 0)
        exit(0);
    return *(const int *)call->arg == 1 ? 0 : 4;
}

START_TEST(exit_runs_the_worker_s_handlers_only)
{
    ck_assert_int_eq(atexit(program_s_handler), 0);
    for (int i = 0; i < 3; i++) {
        weft_job *job = must_run(
            WEFT_PROCESS, &(weft_task){.fn = exit_with_handler, WEFT_ARG(i)});

        ck_assert_int_eq(atomic_load(&common->value), i + 1);
        ck_assert_int_eq(outcome(job)->status, i == 0   ? WEFT_EDIED
                                               : i == 1 ? WEFT_OK
                                                        : WEFT_EFAILED);
        weft_release(job);
    }
    ck_assert_int_eq(atomic_load(&common->count), 0);
}

END_TEST

static int
print(weft_call *call)
{
    printf("worker %d\n", *(const int *)call->arg);
    fprintf(stderr, "error %d\n", *(const int *)call->arg);
    if (*(const int *)call->arg == 1)
        exit(0);
    return 0;
}

static void
print_in_turn(void *arg)
{
    (void)arg;
    printf("begin\n");
    for (int i = 0; i < 3; i++) {
        weft_job *job = NULL;

        printf("program %d\n", i);
        child_expect(weft_start(&job, WEFT_PROCESS,
                                &(weft_task){.fn = print, WEFT_ARG(i)}) == 0);
        child_expect(weft_join(job, WEFT_FOREVER) == 0);
        (void)weft_outcome_of(job);
        weft_release(job);
    }
    printf("end\n");
}

START_TEST(output_comes_in_order_and_once)
{
    struct ran ran;

    run_program(&ran, print_in_turn, NULL);
    ck_assert_int_eq(ran.code, 0);
    ck_assert_str_eq(ran.out, "begin\nprogram 0\nworker 0\nprogram 1\n"
                              "worker 1\nprogram 2\nworker 2\nend\n");
    ck_assert_str_eq(ran.err, "error 0\nerror 1\nerror 2\n");
}

END_TEST

static void
print_to_a_pipe(void *arg)
{
    int ends[2];
    char text[64] = "";

    (void)arg;
    child_expect(pipe(ends) == 0);
    child_expect(weft_init(NULL) == 0);
    fflush(stdout);
    child_expect(dup2(ends[1], STDOUT_FILENO) == STDOUT_FILENO);
    close(ends[1]);
    print_in_turn(NULL);
    fflush(stdout);
    child_expect(read(ends[0], text, sizeof text - 1) > 0);
    child_expect(strncmp(text, "begin\nprogram 0\nworker 0\nprogram 1\n", 34) ==
                 0);
}

/* The worker writes where the caller's output goes at the start, not where the
 * zygote's did. */
START_TEST(a_worker_has_the_present_output)
{
    struct ran ran;

    run_program(&ran, print_to_a_pipe, NULL);
    ck_assert_msg(ran.code == 0, "%s", ran.err);
    ck_assert_str_eq(ran.out, "");
}

END_TEST

static int
fill_the_disk(weft_call *call)
{
    (void)call;
    printf("does not fit");
    return 0;
}

static void
print_to_full(void *arg)
{
    weft_job *job = NULL;
    const int full = open("/dev/full", O_WRONLY);

    (void)arg;
    child_expect(dup2(full, STDOUT_FILENO) == STDOUT_FILENO);
    child_expect(
        weft_start(&job, WEFT_PROCESS, &(weft_task){.fn = fill_the_disk}) == 0);
    child_expect(weft_join(job, WEFT_FOREVER) == 0);
    child_expect(weft_outcome_of(job)->status == WEFT_EFAILED);
    child_expect(*weft_outcome_of(job)->message != '\0');
    weft_release(job);
}

START_TEST(output_that_is_lost_is_a_failure)
{
    struct ran ran;

    run_program(&ran, print_to_full, NULL);
    ck_assert_msg(ran.code == 0, "%s", ran.err);
}

END_TEST

/* --- what a worker finds */

static int
look_at_descriptors(weft_call *call)
{
    char byte, path[64] = "";

    (void)call;
    if (read(STDIN_FILENO, &byte, 1) != 0 || getchar() != EOF)
        return weft_fail(call, "stdin is not at its end");
    if (readlink("/proc/self/fd/0", path, sizeof path - 1) < 0 ||
        strcmp(path, "/dev/null") != 0)
        return weft_fail(call, "stdin is %s", path);
    DIR *directory = opendir("/proc/self/fd");

    if (!directory)
        return weft_fail(call, "no /proc/self/fd");
    for (struct dirent *at; (at = readdir(directory));) {
        const int fd = atoi(at->d_name);

        if (*at->d_name != '.' && fd > 2 && fd != dirfd(directory))
            return weft_fail(call, "descriptor %d is open", fd);
    }
    closedir(directory);
    return 0;
}

START_TEST(a_worker_has_three_descriptors)
{
    int ends[2];

    ck_assert_int_eq(pipe(ends), 0);
    ck_assert_int_eq(dup2(ends[0], STDIN_FILENO), STDIN_FILENO);
    ck_assert_int_eq(write(ends[1], "secret", 6), 6);
    weft_job *before = start(wait_for_go);

    ck_assert_int_ge(open("/dev/null", O_RDONLY), 0);
    expect_good(look_at_descriptors);
    gate_open(&common->go);
    expect_end(before, WEFT_OK);
}

END_TEST

static int
look_at_group(weft_call *call)
{
    int *seen = call->result;

    seen[0] = getpid();
    seen[1] = getpgrp();
    seen[2] = getppid();
    seen[3] = getsid(0);
    return 0;
}

START_TEST(a_worker_leads_its_own_group)
{
    int seen[4];
    weft_job *job =
        must_run(WEFT_PROCESS,
                 &(weft_task){.fn = look_at_group, .result_size = sizeof seen});

    ck_assert_int_eq(weft_result(job, seen, sizeof seen, WEFT_NOW), 0);
    ck_assert_int_eq(seen[0], outcome(job)->pid);
    ck_assert_int_eq(seen[1], seen[0]);
    ck_assert_int_eq(seen[2], getpid());
    ck_assert_int_eq(seen[3], getsid(0));
    weft_release(job);
}

END_TEST

static int
tell_directory(weft_call *call)
{
    return getcwd(call->result, call->result_size) ? 0 : 1;
}

static void
expect_directory(weft_job *job, const char *expected)
{
    char path[256];

    ck_assert_int_eq(weft_result(job, path, sizeof path, WEFT_FOREVER), 0);
    ck_assert_str_eq(path, expected);
    weft_release(job);
}

START_TEST(a_worker_is_where_its_caller_is)
{
    char directory[64];
    const weft_task task = {.fn = tell_directory, .result_size = 256};
    weft_task late = task;

    late.delay = 20 * WEFT_MS;
    support_directory(directory);
    ck_assert_int_eq(weft_init(NULL), 0);
    ck_assert_int_eq(chdir("/proc"), 0);
    expect_directory(must_start(WEFT_PROCESS, &task), "/proc");
    ck_assert_int_eq(chdir(directory), 0);
    expect_directory(must_start(WEFT_PROCESS, &task), directory);
    /* At the time of the start, not of the beginning. */
    weft_job *job = must_start(WEFT_PROCESS, &late);

    ck_assert_int_eq(chdir("/"), 0);
    expect_directory(job, directory);
    support_remove(directory);
}

END_TEST

static int
tell_mask(weft_call *call)
{
    return sigprocmask(SIG_SETMASK, NULL, call->result);
}

START_TEST(a_worker_has_the_caller_s_signal_mask)
{
    sigset_t mask, seen;

    ck_assert_int_eq(weft_init(NULL), 0);
    sigemptyset(&mask);
    sigaddset(&mask, SIGUSR1);
    sigaddset(&mask, SIGWINCH);
    sigprocmask(SIG_SETMASK, &mask, NULL);
    weft_job *job =
        must_run(WEFT_PROCESS,
                 &(weft_task){.fn = tell_mask, .result_size = sizeof seen});

    ck_assert_int_eq(weft_result(job, &seen, sizeof seen, WEFT_NOW), 0);
    for (int number = 1; number < NSIG; number++)
        ck_assert_int_eq(sigismember(&seen, number),
                         sigismember(&mask, number));
    weft_release(job);
}

END_TEST

static void
ignore(int number)
{
    (void)number;
}

static int
look_at_actions(weft_call *call)
{
    struct sigaction action;

    sigaction(SIGUSR1, NULL, &action);
    if (action.sa_handler != SIG_DFL)
        return weft_fail(call, "SIGUSR1 is caught");
    sigaction(SIGUSR2, NULL, &action);
    if (action.sa_handler != SIG_IGN)
        return weft_fail(call, "SIGUSR2 is not ignored");
    return 0;
}

START_TEST(caught_signals_are_at_their_default_in_a_worker)
{
    signal(SIGUSR1, ignore);
    signal(SIGUSR2, SIG_IGN);
    expect_good(look_at_actions);
}

END_TEST

static void
add_end(Suite *suite)
{
    TCase *tcase = support_case(suite, "end", 20);

    tcase_add_checked_fixture(tcase, common_make, NULL);
    tcase_add_test(tcase, no_exit_status_is_lost);
    support_add_table(tcase, a_killed_process_tells_the_signal, signals);
    tcase_add_test(tcase, a_kill_needs_a_running_process);
    tcase_add_test(tcase, a_process_can_be_halted_and_continued);
    tcase_add_test(tcase, exit_runs_the_worker_s_handlers_only);
    tcase_add_test(tcase, output_comes_in_order_and_once);
    tcase_add_test(tcase, a_worker_has_the_present_output);
    tcase_add_test(tcase, output_that_is_lost_is_a_failure);
}

static void
add_context(Suite *suite)
{
    TCase *tcase = support_case(suite, "context", 10);

    tcase_add_checked_fixture(tcase, common_make, NULL);
    tcase_add_test(tcase, a_worker_has_three_descriptors);
    tcase_add_test(tcase, a_worker_leads_its_own_group);
    tcase_add_test(tcase, a_worker_is_where_its_caller_is);
    tcase_add_test(tcase, a_worker_has_the_caller_s_signal_mask);
    tcase_add_test(tcase, caught_signals_are_at_their_default_in_a_worker);
}

int
main(void)
{
    Suite *suite = suite_create("process");

    add_end(suite);
    add_context(suite);
    return support_run(suite);
}
