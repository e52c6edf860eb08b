/* A program with a library that everybody uses and that has threads before main
 * begins: OpenBLAS. The tests run it anew. */
#include "support/worker_support.h"

#include <cblas.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum {
    SKIPPED = 77,
    SIDE = 256 /* of a matrix: large enough to be shared among threads */
};

static int constructed;

__attribute__((constructor)) static void
construct(void)
{
    constructed = getpid();
}

/* Not an assertion, which only a test may make. */
static int
threads(void)
{
    struct stat tasks;

    return stat("/proc/self/task", &tasks) == 0 ? (int)tasks.st_nlink - 2 : 0;
}

/* A matrix of ones by one of the argument: each element is SIDE times it. */
static int
multiply(weft_call *call)
{
    const double factor = *(const double *)call->arg;
    double *ones = calloc(3 * SIDE * SIDE, sizeof *ones);
    double *factors = ones + SIDE * SIDE, *product = factors + SIDE * SIDE;

    if (!ones)
        return weft_fail(call, "no memory");
    if (constructed != getpid())
        return weft_fail(call, "not executed anew");
    for (int i = 0; i < SIDE * SIDE; i++) {
        ones[i] = 1;
        factors[i] = factor;
    }
    cblas_dgemm(CblasRowMajor, CblasNoTrans, CblasNoTrans, SIDE, SIDE, SIDE, 1,
                ones, SIDE, factors, SIDE, 0, product, SIDE);
    *(double *)call->result = cblas_dasum(SIDE * SIDE, product, 1);
    free(ones);
    return 0;
}

/* By the method, several times. */
static int
start_by(weft_method method)
{
    const weft_worker_options options = {.method = method};

    for (int i = 0; i < 5; i++) {
        const double factor = i + 1;
        weft_job *job = NULL;
        double sum = 0;

        if (weft_start(&job, WEFT_PROCESS,
                       &(weft_task){.fn = multiply,
                                    WEFT_ARG(factor),
                                    .result_size = sizeof sum,
                                    .worker = &options}) < 0 ||
            weft_result(job, &sum, sizeof sum, WEFT_FOREVER) < 0)
            return puts(weft_why()), 2;
        weft_release(job);
        if (sum != factor * SIDE * SIDE * SIDE)
            return printf("%g\n", sum), 3;
    }
    return 0;
}

static int
start_by_default(void)
{
    return start_by(WEFT_METHOD_DEFAULT);
}

static int
start_by_spawn(void)
{
    return start_by(WEFT_SPAWN);
}

/* Prints how many threads there are, too. */
static int
start_by_zygote(void)
{
    const weft_worker_options options = {.method = WEFT_ZYGOTE};
    const int count = threads();
    weft_job *job = NULL;
    const int status = weft_start(
        &job, WEFT_PROCESS, &(weft_task){.fn = do_nothing, .worker = &options});

    printf("%s|now there are %d", weft_why(), count);
    return status == WEFT_ETHREADS && !job ? 0 : 2;
}

static int (*const programs[])(void) = {start_by_default, start_by_spawn,
                                        start_by_zygote};

static void
execute(void *number)
{
    execl("/proc/self/exe", "openblas", (char *)number, (char *)NULL);
    _exit(98);
}

static struct ran
run_anew(const char *number)
{
    struct ran ran;

    run_program(&ran, execute, (void *)(uintptr_t)number);
    ck_assert_msg(ran.code == 0, "%d: %s%s", ran.code, ran.out, ran.err);
    return ran;
}

START_TEST(by_default_it_is_spawned)
{
    ck_assert_str_eq(run_anew("0").err, "");
}

END_TEST

START_TEST(spawn_may_be_asked_for_by_name)
{
    ck_assert_str_eq(run_anew("1").err, "");
}

END_TEST

START_TEST(the_zygote_is_refused_with_the_number_of_threads)
{
    struct ran ran = run_anew("2");
    char *number = strchr(ran.out, '|');

    ck_assert_ptr_nonnull(number);
    *number++ = '\0';
    ck_assert_msg(strstr(ran.out, number) != NULL, "%s: %s", number, ran.out);
}

END_TEST

int
main(int argc, char **argv)
{
    if (argc > 1)
        return weft_init(NULL) == 0 ? programs[atoi(argv[1])]() : 1;
    if (threads() < 2)
        return SKIPPED; /* one CPU, or a variant without threads */
    Suite *suite = suite_create("openblas");
    TCase *tcase = support_case(suite, "openblas", 20);

    tcase_add_test(tcase, by_default_it_is_spawned);
    tcase_add_test(tcase, spawn_may_be_asked_for_by_name);
    tcase_add_test(tcase, the_zygote_is_refused_with_the_number_of_threads);
    return support_run(suite);
}
