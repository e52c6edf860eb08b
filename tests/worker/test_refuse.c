/* What cannot be right, or cannot be done yet, is refused by name. */
#include "support/worker_support.h"

#include <stdlib.h>
#include <string.h>

#define KIND kinds[_i % 2]

/* Refused, with nothing started and nothing written. */
static void
expect(weft_kind kind, const weft_task *task, int status, const char *word)
{
    weft_job *const untouched = (weft_job *)(uintptr_t)16;
    weft_job *job = untouched;

    expect_refused(weft_start(&job, kind, task), status, word);
    ck_assert_ptr_eq(job, untouched);
    ck_assert_int_eq(weft_start(NULL, kind, task), status);
    ck_assert_uint_eq(weft_list(WEFT_PROCESSES, NULL, 0), 0);
    ck_assert_uint_eq(common->begun.open, 0);
}

static int
never(weft_call *call)
{
    (void)call;
    gate_open(&common->begun);
    return 0;
}

/* --- invalid */

START_TEST(no_task_and_no_function_are_refused)
{
    expect(KIND, NULL, WEFT_EINVAL, "task");
    expect(KIND, &(weft_task){.name = "none"}, WEFT_EINVAL, "fn");
}

END_TEST

START_TEST(an_unknown_kind_is_refused)
{
    const int unknown[] = {4, -1, 1000};

    expect((weft_kind)unknown[_i], &(weft_task){.fn = never}, WEFT_EINVAL,
           "kind");
}

END_TEST

START_TEST(a_size_without_an_argument_is_refused)
{
    expect(KIND, &(weft_task){.fn = never, .arg_size = 1}, WEFT_EINVAL, "arg");
}

END_TEST

static const size_t huge[] = {
    SIZE_MAX,         SIZE_MAX - 1,    SIZE_MAX - 15,  SIZE_MAX - 4096,
    SIZE_MAX / 2 + 1, (size_t)1 << 62, (size_t)1 << 50};

#define HUGE (int)(sizeof huge / sizeof *huge)

static void
expect_too_large(weft_kind kind, const weft_task *task)
{
    weft_job *job = NULL;
    const int status = weft_start(&job, kind, task);

    ck_assert_msg(status == WEFT_ENOMEM || status == WEFT_EINVAL,
                  "status %d: %s", status, weft_why());
    ck_assert_ptr_null(job);
}

START_TEST(a_huge_argument_is_refused)
{
    expect_too_large(
        KIND, &(weft_task){.fn = never, .arg = "", .arg_size = huge[_i / 2]});
}

END_TEST

START_TEST(a_huge_result_is_refused)
{
    expect_too_large(KIND,
                     &(weft_task){.fn = never, .result_size = huge[_i / 2]});
}

END_TEST

START_TEST(a_huge_stack_is_refused)
{
    expect_too_large(KIND, &(weft_task){.fn = never,
                                        .worker = &(weft_worker_options){
                                            .stack_size = huge[_i / 2]}});
}

END_TEST

START_TEST(a_negative_span_is_refused)
{
    expect(KIND, &(weft_task){.fn = never, .delay = -1}, WEFT_EINVAL, "delay");
    expect(KIND, &(weft_task){.fn = never, .timeout = INT64_MIN}, WEFT_EINVAL,
           "timeout");
    expect(KIND,
           &(weft_task){.fn = never,
                        .worker = &(weft_worker_options){.grace = -1}},
           WEFT_EINVAL, "grace");
}

END_TEST

START_TEST(a_reserved_word_is_refused)
{
    for (int i = 0; i < 8; i++) {
        weft_task task = {.fn = never};
        weft_worker_options options = {.stack_size = 0};

        task.reserved[i] = 1;
        expect(KIND, &task, WEFT_EINVAL, "task");
        task.reserved[i] = 0;
        options.reserved[i] = UINTPTR_MAX;
        task.worker = &options;
        expect(KIND, &task, WEFT_EINVAL, "worker");
    }
}

END_TEST

static const char *const bad_names[] = {"",         "a\nb", "\x7f",
                                        "\xc2\x80", "\xff", "a\xc3"};

START_TEST(a_bad_name_is_refused)
{
    expect(KIND, &(weft_task){.fn = never, .name = bad_names[_i / 2]},
           WEFT_EINVAL, "name");
}

END_TEST

START_TEST(cpus_that_cannot_be_are_refused)
{
    const unsigned none = 1023, beyond = UINT32_MAX, good = 0;
    const unsigned *some = &good;
    weft_task task = {.fn = never};
    weft_worker_options options = {.cpus = &none, .cpu_count = 1};

    task.worker = &options;
    expect(KIND, &task, WEFT_EINVAL, "cpus");
    options.cpus = &beyond;
    expect(KIND, &task, WEFT_EINVAL, "cpus");
    options.cpus = NULL;
    expect(KIND, &task, WEFT_EINVAL, "cpus");
    options.cpus = some;
    options.cpu_count = 0;
    expect(KIND, &task, WEFT_EINVAL, "cpus");
    options.cpu_count = SIZE_MAX;
    expect(KIND, &task, WEFT_EINVAL, "cpu_count");
}

END_TEST

/* --- not for this kind */

static weft_worker_options
stack_of_a_page(void)
{
    return (weft_worker_options){.stack_size = 1 << 20};
}

START_TEST(what_threads_cannot_have_is_refused)
{
    const struct {
        weft_worker_options options;
        const char *name;
    } lines[] = {
        {{.method = WEFT_ZYGOTE}, "method"},
        {{.method = WEFT_FORK}, "method"},
        {{.grace = 1}, "grace"},
        {{.nice = 1}, "nice"},
    };

    for (size_t i = 0; i < sizeof lines / sizeof *lines; i++)
        expect(WEFT_THREAD,
               &(weft_task){.fn = never, .worker = &lines[i].options},
               WEFT_ENOTSUP, lines[i].name);
}

END_TEST

START_TEST(what_processes_cannot_have_is_refused)
{
    int value;

    expect(WEFT_PROCESS, &(weft_task){.fn = never, .arg = &value}, WEFT_ENOTSUP,
           "arg");
    expect(WEFT_PROCESS,
           &(weft_task){.fn = never,
                        .worker = &(weft_worker_options){.fresh = true}},
           WEFT_ENOTSUP, "fresh");
    expect(WEFT_PROCESS,
           &(weft_task){.fn = never,
                        .worker = &(weft_worker_options){.method = WEFT_SPAWN}},
           WEFT_ENOTSUP, "SPAWN");
    expect(WEFT_PROCESS,
           &(weft_task){.fn = never,
                        .worker =
                            &(weft_worker_options){.method = (weft_method)7}},
           WEFT_EINVAL, "method");
}

END_TEST

START_TEST(a_bare_pointer_reaches_a_thread)
{
    struct common *const bare = common;
    weft_job *job = must_run(
        WEFT_THREAD, &(weft_task){.fn = never, .arg = bare, .arg_size = 0});

    expect_end(job, WEFT_OK);
}

END_TEST

START_TEST(what_a_serial_job_cannot_have_is_refused)
{
    const weft_worker_options options = stack_of_a_page();

    expect(WEFT_SERIAL, &(weft_task){.fn = never, .worker = &options},
           WEFT_ENOTSUP, "worker");
    expect(WEFT_SERIAL,
           &(weft_task){.fn = never,
                        .worker = &(weft_worker_options){.fresh = true}},
           WEFT_ENOTSUP, "worker");
}

END_TEST

START_TEST(a_cluster_takes_no_started_job)
{
    expect(WEFT_CLUSTER, &(weft_task){.fn = never}, WEFT_ENOTSUP, "cluster");
}

END_TEST

/* --- not yet */

START_TEST(retries_of_a_process_are_refused)
{
    expect(WEFT_PROCESS, &(weft_task){.fn = never, .retries = 1}, WEFT_ENOTSUP,
           "retries");
}

END_TEST

START_TEST(what_only_a_process_can_have_is_refused)
{
    const int fds[] = {0};
    const char *const words[] = {"A=b", NULL};

    const struct {
        weft_worker_options options;
        const char *name;
    } lines[] = {
        {{.nice = 1}, "nice"},
        {{.fds = fds, .fd_count = 1}, "fds"},
        {{.env = words}, "env"},
        {{.directory = "/"}, "directory"},
        {{.memory = 1 << 30}, "memory"},
        {{.cpu_time = WEFT_SECOND}, "cpu_time"},
        {{.grace = WEFT_SECOND}, "grace"},
        {{.sandbox = WEFT_LIMITED}, "sandbox"},
        {{.sandbox = WEFT_STRICT}, "sandbox"},
        {{.heap = WEFT_HEAP_NONE}, "heap"},
        {{.writable = words}, "writable"},
        {{.capture = 1}, "capture"},
    };

    for (size_t i = 0; i < sizeof lines / sizeof *lines; i++) {
        const weft_task task = {.fn = never, .worker = &lines[i].options};

        expect(WEFT_THREAD, &task, WEFT_ENOTSUP, lines[i].name);
        expect(WEFT_SERIAL, &task, WEFT_ENOTSUP, "worker");
    }
}

END_TEST

START_TEST(an_option_of_init_that_cannot_be_is_refused)
{
    char *argv[] = {NULL};

    expect_refused(weft_init(&(weft_options){.shared_size = SIZE_MAX}),
                   WEFT_EINVAL, "shared_size");
    expect_refused(weft_init(&(weft_options){.argc = 1}), WEFT_EINVAL, "argc");
    expect_refused(weft_init(&(weft_options){.argv = argv}), WEFT_EINVAL,
                   "argv");
    for (int i = 0; i < 8; i++) {
        weft_options options = {.quiet = true};

        options.reserved[i] = 1;
        ck_assert_int_eq(weft_init(&options), WEFT_EINVAL);
    }
}

END_TEST

START_TEST(a_source_that_is_not_one_thing_is_refused)
{
    weft_job *job = must_run(WEFT_THREAD, &(weft_task){.fn = do_nothing});
    const weft_source both = {.job = job, .fd = 1, .events = WEFT_READABLE};
    const weft_source none = {.fd = 1}, odd = {.fd = 1, .events = 8};
    const weft_source good = {.job = job};

    ck_assert_int_eq(weft_wait_any(&both, 1, 0, WEFT_NOW), WEFT_EINVAL);
    ck_assert_int_eq(weft_wait_any(&none, 1, 0, WEFT_NOW), WEFT_EINVAL);
    ck_assert_int_eq(weft_wait_any(&odd, 1, 0, WEFT_NOW), WEFT_EINVAL);
    ck_assert_int_eq(weft_wait_any(&good, 0, 0, WEFT_NOW), WEFT_EINVAL);
    ck_assert_int_eq(weft_wait_any(NULL, 1, 0, WEFT_NOW), WEFT_EINVAL);
    ck_assert_int_eq(weft_wait_any(&good, 1, 0, WEFT_NOW), 0);
    weft_release(job);
}

END_TEST

START_TEST(null_is_answered_not_followed)
{
    weft_worker worker;

    ck_assert_int_eq(weft_join(NULL, WEFT_NOW), WEFT_EINVAL);
    ck_assert_int_eq(weft_result(NULL, NULL, 0, WEFT_NOW), WEFT_EINVAL);
    ck_assert_ptr_null(weft_outcome_of(NULL));
    ck_assert_int_lt(weft_kill(NULL, 9), 0);
    ck_assert_int_lt(weft_fd(NULL), 0);
    ck_assert_ptr_nonnull(weft_name(NULL));
    weft_worker_of(NULL, &worker);
}

END_TEST

static void
add_invalid(Suite *suite)
{
    TCase *tcase = support_case(suite, "invalid", 10);

    tcase_add_checked_fixture(tcase, common_make, NULL);
    add_for_kinds(tcase, no_task_and_no_function_are_refused);
    tcase_add_loop_test(tcase, an_unknown_kind_is_refused, 0, 3);
    add_for_kinds(tcase, a_size_without_an_argument_is_refused);
    tcase_add_loop_test(tcase, a_huge_argument_is_refused, 0, 2 * HUGE);
    tcase_add_loop_test(tcase, a_huge_result_is_refused, 0, 2 * HUGE);
    tcase_add_loop_test(tcase, a_huge_stack_is_refused, 0, 2 * HUGE);
    add_for_kinds(tcase, a_negative_span_is_refused);
    add_for_kinds(tcase, a_reserved_word_is_refused);
    tcase_add_loop_test(tcase, a_bad_name_is_refused, 0, 12);
    add_for_kinds(tcase, cpus_that_cannot_be_are_refused);
    tcase_add_test(tcase, null_is_answered_not_followed);
}

static void
add_unsupported(Suite *suite)
{
    TCase *tcase = support_case(suite, "unsupported", 10);

    tcase_add_checked_fixture(tcase, common_make, NULL);
    tcase_add_test(tcase, what_threads_cannot_have_is_refused);
    tcase_add_test(tcase, what_processes_cannot_have_is_refused);
    tcase_add_test(tcase, a_bare_pointer_reaches_a_thread);
    tcase_add_test(tcase, what_a_serial_job_cannot_have_is_refused);
    tcase_add_test(tcase, a_cluster_takes_no_started_job);
    tcase_add_test(tcase, retries_of_a_process_are_refused);
    tcase_add_test(tcase, what_only_a_process_can_have_is_refused);
    tcase_add_test(tcase, an_option_of_init_that_cannot_be_is_refused);
    tcase_add_test(tcase, a_source_that_is_not_one_thing_is_refused);
}

int
main(void)
{
    Suite *suite = suite_create("refuse");

    add_invalid(suite);
    add_unsupported(suite);
    return support_run(suite);
}
