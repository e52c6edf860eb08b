/* Arguments and results of any size, for each kind of worker. */
#include "os/os.h"
#include "support/worker_support.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

enum {
    MIB = 1 << 20
};

/* The ways to run a function. */
static const struct way {
    weft_kind kind;
    weft_worker_options options;
} ways[] = {
    {WEFT_THREAD, {0}},
    {WEFT_SERIAL, {0}},
    {WEFT_PROCESS, {.method = WEFT_ZYGOTE}},
    {WEFT_PROCESS, {.method = WEFT_FORK}},
};

#define add_for_ways(tcase, test) support_add_table(tcase, test, ways)

static const size_t sizes[] = {0,    1,     15,    4095,    4096,
                               4097, 65536, 65537, 64 * MIB};

static size_t
scaled_size(size_t size)
{
    return size > MIB && support_is_checked() ? 4 * MIB : size;
}

static int
start(const struct way *way, weft_task task, weft_job **out)
{
    if (way->kind == WEFT_PROCESS)
        task.worker = &way->options;
    return weft_start(out, way->kind, &task);
}

static weft_job *
run(const struct way *way, weft_task task)
{
    weft_job *job = NULL;
    const int status = start(way, task, &job);

    ck_assert_msg(status == 0, "%s", weft_why());
    must_join(job);
    return job;
}

static void
expect_good(const struct way *way, weft_fn *fn)
{
    weft_job *job = run(way, (weft_task){.fn = fn});

    ck_assert_msg(outcome(job)->status == 0, "%s", outcome(job)->text);
    weft_release(job);
}

static unsigned char
pattern(size_t at)
{
    return (unsigned char)(at * 7 + at / 4096);
}

static void
fill(unsigned char *bytes, size_t size)
{
    for (size_t i = 0; i < size; i++)
        bytes[i] = pattern(i);
}

static bool
is_pattern(const unsigned char *bytes, size_t size)
{
    for (size_t i = 0; i < size; i++)
        if (bytes[i] != pattern(i))
            return false;
    return true;
}

static bool
is_zero(const char *bytes, size_t size)
{
    return size == 0 ||
           (*bytes == 0 && memcmp(bytes, bytes + 1, size - 1) == 0);
}

/* --- fixed sizes */

static int
copy_back(weft_call *call)
{
    if (!call->arg != !call->arg_size || !call->result != !call->result_size)
        return weft_fail(call, "pointers and sizes disagree");
    if ((uintptr_t)call->arg % 16 || (uintptr_t)call->result % 16)
        return weft_fail(call, "not aligned");
    if (call->result_size != call->arg_size)
        return weft_fail(call, "sizes");
    if (!is_zero(call->result, call->result_size))
        return weft_fail(call, "the result is not zero at first");
    if (!is_pattern(call->arg, call->arg_size))
        return weft_fail(call, "the argument is another");
    if (call->arg_size)
        memcpy(call->result, call->arg, call->arg_size);
    return 0;
}

START_TEST(all_bytes_come_and_go)
{
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        const size_t size = scaled_size(sizes[i]);
        unsigned char *bytes = malloc(size + 1), *got = malloc(size + 1);

        ck_assert(bytes && got);
        fill(bytes, size);
        weft_job *job = run(&ways[_i], (weft_task){.fn = copy_back,
                                                   .arg = size ? bytes : NULL,
                                                   .arg_size = size,
                                                   .result_size = size});

        ck_assert_msg(outcome(job)->status == 0, "%zu: %s", size,
                      outcome(job)->text);
        ck_assert_uint_eq(outcome(job)->result_size, size);
        if (size)
            ck_assert(is_pattern(outcome(job)->result, size));
        ck_assert_uint_eq((uintptr_t)outcome(job)->result % 16, 0);
        ck_assert_int_eq(weft_result(job, size ? got : NULL, size, WEFT_NOW),
                         0);
        ck_assert(is_pattern(got, size));
        ck_assert_int_eq(weft_result(job, got, size + 1, WEFT_NOW),
                         WEFT_EMSGSIZE);
        weft_release(job);
        free(bytes);
        free(got);
    }
}

END_TEST

START_TEST(absurd_sizes_are_refused)
{
    const size_t absurd[] = {SIZE_MAX, SIZE_MAX - 4096, SIZE_MAX / 2,
                             (size_t)1 << 46};
    static char byte;

    for (size_t i = 0; i < sizeof absurd / sizeof *absurd; i++) {
        weft_job *job = NULL;

        expect_refused(start(&ways[_i],
                             (weft_task){.fn = do_nothing,
                                         .arg = &byte,
                                         .arg_size = absurd[i]},
                             &job),
                       WEFT_ENOMEM, "arg_size");
        expect_refused(
            start(&ways[_i],
                  (weft_task){.fn = do_nothing, .result_size = absurd[i]},
                  &job),
            WEFT_ENOMEM, "result_size");
        ck_assert_ptr_null(job);
    }
}

END_TEST

/* More than the system has left is refused, not died of. */
START_TEST(an_argument_larger_than_memory_is_refused)
{
    const uint64_t left = os_memory_left();
    const size_t size = left < (uint64_t)1 << 39 ? left + left / 8 : 0;
    weft_job *job = NULL;
    static char byte;

    if (size == 0 || ways[_i].kind != WEFT_PROCESS)
        return; /* where malloc promises what it may not keep */
    expect_refused(
        start(&ways[_i],
              (weft_task){.fn = do_nothing, .arg = &byte, .arg_size = size},
              &job),
        WEFT_ENOMEM, "memory");
    expect_refused(start(&ways[_i],
                         (weft_task){.fn = do_nothing, .result_size = size},
                         &job),
                   WEFT_ENOMEM, "memory");
}

END_TEST

/* --- sizes that are known late */

/* The old bytes stay, what is new is zero. */
static bool
resize(weft_call *call, size_t size)
{
    const size_t before = call->result_size;
    char *at = weft_result_resize(call, size);

    return at && at == call->result && call->result_size == size &&
           (uintptr_t)at % 16 == 0 &&
           is_pattern((unsigned char *)at, before < size ? before : size) &&
           is_zero(at + (before < size ? before : size),
                   before < size ? size - before : 0);
}

static int
resize_up_and_down(weft_call *call)
{
    static const size_t to[] = {1,    4096, 10,   4097, 0,     100,
                                2048, 2047, 2049, 0,    65536, 65535,
                                1,    MIB,  3,    0,    7};

    for (size_t i = 0; i < sizeof to / sizeof *to; i++) {
        if (!resize(call, to[i]))
            return weft_fail(call, "step %zu, to %zu", i, to[i]);
        fill(call->result, to[i]);
    }
    return 0;
}

START_TEST(a_result_is_resized_up_and_down)
{
    const size_t first[] = {0, 1, 100, 4096, 100000};

    for (size_t i = 0; i < sizeof first / sizeof *first; i++) {
        weft_task task = {.fn = resize_up_and_down};

        /* The first bytes are zero, which is no pattern. */
        task.result_size = first[i] > 1 ? 1 : first[i];
        weft_job *job = run(&ways[_i], task);

        ck_assert_msg(outcome(job)->status == 0, "%s", outcome(job)->text);
        ck_assert_uint_eq(outcome(job)->result_size, 7);
        ck_assert(is_pattern(outcome(job)->result, 7));
        weft_release(job);
    }
}

END_TEST

static int
resize_from_given(weft_call *call)
{
    const size_t before = call->result_size;

    fill(call->result, before);
    if (!resize(call, before / 2) || !resize(call, before * 2) ||
        !weft_result_resize(call, before))
        return 1;
    return is_pattern(call->result, before / 2) &&
                   is_zero((char *)call->result + before / 2,
                           before - before / 2)
               ? 0
               : 2;
}

START_TEST(a_given_result_is_resized)
{
    for (size_t size = 1; size <= 1 << 18; size *= 4) {
        weft_job *job = run(&ways[_i], (weft_task){.fn = resize_from_given,
                                                   .result_size = size});

        ck_assert_msg(outcome(job)->status == 0, "%zu: %s", size,
                      outcome(job)->text);
        ck_assert_uint_eq(outcome(job)->result_size, size);
        weft_release(job);
    }
}

END_TEST

static int
resize_to(weft_call *call)
{
    const size_t size = *(const size_t *)call->arg;

    if (!weft_result_resize(call, size))
        return weft_fail(call, "%s", weft_why());
    fill(call->result, size);
    return 0;
}

START_TEST(a_result_grows_from_nothing)
{
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        const size_t size = scaled_size(sizes[i]);
        unsigned char *got = malloc(size + 1);
        weft_job *job =
            run(&ways[_i], (weft_task){.fn = resize_to, WEFT_ARG(size)});

        ck_assert_msg(outcome(job)->status == 0, "%s", outcome(job)->text);
        ck_assert_uint_eq(outcome(job)->result_size, size);
        ck_assert_int_eq(weft_result(job, size ? got : NULL, size, WEFT_NOW),
                         0);
        ck_assert(is_pattern(got, size));
        weft_release(job);
        free(got);
    }
}

END_TEST

static int
resize_beyond(weft_call *call)
{
    /* The last is promised by malloc, and more than there is. */
    const size_t beyond[] = {SIZE_MAX, SIZE_MAX / 2, (size_t)1 << 46,
                             2 * os_memory_left()};

    if (!weft_result_resize(call, 100))
        return 1;
    fill(call->result, 100);
    for (size_t i = 0; i < sizeof beyond / sizeof *beyond; i++) {
        const char *at = call->result;

        if (weft_result_resize(call, beyond[i]))
            return weft_fail(call, "there was room for %zu", beyond[i]);
        if (!strstr(weft_why(), "no room") || call->result != at ||
            call->result_size != 100)
            return weft_fail(call, "%zu: %s", beyond[i], weft_why());
    }
    return 0;
}

START_TEST(beyond_what_there_is_the_old_result_stays)
{
    weft_job *job = run(&ways[_i], (weft_task){.fn = resize_beyond});

    ck_assert_msg(outcome(job)->status == 0, "%s", outcome(job)->text);
    ck_assert_uint_eq(outcome(job)->result_size, 100);
    ck_assert(is_pattern(outcome(job)->result, 100));
    weft_release(job);
}

END_TEST

/* --- under limits of the program */

static int
grow_until_refused(weft_call *call)
{
    size_t size = MIB;

    while (size < (size_t)1 << 40 && weft_result_resize(call, size))
        size *= 2;
    if (!*weft_why())
        return weft_fail(call, "no reason");
    return weft_result_resize(call, 1000) ? 0 : 1;
}

static void
under_address_space(void *arg)
{
    const struct way *way = &ways[*(int *)arg];
    weft_job *job = NULL;
    static char byte;

    child_expect(setrlimit(RLIMIT_AS, &(struct rlimit){512 * MIB, 512 * MIB}) ==
                 0);
    for (int i = 0; i < 3; i++) {
        child_expect(start(way, (weft_task){.fn = grow_until_refused}, &job) ==
                     0);
        child_expect(weft_join(job, WEFT_FOREVER) == 0);
        child_expect(weft_outcome_of(job)->status == 0);
        child_expect(weft_outcome_of(job)->result_size == 1000);
        weft_release(job);
    }
    child_expect(start(way,
                       (weft_task){.fn = do_nothing,
                                   .arg = &byte,
                                   .arg_size = (size_t)1 << 30},
                       &job) == WEFT_ENOMEM);
    child_expect(
        start(way,
              (weft_task){.fn = do_nothing, .result_size = (size_t)1 << 30},
              &job) == WEFT_ENOMEM);
}

START_TEST(under_a_limit_of_address_space)
{
    int which = _i;

    ck_assert_int_eq(support_run_fork(under_address_space, &which), 0);
}

END_TEST

static void
under_file_size(void *arg)
{
    const struct way *way = &ways[*(int *)arg];
    const bool process = way->kind == WEFT_PROCESS;
    char *bytes = calloc(1, MIB);
    weft_job *job = NULL;

    child_expect(bytes != NULL);
    /* Also when the zygote was made before. */
    child_expect(start(way, (weft_task){.fn = do_nothing}, &job) == 0);
    child_expect(weft_join(job, WEFT_FOREVER) == 0);
    weft_release(job);
    for (rlim_t most = 256 << 10; most > 0; most /= 4) {
        child_expect(setrlimit(RLIMIT_FSIZE,
                               &(struct rlimit){most, RLIM_INFINITY}) == 0);
        const int status = start(
            way, (weft_task){.fn = do_nothing, .arg = bytes, .arg_size = MIB},
            &job);

        child_expect(process ? status < 0 && *weft_why() : status == 0);
        if (status == 0)
            weft_release(job);
        if (!process ||
            start(way, (weft_task){.fn = grow_until_refused}, &job) < 0)
            continue; /* nothing fits, or all that there is */
        child_expect(weft_join(job, WEFT_FOREVER) == 0);
        child_expect(weft_outcome_of(job)->signal == 0);
        weft_release(job);
    }
    free(bytes);
}

START_TEST(under_a_limit_of_file_size)
{
    int which = _i;

    ck_assert_int_eq(support_run_fork(under_file_size, &which), 0);
}

END_TEST

static int
resize_then_use_heap(weft_call *call)
{
    char *some = malloc(MIB);

    if (!some || !weft_result_resize(call, 3 * MIB))
        return 1;
    fill(call->result, 3 * MIB);
    free(some);
    return is_pattern(call->result, 3 * MIB) ? 0 : 2;
}

START_TEST(a_large_result_is_beside_the_heap)
{
    expect_good(&ways[_i], resize_then_use_heap);
}

END_TEST

int
main(void)
{
    Suite *suite = suite_create("sizes");
    TCase *tcase = support_case(suite, "sizes", 20);

    add_for_ways(tcase, all_bytes_come_and_go);
    add_for_ways(tcase, absurd_sizes_are_refused);
    add_for_ways(tcase, a_result_is_resized_up_and_down);
    add_for_ways(tcase, a_given_result_is_resized);
    add_for_ways(tcase, a_result_grows_from_nothing);
    add_for_ways(tcase, a_large_result_is_beside_the_heap);
    if (support_is_checked())
        return support_run(suite); /* whose allocator ends the program */
    add_for_ways(tcase, an_argument_larger_than_memory_is_refused);
    add_for_ways(tcase, beyond_what_there_is_the_old_result_stays);
    add_for_ways(tcase, under_a_limit_of_address_space);
    add_for_ways(tcase, under_a_limit_of_file_size);
    return support_run(suite);
}
