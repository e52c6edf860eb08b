/* The channel of a worker: every order in which a task is taken back and taken,
 * and a door that a task has scribbled over. */
#include "support/channel_support.h"

#include <weft/status.h>

#include <stdlib.h>
#include <string.h>

enum {
    SOME = 8 /* tasks behind the one that holds the worker */
};

/* --- who has a task */

START_TEST(what_was_taken_back_does_not_run_there)
{
    hold_worker();
    weft_job *job = give(&(weft_task){.fn = count_it});

    ck_assert_uint_eq(claim_of(2), CHANNEL_OFFERED);
    ck_assert_int_eq(weft_stop(job), 0);
    expect_end(job, WEFT_ECANCELED);
    ck_assert_uint_eq(claim_of(2), CHANNEL_RETRACTED);
    ck_assert(!play_take(2));
    gate_open(&common->go);
    expect_end(held, WEFT_OK);
    expect_end(give(&(weft_task){.fn = count_it}), WEFT_OK);
    ck_assert_int_eq(atomic_load(&common->count), 1);
    end_pool();
}

END_TEST

static weft_job *
give_taken(void)
{
    weft_job *job = give(&(weft_task){.fn = count_it});

    ck_assert(play_take(2));
    return job;
}

START_TEST(what_was_taken_is_not_taken_back)
{
    hold_worker();
    weft_job *job = give_taken();

    (void)weft_stop(job);
    eventually(is_told(2));
    ck_assert_uint_eq(claim_of(2), CHANNEL_TAKEN);
    play_answer(1, (struct channel_answer){.end = CHANNEL_RETURNED});
    play_answer(2, (struct channel_answer){.end = CHANNEL_RETURNED});
    expect_end(held, WEFT_OK);
    expect_end(job, WEFT_OK);
    end_pool();
}

END_TEST

/* Whatever a task has written into its claim meanwhile. */
START_TEST(what_is_being_collected_is_not_taken_back)
{
    _Atomic uint32_t *claim;

    hold_worker();
    claim = &seat_door(seat)->claims[channel_place(1)];
    lock_take(&pool->in.lock);
    seat->collecting = true;
    atomic_store(claim, channel_claim(1, CHANNEL_OFFERED));
    ck_assert(!offer_retract(seat, held));
    seat->collecting = false;
    seat->unsent = 1;
    ck_assert(!offer_retract(seat, held));
    seat->unsent = 0;
    atomic_store(claim, channel_claim(1, CHANNEL_TAKEN));
    lock_give(&pool->in.lock);
    gate_open(&common->go);
    expect_end(held, WEFT_OK);
    end_pool();
}

END_TEST

START_TEST(what_another_took_the_worker_does_not_run)
{
    hold_worker();
    weft_job *job = give_taken();

    play_answer(1, (struct channel_answer){.end = CHANNEL_RETURNED});
    play_answer(2, (struct channel_answer){.end = CHANNEL_RETURNED});
    expect_end(job, WEFT_OK);
    gate_open(&common->go);
    expect_end(held, WEFT_OK);
    expect_end(give(&(weft_task){.fn = count_it}), WEFT_OK);
    ck_assert_int_eq(atomic_load(&common->count), 1);
    end_pool();
}

END_TEST

START_TEST(at_a_death_only_the_begun_one_is_lost)
{
    hold_worker();
    weft_job *taken = give(&(weft_task){.fn = count_it});
    weft_job *offered = give(&(weft_task){.fn = count_it});

    ck_assert(play_take(2));
    play_answer_quietly(1, (struct channel_answer){.end = CHANNEL_RETURNED});
    kill_worker();
    expect_end(held, WEFT_OK);
    expect_end(taken, WEFT_EDIED);
    expect_end(offered, WEFT_OK);
    ck_assert_int_eq(atomic_load(&common->count), 1);
    end_pool();
}

END_TEST

/* The orders that happen by themselves, with places used again. */
START_TEST(each_task_runs_once_or_is_canceled)
{
    weft_job *jobs[SOME];
    int ran = 0;

    (void)open_processes(&(weft_pool_options){.workers = 2});
    for (unsigned i = 0; i < scaled(500); i++) {
        lock_take(&pool->in.lock);
        pool->pace = 1;
        lock_give(&pool->in.lock);
        for (unsigned j = 0; j < SOME; j++)
            jobs[j] = give(&(weft_task){.fn = count_it});
        for (unsigned j = i % SOME; j < SOME; j += 2)
            (void)weft_stop(jobs[j]);
        for (unsigned j = 0; j < SOME; j++) {
            must_join(jobs[j]);
            ran += outcome(jobs[j])->status == WEFT_OK;
            weft_release(jobs[j]);
        }
    }
    ck_assert_int_eq(ran, atomic_load(&common->count));
    end_pool();
}

END_TEST

/* --- a task that has scribbled over what its worker shares */

static void
zeros(uint32_t *words, size_t count)
{
    memset(words, 0, count * sizeof *words);
}

static void
ones(uint32_t *words, size_t count)
{
    memset(words, 0xff, count * sizeof *words);
}

static void
garbage(uint32_t *words, size_t count)
{
    for (size_t i = 0; i < count; i++)
        words[i] = (uint32_t)random() << 1;
}

/* What was at one place is at the next. */
static void
moved(uint32_t *words, size_t count)
{
    memmove(words + 1, words, (count - 1) * sizeof *words);
}

static void
of_the_future(uint32_t *words, size_t count)
{
    for (size_t i = 0; i < count; i++)
        words[i] += 4 * CHANNEL_TASKS;
}

static void (*const scribbles[])(uint32_t *words, size_t count) = {
    zeros, ones, garbage, garbage, garbage, moved, of_the_future};

/* Over the file, or ThreadSanitizer would take it for the program's. */
static void
scribble(int how)
{
    static uint32_t words[CHANNEL_ANSWERS_AT / sizeof(uint32_t)];

    srandom((unsigned)how + 1);
    ck_assert_int_eq(
        os_file_get(seat->file, CHANNEL_DOOR_AT, words, sizeof words), 0);
    scribbles[how](words, sizeof words / sizeof *words);
    ck_assert_int_eq(
        os_file_put(seat->file, CHANNEL_DOOR_AT, words, sizeof words), 0);
}

/* Either it ran, or its end says why not. */
static bool
has_run(weft_job *job)
{
    must_join(job);
    const weft_outcome *out = outcome(job);
    const bool ran = out->status == WEFT_OK;

    if (!ran) {
        ck_assert_int_eq(out->status, WEFT_EFAILED);
        ck_assert_msg(strstr(out->message, "overwritten"), "%s", out->message);
    }
    weft_release(job);
    return ran;
}

START_TEST(a_door_that_was_scribbled_over)
{
    weft_job *jobs[SOME];
    int ran = 0;

    hold_worker();
    for (int i = 0; i < SOME; i++)
        jobs[i] = give(&(weft_task){.fn = count_it});
    scribble(_i);
    gate_open(&common->go);
    expect_end(held, WEFT_OK);
    for (int i = 0; i < SOME; i++)
        ran += has_run(jobs[i]);
    ck_assert_int_eq(atomic_load(&common->count), ran);
    expect_end(give(&(weft_task){.fn = count_it}), WEFT_OK);
    end_pool();
}

END_TEST

START_TEST(a_scribbled_door_does_not_make_it_slow)
{
    const int64_t begun = os_now();

    hold_worker();
    scribble(_i);
    gate_open(&common->go);
    expect_end(held, WEFT_OK);
    for (int i = 0; i < 10; i++) {
        /* It must be woken; without that it looks once a second. */
        eventually(support_state(seat->pid) == 'S');
        expect_end(give(&(weft_task){.fn = count_it}), WEFT_OK);
    }
    ck_assert_int_lt(os_now() - begun, patient(5 * WEFT_SECOND));
    end_pool();
}

END_TEST

START_TEST(a_death_behind_a_scribbled_door)
{
    weft_job *jobs[SOME];

    hold_worker();
    for (int i = 0; i < SOME; i++)
        jobs[i] = give(&(weft_task){.fn = count_it});
    scribble(_i);
    kill_worker();
    expect_end(held, WEFT_EDIED);
    for (int i = 0; i < SOME; i++)
        expect_end(jobs[i], WEFT_OK);
    ck_assert_int_eq(atomic_load(&common->count), SOME);
    end_pool();
}

END_TEST

/* A join keeps its deadline, whatever a task does with the door meanwhile. */
static void *
keep_counting(void *unused)
{
    (void)unused;
    while (atomic_load(&common->go.open) == 0)
        atomic_fetch_add(&seat_door(seat)->done, 1);
    return NULL;
}

START_TEST(a_join_ends_while_the_door_changes)
{
    hold_worker();
    pthread_t thread = support_thread(keep_counting, NULL);

    ck_assert_int_eq(weft_join(held, weft_in(20 * WEFT_MS)), WEFT_ETIMEDOUT);
    gate_open(&common->go);
    support_join(thread);
    expect_end(held, WEFT_OK);
    end_pool();
}

END_TEST

int
main(void)
{
    Suite *suite = suite_create("procpool/channel");
    TCase *tcase = support_case(suite, "claims", 30);

    tcase_add_checked_fixture(tcase, common_make, NULL);
    tcase_add_test(tcase, what_was_taken_back_does_not_run_there);
    tcase_add_test(tcase, what_was_taken_is_not_taken_back);
    tcase_add_test(tcase, what_is_being_collected_is_not_taken_back);
    tcase_add_test(tcase, what_another_took_the_worker_does_not_run);
    tcase_add_test(tcase, at_a_death_only_the_begun_one_is_lost);
    tcase_add_test(tcase, each_task_runs_once_or_is_canceled);
    tcase = support_case(suite, "door", 30);
    tcase_add_checked_fixture(tcase, common_make, NULL);
    support_add_table(tcase, a_door_that_was_scribbled_over, scribbles);
    support_add_table(tcase, a_scribbled_door_does_not_make_it_slow, scribbles);
    support_add_table(tcase, a_death_behind_a_scribbled_door, scribbles);
    tcase_add_test(tcase, a_join_ends_while_the_door_changes);
    return support_run(suite);
}
