/* A recording as a whole: its beginning and end, its limits, and what is left
 * of it after a kill. */
#include "os/os.h"
#include "registry/recorder.h"
#include "registry/registry.h"
#include "support/recording_support.h"
#include "support/worker_support.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

static struct recording_file file;

static void
set_up(void)
{
    common_make();
    recording_path(&file);
}

static void
tear_down(void)
{
    recording_gone(&file);
}

static void
start(void)
{
    ck_assert_int_eq(weft_trace_start(file.path), 0);
}

static void
stop_and_read(void)
{
    weft_trace_stop();
    recording_read(&file);
}

/* --- what the program says of itself */

START_TEST(spans_marks_and_counters_are_there)
{
    start();
    const weft_span outer = weft_span_begin("outer");
    const weft_span inner = weft_span_begin("inner");

    weft_mark("a mark", -7);
    weft_counter("a curve", INT64_MAX);
    weft_span_end(inner);
    weft_span_end(outer);
    const weft_span open = weft_span_begin("never ended");

    (void)open;
    stop_and_read();
    const union record *a = recording_find(&file, RECORD_SPAN, "outer", 0);
    const union record *b = recording_find(&file, RECORD_SPAN, "inner", 0);
    const union record *mark = recording_find(&file, RECORD_MARK, "a mark", 0);
    const union record *curve =
        recording_find(&file, RECORD_COUNTER, "a curve", 0);
    const union record *last =
        recording_find(&file, RECORD_SPAN, "never ended", 0);

    ck_assert(a && b && mark && curve && last);
    ck_assert_uint_le(a->span.begin, b->span.begin);
    ck_assert_uint_ge(a->span.end, b->span.end);
    ck_assert_uint_gt(b->span.end, b->span.begin);
    ck_assert_int_eq(mark->value.value, -7);
    ck_assert(curve->value.value == INT64_MAX);
    ck_assert_uint_eq(last->span.end, 0);
    ck_assert(record_id_is_thread(a->span.task));
}

END_TEST

START_TEST(names_of_any_length_are_kept)
{
    char name[400];

    start();
    for (unsigned length = 1; length < sizeof name; length++) {
        memset(name, 'a' + (int)(length % 26), length);
        name[length] = '\0';
        weft_mark(name, length);
        weft_mark(name, length);
    }
    weft_mark(NULL, 1);
    weft_mark("", 2);
    weft_span_end((weft_span){0});
    weft_span_end((weft_span){UINT64_MAX});
    stop_and_read();
    for (unsigned length = 1; length < sizeof name; length++) {
        memset(name, 'a' + (int)(length % 26), length);
        name[length <= RECORDING_NAME ? length : RECORDING_NAME] = '\0';
        ck_assert_ptr_nonnull(recording_find(&file, RECORD_MARK, name, 1));
    }
    ck_assert_uint_eq(recording_count(&file, RECORD_MARK, ""), 2);
    ck_assert_uint_eq(recording_count(&file, RECORD_MARK, NULL),
                      2 * (sizeof name - 1) + 2);
}

END_TEST

START_TEST(nothing_is_recorded_before_and_after)
{
    weft_mark("early", 1);
    const weft_span early = weft_span_begin("early");

    start();
    weft_span_end(early);
    weft_mark("in time", 1);
    const weft_span late = weft_span_begin("open");

    weft_trace_stop();
    weft_span_end(late);
    weft_mark("late", 1);
    weft_trace_stop();
    recording_read(&file);
    ck_assert_uint_eq(recording_count(&file, RECORD_MARK, NULL), 1);
    ck_assert_uint_eq(recording_count(&file, RECORD_SPAN, NULL), 1);
    ck_assert_int_gt(file.header->stop, file.header->start);
    ck_assert_int_gt(file.header->wall_stop, file.header->wall_start);
    ck_assert_int_eq(file.header->pid, getpid());
    ck_assert_uint_ge(file.header->cpus, 1);
    ck_assert_uint_eq(file.size,
                      (size_t)file.header->claimed * RECORDING_CHUNK);
    ck_assert(strstr(file.header->command, "test_registry_trace"));
}

END_TEST

/* --- beginning and ending */

START_TEST(one_recording_at_a_time)
{
    char other[128];

    snprintf(other, sizeof other, "%s-2", file.path);
    start();
    weft_mark("first", 1);
    expect_refused(weft_trace_start(other), WEFT_EBUSY, "already");
    ck_assert_int_lt(access(other, F_OK), 0);
    stop_and_read();
    for (int i = 0; i < 20; i++) { /* more than there are places in memory */
        start();
        weft_mark("again", i);
        stop_and_read();
        ck_assert_uint_eq(recording_count(&file, RECORD_MARK, NULL), 1);
        ck_assert_int_eq(
            recording_find(&file, RECORD_MARK, "again", 0)->value.value, i);
    }
    ck_assert_int_eq(recorder_has_thread(), 0);
}

END_TEST

START_TEST(what_cannot_be_written_is_refused)
{
    char path[128];

    expect_refused(weft_trace_start(NULL), WEFT_EINVAL, "NULL");
    expect_refused(weft_trace_start(""), WEFT_EINVAL, "empty");
    expect_refused(weft_trace_start("/dev/null"), WEFT_EINVAL, "plain");
    expect_refused(weft_trace_start("/nowhere/at/all"), -ENOENT, "/nowhere");
    *strrchr(strcpy(path, file.path), '/') = '\0';
    expect_refused(weft_trace_start(path), -EISDIR, path);
    ck_assert_int_eq(setenv("WEFT_TRACE_SIZE", "some", 1), 0);
    expect_refused(weft_trace_start(file.path), WEFT_EINVAL, "some");
    ck_assert_int_eq(unsetenv("WEFT_TRACE_SIZE"), 0);
    start(); /* after all */
    stop_and_read();
}

END_TEST

static void
record_and_wait(void *path)
{
    child_expect(weft_trace_start(path) == 0);
    gate_open(&common->begun);
    gate_pass(&common->go);
}

START_TEST(two_programs_do_not_share_a_file)
{
    const pid_t other = support_fork(record_and_wait, file.path);

    gate_pass(&common->begun);
    expect_refused(weft_trace_start(file.path), WEFT_EBUSY, "another program");
    gate_open(&common->go);
    ck_assert_int_eq(support_reap(other), 0); /* it left by _exit */
    start();
    weft_mark("mine", 1);
    stop_and_read();
    ck_assert_uint_eq(recording_count(&file, RECORD_MARK, "mine"), 1);
}

END_TEST

static void
mark_in_copy(void *unused)
{
    (void)unused;
    weft_mark("the copy's", 1);
    weft_trace_stop();
}

START_TEST(a_copy_of_the_program_is_not_recorded)
{
    start();
    weft_mark("before", 1);
    ck_assert_int_eq(support_run_fork(mark_in_copy, NULL), 0);
    weft_mark("after", 1);
    stop_and_read();
    ck_assert_uint_eq(recording_count(&file, RECORD_MARK, NULL), 2);
    ck_assert_uint_eq(recording_count(&file, RECORD_MARK, "after"), 1);
}

END_TEST

static void
use_weft(void *unused)
{
    (void)unused;
    (void)weft_self();
    weft_mark("by the environment", 1);
    exit(0); /* which ends the recording */
}

START_TEST(the_environment_starts_one)
{
    ck_assert_int_eq(setenv("WEFT_TRACE", file.path, 1), 0);
    (void)weft_self();
    ck_assert_int_eq(recorder_has_thread(), 1);
    weft_mark("by the environment", 1);
    /* A copy of the program leaves the file alone. */
    ck_assert_int_eq(support_run_fork(mark_in_copy, NULL), 0);
    stop_and_read();
    ck_assert_uint_eq(recording_count(&file, RECORD_MARK, NULL), 1);
}

END_TEST

START_TEST(the_programs_end_completes_it)
{
    ck_assert_int_eq(setenv("WEFT_TRACE", file.path, 1), 0);
    ck_assert_int_eq(support_run_fork(use_weft, NULL), 0);
    recording_read(&file);
    ck_assert_uint_eq(file.header->state, RECORDING_STOPPED);
    ck_assert_uint_eq(recording_count(&file, RECORD_MARK, NULL), 1);
}

END_TEST

static void
end_main_thread(void *unused)
{
    (void)unused;
    (void)weft_self();
    weft_mark("by the environment", 1);
    pthread_exit(NULL);
}

START_TEST(the_end_of_the_main_thread_completes_it)
{
    /* One takes the test's own memory for lost, the other has a thread of its
     * own that keeps the process. */
    if (support_is_asan() || support_is_tsan())
        return;
    ck_assert_int_eq(setenv("WEFT_TRACE", file.path, 1), 0);
    ck_assert_int_eq(support_run_fork(end_main_thread, NULL), 0);
    recording_read(&file);
    ck_assert_uint_eq(file.header->state, RECORDING_STOPPED);
    ck_assert_uint_eq(recording_count(&file, RECORD_MARK, NULL), 1);
}

END_TEST

/* --- processes */

static int
mark_and_wait(weft_call *call)
{
    (void)call;
    gate_open(&common->begun);
    gate_pass(&common->go);
    weft_mark("the worker's", 1);
    return 0;
}

START_TEST(a_worker_that_runs_already_joins_in)
{
    weft_job *job = must_start(WEFT_PROCESS, &(weft_task){.fn = mark_and_wait});

    gate_pass(&common->begun);
    start();
    gate_open(&common->go);
    expect_end(job, WEFT_OK);
    stop_and_read();
    const union record *mark =
        recording_find(&file, RECORD_MARK, "the worker's", 0);

    ck_assert_ptr_nonnull(mark);
    ck_assert_int_ne(recording_chunk_of(&file, mark)->pid, getpid());
    ck_assert_uint_ne(
        recording_chunk_of(&file, mark)->flags & RECORDING_PROCESS, 0);
}

END_TEST

static int
begin_and_wait(weft_call *call)
{
    const weft_span span = weft_span_begin("open");

    (void)call;
    gate_open(&common->begun);
    gate_pass(&common->go);
    weft_span_end(span);
    return 0;
}

START_TEST(a_worker_writes_nothing_after_the_stop)
{
    ck_assert_int_eq(weft_init(NULL), 0);
    start();
    weft_job *job = must_start(
        WEFT_PROCESS, &(weft_task){.fn = begin_and_wait, .name = "open"});

    gate_pass(&common->begun);
    weft_trace_stop();
    gate_open(&common->go);
    expect_end(job, WEFT_OK);
    recording_read(&file);
    const union record *task = recording_find(&file, RECORD_TASK, "open", 0);
    const union record *span = recording_find(&file, RECORD_SPAN, "open", 0);

    ck_assert_ptr_nonnull(task);
    ck_assert_ptr_nonnull(span);
    ck_assert_uint_eq(task->task.end, 0);
    ck_assert_uint_eq(span->span.end, 0);
}

END_TEST

static int
mark(weft_call *call)
{
    (void)call;
    weft_mark("the worker's", 1);
    return 0;
}

/* It can open nothing any more when it comes to its function. */
START_TEST(a_worker_that_can_open_nothing_is_recorded)
{
    const weft_worker_options strict = {.sandbox = WEFT_STRICT};
    weft_job *job;

    if (os_can_compute_only() < 0)
        return;
    ck_assert_int_eq(weft_init(NULL), 0);
    start();
    job = must_start(WEFT_PROCESS, &(weft_task){.fn = mark, .worker = &strict});
    expect_end(job, WEFT_OK);
    stop_and_read();
    ck_assert_uint_eq(recording_count(&file, RECORD_MARK, "the worker's"), 1);
}

END_TEST

/* --- from outside */

static struct registry_control *
ask(uint32_t request)
{
    struct registry_control *control = &registry_header_of()->control;
    uint32_t none = REGISTRY_NO_REQUEST;

    ck_assert(atomic_compare_exchange_strong(&control->request, &none,
                                             REGISTRY_WRITING));
    snprintf(control->path, sizeof control->path, "%s", file.path);
    atomic_store(&control->request, request);
    atomic_fetch_or(&control->word, RECORDER_ASKED);
    return control;
}

START_TEST(it_can_be_asked_for_from_outside)
{
    (void)weft_self();
    struct registry_control *control = ask(REGISTRY_START);

    weft_mark("what notices", 1);
    ck_assert_uint_eq(atomic_load(&control->request), REGISTRY_ANSWERED);
    ck_assert_int_eq(atomic_load(&control->answer), 0);
    atomic_store(&control->request, REGISTRY_NO_REQUEST);
    (void)ask(REGISTRY_START);
    weft_mark("again", 1);
    ck_assert_int_eq(atomic_load(&control->answer), WEFT_EBUSY);
    atomic_store(&control->request, REGISTRY_NO_REQUEST);
    (void)ask(REGISTRY_STOP); /* an idle program answers that, too */
    eventually(atomic_load(&control->request) == REGISTRY_ANSWERED);
    ck_assert_int_eq(atomic_load(&control->answer), 0);
    ck_assert_uint_eq(atomic_load(&control->word), 0);
    recording_read(&file);
    ck_assert_uint_eq(file.header->state, RECORDING_STOPPED);
    ck_assert_uint_eq(recording_count(&file, RECORD_MARK, NULL), 2);
}

END_TEST

/* Who asks may be a worker in a sandbox. */
START_TEST(a_request_touches_no_file_that_is_there)
{
    const char precious[] = "precious";
    char found[sizeof precious];
    const int fd = open(file.path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);

    ck_assert_int_eq(write(fd, precious, sizeof precious), sizeof precious);
    (void)weft_self();
    const struct registry_control *control = ask(REGISTRY_START);

    weft_mark("what notices", 1);
    ck_assert_uint_eq(atomic_load(&control->request), REGISTRY_ANSWERED);
    ck_assert_int_eq(atomic_load(&control->answer), WEFT_EINVAL);
    close(fd);
    const int again = open(file.path, O_RDONLY | O_CLOEXEC);

    ck_assert_int_eq(read(again, found, sizeof found), sizeof found);
    ck_assert_str_eq(found, precious);
    close(again);
}

END_TEST

static void
mark_until_told(void *unused)
{
    (void)unused;
    (void)weft_self(); /* opens what is asked through */
    gate_open(&common->begun);
    while (atomic_load(&common->go.open) == 0)
        weft_mark("alive", 1);
}

START_TEST(a_recording_from_outside_replaces_an_old_one)
{
    const pid_t pid = support_fork(mark_until_told, NULL);

    gate_pass(&common->begun);
    for (int i = 0; i < 2; i++) {
        const weft_time until = weft_in(patient(10 * WEFT_SECOND));

        ck_assert_int_eq(weft_trace_start_in(pid, file.path, until), 0);
        expect_refused(weft_trace_start_in(pid, file.path, until), WEFT_EBUSY,
                       "another program");
        ck_assert_int_eq(weft_trace_stop_in(pid, until), 0);
        recording_read(&file);
        ck_assert_int_eq(file.header->pid, pid);
    }
    gate_open(&common->go);
    ck_assert_int_eq(support_reap(pid), 0);
}

END_TEST

static int
tell_and_wait(weft_call *call)
{
    (void)call;
    atomic_store(&common->pid, getpid());
    gate_open(&common->begun);
    gate_pass(&common->go);
    return 0;
}

static void
mark_beside_worker(void *unused)
{
    (void)unused;
    child_expect(weft_init(NULL) == 0);
    weft_job *job = NULL;

    child_expect(
        weft_start(&job, WEFT_PROCESS, &(weft_task){.fn = tell_and_wait}) == 0);
    while (atomic_load(&common->go.open) == 0)
        weft_mark("alive", 1);
    child_expect(weft_join(job, WEFT_FOREVER) == 0);
    weft_release(job);
}

START_TEST(a_worker_stands_for_its_program)
{
    const pid_t pid = support_fork(mark_beside_worker, NULL);

    gate_pass(&common->begun);
    const int worker = atomic_load(&common->pid);
    const weft_time until = weft_in(patient(10 * WEFT_SECOND));

    ck_assert_int_ne(worker, pid);
    ck_assert_int_eq(weft_trace_start_in(worker, file.path, until), 0);
    ck_assert_int_eq(weft_trace_stop_in(worker, until), 0);
    recording_read(&file);
    ck_assert_int_eq(file.header->pid, pid);
    gate_open(&common->go);
    ck_assert_int_eq(support_reap(pid), 0);
}

END_TEST

START_TEST(a_recording_from_outside_replaces_plain_files_only)
{
    const pid_t pid = support_fork(mark_until_told, NULL);
    char directory[sizeof file.path];
    struct stat now;

    gate_pass(&common->begun);
    const weft_time until = weft_in(patient(10 * WEFT_SECOND));

    ck_assert_int_eq(mkfifo(file.path, 0600), 0);
    expect_refused(weft_trace_start_in(pid, file.path, until), WEFT_EINVAL,
                   "plain");
    ck_assert_int_eq(stat(file.path, &now), 0);
    ck_assert(S_ISFIFO(now.st_mode));
    *strrchr(strcpy(directory, file.path), '/') = '\0';
    expect_refused(weft_trace_start_in(pid, directory, until), -EISDIR,
                   directory);
    gate_open(&common->go);
    ck_assert_int_eq(support_reap(pid), 0);
}

END_TEST

static void
notice_nothing(void *unused)
{
    (void)unused;
    (void)weft_self();
    gate_open(&common->begun);
    gate_pass(&common->go);
    child_expect(!recorder_is_on());
}

START_TEST(a_request_that_is_withdrawn_leaves_nothing)
{
    const pid_t pid = support_fork(notice_nothing, NULL);

    gate_pass(&common->begun);
    for (int i = 0; i < 2; i++) {
        const weft_time until = weft_in(20 * WEFT_MS);

        expect_refused(weft_trace_start_in(pid, file.path, until),
                       WEFT_ETIMEDOUT, "has not called");
    }
    gate_open(&common->go);
    ck_assert_int_eq(support_reap(pid), 0);
}

END_TEST

/* --- limits */

START_TEST(a_full_recording_counts_what_it_loses)
{
    enum {
        MARKS = 100000
    };

    ck_assert_int_eq(setenv("WEFT_TRACE_SIZE", "1M", 1), 0);
    start();
    for (int i = 0; i < MARKS; i++)
        weft_mark("one of many", i);
    stop_and_read();
    ck_assert_uint_eq(file.header->full, EFBIG);
    ck_assert_uint_le(file.size, 1 << 20);
    ck_assert_uint_gt(file.header->lost, 0);
    /* Switches are lost as well. */
    ck_assert_uint_ge(
        recording_count(&file, RECORD_MARK, NULL) + file.header->lost, MARKS);
    for (unsigned i = 0; i < 1000; i++)
        ck_assert_int_eq(
            recording_find(&file, RECORD_MARK, "one of many", i)->value.value,
            i);
}

END_TEST

static void
record_within_limit(void *path)
{
    const struct rlimit limit = {8 << 20, 8 << 20};

    child_expect(setrlimit(RLIMIT_FSIZE, &limit) == 0);
    child_expect(weft_trace_start(path) == 0);
    for (int i = 0; i < 10; i++)
        weft_mark("within the limit", i);
    weft_trace_stop();
}

START_TEST(the_limit_of_files_is_kept)
{
    ck_assert_int_eq(support_run_fork(record_within_limit, file.path), 0);
    recording_read(&file);
    ck_assert_uint_le(file.header->room, 8 << 20);
    ck_assert_uint_eq(recording_count(&file, RECORD_MARK, NULL), 10);
}

END_TEST

enum {
    NO_MOUNT = 42
};

/* In a file system of 512 KiB that goes with the process. */
static void
fill_a_disk(void *unused)
{
    char path[sizeof file.path];

    (void)unused;
    snprintf(path, sizeof path, "%s", file.path);
    *strrchr(path, '/') = '\0';
    if (unshare(CLONE_NEWNS) < 0 ||
        mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0 ||
        mount("tmpfs", path, "tmpfs", 0, "size=512k") < 0)
        _exit(NO_MOUNT);
    child_expect(weft_trace_start(file.path) == 0);
    for (int i = 0; i < 100000; i++)
        weft_mark("one of many", i);
    weft_trace_stop();
    /* A map of a file on a full tmpfs cannot be read where it has holes. */
    child_expect(mount(NULL, path, NULL, MS_REMOUNT, "size=64m") == 0);
    recording_read(&file);
    child_expect(file.header->full == ENOSPC);
    child_expect(file.header->lost > 0);
    child_expect(recording_count(&file, RECORD_MARK, NULL) +
                     file.header->lost >=
                 100000);
    child_expect(recording_count(&file, RECORD_MARK, NULL) > 1000);
}

START_TEST(a_full_disk_kills_nobody)
{
    const int code = support_run_fork(fill_a_disk, NULL);

    ck_assert_msg(code == 0 || code == NO_MOUNT, "it ended with %d", code);
}

END_TEST

/* --- many threads, and kills */

static int
busy(weft_call *call)
{
    const int count = *(const int *)call->arg;

    for (int i = 0; i < count; i++) {
        const weft_span span = weft_span_begin("busy");

        weft_counter("count", i);
        weft_span_end(span);
    }
    return 0;
}

START_TEST(threads_do_not_get_into_each_others_way)
{
    enum {
        THREADS = 8
    };

    weft_job *jobs[THREADS];
    const int count = (int)scaled(20000);

    start();
    for (int i = 0; i < THREADS; i++)
        jobs[i] =
            must_start(WEFT_THREAD, &(weft_task){.fn = busy, WEFT_ARG(count)});
    for (int i = 0; i < THREADS; i++)
        expect_end(jobs[i], WEFT_OK);
    stop_and_read();
    ck_assert_uint_eq(file.header->lost, 0);
    ck_assert_uint_eq(recording_count(&file, RECORD_SPAN, "busy"),
                      (unsigned)(THREADS * count));
    ck_assert_uint_eq(recording_count(&file, RECORD_COUNTER, "count"),
                      (unsigned)(THREADS * count));
}

END_TEST

START_TEST(it_can_be_stopped_while_all_record)
{
    const int count = (int)scaled(30000);

    for (unsigned i = 0; i < scaled(8); i++) {
        start();
        weft_job *one =
            must_start(WEFT_THREAD, &(weft_task){.fn = busy, WEFT_ARG(count)});
        weft_job *other =
            must_start(WEFT_THREAD, &(weft_task){.fn = busy, WEFT_ARG(count)});

        const int64_t until = os_now() + (int64_t)i * 100000;

        while (os_now() < until)
            support_spin();
        stop_and_read();
        weft_release(one);
        weft_release(other);
    }
    weft_fini();
}

END_TEST

/* No assertion of Check's: killed at one it would leave half a message. */
static void
work_for_ever(void *path)
{
    const int count = 10;

    child_expect(weft_init(NULL) == 0);
    child_expect(weft_trace_start(path) == 0);
    gate_open(&common->begun);
    for (;;) {
        weft_job *thread = NULL;

        child_expect(weft_start(&thread, WEFT_THREAD,
                                &(weft_task){.fn = busy,
                                             .name = "work",
                                             WEFT_ARG(count)}) == 0);
        child_expect(weft_join(thread, WEFT_FOREVER) == 0);
        weft_release(thread);
    }
}

START_TEST(a_killed_program_leaves_a_recording)
{
    for (unsigned i = 0; i < scaled(25); i++) {
        common->begun.open = 0;
        const pid_t pid = support_fork(work_for_ever, file.path);

        gate_pass(&common->begun);
        usleep(i * 731 % 20000); /* the moment to die, whichever */
        kill(pid, SIGKILL);
        ck_assert_int_eq(support_reap(pid), 128 + SIGKILL);
        recording_read(&file);
        ck_assert_uint_eq(file.header->state, RECORDING_RUNS);
        ck_assert_int_eq(file.header->pid, pid);
    }
}

END_TEST

int
main(void)
{
    Suite *suite = suite_create("registry/trace");
    TCase *said = support_case(suite, "said", 20);
    TCase *ends = support_case(suite, "beginning and end", 20);
    TCase *limits = support_case(suite, "limits", 30);

    tcase_add_checked_fixture(said, set_up, tear_down);
    tcase_add_checked_fixture(ends, set_up, tear_down);
    tcase_add_checked_fixture(limits, set_up, tear_down);
    tcase_add_test(said, spans_marks_and_counters_are_there);
    tcase_add_test(said, names_of_any_length_are_kept);
    tcase_add_test(said, nothing_is_recorded_before_and_after);
    tcase_add_test(ends, one_recording_at_a_time);
    tcase_add_test(ends, what_cannot_be_written_is_refused);
    tcase_add_test(ends, two_programs_do_not_share_a_file);
    tcase_add_test(ends, a_copy_of_the_program_is_not_recorded);
    tcase_add_test(ends, the_environment_starts_one);
    tcase_add_test(ends, the_programs_end_completes_it);
    tcase_add_test(ends, the_end_of_the_main_thread_completes_it);
    tcase_add_test(ends, a_worker_that_runs_already_joins_in);
    tcase_add_test(ends, a_worker_writes_nothing_after_the_stop);
    tcase_add_test(ends, a_worker_that_can_open_nothing_is_recorded);
    tcase_add_test(ends, it_can_be_asked_for_from_outside);
    tcase_add_test(ends, a_request_touches_no_file_that_is_there);
    tcase_add_test(ends, a_recording_from_outside_replaces_an_old_one);
    tcase_add_test(ends, a_worker_stands_for_its_program);
    tcase_add_test(ends, a_recording_from_outside_replaces_plain_files_only);
    tcase_add_test(ends, a_request_that_is_withdrawn_leaves_nothing);
    tcase_add_test(limits, a_full_recording_counts_what_it_loses);
    tcase_add_test(limits, the_limit_of_files_is_kept);
    tcase_add_test(limits, a_full_disk_kills_nobody);
    tcase_add_test(limits, threads_do_not_get_into_each_others_way);
    tcase_add_test(limits, it_can_be_stopped_while_all_record);
    tcase_add_test(limits, a_killed_program_leaves_a_recording);
    return support_run(suite);
}
