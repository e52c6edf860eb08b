/* How the workers of a process pool are made, and what is kept of them. */
#include "os/os.h"
#include "support/options_support.h"
#include "support/pool_support.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

/* Runs fn alone in a pool whose workers are made so, and expects the text. */
#define expect_told(fn_, expected, ...)                                      \
    do {                                                                     \
        weft_pool *pool_ = open_pool(.workers = 1, .worker = {__VA_ARGS__}); \
        weft_job *job_ =                                                     \
            submit(pool_, .fn = (fn_), .result_size = sizeof(struct told));  \
        must_join(job_);                                                     \
        ck_assert_msg(outcome(job_)->status == WEFT_OK, "%s",                \
                      outcome(job_)->text);                                  \
        ck_assert_str_eq(((const struct told *)outcome(job_)->result)->text, \
                         expected);                                          \
        weft_release(job_);                                                  \
        pool_drain(pool_);                                                   \
    } while (0)

struct told {
    char text[256];
};

/* --- how they are made */

static int
tell_variable(weft_call *call)
{
    const char *value = getenv("WEFT_TEST_VARIABLE");
    struct told *told = call->result;

    strncpy(told->text, value ? value : "none", sizeof told->text - 1);
    return 0;
}

START_TEST(an_environment)
{
    static const char *const env[] = {"WEFT_TEST_VARIABLE=given", NULL};

    expect_told(tell_variable, "none", .nice = 0);
    expect_told(tell_variable, "given", .env = env);
    ck_assert_int_eq(setenv("WEFT_TEST_VARIABLE", "the program's", 1), 0);
    expect_told(tell_variable, "the program's", .nice = 0);
}

END_TEST

static int
tell_directory(weft_call *call)
{
    struct told *told = call->result;

    return getcwd(told->text, sizeof told->text) ? 0 : 1;
}

START_TEST(a_directory)
{
    char directory[64];

    support_directory(directory);
    expect_told(tell_directory, directory, .directory = directory);
    support_remove(directory);
}

END_TEST

static int
tell_nice(weft_call *call)
{
    struct told *told = call->result;

    snprintf(told->text, sizeof told->text, "%d", getpriority(PRIO_PROCESS, 0));
    return 0;
}

START_TEST(a_nice_value)
{
    char expected[16];

    snprintf(expected, sizeof expected, "%d", getpriority(PRIO_PROCESS, 0) + 3);
    expect_told(tell_nice, expected, .nice = 3);
}

END_TEST

static int
tell_cpus(weft_call *call)
{
    struct told *told = call->result;

    snprintf(told->text, sizeof told->text, "%u", weft_cpu_count());
    return 0;
}

START_TEST(a_cpu)
{
    static const unsigned cpus[] = {0};

    expect_told(tell_cpus, "1", .cpus = cpus, .cpu_count = 1);
}

END_TEST

static int
read_first(weft_call *call)
{
    struct told *told = call->result;

    if (call->fd_count != 1)
        return weft_fail(call, "%zu descriptors", call->fd_count);
    return pread(call->fds[0], told->text, sizeof told->text - 1, 0) > 0 ? 0
                                                                         : 1;
}

START_TEST(descriptors)
{
    FILE *file = tmpfile();

    ck_assert_ptr_nonnull(file);
    fputs("from a file", file);
    fflush(file);
    const int fds[] = {fileno(file)};
    weft_pool *pool =
        open_pool(.workers = 1, .worker = {.fds = fds, .fd_count = 1});

    for (int i = 0; i < 3; i++) { /* each of its tasks has them */
        weft_job *job =
            submit(pool, .fn = read_first, .result_size = sizeof(struct told));

        must_join(job);
        ck_assert_msg(outcome(job)->status == WEFT_OK, "%s",
                      outcome(job)->text);
        ck_assert_str_eq(((const struct told *)outcome(job)->result)->text,
                         "from a file");
        weft_release(job);
    }
    pool_drain(pool);
    fclose(file);
}

END_TEST

static int
use_heap(weft_call *call)
{
    int *number = *(int *const *)call->arg;

    *number += 1;
    return 0;
}

static int
want_heap(weft_call *call)
{
    (void)call;
    return weft_shared_alloc(64) ? 0 : weft_fail(call, "%s", weft_why());
}

START_TEST(the_shared_heap_where_it_is_asked_for)
{
    int *number = weft_shared_alloc(sizeof *number);

    ck_assert_ptr_nonnull(number);
    weft_pool *pool = open_pool(.workers = 1);

    expect_end(submit(pool, .fn = want_heap), WEFT_EFAILED);
    expect_end(submit(pool, .fn = use_heap, WEFT_ARG(number)), WEFT_EDIED);
    pool_drain(pool);
    pool = open_pool(.workers = 1, .worker = {.heap = WEFT_HEAP_SHARED});
    expect_end(submit(pool, .fn = want_heap), WEFT_OK);
    for (int i = 0; i < 10; i++)
        expect_end(submit(pool, .fn = use_heap, WEFT_ARG(number)), WEFT_OK);
    pool_drain(pool);
    ck_assert_int_eq(*number, 10);
    weft_shared_free(number);
}

END_TEST

static const weft_method all_methods[] = {WEFT_METHOD_DEFAULT, WEFT_ZYGOTE};

START_TEST(each_way_to_copy_the_program)
{
    weft_job *jobs[20];
    weft_pool *pool =
        open_pool(.workers = 2, .worker = {.method = all_methods[_i]});

    submit_doubles(pool, jobs, 0, 20);
    expect_doubles(jobs, 0, 20);
    pool_drain(pool);
}

END_TEST

START_TEST(a_copy_of_the_program_as_it_is_cannot_be_made_anew)
{
    weft_pool *pool = NULL;

    expect_refused(
        weft_pool_open(&pool, WEFT_PROCESS,
                       &(weft_pool_options){.worker = {.method = WEFT_FORK}}),
        WEFT_ENOTSUP, "WEFT_FORK");
    ck_assert_ptr_null(pool);
}

END_TEST

/* --- limits */

START_TEST(memory)
{
    weft_pool *pool = open_pool(.workers = 1, .worker = {.memory = 32 * MIB});

    for (int i = 0; i < 3; i++) {
        expect_crash(submit(pool, .fn = take_all_and_crash), true);
        expect_end(submit(pool, .fn = do_nothing), WEFT_OK);
    }
    pool_drain(pool);
}

END_TEST

START_TEST(cpu_time)
{
    if (support_is_tsan()) /* which keeps signals from what only computes */
        return;
    weft_pool *pool =
        open_pool(.workers = 1, .worker = {.cpu_time = WEFT_SECOND});
    weft_job *job = submit(pool, .fn = loop_for_ever);

    must_join(job);
    ck_assert_int_eq(outcome(job)->signal, SIGXCPU);
    expect_end(job, WEFT_EDIED);
    expect_end(submit(pool, .fn = do_nothing), WEFT_OK);
    pool_drain(pool);
}

END_TEST

START_TEST(a_time)
{
    weft_pool *pool =
        open_pool(.workers = 1, .worker = {.grace = 20 * WEFT_MS});

    for (int i = 0; i < 3; i++) {
        weft_job *job =
            submit(pool, .fn = loop_for_ever, .timeout = 50 * WEFT_MS);
        weft_job *next = submit(pool, .fn = do_nothing);

        must_join(job);
        ck_assert_int_ge(outcome(job)->wall, 50 * WEFT_MS);
        ck_assert_int_lt(outcome(job)->wall, patient(300 * WEFT_MS));
        expect_end(job, WEFT_ETIMEDOUT);
        expect_end(next, WEFT_OK);
    }
    /* Who looks for the stop is not killed. */
    weft_job *polite =
        submit(pool, .fn = sleep_for_ever, .timeout = 50 * WEFT_MS);

    must_join(polite);
    ck_assert_int_eq(outcome(polite)->code, WEFT_ECANCELED);
    const int pid = outcome(polite)->pid;

    expect_end(polite, WEFT_ETIMEDOUT);
    polite = submit(pool, .fn = do_nothing);
    must_join(polite);
    ck_assert_int_eq(outcome(polite)->pid, pid);
    weft_release(polite);
    pool_drain(pool);
}

END_TEST

/* --- sandboxes */

static int
open_something(weft_call *call)
{
    const int fd = open("/dev/null", O_RDONLY);

    return fd >= 0 ? 0 : weft_fail(call, "%s", strerror(errno));
}

START_TEST(a_strict_one)
{
    weft_pool *pool = NULL;
    const weft_pool_options options = {.workers = 2,
                                       .worker = {.sandbox = WEFT_STRICT}};

    if (os_can_compute_only() < 0) {
        weft_job *job = NULL;

        /* By name, when it is opened or at its first task. */
        int status = weft_pool_open(&pool, WEFT_PROCESS, &options);

        if (status == 0)
            status = weft_submit(&job, pool, &(weft_task){.fn = do_nothing});
        expect_refused(status, WEFT_ENOTSUP, "seccomp");
        return;
    }
    weft_job *jobs[20];

    pool = pool_must_open(&options);
    submit_doubles(pool, jobs, 0, 20);
    expect_doubles(jobs, 0, 20);
    weft_job *job = submit(pool, .fn = open_something);

    must_join(job);
    ck_assert_str_eq(outcome(job)->message, strerror(EPERM));
    expect_end(job, WEFT_EFAILED);
    expect_crash(submit(pool, .fn = crash), false);
    expect_full(pool, 2);
    pool_drain(pool);
}

END_TEST

struct place {
    char path[128];
};

static int
write_there(weft_call *call)
{
    const struct place *place = call->arg;
    FILE *file = fopen(place->path, "w");

    return file && fclose(file) == 0 ? 0
                                     : weft_fail(call, "%s", strerror(errno));
}

START_TEST(a_limited_one)
{
    char directory[64], other[64];
    struct place inside, outside;

    if (os_can_limit_writes() < 0)
        return;
    support_directory(directory);
    support_directory(other);
    snprintf(inside.path, sizeof inside.path, "%s/x", directory);
    snprintf(outside.path, sizeof outside.path, "%s/x", other);
    const char *const writable[] = {directory, NULL};
    weft_pool *pool =
        open_pool(.workers = 1,
                  .worker = {.sandbox = WEFT_LIMITED, .writable = writable});

    expect_end(submit(pool, .fn = write_there, WEFT_ARG(inside)), WEFT_OK);
    expect_end(submit(pool, .fn = write_there, WEFT_ARG(outside)),
               WEFT_EFAILED);
    pool_drain(pool);
    support_remove(directory);
    support_remove(other);
}

END_TEST

/* --- threads of numerical libraries */

static int
tell_caps(weft_call *call)
{
    const char *omp = getenv("OMP_NUM_THREADS");
    const char *blas = getenv("OPENBLAS_NUM_THREADS");
    struct told *told = call->result;

    snprintf(told->text, sizeof told->text, "%s %s", omp ? omp : "none",
             blas ? blas : "none");
    return 0;
}

START_TEST(caps_unless_the_user_set_them)
{
    static const char *const env[] = {"OMP_NUM_THREADS=5", NULL};
    weft_pool *pool;
    weft_job *job;

    char expected[32];

    snprintf(expected, sizeof expected, "5 %u", weft_cpu_count());
    unsetenv("OMP_NUM_THREADS");
    unsetenv("OPENBLAS_NUM_THREADS");
    pool = open_pool(.workers = weft_cpu_count());
    job = submit(pool, .fn = tell_caps, .result_size = sizeof(struct told));
    must_join(job);
    ck_assert_str_eq(((const struct told *)outcome(job)->result)->text, "1 1");
    weft_release(job);
    pool_drain(pool);
    expect_told(tell_caps, expected, .env = env);
    ck_assert_int_eq(setenv("OMP_NUM_THREADS", "7", 1), 0);
    pool = open_pool(.workers = weft_cpu_count());
    job = submit(pool, .fn = tell_caps, .result_size = sizeof(struct told));
    must_join(job);
    ck_assert_str_eq(((const struct told *)outcome(job)->result)->text, "7 1");
    weft_release(job);
    pool_drain(pool);
    ck_assert_ptr_null(getenv("OPENBLAS_NUM_THREADS"));
}

END_TEST

/* --- what they print */

static int
print_number(weft_call *call)
{
    const int number = *(const int *)call->arg;

    printf("out %d\n", number);
    fprintf(stderr, "err %d\n", number);
    printf("no end %d", number);
    return number % 3 == 2 ? crash(call) : 0;
}

START_TEST(what_a_task_prints_is_its_own)
{
    weft_pool *pool =
        open_pool(.workers = 1 + (unsigned)_i, .worker = {.capture = 1000});
    weft_job *jobs[30];

    for (unsigned k = 0; k < scaled(10); k++) {
        for (int i = 0; i < 30; i++)
            jobs[i] = submit(pool, .fn = print_number, WEFT_ARG(i));
        for (int i = 0; i < 30; i++) {
            char whole[128], lines[64];

            must_join(jobs[i]);
            snprintf(lines, sizeof lines, "out %d\nerr %d\n", i, i);
            snprintf(whole, sizeof whole, "%sno end %d", lines, i);
            /* What has no end of line, a crash may lose. */
            if (i % 3 == 2)
                ck_assert(strncmp(outcome(jobs[i])->output, lines,
                                  strlen(lines)) == 0);
            else
                ck_assert_str_eq(outcome(jobs[i])->output, whole);
            weft_release(jobs[i]);
        }
    }
    pool_drain(pool);
}

END_TEST

static int
print_much(weft_call *call)
{
    (void)call;
    for (int i = 0; i < 100000; i++)
        printf("%09d\n", i);
    return 0;
}

START_TEST(the_last_of_it_is_kept)
{
    weft_pool *pool = open_pool(.workers = 1, .worker = {.capture = 100});
    weft_job *job = submit(pool, .fn = print_much);

    must_join(job);
    ck_assert_int_eq(outcome(job)->status, WEFT_OK);
    ck_assert_uint_le(strlen(outcome(job)->output), 100);
    ck_assert_ptr_nonnull(strstr(outcome(job)->output, "000099999\n"));
    weft_release(job);
    job = submit(pool, .fn = do_nothing);
    must_join(job);
    ck_assert_str_eq(outcome(job)->output, "");
    weft_release(job);
    pool_drain(pool);
}

END_TEST

int
main(void)
{
    Suite *suite = suite_create("options of process pools");
    TCase *tcase = support_case(suite, "options", 20);

    tcase_add_checked_fixture(tcase, pools_of_processes, NULL);
    tcase_add_test(tcase, an_environment);
    tcase_add_test(tcase, a_directory);
    tcase_add_test(tcase, a_nice_value);
    tcase_add_test(tcase, a_cpu);
    tcase_add_test(tcase, descriptors);
    tcase_add_test(tcase, the_shared_heap_where_it_is_asked_for);
    support_add_table(tcase, each_way_to_copy_the_program, all_methods);
    tcase_add_test(tcase, a_copy_of_the_program_as_it_is_cannot_be_made_anew);
    if (!support_is_checked()) /* which need memory of their own */
        tcase_add_test(tcase, memory);
    tcase_add_test(tcase, cpu_time);
    tcase_add_test(tcase, a_time);
    tcase_add_test(tcase, a_strict_one);
    tcase_add_test(tcase, a_limited_one);
    tcase_add_test(tcase, caps_unless_the_user_set_them);
    tcase_add_loop_test(tcase, what_a_task_prints_is_its_own, 0, 3);
    tcase_add_test(tcase, the_last_of_it_is_kept);
    return support_run(suite);
}
