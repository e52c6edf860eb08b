/* Programs at a terminal, which the test has the other end of: what is typed
 * there reaches the program, and by it the workers. */
#include "support/program_support.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <termios.h>
#include <unistd.h>

enum {
    WORKERS = 3
};

static struct {
    _Atomic int workers[WORKERS], begun;
    _Atomic int program;
    _Atomic unsigned turns[WORKERS]; /* that each has made */
    _Atomic int stop, right;
    struct gate ready;
} * shared;

static void
open_all(void)
{
    adopt_orphans();
    shared = support_share(sizeof *shared);
    common_make();
}

/* --- a program that works */

static int
turn(weft_call *call)
{
    const int number = *(const int *)call->arg;

    atomic_store(&shared->workers[number], getpid());
    atomic_fetch_add(&shared->begun, 1);
    while (!atomic_load(&shared->stop)) {
        atomic_fetch_add(&shared->turns[number], 1);
        support_spin();
    }
    *(int *)call->result = 100 + number;
    return 0;
}

static void
work(void)
{
    weft_job *jobs[WORKERS];

    for (int i = 0; i < WORKERS; i++)
        child_expect(weft_start(&jobs[i], WEFT_PROCESS,
                                &(weft_task){.fn = turn,
                                             WEFT_ARG(i),
                                             .result_size = sizeof(int)}) == 0);
    for (int i = 0; i < WORKERS; i++) {
        int result = 0;

        child_expect(
            weft_result(jobs[i], &result, sizeof result, WEFT_FOREVER) == 0);
        child_expect(result == 100 + i);
        weft_release(jobs[i]);
        atomic_fetch_add(&shared->right, 1);
    }
}

static void
ignore_and_work(void)
{
    child_expect(signal(SIGTSTP, SIG_IGN) != SIG_ERR);
    work();
}

static bool
all_are(char state)
{
    for (int i = 0; i < WORKERS; i++)
        if (support_state(atomic_load(&shared->workers[i])) != state)
            return false;
    return support_state(atomic_load(&shared->program)) == state;
}

static bool
all_turn(const unsigned before[WORKERS])
{
    for (int i = 0; i < WORKERS; i++)
        if (atomic_load(&shared->turns[i]) == before[i])
            return false;
    return true;
}

static void
expect_turning(void)
{
    unsigned before[WORKERS];

    for (int i = 0; i < WORKERS; i++)
        before[i] = atomic_load(&shared->turns[i]);
    eventually(all_turn(before));
}

static void
finish(const struct terminal *terminal)
{
    atomic_store(&shared->stop, 1);
    ck_assert_int_eq(close_terminal(terminal), 0);
    ck_assert_int_eq(atomic_load(&shared->right), WORKERS);
}

static const bool to_group[] = {true, false};

START_TEST(what_is_stopped_goes_on)
{
    const struct terminal terminal = open_terminal(work, &shared->program);

    eventually(atomic_load(&shared->begun) == WORKERS);
    for (int i = 0; i < 5; i++) {
        const pid_t pid = atomic_load(&shared->program);

        expect_turning();
        type(&terminal, CTRL_Z);
        eventually(all_are('T'));
        ck_assert_int_eq(kill(to_group[_i] ? -pid : pid, SIGCONT), 0);
        eventually(!all_are('T') && support_state(pid) != 'T');
        expect_turning();
    }
    finish(&terminal);
}

END_TEST

START_TEST(a_stopped_program_can_be_killed)
{
    const struct terminal terminal = open_terminal(work, &shared->program);

    eventually(atomic_load(&shared->begun) == WORKERS);
    type(&terminal, CTRL_Z);
    eventually(all_are('T'));
    ck_assert_int_eq(kill(atomic_load(&shared->program), SIGKILL), 0);
    ck_assert_int_eq(close_terminal(&terminal), 128 + SIGKILL);
}

END_TEST

START_TEST(who_ignores_the_stop_works_on)
{
    const struct terminal terminal =
        open_terminal(ignore_and_work, &shared->program);

    eventually(atomic_load(&shared->begun) == WORKERS);
    for (int i = 0; i < 3; i++) {
        type(&terminal, CTRL_Z);
        expect_turning();
        ck_assert(!all_are('T'));
    }
    finish(&terminal);
}

END_TEST

/* --- reading */

static int
read_a_line(weft_call *call)
{
    char text[16];

    *(int *)call->result = (int)read(STDIN_FILENO, text, sizeof text);
    return getchar() == EOF ? 0 : 1;
}

static void
read_in_a_worker(void)
{
    int size = -1;
    weft_job *job = NULL;

    child_expect(weft_start(&job, WEFT_PROCESS,
                            &(weft_task){.fn = read_a_line,
                                         .result_size = sizeof size}) == 0);
    child_expect(weft_result(job, &size, sizeof size, WEFT_FOREVER) == 0);
    child_expect(size == 0);
    weft_release(job);
    char line[16];

    child_expect(fgets(line, sizeof line, stdin) != NULL);
    child_expect(strcmp(line, "x\n") ==
                 0); /* what was typed is the program's */
}

START_TEST(a_worker_that_reads_finds_the_end)
{
    const struct terminal terminal =
        open_terminal(read_in_a_worker, &shared->program);

    type(&terminal, 'x');
    type(&terminal, '\n');
    ck_assert_int_eq(close_terminal(&terminal), 0);
}

END_TEST

static int
write_a_line(weft_call *call)
{
    (void)call;
    return printf("a line of a worker\n") < 0;
}

static void
write_in_a_worker(void)
{
    struct termios modes;
    weft_job *job = NULL;

    /* Who is not in the foreground is stopped by SIGTTOU then. */
    child_expect(tcgetattr(STDOUT_FILENO, &modes) == 0);
    modes.c_lflag |= TOSTOP;
    child_expect(tcsetattr(STDOUT_FILENO, TCSANOW, &modes) == 0);
    child_expect(
        weft_start(&job, WEFT_PROCESS, &(weft_task){.fn = write_a_line}) == 0);
    child_expect(weft_join(job, WEFT_FOREVER) == 0);
    child_expect(weft_outcome_of(job)->status == 0);
    weft_release(job);
}

START_TEST(a_worker_may_write_to_the_terminal)
{
    const struct terminal terminal =
        open_terminal(write_in_a_worker, &shared->program);

    ck_assert_int_eq(close_terminal(&terminal), 0);
}

END_TEST

/* --- ^C */

static int
stay(weft_call *call)
{
    (void)call;
    atomic_fetch_add(&shared->begun, 1);
    return weft_sleep(WEFT_FOREVER);
}

static void
start_for_ever(void)
{
    for (;;) {
        weft_job *job = NULL;

        child_expect(weft_start(&job, WEFT_PROCESS,
                                &(weft_task){.fn = do_nothing}) == 0);
        weft_release(job);
        if (atomic_load(&shared->begun) < 3)
            atomic_fetch_add(&shared->begun, 1);
    }
}

static weft_job *
start_three(weft_scope *scope)
{
    weft_job *job = NULL;

    for (int i = 0; i < 3; i++)
        child_expect(weft_start(&job, WEFT_PROCESS,
                                &(weft_task){.fn = stay, .scope = scope}) == 0);
    return job;
}

static void
join(void)
{
    (void)weft_join(start_three(NULL), WEFT_FOREVER);
}

static void
wait_for_any(void)
{
    const weft_source source = {.job = start_three(NULL)};

    (void)!weft_wait_any(&source, 1, 0, WEFT_FOREVER);
}

static void
close_scope(void)
{
    weft_scope *scope = NULL;

    child_expect(weft_scope_open(&scope, NULL) == 0);
    start_three(scope);
    (void)weft_scope_close(scope, WEFT_FOREVER);
}

static void
leave(void)
{
    start_three(NULL);
    exit(0);
}

static void (*const interrupted[])(void) = {start_for_ever, join, wait_for_any,
                                            close_scope, leave};

START_TEST(an_interrupt_ends_all)
{
    for (unsigned i = 0; i < scaled(20); i++) {
        atomic_store(&shared->begun, 0);
        const struct terminal terminal =
            open_terminal(interrupted[_i], &shared->program);

        eventually(atomic_load(&shared->begun) == 3);
        const int64_t typed = weft_now().ns;

        type(&terminal, CTRL_C);
        ck_assert_int_eq(close_terminal(&terminal), 128 + SIGINT);
        ck_assert_int_lt(weft_now().ns - typed, patient(2 * WEFT_SECOND));
    }
}

END_TEST

int
main(void)
{
    Suite *suite = suite_create("terminal");
    TCase *tcase = support_case(suite, "terminal", 15);

    tcase_add_checked_fixture(tcase, open_all, NULL);
    support_add_table(tcase, what_is_stopped_goes_on, to_group);
    tcase_add_test(tcase, a_stopped_program_can_be_killed);
    tcase_add_test(tcase, who_ignores_the_stop_works_on);
    tcase_add_test(tcase, a_worker_that_reads_finds_the_end);
    tcase_add_test(tcase, a_worker_may_write_to_the_terminal);
    support_add_table(tcase, an_interrupt_ends_all, interrupted);
    return support_run(suite);
}
