/* Answers that no worker would give. */
#include "support/channel_support.h"

#include <weft/status.h>

#include <limits.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

enum {
    SOME = 8 /* tasks behind the one that holds the worker */
};

/* --- answers */

static const struct {
    struct channel_answer answer;
    int status, code;
    const char *word; /* in its message */
} lies[] = {
    {{.end = CHANNEL_RETURNED, .result_size = UINT64_MAX},
     WEFT_EFAILED,
     WEFT_ENOMEM,
     "no memory for its result"},
    {{.end = CHANNEL_RETURNED, .result_size = (uint64_t)1 << 63},
     WEFT_EFAILED,
     WEFT_ENOMEM,
     "no memory for its result"},
    {{.end = CHANNEL_RETURNED, .result_size = ((uint64_t)64 << 30) + 1},
     WEFT_EFAILED,
     WEFT_ENOMEM,
     "no memory for its result"},
    {{.end = CHANNEL_RETURNED, .result_size = CHANNEL_BYTES + 1},
     WEFT_OK,
     0,
     ""},
    {{.end = CHANNEL_RETURNED, .result_size = CHANNEL_BYTES}, WEFT_OK, 0, ""},
    {{.end = CHANNEL_RETURNED, .code = INT_MIN, .result_size = 4},
     WEFT_EFAILED,
     INT_MIN,
     ""},
    {{.end = CHANNEL_RETURNED, .code = -1, .message_size = UINT32_MAX},
     WEFT_EFAILED,
     -1,
     "???"},
    {{.end = CHANNEL_RETURNED, .code = 1, .message_size = CHANNEL_BYTES + 1},
     WEFT_EFAILED,
     1,
     "???"},
    {{.end = CHANNEL_LOST}, WEFT_EFAILED, WEFT_EFAILED, ""},
    {{.end = CHANNEL_NEVER_BEGAN, .result_size = UINT64_MAX},
     WEFT_ECANCELED,
     0,
     ""},
    {{.end = UINT32_MAX, .wall = INT64_MIN, .cpu = INT64_MAX}, WEFT_OK, 0, ""},
    {{.end = CHANNEL_RETURNED, .wall = INT64_MAX, .cpu = INT64_MIN},
     WEFT_OK,
     0,
     ""},
};

START_TEST(an_answer_is_believed_no_more_than_its_sizes)
{
    struct channel_answer answer = lies[_i].answer;

    hold_worker();
    memset(answer.bytes, 0xff, sizeof answer.bytes);
    play_answer(1, answer);
    must_join(held);
    const weft_outcome *out = outcome(held);

    ck_assert_int_eq(out->status, lies[_i].status);
    ck_assert_int_eq(out->code, lies[_i].code);
    ck_assert_msg(strstr(out->message, lies[_i].word), "%s", out->message);
    ck_assert_uint_lt(strlen(out->message), TEXT_MESSAGE);
    ck_assert_int_ge(out->cpu, 0);
    ck_assert_int_ge(out->wall, out->cpu);
    ck_assert_int_lt(out->wall, patient(60 * WEFT_SECOND));
    weft_release(held);
    gate_open(&common->go);
    expect_end(give(&(weft_task){.fn = count_it}), WEFT_OK);
    end_pool();
}

END_TEST

START_TEST(an_answer_from_the_future_ends_one_task)
{
    hold_worker();
    for (uint32_t number = 2; number < 3 * CHANNEL_TASKS; number++)
        play_answer_quietly(number,
                            (struct channel_answer){.end = CHANNEL_RETURNED});
    /* Behind one that has not ended nothing is looked at. */
    weft_job *job = give(&(weft_task){.fn = count_it});

    ck_assert_int_eq(weft_join(job, WEFT_NOW), WEFT_ETIMEDOUT);
    gate_open(&common->go);
    expect_end(held, WEFT_OK);
    must_join(job);
    ck_assert_int_eq(outcome(job)->status, WEFT_OK);
    weft_release(job);
    for (int i = 0; i < 4 * CHANNEL_TASKS; i++)
        expect_end(give(&(weft_task){.fn = count_it}), WEFT_OK);
    end_pool();
}

END_TEST

START_TEST(garbage_in_all_answers)
{
    static uint32_t words[CHANNEL_ANSWERS * sizeof(struct channel_answer) / 4];
    weft_job *jobs[SOME];

    hold_worker();
    for (int i = 0; i < SOME; i++)
        jobs[i] = give(&(weft_task){.fn = count_it});
    srandom((unsigned)_i + 1);
    for (size_t i = 0; i < sizeof words / sizeof *words; i++)
        words[i] = (uint32_t)random() << 1;
    ck_assert_int_eq(
        os_file_put(seat->file, CHANNEL_ANSWERS_AT, words, sizeof words), 0);
    gate_open(&common->go);
    expect_end(held, WEFT_OK);
    for (int i = 0; i < SOME; i++)
        expect_end(jobs[i], WEFT_OK);
    ck_assert_int_eq(atomic_load(&common->count), SOME);
    end_pool();
}

END_TEST

/* --- a fresh answer, which a later task may have scribbled over */

static void
play_fresh(uint32_t number, struct channel_answer answer)
{
    struct channel_answer *fresh = seat_fresh(seat, channel_place(number));

    answer.seal = channel_seal(&answer, number);
    memcpy((char *)fresh + sizeof number, (char *)&answer + sizeof number,
           sizeof answer - sizeof number);
    atomic_store(&fresh->number, number);
}

START_TEST(a_fresh_answer_is_believed_until_the_next_is_begun)
{
    hold_worker();
    weft_job *offered = give(&(weft_task){.fn = count_it});

    play_fresh(1, (struct channel_answer){.end = CHANNEL_RETURNED, .code = 7});
    expect_end(held, WEFT_EFAILED);
    gate_open(&common->go);
    expect_end(offered, WEFT_OK);
    end_pool();
}

END_TEST

/* With as many taken back between the two as _i says. */
START_TEST(a_fresh_answer_is_not_believed_once_another_is_begun)
{
    const struct channel_answer good = {.end = CHANNEL_RETURNED},
                                bad = {.end = CHANNEL_RETURNED, .code = 7};

    hold_worker();
    for (int i = 0; i < _i; i++) {
        weft_job *job = give(&(weft_task){.fn = count_it});

        ck_assert_int_eq(weft_stop(job), 0);
        expect_end(job, WEFT_ECANCELED);
    }
    const uint32_t next = 2 + (uint32_t)_i;
    weft_job *taken = give(&(weft_task){.fn = count_it});

    ck_assert(play_take(next));
    play_fresh(1, bad);
    collect(seat);
    ck_assert_int_eq(weft_join(held, WEFT_NOW), WEFT_ETIMEDOUT);
    play_answer(1, good);
    expect_end(held, WEFT_OK);
    play_answer(next, good);
    expect_end(taken, WEFT_OK);
    end_pool();
}

END_TEST

/* --- an answer that is just being written, or that only looks like one */

START_TEST(an_answer_is_not_believed_without_its_seal)
{
    const struct channel_answer good = {.end = CHANNEL_RETURNED};
    struct channel_answer *fresh;

    hold_worker();
    fresh = seat_fresh(seat, channel_place(1));
    /* As it is while the rest is written. */
    struct channel_answer torn = {.number = 1};

    ck_assert_int_eq(os_file_put(seat->file,
                                 channel_answer_at(channel_place(1)), &torn,
                                 sizeof torn),
                     0);
    play_fresh(1, good);
    for (size_t at = offsetof(struct channel_answer, end);
         at < offsetof(struct channel_answer, bytes); at++) {
        ((char *)fresh)[at] ^= 1;
        collect(seat);
        ck_assert_int_eq(weft_join(held, WEFT_NOW), WEFT_ETIMEDOUT);
        ((char *)fresh)[at] ^= 1;
    }
    collect(seat);
    expect_end(held, WEFT_OK);
    gate_open(&common->go);
    end_pool();
}

END_TEST

/* --- an answer to a task whose argument is still being copied */

static void *
keep_collecting(void *unused)
{
    (void)unused;
    while (atomic_load(&common->done.open) == 0)
        collect(seat);
    return NULL;
}

static void
limit_files(rlim_t bytes)
{
    struct rlimit limit;

    ck_assert_int_eq(getrlimit(RLIMIT_FSIZE, &limit), 0);
    limit.rlim_cur = bytes;
    ck_assert_int_eq(setrlimit(RLIMIT_FSIZE, &limit), 0);
}

static bool
is_idle(void)
{
    lock_take(&pool->in.lock);
    const bool idle = seat->state == SEAT_IDLE;

    lock_give(&pool->in.lock);
    return idle;
}

/* A task whose argument cannot be copied further than half of it. */
static weft_job *
give_half(void)
{
    const size_t size = (size_t)8 * CHANNEL_WINDOW;
    void *bytes = calloc(1, size);

    ck_assert_ptr_nonnull(bytes);
    (void)signal(SIGXFSZ, SIG_IGN);
    limit_files(CHANNEL_ARGUMENT_AT + size / 2);
    weft_job *job =
        give(&(weft_task){.fn = count_it, .arg = bytes, .arg_size = size});

    limit_files(RLIM_INFINITY);
    free(bytes);
    return job;
}

START_TEST(an_answer_to_what_was_not_offered)
{
    hold_worker();
    gate_open(&common->go);
    expect_end(held, WEFT_OK);
    eventually(is_idle());
    play_answer_quietly(2, (struct channel_answer){.end = CHANNEL_RETURNED});
    pthread_t thread = support_thread(keep_collecting, NULL);

    weft_job *job = give_half();

    must_join(job);
    gate_open(&common->done);
    support_join(thread);
    ck_assert_int_eq(outcome(job)->status, WEFT_EFAILED);
    ck_assert_ptr_nonnull(strstr(outcome(job)->message, "argument"));
    weft_release(job);
    expect_end(give(&(weft_task){.fn = count_it}), WEFT_OK);
    ck_assert_int_eq(atomic_load(&common->count), 1);
    end_pool();
}

END_TEST

int
main(void)
{
    Suite *suite = suite_create("procpool/answers");
    TCase *tcase = support_case(suite, "answers", 30);

    tcase_add_checked_fixture(tcase, common_make, NULL);
    support_add_table(tcase, an_answer_is_believed_no_more_than_its_sizes,
                      lies);
    tcase_add_test(tcase, an_answer_from_the_future_ends_one_task);
    tcase_add_loop_test(tcase, garbage_in_all_answers, 0, 4);
    tcase_add_test(tcase, a_fresh_answer_is_believed_until_the_next_is_begun);
    tcase_add_loop_test(
        tcase, a_fresh_answer_is_not_believed_once_another_is_begun, 0, 4);
    tcase_add_test(tcase, an_answer_is_not_believed_without_its_seal);
    tcase_add_test(tcase, an_answer_to_what_was_not_offered);
    return support_run(suite);
}
