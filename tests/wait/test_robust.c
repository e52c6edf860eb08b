/* The lock that survives its holder: who wakes whom. Its deaths are in
 * tests/sync and tests/fault. */
#include "os/os.h"
#include "support/support.h"
#include "wait/robust.h"

#include <weft/status.h>

#define MS INT64_C(1000000)

enum {
    CROWD = 4,
    ATTEMPTS = 5
};

/* A thread that takes the lock, stoppable by its cell, and gives it back when
 * it is told to. */
struct taker {
    struct wait_word *lock;
    struct wait_terms terms;
    struct stop_cell cell;
    struct stop stop;
    pthread_t thread;
    _Atomic uint32_t owner;
    _Atomic int tid;
    _Atomic int status;
    atomic_bool lets_go;
};

static void *
take(void *memory)
{
    struct taker *taker = memory;
    struct self *self = self_get();
    uint32_t dead;

    self->stop = &taker->stop;
    atomic_store(&taker->owner, self->owner);
    atomic_store(&taker->tid, self->record.tid);
    atomic_store(&taker->status,
                 robust_take_until(taker->lock, self, &taker->terms, &dead));
    if (taker->status != 0)
        return NULL;
    eventually(taker->lets_go);
    robust_give(taker->lock, false);
    return NULL;
}

/* Starts it and returns when it sleeps. */
static void
start(struct taker *taker)
{
    const uint32_t before = atomic_load(&taker->lock->parked);

    stop_cell_init(&taker->cell);
    taker->stop =
        (struct stop){.asked = &taker->cell.asked, .cell = &taker->cell};
    taker->status = 77;
    taker->thread = support_thread(take, taker);
    eventually(atomic_load(&taker->lock->parked) > before &&
               support_state(taker->tid) == 'S');
    ck_assert_uint_eq(taker->lock->value & ROBUST_AWAITED, ROBUST_AWAITED);
}

static int
end(struct taker *taker)
{
    atomic_store(&taker->lets_go, true);
    support_join(taker->thread);
    return taker->status;
}

static void
take_at_once(struct wait_word *lock)
{
    ck_assert(robust_try(lock, self_get()->owner));
}

START_TEST(a_try_leaves_no_mark)
{
    struct wait_word lock = {.value = self_get()->owner};
    struct wait_terms terms = {.until = 0};
    uint32_t dead;

    ck_assert_int_eq(robust_take_until(&lock, self_get(), &terms, &dead),
                     WEFT_ETIMEDOUT);
    ck_assert_uint_eq(lock.value, self_get()->owner);
}

END_TEST

/* Else each unlock would cost a call of the system until the one who was woken
 * has run. */
START_TEST(while_one_is_on_his_way_nobody_else_is_woken)
{
    struct wait_word lock = {.value = self_get()->owner | ROBUST_AWAITED,
                             .parked = 1};

    ck_assert_uint_eq(robust_owner(&lock), self_get()->owner);
    ck_assert(robust_free(&lock));
    take_at_once(&lock);
    ck_assert(!robust_free(&lock));
}

END_TEST

START_TEST(who_has_slept_wakes_the_next)
{
    struct wait_word lock = {0};
    struct taker taker = {.lock = &lock, .terms.until = OS_NEVER};

    take_at_once(&lock);
    start(&taker);
    robust_give(&lock, false);
    eventually(taker.status == 0);
    ck_assert_uint_eq(lock.value, taker.owner | ROBUST_AWAITED);
    ck_assert_int_eq(end(&taker), 0);
    ck_assert_uint_eq(lock.value, 0);
}

END_TEST

/* The first is woken, finds the lock taken again and gives up for a stop. How
 * long the second slept on; without help it would be a second. */
static int64_t
time_until_the_second_looks(void)
{
    struct wait_word lock = {0};
    struct taker first = {.lock = &lock, .terms.until = OS_NEVER},
                 second = {.lock = &lock, .terms.until = OS_NEVER};

    take_at_once(&lock);
    start(&first);
    start(&second);
    const int64_t begun = os_now();

    (void)robust_free(&lock); /* and its wake-up is as good as the stop's */
    take_at_once(&lock);
    stop_ask(&first.cell, 1);
    ck_assert_int_eq(end(&first), WEFT_ECANCELED);
    eventually(lock.value & ROBUST_AWAITED);
    const int64_t span = os_now() - begun;

    robust_give(&lock, false);
    ck_assert_int_eq(end(&second), 0);
    return span;
}

START_TEST(who_gives_up_hands_the_wake_up_on)
{
    int64_t least = OS_NEVER;

    for (int i = 0; i < ATTEMPTS && least > 500 * MS; i++) {
        const int64_t span = time_until_the_second_looks();

        least = span < least ? span : least;
    }
    ck_assert_int_lt(least, 500 * MS);
}

END_TEST

static struct {
    struct wait_word lock;
    _Atomic int inside;
    _Atomic unsigned taken, given_up, wrong;
} crowd;

static void *
come_and_go(void *unused)
{
    struct self *self = self_get();
    uint32_t dead;

    for (unsigned i = 0; i < scaled(20000); i++) {
        struct wait_terms terms = {
            .until = i % 4 == 0 ? os_now() + i % 64 * INT64_C(1000) : OS_NEVER};

        if (robust_take_until(&crowd.lock, self, &terms, &dead) < 0) {
            atomic_fetch_add(&crowd.given_up, 1);
            continue;
        }
        if (atomic_fetch_add(&crowd.inside, 1) != 0)
            atomic_fetch_add(&crowd.wrong, 1);
        atomic_fetch_add(&crowd.taken, 1);
        atomic_fetch_sub(&crowd.inside, 1);
        robust_give(&crowd.lock, false);
    }
    return unused;
}

START_TEST(one_at_a_time_while_some_give_up)
{
    pthread_t threads[CROWD];

    policy_park_only(_i);
    for (int i = 0; i < CROWD; i++)
        threads[i] = support_thread(come_and_go, NULL);
    for (int i = 0; i < CROWD; i++)
        support_join(threads[i]);
    ck_assert_uint_eq(crowd.wrong, 0);
    ck_assert_uint_eq(crowd.taken + crowd.given_up,
                      scaled(20000) * UINT64_C(1) * CROWD);
    ck_assert_uint_eq(crowd.lock.value, 0);
    ck_assert_uint_eq(crowd.lock.parked, 0);
}

END_TEST

int
main(void)
{
    Suite *suite = suite_create("wait/robust");
    TCase *tcase = support_case(suite, "who wakes whom", 30);

    tcase_add_test(tcase, a_try_leaves_no_mark);
    tcase_add_test(tcase, while_one_is_on_his_way_nobody_else_is_woken);
    tcase_add_test(tcase, who_has_slept_wakes_the_next);
    tcase_add_test(tcase, who_gives_up_hands_the_wake_up_on);
    tcase_add_loop_test(tcase, one_at_a_time_while_some_give_up, 0, 2);
    return support_run(suite);
}
