/* Semaphores, among threads and among processes. */
#include "support/actor_support.h"

#include <stdlib.h>
#include <string.h>

enum {
    TAKERS = 6,
    KNOWN = 4 /* for so many, idle since, a semaphore knows this */
};

static struct board {
    weft_semaphore semaphore;
    weft_mutex others[64];
    _Atomic int inside;
    _Atomic unsigned storms;
} * board;

/* Whether it has a limit, and who uses it. */
static const struct variant {
    weft_kind kind;
    bool limited;
} variants[] = {{WEFT_THREAD, false},
                {WEFT_THREAD, true},
                {WEFT_PROCESS, false},
                {WEFT_PROCESS, true}};

static void
make(void)
{
    actors_make();
    board = support_share(sizeof *board);
}

static void
set(weft_kind kind, uint32_t permits, uint32_t limit)
{
    board->semaphore = (weft_semaphore){
        .shared = kind == WEFT_PROCESS, .permits = permits, .limit = limit};
}

static unsigned
permits(void)
{
    return weft_semaphore_permits(&board->semaphore);
}

static int
acquire(int64_t deadline)
{
    return weft_semaphore_acquire(&board->semaphore, weft_at(deadline));
}

static int
release(int64_t n)
{
    return weft_semaphore_release(&board->semaphore, (unsigned)n);
}

static int
come_and_go(int64_t times)
{
    for (int64_t i = 0; i < times; i++) {
        if (acquire(WEFT_FOREVER.ns) != 0)
            return 1;
        if (atomic_fetch_add(&board->inside, 1) >= 2)
            return 2;
        atomic_fetch_sub(&board->inside, 1);
        if (release(1) != 0)
            return 3;
    }
    return 0;
}

START_TEST(no_more_than_permits)
{
    const struct variant *variant = &variants[_i];
    struct actor *actors[4];

    set(variant->kind, 2, variant->limited ? 2 : 0);
    for (int i = 0; i < 4; i++) {
        actors[i] = actor_start(variant->kind, "taker");
        actor_begin(actors[i], come_and_go, scaled(10000));
    }
    for (int i = 0; i < 4; i++)
        ck_assert_int_eq(actor_result(actors[i]), 0);
    ck_assert_uint_eq(permits(), 2);
    for (int i = 0; i < 4; i++)
        actor_leave(actors[i]);
    ck_assert_uint_eq(permits(), 2);
}

END_TEST

START_TEST(deadlines_and_stops)
{
    const struct variant *variant = &variants[_i];
    const int64_t past = weft_now().ns;

    set(variant->kind, 0, variant->limited ? 1 : 0);
    ck_assert_int_eq(weft_label(&board->semaphore, "slots"), 0);
    expect_refused(acquire(0), WEFT_ETIMEDOUT, "'slots'");
    expect_refused(acquire(past), WEFT_ETIMEDOUT, "'slots'");
    expect_refused(acquire(INT64_MIN), WEFT_ETIMEDOUT, "'slots'");
    const int64_t soon = weft_in(20 * WEFT_MS).ns;

    expect_refused(acquire(soon), WEFT_ETIMEDOUT, "'slots'");
    ck_assert_int_ge(weft_now().ns, soon);
    struct actor *actor = actor_start(variant->kind, "taker");

    actor_begin_waiting(actor, acquire, weft_in(INT64_MAX).ns);
    ck_assert_int_eq(release(1), 0);
    ck_assert_int_eq(actor_result(actor), 0);
    actor_begin_waiting(actor, acquire, WEFT_FOREVER.ns);
    actor_stop(actor);
    ck_assert_int_eq(actor_result(actor), WEFT_ECANCELED);
    ck_assert_int_eq(actor_do(actor, release, 1), 0);
    ck_assert_uint_eq(permits(), 1);
    /* A stop never refuses what needs no wait. */
    ck_assert_int_eq(actor_do(actor, acquire, WEFT_FOREVER.ns), 0);
    ck_assert_int_eq(actor_do(actor, acquire, WEFT_FOREVER.ns), WEFT_ECANCELED);
    ck_assert_int_eq(actor_do(actor, release, 1), 0);
    actor_leave(actor);
}

END_TEST

static int
done(struct actor *const actors[TAKERS])
{
    int count = 0;

    for (int i = 0; i < TAKERS; i++)
        count += actor_is_done(actors[i]);
    return count;
}

START_TEST(each_permit_wakes_one)
{
    const struct variant *variant = &variants[_i];
    struct actor *actors[TAKERS];

    set(variant->kind, 0, variant->limited ? 100 : 0);
    for (int i = 0; i < TAKERS; i++) {
        actors[i] = actor_start(variant->kind, "taker");
        actor_begin_waiting(actors[i], acquire, WEFT_FOREVER.ns);
    }
    for (int given = 0; given < TAKERS; given += 2) {
        ck_assert_int_eq(release(2), 0);
        eventually(done(actors) == given + 2);
        ck_assert_uint_eq(permits(), 0);
    }
    for (int i = 0; i < TAKERS; i++) {
        ck_assert_int_eq(actor_result(actors[i]), 0);
        ck_assert_int_eq(actor_do(actors[i], release, 1), 0);
        actor_leave(actors[i]);
    }
}

END_TEST

START_TEST(the_limit_holds)
{
    const weft_kind kind = kinds[_i];

    set(kind, 3, 5);
    ck_assert_int_eq(release(3), WEFT_EOVERFLOW);
    ck_assert_uint_eq(permits(), 3); /* all or none */
    ck_assert_int_eq(release(UINT32_MAX), WEFT_EOVERFLOW);
    ck_assert_int_eq(release(UINT32_MAX - 2), WEFT_EOVERFLOW);
    ck_assert_uint_eq(permits(), 3);
    ck_assert_int_eq(release(2), 0);
    ck_assert_int_eq(release(1), WEFT_EOVERFLOW);
    ck_assert_int_eq(release(0), 0);
    ck_assert_uint_eq(permits(), 5);
    for (int i = 0; i < 5; i++)
        ck_assert_int_eq(acquire(0), 0);
    ck_assert_int_eq(acquire(0), WEFT_ETIMEDOUT);
    ck_assert_int_eq(release(6), WEFT_EOVERFLOW);
    ck_assert_int_eq(release(5), 0);
    ck_assert_uint_eq(permits(), 5);
}

END_TEST

/* Set beyond it, it is used up. */
START_TEST(more_permits_than_the_limit)
{
    set(kinds[_i], 5, 3);
    ck_assert_int_eq(release(1), WEFT_EOVERFLOW);
    ck_assert_uint_eq(permits(), 5);
    ck_assert_int_eq(acquire(0), 0);
    ck_assert_int_eq(release(1), WEFT_EOVERFLOW);
}

END_TEST

/* Nothing takes time by the number of permits. */
START_TEST(huge_counts)
{
    const struct variant *variant = &variants[_i];
    const uint32_t most = UINT32_MAX - 1;

    set(variant->kind, 0, variant->limited ? most : 0);
    ck_assert_int_eq(release(3000000000), 0);
    ck_assert_uint_eq(permits(), 3000000000);
    for (int i = 0; i < 1000; i++)
        ck_assert_int_eq(acquire(0), 0);
    ck_assert_int_eq(release(most - permits()), 0);
    ck_assert_uint_eq(permits(), most);
    ck_assert_int_eq(release(2), WEFT_EOVERFLOW);
    ck_assert_uint_eq(permits(), most);
}

END_TEST

/* More than half of what a word holds is not less than nothing. */
START_TEST(huge_counts_are_recounted)
{
    set(WEFT_PROCESS, 0, UINT32_MAX - 1);
    struct actor *taker = actor_start(WEFT_PROCESS, "taker");

    ck_assert_int_eq(release(3000000000), 0);
    ck_assert_int_eq(actor_do(taker, acquire, 0), 0);
    /* As a waiter leaves it that looks for the dead. */
    board->semaphore.permits = 0;
    ck_assert_int_eq(acquire(weft_in(patient(3 * WEFT_SECOND)).ns), 0);
    ck_assert_uint_eq(permits(), 2999999998);
    actor_leave(taker);
}

END_TEST

START_TEST(one_takes_another_gives_back)
{
    const struct variant *variant = &variants[_i];
    struct actor *actor;

    set(variant->kind, 1, variant->limited ? 1 : 0);
    actor = actor_start(variant->kind, "taker");
    for (unsigned i = 0; i < scaled(1000); i++) {
        ck_assert_int_eq(actor_do(actor, acquire, 0), 0);
        ck_assert_uint_eq(permits(), 0);
        ck_assert_int_eq(release(1), 0);
        ck_assert_uint_eq(permits(), 1);
    }
    if (variant->limited)
        ck_assert_int_eq(release(1), WEFT_EOVERFLOW);
    actor_leave(actor);
    ck_assert_int_eq(acquire(0), 0);
    ck_assert_int_eq(acquire(0), WEFT_ETIMEDOUT);
}

END_TEST

/* Immediately where somebody recovers the dead; else by the look that waiters
 * take once a second. */
START_TEST(a_dead_taker_s_permits_return)
{
    set(WEFT_PROCESS, 3, 3);
    struct actor *taker = actor_start(WEFT_PROCESS, "taker");
    struct actor *other = actor_start(WEFT_PROCESS, "other");

    ck_assert_int_eq(actor_do(other, acquire, 0), 0);
    ck_assert_int_eq(actor_do(taker, acquire, 0), 0);
    ck_assert_int_eq(actor_do(taker, acquire, 0), 0);
    if (_i)
        actor_begin_waiting(other, acquire, WEFT_FOREVER.ns);
    actor_kill(taker);
    if (!_i)
        actor_begin(other, acquire, WEFT_FOREVER.ns);
    ck_assert_int_eq(actor_result(other), 0);
    ck_assert_int_eq(acquire(weft_in(patient(3 * WEFT_SECOND)).ns), 0);
    ck_assert_int_eq(acquire(weft_in(patient(1500 * WEFT_MS)).ns),
                     WEFT_ETIMEDOUT);
    ck_assert_int_eq(release(1), 0);
    ck_assert_int_eq(actor_do(other, release, 2), 0);
    ck_assert_uint_eq(permits(), 3);
    ck_assert_int_eq(release(1), WEFT_EOVERFLOW);
    actor_leave(other);
}

END_TEST

START_TEST(without_a_limit_they_do_not)
{
    set(WEFT_PROCESS, 2, 0);
    struct actor *taker = actor_start(WEFT_PROCESS, "taker");

    ck_assert_int_eq(actor_do(taker, acquire, 0), 0);
    actor_kill(taker);
    ck_assert_int_eq(acquire(0), 0);
    ck_assert_int_eq(acquire(weft_in(patient(1500 * WEFT_MS)).ns),
                     WEFT_ETIMEDOUT);
    ck_assert_int_eq(release(2), 0);
    ck_assert_uint_eq(permits(), 2);
}

END_TEST

/* A takes, B gives back, A dies: the permit has returned, and not twice. */
START_TEST(no_permit_too_many)
{
    struct actor *takers[TAKERS];
    const int count = _i;

    set(WEFT_PROCESS, (uint32_t)count, 100);
    for (int i = 0; i < count; i++) {
        takers[i] = actor_start(WEFT_PROCESS, "taker");
        ck_assert_int_eq(actor_do(takers[i], acquire, 0), 0);
    }
    for (int i = 0; i < count; i++)
        ck_assert_int_eq(release(1), 0);
    for (int i = 0; i < count; i++)
        actor_kill(takers[i]);
    for (int i = 0; i < count; i++)
        ck_assert_int_eq(acquire(0), 0);
    ck_assert_int_eq(acquire(weft_in(patient(1500 * WEFT_MS)).ns),
                     WEFT_ETIMEDOUT);
    ck_assert_uint_eq(permits(), 0);
}

END_TEST

/* The living one gave back what the dead one took, and takes again. */
START_TEST(no_permit_too_few)
{
    set(WEFT_PROCESS, 2, 2);
    struct actor *taker = actor_start(WEFT_PROCESS, "taker");
    struct actor *giver = actor_start(WEFT_PROCESS, "giver");

    ck_assert_int_eq(actor_do(taker, acquire, 0), 0);
    ck_assert_int_eq(actor_do(giver, acquire, 0), 0);
    ck_assert_int_eq(actor_do(giver, release, 2), 0);
    ck_assert_int_eq(actor_do(giver, acquire, 0), 0);
    ck_assert_int_eq(actor_do(taker, acquire, 0), 0);
    ck_assert_int_eq(actor_do(giver, release, 1), 0);
    actor_kill(taker);
    ck_assert_int_eq(acquire(weft_in(patient(3 * WEFT_SECOND)).ns), 0);
    ck_assert_int_eq(acquire(weft_in(patient(3 * WEFT_SECOND)).ns), 0);
    ck_assert_int_eq(acquire(weft_in(patient(1500 * WEFT_MS)).ns),
                     WEFT_ETIMEDOUT);
    actor_leave(giver);
}

END_TEST

static int
lock_other(int64_t at)
{
    return weft_mutex_lock_until(&board->others[at], WEFT_NOW);
}

START_TEST(who_holds_sixty_four)
{
    set(WEFT_PROCESS, 3, _i ? 3 : 0);
    for (int i = 0; i < 64; i++) {
        board->others[i].shared = true;
        if (i < 63)
            ck_assert_int_eq(lock_other(i), 0);
    }
    ck_assert_int_eq(acquire(0), 0);
    if (_i) {
        ck_assert_int_eq(lock_other(63), WEFT_EAGAIN);
        ck_assert_int_eq(acquire(0), 0); /* is not one more */
        ck_assert_int_eq(release(2), 0);
        ck_assert_int_eq(lock_other(63), 0);
        expect_refused(acquire(0), WEFT_EAGAIN, "64");
        ck_assert_uint_eq(permits(), 3);
    } else {
        ck_assert_int_eq(lock_other(63), 0);
        ck_assert_int_eq(acquire(0), 0); /* nobody need know */
    }
}

END_TEST

static void
give_in_storm(int number)
{
    (void)number;
    if (release(1) != 0)
        abort();
    atomic_fetch_add(&board->storms, 1);
}

/* In the middle of everything, its own calls on the same semaphore too. */
static int
take_in_storm(int64_t times)
{
    int status = 0;

    storm(give_in_storm, 50000);
    for (int64_t i = 0; status == 0 && i < times; i++)
        status = acquire(WEFT_FOREVER.ns);
    storm(NULL, 0);
    return status;
}

START_TEST(given_back_by_a_signal_handler)
{
    const struct variant *variant = &variants[_i];
    const unsigned times = scaled(5000);

    set(variant->kind, 0, variant->limited ? 1000000 : 0);
    struct actor *actor = actor_start(variant->kind, "stormy");

    ck_assert_int_eq(actor_do(actor, take_in_storm, times), 0);
    ck_assert_uint_eq(permits() + times, atomic_load(&board->storms));
    actor_leave(actor);
    ck_assert_uint_eq(permits() + times, atomic_load(&board->storms));
}

END_TEST

static int
come_and_go_in_storm(int64_t times)
{
    int status = 0;

    storm(give_in_storm, 50000);
    for (int64_t i = 0; status == 0 && i < times; i++) {
        status = acquire(WEFT_FOREVER.ns);
        if (status == 0)
            status = release(1);
    }
    storm(NULL, 0);
    return status;
}

START_TEST(a_storm_among_others)
{
    const struct variant *variant = &variants[_i];
    struct actor *actors[3];

    set(variant->kind, 1, variant->limited ? 1000000 : 0);
    for (int i = 0; i < 3; i++) {
        actors[i] = actor_start(variant->kind, "stormy");
        actor_begin(actors[i], come_and_go_in_storm, scaled(10000));
        /* One timer a process. */
        if (variant->kind == WEFT_THREAD)
            break;
    }
    for (int i = 0; i < (variant->kind == WEFT_THREAD ? 1 : 3); i++) {
        ck_assert_int_eq(actor_result(actors[i]), 0);
        actor_leave(actors[i]);
    }
    ck_assert_uint_eq(permits(), 1 + atomic_load(&board->storms));
}

END_TEST

static void
ask_nothing(void *unused)
{
    (void)unused;
    (void)weft_semaphore_permits(NULL);
}

START_TEST(nothing_is_no_semaphore)
{
    expect_refused(weft_semaphore_acquire(NULL, WEFT_NOW), WEFT_EINVAL, "NULL");
    ck_assert_int_eq(weft_semaphore_release(NULL, 1), WEFT_EINVAL);
    expect_misuse(ask_nothing, NULL, "weft_semaphore_permits", "NULL");
}

END_TEST

int
main(void)
{
    Suite *suite = suite_create("semaphore");
    TCase *tcase = support_case(suite, "permits", 30);

    tcase_add_checked_fixture(tcase, make, NULL);
    support_add_table(tcase, no_more_than_permits, variants);
    support_add_table(tcase, deadlines_and_stops, variants);
    support_add_table(tcase, each_permit_wakes_one, variants);
    support_add_table(tcase, one_takes_another_gives_back, variants);
    tcase = support_case(suite, "limits", 30);
    tcase_add_checked_fixture(tcase, make, NULL);
    add_for_kinds(tcase, the_limit_holds);
    add_for_kinds(tcase, more_permits_than_the_limit);
    support_add_table(tcase, huge_counts, variants);
    tcase_add_loop_test(tcase, who_holds_sixty_four, 0, 2);
    tcase_add_test(tcase, nothing_is_no_semaphore);
    tcase = support_case(suite, "deaths", 30);
    tcase_add_checked_fixture(tcase, make, NULL);
    tcase_add_loop_test(tcase, a_dead_taker_s_permits_return, 0, 2);
    tcase_add_test(tcase, huge_counts_are_recounted);
    tcase_add_test(tcase, without_a_limit_they_do_not);
    tcase_add_loop_test(tcase, no_permit_too_many, 1, KNOWN + 1);
    tcase_add_test(tcase, no_permit_too_few);
    tcase = support_case(suite, "signals", 60);
    tcase_add_checked_fixture(tcase, make, NULL);
    support_add_table(tcase, given_back_by_a_signal_handler, variants);
    support_add_table(tcase, a_storm_among_others, variants);
    return support_run(suite);
}
