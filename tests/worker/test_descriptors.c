/* Descriptors that are handed to a process worker. */
#include "support/options_support.h"

#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

enum {
    MOST_FDS = 200
};

static const weft_duration soon = 20 * WEFT_MS;

/* The argument holds the numbers that stand in the files. */
static int
look_at_handed(weft_call *call)
{
    const int *expected = call->arg;

    if (call->fd_count != call->arg_size / sizeof *expected)
        return weft_fail(call, "%zu descriptors", call->fd_count);
    if (!call->fds != !call->fd_count)
        return weft_fail(call, "fds and fd_count disagree");
    gate_pass(&common->go);
    for (size_t i = 0; i < call->fd_count; i++) {
        int seen = -1;

        if (call->fds[i] != 3 + (int)i)
            return weft_fail(call, "number %zu is %d", i, call->fds[i]);
        if (pread(call->fds[i], &seen, sizeof seen, 0) != sizeof seen ||
            seen != expected[i])
            return weft_fail(call, "number %zu is file %d", i, seen);
        if (fcntl(call->fds[i], F_GETFD) != 0)
            return weft_fail(call, "number %zu is closed by exec", i);
    }
    if (support_fds() != 3 + (int)call->fd_count)
        return weft_fail(call, "%d descriptors are open", support_fds());
    for (size_t i = 0; i < call->fd_count; i++)
        if (close(call->fds[i]) < 0)
            return weft_fail(call, "number %zu cannot be closed", i);
    return 0;
}

static int
numbered_file(int number)
{
    const int fd = memfd_create("numbered", MFD_CLOEXEC);

    ck_assert_int_ge(fd, 0);
    ck_assert_int_eq(write(fd, &number, sizeof number), sizeof number);
    return fd;
}

static const size_t counts[] = {0, 1, 2, 7, MOST_FDS};

/* The last made goes first, so that what one is to be another one is now; the
 * caller closes its own before the worker looks. */
START_TEST(descriptors_come_in_order_and_alone)
{
    int before = 0;

    for (size_t k = 0; k < sizeof counts / sizeof *counts; k++) {
        int fds[MOST_FDS], expected[MOST_FDS];
        const size_t count = counts[k];

        atomic_store(&common->go.open, 0);
        for (size_t i = 0; i < count; i++)
            fds[count - 1 - i] = numbered_file((int)(count - 1 - i));
        for (size_t i = 0; i < count; i++)
            expected[i] = (int)i;
        weft_job *job = must_start(
            WEFT_PROCESS, &(weft_task){.fn = look_at_handed,
                                       .arg = count ? expected : NULL,
                                       .arg_size = count * sizeof *expected,
                                       .worker = &(weft_worker_options){
                                           .method = methods[_i],
                                           .fds = count ? fds : NULL,
                                           .fd_count = count}});

        for (size_t i = 0; i < count; i++)
            close(fds[i]);
        memset(fds, -1, sizeof fds);
        gate_open(&common->go);
        expect_end(job, WEFT_OK);
        weft_fini();
        if (k == 0)
            before = support_fds();
        ck_assert_int_eq(support_fds(), before);
    }
}

END_TEST

START_TEST(descriptors_may_be_named_twice)
{
    const int fd = numbered_file(9), other = numbered_file(5);
    const int fds[] = {fd, other, fd, fd}, expected[] = {9, 5, 9, 9};

    gate_open(&common->go);
    expect_end(
        must_run(
            WEFT_PROCESS,
            &(weft_task){.fn = look_at_handed,
                         WEFT_ARG(expected),
                         .worker = &(weft_worker_options){.method = methods[_i],
                                                          .fds = fds,
                                                          .fd_count = 4}}),
        WEFT_OK);
    close(fd);
    close(other);
}

END_TEST

static int
write_to_handed(weft_call *call)
{
    return write(call->fds[0], "hello", 5) == 5 ? 0 : 1;
}

/* Its end comes with the worker's: nobody else has kept a copy. */
START_TEST(nobody_keeps_a_descriptor_that_was_handed_over)
{
    char text[16] = "";
    int ends[2];

    for (int i = 0; i < 5; i++) {
        ck_assert_int_eq(pipe(ends), 0);
        weft_job *job =
            start_with(write_to_handed, .fds = &ends[1], .fd_count = 1);

        close(ends[1]);
        ck_assert_int_eq(read(ends[0], text, sizeof text), 5);
        ck_assert_int_eq(read(ends[0], text, sizeof text), 0);
        close(ends[0]);
        expect_end(job, WEFT_OK);
    }
}

END_TEST

START_TEST(a_delayed_job_has_its_descriptors)
{
    char text[16] = "";
    int ends[2];

    ck_assert_int_eq(pipe(ends), 0);
    weft_job *job = must_start(
        WEFT_PROCESS, &(weft_task){.fn = write_to_handed,
                                   .delay = soon,
                                   .worker = &(weft_worker_options){
                                       .fds = &ends[1], .fd_count = 1}});

    close(ends[1]);
    ck_assert_int_eq(read(ends[0], text, sizeof text), 5);
    ck_assert_int_eq(read(ends[0], text, sizeof text), 0);
    close(ends[0]);
    expect_end(job, WEFT_OK);
}

END_TEST

START_TEST(wrong_descriptors_are_refused)
{
    const int gone = fcntl(1, F_DUPFD, 300);
    int fds[MOST_FDS + 1];

    for (size_t i = 0; i < sizeof fds / sizeof *fds; i++)
        fds[i] = 1;
    close(gone);
    start_refused(WEFT_EINVAL, "201", .fds = fds, .fd_count = MOST_FDS + 1);
    start_refused(WEFT_EINVAL, "fd_count", .fds = fds, .fd_count = SIZE_MAX);
    start_refused(WEFT_EINVAL, "together", .fds = fds);
    start_refused(WEFT_EINVAL, "together", .fd_count = 1);
    fds[2] = gone;
    start_refused(WEFT_EINVAL, "fds[2]", .fds = fds, .fd_count = 3);
    fds[2] = -1;
    start_refused(WEFT_EINVAL, "fds[2]", .fds = fds, .fd_count = 3);
    fds[2] = INT32_MAX;
    start_refused(WEFT_EINVAL, "fds[2]", .fds = fds, .fd_count = 3);
}

END_TEST

int
main(void)
{
    Suite *suite = suite_create("descriptors");
    TCase *tcase = support_case(suite, "descriptors", 20);

    tcase_add_checked_fixture(tcase, options_ready, NULL);
    add_for_methods(tcase, descriptors_come_in_order_and_alone);
    add_for_methods(tcase, descriptors_may_be_named_twice);
    add_for_methods(tcase, nobody_keeps_a_descriptor_that_was_handed_over);
    tcase_add_test(tcase, a_delayed_job_has_its_descriptors);
    add_for_methods(tcase, wrong_descriptors_are_refused);
    return support_run(suite);
}
