/* As much as a program with large data hands over: a gibibyte each way. */
#include "os/os.h"
#include "support/worker_support.h"

#include <stdlib.h>

#define GIB ((size_t)1 << 30)

enum {
    SKIPPED = 77
};

/* The ways to run a function. */
static const struct way {
    weft_kind kind;
    weft_worker_options options;
} ways[] = {
    {WEFT_THREAD, {0}},
    {WEFT_PROCESS, {.method = WEFT_ZYGOTE}},
    {WEFT_PROCESS, {.method = WEFT_FORK}},
};

static void
fill_words(uint64_t *words, size_t size)
{
    for (size_t i = 0; i < size / sizeof *words; i++)
        words[i] = i;
}

static bool
are_words(const uint64_t *words, size_t size, bool inverted)
{
    uint64_t wrong = 0;

    for (size_t i = 0; i < size / sizeof *words; i++)
        wrong |= words[i] ^ (inverted ? ~i : i);
    return wrong == 0;
}

static int
invert(weft_call *call)
{
    const uint64_t *from = call->arg;
    uint64_t *to = call->result;

    if (call->arg_size != GIB || call->result_size != GIB)
        return weft_fail(call, "sizes");
    if (!are_words(from, GIB, false))
        return weft_fail(call, "the argument is another");
    for (size_t i = 0; i < GIB / sizeof *to; i++)
        to[i] = ~from[i];
    return 0;
}

START_TEST(a_gibibyte_comes_and_goes)
{
    uint64_t *words = malloc(GIB);

    ck_assert_ptr_nonnull(words);
    fill_words(words, GIB);
    weft_job *job = must_run(
        ways[_i].kind,
        &(weft_task){.fn = invert,
                     .arg = words,
                     .arg_size = GIB,
                     .result_size = GIB,
                     .worker = ways[_i].kind == WEFT_PROCESS ? &ways[_i].options
                                                             : NULL});

    free(words);
    ck_assert_msg(outcome(job)->status == 0, "%s", outcome(job)->text);
    ck_assert_uint_eq(outcome(job)->result_size, GIB);
    ck_assert(are_words(outcome(job)->result, GIB, true));
    weft_release(job);
}

END_TEST

int
main(void)
{
    if (os_memory_left() < 4 * GIB)
        return SKIPPED; /* the argument is there twice, the result once */
    Suite *suite = suite_create("large");
    TCase *tcase = support_case(suite, "large", 60);

    support_add_table(tcase, a_gibibyte_comes_and_goes, ways);
    return support_run(suite);
}
