/* How much memory there is. */
#include "os/os.h"
#include "support/support.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

static uint64_t
in_system(const char *key)
{
    FILE *file = fopen("/proc/meminfo", "re");
    char line[128];
    unsigned long long kib = 0;

    while (file && fgets(line, sizeof line, file))
        if (strncmp(line, key, strlen(key)) == 0)
            sscanf(line + strlen(key), "%llu", &kib);
    if (file)
        fclose(file);
    return kib * 1024;
}

START_TEST(some_is_left_and_not_more_than_there_is)
{
    const uint64_t left = os_memory_left();

    ck_assert_uint_gt(left, 0);
    ck_assert_uint_le(left, in_system("MemTotal:") + in_system("SwapTotal:"));
}

END_TEST

/* Freed memory waits in lists of the CPUs, up to an eighth of all, before the
 * system counts it as free; who uses it from there changes nothing in what the
 * system says is left. */
static uint64_t
in_lists(void)
{
    FILE *file = fopen("/proc/zoneinfo", "re");
    char line[256];
    unsigned long long pages = 0, count;

    while (file && fgets(line, sizeof line, file))
        if (sscanf(line, " count: %llu", &count) == 1)
            pages += count;
    if (file)
        fclose(file);
    return pages * (uint64_t)sysconf(_SC_PAGESIZE);
}

/* Whether `size` bytes that are used between two looks are missing. */
static bool
use_is_seen(size_t size)
{
    const uint64_t before = os_memory_left() + in_lists();
    char *some = mmap(NULL, size, PROT_READ | PROT_WRITE,
                      MAP_PRIVATE | MAP_ANONYMOUS | MAP_POPULATE, -1, 0);

    ck_assert_ptr_ne(some, MAP_FAILED);
    const bool seen = os_memory_left() + in_lists() < before - size / 2;

    munmap(some, size);
    return seen;
}

/* The system's memory is everybody's. What others give back hides the use for
 * as long as the first look is compared with, so each pair of looks is a fresh
 * one; and what others take between two is no proof, so most of the pairs have
 * to tell. */
START_TEST(what_is_used_is_not_left)
{
    enum {
        SIZE = 256 << 20
    };

    int told = 0;

    if (os_memory_left() < (uint64_t)4 * SIZE)
        return;
    eventually((told += use_is_seen(SIZE) ? 1 : -1) == 3);
}

END_TEST

START_TEST(kills_are_counted_upwards)
{
    const uint64_t first = os_memory_kills();

    for (int i = 0; i < 10; i++)
        ck_assert_uint_ge(os_memory_kills(), first);
}

END_TEST

START_TEST(private_memory_is_counted)
{
    enum {
        SIZE = 64 << 20
    };

    const int statm = os_memory_open(0);
    const uint64_t before = os_memory_private(-1);

    ck_assert_int_gt(statm, 2);
    ck_assert_uint_gt(before, 0);
    void *own = mmap(NULL, SIZE, PROT_READ | PROT_WRITE,
                     MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    void *shared = mmap(NULL, SIZE, PROT_READ | PROT_WRITE,
                        MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    void *constant =
        mmap(NULL, SIZE, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

    for (int i = 0; i < 2; i++) {
        const uint64_t now = os_memory_private(i ? statm : -1);

        ck_assert_uint_ge(now, before + SIZE);
        ck_assert_uint_lt(now, before + SIZE + SIZE / 2);
    }
    munmap(own, SIZE);
    munmap(shared, SIZE);
    munmap(constant, SIZE);
    ck_assert_uint_lt(os_memory_private(statm), before + SIZE / 2);
    ck_assert_int_ge(fcntl(statm, F_GETFD), FD_CLOEXEC);
    close(statm);
}

END_TEST

int
main(void)
{
    Suite *suite = suite_create("memory_left");
    TCase *tcase = support_case(suite, "memory_left", 20);

    tcase_add_test(tcase, some_is_left_and_not_more_than_there_is);
    tcase_add_test(tcase, kills_are_counted_upwards);
    if (support_is_checked())
        return support_run(suite); /* which has memory of its own */
    tcase_add_test(tcase, what_is_used_is_not_left);
    tcase_add_test(tcase, private_memory_is_counted);
    return support_run(suite);
}
