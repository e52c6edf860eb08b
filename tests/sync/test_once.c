/* Things done once, among threads and among processes. */
#include "support/actor_support.h"

#include <string.h>
#include <unistd.h>

enum {
    CALLERS = 6,
    MANY = 2000
};

static struct board {
    weft_once once, others[MANY];
    _Atomic int runs, running, failures;
    _Atomic int of[MANY];
    int made; /* by whoever did it */
} * board;

static void
make(void)
{
    actors_make();
    board = support_share(sizeof *board);
}

static void
set_for(weft_kind kind)
{
    board->once.shared = kind == WEFT_PROCESS;
    for (int i = 0; i < MANY; i++)
        board->others[i].shared = board->once.shared;
}

/* Waits for the go; fails as long as it is to. */
static int
do_slowly(void *arg)
{
    (void)arg;
    if (atomic_fetch_add(&board->running, 1) != 0)
        return 99;
    atomic_fetch_add(&board->runs, 1);
    gate_open(&common->begun);
    gate_pass(&common->go);
    board->made = 42;
    atomic_fetch_sub(&board->running, 1);
    return atomic_fetch_sub(&board->failures, 1) > 0 ? 7 : 0;
}

static int
call_slowly(int64_t unused)
{
    (void)unused;
    const int status = weft_once_do(&board->once, do_slowly, NULL);

    return status == 0 && board->made != 42 ? 98 : status;
}

static int
count_run(void *arg)
{
    atomic_fetch_add((_Atomic int *)arg, 1);
    return 0;
}

static int
call_all(int64_t unused)
{
    (void)unused;
    for (int i = 0; i < MANY; i++)
        if (weft_once_do(&board->others[i], count_run, &board->of[i]) != 0 ||
            atomic_load(&board->of[i]) != 1)
            return i + 1;
    return 0;
}

START_TEST(exactly_once)
{
    struct actor *callers[CALLERS];

    set_for(kinds[_i]);
    for (int i = 0; i < CALLERS; i++)
        callers[i] = actor_start(kinds[_i], "caller");
    for (int i = 0; i < CALLERS; i++)
        actor_begin(callers[i], call_all, 0);
    for (int i = 0; i < CALLERS; i++) {
        ck_assert_int_eq(actor_result(callers[i]), 0);
        actor_leave(callers[i]);
    }
    for (int i = 0; i < MANY; i++)
        ck_assert_int_eq(atomic_load(&board->of[i]), 1);
}

END_TEST

START_TEST(all_wait_until_it_is_done)
{
    struct actor *callers[CALLERS];

    set_for(kinds[_i]);
    for (int i = 0; i < CALLERS; i++)
        callers[i] = actor_start(kinds[_i], "caller");
    actor_begin(callers[0], call_slowly, 0);
    gate_pass(&common->begun);
    for (int i = 1; i < CALLERS; i++)
        actor_begin_waiting(callers[i], call_slowly, 0);
    actor_stop(callers[1]); /* does not end it */
    gate_open(&common->go);
    for (int i = 0; i < CALLERS; i++) {
        ck_assert_int_eq(actor_result(callers[i]), 0);
        actor_leave(callers[i]);
    }
    ck_assert_int_eq(atomic_load(&board->runs), 1);
    ck_assert_int_eq(call_slowly(0), 0);
    ck_assert_int_eq(atomic_load(&board->runs), 1);
}

END_TEST

START_TEST(after_a_failure_the_next_does_it)
{
    struct actor *callers[CALLERS];
    int failed = 0;

    set_for(kinds[_i]);
    atomic_store(&board->failures, 3);
    for (int i = 0; i < CALLERS; i++) {
        callers[i] = actor_start(kinds[_i], "caller");
        actor_begin(callers[i], call_slowly, 0);
    }
    gate_pass(&common->begun);
    gate_open(&common->go);
    for (int i = 0; i < CALLERS; i++) {
        const int status = actor_result(callers[i]);

        ck_assert(status == 0 || status == 7);
        failed += status == 7;
        actor_leave(callers[i]);
    }
    ck_assert_int_eq(failed, 3);
    ck_assert_int_eq(atomic_load(&board->runs), 4);
    ck_assert_int_eq(call_slowly(0), 0);
    ck_assert_int_eq(atomic_load(&board->runs), 4);
}

END_TEST

START_TEST(after_a_death_the_next_does_it)
{
    set_for(WEFT_PROCESS);
    struct actor *victim = actor_start(WEFT_PROCESS, "victim");
    struct actor *others[3];

    for (int i = 0; i < 3; i++)
        others[i] = actor_start(WEFT_PROCESS, "other");
    actor_begin(victim, call_slowly, 0);
    gate_pass(&common->begun);
    if (_i)
        for (int i = 0; i < 3; i++)
            actor_begin_waiting(others[i], call_slowly, 0);
    atomic_store(&board->running, 0); /* it will not come to that */
    gate_open(&common->begun);
    ck_assert_int_eq(atomic_load(&board->runs), 1);
    actor_kill(victim);
    if (!_i)
        for (int i = 0; i < 3; i++)
            actor_begin(others[i], call_slowly, 0);
    eventually(atomic_load(&board->runs) == 2);
    gate_open(&common->go);
    for (int i = 0; i < 3; i++) {
        ck_assert_int_eq(actor_result(others[i]), 0);
        actor_leave(others[i]);
    }
    ck_assert_int_eq(atomic_load(&board->runs), 2);
}

END_TEST

static int
end_thread(void *arg)
{
    (void)arg;
    gate_open(&common->begun);
    gate_pass(&common->go);
    pthread_exit(NULL);
}

static void *
run_and_end(void *unused)
{
    (void)unused;
    child_expect(weft_once_do(&board->once, end_thread, NULL) == 0);
    return NULL;
}

static int
call_quickly(int64_t unused)
{
    (void)unused;
    return weft_once_do(&board->once, count_run, &board->runs);
}

START_TEST(after_a_thread_s_end_the_next_does_it)
{
    set_for(kinds[_i]);
    struct actor *waiter = actor_start(WEFT_THREAD, "waiter");
    const pthread_t thread = support_thread(run_and_end, NULL);

    gate_pass(&common->begun);
    actor_begin_waiting(waiter, call_quickly, 0);
    gate_open(&common->go);
    support_join(thread);
    ck_assert_int_eq(actor_result(waiter), 0);
    ck_assert_int_eq(atomic_load(&board->runs), 1);
    actor_leave(waiter);
}

END_TEST

static int
call_itself(void *arg)
{
    (void)arg;
    atomic_fetch_add(&board->runs, 1);
    return weft_once_do(&board->once, call_itself, NULL);
}

static int
call_another(void *arg)
{
    return weft_once_do(&board->others[0], count_run, arg);
}

START_TEST(nested)
{
    set_for(kinds[_i]);
    expect_refused(weft_once_do(&board->once, call_itself, NULL), WEFT_EDEADLK,
                   "");
    ck_assert_int_eq(atomic_load(&board->runs), 1);
    /* Which was a failure. */
    ck_assert_int_eq(weft_once_do(&board->once, call_another, &board->runs), 0);
    ck_assert_int_eq(atomic_load(&board->runs), 2);
    ck_assert_int_eq(weft_once_do(&board->once, call_itself, NULL), 0);
    ck_assert_int_eq(atomic_load(&board->runs), 2);
}

END_TEST

static int
return_it(void *arg)
{
    return *(int *)arg;
}

START_TEST(any_other_result_is_a_failure)
{
    static const int results[] = {1, -1, WEFT_EFAILED, INT32_MIN, INT32_MAX};

    set_for(kinds[_i]);
    for (unsigned i = 0; i < sizeof results / sizeof *results; i++) {
        int result = results[i];

        ck_assert_int_eq(weft_once_do(&board->once, return_it, &result),
                         result);
    }
    ck_assert_int_eq(weft_once_do(&board->once, count_run, &board->runs), 0);
    ck_assert_int_eq(atomic_load(&board->runs), 1);
}

END_TEST

START_TEST(nothing_to_do)
{
    expect_refused(weft_once_do(NULL, count_run, &board->runs), WEFT_EINVAL,
                   "once");
    expect_refused(weft_once_do(&board->once, NULL, NULL), WEFT_EINVAL, "fn");
    ck_assert_int_eq(weft_once_do(&board->once, count_run, &board->runs), 0);
    ck_assert_int_eq(atomic_load(&board->runs), 1);
}

END_TEST

int
main(void)
{
    Suite *suite = suite_create("once");
    TCase *tcase = support_case(suite, "once", 30);

    tcase_add_checked_fixture(tcase, make, NULL);
    add_for_kinds(tcase, exactly_once);
    add_for_kinds(tcase, all_wait_until_it_is_done);
    add_for_kinds(tcase, after_a_failure_the_next_does_it);
    tcase_add_loop_test(tcase, after_a_death_the_next_does_it, 0, 2);
    add_for_kinds(tcase, after_a_thread_s_end_the_next_does_it);
    add_for_kinds(tcase, nested);
    add_for_kinds(tcase, any_other_result_is_a_failure);
    tcase_add_test(tcase, nothing_to_do);
    return support_run(suite);
}
