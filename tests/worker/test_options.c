/* Where a process worker is by its options: environment, directory, priority
 * and CPUs; and what cannot be asked for. */
#include "support/options_support.h"

#include <errno.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

extern char **environ;

static const weft_duration soon = 20 * WEFT_MS;

/* --- environment */

static int
tell_environment(weft_call *call)
{
    char *out = call->result;

    for (char **at = environ; at && *at; at++) {
        if ((size_t)(out - (char *)call->result) + strlen(*at) + 2 >
            call->result_size)
            return weft_fail(call, "too many strings");
        out = stpcpy(stpcpy(out, *at), "\n");
    }
    return setenv("NEW", "1", 1) == 0 && strcmp(getenv("NEW"), "1") == 0 ? 0
                                                                         : 1;
}

static void
expect_environment(weft_job *job, const char *expected)
{
    char text[64 << 10];

    must_join(job);
    ck_assert_msg(outcome(job)->status == 0, "%s", outcome(job)->text);
    ck_assert_int_eq(weft_result(job, text, sizeof text, WEFT_NOW), 0);
    ck_assert_str_eq(text, expected);
    weft_release(job);
}

static weft_job *
start_told(weft_method method, const char *const *list)
{
    return must_start(WEFT_PROCESS,
                      &(weft_task){.fn = tell_environment,
                                   .result_size = 64 << 10,
                                   .worker = &(weft_worker_options){
                                       .method = method, .env = list}});
}

START_TEST(a_worker_has_the_environment_it_is_given)
{
    char changing[] = "A=1";
    const char *list[] = {changing, "B=", "C=x=y", "A=twice", NULL};

    setenv("OURS", "1", 1);
    weft_job *job = start_told(methods[_i], list);

    changing[2] = '2';
    list[1] = NULL;
    expect_environment(job, "A=1\nB=\nC=x=y\nA=twice\n");
    expect_environment(start_told(methods[_i], (const char *const[]){NULL}),
                       "");
    expect_environment(
        start_told(methods[_i], (const char *const[]){"K=V", NULL}), "K=V\n");
}

END_TEST

START_TEST(a_worker_has_a_long_environment)
{
    enum {
        COUNT = 1000
    };

    static char strings[COUNT][32], expected[64 << 10];
    const char *list[COUNT + 1] = {NULL};
    char *end = expected;

    for (int i = 0; i < COUNT; i++) {
        snprintf(strings[i], sizeof strings[i], "NAME_%d=value %d", i, i * i);
        list[i] = strings[i];
        end = stpcpy(stpcpy(end, strings[i]), "\n");
    }
    expect_environment(start_told(methods[_i], list), expected);
}

END_TEST

START_TEST(a_delayed_job_keeps_its_environment)
{
    char changing[] = "A=1";
    const char *list[] = {changing, NULL};
    weft_job *job =
        must_start(WEFT_PROCESS,
                   &(weft_task){.fn = tell_environment,
                                .result_size = 64 << 10,
                                .delay = soon,
                                .worker = &(weft_worker_options){.env = list}});

    memset(changing, 'x', 3);
    list[0] = NULL;
    expect_environment(job, "A=1\n");
}

END_TEST

START_TEST(a_malformed_environment_is_refused)
{
    const char *const wrong[] = {"A", "=x", "", "="};

    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++)
        start_refused(WEFT_EINVAL, "worker.env",
                      .env = (const char *const[]){"A=1", wrong[i], NULL});
}

END_TEST

/* --- directory */

static int
tell_directory(weft_call *call)
{
    if (!getcwd(call->result, call->result_size))
        strcpy(call->result, strerrorname_np(errno));
    return 0;
}

#define expect_directory(path, expected)                                       \
    do {                                                                       \
        char seen_[256];                                                       \
        weft_job *job_ = must_run(                                             \
            WEFT_PROCESS,                                                      \
            &(weft_task){.fn = tell_directory,                                 \
                         .result_size = sizeof seen_,                          \
                         .worker = &(weft_worker_options){                     \
                             .method = methods[_i], .directory = (path)}});    \
        ck_assert_int_eq(weft_result(job_, seen_, sizeof seen_, WEFT_NOW), 0); \
        ck_assert_str_eq(seen_, (expected));                                   \
        weft_release(job_);                                                    \
    } while (0)

START_TEST(a_worker_is_in_the_directory_it_is_given)
{
    char root[64], below[80];

    support_directory(root);
    snprintf(below, sizeof below, "%s/below", root);
    ck_assert_int_eq(mkdir(below, 0700), 0);
    ck_assert_int_eq(weft_init(NULL), 0);
    ck_assert_int_eq(chdir(root), 0);
    expect_directory("below", below);
    expect_directory("/proc", "/proc");
    expect_directory("below/..", root);
    expect_directory(NULL, root);
    support_write(root, "file", "");
    start_refused(-ENOENT, "'missing'", .directory = "missing");
    start_refused(-ENOTDIR, "'file'", .directory = "file");
    start_refused(-ENOENT, "worker.directory", .directory = "");
    support_remove(root);
    /* Where the caller is there is no name any more. */
    expect_directory(NULL, "ENOENT");
    start_refused(-ENOENT, "below", .directory = "below");
    expect_directory("/", "/");
}

END_TEST

/* --- priority and CPUs */

static int
tell_nice(weft_call *call)
{
    errno = 0;
    *(int *)call->result = getpriority(PRIO_PROCESS, 0);
    return errno;
}

static int
nice_of(weft_method method, int nice)
{
    weft_job *job = NULL;
    int seen = -100;

    child_expect(
        weft_start(&job, WEFT_PROCESS,
                   &(weft_task){.fn = tell_nice,
                                .result_size = sizeof seen,
                                .worker = &(weft_worker_options){
                                    .method = method, .nice = nice}}) == 0);
    child_expect(weft_result(job, &seen, sizeof seen, WEFT_FOREVER) == 0);
    weft_release(job);
    return seen;
}

START_TEST(nice_is_added)
{
    const int now = getpriority(PRIO_PROCESS, 0);

    ck_assert_int_eq(nice_of(methods[_i], 3), now + 3 < 19 ? now + 3 : 19);
    ck_assert_int_eq(nice_of(methods[_i], 39), 19);
    ck_assert_int_eq(getpriority(PRIO_PROCESS, 0), now);
    start_refused(WEFT_EINVAL, "worker.nice", .nice = 40);
    start_refused(WEFT_EINVAL, "worker.nice", .nice = -40);
    start_refused(WEFT_EINVAL, "worker.nice", .nice = INT32_MIN);
    if (geteuid() != 0)
        return;
    ck_assert_int_eq(nice_of(methods[_i], -2), now - 2 > -20 ? now - 2 : -20);
    ck_assert_int_eq(nice_of(methods[_i], -39), -20);
}

END_TEST

static void
be_too_proud(void *arg)
{
    const weft_worker_options options = {.method = *(const weft_method *)arg,
                                         .nice = -1};

    child_expect(geteuid() != 0 || setuid(65534) == 0);
    setrlimit(RLIMIT_NICE, &(struct rlimit){0, 0});
    child_expect(weft_start(NULL, WEFT_PROCESS,
                            &(weft_task){.fn = do_nothing,
                                         .worker = &options}) == WEFT_EPERM);
    child_expect(strstr(weft_why(), "worker.nice"));
    child_expect(weft_list(WEFT_PROCESSES, NULL, 0) == 0);
    child_expect(nice_of(options.method, 1) ==
                 getpriority(PRIO_PROCESS, 0) + 1);
}

START_TEST(only_root_may_be_less_nice)
{
    weft_method method = methods[_i];

    ck_assert_int_eq(support_run_fork(be_too_proud, &method), 0);
}

END_TEST

static int
tell_cpus(weft_call *call)
{
    return sched_getaffinity(0, call->result_size, call->result) < 0;
}

START_TEST(a_worker_has_the_cpus_it_is_given)
{
    cpu_set_t mine, seen, only;

    ck_assert_int_eq(sched_getaffinity(0, sizeof mine, &mine), 0);
    for (unsigned cpu = 0; cpu < CPU_SETSIZE; cpu++) {
        if (!CPU_ISSET(cpu, &mine))
            continue;
        weft_job *job = must_run(
            WEFT_PROCESS,
            &(weft_task){.fn = tell_cpus,
                         .result_size = sizeof seen,
                         .worker = &(weft_worker_options){.method = methods[_i],
                                                          .cpus = &cpu,
                                                          .cpu_count = 1}});

        CPU_ZERO(&only);
        CPU_SET(cpu, &only);
        ck_assert_int_eq(weft_result(job, &seen, sizeof seen, WEFT_NOW), 0);
        ck_assert(CPU_EQUAL(&seen, &only));
        weft_release(job);
    }
    const unsigned beyond[] = {100000, UINT32_MAX};

    start_refused(WEFT_EINVAL, "100000", .cpus = beyond, .cpu_count = 1);
    start_refused(WEFT_EINVAL, "4294967295", .cpus = beyond + 1,
                  .cpu_count = 1);
    start_refused(WEFT_EINVAL, "together", .cpu_count = 1);
    start_refused(WEFT_EINVAL, "together", .cpus = beyond);
    start_refused(WEFT_EINVAL, "cpu_count", .cpus = beyond,
                  .cpu_count = SIZE_MAX);
}

END_TEST

/* --- without the heap */

static weft_mutex *left;

static int
lock_and_die(weft_call *call)
{
    (void)call;
    return weft_mutex_lock(left) == 0 ? raise(SIGKILL) : 1;
}

/* In memory that the program has shared itself. */
START_TEST(who_died_with_a_lock_is_named)
{
    char expected[32];

    left = support_share(sizeof *left);
    left->shared = true;
    const weft_worker_options options = {
        .method = WEFT_FORK, /* which has the lock, too */
        .heap = _i ? WEFT_HEAP_NONE : WEFT_HEAP_DEFAULT};
    weft_job *job = must_run(
        WEFT_PROCESS, &(weft_task){.fn = lock_and_die, .worker = &options});

    must_join(job);
    ck_assert_int_eq(outcome(job)->signal, SIGKILL);
    snprintf(expected, sizeof expected, "(pid %d, ", outcome(job)->pid);
    for (int i = 0; i < 100; i++) /* until its slots are cleared */
        expect_end(must_run(WEFT_PROCESS, &(weft_task){.fn = do_nothing}),
                   WEFT_OK);
    ck_assert_int_eq(weft_mutex_lock(left), WEFT_OWNER_DIED);
    ck_assert_msg(strstr(weft_why(), expected), "%s", weft_why());
    weft_mutex_unlock(left);
    weft_release(job);
}

END_TEST

/* --- what cannot be asked for */

START_TEST(unknown_values_are_refused)
{
    const char *const none[] = {NULL};

    start_refused(WEFT_EINVAL, "sandbox 3", .sandbox = (weft_sandbox)3);
    start_refused(WEFT_EINVAL, "sandbox -1", .sandbox = (weft_sandbox)-1);
    start_refused(WEFT_EINVAL, "heap 3", .heap = (weft_heap)3);
    start_refused(WEFT_EINVAL, "heap -1", .heap = (weft_heap)-1);
    start_refused(WEFT_ENOTSUP, "fresh", .fresh = true);
    start_refused(WEFT_EINVAL, "writable", .writable = none);
    start_refused(WEFT_EINVAL, "options", .reserved = {[7] = 1});
    start_refused(WEFT_ENOMEM, "capture", .capture = SIZE_MAX);
    start_refused(WEFT_ENOMEM, "capture", .capture = SIZE_MAX >> 24);
    expect_refused(try_options(&(weft_worker_options){.method = 4}),
                   WEFT_EINVAL, "method 4");
    expect_refused(
        try_options(&(weft_worker_options){.method = (weft_method)-1}),
        WEFT_EINVAL, "method -1");
    expect_end(run_with(do_nothing, .heap = WEFT_HEAP_NONE), WEFT_OK);
    ck_assert_uint_eq(weft_list(WEFT_PROCESSES, NULL, 0), 0);
}

END_TEST

int
main(void)
{
    Suite *suite = suite_create("options");
    TCase *tcase = support_case(suite, "options", 10);

    tcase_add_checked_fixture(tcase, options_ready, NULL);
    if (!support_is_valgrind()) /* which starts no processes */
        tcase_add_loop_test(tcase, who_died_with_a_lock_is_named, 0, 2);
    add_for_methods(tcase, a_worker_has_the_environment_it_is_given);
    add_for_methods(tcase, a_worker_has_a_long_environment);
    tcase_add_test(tcase, a_delayed_job_keeps_its_environment);
    add_for_methods(tcase, a_malformed_environment_is_refused);
    add_for_methods(tcase, a_worker_is_in_the_directory_it_is_given);
    add_for_methods(tcase, nice_is_added);
    add_for_methods(tcase, only_root_may_be_less_nice);
    add_for_methods(tcase, a_worker_has_the_cpus_it_is_given);
    add_for_methods(tcase, unknown_values_are_refused);
    return support_run(suite);
}
