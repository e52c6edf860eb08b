/* The environment is copied whole, whoever changes it meanwhile. */
#include "os/os.h"
#include "support/support.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

extern char **environ;

static char *strings[70001];
static char text[1 << 20];

static void
expect_block(const char *expected, size_t size)
{
    static char out[1 << 16];

    memset(out, '#', sizeof out);
    ck_assert_int_eq(os_environment(out, sizeof out), (long)size);
    ck_assert_mem_eq(out, expected, size);
    ck_assert_int_eq(out[size], '#');
}

START_TEST(no_strings_are_no_bytes)
{
    char *none[] = {NULL};

    environ = NULL;
    expect_block("", 0);
    environ = none;
    expect_block("", 0);
    ck_assert_int_eq(os_environment(NULL, 0), 0);
    environ = NULL;
}

END_TEST

START_TEST(strings_come_in_order_with_their_ends)
{
    char a[] = "A=1", empty[] = "", b[] = "no value", c[] = "A=1";
    char *some[] = {a, empty, b, c, NULL};

    environ = some;
    expect_block("A=1\0\0no value\0A=1", 4 + 1 + 9 + 4);
    environ = NULL;
}

END_TEST

/* As much as there is room for, and how much there is. */
START_TEST(too_little_room_tells_the_size)
{
    char a[] = "A=123", b[] = "B=45", out[32];
    char *some[] = {a, b, NULL};
    const char whole[] = "A=123\0B=45";

    environ = some;
    for (size_t room = 0; room <= sizeof whole; room++) {
        const size_t there = room < sizeof whole ? room : sizeof whole;

        memset(out, '#', sizeof out);
        ck_assert_int_eq(os_environment(out, room), sizeof whole);
        ck_assert_mem_eq(out, whole, there);
        ck_assert_int_eq(out[there], '#');
    }
    ck_assert_int_eq(os_environment(NULL, 0), sizeof whole);
    environ = NULL;
}

END_TEST

static const size_t counts[] = {1,   2,   255, 256,  257,
                                511, 512, 513, 1000, 65000};

START_TEST(any_number_of_strings_is_copied)
{
    const size_t count = counts[_i];
    char *end = text;
    static char out[1 << 20];

    for (size_t i = 0; i < count; i++) {
        strings[i] = end;
        end += sprintf(end, "N%zu=%zu", i, i) + 1;
    }
    strings[count] = NULL;
    environ = strings;
    ck_assert_int_eq(os_environment(out, sizeof out), end - text);
    ck_assert_mem_eq(out, text, (size_t)(end - text));
}

END_TEST

START_TEST(too_many_strings_are_refused)
{
    static char one[] = "A=1";

    for (size_t i = 0; i < 70000; i++)
        strings[i] = one;
    strings[70000] = NULL;
    environ = strings;
    ck_assert_int_eq(os_environment(text, sizeof text), -ENOBUFS);
}

END_TEST

/* The array ends where memory ends. */
START_TEST(nothing_is_read_beyond_the_end)
{
    char one[] = "A=1";
    char *pages = mmap(NULL, 3 * OS_PAGE, PROT_READ | PROT_WRITE,
                       MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

    ck_assert_ptr_ne(pages, MAP_FAILED);
    ck_assert_int_eq(mprotect(pages + 2 * OS_PAGE, OS_PAGE, PROT_NONE), 0);
    char **end = (char **)(void *)(pages + 2 * OS_PAGE);

    for (size_t count = 0; count < 2 * OS_PAGE / sizeof *end; count += 51) {
        end[-1] = NULL;
        for (size_t i = 0; i < count; i++)
            end[-2 - (long)i] = one;
        environ = end - 1 - count;
        ck_assert_int_eq(os_environment(text, sizeof text), 4 * (long)count);
    }
    environ = NULL;
    munmap(pages, 3 * OS_PAGE);
}

END_TEST

START_TEST(an_array_that_is_not_there_is_an_error)
{
    char **nowhere =
        mmap(NULL, OS_PAGE, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

    environ = nowhere;
    const long got = os_environment(text, sizeof text);

    environ = NULL;
    ck_assert_int_lt(got, 0);
}

END_TEST

/* --- while others change it */

static atomic_bool over;

/* Values of one letter each. */
static void *
hammer(void *unused)
{
    static char own[50][64];

    for (unsigned i = 0; !atomic_load(&over); i++) {
        const unsigned which = i % 300;
        char name[32], value[64] = "";

        snprintf(name, sizeof name, "H%u", which);
        memset(value, 'a' + (int)(i % 26), i % 60);
        if (i % 5 == 0)
            unsetenv(name);
        else if (i % 11 == 0 && which < 50 && own[which][0] == '\0') {
            snprintf(own[which], sizeof own[which], "H%u=%s", which, "ppp");
            putenv(own[which]);
        } else {
            setenv(name, value, 1);
        }
        if (i % 10000 == 0)
            clearenv();
    }
    return unused;
}

static bool
is_whole(const char *string)
{
    const char *value = strchr(string, '=');

    return value &&
           (*string != 'H' || value[1] == '\0' ||
            strspn(value + 1, (char[]){value[1], '\0'}) == strlen(value + 1));
}

/* Check's own assertions call getenv: they wait until the thread is gone. */
START_TEST(it_may_change_meanwhile)
{
    char torn[256] = "";
    long worst = 0;
    bool ended = true;

    clearenv();
    setenv("FIRST", "1", 1);
    const pthread_t thread = support_thread(hammer, NULL);

    for (unsigned i = scaled(5000); i > 0; i--) {
        const long size = os_environment(text, sizeof text);

        if (size < 0 || size > (long)sizeof text)
            worst = size;
        for (const char *at = text; at < text + size; at += strlen(at) + 1)
            if (!is_whole(at))
                snprintf(torn, sizeof torn, "%.250s", at);
        ended = ended && (size <= 0 || text[size - 1] == '\0');
    }
    atomic_store(&over, true);
    support_join(thread);
    ck_assert_int_eq(worst, 0);
    ck_assert_str_eq(torn, "");
    ck_assert(ended);
}

END_TEST

/* --- set */

START_TEST(a_block_becomes_the_environment)
{
    static char block[] = "A=1\0B=\0A=2\0C=x=y";

    ck_assert_int_eq(os_environment_set(block, sizeof block), 0);
    ck_assert_str_eq(getenv("A"), "1");
    ck_assert_str_eq(getenv("B"), "");
    ck_assert_str_eq(getenv("C"), "x=y");
    expect_block(block, sizeof block);
    /* It can be changed as any other. */
    ck_assert_int_eq(setenv("A", "3", 1), 0);
    ck_assert_int_eq(setenv("NEW", "4", 1), 0);
    ck_assert_int_eq(unsetenv("C"), 0);
    ck_assert_str_eq(getenv("A"), "3");
    ck_assert_str_eq(getenv("NEW"), "4");
    ck_assert_ptr_null(getenv("C"));
}

END_TEST

START_TEST(an_empty_block_is_no_environment)
{
    char nothing[1] = "";

    setenv("A", "1", 1);
    ck_assert_int_eq(os_environment_set(nothing, 0), 0);
    ck_assert_ptr_null(getenv("A"));
    ck_assert_ptr_null(*environ);
    expect_block("", 0);
    ck_assert_int_eq(setenv("A", "2", 1), 0);
    ck_assert_str_eq(getenv("A"), "2");
}

END_TEST

START_TEST(own_memory_is_read_as_far_as_it_goes)
{
    char *pages = mmap(NULL, 2 * OS_PAGE, PROT_READ | PROT_WRITE,
                       MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    char out[32];

    ck_assert_int_eq(mprotect(pages + OS_PAGE, OS_PAGE, PROT_NONE), 0);
    memcpy(pages + OS_PAGE - 8, "12345678", 8);
    const int got = os_read_own(pages + OS_PAGE - 8, out, 16);

    if (got == -EPERM || got == -ENOSYS)
        return;
    ck_assert_int_le(got, 8);
    ck_assert_int_eq(os_read_own(pages + OS_PAGE - 8, out, 8), 8);
    ck_assert_mem_eq(out, "12345678", 8);
    ck_assert_int_eq(os_read_own(pages + OS_PAGE, out, 8), -EFAULT);
    ck_assert_int_eq(os_read_own(NULL, out, 8), -EFAULT);
}

END_TEST

int
main(void)
{
    Suite *suite = suite_create("environment");
    TCase *tcase = support_case(suite, "environment", 20);

    tcase_add_test(tcase, no_strings_are_no_bytes);
    tcase_add_test(tcase, strings_come_in_order_with_their_ends);
    tcase_add_test(tcase, too_little_room_tells_the_size);
    support_add_table(tcase, any_number_of_strings_is_copied, counts);
    tcase_add_test(tcase, too_many_strings_are_refused);
    tcase_add_test(tcase, nothing_is_read_beyond_the_end);
    tcase_add_test(tcase, an_array_that_is_not_there_is_an_error);
    tcase_add_test(tcase, a_block_becomes_the_environment);
    tcase_add_test(tcase, an_empty_block_is_no_environment);
    tcase_add_test(tcase, own_memory_is_read_as_far_as_it_goes);
    if (!support_is_tsan()) /* whose setenv nobody may race with */
        tcase_add_test(tcase, it_may_change_meanwhile);
    return support_run(suite);
}
