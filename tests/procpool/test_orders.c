/* What several threads of the program and a worker do at the same time, in the
 * orders that are rare: the worker's part is played. */
#include "support/channel_support.h"

#include <weft/status.h>

#include <signal.h>
#include <string.h>
#include <sys/resource.h>

static const struct channel_answer done = {.end = CHANNEL_RETURNED};

/* Counts itself as begun, then waits until its gate is open. */
static struct gate *
gates(void)
{
    return (struct gate *)(void *)common->text;
}

static int
pass_gate(weft_call *call)
{
    atomic_fetch_add(&common->count, 1);
    gate_pass(&gates()[*(const int *)call->arg]);
    return 0;
}

static weft_job *
give_gate(int number)
{
    return give(&(weft_task){
        .fn = pass_gate, .arg = &number, .arg_size = sizeof number});
}

/* --- stopping */

START_TEST(a_stop_of_one_that_was_begun_behind_another)
{
    hold_worker();
    weft_job *job = give(&(weft_task){.fn = count_it});

    ck_assert(play_take(2));
    ck_assert_int_eq(weft_stop(job), 0);
    eventually(is_told(2));
    /* Now it is the one that runs, and has not heard. */
    play_answer(1, done);
    expect_end(held, WEFT_OK);
    expect_end(job, WEFT_ECANCELED);
    end_pool();
}

END_TEST

START_TEST(a_stop_after_the_stop_of_the_one_before)
{
    hold_worker();
    weft_job *job = give(&(weft_task){.fn = count_it});

    ck_assert(play_take(2));
    ck_assert_int_eq(weft_stop(held), 0);
    eventually(is_told(1));
    play_answer(1, done);
    expect_end(held, WEFT_OK);
    ck_assert_int_eq(weft_stop(job), 0);
    expect_end(job, WEFT_ECANCELED);
    end_pool();
}

END_TEST

/* --- signals */

START_TEST(a_kill_hits_nobody_who_came_after)
{
    hold_worker();
    weft_job *taken = give(&(weft_task){.fn = count_it});

    play_answer_quietly(1, done);
    ck_assert(play_take(2));
    expect_refused(weft_kill(held, SIGKILL), WEFT_ESRCH, "does not run");
    play_answer(2, done);
    expect_end(held, WEFT_OK);
    expect_end(taken, WEFT_OK);
    end_pool();
}

END_TEST

START_TEST(a_kill_sends_the_others_elsewhere)
{
    hold_worker();
    weft_job *job = give(&(weft_task){.fn = count_it});

    ck_assert_int_eq(weft_kill(held, SIGKILL), 0);
    expect_end(held, WEFT_EDIED);
    expect_end(job, WEFT_OK);
    end_pool();
}

END_TEST

/* --- who waits behind whom */

START_TEST(an_idle_worker_takes_all_that_waits_behind_a_long_one)
{
    weft_job *long_one[2], *jobs[6];

    (void)open_processes(&(weft_pool_options){.workers = 2});
    for (int i = 0; i < 2; i++)
        long_one[i] = give_gate(i);
    eventually(atomic_load(&common->count) == 2);
    lock_take(&pool->in.lock);
    pool->pace = 1;
    lock_give(&pool->in.lock);
    for (int i = 0; i < 6; i++)
        jobs[i] = give(&(weft_task){.fn = count_it});
    gate_open(&gates()[0]);
    for (int i = 0; i < 6; i++)
        expect_end(jobs[i], WEFT_OK);
    gate_open(&gates()[1]);
    for (int i = 0; i < 2; i++)
        expect_end(long_one[i], WEFT_OK);
    end_pool();
}

END_TEST

/* --- how many workers */

static unsigned
live(void)
{
    weft_pool_counts counts;

    weft_pool_count(face, &counts);
    return counts.workers;
}

/* Four workers, each with a task that waits for the first gate. */
static void
occupy_four(weft_job *jobs[4])
{
    (void)open_processes(
        &(weft_pool_options){.workers = 4, .idle = 5 * WEFT_MS});
    for (int i = 0; i < 4; i++)
        jobs[i] = give_gate(0);
    eventually(atomic_load(&common->count) == 4);
}

START_TEST(a_size_that_was_less_and_is_more_again)
{
    weft_job *jobs[4];

    occupy_four(jobs);
    (void)weft_pool_resize(face, 1);
    (void)weft_pool_resize(face, 8);
    gate_open(&gates()[0]);
    for (int i = 0; i < 4; i++)
        expect_end(jobs[i], WEFT_OK);
    eventually(live() == 0);
    lock_take(&pool->in.lock);
    ck_assert_uint_eq(pool->size, 0);
    lock_give(&pool->in.lock);
    end_pool();
}

END_TEST

/* Descriptors run out while a dead worker is to be replaced. */
START_TEST(a_worker_that_cannot_be_made_is_tried_again)
{
    struct rlimit limit;

    hold_worker();
    weft_job *job = give(&(weft_task){.fn = count_it});

    ck_assert_int_eq(getrlimit(RLIMIT_NOFILE, &limit), 0);
    ck_assert_int_eq(
        setrlimit(RLIMIT_NOFILE, &(struct rlimit){3, limit.rlim_max}), 0);
    kill_worker();
    expect_end(held, WEFT_EDIED);
    ck_assert_int_eq(weft_join(job, WEFT_NOW), WEFT_ETIMEDOUT);
    ck_assert_int_eq(setrlimit(RLIMIT_NOFILE, &limit), 0);
    expect_end(job, WEFT_OK);
    end_pool();
}

END_TEST

/* Descriptors run out when the second of two is to be made. */
START_TEST(one_more_worker_is_tried_again_too)
{
    struct rlimit limit;

    (void)open_processes(&(weft_pool_options){.workers = 2});
    weft_job *first = give_gate(0);

    eventually(atomic_load(&common->count) == 1);
    ck_assert_int_eq(getrlimit(RLIMIT_NOFILE, &limit), 0);
    ck_assert_int_eq(
        setrlimit(RLIMIT_NOFILE, &(struct rlimit){3, limit.rlim_max}), 0);
    weft_job *second = give(&(weft_task){.fn = count_it});

    ck_assert_int_eq(weft_join(second, WEFT_NOW), WEFT_ETIMEDOUT);
    ck_assert_int_eq(setrlimit(RLIMIT_NOFILE, &limit), 0);
    expect_end(second, WEFT_OK);
    gate_open(&gates()[0]);
    expect_end(first, WEFT_OK);
    end_pool();
}

END_TEST

/* The hidden thread that looks at certificates is nobody's. */
START_TEST(a_pool_does_not_count_as_a_thread)
{
    const weft_worker_options by_fork = {.method = WEFT_FORK};

    (void)open_processes(&(weft_pool_options){.workers = 1});
    expect_end(give(&(weft_task){.fn = count_it}), WEFT_OK);
    eventually(pool->guarded);
    expect_end(must_start(WEFT_PROCESS,
                          &(weft_task){.fn = do_nothing, .worker = &by_fork}),
               WEFT_OK);
    end_pool();
}

END_TEST

/* --- preparation */

/* The third waits for its gate. */
static int
third_waits(weft_call *call)
{
    (void)call;
    if (atomic_fetch_add(&common->count, 1) == 2)
        gate_pass(&common->go);
    return 0;
}

START_TEST(no_task_waits_for_a_preparation_beside_an_idle_worker)
{
    const weft_task first = {.fn = third_waits};

    (void)open_processes(&(weft_pool_options){.workers = 2, .prepare = &first});
    weft_job *jobs[] = {give(&(weft_task){.fn = sleep_for_ever}),
                        give(&(weft_task){.fn = do_nothing})};

    eventually(atomic_load(&common->count) == 2);
    gate_pass(&common->begun);
    ck_assert_int_eq(weft_kill(jobs[0], SIGKILL), 0);
    eventually(atomic_load(&common->count) == 3);
    expect_end(jobs[0], WEFT_EDIED);
    expect_end(jobs[1], WEFT_OK);
    for (int i = 0; i < 10; i++)
        expect_end(give(&(weft_task){.fn = do_nothing}), WEFT_OK);
    gate_open(&common->go);
    end_pool();
}

END_TEST

/* --- forks */

static void
look_from_outside(void *unused)
{
    (void)unused;
    child_expect(weft_join(held, weft_in(10 * WEFT_MS)) == WEFT_ETIMEDOUT);
    child_expect(weft_kill(held, SIGKILL) == WEFT_ESRCH);
}

START_TEST(a_fork_of_the_program_has_no_channels)
{
    hold_worker();
    ck_assert_int_eq(support_run_fork(look_from_outside, NULL), 0);
    gate_open(&common->go);
    expect_end(held, WEFT_OK);
    end_pool();
}

END_TEST

int
main(void)
{
    Suite *suite = suite_create("procpool/orders");
    TCase *tcase = support_case(suite, "orders", 30);

    tcase_add_checked_fixture(tcase, common_make, NULL);
    tcase_add_test(tcase, a_stop_of_one_that_was_begun_behind_another);
    tcase_add_test(tcase, a_stop_after_the_stop_of_the_one_before);
    tcase_add_test(tcase, a_kill_hits_nobody_who_came_after);
    tcase_add_test(tcase, a_kill_sends_the_others_elsewhere);
    tcase_add_test(tcase,
                   an_idle_worker_takes_all_that_waits_behind_a_long_one);
    tcase_add_test(tcase, a_size_that_was_less_and_is_more_again);
    tcase_add_test(tcase, a_worker_that_cannot_be_made_is_tried_again);
    tcase_add_test(tcase, one_more_worker_is_tried_again_too);
    tcase_add_test(tcase, a_pool_does_not_count_as_a_thread);
    tcase_add_test(tcase,
                   no_task_waits_for_a_preparation_beside_an_idle_worker);
    tcase_add_test(tcase, a_fork_of_the_program_has_no_channels);
    return support_run(suite);
}
