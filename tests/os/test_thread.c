/* Starting threads, and putting them back as they were. */
#include "os/os.h"
#include "support/support.h"

#include <errno.h>
#include <fenv.h>
#include <locale.h>
#include <sched.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

/* What a started thread found. */
struct found {
    _Atomic int done;
    int tid;
    size_t stack_size;
    cpu_set_t cpus;
    sigset_t blocked;
};

static void
look_around(void *memory)
{
    struct found *found = memory;
    pthread_attr_t attributes;
    void *stack;

    found->tid = os_thread_id();
    ck_assert_int_eq(pthread_getattr_np(pthread_self(), &attributes), 0);
    pthread_attr_getstack(&attributes, &stack, &found->stack_size);
    pthread_attr_destroy(&attributes);
    sched_getaffinity(0, sizeof found->cpus, &found->cpus);
    os_signals_get(&found->blocked);
    atomic_store(&found->done, 1);
}

static struct found
start(const struct os_thread_options *options)
{
    struct found found = {.done = 0};

    ck_assert_int_eq(os_thread_start(look_around, &found, options), 0);
    eventually(atomic_load(&found.done));
    return found;
}

START_TEST(a_thread_runs_with_its_own_id)
{
    const struct found found = start(&(struct os_thread_options){0});

    ck_assert_int_ne(found.tid, os_thread_id());
    ck_assert_int_eq(os_thread_id(), getpid());
}

END_TEST

static const struct {
    size_t asked, got;
} stacks[] = {
    {0, 1 << 20},     {1, 64 << 10},      {64 << 10, 64 << 10},
    {100000, 102400}, {8 << 20, 8 << 20}, {(200 << 20) - 1, 200 << 20},
};

START_TEST(the_stack_has_its_size)
{
    const struct found found =
        start(&(struct os_thread_options){.stack_size = stacks[_i].asked});

    /* A checker makes small stacks larger. */
    if (support_is_checked())
        ck_assert_uint_ge(found.stack_size, stacks[_i].got);
    else
        ck_assert_uint_eq(found.stack_size, stacks[_i].got);
}

END_TEST

START_TEST(an_impossible_stack_is_refused)
{
    struct os_thread_options options = {.stack_size = SIZE_MAX};
    struct found found;

    ck_assert_int_eq(os_thread_start(look_around, &found, &options), -ENOMEM);
    options.stack_size = (size_t)1 << 47;
    ck_assert_int_eq(os_thread_start(look_around, &found, &options), -ENOMEM);
}

END_TEST

START_TEST(cpus_are_those_asked_for)
{
    cpu_set_t mine;
    unsigned cpu = 0;

    ck_assert_int_eq(sched_getaffinity(0, sizeof mine, &mine), 0);
    while (!CPU_ISSET(cpu, &mine))
        cpu++;
    struct found found =
        start(&(struct os_thread_options){.cpus = &cpu, .cpu_count = 1});

    ck_assert_int_eq(CPU_COUNT(&found.cpus), 1);
    ck_assert(CPU_ISSET(cpu, &found.cpus));
    found = start(&(struct os_thread_options){0});
    ck_assert(CPU_EQUAL(&found.cpus, &mine));
}

END_TEST

static const struct {
    unsigned cpus[2];
    size_t count;
} bad_cpus[] = {
    {{1000}, 1},
    {{0, CPU_SETSIZE}, 2},
    {{~0u}, 1},
    {{0}, 0},
};

START_TEST(bad_cpus_are_refused)
{
    struct found found;
    const struct os_thread_options options = {
        .cpus = bad_cpus[_i].cpus,
        .cpu_count = bad_cpus[_i].count,
    };

    ck_assert_int_eq(os_thread_start(look_around, &found, &options), -EINVAL);
}

END_TEST

START_TEST(a_quiet_thread_takes_no_signal)
{
    sigset_t before, after;
    struct found found = start(&(struct os_thread_options){.quiet = true});

    ck_assert_int_eq(sigismember(&found.blocked, SIGTERM), 1);
    ck_assert_int_eq(sigismember(&found.blocked, SIGCHLD), 1);
    sigemptyset(&before);
    sigaddset(&before, SIGUSR2);
    os_signals_set(&before);
    found = start(&(struct os_thread_options){.quiet = true});
    os_signals_get(&after);
    ck_assert_int_eq(sigismember(&after, SIGUSR2), 1);
    ck_assert_int_eq(sigismember(&after, SIGUSR1), 0);
    found = start(&(struct os_thread_options){0});
    ck_assert_int_eq(sigismember(&found.blocked, SIGUSR2), 1);
    ck_assert_int_eq(sigismember(&found.blocked, SIGUSR1), 0);
}

END_TEST

START_TEST(blocking_signals_can_be_undone)
{
    sigset_t before, now;

    os_signals_block(&before);
    os_signals_get(&now);
    ck_assert_int_eq(sigismember(&now, SIGINT), 1);
    os_signals_set(&before);
    os_signals_get(&now);
    ck_assert_int_eq(sigismember(&now, SIGINT), 0);
    os_signals_block(NULL);
}

END_TEST

START_TEST(the_kernel_knows_the_name)
{
    char name[16] = "";

    os_thread_name("fifteen-bytes-x");
    prctl(PR_GET_NAME, name);
    ck_assert_str_eq(name, "fifteen-bytes-x");
}

END_TEST

static void *
hold(void *go_on)
{
    eventually(atomic_load((atomic_bool *)go_on));
    return NULL;
}

START_TEST(threads_are_counted)
{
    atomic_bool go_on = false;
    pthread_t threads[5];

    ck_assert_int_eq(os_thread_count(), 1);
    threads[0] = support_thread(hold, &go_on);
    const int one_more = os_thread_count();

    /* In a fork a sanitizer may start a second thread with the first one. */
    ck_assert_int_ge(one_more, 2);
    ck_assert(one_more == 2 || support_is_tsan());
    for (int i = 1; i < 5; i++)
        threads[i] = support_thread(hold, &go_on);
    ck_assert_int_eq(os_thread_count(), one_more + 4);
    atomic_store(&go_on, true);
    for (int i = 0; i < 5; i++)
        support_join(threads[i]);
    eventually(os_thread_count() == one_more - 1);
}

END_TEST

START_TEST(a_name_with_brackets_does_not_disturb_the_count)
{
    static const char name[16] = "a) S 1 2 3 (b";

    os_thread_name(name);
    ck_assert_int_eq(os_thread_count(), 1);
}

END_TEST

START_TEST(nothing_changed_is_restored)
{
    struct os_thread_state state, after;

    os_thread_remember(&state);
    ck_assert(os_thread_restore(&state));
    os_thread_remember(&after);
    ck_assert_mem_eq(&state, &after, sizeof state);
}

END_TEST

START_TEST(affinity_is_restored)
{
    struct os_thread_state state;
    cpu_set_t before, one, after;

    ck_assert_int_eq(sched_getaffinity(0, sizeof before, &before), 0);
    os_thread_remember(&state);
    CPU_ZERO(&one);
    for (unsigned cpu = 0; CPU_COUNT(&one) == 0; cpu++)
        if (CPU_ISSET(cpu, &before))
            CPU_SET(cpu, &one);
    ck_assert_int_eq(sched_setaffinity(0, sizeof one, &one), 0);
    ck_assert(os_thread_restore(&state));
    ck_assert_int_eq(sched_getaffinity(0, sizeof after, &after), 0);
    ck_assert(CPU_EQUAL(&before, &after));
}

END_TEST

/* What takes a right that the tester may lack. */
static bool
may_lower_nice(void)
{
    return setpriority(PRIO_PROCESS, 0, 1) == 0 &&
           setpriority(PRIO_PROCESS, 0, 0) == 0;
}

START_TEST(nice_is_restored)
{
    struct os_thread_state state;
    const bool may = may_lower_nice();

    os_thread_remember(&state);
    ck_assert_int_eq(setpriority(PRIO_PROCESS, 0, 7), 0);
    ck_assert_int_eq(os_thread_restore(&state), may);
    ck_assert_int_eq(getpriority(PRIO_PROCESS, 0), may ? state.nice : 7);
}

END_TEST

START_TEST(the_scheduling_class_is_restored)
{
    static const int policies[] = {SCHED_FIFO, SCHED_RR, SCHED_BATCH,
                                   SCHED_IDLE};
    struct os_thread_state state;
    const int policy = policies[_i];
    const struct sched_param parameter = {_i < 2 ? 3 : 0};

    os_thread_remember(&state);
    if (sched_setscheduler(0, policy, &parameter) < 0)
        return; /* not permitted here */
    ck_assert(os_thread_restore(&state));
    ck_assert_int_eq(sched_getscheduler(0), SCHED_OTHER);
}

END_TEST

START_TEST(nice_is_restored_behind_a_real_time_class)
{
    struct os_thread_state state;
    const struct sched_param parameter = {3};

    os_thread_remember(&state);
    if (!may_lower_nice() || setpriority(PRIO_PROCESS, 0, 7) < 0 ||
        sched_setscheduler(0, SCHED_FIFO, &parameter) < 0)
        return;
    ck_assert(os_thread_restore(&state));
    ck_assert_int_eq(sched_getscheduler(0), SCHED_OTHER);
    ck_assert_int_eq(getpriority(PRIO_PROCESS, 0), state.nice);
}

END_TEST

START_TEST(floating_point_is_restored)
{
    struct os_thread_state state;
    volatile double three = 3;
    const double third = 1 / three;

    os_thread_remember(&state);
    fesetround(FE_UPWARD);
    feraiseexcept(FE_DIVBYZERO);
    if (!support_is_valgrind()) /* it rounds to nearest always */
        ck_assert(1 / three > third);
    ck_assert(os_thread_restore(&state));
    ck_assert_int_eq(fetestexcept(FE_ALL_EXCEPT), 0);
    ck_assert_int_eq(fegetround(), FE_TONEAREST);
    ck_assert(!(1 / three > third));
}

END_TEST

static const unsigned key_counts[] = {1, 31, 32, 33, 40, 200, 700};

START_TEST(a_foreign_value_is_noticed)
{
    pthread_key_t keys[700];
    const unsigned count = key_counts[_i];
    struct os_thread_state state;

    os_thread_remember(&state);
    for (unsigned i = 0; i < count; i++)
        ck_assert_int_eq(pthread_key_create(&keys[i], NULL), 0);
    ck_assert(os_thread_restore(&state));
    ck_assert_int_eq(pthread_setspecific(keys[count - 1], &state), 0);
    ck_assert(!os_thread_restore(&state));
    ck_assert_int_eq(pthread_setspecific(keys[count - 1], NULL), 0);
    ck_assert(os_thread_restore(&state));
}

END_TEST

START_TEST(a_foreign_value_above_a_freed_key_is_noticed)
{
    pthread_key_t keys[60];
    struct os_thread_state state;

    for (unsigned i = 0; i < 60; i++)
        ck_assert_int_eq(pthread_key_create(&keys[i], NULL), 0);
    os_thread_remember(&state);
    ck_assert_int_eq(pthread_setspecific(keys[59], &state), 0);
    ck_assert_int_eq(pthread_key_delete(keys[0]), 0);
    ck_assert(!os_thread_restore(&state));
}

END_TEST

START_TEST(the_locale_is_restored)
{
    struct os_thread_state state;
    const locale_t other = newlocale(LC_ALL_MASK, "C", (locale_t)0);

    os_thread_remember(&state);
    uselocale(other);
    ck_assert(os_thread_restore(&state));
    ck_assert(uselocale((locale_t)0) == LC_GLOBAL_LOCALE);
    freelocale(other);
}

END_TEST

int
main(void)
{
    Suite *suite = suite_create("os/thread");
    TCase *tcase = support_case(suite, "start", 10);

    tcase_add_test(tcase, a_thread_runs_with_its_own_id);
    support_add_table(tcase, the_stack_has_its_size, stacks);
    tcase_add_test(tcase, an_impossible_stack_is_refused);
    tcase_add_test(tcase, cpus_are_those_asked_for);
    support_add_table(tcase, bad_cpus_are_refused, bad_cpus);
    tcase_add_test(tcase, a_quiet_thread_takes_no_signal);
    tcase_add_test(tcase, blocking_signals_can_be_undone);
    tcase_add_test(tcase, the_kernel_knows_the_name);
    tcase_add_test(tcase, threads_are_counted);
    tcase_add_test(tcase, a_name_with_brackets_does_not_disturb_the_count);
    tcase = support_case(suite, "restore", 10);
    tcase_add_test(tcase, nothing_changed_is_restored);
    tcase_add_test(tcase, affinity_is_restored);
    tcase_add_test(tcase, nice_is_restored);
    tcase_add_loop_test(tcase, the_scheduling_class_is_restored, 0, 4);
    tcase_add_test(tcase, nice_is_restored_behind_a_real_time_class);
    tcase_add_test(tcase, floating_point_is_restored);
    support_add_table(tcase, a_foreign_value_is_noticed, key_counts);
    tcase_add_test(tcase, a_foreign_value_above_a_freed_key_is_noticed);
    tcase_add_test(tcase, the_locale_is_restored);
    return support_run(suite);
}
