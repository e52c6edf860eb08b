/* Whether a waiter spins: only that the results are right. */
#include "os/os.h"
#include "support/support.h"
#include "wait/policy.h"

START_TEST(a_changed_word_is_seen)
{
    _Atomic uint32_t word = 1;
    policy_hint hint = 0;

    /* Where the machine is busy it may refuse to look at all. */
    for (int i = 0; i < 100; i++)
        if (policy_spin(&word, 0, &hint))
            ck_assert_uint_eq(hint, 0);
    policy_spin(&word, 0, NULL);
    policy_park_only(true);
    ck_assert(!policy_spin(&word, 0, &hint));
}

END_TEST

START_TEST(spinning_ends)
{
    _Atomic uint32_t word = 0;
    policy_hint hint = 0;

    for (unsigned i = 0; i < scaled(2000); i++) {
        ck_assert(!policy_spin(&word, 0, &hint));
        ck_assert(!policy_spin(&word, 0, NULL));
        if ((hint & 0xffff) > 64 || hint >> 16 > 6)
            ck_abort_msg("hint %08x", hint);
    }
}

END_TEST

START_TEST(a_lock_is_spun_on_until_it_is_free)
{
    _Atomic uint32_t lock = 1;

    for (unsigned i = 0; i < scaled(2000); i++)
        ck_assert(!policy_spin_lock(&lock));
    atomic_store(&lock, 0);
    for (int i = 0; i < 100; i++)
        (void)policy_spin_lock(&lock); /* a busy machine may refuse to look */
    ck_assert_uint_eq(lock, 0);
    policy_park_only(true);
    ck_assert(!policy_spin_lock(&lock));
}

END_TEST

START_TEST(any_hint_does_no_harm)
{
    _Atomic uint32_t word = 0;

    for (unsigned fails = 0; fails <= 6; fails++)
        for (unsigned left = 0; left <= 64; left++) {
            policy_hint hint = fails << 16 | left;

            ck_assert(!policy_spin(&word, 0, &hint));
        }
}

END_TEST

START_TEST(a_thread_counts_once)
{
    struct self self = {.bell = -1};

    policy_enter(&self);
    policy_enter(&self);
    ck_assert(self.counted);
    policy_sleeps(&self);
    ck_assert(!self.counted);
    policy_leave(&self);
    policy_wakes(&self);
    ck_assert(self.counted);
    policy_leave(&self);
    policy_leave(&self);
    ck_assert(!self.counted);
    policy_forked();
}

END_TEST

static void *
set_soon(void *word)
{
    atomic_store((_Atomic uint32_t *)word, 1);
    return NULL;
}

/* However many threads seem active, each spin ends and tells the truth. */
START_TEST(a_crowd_is_no_harm)
{
    struct self crowd[100] = {0};

    for (int i = 0; i < 100; i++)
        policy_enter(&crowd[i]);
    for (unsigned i = 0; i < scaled(200); i++) {
        _Atomic uint32_t word = 0;
        policy_hint hint = 0;
        const pthread_t thread = support_thread(set_soon, (void *)&word);
        const bool changed = policy_spin(&word, 0, &hint);

        ck_assert(!changed || atomic_load(&word) == 1);
        support_join(thread);
    }
    for (int i = 0; i < 100; i++)
        policy_leave(&crowd[i]);
}

END_TEST

int
main(void)
{
    Suite *suite = suite_create("wait/policy");
    TCase *tcase = support_case(suite, "policy", 20);

    tcase_add_test(tcase, a_changed_word_is_seen);
    tcase_add_test(tcase, spinning_ends);
    tcase_add_test(tcase, a_lock_is_spun_on_until_it_is_free);
    tcase_add_test(tcase, any_hint_does_no_harm);
    tcase_add_test(tcase, a_thread_counts_once);
    tcase_add_test(tcase, a_crowd_is_no_harm);
    return support_run(suite);
}
