/* How a job ends: the table of weft(7), line by line, for each kind. */
#include "support/worker_support.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

/* What the function does once the gate is open. */
enum act {
    RETURN_0,
    RETURN_4,
    WAIT_0, /* waits to be asked to stop, then returns so */
    WAIT_4,
    LOOP,          /* never looks */
    LOOP_STUBBORN, /* and ignores SIGTERM */
    EXIT_3,
    EXIT_0,
    QUICK_EXIT_4, /* _exit */
    ABORT,
    SEGV,
    WAIT_ABORT,
    WAIT_EXIT_3
};

/* What is done to the job. */
enum deed {
    NOTHING,
    STOP,
    STOP_DELAYED,
    TIMEOUT,
    TIMEOUT_AND_STOP,
    KILL
};

static const struct line {
    enum act act;
    enum deed deed;
    int status, result;
    int code, exit_code, signal;
} lines[] = {
    /* returned 0, asked to stop or not, late or not */
    {RETURN_0, NOTHING, WEFT_OK, WEFT_OK, 0, -1, 0},
    {WAIT_0, STOP, WEFT_OK, WEFT_OK, 0, -1, 0},
    {WAIT_0, TIMEOUT, WEFT_OK, WEFT_OK, 0, -1, 0},
    {WAIT_0, TIMEOUT_AND_STOP, WEFT_OK, WEFT_OK, 0, -1, 0},
    /* never began, because it was stopped */
    {RETURN_0, STOP_DELAYED, WEFT_ECANCELED, WEFT_EFAILED, 0, -1, 0},
    {RETURN_4, STOP_DELAYED, WEFT_ECANCELED, WEFT_EFAILED, 0, -1, 0},
    /* asked to stop, then returned non-zero */
    {WAIT_4, STOP, WEFT_ECANCELED, WEFT_EFAILED, 4, -1, 0},
    /* its timeout passed, then returned non-zero */
    {WAIT_4, TIMEOUT, WEFT_ETIMEDOUT, WEFT_EFAILED, 4, -1, 0},
    /* returned non-zero otherwise */
    {RETURN_4, NOTHING, WEFT_EFAILED, WEFT_EFAILED, 4, -1, 0},
};

static const struct line process_lines[] = {
    /* asked to stop, then was killed for it */
    {LOOP, STOP, WEFT_ECANCELED, WEFT_EFAILED, 0, -1, SIGTERM},
    {LOOP_STUBBORN, STOP, WEFT_ECANCELED, WEFT_EFAILED, 0, -1, SIGKILL},
    /* its timeout passed, then was killed for it */
    {LOOP, TIMEOUT, WEFT_ETIMEDOUT, WEFT_EFAILED, 0, -1, SIGTERM},
    {LOOP_STUBBORN, TIMEOUT, WEFT_ETIMEDOUT, WEFT_EFAILED, 0, -1, SIGKILL},
    /* died of itself */
    {EXIT_3, NOTHING, WEFT_EDIED, WEFT_EDIED, 0, 3, 0},
    {EXIT_0, NOTHING, WEFT_EDIED, WEFT_EDIED, 0, 0, 0},
    {QUICK_EXIT_4, NOTHING, WEFT_EDIED, WEFT_EDIED, 0, 4, 0},
    {ABORT, NOTHING, WEFT_EDIED, WEFT_EDIED, 0, -1, SIGABRT},
    {SEGV, NOTHING, WEFT_EDIED, WEFT_EDIED, 0, -1, SIGSEGV},
    {LOOP, KILL, WEFT_EDIED, WEFT_EDIED, 0, -1, SIGKILL},
    /* died of itself, though it was asked to stop */
    {WAIT_ABORT, STOP, WEFT_EDIED, WEFT_EDIED, 0, -1, SIGABRT},
    {WAIT_ABORT, TIMEOUT, WEFT_EDIED, WEFT_EDIED, 0, -1, SIGABRT},
    {WAIT_EXIT_3, STOP, WEFT_EDIED, WEFT_EDIED, 0, 3, 0},
};

static void
crash(void)
{
    signal(SIGSEGV, SIG_DFL); /* a checker's handler would exit instead */
    raise(SIGSEGV);
}

static void
end_otherwise(enum act act)
{
    setrlimit(RLIMIT_CORE, &(struct rlimit){0, 0});
    if (act == EXIT_0 || act == EXIT_3 || act == WAIT_EXIT_3)
        exit(act == EXIT_0 ? 0 : 3);
    if (act == QUICK_EXIT_4)
        _exit(4);
    if (act == ABORT || act == WAIT_ABORT)
        abort();
    crash();
}

static int
perform(weft_call *call)
{
    const enum act act = *(const enum act *)call->arg;

    atomic_fetch_add(&common->count, 1);
    if (act == LOOP_STUBBORN)
        signal(SIGTERM, SIG_IGN);
    gate_open(&common->begun);
    if (act == LOOP || act == LOOP_STUBBORN)
        return loop_for_ever(call);
    if (act == WAIT_0 || act == WAIT_4 || act == WAIT_ABORT ||
        act == WAIT_EXIT_3)
        while (!weft_stopping())
            (void)weft_sleep(WEFT_FOREVER);
    if (act == RETURN_0 || act == WAIT_0)
        return 0;
    if (act == RETURN_4 || act == WAIT_4)
        return 4;
    end_otherwise(act);
    return 0;
}

static weft_job *
start_line(weft_kind kind, const struct line *line)
{
    const weft_worker_options quick = {.grace = 20 * WEFT_MS};
    const bool timeout =
        line->deed == TIMEOUT || line->deed == TIMEOUT_AND_STOP;

    return must_start(
        kind, &(weft_task){
                  .fn = perform,
                  .name = "line",
                  WEFT_ARG(line->act),
                  .delay = line->deed == STOP_DELAYED ? 3600 * WEFT_SECOND : 0,
                  .timeout = timeout ? patient(20 * WEFT_MS) : 0,
                  .worker = kind == WEFT_PROCESS ? &quick : NULL});
}

static void
do_deed(weft_job *job, enum deed deed)
{
    if (deed != STOP_DELAYED)
        gate_pass(&common->begun);
    if (deed == STOP || deed == STOP_DELAYED)
        ck_assert_int_eq(weft_stop(job), 0);
    if (deed == TIMEOUT_AND_STOP) {
        (void)weft_join(job, weft_in(patient(30 * WEFT_MS)));
        ck_assert_int_eq(weft_stop(job), 0);
    }
    if (deed == KILL)
        ck_assert_int_eq(weft_kill(job, SIGKILL), 0);
}

static void
check_line(weft_kind kind, const struct line *line)
{
    weft_job *job = start_line(kind, line);

    do_deed(job, line->deed);
    must_join(job);
    const weft_outcome *end = outcome(job);

    ck_assert_msg(end->status == line->status, "status %d, not %d: %s",
                  end->status, line->status, end->text);
    ck_assert_int_eq(weft_result(job, NULL, 0, WEFT_NOW), line->result);
    ck_assert_int_eq(end->code, line->code);
    ck_assert_int_eq(end->exit_code, line->exit_code);
    ck_assert_int_eq(end->signal, line->signal);
    ck_assert(!end->core_dumped);
    ck_assert_int_eq(atomic_load(&common->count), line->deed != STOP_DELAYED);
    ck_assert_ptr_nonnull(strstr(end->text, "line"));
    weft_release(job);
}

START_TEST(a_line_holds_for_threads)
{
    check_line(WEFT_THREAD, &lines[_i]);
}

END_TEST

START_TEST(a_line_holds_for_processes)
{
    check_line(WEFT_PROCESS, &lines[_i]);
}

END_TEST

START_TEST(a_line_of_processes_holds)
{
    check_line(WEFT_PROCESS, &process_lines[_i]);
}

END_TEST

/* --- the text */

static const struct {
    struct line line;
    const char *text;
} texts[] = {
    {{RETURN_0, NOTHING, 0, 0, 0, 0, 0}, " ended"},
    {{RETURN_4, NOTHING, 0, 0, 0, 0, 0}, " failed with code 4"},
    {{WAIT_4, STOP, 0, 0, 0, 0, 0}, " was stopped"},
    {{WAIT_4, TIMEOUT, 0, 0, 0, 0, 0}, " exceeded its timeout"},
    {{EXIT_3, NOTHING, 0, 0, 0, 0, 0}, " called exit(3)"},
    {{SEGV, NOTHING, 0, 0, 0, 0, 0}, " died of SIGSEGV"},
    {{ABORT, NOTHING, 0, 0, 0, 0, 0}, " died of SIGABRT"},
};

START_TEST(the_text_says_it_in_words)
{
    weft_job *job = start_line(WEFT_PROCESS, &texts[_i].line);
    char text[128];

    do_deed(job, texts[_i].line.deed);
    must_join(job);
    ck_assert_int_gt(outcome(job)->pid, 0);
    snprintf(text, sizeof text, "process line (pid %d)%s", outcome(job)->pid,
             texts[_i].text);
    /* A crash's place comes after it. */
    ck_assert_int_eq(strncmp(outcome(job)->text, text, strlen(text)), 0);
    if (!outcome(job)->signal)
        ck_assert_str_eq(outcome(job)->text, text);
    weft_release(job);
}

END_TEST

START_TEST(the_text_of_a_thread_says_it_in_words)
{
    weft_job *job = start_line(WEFT_THREAD, &texts[_i].line);
    char text[128];

    do_deed(job, texts[_i].line.deed);
    must_join(job);
    snprintf(text, sizeof text, "thread line%s", texts[_i].text);
    /* A crash's place comes after it. */
    ck_assert_int_eq(strncmp(outcome(job)->text, text, strlen(text)), 0);
    if (!outcome(job)->signal)
        ck_assert_str_eq(outcome(job)->text, text);
    weft_release(job);
}

END_TEST

/* --- how soon */

START_TEST(a_stopped_process_is_terminated_after_its_grace)
{
    const weft_duration grace = 100 * WEFT_MS;
    weft_job *job = must_start(
        WEFT_PROCESS,
        &(weft_task){.fn = loop_for_ever,
                     .worker = &(weft_worker_options){.grace = grace}});

    gate_pass(&common->begun);
    const weft_time asked = weft_now();

    ck_assert_int_eq(weft_stop(job), 0);
    must_join(job);
    const weft_duration took = weft_now().ns - asked.ns;

    ck_assert_int_ge(took, grace);
    ck_assert_int_lt(took, grace + patient(500 * WEFT_MS));
    expect_end(job, WEFT_ECANCELED);
}

END_TEST

START_TEST(a_stubborn_process_is_killed_after_as_long_again)
{
    const enum act act = LOOP_STUBBORN;
    const weft_duration grace = 100 * WEFT_MS;
    weft_job *job = must_start(
        WEFT_PROCESS,
        &(weft_task){.fn = perform,
                     WEFT_ARG(act),
                     .timeout = 50 * WEFT_MS,
                     .worker = &(weft_worker_options){.grace = grace}});

    must_join(job);
    ck_assert_int_eq(outcome(job)->signal, SIGKILL);
    ck_assert_int_ge(outcome(job)->wall, 50 * WEFT_MS + 2 * grace);
    ck_assert_int_lt(outcome(job)->wall,
                     50 * WEFT_MS + 2 * grace + patient(500 * WEFT_MS));
    expect_end(job, WEFT_ETIMEDOUT);
}

END_TEST

START_TEST(a_second_stop_does_not_prolong_the_grace)
{
    const weft_duration grace = 100 * WEFT_MS;
    weft_job *job = must_start(
        WEFT_PROCESS,
        &(weft_task){.fn = loop_for_ever,
                     .worker = &(weft_worker_options){.grace = grace}});

    gate_pass(&common->begun);
    const weft_time asked = weft_now();

    do
        ck_assert_int_eq(weft_stop(job), 0);
    while (weft_join(job, weft_in(5 * WEFT_MS)) == WEFT_ETIMEDOUT);
    ck_assert_int_lt(weft_now().ns - asked.ns, grace + patient(500 * WEFT_MS));
    expect_end(job, WEFT_ECANCELED);
}

END_TEST

int
main(void)
{
    Suite *suite = suite_create("table");
    TCase *tcase = support_case(suite, "table", 10);

    tcase_add_checked_fixture(tcase, common_make, NULL);
    support_add_table(tcase, a_line_holds_for_threads, lines);
    support_add_table(tcase, a_line_holds_for_processes, lines);
    support_add_table(tcase, a_line_of_processes_holds, process_lines);
    support_add_table(tcase, the_text_says_it_in_words, texts);
    tcase_add_loop_test(tcase, the_text_of_a_thread_says_it_in_words, 0, 4);
    tcase_add_test(tcase, a_stopped_process_is_terminated_after_its_grace);
    tcase_add_test(tcase, a_stubborn_process_is_killed_after_as_long_again);
    tcase_add_test(tcase, a_second_stop_does_not_prolong_the_grace);
    return support_run(suite);
}
