/* What a job does, the same for a thread and for a process. */
#include "support/worker_support.h"

#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define KIND kinds[_i]

/* --- argument and result */

static int
twice(weft_call *call)
{
    *(int *)call->result = 2 * *(const int *)call->arg;
    return 0;
}

START_TEST(each_job_has_its_own_argument)
{
    enum {
        MOST = 100
    };

    const int count = (int)scaled(MOST);
    weft_job *jobs[MOST * 10];
    int result = -1;

    ck_assert_int_le(count, MOST * 10);
    for (int i = 0; i < count; i++)
        jobs[i] = must_start(KIND, &(weft_task){.fn = twice,
                                                WEFT_ARG(i),
                                                .result_size = sizeof result});
    for (int i = 0; i < count; i++) {
        ck_assert_int_eq(
            weft_result(jobs[i], &result, sizeof result, WEFT_FOREVER), 0);
        ck_assert_int_eq(result, 2 * i);
        weft_release(jobs[i]);
    }
}

END_TEST

static const size_t sizes[] = {0,    1,    15,   16,    17,    4032,
                               4095, 4096, 4097, 65536, 65537, 1 << 20};

#define SIZES (int)(sizeof sizes / sizeof *sizes)

static unsigned char
byte_at(size_t i)
{
    return (unsigned char)(i * 7 + i / 251 + 1);
}

struct seen {
    size_t size;
    bool null, right, aligned;
};

static int
look_at_argument(weft_call *call)
{
    const unsigned char *arg = call->arg;
    struct seen *seen = call->result;

    seen->size = call->arg_size;
    seen->null = !arg;
    seen->aligned = (uintptr_t)arg % 16 == 0;
    seen->right = true;
    for (size_t i = 0; i < call->arg_size; i++)
        seen->right = seen->right && arg[i] == byte_at(i);
    return call->attempt == 0 && call->fd_count == 0 ? 0 : 1;
}

START_TEST(an_argument_of_any_size_arrives)
{
    const weft_kind kind = kinds[_i / SIZES];
    const size_t size = sizes[_i % SIZES];
    unsigned char *arg = size ? malloc(size) : NULL;
    struct seen seen;

    for (size_t i = 0; i < size; i++)
        arg[i] = byte_at(i);
    weft_job *job = must_start(kind, &(weft_task){.fn = look_at_argument,
                                                  .arg = arg,
                                                  .arg_size = size,
                                                  .result_size = sizeof seen});

    if (arg)
        memset(arg, 0, size); /* it was copied */
    free(arg);
    ck_assert_int_eq(weft_result(job, &seen, sizeof seen, WEFT_FOREVER), 0);
    ck_assert_uint_eq(seen.size, size);
    ck_assert(seen.null == (size == 0));
    ck_assert(seen.right);
    ck_assert(seen.aligned);
    weft_release(job);
}

END_TEST

static int
fill_result(weft_call *call)
{
    unsigned char *result = call->result;

    if (call->result_size == 0)
        return result == NULL ? 0 : 1;
    if ((uintptr_t)result % 16 != 0)
        return 2;
    for (size_t i = 0; i < call->result_size; i++) {
        if (result[i] != 0)
            return 3;
        result[i] = byte_at(i);
    }
    return 0;
}

START_TEST(a_result_of_any_size_comes_back)
{
    const weft_kind kind = kinds[_i / SIZES];
    const size_t size = sizes[_i % SIZES];
    unsigned char *result = malloc(size + 1);
    size_t wrong = 0;
    weft_job *job =
        must_run(kind, &(weft_task){.fn = fill_result, .result_size = size});
    const weft_outcome *end = outcome(job);

    ck_assert_int_eq(end->code, 0);
    ck_assert_int_eq(end->status, WEFT_OK);
    ck_assert_uint_eq(end->result_size, size);
    ck_assert(!end->result == (size == 0));
    ck_assert_uint_eq((uintptr_t)end->result % 16, 0);
    ck_assert_int_eq(weft_result(job, size ? result : NULL, size, WEFT_NOW), 0);
    for (size_t i = 0; i < size; i++)
        wrong += result[i] != byte_at(i);
    ck_assert_uint_eq(wrong, 0);
    if (size)
        ck_assert_mem_eq(end->result, result, size);
    free(result);
    weft_release(job);
}

END_TEST

START_TEST(a_result_of_another_size_is_refused_and_stays)
{
    const int in = 21;
    long wrong = -1;
    int right = -1;
    weft_job *job = must_run(
        KIND,
        &(weft_task){.fn = twice, WEFT_ARG(in), .result_size = sizeof right});

    expect_refused(weft_result(job, &wrong, sizeof wrong, WEFT_NOW),
                   WEFT_EMSGSIZE, "4 bytes");
    ck_assert_int_eq(weft_result(job, &wrong, 1, WEFT_NOW), WEFT_EMSGSIZE);
    ck_assert_int_eq(weft_result(job, NULL, 1, WEFT_NOW), WEFT_EINVAL);
    ck_assert_int_eq(wrong, -1);
    ck_assert_int_eq(weft_result(job, NULL, 0, WEFT_NOW), 0);
    for (int i = 0; i < 3; i++) {
        ck_assert_int_eq(weft_result(job, &right, sizeof right, WEFT_NOW), 0);
        ck_assert_int_eq(right, 42);
    }
    weft_release(job);
}

END_TEST

static int
write_then_fail(weft_call *call)
{
    memset(call->result, 1, call->result_size);
    return 5;
}

START_TEST(a_failure_has_no_result)
{
    int result = -1;
    weft_job *job =
        must_start(KIND, &(weft_task){.fn = write_then_fail,
                                      .result_size = sizeof result});

    ck_assert_int_eq(weft_result(job, &result, sizeof result, WEFT_FOREVER),
                     WEFT_EFAILED);
    ck_assert_int_eq(result, -1);
    ck_assert_ptr_null(outcome(job)->result);
    ck_assert_uint_eq(outcome(job)->result_size, 0);
    ck_assert_int_eq(outcome(job)->code, 5);
    weft_release(job);
}

END_TEST

/* --- failure */

static int
return_it(weft_call *call)
{
    return *(const int *)call->arg;
}

static const int codes[] = {1, -1, 255, 256, 65536, INT_MAX, INT_MIN, -1001};

START_TEST(any_code_but_zero_is_a_failure)
{
    for (size_t i = 0; i < sizeof codes / sizeof *codes; i++) {
        weft_job *job =
            must_run(KIND, &(weft_task){.fn = return_it, WEFT_ARG(codes[i])});

        ck_assert_int_eq(outcome(job)->code, codes[i]);
        ck_assert_str_eq(outcome(job)->message, "");
        ck_assert_int_eq(weft_result(job, NULL, 0, WEFT_NOW), WEFT_EFAILED);
        expect_end(job, WEFT_EFAILED);
    }
}

END_TEST

static int
fail_at_length(weft_call *call)
{
    char long_text[3000];

    memset(long_text, 'x', sizeof long_text);
    long_text[sizeof long_text - 1] = '\0';
    memcpy(long_text + 1022, "\u00e9", 2); /* would be cut in two */
    return weft_fail(call, "%s", long_text) == WEFT_EFAILED ? 7 : 8;
}

static int
fail_with_controls(weft_call *call)
{
    weft_fail(call, "this is replaced");
    return weft_fail(call, "a\nb\tc\x1b[2Jd\x7f%s \u00e9%d", "\xc2\x9b", 3);
}

static int
note_and_succeed(weft_call *call)
{
    weft_fail(call, "no harm done");
    return 0;
}

START_TEST(a_failure_says_why)
{
    weft_job *job =
        must_run(KIND, &(weft_task){.fn = do_fail, .name = "Broken"});

    expect_refused(weft_result(job, NULL, 0, WEFT_NOW), WEFT_EFAILED,
                   "it is broken");
    ck_assert_str_eq(outcome(job)->message, "it is broken");
    ck_assert_int_eq(outcome(job)->code, WEFT_EFAILED);
    ck_assert_ptr_nonnull(strstr(outcome(job)->text, "Broken"));
    ck_assert_ptr_nonnull(strstr(outcome(job)->text, "it is broken"));
    expect_end(job, WEFT_EFAILED);
}

END_TEST

START_TEST(a_long_message_is_cut_between_characters)
{
    weft_job *job = must_run(KIND, &(weft_task){.fn = fail_at_length});
    const char *message = outcome(job)->message;

    ck_assert_int_eq(outcome(job)->code, 7);
    ck_assert_uint_eq(strlen(message), 1022);
    ck_assert_uint_eq(strspn(message, "x"), 1022);
    expect_end(job, WEFT_EFAILED);
}

END_TEST

START_TEST(control_characters_are_replaced)
{
    weft_job *job = must_run(KIND, &(weft_task){.fn = fail_with_controls});
    const char *message = outcome(job)->message;

    for (const char *at = message; *at; at++)
        ck_assert((unsigned char)*at >= 0x20 && *at != 0x7f);
    ck_assert_ptr_null(strstr(message, "\xc2\x9b"));
    ck_assert_ptr_nonnull(strstr(message, "\u00e9"));
    ck_assert_ptr_null(strstr(message, "replaced"));
    ck_assert_int_eq(*message, 'a');
    ck_assert_int_eq(message[strlen(message) - 1], '3');
    expect_end(job, WEFT_EFAILED);
}

END_TEST

START_TEST(a_noted_reason_alone_is_no_failure)
{
    weft_job *job = must_start(KIND, &(weft_task){.fn = note_and_succeed});

    expect_end(job, WEFT_OK);
}

END_TEST

/* --- outcome */

static int
burn(weft_call *call)
{
    const weft_duration span = *(const weft_duration *)call->arg;
    const weft_time until = weft_in(span);

    while (weft_now().ns < until.ns)
        ;
    return 0;
}

static int
nap(weft_call *call)
{
    return weft_sleep(weft_in(*(const weft_duration *)call->arg));
}

static int
tell_pid(weft_call *call)
{
    *(int *)call->result = getpid();
    return 0;
}

START_TEST(the_outcome_of_a_success_is_complete)
{
    int pid = 0;
    weft_job *job = must_run(KIND, &(weft_task){.fn = tell_pid,
                                                .name = "Good",
                                                .result_size = sizeof pid});
    const weft_outcome *end = outcome(job);
    char text[64];

    ck_assert_int_eq(weft_result(job, &pid, sizeof pid, WEFT_NOW), 0);
    if (KIND == WEFT_THREAD)
        strcpy(text, "thread Good ended");
    else
        snprintf(text, sizeof text, "process Good (pid %d) ended", pid);
    ck_assert_int_eq(end->status, WEFT_OK);
    ck_assert_int_eq(end->code, 0);
    ck_assert_int_eq(end->exit_code, -1);
    ck_assert_int_eq(end->signal, 0);
    ck_assert(!end->core_dumped);
    ck_assert(!end->out_of_memory);
    ck_assert_int_eq(end->pid, pid);
    ck_assert_int_eq(end->attempts, 0);
    ck_assert_str_eq(end->message, "");
    ck_assert_str_eq(end->where, "");
    ck_assert_str_eq(end->stack, "");
    ck_assert_str_eq(end->output, "");
    ck_assert_str_eq(end->text, text);
    ck_assert_ptr_eq(outcome(job), end);
    weft_release(job);
}

END_TEST

START_TEST(the_outcome_tells_wall_and_cpu_time)
{
    const weft_duration span = 30 * WEFT_MS;
    weft_job *busy = must_run(KIND, &(weft_task){.fn = burn, WEFT_ARG(span)});
    weft_job *lazy = must_run(KIND, &(weft_task){.fn = nap, WEFT_ARG(span)});

    ck_assert_int_ge(outcome(busy)->wall, span);
    ck_assert_int_ge(outcome(lazy)->wall, span);
    ck_assert_int_lt(outcome(lazy)->wall, patient(10 * WEFT_SECOND));
    ck_assert_int_gt(outcome(busy)->cpu, span / 10);
    ck_assert_int_le(outcome(busy)->cpu,
                     outcome(busy)->wall + patient(20 * WEFT_MS));
    ck_assert_int_ge(outcome(lazy)->cpu, 0);
    if (!support_is_checked())
        ck_assert_int_lt(outcome(lazy)->cpu, span / 2);
    weft_release(busy);
    weft_release(lazy);
}

END_TEST

START_TEST(a_job_is_alive_until_it_has_ended)
{
    weft_job *job = must_start(KIND, &(weft_task){.fn = wait_for_go});

    ck_assert(weft_is_alive(job));
    ck_assert_ptr_null(weft_outcome_of(job));
    gate_pass(&common->begun);
    ck_assert(weft_is_alive(job));
    ck_assert_ptr_null(weft_outcome_of(job));
    gate_open(&common->go);
    must_join(job);
    ck_assert(!weft_is_alive(job));
    ck_assert_ptr_nonnull(weft_outcome_of(job));
    ck_assert(!weft_is_alive(NULL));
    weft_release(job);
}

END_TEST

/* --- names */

START_TEST(a_job_keeps_a_copy_of_its_name)
{
    char name[] = "Given";
    weft_job *job =
        must_start(KIND, &(weft_task){.fn = do_nothing, .name = name});

    strcpy(name, "Taken");
    ck_assert_str_eq(weft_name(job), "Given");
    must_join(job);
    ck_assert_str_eq(weft_name(job), "Given");
    weft_release(job);
}

END_TEST

START_TEST(without_a_name_it_is_the_place_of_the_function)
{
    weft_job *job = must_run(KIND, &(weft_task){.fn = do_nothing});
    const char *name = weft_name(job);
    const char *plus = strchr(name, '+');
    char *end = NULL;

    /* A program does not export its functions: module and offset. */
    ck_assert_msg(plus && strstr(name, "test_") == name, "%s", name);
    ck_assert_uint_gt(strtoul(plus + 1, &end, 0), 0);
    ck_assert_str_eq(end, "");
    weft_release(job);
}

END_TEST

START_TEST(without_a_name_it_is_the_symbol_of_the_function)
{
    /* The C library does export its own. What it returns here is nobody's
     * concern. */
    weft_fn *fn = (weft_fn *)(void (*)(void))getppid;
    weft_job *job = must_run(KIND, &(weft_task){.fn = fn});

    ck_assert_msg(strstr(weft_name(job), "getppid"), "%s", weft_name(job));
    ck_assert_ptr_null(strchr(weft_name(job), '+'));
    ck_assert_int_ne(outcome(job)->code, 0);
    weft_release(job);
}

END_TEST

/* --- daemon, delay, timeout */

START_TEST(a_daemon_is_shown_as_one)
{
    weft_worker worker;
    weft_job *job =
        must_start(KIND, &(weft_task){.fn = wait_for_go, .daemon = true});
    weft_job *other = must_start(KIND, &(weft_task){.fn = wait_for_go});

    gate_pass(&common->begun);
    weft_worker_of(job, &worker);
    ck_assert(worker.daemon);
    weft_worker_of(other, &worker);
    ck_assert(!worker.daemon);
    gate_open(&common->go);
    expect_end(job, WEFT_OK);
    expect_end(other, WEFT_OK);
}

END_TEST

static int
tell_time(weft_call *call)
{
    *(weft_time *)call->result = weft_now();
    return 0;
}

START_TEST(a_delayed_job_begins_no_earlier)
{
    const weft_duration delay = 40 * WEFT_MS;
    const weft_time before = weft_now();
    weft_time begun;
    weft_job *job = must_start(KIND, &(weft_task){.fn = tell_time,
                                                  .result_size = sizeof begun,
                                                  .delay = delay});

    ck_assert(weft_is_alive(job));
    ck_assert_int_eq(weft_result(job, &begun, sizeof begun, WEFT_FOREVER), 0);
    ck_assert_int_ge(begun.ns, before.ns + delay);
    ck_assert_int_lt(begun.ns, before.ns + delay + patient(5 * WEFT_SECOND));
    ck_assert_int_lt(outcome(job)->wall, weft_now().ns - before.ns - delay + 1);
    weft_release(job);
}

END_TEST

START_TEST(delayed_jobs_begin_in_the_order_of_their_times)
{
    enum {
        COUNT = 8
    };

    static const int order[COUNT] = {5, 2, 7, 0, 3, 6, 1, 4};
    weft_job *jobs[COUNT];
    weft_time begun[COUNT];
    const weft_time before = weft_now();

    for (int i = 0; i < COUNT; i++)
        jobs[order[i]] = must_start(
            KIND, &(weft_task){.fn = tell_time,
                               .result_size = sizeof *begun,
                               .delay = (order[i] + 1) * 15 * WEFT_MS});
    for (int i = 0; i < COUNT; i++) {
        ck_assert_int_eq(
            weft_result(jobs[i], &begun[i], sizeof *begun, WEFT_FOREVER), 0);
        ck_assert_int_ge(begun[i].ns, before.ns + (i + 1) * 15 * WEFT_MS);
        weft_release(jobs[i]);
    }
}

END_TEST

START_TEST(a_delayed_job_that_is_stopped_never_runs)
{
    int answer = -1;
    weft_job *job = must_start(KIND, &(weft_task){.fn = wait_for_go,
                                                  .result_size = sizeof answer,
                                                  .delay = 3600 * WEFT_SECOND});

    ck_assert_int_eq(weft_join(job, WEFT_NOW), WEFT_ETIMEDOUT);
    ck_assert_int_eq(weft_stop(job), 0);
    ck_assert_int_eq(weft_join(job, weft_in(patient(5 * WEFT_SECOND))), 0);
    ck_assert_int_eq(outcome(job)->status, WEFT_ECANCELED);
    ck_assert_int_eq(outcome(job)->pid, 0);
    ck_assert_int_eq(outcome(job)->wall, 0);
    ck_assert_ptr_null(outcome(job)->result);
    ck_assert_int_eq(weft_result(job, &answer, sizeof answer, WEFT_NOW),
                     WEFT_EFAILED);
    ck_assert_uint_eq(common->begun.open, 0);
    weft_release(job);
}

END_TEST

static int
loop_until_stopping(weft_call *call)
{
    while (!weft_stopping())
        ;
    return *(const int *)call->arg;
}

START_TEST(a_timeout_asks_to_stop)
{
    const int code = 9;
    weft_job *loop = must_start(KIND, &(weft_task){.fn = loop_until_stopping,
                                                   WEFT_ARG(code),
                                                   .timeout = 20 * WEFT_MS});
    weft_job *sleep = must_start(
        KIND, &(weft_task){.fn = sleep_for_ever, .timeout = 20 * WEFT_MS});

    must_join(loop);
    must_join(sleep);
    ck_assert_int_eq(outcome(loop)->code, 9);
    ck_assert_int_eq(outcome(sleep)->code, WEFT_ECANCELED);
    ck_assert_int_ge(outcome(loop)->wall, 20 * WEFT_MS);
    ck_assert_int_ge(outcome(sleep)->wall, 20 * WEFT_MS);
    expect_end(loop, WEFT_ETIMEDOUT);
    expect_end(sleep, WEFT_ETIMEDOUT);
}

END_TEST

START_TEST(a_timeout_counts_from_the_beginning)
{
    const weft_duration span = 1 * WEFT_MS;
    weft_job *job =
        must_start(KIND, &(weft_task){.fn = nap,
                                      WEFT_ARG(span),
                                      .delay = 300 * WEFT_MS,
                                      .timeout = patient(250 * WEFT_MS)});

    expect_end(job, WEFT_OK);
}

END_TEST

/* --- descriptor */

static bool
is_readable(int fd)
{
    struct pollfd poll_fd = {.fd = fd, .events = POLLIN};

    return poll(&poll_fd, 1, 0) == 1;
}

START_TEST(the_descriptor_is_readable_from_the_end_on)
{
    weft_job *job = must_start(KIND, &(weft_task){.fn = wait_for_go});
    const int fd = weft_fd(job);

    ck_assert_int_ge(fd, 0);
    ck_assert(!is_readable(fd));
    gate_pass(&common->begun);
    ck_assert(!is_readable(fd));
    ck_assert_int_eq(weft_fd(job), fd);
    gate_open(&common->go);
    struct pollfd poll_fd = {.fd = fd, .events = POLLIN};
    ck_assert_int_eq(poll(&poll_fd, 1, -1), 1);
    ck_assert(!weft_is_alive(job));
    ck_assert_int_eq(weft_join(job, WEFT_NOW), 0);
    ck_assert(is_readable(fd));
    weft_release(job);
    eventually(fcntl(fd, F_GETFD) < 0);
}

END_TEST

START_TEST(the_descriptor_of_an_ended_job_is_readable)
{
    weft_job *job = must_run(KIND, &(weft_task){.fn = do_nothing});
    const int fds = support_fds();

    ck_assert(is_readable(weft_fd(job)));
    ck_assert_int_ge(fcntl(weft_fd(job), F_GETFD), FD_CLOEXEC);
    weft_release(job);
    eventually(support_fds() <= fds);
}

END_TEST

/* --- references and the end of a worker */

START_TEST(a_released_job_runs_on)
{
    weft_job *job = must_start(KIND, &(weft_task){.fn = wait_for_go});
    weft_job *kept = weft_retain(job);

    ck_assert_ptr_eq(kept, job);
    weft_release(job);
    gate_pass(&common->begun);
    ck_assert(weft_is_alive(kept));
    gate_open(&common->go);
    expect_end(kept, WEFT_OK);
    weft_release(NULL);
    ck_assert_ptr_null(weft_retain(NULL));
}

END_TEST

static int
finish(weft_call *call)
{
    (void)call;
    gate_open(&common->done);
    return 0;
}

START_TEST(a_job_that_nobody_holds_runs)
{
    ck_assert_int_eq(weft_start(NULL, KIND, &(weft_task){.fn = finish}), 0);
    gate_pass(&common->done);
}

END_TEST

static void
append(void *letter)
{
    const size_t length = strlen(common->text);

    common->text[length] = *(const char *)letter;
}

static void
append_and_more(void *letter)
{
    append(letter);
    if (weft_at_end(append, (void *)(uintptr_t) "d") < 0)
        append((void *)(uintptr_t) "!");
}

static int
leave_traces(weft_call *call)
{
    (void)call;
    if (weft_at_end(append, (void *)(uintptr_t) "c") < 0 ||
        weft_at_end(append_and_more, (void *)(uintptr_t) "b") < 0)
        return 1;
    append((void *)(uintptr_t) "a");
    return 0;
}

START_TEST(at_the_end_the_last_given_is_called_first)
{
    expect_end(must_start(KIND, &(weft_task){.fn = leave_traces}), WEFT_OK);
    ck_assert_str_eq(common->text, "abdc");
    expect_end(must_start(KIND, &(weft_task){.fn = do_nothing}), WEFT_OK);
    ck_assert_str_eq(common->text, "abdc");
    ck_assert_int_eq(weft_at_end(NULL, NULL), WEFT_EINVAL);
}

END_TEST

static void
add_basic(Suite *suite)
{
    TCase *tcase = support_case(suite, "basic", 10);

    tcase_add_checked_fixture(tcase, common_make, NULL);
    add_for_kinds(tcase, each_job_has_its_own_argument);
    tcase_add_loop_test(tcase, an_argument_of_any_size_arrives, 0, 2 * SIZES);
    tcase_add_loop_test(tcase, a_result_of_any_size_comes_back, 0, 2 * SIZES);
    add_for_kinds(tcase, a_result_of_another_size_is_refused_and_stays);
    add_for_kinds(tcase, a_failure_has_no_result);
    add_for_kinds(tcase, any_code_but_zero_is_a_failure);
    add_for_kinds(tcase, a_failure_says_why);
    add_for_kinds(tcase, a_long_message_is_cut_between_characters);
    add_for_kinds(tcase, control_characters_are_replaced);
    add_for_kinds(tcase, a_noted_reason_alone_is_no_failure);
    add_for_kinds(tcase, the_outcome_of_a_success_is_complete);
    add_for_kinds(tcase, the_outcome_tells_wall_and_cpu_time);
    add_for_kinds(tcase, a_job_is_alive_until_it_has_ended);
    add_for_kinds(tcase, a_job_keeps_a_copy_of_its_name);
    add_for_kinds(tcase, without_a_name_it_is_the_place_of_the_function);
    add_for_kinds(tcase, without_a_name_it_is_the_symbol_of_the_function);
}

static void
add_life(Suite *suite)
{
    TCase *tcase = support_case(suite, "life", 10);

    tcase_add_checked_fixture(tcase, common_make, NULL);
    add_for_kinds(tcase, a_daemon_is_shown_as_one);
    add_for_kinds(tcase, a_delayed_job_begins_no_earlier);
    add_for_kinds(tcase, delayed_jobs_begin_in_the_order_of_their_times);
    add_for_kinds(tcase, a_delayed_job_that_is_stopped_never_runs);
    add_for_kinds(tcase, a_timeout_asks_to_stop);
    add_for_kinds(tcase, a_timeout_counts_from_the_beginning);
    add_for_kinds(tcase, the_descriptor_is_readable_from_the_end_on);
    add_for_kinds(tcase, the_descriptor_of_an_ended_job_is_readable);
    add_for_kinds(tcase, a_released_job_runs_on);
    add_for_kinds(tcase, a_job_that_nobody_holds_runs);
    add_for_kinds(tcase, at_the_end_the_last_given_is_called_first);
}

int
main(void)
{
    Suite *suite = suite_create("both");

    add_basic(suite);
    add_life(suite);
    return support_run(suite);
}
