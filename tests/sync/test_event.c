/* Events, among threads and among processes. */
#include "support/actor_support.h"

#include <string.h>

enum {
    WAITERS = 12
};

static struct board {
    weft_event event, answer;
    _Atomic unsigned storms;
    int written; /* before event is set */
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
    board->event.shared = board->answer.shared = kind == WEFT_PROCESS;
}

static int
wait_until(int64_t deadline)
{
    return weft_event_wait(&board->event, weft_at(deadline));
}

static int
set_event(int64_t unused)
{
    (void)unused;
    weft_event_set(&board->event);
    return 0;
}

START_TEST(it_is_a_flag)
{
    const int64_t past = weft_now().ns;

    set_for(kinds[_i]);
    ck_assert_int_eq(weft_label(&board->event, "ready"), 0);
    ck_assert(!weft_event_is_set(&board->event));
    expect_refused(wait_until(0), WEFT_ETIMEDOUT, "'ready'");
    expect_refused(wait_until(INT64_MIN), WEFT_ETIMEDOUT, "'ready'");
    expect_refused(wait_until(past), WEFT_ETIMEDOUT, "'ready'");
    const int64_t soon = weft_in(20 * WEFT_MS).ns;

    expect_refused(wait_until(soon), WEFT_ETIMEDOUT, "'ready'");
    ck_assert_int_ge(weft_now().ns, soon);
    for (int i = 0; i < 3; i++) {
        weft_event_set(&board->event);
        weft_event_set(&board->event);
        ck_assert(weft_event_is_set(&board->event));
        ck_assert_int_eq(wait_until(0), 0);
        ck_assert_int_eq(wait_until(INT64_MIN), 0);
        ck_assert_int_eq(wait_until(WEFT_FOREVER.ns), 0);
        weft_event_clear(&board->event);
        weft_event_clear(&board->event);
        ck_assert(!weft_event_is_set(&board->event));
        ck_assert_int_eq(wait_until(0), WEFT_ETIMEDOUT);
    }
}

END_TEST

START_TEST(all_wake)
{
    struct actor *waiters[WAITERS];
    const weft_kind kind = kinds[_i & 1];

    set_for(kind);
    for (int i = 0; i < WAITERS; i++) {
        waiters[i] = actor_start(kind, "waiter");
        actor_begin_waiting(waiters[i], wait_until,
                            i % 2 ? WEFT_FOREVER.ns : weft_in(INT64_MAX).ns);
    }
    weft_event_set(&board->event);
    if (_i & 2) /* it was set all the same */
        weft_event_clear(&board->event);
    if (_i & 4) {
        weft_event_set(&board->event);
        weft_event_clear(&board->event);
    }
    for (int i = 0; i < WAITERS; i++)
        ck_assert_int_eq(actor_result(waiters[i]), 0);
    ck_assert(weft_event_is_set(&board->event) == !(_i & 6));
    for (int i = 0; i < WAITERS; i++)
        actor_leave(waiters[i]);
}

END_TEST

START_TEST(a_stop_ends_the_wait)
{
    set_for(kinds[_i]);
    struct actor *waiter = actor_start(kinds[_i], "waiter");

    actor_begin_waiting(waiter, wait_until, WEFT_FOREVER.ns);
    actor_stop(waiter);
    ck_assert_int_eq(actor_result(waiter), WEFT_ECANCELED);
    weft_event_set(&board->event);
    ck_assert_int_eq(actor_do(waiter, wait_until, WEFT_FOREVER.ns), 0);
    actor_leave(waiter);
}

END_TEST

START_TEST(a_dead_waiter_or_setter)
{
    set_for(WEFT_PROCESS);
    struct actor *victim = actor_start(WEFT_PROCESS, "victim");
    struct actor *waiter = actor_start(WEFT_PROCESS, "waiter");

    actor_begin_waiting(victim, wait_until, WEFT_FOREVER.ns);
    actor_begin_waiting(waiter, wait_until, WEFT_FOREVER.ns);
    actor_kill(victim);
    victim = actor_start(WEFT_PROCESS, "setter");
    ck_assert_int_eq(actor_do(victim, set_event, 0), 0);
    actor_kill(victim);
    ck_assert_int_eq(actor_result(waiter), 0);
    actor_leave(waiter);
}

END_TEST

/* Each round a question and an answer, cleared by who waited. */
static int
answer(int64_t times)
{
    for (int64_t i = 0; i < times; i++) {
        if (weft_event_wait(&board->event, WEFT_FOREVER) != 0)
            return 1;
        weft_event_clear(&board->event);
        if (board->written != i) /* what was written before is seen */
            return 2;
        weft_event_set(&board->answer);
    }
    return 0;
}

START_TEST(what_was_written_is_seen)
{
    const unsigned times = scaled(20000);

    set_for(kinds[_i]);
    struct actor *actor = actor_start(kinds[_i], "answerer");

    actor_begin(actor, answer, times);
    for (unsigned i = 0; i < times; i++) {
        board->written = (int)i;
        weft_event_set(&board->event);
        ck_assert_int_eq(weft_event_wait(&board->answer, WEFT_FOREVER), 0);
        weft_event_clear(&board->answer);
    }
    ck_assert_int_eq(actor_result(actor), 0);
    actor_leave(actor);
}

END_TEST

static void
set_in_storm(int number)
{
    (void)number;
    weft_event_set(&board->event);
    atomic_fetch_add(&board->storms, 1);
}

/* Nobody but its own handler sets it. */
static int
wait_in_storm(int64_t times)
{
    int status = 0;

    storm(set_in_storm, 50000);
    for (int64_t i = 0; status == 0 && i < times; i++) {
        status = weft_event_wait(&board->event, WEFT_FOREVER);
        weft_event_clear(&board->event);
    }
    storm(NULL, 0);
    return status;
}

START_TEST(set_by_a_signal_handler)
{
    set_for(kinds[_i]);
    struct actor *actor = actor_start(kinds[_i], "stormy");
    const unsigned times = scaled(3000);

    ck_assert_int_eq(actor_do(actor, wait_in_storm, times), 0);
    ck_assert_uint_ge(atomic_load(&board->storms), times);
    actor_leave(actor);
}

END_TEST

/* A waiter must not miss a setting that is cleared again at once, whenever it
 * comes. */
static int
wait_often(int64_t times)
{
    for (int64_t i = 0; i < times; i++)
        if (weft_event_wait(&board->event, WEFT_FOREVER) != 0)
            return 1;
    return 0;
}

START_TEST(pulses)
{
    struct actor *waiters[3];

    set_for(kinds[_i]);
    for (int i = 0; i < 3; i++) {
        waiters[i] = actor_start(kinds[_i], "waiter");
        actor_begin(waiters[i], wait_often, scaled(1000));
    }
    for (int i = 0; i < 3; i++) {
        while (!actor_is_done(waiters[i])) {
            weft_event_set(&board->event);
            weft_event_clear(&board->event);
        }
        ck_assert_int_eq(actor_result(waiters[i]), 0);
        actor_leave(waiters[i]);
    }
}

END_TEST

/* One that waits is woken by a single one. */
START_TEST(one_pulse_is_enough)
{
    set_for(kinds[_i]);
    struct actor *waiter = actor_start(kinds[_i], "waiter");

    for (unsigned i = 0; i < scaled(300); i++) {
        actor_begin_waiting(waiter, wait_until, WEFT_FOREVER.ns);
        weft_event_set(&board->event);
        weft_event_clear(&board->event);
        ck_assert_int_eq(actor_result(waiter), 0);
    }
    actor_leave(waiter);
}

END_TEST

static void
set_nothing(void *unused)
{
    (void)unused;
    weft_event_set(NULL);
}

static void
clear_nothing(void *unused)
{
    (void)unused;
    weft_event_clear(NULL);
}

static void
ask_nothing(void *unused)
{
    (void)unused;
    child_expect(!weft_event_is_set(NULL));
}

START_TEST(nothing_is_no_event)
{
    expect_refused(weft_event_wait(NULL, WEFT_NOW), WEFT_EINVAL, "NULL");
    expect_misuse(set_nothing, NULL, "weft_event_set", "NULL");
    expect_misuse(clear_nothing, NULL, "weft_event_clear", "NULL");
    expect_misuse(ask_nothing, NULL, "weft_event_is_set", "NULL");
}

END_TEST

int
main(void)
{
    Suite *suite = suite_create("event");
    TCase *tcase = support_case(suite, "event", 30);

    tcase_add_checked_fixture(tcase, make, NULL);
    add_for_kinds(tcase, it_is_a_flag);
    tcase_add_loop_test(tcase, all_wake, 0, 8);
    add_for_kinds(tcase, a_stop_ends_the_wait);
    tcase_add_test(tcase, a_dead_waiter_or_setter);
    add_for_kinds(tcase, what_was_written_is_seen);
    add_for_kinds(tcase, set_by_a_signal_handler);
    add_for_kinds(tcase, pulses);
    add_for_kinds(tcase, one_pulse_is_enough);
    tcase_add_test(tcase, nothing_is_no_event);
    return support_run(suite);
}
