#include "support/sweep.h"

#include "support/failing.h"

#include <dirent.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

enum {
    SPREAD = 3 /* calls by which two runs may differ */
};

struct sweep_seen *seen;

static const struct sweep_scenario *all;

/* --- what a scenario is made of */

int
note(int status)
{
    if (status >= 0)
        return status;
    child_expect(*weft_why());
    if (seen->refused == 0) {
        seen->refused = status;
        snprintf(seen->why, sizeof seen->why, "%s", weft_why());
    }
    return status;
}

int
start(weft_job **out, weft_kind kind, const weft_task *task)
{
    const int status = note(weft_start(out, kind, task));

    if (status == 0)
        atomic_fetch_add(&seen->started, 1);
    return status;
}

int
finish(weft_job *job)
{
    if (!job)
        return 0;
    child_expect(weft_join(job, WEFT_FOREVER) == 0);
    const weft_outcome *outcome = weft_outcome_of(job);
    const int status = outcome->status;

    child_expect(status == 0 || *outcome->text);
    weft_release(job);
    return status;
}

int
either(int first, int second)
{
    return first < 0 ? first : second;
}

int
twice(weft_call *call)
{
    const int *number = call->arg;
    int *result = call->result;

    atomic_fetch_add(&seen->ran, 1);
    *result = 2 * *number;
    return 0;
}

int
nothing(weft_call *call)
{
    (void)call;
    atomic_fetch_add(&seen->ran, 1);
    return 0;
}

/* --- one run, in a process of its own */

static bool
has_children(void)
{
    siginfo_t info;

    return waitid(P_ALL, 0, &info, WEXITED | WNOHANG | WNOWAIT | __WALL) == 0;
}

/* Whatever has just ended may need a moment to be gone; the service stays while
 * there are jobs, and a worker's of a pool ends a moment after the close. */
static void
expect_alone(int threads)
{
    int64_t start = 0;

    while (support_threads() > threads) {
        weft_fini();
        child_expect(support_look_again(&start));
    }
    child_expect(!has_children());
    child_expect(seen->ran <= seen->started);
}

static void
run(const struct sweep_scenario *scenario, unsigned at, unsigned way)
{
    const int threads = support_threads();
    const long blocks = failing_blocks();

    failing_arm(at, way);
    int status = scenario->run();

    weft_fini();
    failing_disarm();
    child_expect(at || status == 0);
    status = scenario->run();
    if (status == WEFT_ESTALE && weft_init(NULL) == 0)
        status = scenario->run();
    if (status < 0)
        fprintf(stderr, "the second time: %d, %s\n", status, weft_why());
    /* A registry that could not be made at first is not made later. */
    child_expect(status == 0 || (at && weft_self()->id == 0));
    child_expect(weft_join(NULL, WEFT_NOW) < 0); /* has a sentence anyway */
    weft_fini();
    expect_alone(threads);
    seen->left = (struct sweep_left){
        .fds = support_fds(),
        .blocks = failing_blocks() - blocks,
        .mapped = failing_mapped(),
    };
    exit(0);
}

/* --- all runs */

static void
print_word(pid_t pid, const char *task, const char *file)
{
    char path[300], text[128] = "";

    snprintf(path, sizeof path, "/proc/%d/task/%s/%s", (int)pid, task, file);
    FILE *stream = fopen(path, "re");

    if (!stream)
        return;
    if (fgets(text, sizeof text, stream))
        text[strcspn(text, "\n")] = '\0';
    fclose(stream);
    fprintf(stderr, " %s", text);
}

/* What the threads of a process that hangs are doing. */
static void
print_threads(pid_t pid)
{
    char path[64];

    snprintf(path, sizeof path, "/proc/%d/task", (int)pid);
    DIR *directory = opendir(path);

    for (struct dirent *entry; directory && (entry = readdir(directory));) {
        if (entry->d_name[0] == '.')
            continue;
        fprintf(stderr, "  thread %s:", entry->d_name);
        print_word(pid, entry->d_name, "comm");
        print_word(pid, entry->d_name, "wchan");
        print_word(pid, entry->d_name, "syscall");
        fputc('\n', stderr);
    }
    if (directory)
        closedir(directory);
}

/* Waits for the run's end; its exit code, or 128 + signal. */
static int
wait_for_run(pid_t pid)
{
    const int pidfd = (int)syscall(SYS_pidfd_open, pid, 0);
    struct pollfd end = {.fd = pidfd, .events = POLLIN};

    ck_assert_int_ge(pidfd, 0);
    if (poll(&end, 1, (int)patient(SWEEP_PATIENCE)) == 0) {
        print_threads(pid);
        kill(pid, SIGKILL);
    }
    close(pidfd);
    return support_reap(pid);
}

static void
run_apart(const struct sweep_scenario *scenario, unsigned at, unsigned way)
{
    memset(seen, 0, sizeof *seen);
    fflush(NULL);
    const pid_t pid = fork();

    ck_assert_int_ge(pid, 0);
    if (pid == 0)
        run(scenario, at, way);
    const int code = wait_for_run(pid);
    const struct failing_hit hit = failing_hit();

    failing_disarm();
    if (code != 0)
        ck_abort_msg("%s, call %u: %s fails with %d: exit %d; refused: %d, %s",
                     scenario->name, at, hit.name, hit.error, code,
                     seen->refused, seen->why);
}

/* Bytes: the default pool keeps the lanes of as many threads as it had at the
 * same time, which may be one more. */
enum {
    ONE_MORE = 16 << 20
};

static void
expect_less_left(const struct sweep_scenario *scenario, unsigned at,
                 const struct sweep_left *usual)
{
    const struct sweep_left *left = &seen->left;

    if (left->fds > usual->fds || left->blocks > usual->blocks ||
        left->mapped > usual->mapped + ONE_MORE)
        ck_abort_msg("%s, call %u: %s fails: left are %ld descriptors for %ld, "
                     "%ld blocks for %ld, %ld bytes mapped for %ld",
                     scenario->name, at, failing_hit().name, left->fds,
                     usual->fds, left->blocks, usual->blocks, left->mapped,
                     usual->mapped);
}

static void
share(void)
{
    failing_open();
    seen = support_share(sizeof *seen);
}

START_TEST(each_call_fails_once)
{
    const struct sweep_scenario *scenario = &all[_i];

    run_apart(scenario, 0, 0);
    const struct sweep_left usual = seen->left;
    const unsigned calls = failing_disarm() + SPREAD;
    const unsigned runs = scaled(calls) < calls ? scaled(calls) + 2 : calls;

    for (unsigned i = 0; i < runs; i++) {
        const unsigned at = 1 + i * calls / runs;
        unsigned way = 0;

        do {
            run_apart(scenario, at, way++);
            expect_less_left(scenario, at, &usual);
        } while (failing_hit().more && runs == calls);
    }
}

END_TEST

int
sweep_main(const char *name, const struct sweep_scenario *scenarios, int count)
{
    Suite *suite = suite_create(name);
    TCase *tcase = support_case(suite, "failing", 60);

    all = scenarios;
    setenv("WEFT_QUIET", "1", 1);
    tcase_add_checked_fixture(tcase, share, NULL);
    tcase_add_loop_test(tcase, each_call_fails_once, 0, count);
    return support_run(suite);
}
