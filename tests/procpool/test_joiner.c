/* Who waits for a job of a process pool sleeps at the worker's channel: when he
 * is woken, when he leaves it, and what he does for the others. */
#include "support/channel_support.h"
#include "wait/policy.h"

#include <weft/status.h>

#include <string.h>

enum {
    JOINERS = 4
};

static void
setup(void)
{
    common_make();
    policy_park_only(true); /* else one that spins does it all */
}

static unsigned
sleepers(const struct seat *at)
{
    return atomic_load(&seat_desk(at)->sleepers);
}

/* In the pool and on the desk. */
static bool
is_deserted(const struct seat *at)
{
    return atomic_load(&at->visitors) == 0 &&
           atomic_load(&seat_desk(at)->visitors) == 0 && sleepers(at) == 0;
}

static void *
join(void *job)
{
    must_join(job);
    return NULL;
}

/* --- who is woken */

START_TEST(a_joiner_sleeps_at_the_channel)
{
    hold_worker();
    pthread_t joiner = support_thread(join, held);

    eventually(sleepers(seat) == 1);
    ck_assert_uint_eq(atomic_load(&seat_desk(seat)->visitors), 1);
    gate_open(&common->go);
    support_join(joiner);
    eventually(is_deserted(seat));
    expect_end(held, WEFT_OK);
    end_pool();
}

END_TEST

START_TEST(the_one_that_is_woken_collects_for_all)
{
    pthread_t joiners[JOINERS];
    weft_job *jobs[JOINERS];

    hold_worker();
    for (int i = 0; i < JOINERS; i++) {
        jobs[i] = i ? give(&(weft_task){.fn = count_it}) : held;
        joiners[i] = support_thread(join, jobs[i]);
    }
    eventually(sleepers(seat) == JOINERS);
    gate_open(&common->go);
    for (int i = 0; i < JOINERS; i++) {
        support_join(joiners[i]);
        expect_end(jobs[i], WEFT_OK);
    }
    eventually(is_deserted(seat));
    end_pool();
}

END_TEST

/* Each ends by its answer alone, there is nobody else; and that comes at every
 * moment of its joiner's way to sleep. */
START_TEST(no_answer_is_lost)
{
    const unsigned count = scaled(60000);

    (void)open_processes(&(weft_pool_options){.workers = 1});
    for (unsigned i = 0; i < count; i++) {
        weft_job *job = give(&(weft_task){.fn = count_it});
        const int64_t until = os_now() + i * 37 % 30000;

        while (os_now() < until)
            ;
        expect_end(job, WEFT_OK);
    }
    end_pool();
}

END_TEST

/* --- who leaves */

START_TEST(a_joiner_leaves_at_its_deadline)
{
    hold_worker();
    ck_assert_int_eq(weft_join(held, weft_in(20 * WEFT_MS)), WEFT_ETIMEDOUT);
    ck_assert(is_deserted(seat));
    ck_assert_int_eq(weft_join(held, WEFT_NOW), WEFT_ETIMEDOUT);
    ck_assert(is_deserted(seat));
    gate_open(&common->go);
    expect_end(held, WEFT_OK);
    end_pool();
}

END_TEST

/* Deadlines about when the task ends: whoever is woken and leaves has
 * collected. */
START_TEST(one_that_leaves_takes_no_answer_with_it)
{
    const unsigned count = scaled(3000);

    (void)open_processes(&(weft_pool_options){.workers = 1});
    for (unsigned i = 0; i < count; i++) {
        weft_job *job = give(&(weft_task){.fn = count_it});
        pthread_t joiner = support_thread(join, job);
        const int status =
            weft_join(job, weft_in(20 * WEFT_US + i % 64 * 1000));

        ck_assert(status == 0 || status == WEFT_ETIMEDOUT);
        support_join(joiner);
        weft_release(job);
    }
    end_pool();
}

END_TEST

/* Nobody looks at it, or it is the next worker's already. */
static bool
is_usable(const struct seat *at)
{
    lock_take(&pool->in.lock);
    const bool usable = atomic_load(&at->visitors) == 0 || at->worker;

    lock_give(&pool->in.lock);
    return usable;
}

/* Its worker dies: it goes where its task goes, and the dead worker's place is
 * free. */
START_TEST(a_joiner_follows_its_task)
{
    hold_worker();
    weft_job *job = give(&(weft_task){.fn = wait_for_go});
    pthread_t joiner = support_thread(join, job);

    eventually(sleepers(seat) == 1);
    kill_worker();
    eventually(is_usable(seat));
    gate_open(&common->go);
    support_join(joiner);
    eventually(is_deserted(seat));
    expect_end(job, WEFT_OK);
    expect_end(held, WEFT_EDIED);
    end_pool();
}

END_TEST

/* A task that says all the time that it has answered is not believed for ever:
 * then the program's own end of the job wakes the joiner. */
START_TEST(a_worker_that_counts_and_counts)
{
    hold_worker();
    pthread_t joiner = support_thread(join, held);

    eventually(sleepers(seat) == 1);
    for (int64_t start = 0; sleepers(seat) > 0 || !is_deserted(seat);) {
        atomic_fetch_add(&seat_door(seat)->done, 1);
        os_futex_wake(&seat_door(seat)->done, 1, true);
        ck_assert(support_look_again(&start));
    }
    gate_open(&common->go);
    support_join(joiner);
    expect_end(held, WEFT_OK);
    end_pool();
}

END_TEST

int
main(void)
{
    Suite *suite = suite_create("procpool/joiner");
    TCase *tcase = support_case(suite, "joiner", 30);

    tcase_add_checked_fixture(tcase, setup, NULL);
    tcase_add_test(tcase, a_joiner_sleeps_at_the_channel);
    tcase_add_test(tcase, the_one_that_is_woken_collects_for_all);
    tcase_add_test(tcase, no_answer_is_lost);
    tcase_add_test(tcase, a_joiner_leaves_at_its_deadline);
    tcase_add_test(tcase, one_that_leaves_takes_no_answer_with_it);
    tcase_add_test(tcase, a_joiner_follows_its_task);
    tcase_add_test(tcase, a_worker_that_counts_and_counts);
    return support_run(suite);
}
