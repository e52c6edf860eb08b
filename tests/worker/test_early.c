/* A program that has a thread before its main begins, since a library that it
 * is linked with starts one. The tests run it anew. */
#include "support/worker_support.h"
#include "worker/late.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static int constructed;

__attribute__((constructor)) static void
construct(void)
{
    constructed = getpid();
}

/* Whether this process was executed for it. */
static int
tell_whether_spawned(weft_call *call)
{
    *(bool *)call->result = constructed == getpid();
    return 0;
}

static int
start_without_init(void)
{
    weft_job *job = NULL;
    const int status =
        weft_start(&job, WEFT_PROCESS, &(weft_task){.fn = do_nothing});

    puts(weft_why());
    return status == WEFT_ETHREADS && !job ? 0 : 1;
}

static int
start_after_init(void)
{
    if (weft_init(NULL) != 0)
        return 1;
    for (int i = 0; i < 5; i++) {
        weft_job *job = NULL;
        bool spawned = false;
        int value = 0;

        if (weft_start(&job, WEFT_PROCESS,
                       &(weft_task){.fn = tell_whether_spawned,
                                    .result_size = sizeof spawned}) < 0 ||
            weft_result(job, &spawned, sizeof spawned, WEFT_FOREVER) < 0)
            return puts(weft_why()), 2;
        weft_release(job);
        if (!spawned)
            return 3;
        if (weft_start(&job, WEFT_PROCESS,
                       &(weft_task){.fn = late_value,
                                    .result_size = sizeof value}) < 0 ||
            weft_result(job, &value, sizeof value, WEFT_FOREVER) < 0)
            return puts(weft_why()), 4;
        weft_release(job);
        if (value != 3)
            return 5;
    }
    return 0;
}

static int
name_the_zygote(void)
{
    const weft_worker_options options = {.method = WEFT_ZYGOTE};
    weft_job *job = NULL;

    if (weft_init(NULL) != 0)
        return 1;
    const int status = weft_start(
        &job, WEFT_PROCESS, &(weft_task){.fn = do_nothing, .worker = &options});

    puts(weft_why());
    return status == WEFT_ETHREADS && !job ? 0 : 2;
}

static int (*const programs[])(void) = {start_without_init, start_after_init,
                                        name_the_zygote};

static void
execute(void *number)
{
    execl("/proc/self/exe", "early", (char *)number, (char *)NULL);
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

START_TEST(without_init_a_process_is_refused)
{
    const struct ran ran = run_anew("0");

    ck_assert_msg(strstr(ran.out, "weft_init()") != NULL, "%s", ran.out);
    ck_assert_msg(strstr(ran.out, "2") != NULL, "%s", ran.out);
}

END_TEST

START_TEST(after_init_a_process_is_spawned)
{
    const struct ran ran = run_anew("1");

    ck_assert_str_eq(ran.err, "");
}

END_TEST

START_TEST(a_zygote_asked_for_by_name_is_refused)
{
    const struct ran ran = run_anew("2");

    ck_assert_msg(strstr(ran.out, "2") != NULL, "%s", ran.out);
}

END_TEST

int
main(int argc, char **argv)
{
    if (argc > 1)
        return programs[atoi(argv[1])]();
    Suite *suite = suite_create("early");
    TCase *tcase = support_case(suite, "early", 10);

    tcase_add_test(tcase, without_init_a_process_is_refused);
    tcase_add_test(tcase, after_init_a_process_is_spawned);
    tcase_add_test(tcase, a_zygote_asked_for_by_name_is_refused);
    return support_run(suite);
}
