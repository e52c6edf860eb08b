/* A failure that nobody looked at is told once; a seen one is not. */
#include "support/worker_support.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define KIND kinds[_i]

static const char *
word(weft_kind kind)
{
    return kind == WEFT_THREAD ? "thread" : "process";
}

/* What one program does with a job that fails. */
enum look {
    NO_LOOK,
    JOIN_ONLY,
    AT_OUTCOME,
    AT_RESULT,
    AT_RESULT_TOO_EARLY,
    BY_SCOPE_NEXT,
    BY_SCOPE_CLOSE,
    NOBODY_HOLDS
};

struct plan {
    weft_kind kind;
    enum look look;
    weft_fn *fn;
    const weft_options *options;
    weft_duration timeout;
};

static void
look_at(weft_job *job, enum look look)
{
    if (look == JOIN_ONLY)
        weft_join(job, WEFT_FOREVER);
    if (look == AT_OUTCOME) {
        weft_join(job, WEFT_FOREVER);
        (void)weft_outcome_of(job);
    }
    if (look == AT_RESULT)
        child_expect(weft_result(job, NULL, 0, WEFT_FOREVER) < 0);
    if (look == AT_RESULT_TOO_EARLY) {
        child_expect(weft_result(job, NULL, 0, WEFT_NOW) == WEFT_ETIMEDOUT);
        child_expect(!weft_outcome_of(job));
        gate_open(&common->go);
        weft_join(job, WEFT_FOREVER);
    }
}

static void
use_scope(const struct plan *plan, weft_task *task)
{
    weft_job *job;

    child_expect(weft_scope_open(&task->scope, NULL) == 0);
    child_expect(weft_start(NULL, plan->kind, task) == 0);
    if (plan->look == BY_SCOPE_NEXT)
        child_expect(weft_scope_next(task->scope, &job, WEFT_FOREVER) == 0);
    child_expect(weft_scope_close(task->scope, WEFT_FOREVER) == WEFT_EFAILED);
}

static void
follow(void *memory)
{
    const struct plan *plan = memory;
    weft_task task = {
        .fn = plan->fn, .name = "Unlucky", .timeout = plan->timeout};
    weft_job *job = NULL;

    child_expect(weft_init(plan->options) == 0);
    if (plan->look == BY_SCOPE_NEXT || plan->look == BY_SCOPE_CLOSE) {
        use_scope(plan, &task);
        return;
    }
    child_expect(weft_start(plan->look == NOBODY_HOLDS ? NULL : &job,
                            plan->kind, &task) == 0);
    look_at(job, plan->look);
    weft_release(job);
}

static void
expect_printed(const struct plan *plan, const char *reason, unsigned times)
{
    struct ran ran;
    char start[64];

    run_program(&ran, follow, (void *)(uintptr_t)plan);
    ck_assert_msg(ran.code == 0, "code %d: %s", ran.code, ran.err);
    snprintf(start, sizeof start, "weft: %s Unlucky", word(plan->kind));
    ck_assert_msg(stands(ran.err, start, times), "not %u times: %s", times,
                  ran.err);
    ck_assert_msg(stands(ran.err, reason, times), "no '%s': %s", reason,
                  ran.err);
    ck_assert_msg(stands(ran.err, "\n", times), "lines: %s", ran.err);
    ck_assert_str_eq(ran.out, "");
}

static int
fail_later(weft_call *call)
{
    gate_pass(&common->go);
    return do_fail(call);
}

START_TEST(an_unseen_failure_is_printed)
{
    expect_printed(&(struct plan){.kind = KIND, .fn = do_fail},
                   "failed: it is broken", 1);
}

END_TEST

START_TEST(a_join_does_not_see_the_failure)
{
    expect_printed(
        &(struct plan){.kind = KIND, .fn = do_fail, .look = JOIN_ONLY},
        "it is broken", 1);
}

END_TEST

START_TEST(a_look_that_comes_too_early_sees_nothing)
{
    expect_printed(&(struct plan){.kind = KIND,
                                  .fn = fail_later,
                                  .look = AT_RESULT_TOO_EARLY},
                   "it is broken", 1);
}

END_TEST

START_TEST(a_failure_that_nobody_holds_is_printed)
{
    expect_printed(
        &(struct plan){.kind = KIND, .fn = do_fail, .look = NOBODY_HOLDS},
        "it is broken", 1);
}

END_TEST

START_TEST(a_passed_timeout_is_printed)
{
    expect_printed(&(struct plan){.kind = KIND,
                                  .fn = sleep_for_ever,
                                  .look = JOIN_ONLY,
                                  .timeout = 5 * WEFT_MS},
                   "exceeded its timeout", 1);
}

END_TEST

static int
end_badly(weft_call *call)
{
    (void)call;
    _exit(7);
}

START_TEST(a_death_is_printed)
{
    expect_printed(&(struct plan){.kind = WEFT_PROCESS,
                                  .fn = end_badly,
                                  .look = JOIN_ONLY},
                   "called exit(7)", 1);
}

END_TEST

START_TEST(a_seen_failure_is_not_printed)
{
    const enum look looks[] = {AT_OUTCOME, AT_RESULT, BY_SCOPE_NEXT,
                               BY_SCOPE_CLOSE};

    for (size_t i = 0; i < sizeof looks / sizeof *looks; i++)
        expect_printed(
            &(struct plan){.kind = KIND, .fn = do_fail, .look = looks[i]},
            "broken", 0);
}

END_TEST

START_TEST(a_success_is_not_printed)
{
    expect_printed(
        &(struct plan){.kind = KIND, .fn = do_nothing, .look = JOIN_ONLY},
        "Unlucky", 0);
}

END_TEST

START_TEST(nothing_is_printed_when_quiet)
{
    expect_printed(&(struct plan){.kind = KIND,
                                  .fn = do_fail,
                                  .look = JOIN_ONLY,
                                  .options = &(weft_options){.quiet = true}},
                   "broken", 0);
    setenv("WEFT_QUIET", "1", 1);
    expect_printed(&(struct plan){.kind = KIND,
                                  .fn = do_fail,
                                  .look = JOIN_ONLY,
                                  .options = &(weft_options){.quiet = false}},
                   "broken", 0);
}

END_TEST

/* --- the moment */

static void
release_and_leave(void *kind)
{
    weft_job *job = NULL;

    child_expect(weft_start(&job, *(const weft_kind *)kind,
                            &(weft_task){.fn = do_fail, .name = "x"}) == 0);
    child_expect(weft_join(job, WEFT_FOREVER) == 0);
    weft_release(job);
    fprintf(stderr, "released\n");
    _exit(0);
}

/* "The last one of a failed job whose outcome nobody read prints it": the
 * program's last reference, not one of the library's own. */
START_TEST(the_last_release_prints_before_it_returns)
{
    weft_kind kind = KIND;
    const unsigned count = scaled(KIND == WEFT_THREAD ? 300 : 50);

    for (unsigned i = 0; i < count; i++) {
        struct ran ran;

        run_program(&ran, release_and_leave, &kind);
        ck_assert_int_eq(ran.code, 0);
        ck_assert_msg(strstr(ran.err, "failed: it is broken\nreleased\n"),
                      "round %u: %s", i, ran.err);
    }
}

END_TEST

static void
leave_at_once(void *kind)
{
    child_expect(weft_start(NULL, *(const weft_kind *)kind,
                            &(weft_task){.fn = do_fail, .name = "x"}) == 0);
}

START_TEST(what_nobody_holds_is_printed_before_the_program_ends)
{
    weft_kind kind = KIND;
    const unsigned count = scaled(KIND == WEFT_THREAD ? 300 : 50);

    for (unsigned i = 0; i < count; i++) {
        struct ran ran;

        run_program(&ran, leave_at_once, &kind);
        ck_assert_int_eq(ran.code, 0);
        ck_assert_msg(stands(ran.err, "failed: it is broken\n", 1),
                      "round %u: %s", i, ran.err);
    }
}

END_TEST

/* --- the hook */

static void
note_failure(weft_job *job)
{
    atomic_fetch_add(&common->count, 1);
    atomic_store(&common->tid, gettid());
    snprintf(common->text, sizeof common->text, "%s|%s|%d", weft_name(job),
             weft_outcome_of(job)->message, weft_is_alive(job));
}

static void
fail_with_hook(void *kind)
{
    const weft_options options = {.on_failure = note_failure};
    weft_job *job = NULL;

    child_expect(weft_init(&options) == 0);
    child_expect(weft_start(&job, *(const weft_kind *)kind,
                            &(weft_task){.fn = do_fail, .name = "Hook"}) == 0);
    child_expect(weft_join(job, WEFT_FOREVER) == 0);
    child_expect(atomic_load(&common->count) == 0);
    weft_job *again = weft_retain(job);
    weft_release(job);
    child_expect(atomic_load(&common->count) == 0);
    weft_release(again);
    child_expect(atomic_load(&common->count) == 1);
    child_expect(atomic_load(&common->tid) == gettid());
}

START_TEST(the_hook_is_called_in_place_of_printing)
{
    weft_kind kind = KIND;

    for (unsigned i = 0; i < scaled(20); i++) {
        struct ran ran;

        memset(common, 0, sizeof *common);
        run_program(&ran, fail_with_hook, &kind);
        ck_assert_msg(ran.code == 0, "%s", ran.err);
        ck_assert_str_eq(ran.err, "");
        ck_assert_str_eq(common->text, "Hook|it is broken|0");
        ck_assert_int_eq(atomic_load(&common->count), 1);
    }
}

END_TEST

static weft_job *kept;

static void
keep(weft_job *job)
{
    kept = weft_retain(job);
}

static void
retain_in_hook(void *kind)
{
    weft_job *job = NULL;

    child_expect(weft_init(&(weft_options){.on_failure = keep}) == 0);
    child_expect(weft_start(&job, *(const weft_kind *)kind,
                            &(weft_task){.fn = do_fail, .name = "Kept"}) == 0);
    child_expect(weft_join(job, WEFT_FOREVER) == 0);
    weft_release(job);
    child_expect(kept != NULL);
    child_expect(strcmp(weft_name(kept), "Kept") == 0);
    child_expect(weft_outcome_of(kept)->status == WEFT_EFAILED);
    job = kept;
    kept = NULL;
    weft_release(job);
    child_expect(kept == NULL); /* seen by now */
}

START_TEST(the_hook_may_keep_the_job)
{
    weft_kind kind = KIND;
    struct ran ran;

    run_program(&ran, retain_in_hook, &kind);
    ck_assert_msg(ran.code == 0, "%s", ran.err);
}

END_TEST

int
main(void)
{
    Suite *suite = suite_create("unseen");
    TCase *tcase = support_case(suite, "unseen", 20);

    tcase_add_checked_fixture(tcase, common_make, NULL);
    add_for_kinds(tcase, an_unseen_failure_is_printed);
    add_for_kinds(tcase, a_join_does_not_see_the_failure);
    add_for_kinds(tcase, a_look_that_comes_too_early_sees_nothing);
    add_for_kinds(tcase, a_failure_that_nobody_holds_is_printed);
    add_for_kinds(tcase, a_passed_timeout_is_printed);
    tcase_add_test(tcase, a_death_is_printed);
    add_for_kinds(tcase, a_seen_failure_is_not_printed);
    add_for_kinds(tcase, a_success_is_not_printed);
    add_for_kinds(tcase, nothing_is_printed_when_quiet);
    add_for_kinds(tcase, the_last_release_prints_before_it_returns);
    add_for_kinds(tcase, what_nobody_holds_is_printed_before_the_program_ends);
    add_for_kinds(tcase, the_hook_is_called_in_place_of_printing);
    add_for_kinds(tcase, the_hook_may_keep_the_job);
    return support_run(suite);
}
