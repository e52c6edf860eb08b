/* Waiting for a job's end. */
#include "support/worker_support.h"

#include <string.h>

#define KIND kinds[_i]

enum {
    JOINERS = 8
};

/* --- many joiners */

struct joiner {
    weft_job *job;
    int status, code;
    const weft_outcome *outcome;
};

static void *
join_it(void *memory)
{
    struct joiner *joiner = memory;

    joiner->status = weft_join(joiner->job, WEFT_FOREVER);
    joiner->outcome = weft_outcome_of(joiner->job);
    joiner->code = joiner->outcome ? joiner->outcome->code : -1;
    return NULL;
}

static int
join_in_worker(weft_call *call)
{
    join_it((void *)(uintptr_t)call->arg);
    return 0;
}

static int
go_and_fail(weft_call *call)
{
    (void)wait_for_go(call);
    return 77;
}

START_TEST(all_joiners_see_the_same)
{
    struct joiner joiners[2 * JOINERS] = {{0}};
    pthread_t threads[JOINERS];
    weft_job *workers[JOINERS];
    weft_job *job = must_start(KIND, &(weft_task){.fn = go_and_fail});

    for (int i = 0; i < 2 * JOINERS; i++)
        joiners[i].job = job;
    for (int i = 0; i < JOINERS; i++) {
        threads[i] = support_thread(join_it, &joiners[i]);
        workers[i] =
            must_start(WEFT_THREAD, &(weft_task){.fn = join_in_worker,
                                                 .arg = &joiners[JOINERS + i]});
    }
    for (int i = 0; i < JOINERS; i++)
        eventually(state_of(workers[i]) == WEFT_WAITING);
    gate_open(&common->go);
    for (int i = 0; i < JOINERS; i++) {
        support_join(threads[i]);
        expect_end(workers[i], WEFT_OK);
    }
    for (int i = 0; i < 2 * JOINERS; i++) {
        ck_assert_int_eq(joiners[i].status, 0);
        ck_assert_int_eq(joiners[i].code, 77);
        ck_assert_ptr_eq(joiners[i].outcome, outcome(job));
    }
    ck_assert_int_eq(outcome(job)->status, WEFT_EFAILED);
    weft_release(job);
}

END_TEST

/* --- at the very moment of the end */

static int
end_at_the_signal(weft_call *call)
{
    unsigned spins = *(const unsigned *)call->arg;

    atomic_store(&common->value, 1);
    while (spins-- > 0)
        atomic_signal_fence(memory_order_seq_cst);
    *(unsigned *)call->result = *(const unsigned *)call->arg;
    return 0;
}

START_TEST(a_join_at_the_moment_of_the_end_is_right)
{
    const unsigned count = scaled(KIND == WEFT_THREAD ? 100000 : 2000);

    for (unsigned i = 0; i < count; i++) {
        const unsigned spins = i * 7919 % 997;
        unsigned result = 12345;

        atomic_store(&common->value, 0);
        weft_job *job =
            must_start(KIND, &(weft_task){.fn = end_at_the_signal,
                                          WEFT_ARG(spins),
                                          .result_size = sizeof result});

        if (i % 2)
            while (atomic_load(&common->value) == 0)
                ;
        if (i % 4 == 3)
            while (weft_is_alive(job))
                ;
        if (weft_result(job, &result, sizeof result, WEFT_FOREVER) != 0 ||
            result != spins || weft_is_alive(job))
            ck_abort_msg("round %u: %s", i, weft_why());
        weft_release(job);
    }
}

END_TEST

/* Two that wait beside each other, and a release at once after the end. */
static int
join_and_release(weft_call *call)
{
    weft_job *job = *(weft_job *const *)call->arg;
    const int status = weft_join(job, WEFT_FOREVER);

    weft_release(job);
    return status;
}

START_TEST(the_last_holder_may_let_go_at_once)
{
    const unsigned count = scaled(KIND == WEFT_THREAD ? 20000 : 500);

    ck_assert_int_eq(weft_init(NULL), 0);
    for (unsigned i = 0; i < count; i++) {
        weft_job *job = must_start(KIND, &(weft_task){.fn = do_nothing});
        weft_job *own = weft_retain(job);
        weft_job *other = must_start(
            WEFT_THREAD, &(weft_task){.fn = join_and_release, WEFT_ARG(own)});

        (void)join_and_release(&(weft_call){.arg = &job});
        expect_end(other, WEFT_OK);
    }
}

END_TEST

/* --- deadlines */

START_TEST(a_deadline_in_the_past_does_not_wait)
{
    weft_job *job = must_start(KIND, &(weft_task){.fn = wait_for_go});
    const weft_time past[] = {WEFT_NOW, weft_at(1), weft_at(-1),
                              weft_at(INT64_MIN), weft_in(-WEFT_SECOND)};
    const weft_time before = weft_now();

    for (size_t i = 0; i < sizeof past / sizeof *past; i++) {
        expect_refused(weft_join(job, past[i]), WEFT_ETIMEDOUT, weft_name(job));
        ck_assert_int_eq(weft_result(job, NULL, 0, past[i]), WEFT_ETIMEDOUT);
    }
    ck_assert_int_lt(weft_now().ns - before.ns, patient(1 * WEFT_SECOND));
    gate_open(&common->go);
    must_join(job);
    for (size_t i = 0; i < sizeof past / sizeof *past; i++) {
        ck_assert_int_eq(weft_join(job, past[i]), 0);
        ck_assert_int_eq(weft_result(job, NULL, 0, past[i]), 0);
    }
    weft_release(job);
}

END_TEST

START_TEST(a_deadline_is_kept)
{
    weft_job *job = must_start(KIND, &(weft_task){.fn = wait_for_go});
    const weft_time before = weft_now();

    ck_assert_int_eq(weft_join(job, weft_in(200 * WEFT_MS)), WEFT_ETIMEDOUT);
    const weft_duration took = weft_now().ns - before.ns;

    ck_assert_int_ge(took, 200 * WEFT_MS);
    ck_assert_int_lt(took, 200 * WEFT_MS + patient(500 * WEFT_MS));
    ck_assert(weft_is_alive(job));
    gate_open(&common->go);
    expect_end(job, WEFT_OK);
}

END_TEST

static void *
open_when_waited_for(void *worker)
{
    eventually(state_of(worker) == WEFT_WAITING);
    gate_open(&common->go);
    return NULL;
}

static int
join_far_away(weft_call *call)
{
    const weft_duration years_200 =
        (weft_duration)200 * 365 * 86400 * WEFT_SECOND;
    weft_job *job = (weft_job *)(uintptr_t)call->arg;

    return weft_join(job, weft_in(years_200));
}

START_TEST(a_deadline_may_be_centuries_away)
{
    ck_assert_int_eq(weft_init(NULL), 0);
    weft_job *job = must_start(KIND, &(weft_task){.fn = wait_for_go});
    weft_job *joiner =
        must_start(WEFT_THREAD, &(weft_task){.fn = join_far_away, .arg = job});

    open_when_waited_for(joiner);
    expect_end(joiner, WEFT_OK);
    expect_end(job, WEFT_OK);
}

END_TEST

START_TEST(an_ended_job_is_joined_again_and_again)
{
    struct joiner joiners[JOINERS] = {{0}};
    pthread_t threads[JOINERS];
    weft_job *job = must_run(KIND, &(weft_task){.fn = do_nothing});

    for (int i = 0; i < 1000; i++)
        ck_assert_int_eq(weft_join(job, WEFT_FOREVER), 0);
    for (int i = 0; i < JOINERS; i++) {
        joiners[i].job = job;
        threads[i] = support_thread(join_it, &joiners[i]);
    }
    for (int i = 0; i < JOINERS; i++) {
        support_join(threads[i]);
        ck_assert_int_eq(joiners[i].status, 0);
    }
    weft_release(job);
}

END_TEST

/* --- oneself */

static weft_job *own_job;

static int
join_oneself(weft_call *call)
{
    (void)call;
    gate_pass(&common->go); /* own_job is set by now */
    const weft_source source = {.job = own_job};

    child_expect(weft_join(own_job, WEFT_FOREVER) == WEFT_EDEADLK);
    child_expect(strstr(weft_why(), "itself") || strstr(weft_why(), "own end"));
    child_expect(weft_result(own_job, NULL, 0, WEFT_FOREVER) == WEFT_EDEADLK);
    child_expect(weft_wait_any(&source, 1, 0, WEFT_NOW) == WEFT_ETIMEDOUT);
    child_expect(weft_is_alive(own_job));
    child_expect(!weft_outcome_of(own_job));
    return 0;
}

static int
join_from_serial(weft_call *call)
{
    weft_job *job = NULL;

    (void)call;
    child_expect(
        weft_start(&job, WEFT_SERIAL, &(weft_task){.fn = join_oneself}) == 0);
    child_expect(weft_outcome_of(job)->status == 0);
    weft_release(job);
    return weft_start(NULL, WEFT_SERIAL, &(weft_task){.fn = join_oneself});
}

static int
join_from_two_serials(weft_call *call)
{
    (void)call;
    return weft_start(NULL, WEFT_SERIAL, &(weft_task){.fn = join_from_serial});
}

static weft_fn *const selfish[] = {join_oneself, join_from_serial,
                                   join_from_two_serials};

START_TEST(a_job_cannot_join_itself)
{
    own_job = must_start(WEFT_THREAD, &(weft_task){.fn = selfish[_i]});
    gate_open(&common->go);
    expect_end(own_job, WEFT_OK);
}

END_TEST

/* Each waits for the other: no promise to see it, but a deadline ends it. */
static int
join_other(weft_call *call)
{
    weft_job *const *other = call->arg;

    gate_pass(&common->go);
    return weft_join(*other, weft_in(20 * WEFT_MS));
}

START_TEST(two_that_wait_for_each_other_keep_their_deadlines)
{
    static weft_job *pair[2];

    for (int i = 0; i < 2; i++)
        pair[i] = must_start(WEFT_THREAD,
                             &(weft_task){.fn = join_other, .arg = &pair[!i]});
    gate_open(&common->go);
    must_join(pair[0]);
    must_join(pair[1]);
    const int first = outcome(pair[0])->code, second = outcome(pair[1])->code;

    ck_assert(first == WEFT_ETIMEDOUT || second == WEFT_ETIMEDOUT);
    weft_release(pair[0]);
    weft_release(pair[1]);
}

END_TEST

/* --- a joiner that is stopped */

static int
join_given(weft_call *call)
{
    weft_job *job = (weft_job *)(uintptr_t)call->arg;

    return weft_join(job, WEFT_FOREVER);
}

START_TEST(a_stopped_joiner_leaves_the_job_alone)
{
    ck_assert_int_eq(weft_init(NULL), 0);
    weft_job *job = must_start(KIND, &(weft_task){.fn = wait_for_go});
    weft_job *joiner =
        must_start(WEFT_THREAD, &(weft_task){.fn = join_given, .arg = job});

    eventually(state_of(joiner) == WEFT_WAITING);
    ck_assert_int_eq(weft_stop(joiner), 0);
    must_join(joiner);
    ck_assert_int_eq(outcome(joiner)->code, WEFT_ECANCELED);
    expect_end(joiner, WEFT_ECANCELED);
    ck_assert(weft_is_alive(job));
    gate_open(&common->go);
    expect_end(job, WEFT_OK);
}

END_TEST

int
main(void)
{
    Suite *suite = suite_create("join");
    TCase *tcase = support_case(suite, "join", 20);

    tcase_add_checked_fixture(tcase, common_make, NULL);
    add_for_kinds(tcase, all_joiners_see_the_same);
    add_for_kinds(tcase, a_join_at_the_moment_of_the_end_is_right);
    add_for_kinds(tcase, the_last_holder_may_let_go_at_once);
    add_for_kinds(tcase, a_deadline_in_the_past_does_not_wait);
    add_for_kinds(tcase, a_deadline_is_kept);
    add_for_kinds(tcase, a_deadline_may_be_centuries_away);
    add_for_kinds(tcase, an_ended_job_is_joined_again_and_again);
    support_add_table(tcase, a_job_cannot_join_itself, selfish);
    tcase_add_test(tcase, two_that_wait_for_each_other_keep_their_deadlines);
    add_for_kinds(tcase, a_stopped_joiner_leaves_the_job_alone);
    return support_run(suite);
}
