#include "support/options_support.h"

#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

enum {
    PART = 64 << 10
};

const weft_method methods[2] = {WEFT_ZYGOTE, WEFT_FORK};

void
options_ready(void)
{
    common_make();
    setrlimit(RLIMIT_CORE, &(struct rlimit){0, 0});
}

int
try_options(const weft_worker_options *options)
{
    weft_job *job = NULL;
    const int status = weft_start(
        &job, WEFT_PROCESS, &(weft_task){.fn = do_nothing, .worker = options});

    ck_assert(status < 0 || job);
    weft_release(job);
    return status;
}

size_t
take_all(size_t most)
{
    size_t got = 0;

    /* volatile: else a compiler may do without the memory */
    for (char *volatile part; got < most && (part = malloc(PART)); got += PART)
        memset(part, 1, PART);
    return got;
}

/* Not NULL, which a checker looks for before the processor does. */
static int *volatile nowhere = (int *)16;

int
crash(weft_call *call)
{
    (void)call;
    *nowhere = 1;
    return 0;
}

int
take_all_and_crash(weft_call *call)
{
    (void)take_all((size_t)1 << 30);
    return crash(call);
}

void
expect_crash(weft_job *job, bool out_of_memory)
{
    must_join(job);
    ck_assert_int_eq(outcome(job)->signal, SIGSEGV);
    ck_assert_msg(outcome(job)->out_of_memory == out_of_memory, "%s",
                  outcome(job)->text);
    ck_assert_int_eq(strstr(outcome(job)->text, "out of memory") != NULL,
                     out_of_memory);
    ck_assert_str_ne(outcome(job)->where, "");
    expect_end(job, WEFT_EDIED);
}
