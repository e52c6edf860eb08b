/* What a process hands on, and what it is limited to. */
#include "os/os.h"
#include "support/support.h"

#include <errno.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

enum {
    MIB = 1 << 20
};

START_TEST(a_context_is_what_the_system_says)
{
    struct os_context context;
    struct rlimit limit;
    cpu_set_t cpus;

    ck_assert_int_eq(setrlimit(RLIMIT_NOFILE, &(struct rlimit){100, 200}), 0);
    ck_assert_int_eq(os_context_get(&context), 0);
    ck_assert_uint_eq(context.limits[RLIMIT_NOFILE].soft, 100);
    ck_assert_uint_eq(context.limits[RLIMIT_NOFILE].hard, 200);
    for (int i = 0; i < RLIM_NLIMITS; i++) {
        ck_assert_int_eq(getrlimit((__rlimit_resource_t)i, &limit), 0);
        ck_assert_uint_eq(context.limits[i].soft, limit.rlim_cur);
        ck_assert_uint_eq(context.limits[i].hard, limit.rlim_max);
    }
    ck_assert_int_eq(context.nice, getpriority(PRIO_PROCESS, 0));
    memset(&cpus, 0, sizeof cpus);
    ck_assert_int_eq(sched_getaffinity(0, sizeof cpus, &cpus), 0);
    ck_assert_mem_eq(context.cpus, &cpus, sizeof context.cpus);
    ck_assert_uint_eq(context.umask, 0);
}

END_TEST

static void
change(struct os_context *context)
{
    context->limits[RLIMIT_NOFILE] = (struct os_limit){50, 60};
    context->limits[RLIMIT_CORE] = (struct os_limit){0, 0};
    context->umask = 027;
    if (context->nice < 10)
        context->nice = 10;
    context->nice++;
    memset(context->cpus, 0, sizeof context->cpus);
    for (unsigned cpu = 0; cpu < CPU_SETSIZE; cpu++) {
        cpu_set_t cpus;

        sched_getaffinity(0, sizeof cpus, &cpus);
        if (!CPU_ISSET(cpu, &cpus))
            continue;
        context->cpus[cpu / 64] = UINT64_C(1) << cpu % 64;
        break;
    }
}

START_TEST(a_context_is_taken_over)
{
    struct os_context have, want, now;

    umask(022);
    ck_assert_int_eq(os_context_get(&have), 0);
    have.umask = 022;
    want = have;
    change(&want);
    ck_assert_int_eq(os_context_apply(&want, &have), 0);
    ck_assert_int_eq(os_context_get(&now), 0);
    now.umask = umask(0);
    ck_assert_mem_eq(&now, &want, sizeof now);
}

END_TEST

/* What is the same is not touched, or who may not raise could keep nothing. */
START_TEST(only_what_differs_is_changed)
{
    struct os_context have, now;

    ck_assert_int_eq(os_context_get(&have), 0);
    have.limits[RLIMIT_NOFILE].soft = have.limits[RLIMIT_NOFILE].hard = 1;
    have.umask = 0777;
    have.nice = -20;
    ck_assert_int_eq(os_context_apply(&have, &have), 0);
    ck_assert_int_eq(os_context_get(&now), 0);
    ck_assert_uint_ne(now.limits[RLIMIT_NOFILE].soft, 1);
    ck_assert_int_ne(umask(0), 0777);
    memset(now.cpus, 0, sizeof now.cpus); /* unknown: stays */
    ck_assert_int_eq(os_context_apply(&now, &have), 0);
}

END_TEST

static void
ask_for_too_much(void *unused)
{
    struct os_context have, want;

    (void)unused;
    child_expect(setrlimit(RLIMIT_NOFILE, &(struct rlimit){50, 60}) == 0);
    child_expect(geteuid() != 0 || setuid(65534) == 0);
    child_expect(os_context_get(&have) == 0);
    want = have;
    want.limits[RLIMIT_NOFILE].hard = 61;
    child_expect(os_context_apply(&want, &have) == -EPERM);
    want = have;
    want.limits[RLIMIT_NOFILE].soft = 60;
    child_expect(os_context_apply(&want, &have) == 0);
    child_expect(os_nice(getpriority(PRIO_PROCESS, 0) + 1) == 0);
    setrlimit(RLIMIT_NICE, &(struct rlimit){0, 0});
    const int proud = os_nice(-5);

    child_expect(proud == -EACCES || proud == -EPERM);
}

START_TEST(more_than_one_may_have_is_refused)
{
    ck_assert_int_eq(support_run_fork(ask_for_too_much, NULL), 0);
}

END_TEST

/* Both at once: the limit on being nice goes, and so does nice. */
START_TEST(nice_and_its_limit_come_in_the_right_order)
{
    struct os_context have, want, now;

    if (geteuid() != 0)
        return;
    ck_assert_int_eq(os_context_get(&have), 0);
    want = have;
    want.nice = have.nice - 3;
    want.limits[RLIMIT_NICE] = (struct os_limit){0, 0};
    ck_assert_int_eq(os_context_apply(&want, &have), 0);
    ck_assert_int_eq(os_context_apply(&have, &want), 0);
    ck_assert_int_eq(os_context_get(&now), 0);
    ck_assert_int_eq(now.nice, have.nice);
}

END_TEST

static void
use_all(void *arg)
{
    const size_t most = *(size_t *)arg;
    size_t got = 0;
    void *volatile part; /* else a compiler may do without the memory */

    child_expect(os_limit_memory(most) == 0);
    while (got < 2 * most && (part = malloc(64 << 10)))
        got += 64 << 10;
    child_expect(got <= most + MIB);
    child_expect(got >= most - MIB);
}

START_TEST(memory_is_limited_beyond_what_is_there)
{
    size_t sizes[] = {2 * MIB, 16 * MIB, 64 * MIB};
    char *own = malloc(100 * MIB);

    ck_assert_ptr_nonnull(own);
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++)
        ck_assert_int_eq(support_run_fork(use_all, &sizes[i]), 0);
    free(own);
}

END_TEST

static void
limit_hugely(void *arg)
{
    child_expect(os_limit_memory(*(uint64_t *)arg) == 0);
    void *volatile part = malloc(8 * MIB);

    child_expect(part != NULL);
}

START_TEST(a_limit_beyond_all_memory_is_none)
{
    uint64_t huge[] = {UINT64_MAX, UINT64_MAX - 1, UINT64_MAX - 100 * MIB,
                       UINT64_MAX / 2};

    for (size_t i = 0; i < sizeof huge / sizeof *huge; i++)
        ck_assert_int_eq(support_run_fork(limit_hugely, &huge[i]), 0);
}

END_TEST

/* A limit that is there already is never raised. */
START_TEST(limits_only_fall)
{
    struct rlimit limit;

    ck_assert_int_eq(setrlimit(RLIMIT_CPU, &(struct rlimit){5, 5}), 0);
    ck_assert_int_eq(os_limit_cpu(INT64_MAX), 0);
    ck_assert_int_eq(getrlimit(RLIMIT_CPU, &limit), 0);
    ck_assert_uint_eq(limit.rlim_cur, 5);
    ck_assert_uint_eq(limit.rlim_max, 5);
    ck_assert_int_eq(os_limit_cpu(1500000000), 0);
    ck_assert_int_eq(getrlimit(RLIMIT_CPU, &limit), 0);
    ck_assert_uint_eq(limit.rlim_cur, 2);
    ck_assert_uint_eq(limit.rlim_max, 3);
}

END_TEST

static void
burn(void *unused)
{
    (void)unused;
    setrlimit(RLIMIT_CORE, &(struct rlimit){0, 0});
    child_expect(os_limit_cpu(1) == 0);
    for (volatile unsigned i = 0;; i++)
        ;
}

START_TEST(cpu_time_ends_in_a_signal)
{
    ck_assert_int_eq(support_run_fork(burn, NULL), 128 + SIGXCPU);
}

END_TEST

int
main(void)
{
    Suite *suite = suite_create("limits");
    TCase *tcase = support_case(suite, "limits", 20);

    tcase_add_test(tcase, a_context_is_what_the_system_says);
    tcase_add_test(tcase, more_than_one_may_have_is_refused);
    tcase_add_test(tcase, nice_and_its_limit_come_in_the_right_order);
    if (support_is_valgrind())
        return support_run(suite); /* it keeps limits of its own */
    tcase_add_test(tcase, a_context_is_taken_over);
    tcase_add_test(tcase, only_what_differs_is_changed);
    tcase_add_test(tcase, limits_only_fall);
    tcase_add_test(tcase, cpu_time_ends_in_a_signal);
    if (!support_is_checked()) { /* whose memory counts too */
        tcase_add_test(tcase, memory_is_limited_beyond_what_is_there);
        tcase_add_test(tcase, a_limit_beyond_all_memory_is_none);
    }
    return support_run(suite);
}
