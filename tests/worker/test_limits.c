/* Limits of the system: a named error, nothing lost, and it works again. */
#include "support/worker_support.h"

#include <dirent.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#define KIND kinds[_i]

static struct rlimit old;

static void
limit(int resource, rlim_t value)
{
    ck_assert_int_eq(getrlimit((__rlimit_resource_t)resource, &old), 0);
    const struct rlimit now = {value, old.rlim_max};

    ck_assert_int_eq(setrlimit((__rlimit_resource_t)resource, &now), 0);
}

static void
unlimit(int resource)
{
    ck_assert_int_eq(setrlimit((__rlimit_resource_t)resource, &old), 0);
}

static bool
is_named(int status)
{
    return (status == WEFT_EAGAIN || status == WEFT_ENOMEM) &&
           *weft_why() != '\0';
}

static void
expect_to_work(void)
{
    for (int i = 0; i < 2; i++)
        expect_end(must_start(kinds[i], &(weft_task){.fn = do_nothing}),
                   WEFT_OK);
}

/* Starts until it is refused; returns how many. */
static unsigned
start_until_refused(weft_kind kind, weft_job **jobs, unsigned most)
{
    for (unsigned i = 0; i < most; i++) {
        const int status =
            weft_start(&jobs[i], kind, &(weft_task){.fn = wait_for_go});

        if (status == 0)
            continue;
        ck_assert_msg(is_named(status), "%d: %s", status, weft_why());
        return i;
    }
    return most;
}

static void
end_all(weft_job **jobs, unsigned count)
{
    gate_open(&common->go);
    for (unsigned i = 0; i < count; i++)
        expect_end(jobs[i], WEFT_OK);
}

enum {
    MOST = 400
};

static weft_job *jobs[MOST];

/* --- descriptors */

START_TEST(out_of_descriptors_is_named)
{
    ck_assert_int_eq(weft_init(NULL), 0);
    expect_to_work();
    const int fds = support_fds();

    limit(RLIMIT_NOFILE, (rlim_t)fds + 40);
    unsigned count = start_until_refused(WEFT_PROCESS, jobs, MOST);

    ck_assert_uint_gt(count, 0);
    ck_assert_uint_lt(count, MOST);
    const int full = support_fds();

    for (int i = 0; i < 10; i++) {
        weft_job *none = NULL;

        ck_assert_int_eq(
            weft_start(&none, WEFT_PROCESS, &(weft_task){.fn = do_nothing}),
            WEFT_EAGAIN);
    }
    ck_assert_int_le(support_fds(), full);
    /* Threads need none. */
    expect_end(must_start(WEFT_THREAD, &(weft_task){.fn = do_nothing}),
               WEFT_OK);
    end_all(jobs, count);
    eventually(support_fds() <= fds + 1); /* this thread's bell may be new */
    for (int i = 0; i < 100; i++)
        expect_to_work();
    unlimit(RLIMIT_NOFILE);
}

END_TEST

static unsigned
take_all_descriptors(int *taken, unsigned most)
{
    unsigned count = 0;

    while (count < most) {
        taken[count] = open("/dev/null", O_RDONLY);
        if (taken[count] < 0)
            break;
        count++;
    }
    return count;
}

/* With any number of descriptors left, from none on. */
START_TEST(a_start_with_few_descriptors_works_or_changes_nothing)
{
    int taken[64];
    bool worked = false;

    if (KIND == WEFT_PROCESS)
        ck_assert_int_eq(weft_init(NULL), 0);
    for (unsigned left = 0; !worked; left++) {
        ck_assert_uint_lt(left, 30);
        limit(RLIMIT_NOFILE, 64);
        unsigned count = take_all_descriptors(taken, 64);

        for (unsigned i = 0; i < left && count > 0; i++)
            close(taken[--count]);
        weft_job *job = NULL;
        const int status =
            weft_start(&job, KIND, &(weft_task){.fn = do_nothing, .delay = 1});

        ck_assert_msg(status == 0 || status == WEFT_EAGAIN, "%d: %s", status,
                      weft_why());
        if (status == 0) {
            must_join(job);
            worked = outcome(job)->status == 0;
            if (!worked)
                ck_assert_str_ne(outcome(job)->message, "");
            weft_release(job);
        }
        while (count > 0)
            close(taken[--count]);
        unlimit(RLIMIT_NOFILE);
    }
    expect_to_work();
}

END_TEST

START_TEST(weft_opens_with_no_descriptor_left)
{
    int taken[64];

    limit(RLIMIT_NOFILE, 32);
    unsigned count = take_all_descriptors(taken, 64);
    const int status = weft_init(NULL);
    const bool named = status == 0 || is_named(status);
    const bool known = weft_self()->main && weft_self()->tid == gettid();
    weft_job *job = NULL;
    const int started =
        weft_start(&job, WEFT_THREAD, &(weft_task){.fn = do_nothing});

    while (count > 0)
        close(taken[--count]);
    unlimit(RLIMIT_NOFILE);
    ck_assert_msg(named, "%d", status);
    ck_assert(known);
    ck_assert_int_eq(started, 0);
    expect_end(job, WEFT_OK);
    expect_to_work();
}

END_TEST

START_TEST(a_job_s_descriptor_may_be_refused)
{
    int taken[64];
    weft_job *job = must_start(KIND, &(weft_task){.fn = wait_for_go});

    gate_pass(&common->begun);
    limit(RLIMIT_NOFILE, 64);
    unsigned count = take_all_descriptors(taken, 64);
    const int refused = weft_fd(job);
    const int waited = weft_join(job, weft_in(1 * WEFT_MS));

    while (count > 0)
        close(taken[--count]);
    unlimit(RLIMIT_NOFILE);
    ck_assert_int_eq(refused, WEFT_EAGAIN);
    ck_assert_int_eq(waited, WEFT_ETIMEDOUT);
    ck_assert_int_ge(weft_fd(job), 0);
    gate_open(&common->go);
    expect_end(job, WEFT_OK);
}

END_TEST

/* --- processes and threads */

/* A user of whom no other process is around: limits count per user. */
static void
become_nobody(void)
{
    const uid_t user = 1000000000u + (uid_t)getpid();

    ck_assert_int_eq(setresgid(user, user, user), 0);
    ck_assert_int_eq(setresuid(user, user, user), 0);
}

START_TEST(out_of_tasks_is_named)
{
    become_nobody();
    limit(RLIMIT_NPROC, 24);
    ck_assert_int_eq(weft_init(NULL), 0);
    expect_to_work();
    const int fds = support_fds();
    unsigned count = start_until_refused(KIND, jobs, MOST);

    ck_assert_uint_gt(count, 0);
    ck_assert_uint_lt(count, 24);
    const int full = support_fds();

    /* A refused start lets idle threads go, which may make room for the next.
     */
    for (int i = 0; i < 10; i++) {
        weft_job *none = NULL;
        const int status =
            weft_start(&none, KIND, &(weft_task){.fn = do_nothing});

        ck_assert(status == 0 || status == WEFT_EAGAIN);
        if (status == 0)
            expect_end(none, WEFT_OK);
    }
    ck_assert_int_le(support_fds(), full);
    ck_assert_uint_eq(weft_list(WEFT_THREADS, NULL, 0) +
                          weft_list(WEFT_PROCESSES, NULL, 0),
                      count + 1);
    end_all(jobs, count);
    eventually(support_fds() <= fds + 1); /* this thread's bell may be new */
    for (int i = 0; i < 100; i++)
        expect_to_work();
    unlimit(RLIMIT_NPROC);
}

END_TEST

START_TEST(no_task_at_all_is_named)
{
    weft_job *job = NULL;

    become_nobody();
    limit(RLIMIT_NPROC, 1);
    ck_assert(is_named(weft_start(&job, KIND, &(weft_task){.fn = do_nothing})));
    ck_assert(is_named(
        weft_start(&job, KIND, &(weft_task){.fn = do_nothing, .delay = 1})));
    ck_assert(is_named(
        weft_start(&job, KIND, &(weft_task){.fn = do_nothing, .timeout = 1})));
    ck_assert_ptr_null(job);
    unlimit(RLIMIT_NPROC);
    expect_to_work();
}

END_TEST

/* When a delayed job is to begin nobody can be told but its holder. */
START_TEST(a_delayed_thread_that_cannot_be_made_has_failed)
{
    become_nobody();
    weft_job *job = must_start(
        WEFT_THREAD, &(weft_task){.fn = do_nothing, .delay = 50 * WEFT_MS});

    limit(RLIMIT_NPROC, 1);
    must_join(job);
    unlimit(RLIMIT_NPROC);
    ck_assert_str_ne(outcome(job)->message, "");
    ck_assert_int_eq(outcome(job)->pid, 0);
    expect_end(job, WEFT_EFAILED);
    expect_to_work();
}

END_TEST

START_TEST(a_delayed_process_that_cannot_be_made_has_failed)
{
    weft_worker service;

    ck_assert_int_eq(weft_init(NULL), 0);
    ck_assert_uint_eq(weft_list(WEFT_SERVICES, &service, 1), 1);
    weft_job *job = must_start(
        WEFT_PROCESS, &(weft_task){.fn = do_nothing, .delay = 50 * WEFT_MS});

    ck_assert_int_eq(kill(service.tid, SIGKILL), 0); /* the zygote */
    must_join(job);
    ck_assert_ptr_nonnull(strstr(outcome(job)->message, "zygote"));
    ck_assert_int_eq(outcome(job)->pid, 0);
    expect_end(job, WEFT_EFAILED);
    ck_assert_int_eq(weft_init(NULL), 0);
    expect_to_work();
}

END_TEST

/* --- address space */

static size_t
address_space(void)
{
    unsigned long pages = 0;
    FILE *file = fopen("/proc/self/statm", "re");

    ck_assert_int_eq(fscanf(file, "%lu", &pages), 1);
    fclose(file);
    return pages * 4096;
}

START_TEST(out_of_address_space_is_named)
{
    expect_to_work();
    limit(RLIMIT_AS, address_space() + ((rlim_t)48 << 20));
    unsigned count = start_until_refused(WEFT_THREAD, jobs, MOST);

    ck_assert_uint_gt(count, 0);
    ck_assert_uint_lt(count, MOST);
    weft_job *none = NULL;

    for (int i = 0; i < 2; i++) {
        ck_assert(is_named(weft_start(
            &none, kinds[i],
            &(weft_task){.fn = do_nothing, .result_size = 1 << 30})));
        ck_assert(is_named(
            weft_start(&none, kinds[i],
                       &(weft_task){.fn = do_nothing,
                                    .worker = &(weft_worker_options){
                                        .stack_size = (size_t)1 << 41}})));
    }
    ck_assert_ptr_null(none);
    end_all(jobs, count);
    unlimit(RLIMIT_AS);
    expect_to_work();
}

END_TEST

START_TEST(weft_makes_do_with_little_address_space)
{
    limit(RLIMIT_AS, address_space() + ((rlim_t)40 << 20));
    expect_to_work();
    ck_assert_uint_eq(weft_list(WEFT_THREADS, NULL, 0), 1);
    ck_assert_uint_gt(weft_self()->id, 0);
    unlimit(RLIMIT_AS);
    expect_to_work();
}

END_TEST

int
main(void)
{
    Suite *suite = suite_create("limits");
    TCase *tcase = support_case(suite, "limits", 15);

    tcase_add_checked_fixture(tcase, common_make, NULL);
    tcase_add_test(tcase, out_of_descriptors_is_named);
    add_for_kinds(tcase, a_start_with_few_descriptors_works_or_changes_nothing);
    tcase_add_test(tcase, weft_opens_with_no_descriptor_left);
    add_for_kinds(tcase, a_job_s_descriptor_may_be_refused);
    tcase_add_test(tcase, a_delayed_process_that_cannot_be_made_has_failed);
    if (geteuid() == 0) {
        add_for_kinds(tcase, out_of_tasks_is_named);
        add_for_kinds(tcase, no_task_at_all_is_named);
        tcase_add_test(tcase, a_delayed_thread_that_cannot_be_made_has_failed);
    }
    if (!support_is_checked()) { /* they need much of it themselves */
        tcase_add_test(tcase, out_of_address_space_is_named);
        tcase_add_test(tcase, weft_makes_do_with_little_address_space);
    }
    return support_run(suite);
}
