/* What crosses between a process pool and its workers: arguments and results of
 * all sizes, and much of them; what the program's own jobs and the pool's have
 * to do with each other. */
#include "support/options_support.h"
#include "support/pool_support.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* --- bytes */

static unsigned char
byte_at(size_t size, size_t at)
{
    return (unsigned char)(at * 31 + at / 256 + size);
}

/* The argument's bytes, inverted. */
static int
invert(weft_call *call)
{
    const unsigned char *from = call->arg;
    unsigned char *to = weft_result_resize(call, call->arg_size);

    if ((uintptr_t)from % 16 != 0 || (uintptr_t)to % 16 != 0)
        return weft_fail(call, "not aligned");
    if (call->fd_count != 0 || call->attempt != 0)
        return weft_fail(call, "more than was given");
    for (size_t i = 0; i < call->arg_size; i++)
        to[i] = (unsigned char)~from[i];
    return 0;
}

static const size_t sizes[] = {1,       15,
                               16,      17,
                               63,      64,
                               65,      255,
                               256,     1000,
                               4095,    4096,
                               4097,    16384,
                               65535,   65536,
                               65537,   (1 << 20) - 1,
                               1 << 20, (1 << 20) + 1,
                               5 << 20, 64 << 20};

enum {
    SIZES = sizeof sizes / sizeof *sizes
};

static weft_job *
submit_bytes(weft_pool *pool, size_t size)
{
    unsigned char *bytes = malloc(size);

    ck_assert_ptr_nonnull(bytes);
    for (size_t i = 0; i < size; i++)
        bytes[i] = byte_at(size, i);
    weft_job *job = submit(pool, .fn = invert, .arg = bytes, .arg_size = size);

    memset(bytes, 0, size); /* it was copied */
    free(bytes);
    return job;
}

static void
expect_inverted(weft_job *job, size_t size)
{
    must_join(job);
    const weft_outcome *end = outcome(job);
    const unsigned char *bytes = end->result;
    size_t wrong = 0;

    ck_assert_msg(end->status == WEFT_OK, "%s", end->text);
    ck_assert_uint_eq(end->result_size, size);
    ck_assert_uint_eq((uintptr_t)bytes % 16, 0);
    for (size_t i = 0; i < size; i++)
        wrong += bytes[i] != (unsigned char)~byte_at(size, i);
    ck_assert_uint_eq(wrong, 0);
    weft_release(job);
}

/* Forth and back, so that small and large ones follow each other. */
START_TEST(bytes_of_all_sizes_cross)
{
    weft_pool *pool = open_pool(.workers = 1 + (unsigned)_i);
    const int count = support_is_checked() ? SIZES - 2 : SIZES;

    for (int i = 0; i < count; i++) {
        expect_inverted(submit_bytes(pool, sizes[i]), sizes[i]);
        expect_inverted(submit_bytes(pool, sizes[count - 1 - i]),
                        sizes[count - 1 - i]);
    }
    pool_drain(pool);
}

END_TEST

START_TEST(results_outlive_their_pool)
{
    weft_job *jobs[SIZES];
    const int count = SIZES - 1;
    weft_pool *pool = open_pool(.workers = 2);

    for (int i = 0; i < count; i++)
        jobs[i] = submit_bytes(pool, sizes[i]);
    pool_drain(pool);
    for (int i = 0; i < count; i++)
        expect_inverted(jobs[i], sizes[i]);
}

END_TEST

static int
check_nothing(weft_call *call)
{
    if (call->result || call->result_size)
        return weft_fail(call, "a result");
    return call->arg || call->arg_size ? weft_fail(call, "an argument") : 0;
}

START_TEST(nothing_crosses_too)
{
    weft_pool *pool = open_pool(.workers = 1);

    for (int i = 0; i < 100; i++) {
        weft_job *job = submit(pool, .fn = check_nothing);

        must_join(job);
        ck_assert_msg(outcome(job)->status == WEFT_OK, "%s",
                      outcome(job)->text);
        ck_assert_uint_eq(outcome(job)->result_size, 0);
        ck_assert_int_eq(weft_result(job, NULL, 0, WEFT_NOW), 0);
        weft_release(job);
    }
    pool_drain(pool);
}

END_TEST

/* Zeros at first, then more, then less. */
static int
resize(weft_call *call)
{
    unsigned char *bytes = call->result;

    for (size_t i = 0; i < call->result_size; i++)
        if (bytes[i] != 0)
            return weft_fail(call, "not zero at %zu", i);
    memset(bytes, 7, call->result_size);
    bytes = weft_result_resize(call, 3 * MIB);
    if (!bytes || bytes[0] != 7 || bytes[99] != 7 || bytes[100] != 0)
        return weft_fail(call, "not kept");
    memset(bytes, 8, 3 * MIB);
    bytes = weft_result_resize(call, *(const size_t *)call->arg);
    return bytes || *(const size_t *)call->arg == 0 ? 0 : 1;
}

START_TEST(results_are_resized)
{
    static const size_t ends[] = {0, 1, 100, 5000, 2 * MIB, 3 * MIB, 40 * MIB};
    weft_pool *pool = open_pool(.workers = 1);

    for (int k = 0; k < 3; k++)
        for (size_t i = 0; i < sizeof ends / sizeof *ends; i++) {
            weft_job *job = submit(pool, .fn = resize, WEFT_ARG(ends[i]),
                                   .result_size = 100);

            must_join(job);
            ck_assert_msg(outcome(job)->status == WEFT_OK, "%s",
                          outcome(job)->text);
            ck_assert_uint_eq(outcome(job)->result_size, ends[i]);
            const unsigned char *bytes = outcome(job)->result;

            if (ends[i] > 0)
                ck_assert_int_eq(bytes[0], 8);
            if (ends[i] > 3 * MIB)
                ck_assert_int_eq(bytes[ends[i] - 1], 0);
            weft_release(job);
        }
    pool_drain(pool);
}

END_TEST

static int
fill_room(weft_call *call)
{
    memset(call->result, 0xaa, call->result_size);
    return 0;
}

/* Returns how many of its new bytes are not zero. */
static int
look_for_others(weft_call *call)
{
    const size_t size = *(const size_t *)call->arg;
    const char *bytes = weft_result_resize(call, size);
    int found = 0;

    for (size_t i = 0; i < size; i++)
        found += bytes[i] != 0;
    (void)weft_result_resize(call, sizeof found);
    memcpy(call->result, &found, sizeof found);
    return 0;
}

START_TEST(a_result_that_grows_shows_nothing_of_others)
{
    static const size_t grown[] = {1000, 65536, 500000};
    weft_pool *pool = open_pool(.workers = 1);

    for (unsigned i = 0; i < sizeof grown / sizeof *grown; i++) {
        int found = -1;

        expect_end(submit(pool, .fn = fill_room, .result_size = grown[i]),
                   WEFT_OK);
        weft_job *job = submit(pool, .fn = look_for_others, WEFT_ARG(grown[i]),
                               .result_size = sizeof found);

        ck_assert_int_eq(weft_result(job, &found, sizeof found, WEFT_FOREVER),
                         0);
        ck_assert_int_eq(found, 0);
        weft_release(job);
    }
    pool_drain(pool);
}

END_TEST

START_TEST(a_bare_pointer_is_refused)
{
    weft_pool *pool = open_pool(.workers = 1);
    weft_job *job = NULL;

    expect_refused(
        weft_submit(&job, pool, &(weft_task){.fn = do_nothing, .arg = pool}),
        WEFT_ENOTSUP, "pointer");
    ck_assert_ptr_null(job);
    pool_drain(pool);
}

END_TEST

START_TEST(what_is_large_leaves_nothing_behind)
{
    weft_pool *pool = open_pool(.workers = 2);

    expect_inverted(submit_bytes(pool, 8 * MIB), 8 * MIB);
    const int fds = support_fds();
    const long before = support_rss();

    for (int i = 0; i < 20; i++)
        expect_inverted(submit_bytes(pool, 8 * MIB), 8 * MIB);
    ck_assert_int_le(support_fds(), fds);
    if (!support_is_checked())
        ck_assert_int_lt(support_rss(), before + (24 << 10));
    pool_drain(pool);
}

END_TEST

/* --- the library's own, in a worker and around it */

static int
fail_longly(weft_call *call)
{
    char text[2000];

    memset(text, 'x', sizeof text - 1);
    text[sizeof text - 1] = '\0';
    text[3] = '\n';
    return weft_fail(call, "%s", text);
}

START_TEST(messages_are_cut_and_cleaned)
{
    weft_pool *pool = open_pool(.workers = 1);
    weft_job *job = submit(pool, .fn = fail_longly);

    must_join(job);
    ck_assert_uint_eq(strlen(outcome(job)->message), 1023);
    ck_assert_ptr_null(strchr(outcome(job)->message, '\n'));
    expect_end(job, WEFT_EFAILED);
    pool_drain(pool);
}

END_TEST

static int
tell_code(weft_call *call)
{
    return *(const int *)call->arg;
}

START_TEST(codes_are_kept)
{
    static const int codes[] = {1, -1, 255, 256, -1000000, 2147483647};
    weft_pool *pool = open_pool(.workers = 1);

    for (size_t i = 0; i < sizeof codes / sizeof *codes; i++) {
        weft_job *job = submit(pool, .fn = tell_code, WEFT_ARG(codes[i]));

        must_join(job);
        ck_assert_int_eq(outcome(job)->code, codes[i]);
        ck_assert_str_eq(outcome(job)->message, "");
        expect_end(job, WEFT_EFAILED);
    }
    pool_drain(pool);
}

END_TEST

static int
tell_who(weft_call *call)
{
    snprintf(call->result, call->result_size, "%s %s %d", weft_process()->name,
             weft_self()->task, getpid());
    return 0;
}

START_TEST(a_task_knows_whose_it_is)
{
    weft_pool *pool = open_pool(.workers = 1, .name = "who");
    weft_job *job =
        submit(pool, .fn = tell_who, .name = "asked", .result_size = 128);
    char expected[128];

    must_join(job);
    snprintf(expected, sizeof expected, "who-0 asked %d", outcome(job)->pid);
    ck_assert_str_eq((const char *)outcome(job)->result, expected);
    ck_assert_int_ne(outcome(job)->pid, getpid());
    ck_assert_str_eq(weft_name(job), "asked");
    weft_release(job);
    pool_drain(pool);
}

END_TEST

/* Its result, doubled by the pool, a thread and the pool again. */
static weft_job *
double_after(weft_pool *pool, weft_job *job)
{
    weft_job *once =
        submit(pool, .fn = double_it, .after = job, .result_size = sizeof(int));
    weft_job *twice =
        must_start(WEFT_THREAD, &(weft_task){.fn = double_it,
                                             .after = once,
                                             .result_size = sizeof(int)});
    weft_job *last = submit(pool, .fn = double_it, .after = twice,
                            .delay = WEFT_MS, .result_size = sizeof(int));

    weft_release(once);
    weft_release(twice);
    return last;
}

START_TEST(a_promise_and_a_chain_go_through_it)
{
    weft_pool *pool = open_pool(.workers = 1 + (unsigned)_i);
    const int five = 5;

    for (unsigned i = 0; i < scaled(100); i++) {
        weft_job *promise = NULL;
        int result = 0;

        ck_assert_int_eq(weft_promise(&promise, NULL), 0);
        weft_job *job = double_after(pool, promise);

        ck_assert(weft_is_alive(job));
        ck_assert_int_eq(weft_keep(promise, WEFT_OK, &five, sizeof five), 0);
        ck_assert_int_eq(weft_result(job, &result, sizeof result, WEFT_FOREVER),
                         0);
        ck_assert_int_eq(result, 8 * five);
        weft_release(promise);
        weft_release(job);
    }
    pool_drain(pool);
}

END_TEST

START_TEST(what_comes_after_a_death_never_begins)
{
    weft_pool *pool = open_pool(.workers = 2);
    weft_job *first = submit(pool, .fn = crash, .delay = WEFT_MS);
    weft_job *next = submit(pool, .fn = do_nothing, .after = first);

    must_join(next);
    ck_assert_int_eq(outcome(next)->pid, 0);
    expect_end(next, WEFT_ECANCELED);
    expect_end(first, WEFT_EDIED);
    pool_drain(pool);
}

END_TEST

static int
crash_at_7(weft_call *call)
{
    return *(const int *)call->arg == 7 ? crash(call) : double_it(call);
}

static void
submit_to_scope(weft_pool *pool, weft_scope *scope, weft_fn *fn, int count)
{
    for (int i = 0; i < count; i++)
        ck_assert_int_eq(weft_submit(NULL, pool,
                                     &(weft_task){.fn = fn,
                                                  WEFT_ARG(i),
                                                  .result_size = sizeof i,
                                                  .scope = scope}),
                         0);
}

START_TEST(a_scope_gives_them_out_as_they_end)
{
    weft_pool *pool = open_pool(.workers = 2);
    weft_scope *scope = NULL;
    weft_job *job = NULL;
    int sum = 0, died = 0, status;

    ck_assert_int_eq(
        weft_scope_open(&scope, &(weft_scope_options){.keep_going = true}), 0);
    submit_to_scope(pool, scope, crash_at_7, 50);
    while ((status = weft_scope_next(scope, &job, WEFT_FOREVER)) == 0) {
        if (outcome(job)->status == WEFT_OK)
            sum += *(const int *)outcome(job)->result;
        else
            died += outcome(job)->status == WEFT_EDIED;
    }
    ck_assert_int_eq(status, WEFT_ENODATA);
    ck_assert_int_eq(died, 1);
    ck_assert_int_eq(sum, 2 * (49 * 50 / 2 - 7));
    ck_assert_int_eq(weft_scope_close(scope, WEFT_FOREVER), WEFT_EFAILED);
    pool_drain(pool);
}

END_TEST

static void
end_one(weft_job *job, void *unused)
{
    (void)unused;
    atomic_fetch_add(&common->count,
                     *(const int *)weft_outcome_of(job)->result);
    weft_release(job);
}

/* And in the program, not in the worker. */
START_TEST(functions_are_called_at_the_end)
{
    weft_pool *pool = open_pool(.workers = 2);
    const int count = (int)scaled(1000);

    for (int i = 0; i < count; i++)
        ck_assert_int_eq(weft_on_end(submit(pool, .fn = double_it, WEFT_ARG(i),
                                            .result_size = sizeof i),
                                     end_one, NULL),
                         0);
    pool_drain(pool);
    eventually(atomic_load(&common->count) == count * (count - 1));
}

END_TEST

START_TEST(they_are_waited_for_with_others)
{
    weft_pool *pool = open_pool(.workers = 1);
    weft_job *slow = submit(pool, .fn = wait_for_go);
    weft_event event = {0};
    const weft_source sources[] = {{.job = slow}, {.event = &event}};

    weft_event_set(&event);
    ck_assert_int_eq(weft_wait_any(sources, 2, 0, WEFT_FOREVER), 1);
    gate_open(&common->go);
    ck_assert_int_eq(weft_wait_any(sources, 1, 0, WEFT_FOREVER), 0);
    ck_assert_int_ge(weft_fd(slow), 0);
    expect_end(slow, WEFT_OK);
    pool_drain(pool);
}

END_TEST

/* --- many */

START_TEST(tiny_tasks_come_in_masses)
{
    enum {
        WINDOW = 256
    };

    weft_pool *pool = open_pool(.workers = 1 + (unsigned)_i);
    weft_job *jobs[WINDOW];
    const int count = (int)scaled(50000) / WINDOW * WINDOW;
    long before = 0;

    for (int i = 0; i < count; i += WINDOW) {
        if (i == count / 8 / WINDOW * WINDOW)
            before = support_rss();
        submit_doubles(pool, jobs, i, WINDOW);
        expect_doubles(jobs, i, WINDOW);
    }
    if (!support_is_checked() && count > 0)
        ck_assert_int_lt(support_rss(), before + 4096);
    pool_drain(pool);
}

END_TEST

int
main(void)
{
    Suite *suite = suite_create("what crosses to a process pool");
    TCase *tcase = support_case(suite, "data", 30);

    tcase_add_checked_fixture(tcase, pools_of_processes, NULL);
    tcase_add_loop_test(tcase, bytes_of_all_sizes_cross, 0, 3);
    tcase_add_test(tcase, results_outlive_their_pool);
    tcase_add_test(tcase, nothing_crosses_too);
    tcase_add_test(tcase, results_are_resized);
    tcase_add_test(tcase, a_result_that_grows_shows_nothing_of_others);
    tcase_add_test(tcase, a_bare_pointer_is_refused);
    tcase_add_test(tcase, what_is_large_leaves_nothing_behind);
    tcase_add_test(tcase, messages_are_cut_and_cleaned);
    tcase_add_test(tcase, codes_are_kept);
    tcase_add_test(tcase, a_task_knows_whose_it_is);
    tcase_add_loop_test(tcase, a_promise_and_a_chain_go_through_it, 0, 3);
    tcase_add_test(tcase, what_comes_after_a_death_never_begins);
    tcase_add_test(tcase, a_scope_gives_them_out_as_they_end);
    tcase_add_test(tcase, functions_are_called_at_the_end);
    tcase_add_test(tcase, they_are_waited_for_with_others);
    tcase_add_loop_test(tcase, tiny_tasks_come_in_masses, 0, 3);
    return support_run(suite);
}
