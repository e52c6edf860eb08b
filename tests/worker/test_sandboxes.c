/* What a process worker in a sandbox may do. */
#include "os/os.h"
#include "support/options_support.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

static void *
count_up(void *unused)
{
    atomic_fetch_add(&common->count, 1);
    return unused;
}

static int
try_what_is_strict(weft_call *call)
{
    pthread_t thread;

    errno = 0;
    if (open("/dev/null", O_RDONLY) >= 0 || errno != EPERM)
        return weft_fail(call, "open: %d", errno);
    errno = 0;
    if (socket(AF_UNIX, SOCK_STREAM, 0) >= 0 || errno != EPERM)
        return weft_fail(call, "socket: %d", errno);
    errno = 0;
    if (fork() >= 0 || errno != EPERM)
        return weft_fail(call, "fork: %d", errno);
    if (pthread_create(&thread, NULL, count_up, NULL) != 0 ||
        pthread_join(thread, NULL) != 0)
        return weft_fail(call, "no thread");
    char *some = malloc(16 * MIB);

    if (!some)
        return weft_fail(call, "no memory");
    memset(some, 1, 16 * MIB);
    free(some);
    printf("printed\n");
    fprintf(stderr, "error\n");
    return 0;
}

START_TEST(a_strict_worker_only_computes)
{
    if (os_can_compute_only() < 0) {
        start_refused(WEFT_ENOTSUP, "seccomp", .sandbox = WEFT_STRICT);
        return;
    }
    weft_job *job =
        run_with(try_what_is_strict, .sandbox = WEFT_STRICT, .capture = 100);

    ck_assert_msg(outcome(job)->status == 0, "%s", outcome(job)->text);
    ck_assert_str_eq(outcome(job)->output, "printed\nerror\n");
    ck_assert_int_eq(atomic_load(&common->count), 1);
    weft_release(job);
    /* Nobody else is restricted. */
    expect_end(run_plainly(do_nothing), WEFT_OK);
    close(open("/dev/null", O_RDONLY));
}

END_TEST

static int
abort_it(weft_call *call)
{
    (void)call;
    abort();
}

START_TEST(a_strict_worker_tells_where_it_crashed)
{
    if (os_can_compute_only() < 0)
        return;
    expect_crash(run_with(crash, .sandbox = WEFT_STRICT), false);
    weft_job *job = run_with(abort_it, .sandbox = WEFT_STRICT);

    ck_assert_int_eq(outcome(job)->signal, SIGABRT);
    ck_assert_str_ne(outcome(job)->where, "");
    expect_end(job, WEFT_EDIED);
}

END_TEST

START_TEST(a_crash_for_lack_of_memory_is_told_where_nothing_can_be_opened)
{
    if (os_can_compute_only() < 0)
        return;
    expect_crash(run_with(take_all_and_crash, .memory = 32 * MIB,
                          .sandbox = WEFT_STRICT),
                 true);
    expect_crash(run_with(crash, .memory = 32 * MIB, .sandbox = WEFT_STRICT),
                 false);
}

END_TEST

static int
read_handed(weft_call *call)
{
    char text[8] = "";

    return pread(call->fds[0], text, sizeof text - 1, 0) == 4 &&
                   strcmp(text, "data") == 0
               ? 0
               : weft_fail(call, "'%s'", text);
}

START_TEST(a_strict_worker_uses_what_it_is_handed)
{
    const int fd = memfd_create("data", MFD_CLOEXEC);

    ck_assert_int_eq(write(fd, "data", 4), 4);
    if (os_can_compute_only() >= 0)
        expect_end(run_with(read_handed, .fds = &fd, .fd_count = 1,
                            .sandbox = WEFT_STRICT),
                   WEFT_OK);
    close(fd);
}

END_TEST

static bool
can_write(const char *root, const char *name)
{
    char path[128];

    snprintf(path, sizeof path, "%s/%s", root, name);
    errno = 0;
    const int fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);

    if (fd >= 0)
        close(fd);
    return fd >= 0;
}

static int
write_where_it_may(weft_call *call)
{
    const char *root = call->arg;
    struct stat status;

    if (can_write(root, "new") || (errno != EACCES && errno != EPERM))
        return weft_fail(call, "new: %d", errno);
    if (can_write(root, "closed/new"))
        return weft_fail(call, "closed/new could be written");
    if (!can_write(root, "open/new") || !can_write(root, "one"))
        return weft_fail(call, "open/new: %d", errno);
    return stat(root, &status) == 0 ? 0 : weft_fail(call, "stat: %d", errno);
}

static void
limited(weft_method method)
{
    char root[64];
    const char *const paths[] = {"open", "one", NULL};
    weft_worker_options options = {
        .method = method, .sandbox = WEFT_LIMITED, .writable = paths};

    support_directory(root);
    support_write(root, "open/old", "");
    support_write(root, "closed/old", "");
    support_write(root, "one", "");
    options.directory = root; /* which the paths are relative to */
    expect_end(must_run(WEFT_PROCESS, &(weft_task){.fn = write_where_it_may,
                                                   .arg = root,
                                                   .arg_size = sizeof root,
                                                   .worker = &options}),
               WEFT_OK);
    ck_assert(can_write(root, "new"));
    support_remove(root);
}

static void
limited_to_what_is_missing(weft_method method)
{
    const char *const paths[] = {"/tmp", "/nowhere/to/be/found", NULL};
    const weft_worker_options options = {
        .method = method, .sandbox = WEFT_LIMITED, .writable = paths};

    expect_refused(try_options(&options), -ENOENT, "/nowhere/to/be/found");
    const int before = support_fds();

    for (int i = 0; i < 10; i++)
        expect_refused(try_options(&options), -ENOENT, "/nowhere/to/be/found");
    ck_assert_int_le(support_fds(), before + 2); /* workers made in advance */
    ck_assert_uint_eq(weft_list(WEFT_PROCESSES, NULL, 0), 0);
}

START_TEST(a_limited_worker_writes_only_where_it_may)
{
    if (os_can_limit_writes() < 0) {
        start_refused(WEFT_ENOTSUP, "Landlock", .sandbox = WEFT_LIMITED);
        return;
    }
    limited(methods[_i]);
    limited_to_what_is_missing(methods[_i]);
}

END_TEST

int
main(void)
{
    Suite *suite = suite_create("sandboxes");
    TCase *tcase = support_case(suite, "sandboxes", 20);

    tcase_add_checked_fixture(tcase, options_ready, NULL);
    add_for_methods(tcase, a_limited_worker_writes_only_where_it_may);
    if (support_is_checked())
        return support_run(
            suite); /* its runtime needs what a strict worker may not do */
    add_for_methods(tcase, a_strict_worker_only_computes);
    add_for_methods(tcase, a_strict_worker_tells_where_it_crashed);
    add_for_methods(tcase, a_strict_worker_uses_what_it_is_handed);
    add_for_methods(
        tcase, a_crash_for_lack_of_memory_is_told_where_nothing_can_be_opened);
    return support_run(suite);
}
