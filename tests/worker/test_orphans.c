/* No process that weft made outlives what it was made for. */
#include "support/program_support.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#define SOON (100 * WEFT_MS) /* until all is gone */
#define LATE (1 * WEFT_SECOND)

/* Not so long that it has nothing more to do. */
#define LIVES (12 * WEFT_MS)

enum {
    CHILDREN = 8
};

/* What the processes of a test share. */
static struct {
    _Atomic int started; /* workers that have done what they are for */
    _Atomic int children[CHILDREN], child_count;
    _Atomic int zygote, program;
    struct gate go, done;
} * shared;

static void
adopt_all(void)
{
    adopt_orphans();
    shared = support_share(sizeof *shared);
    common_make();
}

static bool
is_gone(pid_t pid)
{
    (void)waitpid(pid, NULL, WNOHANG | __WALL); /* if it is ours by now */
    return kill(pid, 0) < 0 && errno == ESRCH;
}

static bool
children_are_gone(void)
{
    for (int i = 0; i < CHILDREN; i++) {
        const pid_t pid = atomic_load(&shared->children[i]);

        if (pid > 0 && !is_gone(pid))
            return false;
    }
    return true;
}

/* --- workers that are hard to end */

static void
be_deaf(void)
{
    sigset_t all;

    for (int number = 1; number < NSIG; number++)
        (void)signal(number, SIG_IGN);
    sigfillset(&all);
    sigprocmask(SIG_BLOCK, &all, NULL);
}

static _Noreturn void
stay(void)
{
    atomic_fetch_add(&shared->started, 1);
    for (;;)
        pause();
}

static int
be_stubborn(weft_call *call)
{
    (void)call;
    be_deaf();
    close_range(0, ~0u, 0);
    stay();
}

static int
be_busy(weft_call *call)
{
    be_deaf();
    atomic_fetch_add(&shared->started, 1);
    return loop_for_ever(call);
}

/* A child and a grandchild, which no one told the library of. */
static void
have_children(void)
{
    for (int i = 0; i < 2; i++) {
        const pid_t pid = fork();

        child_expect(pid >= 0);
        if (pid == 0) {
            const int at = atomic_fetch_add(&shared->child_count, 1);

            be_deaf();
            close_range(0, ~0u, 0);
            atomic_store(&shared->children[at % CHILDREN], getpid());
            if (i == 0 && fork() == 0)
                stay();
            stay();
        }
    }
}

static int
be_a_parent(weft_call *call)
{
    (void)call;
    have_children();
    stay();
}

static int
be_big(weft_call *call)
{
    const size_t size = 256 << 20;
    char *memory = malloc(size);

    (void)call;
    child_expect(memory != NULL);
    memset(memory, 1, size);
    stay();
}

static int
nest(weft_call *call)
{
    (void)call;
    if (weft_start(NULL, WEFT_PROCESS, &(weft_task){.fn = be_a_parent}) < 0 ||
        weft_start(NULL, WEFT_PROCESS, &(weft_task){.fn = be_stubborn}) < 0)
        return weft_fail(call, "%s", weft_why());
    stay();
}

static int
have_threads(weft_call *call)
{
    for (int i = 0; i < 3; i++)
        if (weft_start(NULL, WEFT_THREAD, &(weft_task){.fn = be_busy}) < 0)
            return weft_fail(call, "%s", weft_why());
    stay();
}

static int
nest_threads(weft_call *call)
{
    if (weft_start(NULL, WEFT_PROCESS, &(weft_task){.fn = have_threads}) < 0)
        return weft_fail(call, "%s", weft_why());
    stay();
}

/* What a worker of each kind, with its own, adds to `started`. */
static const struct {
    weft_fn *fn;
    int processes;
} sorts[] = {{be_stubborn, 1}, {be_a_parent, 4}, {nest, 6}, {nest_threads, 5}};

enum {
    SORTS = sizeof sorts / sizeof *sorts
};

static int
find_zygote(void)
{
    weft_worker all[16];
    const size_t count = weft_list(WEFT_SERVICES, all, 16);

    for (size_t i = 0; i < count && i < 16; i++)
        if (all[i].kind == WEFT_PROCESS)
            return all[i].pid;
    return 0;
}

/* --- the program is killed */

/* Starts workers of all sorts until it is killed or has enough. */
static void
start_all_sorts(void *sort)
{
    const int first = *(int *)sort;

    for (int i = 0; i < 3; i++) {
        weft_task task = {.fn = sorts[(first + i) % SORTS].fn};

        child_expect(weft_start(NULL, WEFT_PROCESS, &task) == 0);
    }
    for (;;)
        pause();
}

static void
start_one_sort(void *sort)
{
    const weft_task task = {.fn = sorts[*(int *)sort].fn};

    child_expect(weft_start(NULL, WEFT_PROCESS, &task) == 0);
    atomic_store(&shared->zygote, find_zygote());
    for (;;)
        pause();
}

START_TEST(a_program_killed_at_any_moment_leaves_nobody)
{
    const unsigned rounds = scaled(500);
    unsigned seed = 12345, late = 0;

    for (unsigned i = 0; i < rounds; i++) {
        int sort = (int)(i % SORTS);
        const pid_t pid = support_fork(start_all_sorts, &sort);

        let_it_go_on(&seed, LIVES);
        const int64_t took = kill_program(pid);

        ck_assert_int_lt(took, patient(LATE));
        late += took > patient(SOON);
    }
    /* The machine may have had other things to do. */
    ck_assert_uint_le(late, 1 + rounds / 20);
}

END_TEST

START_TEST(a_program_with_all_its_workers_leaves_nobody)
{
    int sort = _i;

    for (unsigned i = 0; i < scaled(20); i++) {
        atomic_store(&shared->started, 0);
        const pid_t pid = support_fork(start_one_sort, &sort);

        eventually(atomic_load(&shared->started) == sorts[_i].processes);
        ck_assert_int_lt(kill_program(pid), patient(LATE));
    }
}

END_TEST

static void
start_big(void *unused)
{
    (void)unused;
    child_expect(weft_start(NULL, WEFT_PROCESS, &(weft_task){.fn = be_big}) ==
                 0);
    for (;;)
        pause();
}

START_TEST(large_workers_go_too)
{
    for (int i = 0; i < 3; i++) {
        atomic_store(&shared->started, 0);
        const pid_t pid = support_fork(start_big, NULL);

        eventually(atomic_load(&shared->started) == 1);
        ck_assert_int_lt(kill_program(pid), patient(LATE));
    }
}

END_TEST

/* Then nobody is there to kill the workers; the kernel does. Their children are
 * beyond its reach. */
START_TEST(without_the_zygote_the_workers_die_as_well)
{
    int sort = 0;
    const pid_t pid = support_fork(start_one_sort, &sort);

    eventually(atomic_load(&shared->started) == sorts[0].processes &&
               atomic_load(&shared->zygote) > 0);
    ck_assert_int_eq(kill(atomic_load(&shared->zygote), SIGKILL), 0);
    ck_assert_int_lt(kill_program(pid), patient(LATE));
}

END_TEST

/* --- one worker goes */

static int
have_children_and_return(weft_call *call)
{
    (void)call;
    have_children();
    while (atomic_load(&shared->started) < 3)
        support_spin();
    return 0;
}

START_TEST(with_a_killed_worker_its_children_go)
{
    weft_job *job = must_start(WEFT_PROCESS, &(weft_task){.fn = sorts[_i].fn});

    eventually(atomic_load(&shared->started) == sorts[_i].processes);
    ck_assert_int_eq(weft_kill(job, SIGKILL), 0);
    must_join(job);
    ck_assert_int_eq(outcome(job)->signal, SIGKILL);
    weft_release(job);
    eventually(children_are_gone());
    weft_fini();
    ck_assert_int_lt(until_all_are_gone(weft_now().ns), patient(LATE));
}

END_TEST

START_TEST(with_a_worker_that_ends_its_children_go)
{
    expect_end(
        must_start(WEFT_PROCESS, &(weft_task){.fn = have_children_and_return}),
        WEFT_OK);
    eventually(children_are_gone());
    weft_fini();
    ck_assert_int_lt(until_all_are_gone(weft_now().ns), patient(LATE));
}

END_TEST

START_TEST(with_a_worker_that_is_stopped_its_children_go)
{
    const weft_worker_options quick = {.grace = 10 * WEFT_MS};
    weft_job *job = must_start(
        WEFT_PROCESS, &(weft_task){.fn = sorts[_i].fn, .worker = &quick});

    eventually(atomic_load(&shared->started) == sorts[_i].processes);
    ck_assert_int_eq(weft_stop(job), 0);
    expect_end(job, WEFT_ECANCELED);
    eventually(children_are_gone());
    weft_fini();
    ck_assert_int_lt(until_all_are_gone(weft_now().ns), patient(LATE));
}

END_TEST

/* --- the zygote goes */

START_TEST(a_killed_zygote_harms_no_worker)
{
    const int count = (int)scaled(50);

    ck_assert_int_eq(weft_init(NULL), 0);
    for (int i = 0; i < count; i++) {
        weft_job *before, *after = NULL;

        memset(common, 0, sizeof *common);
        before = must_start(WEFT_PROCESS, &(weft_task){.fn = wait_for_go});
        gate_pass(&common->begun);
        ck_assert_int_eq(kill(find_zygote(), SIGKILL), 0);
        /* It may be dying still, and then answer. */
        int status =
            weft_start(&after, WEFT_PROCESS, &(weft_task){.fn = do_nothing});

        if (status < 0) {
            ck_assert_int_eq(status, WEFT_ESTALE);
            after = must_start(WEFT_PROCESS, &(weft_task){.fn = do_nothing});
        }
        expect_end(after, WEFT_OK);
        ck_assert(weft_is_alive(before));
        gate_open(&common->go);
        expect_end(before, WEFT_OK);
        ck_assert_int_eq(weft_init(NULL), 0);
    }
    weft_fini();
    ck_assert_int_lt(until_all_are_gone(weft_now().ns), patient(LATE));
}

END_TEST

static void *
kill_zygote_when_told(void *pid)
{
    gate_pass(&shared->go);
    kill(*(int *)pid, SIGKILL);
    return NULL;
}

/* While requests are under way. */
START_TEST(a_zygote_may_be_killed_at_any_moment)
{
    for (unsigned i = 0; i < scaled(50); i++) {
        weft_job *jobs[4] = {NULL};

        memset(shared, 0, sizeof *shared);
        ck_assert_int_eq(weft_init(NULL), 0);
        int pid = find_zygote();
        const pthread_t thread = support_thread(kill_zygote_when_told, &pid);

        gate_open(&shared->go);
        for (int j = 0; j < 4; j++) {
            const int status = weft_start(&jobs[j], WEFT_PROCESS,
                                          &(weft_task){.fn = do_nothing});

            ck_assert_msg(status == 0 || status == WEFT_ESTALE ||
                              status == WEFT_ETHREADS || status == WEFT_ENOTSUP,
                          "%d: %s", status, weft_why());
        }
        support_join(thread);
        for (int j = 0; j < 4; j++)
            if (jobs[j])
                expect_end(jobs[j], WEFT_OK);
        eventually(busy_threads() <= 2);
    }
    weft_fini();
    ck_assert_int_lt(until_all_are_gone(weft_now().ns), patient(LATE));
}

END_TEST

/* Those made in advance are children of this process that are neither the
 * zygote nor known. */
static int
kill_ready(void)
{
    char path[64];
    const int zygote = find_zygote();
    int pid, count = 0;

    snprintf(path, sizeof path, "/proc/self/task/%d/children", getpid());
    FILE *file = fopen(path, "re");

    while (file && fscanf(file, "%d", &pid) == 1)
        if (pid != zygote && kill(pid, SIGKILL) == 0) {
            eventually(support_state(pid) == 'Z');
            count++;
        }
    if (file)
        fclose(file);
    return count;
}

START_TEST(a_worker_made_in_advance_may_be_killed)
{
    int killed = 0;

    ck_assert_int_eq(weft_init(NULL), 0);
    for (unsigned i = 0; i < scaled(100); i++) {
        expect_end(must_start(WEFT_PROCESS, &(weft_task){.fn = do_nothing}),
                   WEFT_OK);
        killed += kill_ready();
    }
    ck_assert_int_gt(killed, 0);
    expect_end(must_start(WEFT_PROCESS, &(weft_task){.fn = do_nothing}),
               WEFT_OK);
    weft_fini();
    ck_assert_int_lt(until_all_are_gone(weft_now().ns), patient(LATE));
}

END_TEST

START_TEST(fini_leaves_no_child)
{
    for (unsigned i = 0; i < scaled(50); i++) {
        ck_assert_int_eq(weft_init(NULL), 0);
        for (int j = 0; j < 3; j++)
            expect_end(must_start(WEFT_PROCESS, &(weft_task){.fn = do_nothing}),
                       WEFT_OK);
        ck_assert_int_eq(weft_init(NULL), 0);
        if (i % 2)
            expect_end(must_start(WEFT_PROCESS, &(weft_task){.fn = do_nothing}),
                       WEFT_OK);
        weft_fini();
        ck_assert_int_eq(waitpid(-1, NULL, WNOHANG | __WALL), -1);
        ck_assert_int_eq(errno, ECHILD);
    }
}

END_TEST

/* --- a daemon */

static void
serve_as_daemon(void)
{
    child_doubles();
    child_expect(
        weft_start(NULL, WEFT_PROCESS, &(weft_task){.fn = be_a_parent}) == 0);
    atomic_store(&shared->program, getpid());
    gate_open(&shared->done);
    for (;;)
        pause();
}

static void
become_a_daemon(void *unused)
{
    (void)unused;
    child_expect(weft_init(NULL) == 0);
    weft_job *job = NULL;

    child_expect(
        weft_start(&job, WEFT_PROCESS, &(weft_task){.fn = do_nothing}) == 0);
    child_expect(weft_join(job, WEFT_FOREVER) == 0);
    weft_release(job);
    const pid_t pid = fork();

    child_expect(pid >= 0);
    if (pid > 0)
        exit(0);
    child_expect(setsid() > 0);
    serve_as_daemon();
}

START_TEST(a_program_may_become_a_daemon_after_init)
{
    ck_assert_int_eq(support_run_fork(become_a_daemon, NULL), 0);
    eventually(atomic_load(&shared->done.open) == 1 &&
               atomic_load(&shared->started) == 4);
    ck_assert_int_lt(kill_program(atomic_load(&shared->program)),
                     patient(LATE));
}

END_TEST

int
main(void)
{
    Suite *suite = suite_create("orphans");
    TCase *program = support_case(suite, "program", 45);
    TCase *worker = support_case(suite, "worker", 20);

    tcase_add_checked_fixture(program, adopt_all, NULL);
    tcase_add_test(program, a_program_killed_at_any_moment_leaves_nobody);
    support_add_table(program, a_program_with_all_its_workers_leaves_nobody,
                      sorts);
    tcase_add_test(program, large_workers_go_too);
    tcase_add_test(program, without_the_zygote_the_workers_die_as_well);
    if (!support_is_tsan()) { /* which has no threads after such a fork, and
                                 takes those of the program for its own */
        tcase_add_test(program, a_program_may_become_a_daemon_after_init);
        tcase_add_test(worker, a_zygote_may_be_killed_at_any_moment);
    }
    tcase_add_checked_fixture(worker, adopt_all, NULL);
    support_add_table(worker, with_a_killed_worker_its_children_go, sorts);
    tcase_add_test(worker, with_a_worker_that_ends_its_children_go);
    support_add_table(worker, with_a_worker_that_is_stopped_its_children_go,
                      sorts);
    tcase_add_test(worker, a_killed_zygote_harms_no_worker);
    tcase_add_test(worker, a_worker_made_in_advance_may_be_killed);
    tcase_add_test(worker, fini_leaves_no_child);
    return support_run(suite);
}
