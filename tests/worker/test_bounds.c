/* How much a process worker may take: memory, CPU time, time to stop, stack. */
#include "support/options_support.h"

#include <signal.h>
#include <sys/mman.h>
#include <unistd.h>

/* --- memory and time */

static int
tell_what_it_gets(weft_call *call)
{
    *(size_t *)call->result = take_all((size_t)1 << 30);
    return 0;
}

START_TEST(malloc_returns_null_at_the_limit)
{
    size_t got = 0;
    weft_job *job =
        must_run(WEFT_PROCESS,
                 &(weft_task){.fn = tell_what_it_gets,
                              .result_size = sizeof got,
                              .worker = &(weft_worker_options){
                                  .method = methods[_i], .memory = 64 * MIB}});

    ck_assert_int_eq(weft_result(job, &got, sizeof got, WEFT_NOW), 0);
    ck_assert_uint_le(got, 65 * MIB);
    ck_assert_uint_ge(got, 48 * MIB);
    weft_release(job);
}

END_TEST

START_TEST(a_crash_for_lack_of_memory_is_told)
{
    expect_crash(run_with(take_all_and_crash, .memory = 32 * MIB), true);
    expect_crash(run_with(take_all_and_crash, .memory = 2 * MIB), true);
    expect_crash(run_with(crash, .memory = 32 * MIB), false);
    expect_crash(run_with(crash, .memory = 2 * MIB), false);
    expect_crash(run_plainly(crash), false);
}

END_TEST

/* What the program has is no part of what the worker was given. */
START_TEST(a_crash_in_a_large_program_is_no_lack_of_memory)
{
    void *large = mmap(NULL, (size_t)1 << 30, PROT_READ | PROT_WRITE,
                       MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

    ck_assert_ptr_ne(large, MAP_FAILED);
    expect_crash(run_with(crash, .memory = 32 * MIB), false);
    expect_crash(run_with(crash, .memory = 2 * MIB), false);
    expect_crash(run_with(take_all_and_crash, .memory = 32 * MIB), true);
    expect_crash(run_with(take_all_and_crash, .memory = 2 * MIB), true);
    munmap(large, (size_t)1 << 30);
}

END_TEST

static int
need_some(weft_call *call)
{
    return take_all(8 * MIB) == 8 * MIB ? 0 : weft_fail(call, "no memory");
}

/* A limit beyond all memory is none. */
START_TEST(a_huge_limit_limits_nothing)
{
    const size_t huge[] = {SIZE_MAX, SIZE_MAX - 4096, SIZE_MAX / 2};

    for (size_t i = 0; i < sizeof huge / sizeof *huge; i++)
        expect_end(run_with(need_some, .memory = huge[i]), WEFT_OK);
    expect_crash(run_with(crash, .memory = SIZE_MAX), false);
    expect_end(run_with(need_some, .cpu_time = INT64_MAX), WEFT_OK);
    expect_end(run_with(need_some, .grace = INT64_MAX), WEFT_OK);
}

END_TEST

START_TEST(cpu_time_ends_in_sigxcpu)
{
    weft_job *job = run_with(loop_for_ever, .cpu_time = 1);

    /* A checker that holds signals back lets the next limit come first. */
    if (!support_is_tsan())
        ck_assert_int_eq(outcome(job)->signal, SIGXCPU);
    ck_assert_int_ge(outcome(job)->cpu, 500 * WEFT_MS);
    expect_end(job, WEFT_EDIED);
    start_refused(WEFT_EINVAL, "cpu_time", .cpu_time = -1);
}

END_TEST

static void
note_term(int number)
{
    (void)number;
    atomic_store(&common->count, 1);
}

static int
be_stubborn(weft_call *call)
{
    (void)call;
    signal(SIGTERM, note_term);
    gate_open(&common->begun);
    while (atomic_load(&common->value) == 0)
        pause();
    return 0;
}

START_TEST(grace_lies_between_the_steps_of_a_stop)
{
    const weft_duration grace = 50 * WEFT_MS;
    weft_job *job = start_with(be_stubborn, .grace = grace);

    gate_pass(&common->begun);
    const int64_t asked = weft_now().ns;

    ck_assert_int_eq(weft_stop(job), 0);
    must_join(job);
    const int64_t took = weft_now().ns - asked;

    ck_assert_int_eq(atomic_load(&common->count), 1);
    ck_assert_int_eq(outcome(job)->signal, SIGKILL);
    ck_assert_int_ge(took, 2 * grace);
    ck_assert_int_lt(took, patient(1 * WEFT_SECOND));
    expect_end(job, WEFT_ECANCELED);
    start_refused(WEFT_EINVAL, "grace", .grace = -1);
}

END_TEST

/* --- stacks */

static size_t
use_stack(size_t left)
{
    volatile char page[4096];

    for (size_t i = 0; i < sizeof page; i += 64)
        page[i] = (char)left;
    return left <= sizeof page
               ? (size_t)page[0]
               : use_stack(left - sizeof page) + 1 + (size_t)page[64];
}

static int
use_so_much_stack(weft_call *call)
{
    return use_stack(*(const size_t *)call->arg) == 0;
}

static weft_job *
run_deep(weft_method method, size_t stack, size_t use)
{
    return must_run(WEFT_PROCESS,
                    &(weft_task){.fn = use_so_much_stack,
                                 WEFT_ARG(use),
                                 .worker = &(weft_worker_options){
                                     .method = method, .stack_size = stack}});
}

START_TEST(a_stack_has_the_size_asked_for)
{
    const weft_method method = methods[_i];

    /* Larger than what the main thread may have. */
    expect_end(run_deep(method, 64 * MIB, 40 * MIB), WEFT_OK);
    expect_end(run_deep(method, MIB, MIB / 2), WEFT_OK);
    expect_end(run_deep(method, MIB / 4, MIB / 8), WEFT_OK);
    expect_end(run_deep(method, MIB / 4, MIB / 2), WEFT_EDIED);
    expect_end(run_deep(method, 0, MIB / 2), WEFT_OK);
    expect_end(run_with(do_nothing, .stack_size = 1), WEFT_OK);
    start_refused(WEFT_ENOMEM, "stack_size", .stack_size = SIZE_MAX);
}

END_TEST

START_TEST(the_smallest_stack_is_enough_to_fail)
{
    const size_t small[] = {1, 4096, 16384};

    for (size_t i = 0; i < sizeof small / sizeof *small; i++) {
        weft_job *job = run_with(do_fail, .stack_size = small[i]);

        ck_assert_str_eq(outcome(job)->message, "it is broken");
        expect_end(job, WEFT_EFAILED);
    }
}

END_TEST

int
main(void)
{
    Suite *suite = suite_create("bounds");
    TCase *tcase = support_case(suite, "bounds", 20);

    tcase_add_checked_fixture(tcase, options_ready, NULL);
    add_for_methods(tcase, cpu_time_ends_in_sigxcpu);
    add_for_methods(tcase, grace_lies_between_the_steps_of_a_stop);
    add_for_methods(tcase, the_smallest_stack_is_enough_to_fail);
    if (support_is_checked())
        return support_run(
            suite); /* its memory and stacks are its own affair */
    add_for_methods(tcase, malloc_returns_null_at_the_limit);
    add_for_methods(tcase, a_crash_for_lack_of_memory_is_told);
    add_for_methods(tcase, a_crash_in_a_large_program_is_no_lack_of_memory);
    add_for_methods(tcase, a_huge_limit_limits_nothing);
    add_for_methods(tcase, a_stack_has_the_size_asked_for);
    return support_run(suite);
}
