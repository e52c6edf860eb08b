/* A program in a debugger has the same results. */
#include "support/worker_support.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* Where the debugger stops, if it is asked to; not static, nor inlined, so that
 * it finds it. */
int debugged_double(weft_call *call);

__attribute__((noinline)) int
debugged_double(weft_call *call)
{
    *(int *)call->result = 2 * *(const int *)call->arg;
    return 0;
}

static int
exit_with(weft_call *call)
{
    exit(*(const int *)call->arg);
}

static int
sleep_there(weft_call *call)
{
    (void)call;
    return weft_sleep(WEFT_FOREVER);
}

/* --- the program */

static int
check_double(int value, const weft_worker_options *options)
{
    weft_job *job = NULL;
    int twice = -1;

    if (weft_start(&job, WEFT_PROCESS,
                   &(weft_task){.fn = debugged_double,
                                WEFT_ARG(value),
                                .result_size = sizeof twice,
                                .worker = options}) < 0 ||
        weft_result(job, &twice, sizeof twice, WEFT_FOREVER) < 0)
        return printf("%d: %s\n", value, weft_why());
    weft_release(job);
    return twice == 2 * value ? 0 : printf("twice %d is %d\n", value, twice);
}

static int
check_exit(int code)
{
    weft_job *job = NULL;
    int bad = 0;

    if (weft_start(&job, WEFT_PROCESS,
                   &(weft_task){.fn = exit_with, WEFT_ARG(code)}) < 0)
        return printf("%d: %s\n", code, weft_why());
    (void)weft_join(job, WEFT_FOREVER);
    if (weft_outcome_of(job)->exit_code != code)
        bad = printf("%d: %s\n", code, weft_outcome_of(job)->text);
    weft_release(job);
    return bad;
}

static int
check_kill(void)
{
    weft_job *job = NULL;
    int bad = 0;

    if (weft_start(&job, WEFT_PROCESS, &(weft_task){.fn = sleep_there}) < 0)
        return printf("%s\n", weft_why());
    if (weft_kill(job, SIGKILL) < 0)
        bad = printf("%s\n", weft_why());
    (void)weft_join(job, WEFT_FOREVER);
    if (weft_outcome_of(job)->signal != SIGKILL)
        bad = printf("%s\n", weft_outcome_of(job)->text);
    weft_release(job);
    return bad;
}

static int
run_all(void)
{
    const weft_worker_options by_fork = {.method = WEFT_FORK,
                                         .grace = WEFT_SECOND};
    int bad = 0;

    if (weft_init(NULL) != 0)
        bad = printf("%s\n", weft_why());
    for (int i = 0; i < 10; i++) {
        bad |= check_double(i, NULL);
        bad |= check_double(i, &by_fork);
        bad |= check_exit(i);
    }
    bad |= check_kill();
    weft_fini();
    if (!bad)
        puts("all is right");
    return bad != 0;
}

/* --- the debugger */

static const char *program_path;

static bool
has_debugger(void)
{
    return system("gdb --version >/dev/null 2>&1") == 0;
}

enum {
    WORDS = 8 /* of each list below */
};

/* With a breakpoint where workers come by, and in the program itself. */
static const char *const commands[][WORDS] = {
    {"run program"},
    {"break debugged_double", "run program"},
    {"set follow-fork-mode parent", "set detach-on-fork on",
     "break debugged_double", "run program"},
    {"break weft_outcome_of", "run program", "continue", "continue", "delete",
     "continue"},
};

static void
execute(void *list)
{
    const char *const *words = list;
    const char *arguments[32] = {"gdb",    "-nx", "-q",
                                 "-batch", "-ex", "set startup-with-shell off"};
    unsigned count = 6;

    for (int i = 0; i < WORDS && words[i]; i++) {
        arguments[count++] = "-ex";
        arguments[count++] = words[i];
    }
    arguments[count] = program_path;
    (void)setenv("LSAN_OPTIONS", "detect_leaks=0", 1); /* it traces as well */
    alarm(60); /* the debugger's end is the program's */
    execvp("gdb", (char *const *)(uintptr_t)arguments);
    _exit(98);
}

START_TEST(results_are_right_in_a_debugger)
{
    struct ran ran;

    run_program(&ran, execute, (void *)(uintptr_t)commands[_i]);
    ck_assert_msg(stands(ran.out, "all is right", 1), "%d: %s%s", ran.code,
                  ran.out, ran.err);
    ck_assert_msg(strstr(ran.out, "exited normally") != NULL, "%s", ran.out);
}

END_TEST

int
main(int argc, char **argv)
{
    if (argc > 1 && strcmp(argv[1], "program") == 0)
        return run_all();
    program_path = argv[0];
    if (!has_debugger()) {
        puts("skipped: there is no gdb");
        return 77;
    }
    Suite *suite = suite_create("debugger");
    TCase *tcase = support_case(suite, "debugger", 60);

    support_add_table(tcase, results_are_right_in_a_debugger, commands);
    return support_run(suite);
}
