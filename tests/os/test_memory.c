/* Files in memory and mappings. */
#include "os/os.h"
#include "support/support.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum {
    PAGES = 8,
    SIZE = PAGES * OS_PAGE
};

static char *
map(int fd, unsigned access)
{
    void *at = NULL;

    ck_assert_int_eq(os_map(&at, SIZE, fd, access), 0);
    return at;
}

static int
make_file(void)
{
    const int fd = os_memfd("test-memory", SIZE);

    ck_assert_int_ge(fd, 0);
    return fd;
}

START_TEST(the_file_is_sealed)
{
    const int fd = make_file();
    struct stat status;

    ck_assert_int_eq(ftruncate(fd, SIZE - 1), -1);
    ck_assert_int_eq(errno, EPERM);
    ck_assert_int_eq(ftruncate(fd, SIZE + 1), -1);
    ck_assert_int_eq(errno, EPERM);
    ck_assert_int_eq(fcntl(fd, F_ADD_SEALS, F_SEAL_WRITE), -1);
    ck_assert_int_eq(errno, EPERM);
    ck_assert_int_eq(fstat(fd, &status), 0);
    ck_assert_int_eq(status.st_size, SIZE);
    ck_assert_int_eq(status.st_blocks, 0);
    ck_assert_int_eq(fcntl(fd, F_GETFD), FD_CLOEXEC);
}

END_TEST

START_TEST(a_frozen_file_never_changes)
{
    char text[] = "frozen", got[8] = "";
    const int fd = os_memfd_frozen("test-frozen", text, 7);

    ck_assert_int_eq(fcntl(fd, F_GETFD), FD_CLOEXEC);
    ck_assert_int_eq(os_memfd_frozen_size(fd), 7);
    ck_assert_int_eq(write(fd, "x", 1), -1);
    ck_assert_int_eq(ftruncate(fd, 3), -1);
    ck_assert_int_eq(os_file_get(fd, 0, got, 7), 0);
    ck_assert_str_eq(got, "frozen");
    ck_assert_int_eq(os_file_get(fd, 0, got, 8), -EIO);
    ck_assert_int_eq(os_memfd_frozen_size(make_file()), -EBADMSG);
    ck_assert_int_eq(os_memfd_frozen_size(0), -EBADMSG);
    ck_assert_int_eq(os_file_get(9999, 0, got, 1), -EBADF);
}

END_TEST

START_TEST(the_file_has_its_name)
{
    char path[64], target[PATH_MAX] = "";

    snprintf(path, sizeof path, "/proc/self/fd/%d", make_file());
    ck_assert_int_gt(readlink(path, target, sizeof target - 1), 0);
    ck_assert_str_eq(target, "/memfd:test-memory (deleted)");
}

END_TEST

START_TEST(mappings_share_the_file)
{
    const int fd = make_file();
    char *one = map(fd, OS_READ | OS_WRITE);
    const char *other = map(fd, OS_READ);

    one[5 * OS_PAGE] = 'x';
    ck_assert_int_eq(other[5 * OS_PAGE], 'x');
    os_unmap(one, SIZE);
    ck_assert_int_eq(other[5 * OS_PAGE], 'x');
}

END_TEST

START_TEST(private_memory_is_zero)
{
    const char *memory = map(-1, OS_READ | OS_WRITE);

    for (size_t i = 0; i < SIZE; i++)
        if (memory[i])
            ck_abort_msg("byte %zu", i);
}

END_TEST

static void
write_there(void *at)
{
    *(volatile char *)at = 'x';
}

static void
read_there(void *at)
{
    *(volatile char *)at;
}

/* Whether a child that does so is killed; a checker may catch the signal. */
static bool
kills(void (*fn)(void *), void *at)
{
    return support_run_fork(fn, at) != 0;
}

START_TEST(protection_holds)
{
    char *memory = map(make_file(), OS_READ);

    ck_assert(kills(write_there, memory));
    ck_assert_int_eq(os_protect(memory + OS_PAGE, OS_PAGE, OS_READ | OS_WRITE),
                     0);
    ck_assert(!kills(write_there, memory + OS_PAGE));
    ck_assert(kills(write_there, memory));
    ck_assert(kills(write_there, memory + (ptrdiff_t)2 * OS_PAGE));
    ck_assert_int_eq(os_protect(memory + OS_PAGE, OS_PAGE, 0), 0);
    ck_assert(kills(read_there, memory + OS_PAGE));
    ck_assert(!kills(read_there, memory));
}

END_TEST

START_TEST(protecting_nothing_fails)
{
    char *memory = map(-1, OS_READ);

    os_unmap(memory, SIZE);
    ck_assert_int_eq(os_protect(memory, OS_PAGE, OS_READ), -ENOMEM);
}

END_TEST

START_TEST(a_map_of_no_file_fails)
{
    void *at = &at;

    ck_assert_int_eq(os_map(&at, SIZE, 9999, OS_READ), -EBADF);
    ck_assert_ptr_eq(at, &at);
    ck_assert_int_lt(os_map(&at, SIZE_MAX / 2, -1, OS_READ), 0);
    ck_assert_ptr_eq(at, &at);
}

END_TEST

START_TEST(a_private_page_hides_the_file)
{
    const int fd = make_file();
    char *memory = map(fd, OS_READ);
    const char *other = map(fd, OS_READ);

    ck_assert_int_eq(os_map_private_at(memory + OS_PAGE, OS_PAGE), 0);
    memory[OS_PAGE] = 'p';
    ck_assert_int_eq(other[OS_PAGE], 0);
    ck_assert(kills(write_there, memory));
    ck_assert(kills(write_there, memory + (ptrdiff_t)2 * OS_PAGE));
    ck_assert_int_eq(os_map_private_at(memory + OS_PAGE, OS_PAGE), 0);
    ck_assert_int_eq(memory[OS_PAGE], 0);
    ck_assert_int_eq(os_discard_shared(memory + OS_PAGE, OS_PAGE), -EINVAL);
}

END_TEST

START_TEST(discarded_pages_are_gone_for_all)
{
    const int fd = make_file();
    char *memory = map(fd, OS_READ | OS_WRITE);
    const char *other = map(fd, OS_READ);
    struct stat status;

    memset(memory, 'x', SIZE);
    ck_assert_int_eq(os_discard_shared(memory + OS_PAGE, SIZE - OS_PAGE), 0);
    ck_assert_int_eq(fstat(fd, &status), 0);
    ck_assert_int_eq(status.st_blocks, OS_PAGE / 512);
    ck_assert_int_eq(other[0], 'x');
    for (size_t i = OS_PAGE; i < SIZE; i++)
        if (other[i] != 0)
            ck_abort_msg("byte %zu", i);
}

END_TEST

/* The flags that the kernel keeps of the mapping at `at`. */
static bool
has_flag(const void *at, const char *flag)
{
    char line[512], start[32];
    bool there = false;
    FILE *file = fopen("/proc/self/smaps", "re");

    ck_assert_ptr_nonnull(file);
    snprintf(start, sizeof start, "%lx-", (unsigned long)(uintptr_t)at);
    while (fgets(line, sizeof line, file)) {
        there = there || strncmp(line, start, strlen(start)) == 0;
        if (there && strncmp(line, "VmFlags:", 8) == 0)
            break;
    }
    fclose(file);
    return there && strstr(line, flag);
}

START_TEST(cores_leave_it_out)
{
    char *memory = map(make_file(), OS_READ);

    if (support_is_valgrind())
        return; /* it keeps a table of its own */
    ck_assert(!has_flag(memory, " dd"));
    os_keep_out_of_core(memory, SIZE);
    ck_assert(has_flag(memory, " dd"));
}

END_TEST

START_TEST(a_named_file_is_the_users_own)
{
    char root[64], path[PATH_MAX];
    struct stat status;

    support_directory(root);
    snprintf(path, sizeof path, "%s/registry", root);
    const int fd = os_file_make(path, SIZE);

    ck_assert_int_ge(fd, 0);
    ck_assert_int_eq(stat(path, &status), 0);
    ck_assert_int_eq(status.st_size, SIZE);
    ck_assert_int_eq(status.st_mode & 0777, 0600);
    ck_assert_int_eq(fcntl(fd, F_GETFD), FD_CLOEXEC);
    map(fd, OS_READ | OS_WRITE)[0] = 'x';
    support_remove(root);
}

END_TEST

START_TEST(a_named_file_replaces_the_old_one)
{
    char root[64], path[PATH_MAX];

    support_directory(root);
    snprintf(path, sizeof path, "%s/registry", root);
    const int first = os_file_make(path, SIZE);
    char *old = map(first, OS_READ | OS_WRITE);

    old[0] = 'x';
    const int second = os_file_make(path, SIZE);

    ck_assert_int_ge(second, 0);
    ck_assert_int_eq(map(second, OS_READ)[0], 0);
    ck_assert_int_eq(old[0], 'x');
    support_remove(root);
}

END_TEST

START_TEST(a_named_file_that_cannot_be_leaves_nothing)
{
    char root[64], path[PATH_MAX + 16];
    const int before = support_fds();

    support_directory(root);
    ck_assert_int_eq(os_file_make("/no/such/directory/file", SIZE), -ENOENT);
    memset(path, 'x', sizeof path - 1);
    path[sizeof path - 1] = '\0';
    ck_assert_int_eq(os_file_make(path, SIZE), -ENAMETOOLONG);
    snprintf(path, sizeof path, "%s/taken", root);
    ck_assert_int_eq(mkdir(path, 0700), 0);
    ck_assert_int_eq(os_file_make(path, SIZE), -EISDIR);
    ck_assert_int_eq(support_fds(), before);
    ck_assert_int_eq(rmdir(path), 0);
    ck_assert_int_eq(rmdir(root), 0); /* it is empty */
}

END_TEST

START_TEST(a_planted_link_is_not_followed)
{
    char root[64], path[PATH_MAX], fresh[PATH_MAX], victim[PATH_MAX];
    struct stat status;

    support_directory(root);
    support_write(root, "victim", "text");
    snprintf(victim, sizeof victim, "%.60s/victim", root);
    snprintf(path, sizeof path, "%.60s/registry", root);
    snprintf(fresh, sizeof fresh, "%.60s/registry.%d", root, (int)getpid());
    ck_assert_int_eq(symlink(victim, fresh), 0);
    ck_assert_int_eq(os_file_make(path, SIZE), -EEXIST);
    ck_assert_int_eq(stat(victim, &status), 0);
    ck_assert_int_eq(status.st_size, 4);
    support_remove(root);
}

END_TEST

START_TEST(a_file_lies_at_the_wanted_address)
{
    const int fd = make_file();
    void *wish = map(-1, 0), *near = NULL;

    ck_assert_int_eq(os_map_at(wish, SIZE, fd, OS_READ), -EEXIST);
    os_unmap(wish, SIZE);
    ck_assert_int_eq(os_map_at(wish, SIZE, fd, OS_READ | OS_WRITE), 0);
    *(char *)wish = 'x';
    ck_assert_int_eq(os_map_near(&near, wish, SIZE, fd, OS_READ), 0);
    ck_assert_ptr_ne(near, wish); /* which is taken */
    ck_assert_int_eq(*(char *)near, 'x');
    os_unmap(near, SIZE);
    os_unmap(wish, SIZE);
    close(fd);
}

END_TEST

START_TEST(shared_pages_come_when_they_are_asked_for)
{
    const int fd = make_file();
    char *at = map(fd, OS_READ | OS_WRITE);
    struct stat status;

    ck_assert_int_eq(os_fill_shared(at + OS_PAGE, 2 * OS_PAGE), 0);
    ck_assert_int_eq(fstat(fd, &status), 0);
    ck_assert_int_eq(status.st_blocks, 2 * OS_PAGE / 512);
    os_unmap(at, SIZE);
    ck_assert_int_lt(os_fill_shared(at, SIZE), 0);
    close(fd);
}

END_TEST

int
main(void)
{
    Suite *suite = suite_create("os/memory");
    TCase *tcase = support_case(suite, "mappings", 10);

    tcase_add_test(tcase, the_file_is_sealed);
    tcase_add_test(tcase, a_frozen_file_never_changes);
    tcase_add_test(tcase, the_file_has_its_name);
    tcase_add_test(tcase, mappings_share_the_file);
    tcase_add_test(tcase, private_memory_is_zero);
    tcase_add_test(tcase, protection_holds);
    tcase_add_test(tcase, protecting_nothing_fails);
    tcase_add_test(tcase, a_map_of_no_file_fails);
    tcase_add_test(tcase, a_private_page_hides_the_file);
    tcase_add_test(tcase, discarded_pages_are_gone_for_all);
    tcase_add_test(tcase, a_file_lies_at_the_wanted_address);
    tcase_add_test(tcase, shared_pages_come_when_they_are_asked_for);
    tcase_add_test(tcase, cores_leave_it_out);
    tcase = support_case(suite, "named files", 10);
    tcase_add_test(tcase, a_named_file_is_the_users_own);
    tcase_add_test(tcase, a_named_file_replaces_the_old_one);
    tcase_add_test(tcase, a_named_file_that_cannot_be_leaves_nothing);
    tcase_add_test(tcase, a_planted_link_is_not_followed);
    return support_run(suite);
}
