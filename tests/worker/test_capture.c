/* What a worker prints is kept for its outcome. */
#include "support/options_support.h"
#include "worker/capture.h"

#include <malloc.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static weft_job *
start(weft_method method, weft_fn *fn, size_t room)
{
    return must_start(WEFT_PROCESS,
                      &(weft_task){.fn = fn,
                                   .worker = &(weft_worker_options){
                                       .method = method, .capture = room}});
}

static void
expect_output(weft_job *job, int status, const char *expected)
{
    must_join(job);
    ck_assert_msg(outcome(job)->status == status, "%s", outcome(job)->text);
    ck_assert_str_eq(outcome(job)->output, expected);
    weft_release(job);
}

static int
print_in_turn(weft_call *call)
{
    (void)call;
    puts("one");
    fputs("two\n", stderr);
    puts("three");
    fputs("four\n", stderr);
    printf("five");
    return 0;
}

START_TEST(both_outputs_are_kept_in_order)
{
    expect_output(start(methods[_i], print_in_turn, 1000), 0,
                  "one\ntwo\nthree\nfour\nfive");
}

END_TEST

static void
print_captured(void *arg)
{
    weft_job *job = NULL;

    printf("before\n");
    child_expect(weft_start(&job, WEFT_PROCESS,
                            &(weft_task){.fn = print_in_turn,
                                         .worker = &(weft_worker_options){
                                             .method = *(weft_method *)arg,
                                             .capture = 1000}}) == 0);
    child_expect(weft_join(job, WEFT_FOREVER) == 0);
    child_expect(strcmp(weft_outcome_of(job)->output,
                        "one\ntwo\nthree\nfour\nfive") == 0);
    printf("after\n");
    weft_release(job);
}

START_TEST(what_is_kept_is_not_printed)
{
    struct ran ran;
    weft_method method = methods[_i];

    run_program(&ran, print_captured, &method);
    ck_assert_msg(ran.code == 0, "%s", ran.err);
    ck_assert_str_eq(ran.out, "before\nafter\n");
    ck_assert_str_eq(ran.err, "");
}

END_TEST

START_TEST(the_last_bytes_are_kept)
{
    const char whole[] = "one\ntwo\nthree\nfour\nfive";

    for (size_t room = 1; room < sizeof whole + 2; room++) {
        const size_t kept = room < sizeof whole - 1 ? room : sizeof whole - 1;

        expect_output(start(methods[_i], print_in_turn, room), 0,
                      whole + sizeof whole - 1 - kept);
    }
}

END_TEST

START_TEST(nothing_printed_is_an_empty_text)
{
    expect_output(start(methods[_i], do_nothing, 100), 0, "");
    expect_output(start(methods[_i], do_fail, 100), WEFT_EFAILED, "");
    expect_output(start(methods[_i], do_nothing, 0), 0, "");
}

END_TEST

static int
print_ten_mib(weft_call *call)
{
    char line[64];

    (void)call;
    for (int i = 0; i < 10 * MIB / 64; i++) {
        snprintf(line, sizeof line, "%062d", i);
        if (printf("%s\n", line) != 63)
            return 1;
        putchar('.');
    }
    return 0;
}

START_TEST(much_is_printed_without_waiting_for_ever)
{
    char expected[65];
    weft_job *job = start(methods[_i], print_ten_mib, 64);

    snprintf(expected, sizeof expected, "%062d\n.", 10 * MIB / 64 - 1);
    expect_output(job, 0, expected);
    /* All of it, too. */
    job = start(methods[_i], print_ten_mib, 11 * MIB);
    must_join(job);
    ck_assert_int_eq(outcome(job)->status, 0);
    ck_assert_uint_eq(strlen(outcome(job)->output), 10 * MIB);
    weft_release(job);
}

END_TEST

static int
print_nul(weft_call *call)
{
    (void)call;
    fwrite("a\0b\0\0c", 1, 6, stdout);
    return 0;
}

START_TEST(zero_bytes_are_shown)
{
    expect_output(start(methods[_i], print_nul, 100), 0, "a?b??c");
    expect_output(start(methods[_i], print_nul, 3), 0, "??c");
}

END_TEST

static int
print_and_crash(weft_call *call)
{
    (void)call;
    puts("all");
    fputs("is ", stderr);
    puts("kept");
    if (!support_is_tsan()) /* which writes it when abort is called */
        putchar('x');       /* lost: no line */
    abort();
}

static int
print_and_die(weft_call *call)
{
    print_in_turn(call);
    fflush(stdout);
    raise(SIGKILL);
    return 0;
}

static int
print_and_exit(weft_call *call)
{
    print_in_turn(call);
    exit(3);
}

START_TEST(a_crash_keeps_what_was_printed)
{
    expect_output(start(methods[_i], print_and_crash, 100), WEFT_EDIED,
                  "all\nis kept\n");
    expect_output(start(methods[_i], print_and_die, 100), WEFT_EDIED,
                  "one\ntwo\nthree\nfour\nfive");
    expect_output(start(methods[_i], print_and_exit, 100), WEFT_EDIED,
                  "one\ntwo\nthree\nfour\nfive");
}

END_TEST

static int
have_a_child_print(weft_call *call)
{
    puts("worker");
    const pid_t pid = fork();

    if (pid == 0) {
        execl("/bin/sh", "sh", "-c", "echo child; echo error >&2", (char *)0);
        _exit(1);
    }
    if (waitpid(pid, NULL, 0) != pid)
        return weft_fail(call, "no child");
    puts("again");
    return 0;
}

START_TEST(the_worker_s_own_child_is_kept_too)
{
    expect_output(start(methods[_i], have_a_child_print, 100), 0,
                  "worker\nchild\nerror\nagain\n");
}

END_TEST

/* It stays behind, with the pipe in its hands. */
static int
leave_a_child(weft_call *call)
{
    (void)call;
    puts("worker");
    const pid_t pid = fork();

    if (pid == 0) {
        atomic_store(&common->pid, getpid());
        gate_open(&common->begun);
        gate_pass(&common->go);
        _exit(0);
    }
    gate_pass(&common->begun);
    return 0;
}

START_TEST(a_child_that_stays_is_not_waited_for)
{
    expect_output(start(methods[_i], leave_a_child, 100), 0, "worker\n");
    gate_open(&common->go);
    eventually(kill(atomic_load(&common->pid), 0) < 0);
}

END_TEST

static int64_t
cpu_time(void)
{
    struct timespec time;

    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &time);
    return (int64_t)time.tv_sec * WEFT_SECOND + time.tv_nsec;
}

static int
close_early(weft_call *call)
{
    (void)call;
    puts("last words");
    fclose(stdout);
    close(STDOUT_FILENO);
    close(STDERR_FILENO);
    gate_open(&common->begun);
    gate_pass(&common->go);
    return 0;
}

/* Nobody turns in a loop over the pipe's end meanwhile. */
START_TEST(an_output_that_is_closed_early_costs_nothing)
{
    weft_job *job = start(methods[_i], close_early, 100);

    gate_pass(&common->begun);
    const int64_t before = cpu_time();

    ck_assert_int_eq(weft_join(job, weft_in(300 * WEFT_MS)), WEFT_ETIMEDOUT);
    ck_assert_int_lt(cpu_time() - before, patient(100 * WEFT_MS));
    gate_open(&common->go);
    must_join(job);
    ck_assert_str_eq(outcome(job)->output, "last words\n");
    weft_release(job);
}

END_TEST

static int
print_number(weft_call *call)
{
    const int number = *(const int *)call->arg;

    for (int i = 0; i < 100; i++)
        printf("%d\n", number);
    return 0;
}

START_TEST(a_hundred_at_once_are_kept_apart)
{
    enum {
        COUNT = 100
    };

    weft_job *jobs[COUNT];

    for (int i = 0; i < COUNT; i++)
        jobs[i] = must_start(
            WEFT_PROCESS,
            &(weft_task){.fn = print_number,
                         WEFT_ARG(i),
                         .worker = &(weft_worker_options){.method = methods[_i],
                                                          .capture = 1000}});
    for (int i = 0; i < COUNT; i++) {
        char expected[1024] = "", *end = expected;

        for (int k = 0; k < 100; k++)
            end += sprintf(end, "%d\n", i);
        expect_output(jobs[i], 0, expected);
    }
}

END_TEST

static size_t
in_use(void)
{
    const struct mallinfo2 info = mallinfo2();

    return info.uordblks + info.hblkhd;
}

static void
capture_much(weft_method method)
{
    weft_job *job = start(method, print_ten_mib, 10 * MIB);

    must_join(job);
    ck_assert_uint_eq(strlen(outcome(job)->output), 10 * MIB);
    weft_release(job);
}

START_TEST(its_memory_is_given_back)
{
    for (int i = 0; i < 2; i++)
        capture_much(methods[_i]);
    const size_t before = in_use();
    const int fds = support_fds();

    for (int i = 0; i < 5; i++)
        capture_much(methods[_i]);
    /* Who is told of the end may be ahead of who tells it. */
    eventually(in_use() < before + MIB);
    eventually(support_fds() <= fds + 2); /* workers made in advance */
}

END_TEST

/* As when a pool's worker dies after its answer. */
START_TEST(what_was_closed_can_be_taken)
{
    struct capture capture = {.from = -1, .to = -1};

    ck_assert_int_eq(capture_open(&capture, 8), 0);
    ck_assert_int_eq(write(capture.to, "0123456789ab", 12), 12);
    ck_assert_str_eq(capture_close(&capture), "456789ab");
    char *text = capture_take(&capture);

    ck_assert_str_eq(text, "456789ab");
    free(text);
    capture_free(&capture);
}

END_TEST

int
main(void)
{
    Suite *suite = suite_create("capture");
    TCase *tcase = support_case(suite, "capture", 20);

    tcase_add_checked_fixture(tcase, options_ready, NULL);
    add_for_methods(tcase, both_outputs_are_kept_in_order);
    add_for_methods(tcase, what_is_kept_is_not_printed);
    add_for_methods(tcase, the_last_bytes_are_kept);
    add_for_methods(tcase, nothing_printed_is_an_empty_text);
    add_for_methods(tcase, much_is_printed_without_waiting_for_ever);
    add_for_methods(tcase, zero_bytes_are_shown);
    add_for_methods(tcase, a_crash_keeps_what_was_printed);
    add_for_methods(tcase, the_worker_s_own_child_is_kept_too);
    add_for_methods(tcase, a_child_that_stays_is_not_waited_for);
    add_for_methods(tcase, an_output_that_is_closed_early_costs_nothing);
    add_for_methods(tcase, a_hundred_at_once_are_kept_apart);
    tcase_add_test(tcase, what_was_closed_can_be_taken);
    if (!support_is_checked())
        add_for_methods(tcase, its_memory_is_given_back);
    return support_run(suite);
}
