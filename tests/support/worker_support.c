#include "support/worker_support.h"

#include <dirent.h>
#include <errno.h>
#include <limits.h>
#include <linux/futex.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

const weft_kind kinds[2] = {WEFT_THREAD, WEFT_PROCESS};
struct common *common;

/* Not by weft, which is what is tested. */
void
gate_open(struct gate *gate)
{
    atomic_store(&gate->open, 1);
    syscall(SYS_futex, &gate->open, FUTEX_WAKE, INT_MAX, NULL, NULL, 0);
}

void
gate_pass(struct gate *gate)
{
    while (atomic_load(&gate->open) == 0)
        syscall(SYS_futex, &gate->open, FUTEX_WAIT, 0, NULL, NULL, 0);
}

void
common_make(void)
{
    common = support_share(sizeof *common);
}

weft_job *
must_start(weft_kind kind, const weft_task *task)
{
    weft_job *job = NULL;
    const int status = weft_start(&job, kind, task);

    /* It has no pidfd_open: the rest of such a test cannot be had. */
    if (status < 0 && kind == WEFT_PROCESS && support_is_valgrind())
        _exit(0);
    ck_assert_msg(status == 0, "not started: %d, %s", status, weft_why());
    ck_assert_ptr_nonnull(job);
    return job;
}

weft_job *
must_run(weft_kind kind, const weft_task *task)
{
    weft_job *job = must_start(kind, task);

    must_join(job);
    return job;
}

const weft_outcome *
outcome(weft_job *job)
{
    const weft_outcome *outcome = weft_outcome_of(job);

    ck_assert_ptr_nonnull(outcome);
    return outcome;
}

void
must_join(weft_job *job)
{
    const int status = weft_join(job, WEFT_FOREVER);

    ck_assert_msg(status == 0, "not joined: %d, %s", status, weft_why());
}

void
expect_end(weft_job *job, int status)
{
    must_join(job);
    ck_assert_msg(outcome(job)->status == status, "%d, not %d: %s",
                  outcome(job)->status, status, outcome(job)->text);
    weft_release(job);
}

void
child_doubles(void)
{
    for (int i = 0; i < 5; i++) {
        weft_job *job = NULL;
        int twice = 0;

        child_expect(weft_start(&job, WEFT_PROCESS,
                                &(weft_task){.fn = double_it,
                                             WEFT_ARG(i),
                                             .result_size = sizeof twice}) ==
                     0);
        child_expect(weft_result(job, &twice, sizeof twice, WEFT_FOREVER) == 0);
        child_expect(twice == 2 * i);
        weft_release(job);
    }
}

weft_state
state_of(const weft_job *job)
{
    weft_worker worker;

    weft_worker_of(job, &worker);
    return worker.state;
}

int
do_nothing(weft_call *call)
{
    (void)call;
    return 0;
}

int
do_fail(weft_call *call)
{
    return weft_fail(call, "it is broken");
}

int
double_it(weft_call *call)
{
    *(int *)call->result = 2 * *(const int *)call->arg;
    return 0;
}

int
wait_for_go(weft_call *call)
{
    (void)call;
    gate_open(&common->begun);
    gate_pass(&common->go);
    return 0;
}

int
sleep_for_ever(weft_call *call)
{
    (void)call;
    gate_open(&common->begun);
    return weft_sleep(WEFT_FOREVER);
}

int
loop_for_ever(weft_call *call)
{
    (void)call;
    gate_open(&common->begun);
    for (volatile unsigned i = 0;; i++)
        ;
}

static void
read_line(const char *path, const char *start, char line[256])
{
    FILE *file = fopen(path, "re");
    bool found = false;

    while (file && !found && fgets(line, 256, file))
        found = strncmp(line, start, strlen(start)) == 0;
    if (!found)
        *line = '\0';
    if (file)
        fclose(file);
}

static bool
is_a_checker_s(int tid)
{
    char path[64], own[256], line[256];
    unsigned long long blocked = 0;

    if (!support_is_tsan() || tid == getpid())
        return false;
    read_line("/proc/self/comm", "", own);
    snprintf(path, sizeof path, "/proc/self/task/%d/comm", tid);
    read_line(path, "", line);
    if (strcmp(own, line) != 0)
        return false;
    snprintf(path, sizeof path, "/proc/self/task/%d/status", tid);
    read_line(path, "SigBlk:", line);
    return sscanf(line, "SigBlk: %llx", &blocked) == 1 &&
           blocked >> (SIGUSR2 - 1) & 1;
}

int
busy_threads(void)
{
    DIR *tasks = opendir("/proc/self/task");
    int count = 0;

    ck_assert_ptr_nonnull(tasks);
    for (struct dirent *at; (at = readdir(tasks));)
        count += *at->d_name != '.' && !is_a_checker_s(atoi(at->d_name));
    closedir(tasks);
    return count;
}

void
storm(void (*handler)(int number), long ns)
{
    static timer_t timer;
    static bool made;
    const struct sigaction action = {.sa_handler = handler};
    const struct itimerspec rapid = {{0, ns}, {0, ns}};
    struct sigevent event = {.sigev_notify = SIGEV_THREAD_ID,
                             .sigev_signo = SIGALRM};

    if (made)
        ck_assert_int_eq(timer_delete(timer), 0);
    made = handler != NULL;
    if (!made)
        return;
    event._sigev_un._tid = gettid();
    ck_assert_int_eq(sigaction(SIGALRM, &action, NULL), 0);
    ck_assert_int_eq(timer_create(CLOCK_MONOTONIC, &event, &timer), 0);
    ck_assert_int_eq(timer_settime(timer, 0, &rapid, NULL), 0);
}

static int
make_output(void)
{
    const int fd = memfd_create("output", MFD_CLOEXEC);

    ck_assert_int_ge(fd, 0);
    return fd;
}

static void
read_output(int fd, char *text, size_t size)
{
    const ssize_t length = pread(fd, text, size - 1, 0);

    ck_assert_int_ge(length, 0);
    text[length] = '\0';
    close(fd);
}

void
run_program(struct ran *ran, void (*fn)(void *arg), void *arg)
{
    const int out = make_output(), err = make_output();
    const int64_t begun = weft_now().ns;

    fflush(NULL);
    const pid_t pid = fork();

    ck_assert_int_ge(pid, 0);
    if (pid == 0) {
        dup2(out, STDOUT_FILENO);
        dup2(err, STDERR_FILENO);
        fn(arg);
        exit(0); /* with its handlers, which are what is tested */
    }
    ran->code = support_reap(pid);
    ran->took = weft_now().ns - begun;
    read_output(out, ran->out, sizeof ran->out);
    read_output(err, ran->err, sizeof ran->err);
}

bool
stands(const char *whole, const char *text, unsigned times)
{
    for (const char *at = whole; (at = strstr(at, text)); at += strlen(text))
        if (times-- == 0)
            return false;
    return times == 0;
}
