/* Thread workers: cached between jobs, without memory of the last one. */
#include "support/worker_support.h"

#include <dirent.h>
#include <errno.h>
#include <fenv.h>
#include <locale.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <unistd.h>

static void
expect_good(const weft_task *task)
{
    weft_job *job = must_run(WEFT_THREAD, task);

    ck_assert_msg(outcome(job)->status == 0, "%s", outcome(job)->text);
    weft_release(job);
}

/* --- many */

START_TEST(thousands_one_after_another_leave_nothing)
{
    const unsigned count = scaled(100000);

    for (int i = 0; i < 1000; i++)
        expect_good(&(weft_task){.fn = do_nothing});
    const long memory = support_rss();
    const int fds = support_fds(), threads = busy_threads();

    for (unsigned i = 0; i < count; i++) {
        weft_job *job = must_start(WEFT_THREAD, &(weft_task){.fn = do_nothing});

        if (weft_join(job, WEFT_FOREVER) != 0 || outcome(job)->status != 0)
            ck_abort_msg("round %u: %s", i, weft_why());
        weft_release(job);
    }
    eventually(support_fds() <= fds);
    ck_assert_int_le(busy_threads(), threads + 1);
    if (!support_is_checked()) /* which keep freed memory for a while */
        ck_assert_int_lt(support_rss() - memory, 512);
}

END_TEST

static unsigned
most_threads(void)
{
    return support_is_valgrind() ? 200 : support_is_tsan() ? 2000 : 10000;
}

static int
count_and_wait(weft_call *call)
{
    (void)call;
    atomic_fetch_add(&common->count, 1);
    gate_pass(&common->go);
    return 0;
}

START_TEST(ten_thousand_live_at_once)
{
    const unsigned count = most_threads();
    weft_job **jobs = calloc(count, sizeof(weft_job *));
    weft_worker *all = calloc(count + 1, sizeof *all);
    char name[32];

    for (unsigned i = 0; i < count; i++) {
        snprintf(name, sizeof name, "worker %u", i);
        jobs[i] = must_start(WEFT_THREAD,
                             &(weft_task){.fn = count_and_wait, .name = name});
    }
    eventually((unsigned)atomic_load(&common->count) == count);
    ck_assert_uint_eq(weft_list(WEFT_THREADS, NULL, 0), count + 1);
    ck_assert_uint_eq(weft_list(WEFT_THREADS, all, count + 1), count + 1);
    ck_assert(all[0].main);
    for (unsigned i = 0; i < count; i++) {
        snprintf(name, sizeof name, "worker %u", i);
        if (strcmp(all[i + 1].name, name) != 0 || all[i + 1].tid == 0 ||
            all[i + 1].parent != gettid())
            ck_abort_msg("%u is %s", i, all[i + 1].name);
    }
    gate_open(&common->go);
    for (unsigned i = 0; i < count; i++) {
        if (weft_join(jobs[i], WEFT_FOREVER) != 0 ||
            outcome(jobs[i])->status != 0)
            ck_abort_msg("%u: %s", i, weft_why());
        weft_release(jobs[i]);
    }
    ck_assert_uint_eq(weft_list(WEFT_THREADS, NULL, 0), 1);
    free(all);
    free(jobs);
}

END_TEST

/* --- a cached thread forgets */

/* Jobs of one thread after another run in the same one. */
static int
tell_tid(weft_call *call)
{
    *(int *)call->result = gettid();
    return 0;
}

static int
tid_of(const weft_worker_options *options)
{
    int tid = 0;
    weft_job *job =
        must_start(WEFT_THREAD, &(weft_task){.fn = tell_tid,
                                             .result_size = sizeof tid,
                                             .worker = options});

    ck_assert_int_eq(weft_result(job, &tid, sizeof tid, WEFT_FOREVER), 0);
    weft_release(job);
    return tid;
}

START_TEST(threads_are_used_again)
{
    const int first = tid_of(NULL);
    unsigned same = 0;

    for (int i = 0; i < 100; i++)
        same += tid_of(NULL) == first;
    ck_assert_uint_gt(same, 0);
}

END_TEST

START_TEST(a_fresh_thread_is_no_cached_one)
{
    static const weft_worker_options fresh = {.fresh = true};
    int seen[20];

    (void)tid_of(NULL);
    for (int i = 0; i < 20; i++) {
        seen[i] = tid_of(&fresh);
        for (int k = 0; k < i; k++)
            ck_assert_int_ne(seen[k], seen[i]);
    }
}

END_TEST

static pthread_key_t key;
static locale_t locale;

static int
leave_a_mess(weft_call *call)
{
    const char *what = call->arg;
    cpu_set_t set;
    sigset_t mask;

    atomic_store(&common->tid, gettid());
    switch (*what) {
    case 'a':
        CPU_ZERO(&set);
        CPU_SET(*(const unsigned *)(const void *)(what + 4), &set);
        return sched_setaffinity(0, sizeof set, &set);
    case 'n':
        return setpriority(PRIO_PROCESS, 0, 7);
    case 'f':
        return fesetround(FE_UPWARD) | feraiseexcept(FE_DIVBYZERO);
    case 'm':
        sigfillset(&mask);
        return pthread_sigmask(SIG_BLOCK, &mask, NULL);
    case 'k':
        return pthread_setspecific(key, &key);
    case 's':
        return sched_setscheduler(0, SCHED_BATCH, &(struct sched_param){0});
    case 't':
        prctl(PR_SET_NAME, "strange", 0, 0, 0);
        return weft_set_name("a strange name");
    default:
        return uselocale(locale) ? 0 : 1;
    }
}

static int
find_no_mess(weft_call *call)
{
    cpu_set_t set, expected;
    sigset_t mask;
    char name[16] = "";

    memcpy(&expected, call->arg, sizeof expected);
    sched_getaffinity(0, sizeof set, &set);
    if (!CPU_EQUAL(&set, &expected))
        return weft_fail(call, "the affinity is another");
    errno = 0;
    if (getpriority(PRIO_PROCESS, 0) != 0)
        return weft_fail(call, "nice is %d", getpriority(PRIO_PROCESS, 0));
    if (fegetround() != FE_TONEAREST)
        return weft_fail(call, "rounding is %d", fegetround());
    if (fetestexcept(FE_ALL_EXCEPT))
        return weft_fail(call, "exceptions are raised");
    pthread_sigmask(SIG_SETMASK, NULL, &mask);
    for (int number = 1; number < SIGRTMIN; number++)
        if (sigismember(&mask, number) != (number == SIGUSR2))
            return weft_fail(call, "signal %d", number);
    if (pthread_getspecific(key))
        return weft_fail(call, "a value under a key");
    if (sched_getscheduler(0) != SCHED_OTHER)
        return weft_fail(call, "policy %d", sched_getscheduler(0));
    prctl(PR_GET_NAME, name, 0, 0, 0);
    if (strcmp(name, "second") != 0 || strcmp(weft_self()->name, "second") != 0)
        return weft_fail(call, "the name is %s", name);
    if (uselocale((locale_t)0) != LC_GLOBAL_LOCALE)
        return weft_fail(call, "the locale is another");
    return gettid() == atomic_load(&common->tid) ? 0 : -1;
}

static const char *const messes[] = {"affinity", "nice",  "floating",
                                     "mask",     "key",   "scheduler",
                                     "title",    "locale"};

static unsigned
last_cpu(void)
{
    cpu_set_t set;
    unsigned last = 0;

    sched_getaffinity(0, sizeof set, &set);
    for (unsigned cpu = 0; cpu < CPU_SETSIZE; cpu++)
        if (CPU_ISSET(cpu, &set))
            last = cpu;
    return last;
}

START_TEST(a_job_does_not_see_what_the_last_one_left)
{
    struct {
        char what[4];
        unsigned cpu;
    } mess = {.cpu = last_cpu()};

    cpu_set_t set;
    sigset_t mask;

    mess.what[0] = *messes[_i];
    ck_assert_int_eq(pthread_key_create(&key, NULL), 0);
    locale = newlocale(LC_ALL_MASK, "C.UTF-8", NULL);
    ck_assert(locale != (locale_t)0);
    sigemptyset(&mask);
    sigaddset(&mask, SIGUSR2);
    sigprocmask(SIG_SETMASK, &mask, NULL);
    sched_getaffinity(0, sizeof set, &set);
    for (int i = 0; i < 20; i++) {
        weft_job *job = must_run(
            WEFT_THREAD,
            &(weft_task){.fn = leave_a_mess, .name = "first", WEFT_ARG(mess)});

        if (outcome(job)->code != 0)
            ck_abort_msg("cannot make the mess");
        weft_release(job);
        job = must_run(
            WEFT_THREAD,
            &(weft_task){.fn = find_no_mess, .name = "second", WEFT_ARG(set)});
        ck_assert_str_eq(outcome(job)->message, "");
        ck_assert(outcome(job)->code == 0 || outcome(job)->code == -1);
        weft_release(job);
    }
}

END_TEST

/* --- signals */

static int
tell_mask(weft_call *call)
{
    return pthread_sigmask(SIG_SETMASK, NULL, call->result);
}

START_TEST(a_job_has_the_mask_of_its_starter)
{
    sigset_t mask, seen;

    for (int number = 1; number < 20; number++) {
        sigemptyset(&mask);
        sigaddset(&mask, number);
        sigprocmask(SIG_SETMASK, &mask, NULL);
        weft_job *job = must_start(
            WEFT_THREAD, &(weft_task){.fn = tell_mask,
                                      .result_size = sizeof seen,
                                      .delay = number % 2 ? 1 * WEFT_MS : 0});

        sigemptyset(&mask);
        sigprocmask(SIG_SETMASK, &mask, NULL);
        ck_assert_int_eq(weft_result(job, &seen, sizeof seen, WEFT_FOREVER), 0);
        for (int other = 1; other < 20; other++)
            ck_assert_int_eq(sigismember(&seen, other), other == number &&
                                                            number != SIGKILL &&
                                                            number != SIGSTOP);
        weft_release(job);
    }
}

END_TEST

static _Atomic int catcher;

static void catch (int number)
{
    (void)number;
    atomic_store(&catcher, gettid());
}

/* Threads of this process, but the caller, that take SIGUSR1. */
static int
takers(void)
{
    DIR *tasks = opendir("/proc/self/task");
    int count = 0;

    for (struct dirent *at; (at = readdir(tasks));) {
        char path[300], line[256];
        unsigned long long blocked;

        if (*at->d_name == '.' || atoi(at->d_name) == gettid())
            continue;
        snprintf(path, sizeof path, "/proc/self/task/%s/status", at->d_name);
        FILE *file = fopen(path, "re");

        while (file && fgets(line, sizeof line, file))
            if (sscanf(line, "SigBlk: %llx", &blocked) == 1)
                count += !(blocked >> (SIGUSR1 - 1) & 1);
        if (file)
            fclose(file);
    }
    closedir(tasks);
    return count;
}

START_TEST(idle_threads_take_no_signals)
{
    sigset_t mask, pending;

    signal(SIGUSR1, catch);
    for (int i = 0; i < 4; i++) {
        expect_good(&(weft_task){.fn = do_nothing});
        expect_good(&(weft_task){.fn = do_nothing, .delay = 1});
    }
    eventually(takers() == 0);
    sigemptyset(&mask);
    sigaddset(&mask, SIGUSR1);
    sigprocmask(SIG_BLOCK, &mask, NULL);
    if (!support_is_tsan()) {
        kill(getpid(), SIGUSR1);
        sigpending(&pending);
        ck_assert_int_eq(sigismember(&pending, SIGUSR1), 1);
        ck_assert_int_eq(atomic_load(&catcher), 0);
    }
    sigprocmask(SIG_UNBLOCK, &mask, NULL);
}

END_TEST

static weft_job *_Atomic stopped_job;

static void
stop_job(int number)
{
    weft_job *job = atomic_load(&stopped_job);

    (void)number;
    if (job)
        weft_stop(job);
}

static const struct {
    weft_kind kind;
    bool delayed;
    unsigned count;
} storms[] = {
    {WEFT_THREAD, false, 20000},
    {WEFT_THREAD, true, 2000},
    {WEFT_PROCESS, false, 500},
    {WEFT_PROCESS, true, 500},
};

/* Handlers run wherever the thread happens to be within weft. */
START_TEST(a_signal_handler_may_stop_at_any_moment)
{
    /* Valgrind has no pidfd. */
    ck_assert(weft_init(NULL) == 0 || support_is_valgrind());
    weft_job *victim =
        must_start(WEFT_THREAD, &(weft_task){.fn = sleep_for_ever});
    weft_job *delayed =
        must_start(WEFT_PROCESS,
                   &(weft_task){.fn = do_nothing, .delay = 3600 * WEFT_SECOND});

    atomic_store(&stopped_job, victim);
    storm(stop_job, patient(53000));
    for (unsigned i = 0; i < scaled(storms[_i].count); i++) {
        weft_job *job =
            must_start(storms[_i].kind,
                       &(weft_task){.fn = i % 2 ? sleep_for_ever : do_nothing,
                                    .delay = storms[_i].delayed ? 1 : 0});

        atomic_store(&stopped_job, job);
        must_join(job);
        const int status = outcome(job)->status;

        ck_assert(status == WEFT_ECANCELED || (i % 2 == 0 && status == 0));
        atomic_store(&stopped_job, i % 3 ? victim : delayed);
        weft_release(job);
    }
    storm(NULL, 0);
    weft_stop(victim);
    weft_stop(delayed);
    expect_end(victim, WEFT_ECANCELED);
    expect_end(delayed, WEFT_ECANCELED);
}

END_TEST

/* --- options */

static int
measure_stack(weft_call *call)
{
    pthread_attr_t attributes;
    void *stack;
    int error = pthread_getattr_np(pthread_self(), &attributes);

    if (!error)
        error = pthread_attr_getstack(&attributes, &stack, call->result);
    pthread_attr_destroy(&attributes);
    return error;
}

static size_t
stack_of(size_t asked)
{
    const weft_worker_options options = {.stack_size = asked};
    size_t size = 0;
    weft_job *job =
        must_start(WEFT_THREAD, &(weft_task){.fn = measure_stack,
                                             .result_size = sizeof size,
                                             .worker = &options});

    ck_assert_int_eq(weft_result(job, &size, sizeof size, WEFT_FOREVER), 0);
    weft_release(job);
    return size;
}

START_TEST(a_stack_has_the_size_asked_for)
{
    const size_t mib = 1 << 20;

    ck_assert_uint_ge(stack_of(0), mib - 65536);
    ck_assert_uint_ge(stack_of(16 * mib), 16 * mib - 65536);
    ck_assert_uint_ge(stack_of(1), 16384);
    if (!support_is_checked()) {
        ck_assert_uint_le(stack_of(0), mib + 65536);
        ck_assert_uint_le(stack_of(16 * mib), 16 * mib + 65536);
        ck_assert_uint_le(stack_of(256 << 10), (256 << 10) + 65536);
    }
}

END_TEST

static int
tell_cpus(weft_call *call)
{
    return sched_getaffinity(0, call->result_size, call->result);
}

START_TEST(a_worker_runs_on_the_cpus_asked_for)
{
    const unsigned cpu = last_cpu();
    const weft_worker_options options = {.cpus = &cpu, .cpu_count = 1};
    cpu_set_t before, seen;

    sched_getaffinity(0, sizeof before, &before);
    weft_job *job = must_run(kinds[_i], &(weft_task){.fn = tell_cpus,
                                                     .result_size = sizeof seen,
                                                     .worker = &options});

    ck_assert_int_eq(weft_result(job, &seen, sizeof seen, WEFT_NOW), 0);
    ck_assert_int_eq(CPU_COUNT(&seen), 1);
    ck_assert(CPU_ISSET(cpu, &seen));
    weft_release(job);
    job = must_run(kinds[_i],
                   &(weft_task){.fn = tell_cpus, .result_size = sizeof seen});
    ck_assert_int_eq(weft_result(job, &seen, sizeof seen, WEFT_NOW), 0);
    ck_assert(CPU_EQUAL(&seen, &before));
    weft_release(job);
}

END_TEST

static int
start_one(weft_call *call)
{
    (void)call;
    return weft_start(NULL, WEFT_THREAD, &(weft_task){.fn = count_and_wait}) <
           0;
}

START_TEST(a_thread_may_start_threads_and_outlive_its_starter)
{
    for (int i = 0; i < 10; i++)
        expect_good(&(weft_task){.fn = start_one});
    eventually(atomic_load(&common->count) == 10);
    gate_open(&common->go);
    eventually(weft_list(WEFT_THREADS, NULL, 0) == 1);
}

END_TEST

int
main(void)
{
    Suite *suite = suite_create("thread");
    TCase *tcase = support_case(suite, "thread", 30);

    tcase_add_checked_fixture(tcase, common_make, NULL);
    tcase_add_test(tcase, thousands_one_after_another_leave_nothing);
    tcase_add_test(tcase, ten_thousand_live_at_once);
    tcase_add_test(tcase, threads_are_used_again);
    tcase_add_test(tcase, a_fresh_thread_is_no_cached_one);
    support_add_table(tcase, a_job_does_not_see_what_the_last_one_left, messes);
    tcase_add_test(tcase, a_job_has_the_mask_of_its_starter);
    tcase_add_test(tcase, idle_threads_take_no_signals);
    support_add_table(tcase, a_signal_handler_may_stop_at_any_moment, storms);
    tcase_add_test(tcase, a_stack_has_the_size_asked_for);
    add_for_kinds(tcase, a_worker_runs_on_the_cpus_asked_for);
    tcase_add_test(tcase, a_thread_may_start_threads_and_outlive_its_starter);
    return support_run(suite);
}
