/* Descriptors: events, timers and polling. */
#include "os/os.h"
#include "support/support.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define MS INT64_C(1000000)

static bool
is_ready(int fd)
{
    struct os_poll poll = {fd, true, false};

    return os_poll(&poll, 1, 0) == 1 && poll.readable;
}

static void
expect_private(int fd)
{
    ck_assert_int_ge(fd, 0);
    ck_assert_int_eq(fcntl(fd, F_GETFD), FD_CLOEXEC);
}

START_TEST(descriptors_are_close_on_exec)
{
    int ends[2];

    ck_assert_int_eq(os_pair(ends), 0);
    expect_private(ends[0]);
    expect_private(ends[1]);
    expect_private(os_event_open());
    expect_private(os_timer_open());
    expect_private(os_watch_open());
    expect_private(os_open_null());
    expect_private(os_open_directory("."));
}

END_TEST

/* What the program opens as its next input or output is not ours. */
static void
open_without_standard_files(void *unused)
{
    int ends[2];

    (void)unused;
    os_close(0);
    os_close(1);
    child_expect(os_pair(ends) == 0);
    child_expect(ends[0] > 2 && ends[1] > 2);
    child_expect(os_event_open() > 2 && os_timer_open() > 2);
    child_expect(os_watch_open() > 2 && os_open_directory(".") > 2);
    child_expect(os_memfd("high", OS_PAGE) > 2);
    child_expect(!os_is_open(0) && !os_is_open(1));
    child_expect(fcntl(ends[0], F_GETFD) == FD_CLOEXEC);
}

START_TEST(the_standard_files_stay_free)
{
    ck_assert_int_eq(support_run_fork(open_without_standard_files, NULL), 0);
}

END_TEST

START_TEST(an_event_rings_until_cleared)
{
    const int fd = os_event_open();

    ck_assert(!is_ready(fd));
    os_event_clear(fd); /* does not block */
    errno = 77;
    for (int i = 0; i < 3; i++)
        os_event_ring(fd);
    ck_assert_int_eq(errno, 77);
    ck_assert(is_ready(fd));
    os_event_clear(fd);
    ck_assert(!is_ready(fd));
}

END_TEST

START_TEST(a_full_event_still_rings)
{
    const uint64_t nearly_full = UINT64_MAX - 1;
    const int fd = os_event_open();

    ck_assert_int_eq(write(fd, &nearly_full, sizeof nearly_full), 8);
    os_event_ring(fd); /* neither blocks nor fails */
    ck_assert(is_ready(fd));
}

END_TEST

START_TEST(a_timer_expires_at_its_time)
{
    const int fd = os_timer_open();
    const int64_t at = os_now() + 20 * MS;
    struct os_poll poll = {fd, true, false};

    ck_assert_int_eq(os_timer_set(fd, at), 0);
    ck_assert(!is_ready(fd) || os_now() >= at);
    ck_assert_int_eq(os_poll(&poll, 1, OS_NEVER), 1);
    ck_assert_int_ge(os_now(), at);
}

END_TEST

START_TEST(a_timer_of_the_past_expires_at_once)
{
    static const int64_t times[] = {1, 0, -1, INT64_MIN};
    const int fd = os_timer_open();

    for (size_t i = 0; i < sizeof times / sizeof *times; i++) {
        ck_assert_int_eq(os_timer_set(fd, times[i]), 0);
        eventually(is_ready(fd));
        ck_assert_int_eq(os_timer_set(fd, OS_NEVER), 0);
        ck_assert(!is_ready(fd));
    }
}

END_TEST

START_TEST(a_timer_can_be_set_far_ahead)
{
    const int fd = os_timer_open();

    ck_assert_int_eq(os_timer_set(fd, OS_NEVER - 1), 0);
    ck_assert(!is_ready(fd));
    ck_assert_int_eq(os_timer_set(9999, 1), -EBADF);
}

END_TEST

START_TEST(polling_tells_who_is_ready)
{
    int ends[2];

    ck_assert_int_eq(os_pair(ends), 0);
    struct os_poll polls[] = {
        {ends[0], true, false}, {ends[0], true, true}, {ends[1], false, true}};

    ck_assert_int_eq(os_poll(polls, 3, OS_NEVER), 2);
    ck_assert(!polls[0].readable && !polls[0].writable);
    ck_assert(!polls[1].readable && polls[1].writable);
    ck_assert(!polls[2].readable && polls[2].writable);
}

END_TEST

START_TEST(a_poll_ends_at_its_deadline)
{
    const int fd = os_event_open();
    struct os_poll poll = {fd, true, false};
    const int64_t until = os_now() + 30 * MS;

    ck_assert_int_eq(os_poll(&poll, 1, until), -ETIMEDOUT);
    ck_assert_int_ge(os_now(), until);
    poll.readable = true;
    ck_assert_int_eq(os_poll(&poll, 1, 0), -ETIMEDOUT);
    ck_assert_int_eq(os_poll(&poll, 1, -1), -ETIMEDOUT);
    ck_assert_int_eq(os_poll(NULL, 0, os_now() + MS), -ETIMEDOUT);
}

END_TEST

START_TEST(a_hang_up_is_ready)
{
    int pipe_ends[2];

    ck_assert_int_eq(pipe2(pipe_ends, O_CLOEXEC), 0);
    struct os_poll reader = {pipe_ends[0], true, false};

    close(pipe_ends[1]);
    ck_assert_int_eq(os_poll(&reader, 1, OS_NEVER), 1);
    ck_assert(reader.readable && !reader.writable);
    ck_assert_int_eq(pipe2(pipe_ends, O_CLOEXEC), 0);
    struct os_poll writer = {pipe_ends[1], false, true};

    close(pipe_ends[0]);
    ck_assert_int_eq(os_poll(&writer, 1, OS_NEVER), 1);
    ck_assert(writer.writable && !writer.readable);
}

END_TEST

START_TEST(a_closed_descriptor_is_told)
{
    const int fd = os_event_open();
    struct os_poll polls[] = {{fd, true, false}, {9999, true, false}};

    ck_assert_int_eq(os_poll(polls, 2, OS_NEVER), -EBADF);
}

END_TEST

START_TEST(many_descriptors_are_polled)
{
    enum {
        MANY = 1000
    };
    static struct os_poll polls[MANY];
    const int silent = os_event_open(), ringing = os_event_open();

    os_event_ring(ringing);
    for (int i = 0; i < MANY; i++)
        polls[i] = (struct os_poll){i == 777 ? ringing : silent, true, false};
    ck_assert_int_eq(os_poll(polls, MANY, OS_NEVER), 1);
    for (int i = 0; i < MANY; i++)
        ck_assert(polls[i].readable == (i == 777));
}

END_TEST

START_TEST(a_watch_tells_contexts)
{
    const int watch = os_watch_open(), one = os_event_open(),
              other = os_event_open();
    int contexts[2];
    void *got[4];

    ck_assert_int_eq(os_watch_add(watch, one, &contexts[0]), 0);
    ck_assert_int_eq(os_watch_add(watch, other, &contexts[1]), 0);
    ck_assert_int_eq(os_watch_add(watch, other, &contexts[1]), -EEXIST);
    os_event_ring(other);
    ck_assert_int_eq(os_watch_wait(watch, got, 4), 1);
    ck_assert_ptr_eq(got[0], &contexts[1]);
    os_event_ring(one);
    ck_assert_int_eq(os_watch_wait(watch, got, 1), 1);
    ck_assert_int_eq(os_watch_wait(watch, got, 4), 2);
    ck_assert_int_eq(os_watch_remove(watch, other), 0);
    ck_assert_int_eq(os_watch_remove(watch, other), -ENOENT);
    ck_assert_int_eq(os_watch_wait(watch, got, 4), 1);
    ck_assert_ptr_eq(got[0], &contexts[0]);
}

END_TEST

static ino_t
inode(int fd)
{
    struct stat status;

    ck_assert_int_eq(fstat(fd, &status), 0);
    return status.st_ino;
}

START_TEST(there_and_back)
{
    char before[PATH_MAX], after[PATH_MAX];
    const int here = os_open_directory(".");

    ck_assert_ptr_nonnull(getcwd(before, sizeof before));
    ck_assert_int_eq(chdir("/"), 0);
    ck_assert_int_eq(os_go_there(here), 0);
    ck_assert_ptr_nonnull(getcwd(after, sizeof after));
    ck_assert_str_eq(before, after);
    ck_assert_int_eq(os_go_there(os_open_null()), -ENOTDIR);
}

END_TEST

START_TEST(a_moved_descriptor_is_kept_over_exec)
{
    const int fd = os_memfd("moves", OS_PAGE);

    ck_assert_int_eq(os_move(fd, 200), 200);
    ck_assert_uint_eq(inode(200), inode(fd));
    ck_assert_int_eq(fcntl(200, F_GETFD), 0);
    ck_assert_int_eq(os_move(9999, 200), -EBADF);
}

END_TEST

static void
close_most(void *unused)
{
    (void)unused;
    child_expect(os_move(0, 100) == 100 && os_move(0, 101) == 101 &&
                 os_move(0, 500) == 500);
    os_close_from(101);
    child_expect(fcntl(100, F_GETFD) == 0);
    child_expect(fcntl(101, F_GETFD) < 0);
    child_expect(fcntl(500, F_GETFD) < 0);
}

START_TEST(closing_from_a_number)
{
    ck_assert_int_eq(support_run_fork(close_most, NULL), 0);
}

END_TEST

int
main(void)
{
    Suite *suite = suite_create("os/file");
    TCase *tcase = support_case(suite, "events and timers", 10);

    tcase_add_test(tcase, descriptors_are_close_on_exec);
    tcase_add_test(tcase, the_standard_files_stay_free);
    tcase_add_test(tcase, an_event_rings_until_cleared);
    tcase_add_test(tcase, a_full_event_still_rings);
    tcase_add_test(tcase, a_timer_expires_at_its_time);
    tcase_add_test(tcase, a_timer_of_the_past_expires_at_once);
    tcase_add_test(tcase, a_timer_can_be_set_far_ahead);
    tcase = support_case(suite, "polling", 10);
    tcase_add_test(tcase, polling_tells_who_is_ready);
    tcase_add_test(tcase, a_poll_ends_at_its_deadline);
    tcase_add_test(tcase, a_hang_up_is_ready);
    tcase_add_test(tcase, a_closed_descriptor_is_told);
    tcase_add_test(tcase, many_descriptors_are_polled);
    tcase_add_test(tcase, a_watch_tells_contexts);
    tcase = support_case(suite, "places", 10);
    tcase_add_test(tcase, there_and_back);
    tcase_add_test(tcase, a_moved_descriptor_is_kept_over_exec);
    tcase_add_test(tcase, closing_from_a_number);
    return support_run(suite);
}
