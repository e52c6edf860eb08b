/* Waiting on words, among threads and among processes. */
#include "os/os.h"
#include "support/support.h"

#include <errno.h>
#include <limits.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>

#define MS INT64_C(1000000)

/* A word, and a thread or process that waits on it. */
struct sleeper {
    _Atomic uint32_t *word;
    const _Atomic uint32_t *seen; /* the same through another mapping */
    bool shared;
    unsigned count; /* of words, for waiting on several */
    _Atomic int tid;
    _Atomic int result;
};

static int
wait_once(struct sleeper *sleeper, int64_t until)
{
    struct os_wait waits[OS_WAITS];

    if (sleeper->count == 0)
        return os_futex_wait(sleeper->seen, 0, until, sleeper->shared);
    for (unsigned i = 0; i < sleeper->count; i++)
        waits[i] = (struct os_wait){&sleeper->seen[i], 0, sleeper->shared};
    return os_futex_wait_any(waits, sleeper->count, until);
}

static bool
is_set(const struct sleeper *sleeper)
{
    for (unsigned i = 0; i < (sleeper->count ? sleeper->count : 1); i++)
        if (atomic_load(&sleeper->seen[i]) != 0)
            return true;
    return false;
}

static void
sleep_until_set(void *memory)
{
    struct sleeper *sleeper = memory;
    int result = 0;

    atomic_store(&sleeper->tid, os_thread_id());
    while (!is_set(sleeper))
        result = wait_once(sleeper, OS_NEVER);
    atomic_store(&sleeper->result, result);
}

static void *
sleeping_thread(void *memory)
{
    sleep_until_set(memory);
    return NULL;
}

static bool
sleeps(struct sleeper *sleeper)
{
    const int tid = atomic_load(&sleeper->tid);

    return tid != 0 && support_state(tid) == 'S';
}

/* False where the system cannot wait on several words. */
static bool
have_several(void)
{
    static _Atomic uint32_t word = 1;
    const struct os_wait wait = {&word, 0, false};

    return os_futex_wait_any(&wait, 1, OS_NEVER) != -ENOSYS;
}

START_TEST(another_value_is_told)
{
    _Atomic uint32_t word = 3;

    ck_assert_int_eq(os_futex_wait(&word, 2, OS_NEVER, false), -EAGAIN);
    ck_assert_int_eq(os_futex_wait(&word, 2, OS_NEVER, true), -EAGAIN);
}

END_TEST

START_TEST(the_deadline_passes)
{
    _Atomic uint32_t word = 0;
    const int64_t until = os_now() + 30 * MS;

    ck_assert_int_eq(os_futex_wait(&word, 0, 1, false), -ETIMEDOUT);
    ck_assert_int_eq(os_futex_wait(&word, 0, -5, false), -ETIMEDOUT);
    ck_assert_int_eq(os_futex_wait(&word, 0, until, _i), -ETIMEDOUT);
    ck_assert_int_ge(os_now(), until);
}

END_TEST

START_TEST(a_wake_reaches_a_thread)
{
    _Atomic uint32_t word = 0;
    struct sleeper sleeper = {.word = &word, .seen = &word, .shared = _i};
    const pthread_t thread = support_thread(sleeping_thread, &sleeper);

    eventually(sleeps(&sleeper));
    atomic_store(&word, 1);
    os_futex_wake(&word, 1, _i);
    support_join(thread);
    ck_assert_int_eq(sleeper.result, 0);
}

END_TEST

START_TEST(a_wake_counts)
{
    _Atomic uint32_t word = 0;
    struct sleeper sleepers[4];
    pthread_t threads[4];
    int done = 0;

    for (int i = 0; i < 4; i++) {
        sleepers[i] = (struct sleeper){.seen = &word, .result = 1};
        threads[i] = support_thread(sleeping_thread, &sleepers[i]);
    }
    for (int i = 0; i < 4; i++)
        eventually(sleeps(&sleepers[i]));
    atomic_store(&word, 1);
    os_futex_wake(&word, 0 + 2, false);
    eventually((done = (sleepers[0].result != 1) + (sleepers[1].result != 1) +
                       (sleepers[2].result != 1) + (sleepers[3].result != 1)) >=
               2);
    ck_assert_int_eq(done, 2);
    os_futex_wake(&word, INT_MAX, false);
    for (int i = 0; i < 4; i++)
        support_join(threads[i]);
}

END_TEST

START_TEST(a_wake_keeps_errno)
{
    _Atomic uint32_t *gone = (_Atomic uint32_t *)(uintptr_t)1;
    _Atomic uint32_t word = 0;

    errno = 77;
    os_futex_wake(support_is_valgrind() ? &word : gone, 1, false);
    ck_assert_int_eq(errno, 77);
}

END_TEST

/* The word in a file in memory, and a mapping of it to be read only. */
static const _Atomic uint32_t *
two_mappings(_Atomic uint32_t **word)
{
    const int fd = os_memfd("test", OS_PAGE);
    void *writable, *readable;

    ck_assert_int_ge(fd, 0);
    ck_assert_int_eq(os_map(&writable, OS_PAGE, fd, OS_READ | OS_WRITE), 0);
    ck_assert_int_eq(os_map(&readable, OS_PAGE, fd, OS_READ), 0);
    os_close(fd);
    *word = writable;
    return readable;
}

/* With `count` words, the last one is set. */
static void
process_is_woken(unsigned count)
{
    struct sleeper *sleeper = support_share(sizeof *sleeper);

    sleeper->seen = two_mappings(&sleeper->word);
    sleeper->shared = true;
    sleeper->count = count;
    const pid_t pid = support_fork(sleep_until_set, sleeper);
    _Atomic uint32_t *last = &sleeper->word[count ? count - 1 : 0];

    eventually(sleeps(sleeper));
    atomic_store(last, 1);
    os_futex_wake(last, 1, true);
    ck_assert_int_eq(support_reap(pid), 0);
}

START_TEST(a_wake_reaches_a_process_that_may_only_read)
{
    process_is_woken(0);
}

END_TEST

static const unsigned counts[] = {1, 2, 7, OS_WAITS};

START_TEST(a_process_waits_on_several_words)
{
    if (have_several())
        process_is_woken(counts[_i]);
}

END_TEST

START_TEST(any_of_several_words_wakes_a_thread)
{
    _Atomic uint32_t words[5] = {0};

    for (unsigned i = 0; have_several() && i < 5; i++) {
        struct sleeper sleeper = {.seen = words, .count = 5};
        const pthread_t thread = support_thread(sleeping_thread, &sleeper);

        eventually(sleeps(&sleeper));
        atomic_store(&words[i], 1);
        os_futex_wake(&words[i], 1, false);
        support_join(thread);
        ck_assert_int_eq(sleeper.result, 0);
        atomic_store(&words[i], 0);
    }
}

END_TEST

START_TEST(shared_and_private_words_mix)
{
    _Atomic uint32_t *shared = support_share(4);
    _Atomic uint32_t private = 0;
    struct os_wait waits[] = {{&private, 0, false}, {shared, 0, true}};

    if (!have_several())
        return;
    ck_assert_int_eq(os_futex_wait_any(waits, 2, os_now() + 10 * MS),
                     -ETIMEDOUT);
    *shared = 1;
    ck_assert_int_eq(os_futex_wait_any(waits, 2, OS_NEVER), -EAGAIN);
    waits[1].old = 1;
    private = 1;
    ck_assert_int_eq(os_futex_wait_any(waits, 2, OS_NEVER), -EAGAIN);
}

END_TEST

START_TEST(too_many_words_are_refused)
{
    static struct os_wait waits[OS_WAITS + 1];

    ck_assert_int_eq(os_futex_wait_any(waits, OS_WAITS + 1, 0), -EINVAL);
}

END_TEST

static void
nothing(int signal)
{
    (void)signal;
}

static void *
sleep_once(void *memory)
{
    struct sleeper *sleeper = memory;

    atomic_store(&sleeper->tid, os_thread_id());
    atomic_store(&sleeper->result, wait_once(sleeper, OS_NEVER));
    return NULL;
}

START_TEST(a_signal_may_end_a_wait)
{
    _Atomic uint32_t word = 0;
    struct sleeper sleeper = {.seen = &word, .result = 1};
    const struct sigaction action = {.sa_handler = nothing};

    ck_assert_int_eq(sigaction(SIGUSR1, &action, NULL), 0);
    const pthread_t thread = support_thread(sleep_once, &sleeper);

    eventually(sleeps(&sleeper));
    eventually(pthread_kill(thread, SIGUSR1) == 0 && sleeper.result != 1);
    support_join(thread);
    ck_assert_int_eq(sleeper.result, -EINTR);
}

END_TEST

int
main(void)
{
    Suite *suite = suite_create("os/futex");
    TCase *tcase = support_case(suite, "one word", 10);

    tcase_add_test(tcase, another_value_is_told);
    tcase_add_loop_test(tcase, the_deadline_passes, 0, 2);
    tcase_add_loop_test(tcase, a_wake_reaches_a_thread, 0, 2);
    tcase_add_test(tcase, a_wake_counts);
    tcase_add_test(tcase, a_wake_keeps_errno);
    tcase_add_test(tcase, a_wake_reaches_a_process_that_may_only_read);
    tcase_add_test(tcase, a_signal_may_end_a_wait);
    tcase = support_case(suite, "several words", 10);
    support_add_table(tcase, a_process_waits_on_several_words, counts);
    tcase_add_test(tcase, any_of_several_words_wakes_a_thread);
    tcase_add_test(tcase, shared_and_private_words_mix);
    tcase_add_test(tcase, too_many_words_are_refused);
    return support_run(suite);
}
