/* Which file an address belongs to. */
#include "os/os.h"
#include "support/support.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

enum {
    MOST = OS_FRAMES
};

struct place {
    unsigned times;
    char path[4096];
    uint64_t offset;
};

static struct place places[MOST];

static void
note(void *context, unsigned which, const char *path, uint64_t offset)
{
    struct place *out = (struct place *)context + which;

    out->times++;
    out->offset = offset;
    snprintf(out->path, sizeof out->path, "%s", path);
}

static void
look_up(const uint64_t *addresses, unsigned count)
{
    const int maps = os_maps_open();

    ck_assert_int_ge(maps, 0);
    ck_assert_int_eq(fcntl(maps, F_GETFD), FD_CLOEXEC);
    memset(places, 0, sizeof places);
    os_maps_places(maps, addresses, count, note, places);
    close(maps);
}

static uint64_t
number(const void *at)
{
    return (uint64_t)(uintptr_t)at;
}

START_TEST(code_lies_in_its_file)
{
    char own[4096];
    const ssize_t length = readlink("/proc/self/exe", own, sizeof own - 1);
    const uint64_t addresses[] = {(uint64_t)(uintptr_t)note,
                                  (uint64_t)(uintptr_t)strtol};

    ck_assert_int_gt(length, 0);
    own[length] = '\0';
    look_up(addresses, 2);
    ck_assert_uint_eq(places[0].times, 1);
    ck_assert_str_eq(places[0].path, own);
    ck_assert_uint_eq(places[1].times, 1);
    if (!support_is_checked()) /* which has a function of that name itself */
        ck_assert_ptr_nonnull(strstr(places[1].path, "libc"));
}

END_TEST

/* Every page of a file that is mapped from its middle on. */
START_TEST(offsets_are_those_of_the_file)
{
    char root[64], path[128];
    uint64_t addresses[3];

    support_directory(root);
    support_write(root, "mapped file", "");
    snprintf(path, sizeof path, "%s/mapped file", root);
    const int fd = open(path, O_RDWR | O_CLOEXEC);

    ck_assert_int_eq(ftruncate(fd, 16 * OS_PAGE), 0);
    char *at = mmap(NULL, 4 * OS_PAGE, PROT_READ, MAP_SHARED, fd, 5 * OS_PAGE);

    ck_assert_ptr_ne(at, MAP_FAILED);
    addresses[0] = number(at);
    addresses[1] = number(at + OS_PAGE + 17);
    addresses[2] = number(at + 4 * OS_PAGE - 1);
    look_up(addresses, 3);
    ck_assert_str_eq(places[0].path, path);
    ck_assert_str_eq(places[1].path, path);
    ck_assert_uint_eq(places[0].offset, 5 * OS_PAGE);
    ck_assert_uint_eq(places[1].offset, 6 * OS_PAGE + 17);
    ck_assert_uint_eq(places[2].offset, 9 * OS_PAGE - 1);
    munmap(at, 4 * OS_PAGE);
    close(fd);
    support_remove(root);
}

END_TEST

START_TEST(what_is_in_no_file_is_not_found)
{
    int here;
    void *private =
        mmap(NULL, OS_PAGE, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    const uint64_t addresses[] = {0, 1, UINT64_MAX, number(&here),
                                  number(private)};

    look_up(addresses, 5);
    for (int i = 0; i < 5; i++)
        ck_assert_uint_eq(places[i].times, 0);
    munmap(private, OS_PAGE);
    look_up(NULL, 0);
}

END_TEST

/* More lines than are read at once, and a path that fills most of one read. */
START_TEST(long_lines_and_many_are_read)
{
    enum {
        MANY = 400
    };

    char root[64], path[4096], name[2048];
    char *at[MANY];
    uint64_t addresses[MOST];

    support_directory(root);
    memset(name, 'n', sizeof name);
    for (size_t i = 200; i < sizeof name; i += 200)
        name[i] = '/';
    name[sizeof name - 1] = '\0';
    support_write(root, name, "");
    snprintf(path, sizeof path, "%s/%s", root, name);
    const int fd = open(path, O_RDWR | O_CLOEXEC);

    ck_assert_int_ge(fd, 0);
    ck_assert_int_eq(ftruncate(fd, 2L * MANY * OS_PAGE), 0);
    for (int i = 0; i < MANY; i++) /* every second page, so that none join */
        at[i] =
            mmap(NULL, OS_PAGE, PROT_READ, MAP_SHARED, fd, 2L * i * OS_PAGE);
    for (int i = 0; i < MOST; i++)
        addresses[i] = number(at[i * (MANY / MOST)]) + (unsigned)i;
    look_up(addresses, MOST);
    for (unsigned i = 0; i < MOST; i++) {
        ck_assert_uint_eq(places[i].times, 1);
        ck_assert_str_eq(places[i].path, path);
        ck_assert_uint_eq(places[i].offset,
                          2UL * i * (MANY / MOST) * OS_PAGE + i);
    }
    for (int i = 0; i < MANY; i++)
        munmap(at[i], OS_PAGE);
    close(fd);
    support_remove(root);
}

END_TEST

int
main(void)
{
    Suite *suite = suite_create("maps");
    TCase *tcase = support_case(suite, "maps", 20);

    tcase_add_test(tcase, code_lies_in_its_file);
    tcase_add_test(tcase, offsets_are_those_of_the_file);
    tcase_add_test(tcase, what_is_in_no_file_is_not_found);
    tcase_add_test(tcase, long_lines_and_many_are_read);
    return support_run(suite);
}
