/* The library's own lock. */
#include "os/os.h"
#include "registry/self.h"
#include "support/support.h"
#include "wait/lock.h"
#include "wait/policy.h"

START_TEST(it_is_free_when_zero)
{
    struct lock lock = {0};

    lock_take(&lock);
    ck_assert_uint_eq(lock.word, 1);
    ck_assert(!lock_try(&lock));
    lock_give(&lock);
    ck_assert_uint_eq(lock.word, 0);
    ck_assert(lock_try(&lock));
    ck_assert(!lock_try(&lock));
    lock_give(&lock);
    ck_assert_uint_eq(lock.word, 0);
}

END_TEST

static struct {
    struct lock lock;
    unsigned long count; /* under lock */
    bool inside;         /* under lock */
    _Atomic unsigned together;
    unsigned rounds;
    bool of_weft; /* the threads have a block of their own */
} shared;

static void *
count_up(void *unused)
{
    (void)unused;
    if (shared.of_weft)
        policy_enter(self_get());
    for (unsigned i = 0; i < shared.rounds; i++) {
        lock_take(&shared.lock);
        if (shared.inside)
            atomic_fetch_add(&shared.together, 1);
        shared.inside = true;
        shared.count++;
        shared.inside = false;
        lock_give(&shared.lock);
    }
    return NULL;
}

static void
run_counters(int threads)
{
    pthread_t running[16];

    shared.rounds = scaled(200000);
    for (int i = 0; i < threads; i++)
        running[i] = support_thread(count_up, NULL);
    for (int i = 0; i < threads; i++)
        support_join(running[i]);
    ck_assert_uint_eq(shared.together, 0);
    ck_assert_uint_eq(shared.count,
                      (unsigned long)shared.rounds * (unsigned long)threads);
    ck_assert_uint_eq(shared.lock.word, 0);
}

static const int counts[] = {2, 4, 8};

START_TEST(one_at_a_time)
{
    run_counters(counts[_i]);
}

END_TEST

START_TEST(one_at_a_time_without_spinning)
{
    policy_park_only(true);
    run_counters(counts[_i]);
}

END_TEST

START_TEST(one_at_a_time_for_threads_of_weft)
{
    shared.of_weft = true;
    run_counters(counts[_i]);
}

END_TEST

static _Atomic int sleeper_id;

static void *
take_and_give(void *unused)
{
    (void)unused;
    atomic_store(&sleeper_id, os_thread_id());
    lock_take(&shared.lock);
    lock_give(&shared.lock);
    return NULL;
}

START_TEST(who_must_wait_sleeps)
{
    lock_take(&shared.lock);
    const pthread_t thread = support_thread(take_and_give, NULL);

    eventually(sleeper_id != 0 && support_state(sleeper_id) == 'S');
    ck_assert_uint_eq(shared.lock.word, 2);
    lock_give(&shared.lock);
    support_join(thread);
    ck_assert_uint_eq(shared.lock.word, 0);
}

END_TEST

int
main(void)
{
    Suite *suite = suite_create("wait/lock");
    TCase *tcase = support_case(suite, "lock", 20);

    tcase_add_test(tcase, it_is_free_when_zero);
    support_add_table(tcase, one_at_a_time, counts);
    support_add_table(tcase, one_at_a_time_without_spinning, counts);
    support_add_table(tcase, one_at_a_time_for_threads_of_weft, counts);
    tcase_add_test(tcase, who_must_wait_sleeps);
    return support_run(suite);
}
