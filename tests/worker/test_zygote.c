/* Where process workers come from: the zygote and its rules. */
#include "os/os.h"
#include "registry/registry.h"
#include "support/worker_support.h"
#include "worker/service.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

/* Children of this process, whatever signal they end with. */
static int
children(void)
{
    char path[64];
    int pid, count = 0;

    snprintf(path, sizeof path, "/proc/self/task/%d/children", getpid());
    FILE *file = fopen(path, "re");

    ck_assert_ptr_nonnull(file);
    while (fscanf(file, "%d", &pid) == 1)
        count++;
    fclose(file);
    return count;
}

static int
zygote_pid(void)
{
    weft_worker all[16];
    const size_t count = weft_list(WEFT_SERVICES, all, 16);

    for (size_t i = 0; i < count && i < 16; i++)
        if (all[i].kind == WEFT_PROCESS)
            return all[i].tid;
    return 0;
}

static void
expect_process(void)
{
    expect_end(must_start(WEFT_PROCESS, &(weft_task){.fn = do_nothing}),
               WEFT_OK);
}

static void *
pass_gate(void *gate)
{
    gate_pass(gate);
    return NULL;
}

/* --- threads came first */

enum {
    HELPERS = 3 /* the zygote, and workers made in advance */
};

START_TEST(a_process_needs_init_before_the_first_thread)
{
    weft_job *job = NULL;
    struct gate gate = {0};
    const pthread_t thread = support_thread(pass_gate, &gate);

    expect_refused(
        weft_start(&job, WEFT_PROCESS, &(weft_task){.fn = do_nothing}),
        WEFT_ETHREADS, "weft_init()");
    ck_assert_ptr_null(job);
    gate_open(&gate);
    support_join(thread);
    eventually(busy_threads() == 1);
    expect_process();
}

END_TEST

START_TEST(init_among_threads_succeeds_and_makes_no_zygote)
{
    weft_job *job = NULL;
    struct gate gate = {0};
    const pthread_t thread = support_thread(pass_gate, &gate);

    ck_assert_int_eq(weft_init(NULL), 0);
    ck_assert_int_eq(zygote_pid(), 0);
    /* Default: it would be spawned, which comes later. */
    expect_refused(
        weft_start(&job, WEFT_PROCESS, &(weft_task){.fn = do_nothing}),
        WEFT_ENOTSUP, "SPAWN");
    expect_refused(weft_start(&job, WEFT_PROCESS,
                              &(weft_task){.fn = do_nothing,
                                           .worker =
                                               &(weft_worker_options){
                                                   .method = WEFT_ZYGOTE}}),
                   WEFT_ETHREADS, "weft_init()");
    gate_open(&gate);
    support_join(thread);
    eventually(busy_threads() == 1);
    ck_assert_int_eq(weft_init(NULL), 0);
    expect_process();
}

END_TEST

START_TEST(with_a_zygote_threads_do_no_harm)
{
    struct gate gate = {0};

    ck_assert_int_eq(weft_init(NULL), 0);
    const pthread_t thread = support_thread(pass_gate, &gate);

    for (int i = 0; i < 10; i++)
        expect_process();
    gate_open(&gate);
    support_join(thread);
}

END_TEST

static void *
run_processes(void *arg)
{
    (void)arg;
    for (unsigned i = 0; i < scaled(50); i++)
        expect_end(must_start(WEFT_PROCESS, &(weft_task){.fn = do_nothing}),
                   WEFT_OK);
    return NULL;
}

START_TEST(many_threads_may_start_processes)
{
    pthread_t threads[8];

    ck_assert_int_eq(weft_init(NULL), 0);
    for (int i = 0; i < 8; i++)
        threads[i] = support_thread(run_processes, NULL);
    for (int i = 0; i < 8; i++)
        support_join(threads[i]);
}

END_TEST

static void *
start_a_worker(void *job)
{
    *(weft_job **)job =
        must_start(WEFT_PROCESS, &(weft_task){.fn = wait_for_go});
    return NULL;
}

START_TEST(a_worker_outlives_the_thread_that_started_it)
{
    weft_job *job = NULL;

    ck_assert_int_eq(weft_init(NULL), 0);
    support_join(support_thread(start_a_worker, &job));
    gate_pass(&common->begun);
    ck_assert_int_eq(weft_join(job, weft_in(20 * WEFT_MS)), WEFT_ETIMEDOUT);
    gate_open(&common->go);
    expect_end(job, WEFT_OK);
}

END_TEST

/* --- the method fork */

static const weft_worker_options by_fork = {.method = WEFT_FORK};
static int of_the_moment;

static int
tell_the_moment(weft_call *call)
{
    *(int *)call->result = of_the_moment;
    return 0;
}

static int
moment_in(weft_method method)
{
    const weft_worker_options options = {.method = method};
    int value = -1;
    weft_job *job =
        must_start(WEFT_PROCESS, &(weft_task){.fn = tell_the_moment,
                                              .result_size = sizeof value,
                                              .worker = &options});

    ck_assert_int_eq(weft_result(job, &value, sizeof value, WEFT_FOREVER), 0);
    weft_release(job);
    return value;
}

START_TEST(each_method_copies_the_program_of_its_moment)
{
    of_the_moment = 1;
    ck_assert_int_eq(weft_init(NULL), 0);
    of_the_moment = 2;
    ck_assert_int_eq(moment_in(WEFT_ZYGOTE), 1);
    ck_assert_int_eq(moment_in(WEFT_METHOD_DEFAULT), 1);
    ck_assert_int_eq(moment_in(WEFT_FORK), 2);
    ck_assert_int_eq(weft_init(NULL), 0);
    ck_assert_int_eq(moment_in(WEFT_ZYGOTE), 2);
    of_the_moment = 3;
    ck_assert_int_eq(moment_in(WEFT_METHOD_DEFAULT), 2);
    ck_assert_int_eq(moment_in(WEFT_FORK), 3);
}

END_TEST

START_TEST(fork_needs_no_zygote)
{
    of_the_moment = 4;
    ck_assert_int_eq(weft_init(&(weft_options){.no_zygote = true}), 0);
    ck_assert_int_eq(zygote_pid(), 0);
    ck_assert_int_eq(moment_in(WEFT_FORK), 4);
    ck_assert_int_eq(zygote_pid(), 0);
    ck_assert_int_eq(children(), 0);
}

END_TEST

START_TEST(fork_is_refused_among_threads)
{
    weft_job *job = NULL;
    struct gate gate = {0};
    const weft_task task = {.fn = do_nothing, .worker = &by_fork};

    ck_assert_int_eq(weft_init(NULL), 0);
    const pthread_t thread = support_thread(pass_gate, &gate);

    expect_refused(weft_start(&job, WEFT_PROCESS, &task), WEFT_ETHREADS,
                   "WEFT_FORK");
    gate_open(&gate);
    support_join(thread);
    eventually(busy_threads() <= 2); /* the service */
    weft_job *mine = must_start(WEFT_THREAD, &(weft_task){.fn = wait_for_go});

    expect_refused(weft_start(&job, WEFT_PROCESS, &task), WEFT_ETHREADS,
                   "WEFT_FORK");
    gate_open(&common->go);
    expect_end(mine, WEFT_OK);
    /* The library's own idle thread does not count. */
    expect_end(must_start(WEFT_PROCESS, &task), WEFT_OK);
    ck_assert_ptr_null(job);
}

END_TEST

/* --- rights */

START_TEST(a_zygote_with_other_rights_is_stale)
{
    weft_job *job = NULL;

    ck_assert_int_eq(weft_init(NULL), 0);
    expect_process();
    ck_assert_int_eq(setresuid(65534, 65534, 65534), 0);
    expect_refused(
        weft_start(&job, WEFT_PROCESS, &(weft_task){.fn = do_nothing}),
        WEFT_ESTALE, "weft_init()");
    ck_assert_ptr_null(job);
    ck_assert_int_eq(weft_init(NULL), 0);
    expect_process();
}

END_TEST

static int
tell_rights(weft_call *call)
{
    int *out = call->result;
    gid_t groups[64];
    const int count = getgroups(64, groups);

    out[0] = (int)geteuid();
    out[1] = (int)getegid();
    out[2] = prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0);
    out[3] = prctl(PR_CAPBSET_READ, 21, 0, 0, 0); /* CAP_SYS_ADMIN */
    for (int i = 0; i < count; i++)
        out[4] += groups[i] == 12345;
    return 0;
}

static void
drop_group(void)
{
    ck_assert_int_eq(setresgid(65534, 65534, 65534), 0);
}

static void
drop_groups(void)
{
    ck_assert_int_eq(setgroups(0, NULL), 0);
}

static void
drop_new_privileges(void)
{
    ck_assert_int_eq(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0), 0);
}

static void
drop_bounding_set(void)
{
    ck_assert_int_eq(prctl(PR_CAPBSET_DROP, 21, 0, 0, 0), 0);
}

static void (*const drops[])(void) = {drop_group, drop_groups,
                                      drop_new_privileges, drop_bounding_set};

/* "It never gets more rights than the caller." */
START_TEST(a_worker_never_has_more_rights_than_its_caller)
{
    const gid_t group = 12345;
    int now[5] = {0}, there[5] = {0};
    weft_call call = {.result = now};
    weft_job *job = NULL;

    ck_assert_int_eq(setgroups(1, &group), 0);
    ck_assert_int_eq(weft_init(NULL), 0);
    drops[_i]();
    const int status = weft_start(
        &job, WEFT_PROCESS,
        &(weft_task){.fn = tell_rights, .result_size = sizeof there});

    if (status == WEFT_ESTALE)
        return;
    ck_assert_int_eq(status, 0);
    ck_assert_int_eq(weft_result(job, there, sizeof there, WEFT_FOREVER), 0);
    tell_rights(&call);
    for (int i = 0; i < 5; i++)
        ck_assert_int_eq(there[i], now[i]);
    weft_release(job);
}

END_TEST

/* --- its end, and another one */

START_TEST(a_killed_zygote_is_named_and_can_be_replaced)
{
    weft_job *job = NULL, *before;

    ck_assert_int_eq(weft_init(NULL), 0);
    before = must_start(WEFT_PROCESS, &(weft_task){.fn = wait_for_go});
    gate_pass(&common->begun);
    const int pid = zygote_pid();

    ck_assert_int_gt(pid, 0);
    ck_assert_int_eq(kill(pid, SIGKILL), 0);
    eventually(support_state(pid) == 'Z');
    expect_refused(
        weft_start(&job, WEFT_PROCESS, &(weft_task){.fn = do_nothing}),
        WEFT_ESTALE, "zygote");
    ck_assert_ptr_null(job);
    expect_process(); /* by another one, since the program is alone */
    ck_assert_int_eq(weft_init(NULL), 0);
    expect_process();
    ck_assert_int_eq(kill(pid, 0), -1); /* reaped */
    gate_open(&common->go);
    expect_end(before, WEFT_OK); /* unharmed */
}

END_TEST

START_TEST(init_again_beside_idle_threads_renews_the_zygote)
{
    for (int i = 0; i < 20; i++) {
        expect_end(must_start(WEFT_THREAD, &(weft_task){.fn = do_nothing}),
                   WEFT_OK);
        expect_end(
            must_start(WEFT_THREAD, &(weft_task){.fn = do_nothing, .delay = 1}),
            WEFT_OK);
        const int before = zygote_pid();

        ck_assert_int_eq(weft_init(NULL), 0);
        ck_assert_int_gt(zygote_pid(), 0);
        ck_assert_int_ne(zygote_pid(), before);
        expect_process();
    }
    ck_assert_int_le(children(), HELPERS);
}

END_TEST

START_TEST(after_fini_all_is_gone_and_all_can_come_again)
{
    expect_process();
    weft_fini();
    const int fds = support_fds();

    for (int i = 0; i < 20; i++) {
        expect_end(must_start(WEFT_THREAD, &(weft_task){.fn = do_nothing}),
                   WEFT_OK);
        eventually(busy_threads() <= 2);
        expect_process();
        weft_fini();
        ck_assert_int_eq(children(), 0);
        ck_assert_int_eq(zygote_pid(), 0);
        eventually(busy_threads() == 1);
        eventually(support_fds() <= fds);
    }
}

END_TEST

/* --- closed descriptors */

static const int closed[][3] = {{1, 0, 0}, {0, 1, 0}, {0, 0, 1}, {1, 1, 1}};

static void
close_some(const int which[3])
{
    for (int fd = 0; fd < 3; fd++)
        if (which[fd])
            close(fd);
}

static void
use_after_closing(void *which)
{
    weft_job *job = NULL;

    close_some(which);
    for (int i = 0; i < 2; i++) {
        if (weft_init(NULL) != 0)
            _exit(10);
        if (weft_start(&job, WEFT_PROCESS, &(weft_task){.fn = do_nothing}) != 0)
            _exit(weft_init(NULL) == 0 ? 11 : 12);
        if (weft_join(job, WEFT_FOREVER) != 0 ||
            weft_outcome_of(job)->status != 0)
            _exit(13);
        weft_release(job);
        weft_fini();
    }
}

/* As daemons do. */
START_TEST(standard_descriptors_may_be_closed_before)
{
    struct ran ran;

    run_program(&ran, use_after_closing, (void *)(uintptr_t)closed[_i]);
    ck_assert_int_eq(ran.code, 0);
}

END_TEST

static void
close_after_init(void *which)
{
    if (weft_init(NULL) != 0)
        _exit(14);
    use_after_closing(which);
}

START_TEST(standard_descriptors_may_be_closed_afterwards)
{
    struct ran ran;

    run_program(&ran, close_after_init, (void *)(uintptr_t)closed[_i]);
    ck_assert_int_eq(ran.code, 0);
}

END_TEST

/* Else the program's next printf goes into one of the library's own. */
START_TEST(weft_takes_no_standard_descriptor)
{
    for (int fd = 0; fd < 3; fd++)
        close(fd);
    const int status = weft_init(NULL);
    weft_job *job = NULL;
    bool free[3];

    if (status == 0 &&
        weft_start(&job, WEFT_PROCESS, &(weft_task){.fn = do_nothing}) == 0) {
        (void)weft_fd(job);
        (void)weft_join(job, WEFT_FOREVER);
    }
    for (int fd = 0; fd < 3; fd++)
        free[fd] = fcntl(fd, F_GETFD) < 0;
    ck_assert_int_eq(status, 0);
    for (int fd = 0; fd < 3; fd++)
        ck_assert_msg(free[fd], "descriptor %d is taken", fd);
    weft_release(job);
}

END_TEST

static int
write_to_all(weft_call *call)
{
    (void)call;
    for (int fd = 1; fd < 64; fd++)
        (void)!write(fd, "scribble", 8);
    return 0;
}

/* What a worker writes to a descriptor that its caller had closed must reach
 * nobody. */
START_TEST(a_worker_cannot_reach_the_zygote_s_line)
{
    fflush(NULL);
    close(1);
    close(2);
    for (int i = 0; i < 3; i++)
        expect_end(must_start(WEFT_PROCESS, &(weft_task){.fn = write_to_all}),
                   WEFT_OK);
}

END_TEST

/* --- the program forks */

static void
use_weft_in_fork(void *arg)
{
    weft_job *job = NULL;

    (void)arg;
    child_expect(weft_self()->main);
    child_expect(weft_self()->pid == getpid());
    child_expect(weft_process()->pid == getpid());
    child_expect(weft_process()->main);
    child_expect(weft_list(WEFT_THREADS, NULL, 0) == 1);
    child_expect(weft_list(WEFT_PROCESSES, NULL, 0) == 0);
    child_expect(!weft_stopping());
    for (int i = 0; i < 2; i++) {
        child_expect(
            weft_start(&job, kinds[!i], &(weft_task){.fn = do_nothing}) == 0);
        child_expect(weft_join(job, WEFT_FOREVER) == 0);
        child_expect(weft_outcome_of(job)->status == 0);
        weft_release(job);
    }
    weft_fini();
}

START_TEST(a_fork_of_the_program_can_use_weft)
{
    weft_worker all[8];
    weft_job *process, *thread;

    ck_assert_int_eq(weft_init(NULL), 0);
    process = must_start(WEFT_PROCESS,
                         &(weft_task){.fn = wait_for_go, .name = "process"});
    thread = must_start(WEFT_THREAD,
                        &(weft_task){.fn = wait_for_go, .name = "thread"});
    ck_assert_int_eq(weft_set_name("original"), 0);
    for (int i = 0; i < 3; i++)
        ck_assert_int_eq(support_run_fork(use_weft_in_fork, NULL), 0);
    ck_assert_uint_eq(weft_list(WEFT_THREADS, all, 8), 2);
    ck_assert_str_eq(all[0].name, "original");
    ck_assert_int_eq(all[0].pid, getpid());
    ck_assert_str_eq(all[1].name, "thread");
    ck_assert_uint_eq(weft_list(WEFT_PROCESSES, all, 8), 1);
    ck_assert_str_eq(all[0].name, "process");
    gate_open(&common->go);
    expect_end(process, WEFT_OK);
    expect_end(thread, WEFT_OK);
    expect_process();
}

END_TEST

static int
fork_in_a_thread(weft_call *call)
{
    (void)call;
    return support_run_fork(use_weft_in_fork, NULL);
}

START_TEST(a_fork_in_a_worker_thread_can_use_weft)
{
    expect_end(must_start(WEFT_THREAD, &(weft_task){.fn = fork_in_a_thread}),
               WEFT_OK);
    expect_end(must_start(WEFT_THREAD, &(weft_task){.fn = fork_in_a_thread}),
               WEFT_OK);
    expect_process();
}

END_TEST

/* --- workers of workers */

static int
start_deeper(weft_call *call)
{
    const int depth = *(const int *)call->arg - 1;
    weft_job *jobs[3] = {NULL};
    weft_worker all[4];

    if (depth < 0)
        return 0;
    for (int i = 0; i < 3; i++)
        if (weft_start(&jobs[i], i == 0 ? WEFT_PROCESS : WEFT_THREAD,
                       &(weft_task){.fn = i == 0 ? start_deeper : wait_for_go,
                                    .name = "inner",
                                    .arg = i == 0 ? &depth : NULL,
                                    .arg_size = i == 0 ? sizeof depth : 0}) < 0)
            return weft_fail(call, "%d: %s", depth, weft_why());
    if (weft_list(WEFT_PROCESSES, all, 4) > 1 ||
        weft_list(WEFT_THREADS, all, 4) != 3 || !all[0].main)
        return weft_fail(call, "%d: wrong list", depth);
    for (int i = 0; i < 3; i++) {
        if (i == 1)
            gate_open(&common->go);
        if (weft_result(jobs[i], NULL, 0, WEFT_FOREVER) < 0)
            return weft_fail(call, "%d: %s", depth, weft_why());
        weft_release(jobs[i]);
    }
    return 0;
}

START_TEST(a_worker_starts_workers_that_start_workers)
{
    const int depth = 3;
    weft_job *job = must_run(WEFT_PROCESS,
                             &(weft_task){.fn = start_deeper, WEFT_ARG(depth)});

    ck_assert_msg(outcome(job)->status == 0, "%s", outcome(job)->text);
    weft_release(job);
}

END_TEST

static int
leave_a_worker_behind(weft_call *call)
{
    (void)call;
    return weft_start(NULL, WEFT_PROCESS, &(weft_task){.fn = wait_for_go}) < 0;
}

START_TEST(a_worker_joins_its_own_workers)
{
    weft_job *job =
        must_start(WEFT_PROCESS, &(weft_task){.fn = leave_a_worker_behind});

    gate_pass(&common->begun);
    ck_assert_int_eq(weft_join(job, weft_in(30 * WEFT_MS)), WEFT_ETIMEDOUT);
    gate_open(&common->go);
    expect_end(job, WEFT_OK);
}

END_TEST

/* --- no orphans */

static int
close_all_and_loop(weft_call *call)
{
    sigset_t all;

    sigfillset(&all);
    sigprocmask(SIG_BLOCK, &all, NULL);
    close_range(0, ~0u, 0);
    atomic_fetch_add(&common->count, 1);
    return loop_for_ever(call);
}

static int
nest_and_loop(weft_call *call)
{
    (void)call;
    if (weft_start(NULL, WEFT_PROCESS, &(weft_task){.fn = close_all_and_loop}) <
        0)
        return 1;
    atomic_fetch_add(&common->count, 1);
    for (;;)
        pause();
}

static void
start_and_wait(void *arg)
{
    (void)arg;
    for (int i = 0; i < 3; i++)
        child_expect(weft_start(NULL, WEFT_PROCESS,
                                &(weft_task){.fn = nest_and_loop}) == 0);
    for (;;)
        pause();
}

/* Processes beside this one that have the test's shared page mapped. */
static int
holders(void)
{
    DIR *proc = opendir("/proc");
    char wanted[64], path[300], line[512];
    int count = 0;

    snprintf(wanted, sizeof wanted, "%lx-", (unsigned long)(uintptr_t)common);
    for (struct dirent *at; (at = readdir(proc));) {
        const int pid = atoi(at->d_name);

        if (pid <= 0 || pid == getpid() || getpgid(pid) < 0)
            continue;
        snprintf(path, sizeof path, "/proc/%d/maps", pid);
        FILE *file = fopen(path, "re");

        while (file && fgets(line, sizeof line, file))
            count += strncmp(line, wanted, strlen(wanted)) == 0;
        if (file)
            fclose(file);
    }
    closedir(proc);
    return count;
}

START_TEST(when_the_program_is_killed_its_workers_die)
{
    const int before = holders();
    const pid_t pid = support_fork(start_and_wait, NULL);

    eventually(atomic_load(&common->count) == 6);
    ck_assert_int_ge(holders(), before + 7);
    const int64_t killed = weft_now().ns;

    kill(pid, SIGKILL);
    ck_assert_int_eq(support_reap(pid), 128 + SIGKILL);
    eventually(holders() <= before);
    ck_assert_int_lt(weft_now().ns - killed, patient(1 * WEFT_SECOND));
}

END_TEST

/* --- flat */

/* Blocks of slots in the registry that are some process's, or were. */
static int
owned_blocks(void)
{
    static uint32_t owners[SLOT_BLOCKS];
    int count = 0;

    service_settle(); /* which clears those of the dead first */
    ck_assert_int_eq(os_file_get(registry_fd(), OS_PAGE, owners, sizeof owners),
                     0);
    for (unsigned b = 0; b < SLOT_BLOCKS; b++)
        count += owners[b] != 0;
    return count;
}

START_TEST(thousands_of_processes_leave_nothing)
{
    const unsigned count = scaled(10000);

    for (int i = 0; i < 50; i++)
        expect_process();
    const long memory = support_rss();
    const int fds = support_fds(), threads = busy_threads();

    for (unsigned i = 0; i < count; i++)
        expect_process();
    ck_assert_int_le(children(), HELPERS);
    eventually(support_fds() <= fds + HELPERS - 1);
    ck_assert_int_eq(busy_threads(), threads);
    eventually(owned_blocks() <= 1 + HELPERS);
    if (!support_is_checked()) /* which keep freed memory for a while */
        ck_assert_int_lt(support_rss() - memory, 512);
}

END_TEST

static void
add_threads(Suite *suite)
{
    TCase *tcase = support_case(suite, "threads", 10);

    tcase_add_checked_fixture(tcase, common_make, NULL);
    tcase_add_test(tcase, a_process_needs_init_before_the_first_thread);
    tcase_add_test(tcase, init_among_threads_succeeds_and_makes_no_zygote);
    tcase_add_test(tcase, with_a_zygote_threads_do_no_harm);
    tcase_add_test(tcase, many_threads_may_start_processes);
    tcase_add_test(tcase, a_worker_outlives_the_thread_that_started_it);
    tcase_add_test(tcase, each_method_copies_the_program_of_its_moment);
    tcase_add_test(tcase, fork_needs_no_zygote);
    tcase_add_test(tcase, fork_is_refused_among_threads);
}

static void
add_life(Suite *suite)
{
    TCase *tcase = support_case(suite, "life", 20);

    tcase_add_checked_fixture(tcase, common_make, NULL);
    if (geteuid() == 0) {
        tcase_add_test(tcase, a_zygote_with_other_rights_is_stale);
        support_add_table(tcase, a_worker_never_has_more_rights_than_its_caller,
                          drops);
    }
    tcase_add_test(tcase, a_killed_zygote_is_named_and_can_be_replaced);
    tcase_add_test(tcase, init_again_beside_idle_threads_renews_the_zygote);
    tcase_add_test(tcase, after_fini_all_is_gone_and_all_can_come_again);
    support_add_table(tcase, standard_descriptors_may_be_closed_before, closed);
    support_add_table(tcase, standard_descriptors_may_be_closed_afterwards,
                      closed);
    tcase_add_test(tcase, weft_takes_no_standard_descriptor);
    tcase_add_test(tcase, a_worker_cannot_reach_the_zygote_s_line);
    /* TSan has no threads after such a fork; GCC 12's ASan may have copied its
     * allocator's lock while another thread held it. */
    if (!support_is_tsan() && !support_is_asan()) {
        tcase_add_test(tcase, a_fork_of_the_program_can_use_weft);
        tcase_add_test(tcase, a_fork_in_a_worker_thread_can_use_weft);
    }
    tcase_add_test(tcase, a_worker_starts_workers_that_start_workers);
    tcase_add_test(tcase, a_worker_joins_its_own_workers);
    tcase_add_test(tcase, when_the_program_is_killed_its_workers_die);
    tcase_add_test(tcase, thousands_of_processes_leave_nothing);
}

int
main(void)
{
    Suite *suite = suite_create("zygote");

    add_threads(suite);
    add_life(suite);
    return support_run(suite);
}
