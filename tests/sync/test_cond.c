/* Conditions, among threads and among processes. */
#include "support/actor_support.h"

#include <string.h>

enum {
    WAITERS = 6
};

static struct board {
    weft_mutex mutex;
    weft_cond cond;
    int turn; /* under mutex, as below */
    int arrived, generation;
    _Atomic int woken;
} * board;

static struct actor *waiters[WAITERS];

static void
make(void)
{
    actors_make();
    board = support_share(sizeof *board);
}

static void
set_for(weft_kind kind)
{
    board->mutex.shared = board->cond.shared = kind == WEFT_PROCESS;
}

static bool
mutex_is_mine(void)
{
    return weft_mutex_holder(&board->mutex) == weft_self()->tid;
}

/* Fails with 1 when the mutex is not held after it. */
static int
wait_until(int64_t deadline)
{
    if (weft_mutex_lock(&board->mutex) != 0)
        return 2;
    const int status =
        weft_cond_wait(&board->cond, &board->mutex, weft_at(deadline));
    const bool mine = mutex_is_mine();

    if (status == 0)
        atomic_fetch_add(&board->woken, 1);
    if (mine)
        weft_mutex_unlock(&board->mutex);
    return mine ? status : 1;
}

static int
notify(int64_t n)
{
    weft_cond_notify(&board->cond, (unsigned)n);
    return 0;
}

/* One after the other, so that their order is known. */
static void
start_waiters(weft_kind kind, int count, int64_t deadline)
{
    for (int i = 0; i < count; i++) {
        waiters[i] = actor_start(kind, "waiter");
        actor_begin_waiting(waiters[i], wait_until, deadline);
    }
}

static int
done(int from, int to)
{
    int count = 0;

    for (int i = from; i < to; i++)
        count += actor_is_done(waiters[i]);
    return count;
}

static void
leave(int from, int to)
{
    for (int i = from; i < to; i++)
        actor_leave(waiters[i]);
}

static void
still_wait(int from, int to)
{
    for (int i = from; i < to; i++)
        eventually(actor_waits(waiters[i]));
    ck_assert_int_eq(done(from, to), 0);
}

START_TEST(the_longest_waiting_first)
{
    const weft_kind kind = kinds[_i];

    set_for(kind);
    start_waiters(kind, WAITERS, WEFT_FOREVER.ns);
    for (int i = 0; i < 3; i++) {
        still_wait(i, WAITERS);
        notify(1);
        ck_assert_int_eq(actor_result(waiters[i]), 0);
        ck_assert_int_eq(atomic_load(&board->woken), i + 1);
    }
    notify(2);
    ck_assert_int_eq(actor_result(waiters[3]), 0);
    ck_assert_int_eq(actor_result(waiters[4]), 0);
    still_wait(5, 6);
    notify(100);
    ck_assert_int_eq(actor_result(waiters[5]), 0);
    leave(0, WAITERS);
}

END_TEST

START_TEST(at_most_n)
{
    const weft_kind kind = kinds[_i];

    set_for(kind);
    start_waiters(kind, WAITERS, WEFT_FOREVER.ns);
    notify(0);
    still_wait(0, WAITERS);
    notify(4);
    for (int i = 0; i < 4; i++)
        ck_assert_int_eq(actor_result(waiters[i]), 0);
    /* A second is the longest that a waiter sleeps without a look. */
    const int64_t later = weft_in(1200 * WEFT_MS).ns;

    while (weft_now().ns < later)
        ck_assert_int_eq(done(4, WAITERS), 0);
    notify(WEFT_EVERYONE);
    for (int i = 4; i < WAITERS; i++)
        ck_assert_int_eq(actor_result(waiters[i]), 0);
    leave(0, WAITERS);
    ck_assert_int_eq(atomic_load(&board->woken), WAITERS);
}

END_TEST

START_TEST(everyone)
{
    static const unsigned all[] = {WEFT_EVERYONE, WAITERS, UINT32_MAX};
    const weft_kind kind = kinds[_i % 2];

    set_for(kind);
    start_waiters(kind, WAITERS, WEFT_FOREVER.ns);
    notify(all[_i / 2]);
    for (int i = 0; i < WAITERS; i++)
        ck_assert_int_eq(actor_result(waiters[i]), 0);
    leave(0, WAITERS);
}

END_TEST

START_TEST(with_nobody_there_it_is_lost)
{
    const weft_kind kind = kinds[_i];

    set_for(kind);
    notify(1);
    notify(WEFT_EVERYONE);
    ck_assert_int_eq(wait_until(0), WEFT_ETIMEDOUT);
    ck_assert_int_eq(wait_until(weft_in(10 * WEFT_MS).ns), WEFT_ETIMEDOUT);
    start_waiters(kind, 1, WEFT_FOREVER.ns);
    notify(5);
    ck_assert_int_eq(actor_result(waiters[0]), 0);
    ck_assert_int_eq(actor_do(waiters[0], wait_until, weft_in(10 * WEFT_MS).ns),
                     WEFT_ETIMEDOUT);
    leave(0, 1);
}

END_TEST

/* Those in the middle of the queue leave; the others keep their places. */
START_TEST(some_leave_the_queue)
{
    const weft_kind kind = kinds[_i];

    set_for(kind);
    start_waiters(kind, WAITERS, WEFT_FOREVER.ns);
    actor_stop(waiters[1]);
    ck_assert_int_eq(actor_result(waiters[1]), WEFT_ECANCELED);
    actor_stop(waiters[2]);
    ck_assert_int_eq(actor_result(waiters[2]), WEFT_ECANCELED);
    actor_stop(waiters[5]); /* the last */
    ck_assert_int_eq(actor_result(waiters[5]), WEFT_ECANCELED);
    still_wait(3, 5);
    notify(2);
    ck_assert_int_eq(actor_result(waiters[0]), 0);
    ck_assert_int_eq(actor_result(waiters[3]), 0);
    still_wait(4, 5);
    actor_begin_waiting(waiters[0], wait_until, WEFT_FOREVER.ns);
    notify(1);
    ck_assert_int_eq(actor_result(waiters[4]), 0);
    still_wait(0, 1);
    notify(1);
    ck_assert_int_eq(actor_result(waiters[0]), 0);
    leave(0, WAITERS);
}

END_TEST

START_TEST(deadlines_in_the_middle)
{
    const weft_kind kind = kinds[_i];

    set_for(kind);
    start_waiters(kind, 2, WEFT_FOREVER.ns);
    waiters[2] = actor_start(kind, "hasty");
    ck_assert_int_eq(actor_do(waiters[2], wait_until, weft_in(20 * WEFT_MS).ns),
                     WEFT_ETIMEDOUT);
    waiters[3] = actor_start(kind, "hasty");
    actor_begin(waiters[3], wait_until, weft_in(200 * WEFT_MS).ns);
    eventually(actor_waits(waiters[3]));
    waiters[4] = actor_start(kind, "last");
    actor_begin_waiting(waiters[4], wait_until, weft_in(INT64_MAX).ns);
    ck_assert_int_eq(actor_result(waiters[3]), WEFT_ETIMEDOUT);
    ck_assert_msg(strstr(waiters[3]->why, "weft_cond_wait"), "%s",
                  waiters[3]->why);
    notify(3);
    ck_assert_int_eq(actor_result(waiters[0]), 0);
    ck_assert_int_eq(actor_result(waiters[1]), 0);
    ck_assert_int_eq(actor_result(waiters[4]), 0);
    ck_assert_int_eq(actor_do(waiters[0], wait_until, 1), WEFT_ETIMEDOUT);
    ck_assert_int_eq(actor_do(waiters[0], wait_until, INT64_MIN),
                     WEFT_ETIMEDOUT);
    leave(0, 5);
}

END_TEST

static int
lock_thrice_and_wait(int64_t deadline)
{
    for (int i = 0; i < 3; i++)
        if (weft_mutex_lock(&board->mutex) != 0)
            return 2;
    const int status =
        weft_cond_wait(&board->cond, &board->mutex, weft_at(deadline));

    for (int i = 0; i < 3; i++) {
        if (!mutex_is_mine())
            return 3;
        weft_mutex_unlock(&board->mutex);
    }
    return mutex_is_mine() ? 4 : status;
}

START_TEST(a_recursive_mutex_is_given_back_whole)
{
    const weft_kind kind = kinds[_i];

    set_for(kind);
    board->mutex.recursive = true;
    struct actor *waiter = actor_start(kind, "waiter");

    actor_begin_waiting(waiter, lock_thrice_and_wait, WEFT_FOREVER.ns);
    ck_assert_int_eq(weft_mutex_lock_until(&board->mutex, WEFT_NOW), 0);
    ck_assert_int_eq(weft_mutex_lock_until(&board->mutex, WEFT_NOW), 0);
    notify(1);
    eventually(actor_waits(waiter)); /* for the mutex now */
    weft_mutex_unlock(&board->mutex);
    weft_mutex_unlock(&board->mutex);
    ck_assert_int_eq(actor_result(waiter), 0);
    ck_assert_int_eq(actor_do(waiter, lock_thrice_and_wait, 0), WEFT_ETIMEDOUT);
    actor_stop(waiter);
    ck_assert_int_eq(actor_do(waiter, lock_thrice_and_wait, WEFT_FOREVER.ns),
                     WEFT_ECANCELED);
    ck_assert_int_eq(weft_mutex_lock_until(&board->mutex, WEFT_NOW), 0);
    weft_mutex_unlock(&board->mutex);
    actor_leave(waiter);
}

END_TEST

/* A stop comes while the mutex is another's: the waiter has it all the same
 * when it returns. */
START_TEST(the_mutex_is_waited_for_in_any_case)
{
    const weft_kind kind = kinds[_i];

    set_for(kind);
    start_waiters(kind, 2, WEFT_FOREVER.ns);
    ck_assert_int_eq(weft_mutex_lock(&board->mutex), 0);
    actor_stop(waiters[0]);
    notify(2); /* one is stopped and may be notified, the other is notified */
    actor_stop(waiters[1]);
    still_wait(0, 2);
    weft_mutex_unlock(&board->mutex);
    const int first = actor_result(waiters[0]);

    ck_assert(first == 0 || first == WEFT_ECANCELED);
    ck_assert_int_eq(actor_result(waiters[1]), 0);
    leave(0, 2);
}

END_TEST

static int
lock(int64_t unused)
{
    (void)unused;
    return weft_mutex_lock(&board->mutex);
}

START_TEST(the_mutex_holder_dies)
{
    const weft_kind kind = kinds[_i];

    set_for(kind);
    start_waiters(kind, 1, WEFT_FOREVER.ns);
    struct actor *holder = actor_start(kind, "compactor");

    ck_assert_int_eq(actor_do(holder, lock, 0), 0);
    notify(1);
    if (kind == WEFT_PROCESS)
        actor_kill(holder);
    else
        actor_leave(holder);
    ck_assert_int_eq(actor_result(waiters[0]), WEFT_OWNER_DIED);
    ck_assert_msg(strstr(waiters[0]->why, "compactor"), "%s", waiters[0]->why);
    ck_assert_int_eq(weft_mutex_lock_until(&board->mutex, WEFT_NOW), 0);
    weft_mutex_unlock(&board->mutex);
    leave(0, 1);
}

END_TEST

/* The longest waiting dies: it must not eat what is meant for the others. */
START_TEST(a_dead_waiter_takes_nothing)
{
    set_for(WEFT_PROCESS);
    start_waiters(WEFT_PROCESS, 4, WEFT_FOREVER.ns);
    actor_kill(waiters[0]);
    notify(1);
    ck_assert_int_eq(actor_result(waiters[1]), 0);
    still_wait(2, 4);
    actor_kill(waiters[3]);
    notify(2);
    ck_assert_int_eq(actor_result(waiters[2]), 0);
    ck_assert_int_eq(wait_until(0), WEFT_ETIMEDOUT);
    leave(1, 3);
}

END_TEST

/* Ping-pong with exact counts: each notification wakes one, and none is lost.
 * With more waiters than turns this is the pattern by which condition variables
 * have lost wake-ups. */
static int
take_turns(int64_t times)
{
    int status = weft_mutex_lock(&board->mutex);

    for (int64_t i = 0; status == 0 && i < times; i++) {
        while (status == 0 && board->turn == 0)
            status = weft_cond_wait(&board->cond, &board->mutex, WEFT_FOREVER);
        board->turn--;
    }
    weft_mutex_unlock(&board->mutex);
    return status;
}

static int
give_turns(int64_t times)
{
    for (int64_t i = 0; i < times; i++) {
        if (weft_mutex_lock(&board->mutex) != 0)
            return 1;
        board->turn++;
        const bool before = i % 2;

        if (before)
            weft_mutex_unlock(&board->mutex);
        weft_cond_notify(&board->cond, 1);
        if (!before)
            weft_mutex_unlock(&board->mutex);
    }
    return 0;
}

START_TEST(no_notification_is_lost)
{
    const weft_kind kind = kinds[_i];
    const unsigned times = scaled(20000);
    struct actor *givers[2];

    set_for(kind);
    for (int i = 0; i < 4; i++) {
        waiters[i] = actor_start(kind, "taker");
        actor_begin(waiters[i], take_turns, times);
    }
    for (int i = 0; i < 2; i++) {
        givers[i] = actor_start(kind, "giver");
        actor_begin(givers[i], give_turns, 2 * (int64_t)times);
    }
    for (int i = 0; i < 4; i++)
        ck_assert_int_eq(actor_result(waiters[i]), 0);
    ck_assert_int_eq(board->turn, 0);
    for (int i = 0; i < 2; i++)
        actor_leave(givers[i]);
    leave(0, 4);
}

END_TEST

/* Rounds in which all come and one opens for all. */
static int
meet(int64_t times)
{
    for (int64_t i = 0; i < times; i++) {
        if (weft_mutex_lock(&board->mutex) != 0)
            return 1;
        const int generation = board->generation;
        int status = 0;

        if (++board->arrived == WAITERS) {
            board->arrived = 0;
            board->generation++;
            weft_cond_notify(&board->cond, WEFT_EVERYONE);
        }
        while (status == 0 && board->generation == generation)
            status = weft_cond_wait(&board->cond, &board->mutex, WEFT_FOREVER);
        weft_mutex_unlock(&board->mutex);
        if (status != 0)
            return status;
    }
    return 0;
}

START_TEST(no_round_is_lost)
{
    const weft_kind kind = kinds[_i];

    set_for(kind);
    for (int i = 0; i < WAITERS; i++) {
        waiters[i] = actor_start(kind, "party");
        actor_begin(waiters[i], meet, scaled(3000));
    }
    for (int i = 0; i < WAITERS; i++)
        ck_assert_int_eq(actor_result(waiters[i]), 0);
    leave(0, WAITERS);
}

END_TEST

/* Each sleeps a little or is notified: with the turns counted, none is lost
 * between a deadline and a notification. */
static int
take_turns_hastily(int64_t times)
{
    int64_t taken = 0;

    while (taken < times) {
        if (weft_mutex_lock(&board->mutex) != 0)
            return 1;
        const int status =
            weft_cond_wait(&board->cond, &board->mutex, weft_in(20 * WEFT_US));

        if (status == 0)
            atomic_fetch_add(&board->woken, 1);
        if (!mutex_is_mine() || (status != 0 && status != WEFT_ETIMEDOUT))
            return 2;
        weft_mutex_unlock(&board->mutex);
        taken++;
    }
    return 0;
}

START_TEST(no_more_wake_than_were_notified)
{
    const weft_kind kind = kinds[_i];
    int notified = 0;

    set_for(kind);
    for (int i = 0; i < 3; i++) {
        waiters[i] = actor_start(kind, "hasty");
        actor_begin(waiters[i], take_turns_hastily, scaled(3000));
    }
    while (done(0, 3) < 3) {
        notify(1);
        notified++;
    }
    for (int i = 0; i < 3; i++)
        ck_assert_int_eq(actor_result(waiters[i]), 0);
    ck_assert_int_le(atomic_load(&board->woken), notified);
    /* And the queue is whole. */
    for (int i = 0; i < 3; i++)
        actor_begin_waiting(waiters[i], wait_until, WEFT_FOREVER.ns);
    for (int i = 0; i < 3; i++) {
        notify(1);
        ck_assert_int_eq(actor_result(waiters[i]), 0);
    }
    leave(0, 3);
}

END_TEST

/* Whoever is given a notification at the last moment has it, or it goes to the
 * next: it does not end as a deadline that has passed. */
START_TEST(a_notification_at_the_deadline)
{
    const weft_kind kind = kinds[_i];

    set_for(kind);
    struct actor *hasty = actor_start(kind, "hasty");
    struct actor *other = actor_start(kind, "other");

    for (unsigned i = 0; i < scaled(300); i++) {
        const int64_t deadline = weft_in(500 * WEFT_US).ns;
        const int64_t then = deadline + (int64_t)(i % 100) * WEFT_US;

        actor_begin(hasty, wait_until, deadline);
        eventually(actor_waits(hasty) || actor_is_done(hasty));
        actor_begin_waiting(other, wait_until, WEFT_FOREVER.ns);
        while (weft_now().ns < then)
            ;
        notify(1);
        if (actor_result(hasty) == 0)
            notify(1);
        ck_assert_int_eq(actor_result(other), 0);
    }
    actor_leave(hasty);
    actor_leave(other);
}

END_TEST

static void
wait_without_mutex(void *shared)
{
    board->mutex.shared = board->cond.shared = shared != NULL;
    child_expect(weft_label(&board->cond, "ready") == 0);
    child_expect(weft_cond_wait(&board->cond, &board->mutex, WEFT_NOW) < 0);
}

static void
notify_nothing(void *unused)
{
    (void)unused;
    weft_cond_notify(NULL, 1);
}

START_TEST(misuse_stops_the_program)
{
    expect_misuse(wait_without_mutex, NULL, "weft_cond_wait of 'ready' by ",
                  "does not hold the mutex");
    expect_misuse(wait_without_mutex, board, "weft_cond_wait of 'ready' by ",
                  "does not hold the mutex");
    expect_misuse(notify_nothing, NULL, "weft_cond_notify", "NULL");
}

END_TEST

START_TEST(nothing_is_no_condition)
{
    expect_refused(weft_cond_wait(NULL, &board->mutex, WEFT_NOW), WEFT_EINVAL,
                   "cond");
    expect_refused(weft_cond_wait(&board->cond, NULL, WEFT_NOW), WEFT_EINVAL,
                   "mutex");
}

END_TEST

int
main(void)
{
    Suite *suite = suite_create("cond");
    TCase *tcase = support_case(suite, "order", 30);

    tcase_add_checked_fixture(tcase, make, NULL);
    add_for_kinds(tcase, the_longest_waiting_first);
    add_for_kinds(tcase, at_most_n);
    tcase_add_loop_test(tcase, everyone, 0, 6);
    add_for_kinds(tcase, with_nobody_there_it_is_lost);
    add_for_kinds(tcase, some_leave_the_queue);
    add_for_kinds(tcase, deadlines_in_the_middle);
    tcase = support_case(suite, "mutex", 30);
    tcase_add_checked_fixture(tcase, make, NULL);
    add_for_kinds(tcase, a_recursive_mutex_is_given_back_whole);
    add_for_kinds(tcase, the_mutex_is_waited_for_in_any_case);
    add_for_kinds(tcase, the_mutex_holder_dies);
    tcase_add_test(tcase, misuse_stops_the_program);
    tcase_add_test(tcase, nothing_is_no_condition);
    tcase = support_case(suite, "losses", 60);
    tcase_add_checked_fixture(tcase, make, NULL);
    tcase_add_test(tcase, a_dead_waiter_takes_nothing);
    add_for_kinds(tcase, a_notification_at_the_deadline);
    add_for_kinds(tcase, no_notification_is_lost);
    add_for_kinds(tcase, no_round_is_lost);
    add_for_kinds(tcase, no_more_wake_than_were_notified);
    return support_run(suite);
}
