/* What the options of a process worker do, for each way to copy the program. */
#include "os/os.h"
#include "support/worker_support.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

static const weft_method methods[] = {WEFT_ZYGOTE, WEFT_FORK};

#define add_for_methods(tcase, test) support_add_table(tcase, test, methods)

enum {
    MIB = 1 << 20,
    PART = 64 << 10,
    MOST_FDS = 200
};

extern char **environ;

static const weft_duration soon = 20 * WEFT_MS;

static void
ready(void)
{
    common_make();
    setrlimit(RLIMIT_CORE, &(struct rlimit){0, 0});
}

#define start_with(function, ...)                             \
    must_start(WEFT_PROCESS,                                  \
               &(weft_task){.fn = (function),                 \
                            .worker = &(weft_worker_options){ \
                                .method = methods[_i], __VA_ARGS__}})

#define run_with(function, ...)                             \
    must_run(WEFT_PROCESS,                                  \
             &(weft_task){.fn = (function),                 \
                          .worker = &(weft_worker_options){ \
                              .method = methods[_i], __VA_ARGS__}})

#define run_plainly(function) run_with(function, .nice = 0)

static int
try_options(const weft_worker_options *options)
{
    weft_job *job = NULL;
    const int status = weft_start(
        &job, WEFT_PROCESS, &(weft_task){.fn = do_nothing, .worker = options});

    ck_assert(status < 0 || job);
    weft_release(job);
    return status;
}

#define start_refused(code, word, ...)                                       \
    expect_refused(try_options(&(weft_worker_options){.method = methods[_i], \
                                                      __VA_ARGS__}),         \
                   code, word)

/* --- descriptors */

/* The argument holds the numbers that stand in the files. */
static int
look_at_handed(weft_call *call)
{
    const int *expected = call->arg;

    if (call->fd_count != call->arg_size / sizeof *expected)
        return weft_fail(call, "%zu descriptors", call->fd_count);
    if (!call->fds != !call->fd_count)
        return weft_fail(call, "fds and fd_count disagree");
    gate_pass(&common->go);
    for (size_t i = 0; i < call->fd_count; i++) {
        int seen = -1;

        if (call->fds[i] != 3 + (int)i)
            return weft_fail(call, "number %zu is %d", i, call->fds[i]);
        if (pread(call->fds[i], &seen, sizeof seen, 0) != sizeof seen ||
            seen != expected[i])
            return weft_fail(call, "number %zu is file %d", i, seen);
        if (fcntl(call->fds[i], F_GETFD) != 0)
            return weft_fail(call, "number %zu is closed by exec", i);
    }
    if (support_fds() != 3 + (int)call->fd_count)
        return weft_fail(call, "%d descriptors are open", support_fds());
    for (size_t i = 0; i < call->fd_count; i++)
        if (close(call->fds[i]) < 0)
            return weft_fail(call, "number %zu cannot be closed", i);
    return 0;
}

static int
numbered_file(int number)
{
    const int fd = memfd_create("numbered", MFD_CLOEXEC);

    ck_assert_int_ge(fd, 0);
    ck_assert_int_eq(write(fd, &number, sizeof number), sizeof number);
    return fd;
}

static const size_t counts[] = {0, 1, 2, 7, MOST_FDS};

/* The last made goes first, so that what one is to be another one is now; the
 * caller closes its own before the worker looks. */
START_TEST(descriptors_come_in_order_and_alone)
{
    int before = 0;

    for (size_t k = 0; k < sizeof counts / sizeof *counts; k++) {
        int fds[MOST_FDS], expected[MOST_FDS];
        const size_t count = counts[k];

        atomic_store(&common->go.open, 0);
        for (size_t i = 0; i < count; i++)
            fds[count - 1 - i] = numbered_file((int)(count - 1 - i));
        for (size_t i = 0; i < count; i++)
            expected[i] = (int)i;
        weft_job *job = must_start(
            WEFT_PROCESS, &(weft_task){.fn = look_at_handed,
                                       .arg = count ? expected : NULL,
                                       .arg_size = count * sizeof *expected,
                                       .worker = &(weft_worker_options){
                                           .method = methods[_i],
                                           .fds = count ? fds : NULL,
                                           .fd_count = count}});

        for (size_t i = 0; i < count; i++)
            close(fds[i]);
        memset(fds, -1, sizeof fds);
        gate_open(&common->go);
        expect_end(job, WEFT_OK);
        weft_fini();
        if (k == 0)
            before = support_fds();
        ck_assert_int_eq(support_fds(), before);
    }
}

END_TEST

START_TEST(descriptors_may_be_named_twice)
{
    const int fd = numbered_file(9), other = numbered_file(5);
    const int fds[] = {fd, other, fd, fd}, expected[] = {9, 5, 9, 9};

    gate_open(&common->go);
    expect_end(
        must_run(
            WEFT_PROCESS,
            &(weft_task){.fn = look_at_handed,
                         WEFT_ARG(expected),
                         .worker = &(weft_worker_options){.method = methods[_i],
                                                          .fds = fds,
                                                          .fd_count = 4}}),
        WEFT_OK);
    close(fd);
    close(other);
}

END_TEST

static int
write_to_handed(weft_call *call)
{
    return write(call->fds[0], "hello", 5) == 5 ? 0 : 1;
}

/* Its end comes with the worker's: nobody else has kept a copy. */
START_TEST(nobody_keeps_a_descriptor_that_was_handed_over)
{
    char text[16] = "";
    int ends[2];

    for (int i = 0; i < 5; i++) {
        ck_assert_int_eq(pipe(ends), 0);
        weft_job *job =
            start_with(write_to_handed, .fds = &ends[1], .fd_count = 1);

        close(ends[1]);
        ck_assert_int_eq(read(ends[0], text, sizeof text), 5);
        ck_assert_int_eq(read(ends[0], text, sizeof text), 0);
        close(ends[0]);
        expect_end(job, WEFT_OK);
    }
}

END_TEST

START_TEST(a_delayed_job_has_its_descriptors)
{
    char text[16] = "";
    int ends[2];

    ck_assert_int_eq(pipe(ends), 0);
    weft_job *job = must_start(
        WEFT_PROCESS, &(weft_task){.fn = write_to_handed,
                                   .delay = soon,
                                   .worker = &(weft_worker_options){
                                       .fds = &ends[1], .fd_count = 1}});

    close(ends[1]);
    ck_assert_int_eq(read(ends[0], text, sizeof text), 5);
    ck_assert_int_eq(read(ends[0], text, sizeof text), 0);
    close(ends[0]);
    expect_end(job, WEFT_OK);
}

END_TEST

START_TEST(wrong_descriptors_are_refused)
{
    const int gone = fcntl(1, F_DUPFD, 300);
    int fds[MOST_FDS + 1];

    for (size_t i = 0; i < sizeof fds / sizeof *fds; i++)
        fds[i] = 1;
    close(gone);
    start_refused(WEFT_EINVAL, "201", .fds = fds, .fd_count = MOST_FDS + 1);
    start_refused(WEFT_EINVAL, "fd_count", .fds = fds, .fd_count = SIZE_MAX);
    start_refused(WEFT_EINVAL, "together", .fds = fds);
    start_refused(WEFT_EINVAL, "together", .fd_count = 1);
    fds[2] = gone;
    start_refused(WEFT_EINVAL, "fds[2]", .fds = fds, .fd_count = 3);
    fds[2] = -1;
    start_refused(WEFT_EINVAL, "fds[2]", .fds = fds, .fd_count = 3);
    fds[2] = INT32_MAX;
    start_refused(WEFT_EINVAL, "fds[2]", .fds = fds, .fd_count = 3);
}

END_TEST

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

/* --- memory and time */

/* How much it gets, in parts. */
static size_t
take_all(size_t most)
{
    size_t got = 0;

    /* volatile: else a compiler may do without the memory */
    for (char *volatile part; got < most && (part = malloc(PART)); got += PART)
        memset(part, 1, PART);
    return got;
}

static int
tell_what_it_gets(weft_call *call)
{
    *(size_t *)call->result = take_all((size_t)1 << 30);
    return 0;
}

START_TEST(malloc_returns_null_at_the_limit)
{
    size_t got = 0;
    weft_job *job =
        must_run(WEFT_PROCESS,
                 &(weft_task){.fn = tell_what_it_gets,
                              .result_size = sizeof got,
                              .worker = &(weft_worker_options){
                                  .method = methods[_i], .memory = 64 * MIB}});

    ck_assert_int_eq(weft_result(job, &got, sizeof got, WEFT_NOW), 0);
    ck_assert_uint_le(got, 65 * MIB);
    ck_assert_uint_ge(got, 48 * MIB);
    weft_release(job);
}

END_TEST

static int *volatile nowhere;

static int
crash(weft_call *call)
{
    (void)call;
    *nowhere = 1;
    return 0;
}

static int
take_all_and_crash(weft_call *call)
{
    (void)take_all((size_t)1 << 30);
    return crash(call);
}

static void
expect_crash(weft_job *job, bool out_of_memory)
{
    must_join(job);
    ck_assert_int_eq(outcome(job)->signal, SIGSEGV);
    ck_assert_msg(outcome(job)->out_of_memory == out_of_memory, "%s",
                  outcome(job)->text);
    ck_assert_int_eq(strstr(outcome(job)->text, "out of memory") != NULL,
                     out_of_memory);
    ck_assert_str_ne(outcome(job)->where, "");
    expect_end(job, WEFT_EDIED);
}

START_TEST(a_crash_for_lack_of_memory_is_told)
{
    expect_crash(run_with(take_all_and_crash, .memory = 32 * MIB), true);
    expect_crash(run_with(take_all_and_crash, .memory = 2 * MIB), true);
    expect_crash(run_with(crash, .memory = 32 * MIB), false);
    expect_crash(run_with(crash, .memory = 2 * MIB), false);
    expect_crash(run_plainly(crash), false);
}

END_TEST

/* What the program has is no part of what the worker was given. */
START_TEST(a_crash_in_a_large_program_is_no_lack_of_memory)
{
    void *large = mmap(NULL, (size_t)1 << 30, PROT_READ | PROT_WRITE,
                       MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

    ck_assert_ptr_ne(large, MAP_FAILED);
    expect_crash(run_with(crash, .memory = 32 * MIB), false);
    expect_crash(run_with(crash, .memory = 2 * MIB), false);
    expect_crash(run_with(take_all_and_crash, .memory = 32 * MIB), true);
    expect_crash(run_with(take_all_and_crash, .memory = 2 * MIB), true);
    munmap(large, (size_t)1 << 30);
}

END_TEST

START_TEST(a_crash_for_lack_of_memory_is_told_where_nothing_can_be_opened)
{
    if (os_can_compute_only() < 0)
        return;
    expect_crash(run_with(take_all_and_crash, .memory = 32 * MIB,
                          .sandbox = WEFT_STRICT),
                 true);
    expect_crash(run_with(crash, .memory = 32 * MIB, .sandbox = WEFT_STRICT),
                 false);
}

END_TEST

static int
need_some(weft_call *call)
{
    return take_all(8 * MIB) == 8 * MIB ? 0 : weft_fail(call, "no memory");
}

/* A limit beyond all memory is none. */
START_TEST(a_huge_limit_limits_nothing)
{
    const size_t huge[] = {SIZE_MAX, SIZE_MAX - 4096, SIZE_MAX / 2};

    for (size_t i = 0; i < sizeof huge / sizeof *huge; i++)
        expect_end(run_with(need_some, .memory = huge[i]), WEFT_OK);
    expect_crash(run_with(crash, .memory = SIZE_MAX), false);
    expect_end(run_with(need_some, .cpu_time = INT64_MAX), WEFT_OK);
    expect_end(run_with(need_some, .grace = INT64_MAX), WEFT_OK);
}

END_TEST

START_TEST(cpu_time_ends_in_sigxcpu)
{
    weft_job *job = run_with(loop_for_ever, .cpu_time = 1);

    /* A checker that holds signals back lets the next limit come first. */
    if (!support_is_tsan())
        ck_assert_int_eq(outcome(job)->signal, SIGXCPU);
    ck_assert_int_ge(outcome(job)->cpu, 500 * WEFT_MS);
    expect_end(job, WEFT_EDIED);
    start_refused(WEFT_EINVAL, "cpu_time", .cpu_time = -1);
}

END_TEST

static void
note_term(int number)
{
    (void)number;
    atomic_store(&common->count, 1);
}

static int
be_stubborn(weft_call *call)
{
    (void)call;
    signal(SIGTERM, note_term);
    gate_open(&common->begun);
    while (atomic_load(&common->value) == 0)
        pause();
    return 0;
}

START_TEST(grace_lies_between_the_steps_of_a_stop)
{
    const weft_duration grace = 50 * WEFT_MS;
    weft_job *job = start_with(be_stubborn, .grace = grace);

    gate_pass(&common->begun);
    const int64_t asked = weft_now().ns;

    ck_assert_int_eq(weft_stop(job), 0);
    must_join(job);
    const int64_t took = weft_now().ns - asked;

    ck_assert_int_eq(atomic_load(&common->count), 1);
    ck_assert_int_eq(outcome(job)->signal, SIGKILL);
    ck_assert_int_ge(took, 2 * grace);
    ck_assert_int_lt(took, patient(1 * WEFT_SECOND));
    expect_end(job, WEFT_ECANCELED);
    start_refused(WEFT_EINVAL, "grace", .grace = -1);
}

END_TEST

/* --- stacks */

static size_t
use_stack(size_t left)
{
    volatile char page[4096];

    for (size_t i = 0; i < sizeof page; i += 64)
        page[i] = (char)left;
    return left <= sizeof page
               ? (size_t)page[0]
               : use_stack(left - sizeof page) + 1 + (size_t)page[64];
}

static int
use_half_a_mib(weft_call *call)
{
    (void)call;
    return use_stack(MIB / 2) == 0;
}

START_TEST(a_stack_has_the_size_asked_for)
{
    expect_end(run_with(use_half_a_mib, .stack_size = MIB), WEFT_OK);
    expect_end(run_plainly(use_half_a_mib), WEFT_OK);
    expect_end(run_with(use_half_a_mib, .stack_size = MIB / 4), WEFT_EDIED);
    expect_end(run_with(do_nothing, .stack_size = 1), WEFT_OK);
    start_refused(WEFT_ENOMEM, "stack_size", .stack_size = SIZE_MAX);
}

END_TEST

/* --- sandboxes */

static void *
count_up(void *unused)
{
    atomic_fetch_add(&common->count, 1);
    return unused;
}

static int
try_what_is_strict(weft_call *call)
{
    pthread_t thread;

    errno = 0;
    if (open("/dev/null", O_RDONLY) >= 0 || errno != EPERM)
        return weft_fail(call, "open: %d", errno);
    errno = 0;
    if (socket(AF_UNIX, SOCK_STREAM, 0) >= 0 || errno != EPERM)
        return weft_fail(call, "socket: %d", errno);
    errno = 0;
    if (fork() >= 0 || errno != EPERM)
        return weft_fail(call, "fork: %d", errno);
    if (pthread_create(&thread, NULL, count_up, NULL) != 0 ||
        pthread_join(thread, NULL) != 0)
        return weft_fail(call, "no thread");
    char *some = malloc(16 * MIB);

    if (!some)
        return weft_fail(call, "no memory");
    memset(some, 1, 16 * MIB);
    free(some);
    printf("printed\n");
    fprintf(stderr, "error\n");
    return 0;
}

START_TEST(a_strict_worker_only_computes)
{
    if (os_can_compute_only() < 0) {
        start_refused(WEFT_ENOTSUP, "seccomp", .sandbox = WEFT_STRICT);
        return;
    }
    weft_job *job =
        run_with(try_what_is_strict, .sandbox = WEFT_STRICT, .capture = 100);

    ck_assert_msg(outcome(job)->status == 0, "%s", outcome(job)->text);
    ck_assert_str_eq(outcome(job)->output, "printed\nerror\n");
    ck_assert_int_eq(atomic_load(&common->count), 1);
    weft_release(job);
    /* Nobody else is restricted. */
    expect_end(run_plainly(do_nothing), WEFT_OK);
    close(open("/dev/null", O_RDONLY));
}

END_TEST

static int
abort_it(weft_call *call)
{
    (void)call;
    abort();
}

START_TEST(a_strict_worker_tells_where_it_crashed)
{
    if (os_can_compute_only() < 0)
        return;
    expect_crash(run_with(crash, .sandbox = WEFT_STRICT), false);
    weft_job *job = run_with(abort_it, .sandbox = WEFT_STRICT);

    ck_assert_int_eq(outcome(job)->signal, SIGABRT);
    ck_assert_str_ne(outcome(job)->where, "");
    expect_end(job, WEFT_EDIED);
}

END_TEST

static int
read_handed(weft_call *call)
{
    char text[8] = "";

    return pread(call->fds[0], text, sizeof text - 1, 0) == 4 &&
                   strcmp(text, "data") == 0
               ? 0
               : weft_fail(call, "'%s'", text);
}

START_TEST(a_strict_worker_uses_what_it_is_handed)
{
    const int fd = memfd_create("data", MFD_CLOEXEC);

    ck_assert_int_eq(write(fd, "data", 4), 4);
    if (os_can_compute_only() >= 0)
        expect_end(run_with(read_handed, .fds = &fd, .fd_count = 1,
                            .sandbox = WEFT_STRICT),
                   WEFT_OK);
    close(fd);
}

END_TEST

static bool
can_write(const char *root, const char *name)
{
    char path[128];

    snprintf(path, sizeof path, "%s/%s", root, name);
    errno = 0;
    const int fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);

    if (fd >= 0)
        close(fd);
    return fd >= 0;
}

static int
write_where_it_may(weft_call *call)
{
    const char *root = call->arg;
    struct stat status;

    if (can_write(root, "new") || (errno != EACCES && errno != EPERM))
        return weft_fail(call, "new: %d", errno);
    if (can_write(root, "closed/new"))
        return weft_fail(call, "closed/new could be written");
    if (!can_write(root, "open/new") || !can_write(root, "one"))
        return weft_fail(call, "open/new: %d", errno);
    return stat(root, &status) == 0 ? 0 : weft_fail(call, "stat: %d", errno);
}

static void
limited(weft_method method)
{
    char root[64];
    const char *const paths[] = {"open", "one", NULL};
    weft_worker_options options = {
        .method = method, .sandbox = WEFT_LIMITED, .writable = paths};

    support_directory(root);
    support_write(root, "open/old", "");
    support_write(root, "closed/old", "");
    support_write(root, "one", "");
    options.directory = root; /* which the paths are relative to */
    expect_end(must_run(WEFT_PROCESS, &(weft_task){.fn = write_where_it_may,
                                                   .arg = root,
                                                   .arg_size = sizeof root,
                                                   .worker = &options}),
               WEFT_OK);
    ck_assert(can_write(root, "new"));
    support_remove(root);
}

static void
limited_to_what_is_missing(weft_method method)
{
    const char *const paths[] = {"/tmp", "/nowhere/to/be/found", NULL};
    const weft_worker_options options = {
        .method = method, .sandbox = WEFT_LIMITED, .writable = paths};

    expect_refused(try_options(&options), -ENOENT, "/nowhere/to/be/found");
    const int before = support_fds();

    for (int i = 0; i < 10; i++)
        expect_refused(try_options(&options), -ENOENT, "/nowhere/to/be/found");
    ck_assert_int_le(support_fds(), before + 2); /* workers made in advance */
    ck_assert_uint_eq(weft_list(WEFT_PROCESSES, NULL, 0), 0);
}

START_TEST(a_limited_worker_writes_only_where_it_may)
{
    if (os_can_limit_writes() < 0) {
        start_refused(WEFT_ENOTSUP, "Landlock", .sandbox = WEFT_LIMITED);
        return;
    }
    limited(methods[_i]);
    limited_to_what_is_missing(methods[_i]);
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

static void
add_descriptors(Suite *suite)
{
    TCase *tcase = support_case(suite, "descriptors", 20);

    tcase_add_checked_fixture(tcase, ready, NULL);
    add_for_methods(tcase, descriptors_come_in_order_and_alone);
    add_for_methods(tcase, descriptors_may_be_named_twice);
    add_for_methods(tcase, nobody_keeps_a_descriptor_that_was_handed_over);
    tcase_add_test(tcase, a_delayed_job_has_its_descriptors);
    add_for_methods(tcase, wrong_descriptors_are_refused);
}

static void
add_place(Suite *suite)
{
    TCase *tcase = support_case(suite, "place", 10);

    tcase_add_checked_fixture(tcase, ready, NULL);
    add_for_methods(tcase, a_worker_has_the_environment_it_is_given);
    add_for_methods(tcase, a_worker_has_a_long_environment);
    tcase_add_test(tcase, a_delayed_job_keeps_its_environment);
    add_for_methods(tcase, a_malformed_environment_is_refused);
    add_for_methods(tcase, a_worker_is_in_the_directory_it_is_given);
    add_for_methods(tcase, nice_is_added);
    add_for_methods(tcase, only_root_may_be_less_nice);
    add_for_methods(tcase, a_worker_has_the_cpus_it_is_given);
}

static void
add_limits(Suite *suite)
{
    TCase *tcase = support_case(suite, "limits", 20);

    tcase_add_checked_fixture(tcase, ready, NULL);
    add_for_methods(tcase, cpu_time_ends_in_sigxcpu);
    add_for_methods(tcase, grace_lies_between_the_steps_of_a_stop);
    if (support_is_checked())
        return; /* its memory and stacks are its own affair */
    add_for_methods(tcase, malloc_returns_null_at_the_limit);
    add_for_methods(tcase, a_crash_for_lack_of_memory_is_told);
    add_for_methods(tcase, a_crash_in_a_large_program_is_no_lack_of_memory);
    add_for_methods(
        tcase, a_crash_for_lack_of_memory_is_told_where_nothing_can_be_opened);
    add_for_methods(tcase, a_huge_limit_limits_nothing);
    add_for_methods(tcase, a_stack_has_the_size_asked_for);
}

static void
add_sandboxes(Suite *suite)
{
    TCase *tcase = support_case(suite, "sandboxes", 20);

    tcase_add_checked_fixture(tcase, ready, NULL);
    add_for_methods(tcase, a_limited_worker_writes_only_where_it_may);
    add_for_methods(tcase, unknown_values_are_refused);
    if (support_is_checked())
        return; /* its runtime needs what a strict worker may not do */
    add_for_methods(tcase, a_strict_worker_only_computes);
    add_for_methods(tcase, a_strict_worker_tells_where_it_crashed);
    add_for_methods(tcase, a_strict_worker_uses_what_it_is_handed);
}

int
main(void)
{
    Suite *suite = suite_create("options");

    add_descriptors(suite);
    add_place(suite);
    add_limits(suite);
    add_sandboxes(suite);
    return support_run(suite);
}
