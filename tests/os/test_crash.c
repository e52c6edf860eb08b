/* A process that dies of a fault tells it first, and dies of it all the same.
 */
#include "os/os.h"
#include "support/support.h"

#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

static struct shared {
    atomic_uint calls;
    struct os_crash first, last;
    char returned;
} * shared;

static int *volatile nowhere;
static void (*volatile no_function)(void);
static volatile int zero;

static void
note(const struct os_crash *crash)
{
    if (atomic_fetch_add(&shared->calls, 1) == 0)
        shared->first = *crash;
    shared->last = *crash;
}

static void
ready(void)
{
    shared = support_share(sizeof *shared);
    setrlimit(RLIMIT_CORE, &(struct rlimit){0, 0});
    os_crash_warm_up();
}

__attribute__((noinline)) static void
write_to_nowhere(void)
{
    *nowhere = 1;
}

__attribute__((noinline)) static void
call_nowhere(void)
{
    no_function();
    shared->returned = 1;
}

__attribute__((noinline)) static void
abort_it(void)
{
    abort();
}

__attribute__((noinline)) static int
overflow(int depth)
{
    volatile char page[4096];

    page[0] = (char)depth;
    return zero ? 0 : overflow(depth + 1) + page[0];
}

static void
overflow_it(void)
{
    (void)overflow(0);
}

static void
divide(void)
{
#if defined __x86_64__
    zero = 100 / zero;
#else
    raise(SIGFPE);
#endif
}

static void
raise_trap(void)
{
    raise(SIGTRAP);
}

static void
raise_xcpu(void)
{
    raise(SIGXCPU);
}

static void
raise_segv(void)
{
    kill(getpid(), SIGSEGV);
}

static const struct death {
    void (*fn)(void);
    int signal;
    unsigned frames; /* at least */
    bool nowhere;    /* the first frame is no code */
    void (*within)(void);
} deaths[] = {
    {write_to_nowhere, SIGSEGV, 2, false, write_to_nowhere},
    {call_nowhere, SIGSEGV, 2, true, NULL},
    {abort_it, SIGABRT, 3, false, NULL},
    {overflow_it, SIGSEGV, OS_FRAMES, false, (void (*)(void))overflow},
    {divide, SIGFPE, 2, false, NULL},
    {raise_trap, SIGTRAP, 2, false, NULL},
    {raise_xcpu, SIGXCPU, 2, false, NULL},
    {raise_segv, SIGSEGV, 2, false, NULL},
};

static void
die(void *which)
{
    os_crash_catch(note);
    ((const struct death *)which)->fn();
}

static void
expect_told(const struct death *death, int code)
{
    const struct os_crash *crash = &shared->last;
    const uint64_t within = (uint64_t)(uintptr_t)death->within;

    ck_assert_int_eq(code, 128 + death->signal);
    ck_assert_uint_ge(shared->calls, 1);
    ck_assert_uint_le(shared->calls, 2);
    ck_assert_int_eq(shared->first.signal, death->signal);
    ck_assert_int_eq(crash->signal, death->signal);
    ck_assert_uint_ge(crash->count, shared->first.count);
    ck_assert_uint_ge(crash->count, death->frames);
    ck_assert_uint_le(crash->count, OS_FRAMES);
    ck_assert_uint_eq(shared->first.frames[0], crash->frames[0]);
    ck_assert_uint_eq(crash->frames[0] == 0, death->nowhere);
    for (unsigned i = 1; i < crash->count && i < death->frames; i++)
        ck_assert_uint_ne(crash->frames[i], 0);
    if (within) {
        ck_assert_uint_ge(crash->frames[0], within);
        ck_assert_uint_lt(crash->frames[0], within + 512);
    }
    ck_assert_int_eq(shared->returned, 0);
}

START_TEST(a_death_is_told_with_frames)
{
    struct death death = deaths[_i];

    expect_told(&death, support_run_fork(die, &death));
    if (death.fn == write_to_nowhere)
        ck_assert_uint_eq(shared->last.address, 0);
}

END_TEST

/* The call lies in who called. */
START_TEST(a_call_to_nowhere_tells_its_caller)
{
    struct death death = deaths[1];
    const uint64_t caller = (uint64_t)(uintptr_t)call_nowhere;

    expect_told(&death, support_run_fork(die, &death));
    ck_assert_uint_gt(shared->last.frames[1], caller);
    ck_assert_uint_lt(shared->last.frames[1], caller + 512);
}

END_TEST

static void *
run_there(void *which)
{
    ((const struct death *)which)->fn();
    return NULL;
}

static void
die_in_a_thread(void *which)
{
    pthread_t thread;

    os_crash_catch(note);
    child_expect(pthread_create(&thread, NULL, run_there, which) == 0);
    pthread_join(thread, NULL);
}

START_TEST(any_thread_s_death_is_told)
{
    struct death death = deaths[_i];

    if (death.fn == overflow_it || death.fn == raise_segv)
        return; /* no stack to tell it on; and whose it is nobody knows */
    expect_told(&death, support_run_fork(die_in_a_thread, &death));
}

END_TEST

static void
die_in_a_copy(void *which)
{
    os_crash_catch(note);
    const pid_t pid = fork();

    if (pid == 0)
        ((const struct death *)which)->fn();
    child_expect(support_reap(pid) == 128 + ((struct death *)which)->signal);
}

START_TEST(a_copy_tells_it_too)
{
    struct death death = deaths[_i];

    ck_assert_int_eq(support_run_fork(die_in_a_copy, &death), 0);
    expect_told(&death, 128 + death.signal);
}

END_TEST

/* Two at once: one is told, the process dies. */
static void *
crash_together(void *gate)
{
    atomic_uint *waiting = gate;

    atomic_fetch_add(waiting, 1);
    while (atomic_load(waiting) < 4)
        support_spin();
    write_to_nowhere();
    return NULL;
}

static void
die_together(void *unused)
{
    static atomic_uint waiting;
    pthread_t threads[4];

    (void)unused;
    os_crash_catch(note);
    for (int i = 0; i < 4; i++)
        child_expect(
            pthread_create(&threads[i], NULL, crash_together, &waiting) == 0);
    for (int i = 0; i < 4; i++)
        pthread_join(threads[i], NULL);
}

START_TEST(several_at_once_die)
{
    ck_assert_int_eq(support_run_fork(die_together, NULL), 128 + SIGSEGV);
    ck_assert_uint_le(shared->calls, 2);
}

END_TEST

static void
note_and_fault(const struct os_crash *crash)
{
    note(crash);
    write_to_nowhere();
}

static void
die_twice(void *unused)
{
    (void)unused;
    os_crash_catch(note_and_fault);
    abort();
}

START_TEST(a_fault_while_it_is_told_is_the_end)
{
    const int code = support_run_fork(die_twice, NULL);

    ck_assert(code == 128 + SIGSEGV || code == 128 + SIGABRT);
    ck_assert_uint_eq(shared->calls, 1);
}

END_TEST

static void
ignore_first(void *unused)
{
    (void)unused;
    signal(SIGXCPU, SIG_IGN);
    os_crash_catch(note);
    raise(SIGXCPU);
}

START_TEST(an_ignored_signal_stays_ignored)
{
    ck_assert_int_eq(support_run_fork(ignore_first, NULL), 0);
    ck_assert_uint_eq(shared->calls, 0);
}

END_TEST

int
main(void)
{
    Suite *suite = suite_create("crash");
    TCase *tcase = support_case(suite, "crash", 20);

    tcase_add_checked_fixture(tcase, ready, NULL);
    tcase_add_test(tcase, an_ignored_signal_stays_ignored);
    if (support_is_checked())
        return support_run(suite); /* which tells of faults itself */
    support_add_table(tcase, a_death_is_told_with_frames, deaths);
    tcase_add_test(tcase, a_call_to_nowhere_tells_its_caller);
    support_add_table(tcase, any_thread_s_death_is_told, deaths);
    support_add_table(tcase, a_copy_tells_it_too, deaths);
    tcase_add_test(tcase, several_at_once_die);
    tcase_add_test(tcase, a_fault_while_it_is_told_is_the_end);
    return support_run(suite);
}
