/* Barriers, among threads and among processes. */
#include "support/actor_support.h"

#include <string.h>

enum {
    PARTIES = 4,
    ROUNDS = 10000,
    ALL_ROUNDS = 1 << 23 /* then their numbers come again */
};

static struct board {
    weft_barrier barrier;
    _Atomic uint32_t seen[ROUNDS]; /* a bit an index */
} * board;

static struct actor *parties[PARTIES];

static void
make(void)
{
    actors_make();
    board = support_share(sizeof *board);
}

static void
set(weft_kind kind, uint32_t count)
{
    board->barrier =
        (weft_barrier){.parties = count, .shared = kind == WEFT_PROCESS};
}

static int
wait_until(int64_t deadline)
{
    return weft_barrier_wait(&board->barrier, weft_at(deadline));
}

static int
waiting(void)
{
    return weft_barrier_waiting(&board->barrier);
}

static void
start_parties(weft_kind kind, int count)
{
    for (int i = 0; i < count; i++)
        parties[i] = actor_start(kind, "party");
}

static void
begin_waiting(int from, int to)
{
    for (int i = from; i < to; i++)
        actor_begin_waiting(parties[i], wait_until, WEFT_FOREVER.ns);
}

static void
expect_results(int from, int to, int status)
{
    for (int i = from; i < to; i++)
        ck_assert_int_eq(actor_result(parties[i]), status);
}

static void
leave(int count)
{
    for (int i = 0; i < count; i++)
        actor_leave(parties[i]);
}

/* All parties meet; the first to arrive gets 0. */
static void
expect_meeting(int count)
{
    for (int i = 0; i < count; i++) {
        ck_assert_int_eq(waiting(), i);
        if (i < count - 1)
            actor_begin_waiting(parties[i], wait_until, WEFT_FOREVER.ns);
        else
            actor_begin(parties[i], wait_until, WEFT_FOREVER.ns);
    }
    for (int i = 0; i < count; i++)
        ck_assert_int_eq(actor_result(parties[i]), i);
    ck_assert_int_eq(waiting(), 0);
}

static int
meet_often(int64_t times)
{
    for (int64_t i = 0; i < times; i++) {
        const int index = weft_barrier_wait(&board->barrier, WEFT_FOREVER);

        if (index < 0 || index >= PARTIES)
            return 1;
        /* Nobody is a round ahead before all have said that they were here. */
        if (atomic_fetch_or(&board->seen[i], 1u << index) & 1u << index)
            return 2;
        if (i > 1 && atomic_load(&board->seen[i - 2]) != (1 << PARTIES) - 1)
            return 3;
    }
    return 0;
}

START_TEST(each_index_once_a_round)
{
    const unsigned rounds =
        scaled(ROUNDS) < ROUNDS ? scaled(ROUNDS) : (unsigned)ROUNDS;

    set(kinds[_i], PARTIES);
    start_parties(kinds[_i], PARTIES);
    for (int i = 0; i < PARTIES; i++)
        actor_begin(parties[i], meet_often, rounds);
    expect_results(0, PARTIES, 0);
    for (unsigned i = 0; i < rounds; i++)
        ck_assert_uint_eq(atomic_load(&board->seen[i]), (1 << PARTIES) - 1);
    leave(PARTIES);
}

END_TEST

START_TEST(the_index_is_the_order_of_arrival)
{
    set(kinds[_i], PARTIES);
    start_parties(kinds[_i], PARTIES);
    for (int round = 0; round < 3; round++)
        expect_meeting(PARTIES);
    leave(PARTIES);
}

END_TEST

START_TEST(alone)
{
    set(kinds[_i], 1);
    for (int i = 0; i < 1000; i++)
        ck_assert_int_eq(wait_until(0), 0);
    ck_assert_int_eq(waiting(), 0);
}

END_TEST

static const int64_t past[] = {0, 1, INT64_MIN};

START_TEST(a_deadline_breaks_it_for_all)
{
    const weft_kind kind = kinds[_i % 2];

    set(kind, PARTIES);
    ck_assert_int_eq(weft_label(&board->barrier, "phase"), 0);
    start_parties(kind, PARTIES);
    begin_waiting(0, PARTIES - 2);
    ck_assert_int_eq(waiting(), PARTIES - 2);
    const int64_t soon = _i / 2 < 3 ? past[_i / 2] : weft_in(20 * WEFT_MS).ns;

    expect_refused(wait_until(soon), WEFT_ETIMEDOUT, "'phase'");
    ck_assert_int_ge(weft_now().ns, soon);
    expect_results(0, PARTIES - 2, WEFT_EBROKEN);
    ck_assert_int_eq(waiting(), WEFT_EBROKEN);
    expect_refused(wait_until(WEFT_FOREVER.ns), WEFT_EBROKEN, "'phase'");
    ck_assert_int_eq(actor_do(parties[0], wait_until, 0), WEFT_EBROKEN);
    weft_barrier_reset(&board->barrier);
    expect_meeting(PARTIES);
    leave(PARTIES);
}

END_TEST

START_TEST(a_stop_breaks_it_for_all)
{
    set(kinds[_i], PARTIES);
    start_parties(kinds[_i], PARTIES);
    begin_waiting(0, 3);
    actor_stop(parties[1]);
    ck_assert_int_eq(actor_result(parties[1]), WEFT_ECANCELED);
    expect_results(0, 1, WEFT_EBROKEN);
    expect_results(2, 3, WEFT_EBROKEN);
    ck_assert_int_eq(waiting(), WEFT_EBROKEN);
    leave(PARTIES);
}

END_TEST

START_TEST(abort_breaks_it_for_all)
{
    set(kinds[_i], PARTIES);
    start_parties(kinds[_i], PARTIES);
    weft_barrier_abort(&board->barrier); /* also with nobody there */
    ck_assert_int_eq(waiting(), WEFT_EBROKEN);
    ck_assert_int_eq(actor_do(parties[0], wait_until, WEFT_FOREVER.ns),
                     WEFT_EBROKEN);
    weft_barrier_reset(&board->barrier);
    ck_assert_int_eq(waiting(), 0);
    begin_waiting(0, 3);
    weft_barrier_abort(&board->barrier);
    weft_barrier_abort(&board->barrier);
    expect_results(0, 3, WEFT_EBROKEN);
    ck_assert_int_eq(actor_do(parties[3], wait_until, WEFT_FOREVER.ns),
                     WEFT_EBROKEN);
    weft_barrier_reset(&board->barrier);
    expect_meeting(PARTIES);
    leave(PARTIES);
}

END_TEST

START_TEST(reset_breaks_it_for_who_waits)
{
    set(kinds[_i], PARTIES);
    start_parties(kinds[_i], PARTIES);
    weft_barrier_reset(&board->barrier);
    ck_assert_int_eq(waiting(), 0);
    for (int round = 0; round < 3; round++) {
        begin_waiting(0, 3);
        for (int i = 0; i <= round; i++)
            weft_barrier_reset(&board->barrier);
        expect_results(0, 3, WEFT_EBROKEN);
        ck_assert_int_eq(waiting(), 0);
        expect_meeting(PARTIES);
        weft_barrier_reset(&board->barrier);
    }
    leave(PARTIES);
}

END_TEST

/* Whoever waited knows which round was broken, however much later it looks. */
START_TEST(rounds_come_and_go_before_a_waiter_looks)
{
    set(kinds[_i], 2);
    start_parties(kinds[_i], 2);
    for (unsigned n = 0; n < scaled(500); n++) {
        actor_begin_waiting(parties[0], wait_until, WEFT_FOREVER.ns);
        weft_barrier_reset(&board->barrier);
        /* Some more rounds, met and broken, by who comes now. */
        board->barrier.parties = 1;
        ck_assert_int_eq(wait_until(0), 0);
        board->barrier.parties = 2;
        ck_assert_int_eq(wait_until(0), WEFT_ETIMEDOUT);
        weft_barrier_reset(&board->barrier);
        weft_barrier_reset(&board->barrier);
        ck_assert_int_eq(actor_result(parties[0]), WEFT_EBROKEN);
    }
    leave(2);
}

END_TEST

/* Not broken, though a round of the same number was. */
START_TEST(round_numbers_come_again)
{
    const unsigned less = support_is_checked() ? 1000 : ALL_ROUNDS;
    int failed = 0;

    set(WEFT_THREAD, 2);
    start_parties(WEFT_THREAD, 2);
    expect_meeting(2);
    begin_waiting(0, 1);
    weft_barrier_reset(&board->barrier);
    expect_results(0, 1, WEFT_EBROKEN);
    board->barrier.parties = 1;
    for (unsigned i = 0; i < less - 10; i++)
        failed += wait_until(0) != 0;
    ck_assert_int_eq(failed, 0);
    board->barrier.parties = 2;
    for (int i = 0; i < 20; i++)
        expect_meeting(2);
    leave(2);
}

END_TEST

/* At once where somebody recovers the dead; else by the look that waiters take
 * once a second. */
START_TEST(a_dead_party_breaks_it)
{
    set(WEFT_PROCESS, PARTIES);
    start_parties(WEFT_PROCESS, PARTIES);
    begin_waiting(0, 3);
    actor_kill(parties[_i]);
    for (int i = 0; i < 3; i++)
        if (i != _i)
            ck_assert_int_eq(actor_result(parties[i]), WEFT_EBROKEN);
    ck_assert_int_eq(waiting(), WEFT_EBROKEN);
    weft_barrier_reset(&board->barrier);
    parties[_i] = actor_start(WEFT_PROCESS, "replacement");
    expect_meeting(PARTIES);
    leave(PARTIES);
}

END_TEST

/* Nor does it break for one who is not in it, or for long waits. */
START_TEST(the_living_are_not_taken_for_dead)
{
    set(WEFT_PROCESS, PARTIES);
    start_parties(WEFT_PROCESS, PARTIES);
    expect_meeting(PARTIES);
    struct actor *stranger = actor_start(WEFT_PROCESS, "stranger");

    begin_waiting(0, 3);
    actor_kill(stranger);
    const int64_t later = weft_in(2500 * WEFT_MS).ns;

    while (weft_now().ns < later)
        ck_assert_int_eq(waiting(), 3);
    ck_assert_int_eq(actor_do(parties[3], wait_until, WEFT_FOREVER.ns), 3);
    for (int i = 0; i < 3; i++)
        ck_assert_int_eq(actor_result(parties[i]), i);
    leave(PARTIES);
}

END_TEST

START_TEST(parties_have_bounds)
{
    static const uint32_t bad[] = {0, 65536, 70000, UINT32_MAX};

    for (unsigned i = 0; i < sizeof bad / sizeof *bad; i++) {
        set(kinds[_i], bad[i]);
        expect_refused(wait_until(0), WEFT_EINVAL, "parties");
        ck_assert_int_eq(waiting(), 0);
    }
    set(kinds[_i], 65535);
    ck_assert_int_eq(wait_until(0), WEFT_ETIMEDOUT);
    ck_assert_int_eq(waiting(), WEFT_EBROKEN);
}

END_TEST

static void
abort_nothing(void *unused)
{
    (void)unused;
    weft_barrier_abort(NULL);
}

static void
reset_nothing(void *unused)
{
    (void)unused;
    weft_barrier_reset(NULL);
}

START_TEST(nothing_is_no_barrier)
{
    expect_refused(weft_barrier_wait(NULL, WEFT_NOW), WEFT_EINVAL, "NULL");
    expect_refused(weft_barrier_waiting(NULL), WEFT_EINVAL, "NULL");
    expect_misuse(abort_nothing, NULL, "weft_barrier_abort", "NULL");
    expect_misuse(reset_nothing, NULL, "weft_barrier_reset", "NULL");
}

END_TEST

int
main(void)
{
    Suite *suite = suite_create("barrier");
    TCase *tcase = support_case(suite, "meeting", 40);

    tcase_add_checked_fixture(tcase, make, NULL);
    add_for_kinds(tcase, each_index_once_a_round);
    add_for_kinds(tcase, the_index_is_the_order_of_arrival);
    add_for_kinds(tcase, alone);
    add_for_kinds(tcase, parties_have_bounds);
    tcase_add_test(tcase, nothing_is_no_barrier);
    tcase = support_case(suite, "breaking", 40);
    tcase_add_checked_fixture(tcase, make, NULL);
    tcase_add_loop_test(tcase, a_deadline_breaks_it_for_all, 0, 8);
    add_for_kinds(tcase, a_stop_breaks_it_for_all);
    add_for_kinds(tcase, abort_breaks_it_for_all);
    add_for_kinds(tcase, reset_breaks_it_for_who_waits);
    add_for_kinds(tcase, rounds_come_and_go_before_a_waiter_looks);
    tcase_add_test(tcase, round_numbers_come_again);
    tcase_add_loop_test(tcase, a_dead_party_breaks_it, 0, 3);
    tcase_add_test(tcase, the_living_are_not_taken_for_dead);
    return support_run(suite);
}
