/* Workers of a process pool come and go: retries, renewal after so many tasks
 * or so much memory, those that do not get as far as their first task, more and
 * fewer of them. */
#include "support/options_support.h"
#include "support/pool_support.h"

#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum {
    MANY = 200
};

static weft_job *jobs[MANY];

/* --- retries */

static int
crash_until(weft_call *call)
{
    atomic_fetch_add(&common->count, 1);
    if (call->attempt < *(const unsigned *)call->arg)
        return crash(call);
    *(unsigned *)call->result = call->attempt;
    return 0;
}

START_TEST(a_task_may_kill_so_many_workers)
{
    weft_pool *pool = open_pool(.workers = 2);
    unsigned attempts = (unsigned)_i, attempt = 0;
    weft_job *job = submit(pool, .fn = crash_until, WEFT_ARG(attempts),
                           .result_size = sizeof attempt, .retries = 3);

    must_join(job);
    if (attempts <= 3) {
        ck_assert_int_eq(weft_result(job, &attempt, sizeof attempt, WEFT_NOW),
                         0);
        ck_assert_uint_eq(attempt, attempts);
        ck_assert_int_eq(outcome(job)->attempts, (int)attempts);
        weft_release(job);
    } else {
        ck_assert_int_eq(outcome(job)->attempts, 3);
        ck_assert_int_eq(outcome(job)->signal, SIGSEGV);
        expect_end(job, WEFT_EDIED);
    }
    ck_assert_int_eq(atomic_load(&common->count), attempts <= 3 ? _i + 1 : 4);
    expect_full(pool, 2);
    pool_drain(pool);
}

END_TEST

static int
fail_and_count(weft_call *call)
{
    atomic_fetch_add(&common->count, 1);
    return do_fail(call);
}

START_TEST(a_failure_is_not_tried_again)
{
    weft_pool *pool = open_pool(.workers = 1);

    expect_end(submit(pool, .fn = fail_and_count, .retries = 3), WEFT_EFAILED);
    ck_assert_int_eq(atomic_load(&common->count), 1);
    pool_drain(pool);
}

END_TEST

static int
loop_and_count(weft_call *call)
{
    atomic_fetch_add(&common->count, 1);
    return loop_for_ever(call);
}

START_TEST(a_timeout_is_not_tried_again)
{
    weft_pool *pool = open_pool(.workers = 1, .worker = {.grace = WEFT_MS});

    expect_end(submit(pool, .fn = loop_and_count, .retries = 3,
                      .timeout = 20 * WEFT_MS),
               WEFT_ETIMEDOUT);
    ck_assert_int_eq(atomic_load(&common->count), 1);
    pool_drain(pool);
}

END_TEST

/* Each worker is killed in its turn, and the tasks are tried until they are
 * done. */
static int
crash_at_random(weft_call *call)
{
    const unsigned number = *(const unsigned *)call->arg;

    if ((number * 2654435761u >> 16) % 8 == 0 && call->attempt < number % 3)
        return crash(call);
    *(unsigned *)call->result = number;
    return 0;
}

START_TEST(what_is_tried_again_is_right)
{
    weft_pool *pool = open_pool(.workers = 1 + (unsigned)_i);

    for (unsigned i = 0; i < MANY; i++)
        jobs[i] = submit(pool, .fn = crash_at_random, WEFT_ARG(i),
                         .result_size = sizeof i, .retries = 2);
    for (unsigned i = 0; i < MANY; i++) {
        unsigned result = 0;

        ck_assert_int_eq(
            weft_result(jobs[i], &result, sizeof result, WEFT_FOREVER), 0);
        ck_assert_uint_eq(result, i);
        weft_release(jobs[i]);
    }
    pool_drain(pool);
}

END_TEST

/* --- so many tasks, then a new one */

static int
tell_pid(weft_call *call)
{
    *(int *)call->result = getpid();
    return 0;
}

START_TEST(a_worker_is_renewed_after_its_tasks)
{
    enum {
        EACH = 3,
        TASKS = 30
    };

    weft_pool *pool = open_pool(.workers = 1, .max_tasks = EACH);
    int pids[TASKS];

    for (int i = 0; i < TASKS; i++) {
        weft_job *job =
            submit(pool, .fn = tell_pid, .result_size = sizeof(int));

        ck_assert_int_eq(
            weft_result(job, &pids[i], sizeof pids[i], WEFT_FOREVER), 0);
        ck_assert_int_eq(outcome(job)->pid, pids[i]);
        weft_release(job);
        if (i % EACH > 0)
            ck_assert_int_eq(pids[i], pids[i - 1]);
        else if (i > 0)
            ck_assert_int_ne(pids[i], pids[i - 1]);
    }
    pool_drain(pool);
}

END_TEST

/* Never a hang, whatever the numbers are. */
START_TEST(renewal_never_hangs)
{
    static const unsigned most[] = {1, 2, 3, 7}, sizes[] = {1, 2, 3, 8};
    static const int tasks[] = {1, 2, 7, 8, 9, 63, MANY};

    for (size_t m = 0; m < 4; m++)
        for (size_t t = 0; t < sizeof tasks / sizeof *tasks; t++) {
            if (tasks[t] > (int)scaled(MANY))
                continue;
            weft_pool *pool =
                open_pool(.workers = sizes[_i], .max_tasks = most[m]);

            submit_doubles(pool, jobs, 0, tasks[t]);
            expect_doubles(jobs, 0, tasks[t]);
            pool_drain(pool);
        }
}

END_TEST

static int
crash_each_fifth(weft_call *call)
{
    return *(const int *)call->arg % 5 == 4 ? crash(call) : double_it(call);
}

START_TEST(renewal_and_deaths_go_together)
{
    weft_pool *pool = open_pool(.workers = 1 + (unsigned)_i, .max_tasks = 2);
    const int count = (int)scaled(MANY);

    for (int i = 0; i < count; i++)
        jobs[i] = submit(pool, .fn = crash_each_fifth, WEFT_ARG(i),
                         .result_size = sizeof i);
    for (int i = 0; i < count; i++) {
        must_join(jobs[i]);
        ck_assert_int_eq(outcome(jobs[i])->status,
                         i % 5 == 4 ? WEFT_EDIED : WEFT_OK);
        weft_release(jobs[i]);
    }
    pool_drain(pool);
}

END_TEST

/* --- so much memory */

static int
leak(weft_call *call)
{
    const size_t size = *(const size_t *)call->arg;
    char *volatile more = size ? malloc(size) : NULL;

    if (more)
        memset(more, 1, size);
    *(int *)call->result = getpid();
    return 0;
}

static int
leaker(weft_pool *pool, size_t size)
{
    int pid = 0;
    weft_job *job =
        submit(pool, .fn = leak, WEFT_ARG(size), .result_size = sizeof pid);

    ck_assert_int_eq(weft_result(job, &pid, sizeof pid, WEFT_FOREVER), 0);
    weft_release(job);
    return pid;
}

START_TEST(a_worker_that_grows_is_renewed)
{
    weft_pool *pool = open_pool(.workers = 1, .recycle = 32 * MIB);
    const int small = leaker(pool, 0);

    for (int i = 0; i < 20; i++)
        ck_assert_int_eq(leaker(pool, 64 << 10), small);
    ck_assert_int_eq(leaker(pool, 48 * MIB), small);
    /* It goes when the pool has seen it. */
    eventually(leaker(pool, 0) != small);
    pool_drain(pool);
}

END_TEST

/* --- those that die before their first task */

static int
crash_at_first(weft_call *call)
{
    return atomic_fetch_add(&common->count, 1) < *(const int *)call->arg
               ? crash(call)
               : 0;
}

static int
crash_and_count(weft_call *call)
{
    atomic_fetch_add(&common->count, 1);
    return crash(call);
}

START_TEST(a_preparation_that_crashes_is_told)
{
    const weft_task first = {.fn = crash_and_count, .name = "load"};
    weft_pool *pool = open_pool(.workers = 2, .prepare = &first);
    weft_job *some[4];
    int count = 0;

    while (count < 4 &&
           weft_submit(&some[count], pool, &(weft_task){.fn = do_nothing}) == 0)
        count++;
    ck_assert_int_gt(count, 0);
    for (int i = 0; i < count; i++) {
        must_join(some[i]);
        ck_assert_int_ne(outcome(some[i])->status, WEFT_OK);
        ck_assert_msg(strstr(outcome(some[i])->text, "SIGSEGV") != NULL, "%s",
                      outcome(some[i])->text);
        weft_release(some[i]);
    }
    /* Not a storm of them. */
    ck_assert_int_lt(atomic_load(&common->count), 100);
    (void)weft_pool_close(pool, WEFT_NOW);
}

END_TEST

START_TEST(a_preparation_may_crash_once)
{
    int once = 1;
    const weft_task first = {.fn = crash_at_first, WEFT_ARG(once)};
    weft_pool *pool = open_pool(.workers = 1, .prepare = &first);
    weft_job *job = submit(pool, .fn = do_nothing);

    must_join(job);
    (void)outcome(job); /* whichever the pool makes of it, it ends */
    weft_release(job);
    (void)weft_pool_close(pool, WEFT_NOW);
    ck_assert_int_ge(atomic_load(&common->count), 1);
}

END_TEST

/* --- more and fewer, at work */

START_TEST(it_changes_size_while_workers_die)
{
    weft_pool *pool = open_pool(.workers = 1);
    const unsigned rounds = scaled(20);

    for (unsigned k = 0; k < rounds; k++) {
        for (int i = 0; i < MANY / 4; i++) {
            jobs[i] = submit(pool, .fn = crash_each_fifth, WEFT_ARG(i),
                             .result_size = sizeof i);
            if (i % 8 == 0)
                ck_assert_int_eq(
                    weft_pool_resize(pool, 1 + (unsigned)(i + (int)k) % 5), 0);
        }
        for (int i = 0; i < MANY / 4; i++) {
            must_join(jobs[i]);
            ck_assert_int_eq(outcome(jobs[i])->status,
                             i % 5 == 4 ? WEFT_EDIED : WEFT_OK);
            weft_release(jobs[i]);
        }
    }
    ck_assert_int_eq(weft_pool_resize(pool, 3), 0);
    expect_full(pool, 3);
    pool_drain(pool);
}

END_TEST

/* --- by the certificate, before the process has ended */

static int
grow(weft_call *call)
{
    static char *volatile memory;
    const size_t size = *(const size_t *)call->arg;

    memory = malloc(size);
    if (memory)
        memset(memory, 1, size);
    return memory ? 0 : 1;
}

static int
kill_itself(weft_call *call)
{
    (void)call;
    return raise(SIGKILL);
}

/* Whether the task behind it had ended when it was not yet known how a worker
 * with much memory had died. */
static bool
goes_on_before_its_end(weft_pool *pool)
{
    const size_t size = (size_t)256 << 20;
    weft_job *last;

    expect_end(submit(pool, .fn = grow, WEFT_ARG(size)), WEFT_OK);
    weft_job *victim = submit(pool, .fn = kill_itself);

    submit_doubles(pool, &last, 1, 1);
    expect_doubles(&last, 1, 1);
    const bool first = weft_join(victim, WEFT_NOW) == WEFT_ETIMEDOUT;

    must_join(victim);
    ck_assert_int_eq(outcome(victim)->status, WEFT_EDIED);
    ck_assert_int_eq(outcome(victim)->signal, SIGKILL);
    weft_release(victim);
    expect_full(pool, 1);
    return first;
}

START_TEST(a_successor_does_not_wait_for_a_slow_end)
{
    weft_pool *pool = open_pool(.workers = 1);
    bool seen = false;

    for (int i = 0; i < 20 && !seen; i++) /* if the machine is slow */
        seen = goes_on_before_its_end(pool);
    ck_assert(seen);
    pool_drain(pool);
}

END_TEST

static void *
stay(void *unused)
{
    for (;;)
        pause();
    return unused;
}

static int
leave_a_thread(weft_call *call)
{
    (void)call;
    support_thread(stay, NULL);
    pthread_exit(NULL);
}

/* Nothing would ever tell of its task's end. */
START_TEST(a_worker_does_not_outlive_its_main_thread)
{
    weft_pool *pool = open_pool(.workers = 2);

    expect_full(pool, 2); /* both are watched */
    for (unsigned i = 0; i < scaled(20); i++) {
        weft_job *victim = submit(pool, .fn = leave_a_thread);

        must_join(victim);
        ck_assert_int_eq(outcome(victim)->status, WEFT_EDIED);
        weft_release(victim);
        expect_full(pool, 2);
    }
    pool_drain(pool);
}

END_TEST

static void *
close_now(void *pool)
{
    const int status = weft_pool_close(pool, WEFT_NOW);

    child_expect(status == 0 || status == WEFT_ETIMEDOUT);
    return NULL;
}

START_TEST(it_is_closed_at_work)
{
    for (unsigned k = 0; k < scaled(40); k++) {
        weft_pool *pool =
            open_pool(.workers = 1 + k % 3, .worker = {.grace = 5 * WEFT_MS});
        int count = 0;

        for (; count < 40; count++)
            jobs[count] =
                submit(pool, .fn = k % 2 ? crash_each_fifth : double_it,
                       WEFT_ARG(count), .result_size = sizeof(int));
        for (unsigned i = 0; i < k * 50; i++)
            support_spin();
        support_join(support_thread(close_now, pool));
        for (int i = 0; i < count; i++) {
            ck_assert(!weft_is_alive(jobs[i]));
            const int status = outcome(jobs[i])->status;

            ck_assert_msg(status == WEFT_OK || status == WEFT_ECANCELED ||
                              status == WEFT_EDIED,
                          "%s", outcome(jobs[i])->text);
            weft_release(jobs[i]);
        }
    }
}

END_TEST

int
main(void)
{
    Suite *suite = suite_create("workers of a process pool come and go");
    TCase *tcase = support_case(suite, "renewal", 40);

    tcase_add_checked_fixture(tcase, pools_of_processes, NULL);
    tcase_add_loop_test(tcase, a_task_may_kill_so_many_workers, 0, 6);
    tcase_add_test(tcase, a_failure_is_not_tried_again);
    tcase_add_test(tcase, a_timeout_is_not_tried_again);
    tcase_add_loop_test(tcase, what_is_tried_again_is_right, 0, 3);
    tcase_add_test(tcase, a_worker_is_renewed_after_its_tasks);
    tcase_add_loop_test(tcase, renewal_never_hangs, 0, 4);
    tcase_add_loop_test(tcase, renewal_and_deaths_go_together, 0, 3);
    if (!support_is_checked()) /* which need memory of their own */
        tcase_add_test(tcase, a_worker_that_grows_is_renewed);
    tcase_add_test(tcase, a_preparation_that_crashes_is_told);
    tcase_add_test(tcase, a_preparation_may_crash_once);
    tcase_add_test(tcase, it_changes_size_while_workers_die);
    if (!support_is_checked()) /* which has an end of its own to make */
        tcase_add_test(tcase, a_successor_does_not_wait_for_a_slow_end);
    tcase_add_test(tcase, a_worker_does_not_outlive_its_main_thread);
    tcase_add_test(tcase, it_is_closed_at_work);
    return support_run(suite);
}
