/* The sentence of a thread's last failure. */
#include "base/text.h"
#include "base/why.h"
#include "support/support.h"

#include <weft/status.h>

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

START_TEST(nothing_failed_yet)
{
    ck_assert_str_eq(weft_why(), "");
}

END_TEST

START_TEST(the_last_sentence_stays)
{
    ck_assert_int_eq(why_set(WEFT_EINVAL, "task.fn is NULL"), WEFT_EINVAL);
    ck_assert_str_eq(weft_why(), "task.fn is NULL");
    ck_assert_int_eq(why_set(WEFT_OWNER_DIED, "holder '%s' died", "a"),
                     WEFT_OWNER_DIED);
    ck_assert_str_eq(weft_why(), "holder 'a' died");
}

END_TEST

START_TEST(a_status_explains_itself)
{
    ck_assert_int_eq(why_because(WEFT_ENOMEM, "cannot map the result"),
                     WEFT_ENOMEM);
    ck_assert_str_eq(weft_why(), "cannot map the result: out of memory");
}

END_TEST

static const struct {
    int error, status;
    const char *words;
} system_errors[] = {
    {-EMFILE, WEFT_EAGAIN, "open: Too many open files"},
    {-ENFILE, WEFT_EAGAIN, "open: Too many open files in system"},
    {-ENOSPC, WEFT_EAGAIN, "open: No space left on device"},
    {-EUSERS, WEFT_EAGAIN, "open: Too many users"},
    {-EAGAIN, WEFT_EAGAIN, "open: Resource temporarily unavailable"},
    {-EACCES, WEFT_EPERM, "open: Permission denied"},
    {-EPERM, WEFT_EPERM, "open: Operation not permitted"},
    {-ENOMEM, WEFT_ENOMEM, "open: Cannot allocate memory"},
    {-ENOENT, -ENOENT, "open: No such file or directory"},
    {-100000, -100000, "open: unknown error"},
};

START_TEST(the_systems_words_are_kept)
{
    ck_assert_int_eq(why_system(system_errors[_i].error, "open"),
                     system_errors[_i].status);
    ck_assert_str_eq(weft_why(), system_errors[_i].words);
}

END_TEST

START_TEST(a_long_sentence_is_cut)
{
    char name[4096];

    memset(name, 'x', sizeof name - 1);
    name[sizeof name - 1] = '\0';
    why_set(WEFT_EINVAL, "%s", name);
    ck_assert_uint_eq(strlen(weft_why()), TEXT_MESSAGE + TEXT_NAME - 1);
}

END_TEST

static void *
fail_elsewhere(void *sentence)
{
    ck_assert_str_eq(weft_why(), "");
    why_set(WEFT_EAGAIN, "elsewhere");
    ck_assert_str_eq(weft_why(), "elsewhere");
    *(const char **)sentence = weft_why();
    return NULL;
}

START_TEST(each_thread_has_its_own)
{
    const char *theirs = NULL;

    why_set(WEFT_EINVAL, "here");
    support_join(support_thread(fail_elsewhere, (void *)&theirs));
    ck_assert_str_eq(weft_why(), "here");
    ck_assert_ptr_ne(theirs, weft_why());
}

END_TEST

START_TEST(ended_threads_leave_no_memory)
{
    const char *theirs = NULL;
    const unsigned threads = scaled(2000);

    if (support_is_checked())
        return; /* it keeps freed memory for a while */

    for (unsigned i = 0; i < 20; i++)
        support_join(support_thread(fail_elsewhere, (void *)&theirs));
    const long before = support_rss();

    for (unsigned i = 0; i < threads; i++)
        support_join(support_thread(fail_elsewhere, (void *)&theirs));
    /* What is kept of a thread would be 1.3 KiB each. */
    ck_assert_int_lt(support_rss() - before, 1000 + (long)threads / 4);
}

END_TEST

START_TEST(forgetting_leaves_the_status)
{
    why_end();
    why_set(WEFT_EBUSY, "'%s' is in use", "a");
    why_end();
    why_end();
    ck_assert_str_eq(weft_why(), weft_status_text(WEFT_EBUSY));
    why_set(WEFT_EINVAL, "again");
    ck_assert_str_eq(weft_why(), "again");
}

END_TEST

static void *volatile taken; /* or the compiler would leave malloc out */

static void *
fail_without_memory(void *unused)
{
    static const size_t sizes[] = {1 << 20, 4096, 1024, 256};
    struct rlimit none = {0, RLIM_INFINITY};

    (void)unused;
    child_expect(setrlimit(RLIMIT_AS, &none) == 0);
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++)
        while ((taken = malloc(sizes[i])))
            ;
    child_expect(why_set(WEFT_EINVAL, "no room for this") == WEFT_EINVAL);
    child_expect(strcmp(weft_why(), "invalid argument") == 0);
    child_expect(why_set(WEFT_EAGAIN, "nor for this") == WEFT_EAGAIN);
    child_expect(strcmp(weft_why(), weft_status_text(WEFT_EAGAIN)) == 0);
    _exit(0);
}

static void
run_without_memory(void *unused)
{
    (void)fail_without_memory(unused);
}

START_TEST(without_memory_the_statuss_text_stands_in)
{
    if (!support_is_checked())
        ck_assert_int_eq(support_run_fork(run_without_memory, NULL), 0);
}

END_TEST

struct must {
    int ends[2];
    int status;
    const char *doing;
};

static void
run_must(void *memory)
{
    struct must *must = memory;

    child_expect(dup2(must->ends[1], STDERR_FILENO) >= 0);
    why_set(WEFT_EINVAL, "a name is empty");
    weft_must(must->status, must->doing);
}

static void
must_prints(int status, const char *doing, const char *expected)
{
    struct must must = {.status = status, .doing = doing};
    char text[256] = "";

    ck_assert_int_eq(pipe(must.ends), 0);
    ck_assert_int_eq(support_run_fork(run_must, &must), status < 0 ? 1 : 0);
    close(must.ends[1]);
    ck_assert_int_ge(read(must.ends[0], text, sizeof text - 1), 0);
    const char *behind = strchr(text, ':');

    ck_assert_str_eq(behind ? behind : text, expected);
}

START_TEST(must_says_why_and_exits)
{
    must_prints(WEFT_EINVAL, "naming", ": naming: a name is empty\n");
    must_prints(WEFT_EAGAIN, "naming",
                ": naming: full, or a limit of the system was reached\n");
    must_prints(WEFT_EINVAL, NULL, ": weft: a name is empty\n");
}

END_TEST

START_TEST(must_passes_success_on)
{
    ck_assert_int_eq(weft_must(0, "x"), 0);
    ck_assert_int_eq(weft_must(WEFT_OWNER_DIED, "x"), WEFT_OWNER_DIED);
    ck_assert_int_eq(weft_must(17, NULL), 17);
    must_prints(WEFT_OK, "x", "");
}

END_TEST

int
main(void)
{
    Suite *suite = suite_create("base/why");
    TCase *tcase = support_case(suite, "sentences", 10);

    tcase_add_test(tcase, nothing_failed_yet);
    tcase_add_test(tcase, the_last_sentence_stays);
    tcase_add_test(tcase, a_status_explains_itself);
    support_add_table(tcase, the_systems_words_are_kept, system_errors);
    tcase_add_test(tcase, a_long_sentence_is_cut);
    tcase_add_test(tcase, forgetting_leaves_the_status);
    tcase_add_test(tcase, without_memory_the_statuss_text_stands_in);
    tcase_add_test(tcase, must_says_why_and_exits);
    tcase_add_test(tcase, must_passes_success_on);
    tcase = support_case(suite, "threads", 20);
    tcase_add_test(tcase, each_thread_has_its_own);
    tcase_add_test(tcase, ended_threads_leave_no_memory);
    return support_run(suite);
}
