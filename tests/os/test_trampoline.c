/* Functions entered so that nothing unwinds out of them. */
#include "os/os.h"
#include "os/trampoline.h"
#include "support/support.h"

#include <stdio.h>
#include <unistd.h>
#include <unwind.h>

enum {
    STACK = 256 << 10
};

struct visit {
    int number;
    uintptr_t frame;
    int frames;
    bool saw_caller;
};

static void
note_frame(void *memory)
{
    struct visit *visit = memory;

    visit->number++;
    visit->frame = (uintptr_t)__builtin_frame_address(0);
}

START_TEST(it_calls_and_returns)
{
    struct visit visit = {.number = 41};

    os_trampoline(note_frame, &visit, NULL);
    ck_assert_int_eq(visit.number, 42);
}

END_TEST

static char *
make_stack(void)
{
    void *stack = NULL;

    ck_assert_int_eq(os_map(&stack, STACK, -1, OS_READ | OS_WRITE), 0);
    return stack;
}

START_TEST(it_runs_on_the_given_stack)
{
    char *stack = make_stack();
    struct visit visit = {0};

    for (int i = 0; i < 3; i++)
        os_trampoline(note_frame, &visit, stack + STACK);
    ck_assert_int_eq(visit.number, 3);
    ck_assert(visit.frame >= (uintptr_t)stack);
    ck_assert(visit.frame < (uintptr_t)stack + STACK);
    os_unmap(stack, STACK);
}

END_TEST

/* Fails when the stack is not aligned as the ABI has it. */
static void
use_vectors(void *memory)
{
    double numbers[4] __attribute__((aligned(16)));
    char text[64];

    ck_assert_uint_eq((uintptr_t)numbers % 16, 0);
    for (int i = 0; i < 4; i++)
        numbers[i] = i * 0.5;
    snprintf(text, sizeof text, "%.1f %.1f", numbers[1], numbers[3]);
    ck_assert_str_eq(text, "0.5 1.5");
    note_frame(memory);
}

START_TEST(the_stack_is_aligned)
{
    char *stack = make_stack();
    struct visit visit = {0};

    os_trampoline(use_vectors, &visit, stack + STACK);
    os_trampoline(use_vectors, &visit, NULL);
    ck_assert_int_eq(visit.number, 2);
}

END_TEST

static uintptr_t outer_function; /* the start of who calls the trampoline */

static _Unwind_Reason_Code
note_unwound(struct _Unwind_Context *context, void *memory)
{
    struct visit *visit = memory;

    visit->frames++;
    if (_Unwind_GetRegionStart(context) == outer_function)
        visit->saw_caller = true;
    return _URC_NO_REASON;
}

static void
walk_stack(void *memory)
{
    _Unwind_Backtrace(note_unwound, memory);
}

static __attribute__((noinline)) void
enter(struct visit *visit, void *stack)
{
    outer_function = (uintptr_t)enter;
    os_trampoline(walk_stack, visit, stack);
    visit->number++; /* no tail call */
}

START_TEST(no_frame_lies_above)
{
    struct visit visit = {0};
    char *stack = make_stack();

    enter(&visit, NULL);
    enter(&visit, stack + STACK);
    ck_assert_int_eq(visit.number, 2);
    ck_assert_int_ge(visit.frames, 4); /* the walker and the trampoline */
    ck_assert(!visit.saw_caller);
}

END_TEST

static void
drop(_Unwind_Reason_Code reason, struct _Unwind_Exception *exception)
{
    (void)reason;
    (void)exception;
}

/* A language's runtime terminates when raising comes back. */
static void
raise_exception(void *result)
{
    static struct _Unwind_Exception exception;

    exception.exception_cleanup = drop;
    *(_Unwind_Reason_Code *)result = _Unwind_RaiseException(&exception);
}

START_TEST(an_exception_finds_nobody)
{
    _Unwind_Reason_Code result = _URC_NO_REASON;

    os_trampoline(raise_exception, &result, NULL);
    ck_assert_int_eq(result, _URC_END_OF_STACK);
}

END_TEST

int
main(void)
{
    Suite *suite = suite_create("os/trampoline");
    TCase *tcase = support_case(suite, "calls", 5);

    tcase_add_test(tcase, it_calls_and_returns);
    tcase_add_test(tcase, it_runs_on_the_given_stack);
    tcase_add_test(tcase, the_stack_is_aligned);
    tcase_add_test(tcase, no_frame_lies_above);
    tcase_add_test(tcase, an_exception_finds_nobody);
    return support_run(suite);
}
