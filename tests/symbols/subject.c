#include "subject.h"

static __attribute__((noinline)) void *
caller(void)
{
    return __builtin_return_address(0);
}

static __attribute__((noinline)) void *
hidden(void)
{
    void *at = caller();

    __asm__ volatile("" : : : "memory"); /* else the call would be a jump */
    return at;
}

void *
SUBJECT(void)
{
    void *at = caller(); /* SUBJECT_LINE */

    __asm__ volatile("" : : : "memory");
    return at;
}

void *
SUBJECT_WITHIN(void)
{
    void *at = hidden();

    __asm__ volatile("" : : : "memory");
    return at;
}
