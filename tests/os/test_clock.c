/* Clocks. */
#include "os/os.h"
#include "support/support.h"

#include <time.h>

START_TEST(now_never_goes_back)
{
    int64_t last = os_now();

    for (unsigned i = 0; i < scaled(1000000); i++) {
        const int64_t now = os_now();

        if (now < last)
            ck_abort_msg("%lld ns back", (long long)(last - now));
        last = now;
    }
}

END_TEST

START_TEST(now_is_the_monotonic_clock)
{
    struct timespec time;
    const int64_t before = os_now();

    ck_assert_int_eq(clock_gettime(CLOCK_MONOTONIC, &time), 0);
    const int64_t there = (int64_t)time.tv_sec * 1000000000 + time.tv_nsec;

    ck_assert_int_le(before, there);
    ck_assert_int_le(there, os_now());
}

END_TEST

static void *
burn(void *out)
{
    const int64_t end = os_now() + 10000000;

    while (os_now() < end)
        ;
    *(int64_t *)out = os_cpu_of_thread();
    return NULL;
}

START_TEST(cpu_is_the_threads_own)
{
    int64_t theirs = 0;
    const int64_t before = os_cpu_of_thread();

    support_join(support_thread(burn, &theirs));
    ck_assert_int_gt(theirs, 0);
    ck_assert_int_lt(os_cpu_of_thread() - before, theirs + patient(5000000));
}

END_TEST

int
main(void)
{
    Suite *suite = suite_create("os/clock");
    TCase *tcase = support_case(suite, "clocks", 10);

    tcase_add_test(tcase, now_never_goes_back);
    tcase_add_test(tcase, now_is_the_monotonic_clock);
    tcase_add_test(tcase, cpu_is_the_threads_own);
    return support_run(suite);
}
