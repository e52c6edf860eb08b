/* Spawning from a program that is linked statically, which gives its arguments
 * to weft_init. */
#include "support/worker_support.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static const weft_worker_options spawned = {.method = WEFT_SPAWN};
static int main_ran; /* pid of the process whose main went past weft_init */

struct seen {
    int value, pid, main_ran;
};

static int
look_around(weft_call *call)
{
    struct seen *seen = call->result;

    *seen = (struct seen){2 * *(const int *)call->arg, getpid(), main_ran};
    return 0;
}

START_TEST(a_static_program_can_spawn)
{
    for (int i = 0; i < 10; i++) {
        struct seen seen = {0};
        weft_job *job =
            must_run(WEFT_PROCESS, &(weft_task){.fn = look_around,
                                                WEFT_ARG(i),
                                                .result_size = sizeof seen,
                                                .worker = &spawned});

        ck_assert_msg(outcome(job)->status == 0, "%s", outcome(job)->text);
        ck_assert_int_eq(weft_result(job, &seen, sizeof seen, WEFT_FOREVER), 0);
        ck_assert_int_eq(seen.value, 2 * i);
        ck_assert_int_eq(seen.pid, outcome(job)->pid);
        ck_assert_int_eq(seen.main_ran, 0);
        ck_assert_int_ne(main_ran, 0);
        weft_release(job);
    }
}

END_TEST

static int
exit_7(weft_call *call)
{
    (void)call;
    exit(7);
}

START_TEST(its_exit_status_is_told)
{
    weft_job *job =
        must_run(WEFT_PROCESS, &(weft_task){.fn = exit_7, .worker = &spawned});

    ck_assert_int_eq(outcome(job)->status, WEFT_EDIED);
    ck_assert_int_eq(outcome(job)->exit_code, 7);
    weft_release(job);
}

END_TEST

START_TEST(the_variable_is_not_kept)
{
    ck_assert_ptr_null(getenv("WEFT_WORKER"));
}

END_TEST

int
main(int argc, char **argv)
{
    const weft_options options = {
        .argc = argc, .argv = argv, .no_zygote = true};

    if (weft_init(&options) != 0)
        return 1;
    main_ran = getpid();
    Suite *suite = suite_create("argv");
    TCase *tcase = support_case(suite, "argv", 10);

    tcase_add_test(tcase, a_static_program_can_spawn);
    tcase_add_test(tcase, its_exit_status_is_told);
    tcase_add_test(tcase, the_variable_is_not_kept);
    return support_run(suite);
}
