/* A process pool and its program: nobody outlives it, however it ends. */
#include "support/options_support.h"
#include "support/pool_support.h"
#include "support/program_support.h"

#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#define LATE (1 * WEFT_SECOND) /* until all is gone */

enum {
    WORKERS = 3,
    DEPTH = 3,
    WINDOW = 16
};

static struct {
    _Atomic int begun, program;
    _Atomic int depths[DEPTH + 1]; /* tasks that have begun, by depth */
} * shared;

static void
open_all(void)
{
    pools_of_processes();
    adopt_orphans();
    shared = support_share(sizeof *shared);
}

/* --- the program is killed */

/* In a program that is to be killed: asserts would not be seen. */
static weft_pool *
child_pool(unsigned workers)
{
    weft_pool *pool = NULL;

    child_expect(weft_pool_open(&pool, WEFT_PROCESS,
                                &(weft_pool_options){
                                    .workers = workers,
                                    .max_tasks = 50,
                                    .worker = {.grace = 20 * WEFT_MS}}) == 0);
    return pool;
}

static int
do_something(weft_call *call)
{
    const int number = *(const int *)call->arg;

    if (number % 50 == 7)
        return crash(call);
    if (number % 50 == 8)
        return weft_sleep(weft_in(WEFT_MS));
    return double_it(call);
}

static void
work_for_ever(void *unused)
{
    weft_pool *pool = child_pool(WORKERS);
    weft_job *jobs[WINDOW];

    (void)unused;
    for (int first = 0;; first += WINDOW) {
        for (int i = 0; i < WINDOW; i++) {
            const int number = first + i;

            child_expect(
                weft_submit(&jobs[i], pool,
                            &(weft_task){.fn = do_something,
                                         WEFT_ARG(number),
                                         .result_size = sizeof(int)}) == 0);
        }
        for (int i = 0; i < WINDOW; i++) {
            child_expect(weft_join(jobs[i], WEFT_FOREVER) == 0);
            (void)weft_outcome_of(jobs[i]);
            weft_release(jobs[i]);
        }
    }
}

START_TEST(a_program_killed_at_any_moment_leaves_nobody)
{
    const unsigned rounds = scaled(40);
    unsigned seed = 99;

    for (unsigned i = 0; i < rounds; i++) {
        const pid_t pid = support_fork(work_for_ever, NULL);

        let_it_go_on(&seed, 40 * WEFT_MS);
        ck_assert_int_lt(kill_program(pid), patient(LATE));
    }
}

END_TEST

/* --- a pool in a pool in a pool */

static int
nest(weft_call *call)
{
    const int depth = *(const int *)call->arg, next = depth + 1;
    weft_pool *pool = NULL;

    atomic_fetch_add(&shared->depths[depth], 1);
    if (depth == DEPTH)
        return loop_for_ever(call);
    if (weft_pool_open(&pool, WEFT_PROCESS,
                       &(weft_pool_options){.workers = 2}) < 0)
        return weft_fail(call, "%s", weft_why());
    for (int i = 0; i < 2; i++)
        if (weft_submit(NULL, pool, &(weft_task){.fn = nest, WEFT_ARG(next)}) <
            0)
            return weft_fail(call, "%s", weft_why());
    return weft_pool_close(pool, WEFT_FOREVER);
}

static bool
all_are_nested(void)
{
    return atomic_load(&shared->depths[DEPTH]) == 1 << DEPTH;
}

static void
nest_for_ever(void *unused)
{
    const int depth = 0;
    weft_pool *pool = child_pool(1);

    (void)unused;
    child_expect(weft_submit(NULL, pool,
                             &(weft_task){.fn = nest, WEFT_ARG(depth)}) == 0);
    (void)weft_pool_close(pool, WEFT_FOREVER);
}

START_TEST(nested_pools_die_with_the_program)
{
    for (unsigned i = 0; i < scaled(5); i++) {
        memset(shared, 0, sizeof *shared);
        const pid_t pid = support_fork(nest_for_ever, NULL);

        eventually(all_are_nested());
        ck_assert_int_lt(kill_program(pid), patient(LATE));
    }
}

END_TEST

START_TEST(nested_pools_die_with_their_worker)
{
    const int depth = 0;

    for (unsigned i = 0; i < scaled(5); i++) {
        memset(shared, 0, sizeof *shared);
        weft_pool *pool = open_pool(.workers = 1);
        weft_job *job = submit(pool, .fn = nest, WEFT_ARG(depth));

        eventually(all_are_nested());
        ck_assert_int_eq(weft_kill(job, SIGKILL), 0);
        expect_end(job, WEFT_EDIED);
        expect_end(submit(pool, .fn = do_nothing), WEFT_OK);
        pool_drain(pool);
        weft_fini();
        ck_assert_int_lt(until_all_are_gone(weft_now().ns), patient(LATE));
    }
}

END_TEST

START_TEST(a_stop_ends_nested_pools)
{
    const int depth = 0;
    weft_pool *pool =
        open_pool(.workers = 1, .worker = {.grace = 50 * WEFT_MS});
    weft_job *job = submit(pool, .fn = nest, WEFT_ARG(depth));

    eventually(all_are_nested());
    ck_assert_int_eq(weft_pool_close(pool, WEFT_NOW), WEFT_ETIMEDOUT);
    expect_end(job, WEFT_ECANCELED);
    weft_fini();
    ck_assert_int_lt(until_all_are_gone(weft_now().ns), patient(LATE));
}

END_TEST

/* --- its own end */

START_TEST(a_closed_pool_leaves_nobody)
{
    for (unsigned i = 0; i < scaled(20); i++) {
        weft_job *jobs[WINDOW];
        weft_pool *pool = open_pool(.workers = 1 + i % 8);

        submit_doubles(pool, jobs, 0, WINDOW);
        expect_doubles(jobs, 0, WINDOW);
        pool_drain(pool);
        ck_assert_uint_eq(weft_list(WEFT_PROCESSES, NULL, 0), 0);
    }
    weft_fini();
    ck_assert_int_lt(until_all_are_gone(weft_now().ns), patient(LATE));
}

END_TEST

static void
end_with_an_open_pool(void *kind)
{
    static weft_pool *pool; /* a leak checker finds it to the end */

    pool = child_pool(WORKERS);
    for (int i = 0; i < 5; i++)
        child_expect(weft_submit(NULL, pool,
                                 &(weft_task){.fn = do_nothing,
                                              .daemon = *(int *)kind != 0}) ==
                     0);
}

START_TEST(a_program_may_leave_its_pool_open)
{
    struct ran ran;
    int kind = _i;

    run_program(&ran, end_with_an_open_pool, &kind);
    ck_assert_msg(ran.code == 0, "%d: %s", ran.code, ran.err);
    ck_assert_int_lt(ran.took, patient(2 * WEFT_SECOND));
    ck_assert_int_lt(until_all_are_gone(weft_now().ns), patient(LATE));
}

END_TEST

/* --- ^C at a terminal */

static void
begin(void)
{
    atomic_fetch_add(&shared->begun, 1);
}

static int
stay(weft_call *call)
{
    (void)call;
    begin();
    return weft_sleep(WEFT_FOREVER);
}

static weft_pool *
pool_at_work(weft_job **job)
{
    weft_pool *pool = child_pool(WORKERS);

    for (int i = 0; i < WORKERS; i++)
        child_expect(weft_submit(i == 0 ? job : NULL, pool,
                                 &(weft_task){.fn = stay}) == 0);
    return pool;
}

static void
submit_for_ever(void)
{
    weft_pool *pool = child_pool(WORKERS);

    for (int i = 0;; i++) {
        child_expect(weft_submit(NULL, pool, &(weft_task){.fn = do_nothing}) ==
                     0);
        if (i < WORKERS)
            begin();
    }
}

static void
join(void)
{
    weft_job *job = NULL;

    (void)pool_at_work(&job);
    (void)weft_join(job, WEFT_FOREVER);
}

static void
close_pool(void)
{
    weft_job *job = NULL;

    (void)weft_pool_close(pool_at_work(&job), WEFT_FOREVER);
}

static void
leave(void)
{
    weft_job *job = NULL;

    (void)pool_at_work(&job);
}

static void (*const interrupted[])(void) = {submit_for_ever, join, close_pool,
                                            leave};

START_TEST(an_interrupt_ends_all)
{
    for (unsigned i = 0; i < scaled(10); i++) {
        atomic_store(&shared->begun, 0);
        const struct terminal terminal =
            open_terminal(interrupted[_i], &shared->program);

        eventually(atomic_load(&shared->begun) == WORKERS);
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
    Suite *suite = suite_create("life of process pools");
    TCase *tcase = support_case(suite, "life", 30);

    tcase_add_checked_fixture(tcase, open_all, NULL);
    tcase_add_test(tcase, a_program_killed_at_any_moment_leaves_nobody);
    tcase_add_test(tcase, nested_pools_die_with_the_program);
    tcase_add_test(tcase, nested_pools_die_with_their_worker);
    tcase_add_test(tcase, a_stop_ends_nested_pools);
    tcase_add_test(tcase, a_closed_pool_leaves_nobody);
    tcase_add_loop_test(tcase, a_program_may_leave_its_pool_open, 0, 2);
    support_add_table(tcase, an_interrupt_ends_all, interrupted);
    return support_run(suite);
}
