/* Copying the process without the C library's fork. */
#include "os/os.h"
#include "support/support.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

/* Runs fn(arg) in a clone; its pidfd. */
static int
clone_running(void (*fn)(void *), void *arg)
{
    int pidfd = -1;
    const int pid = os_clone(OS_CLONE_PIDFD, &pidfd);

    if (pid == 0) {
        fn(arg);
        os_exit_now(0);
    }
    ck_assert_int_gt(pid, 0);
    ck_assert_int_ge(pidfd, 0);
    return pidfd;
}

static struct os_exit
reap(int pidfd)
{
    struct os_exit end;

    ck_assert_int_eq(os_pidfd_reap(pidfd, &end), 0);
    os_close(pidfd);
    return end;
}

static void
ends_well(void (*fn)(void *), void *arg)
{
    const struct os_exit end = reap(clone_running(fn, arg));

    ck_assert_int_eq(end.signal, 0);
    ck_assert_int_eq(end.code, 0);
}

static void
make_kind(pthread_mutex_t *mutex, int kind, bool robust)
{
    pthread_mutexattr_t attributes;

    pthread_mutexattr_init(&attributes);
    pthread_mutexattr_settype(&attributes, kind);
    if (robust) {
        pthread_mutexattr_setpshared(&attributes, PTHREAD_PROCESS_SHARED);
        pthread_mutexattr_setrobust(&attributes, PTHREAD_MUTEX_ROBUST);
    }
    ck_assert_int_eq(pthread_mutex_init(mutex, &attributes), 0);
}

static void
lock_in_child(void *memory)
{
    pthread_mutex_t *mutex = memory;

    child_expect(os_thread_id() == getpid());
    child_expect(pthread_mutex_lock(mutex) == 0);
    child_expect(mutex->__data.__owner == os_thread_id());
    child_expect(pthread_mutex_unlock(mutex) == 0);
    if (!support_is_tsan()) /* it would stop us for that */
        child_expect(pthread_mutex_unlock(mutex) == EPERM);
}

START_TEST(the_childs_locks_carry_its_own_id)
{
    pthread_mutex_t checking, recursive;

    make_kind(&checking, PTHREAD_MUTEX_ERRORCHECK, false);
    make_kind(&recursive, PTHREAD_MUTEX_RECURSIVE, false);
    ends_well(lock_in_child, &checking);
    ends_well(lock_in_child, &recursive);
    ck_assert_int_eq(pthread_mutex_lock(&checking), 0);
    ck_assert_int_eq(pthread_mutex_lock(&checking), EDEADLK);
}

END_TEST

static void *
note_id(void *tid)
{
    *(int *)tid = os_thread_id();
    return NULL;
}

static void
start_thread_in_child(void *unused)
{
    pthread_t thread;
    int tid = 0;

    (void)unused;
    child_expect(os_thread_count() == 1);
    child_expect(pthread_create(&thread, NULL, note_id, &tid) == 0);
    child_expect(pthread_join(thread, NULL) == 0);
    child_expect(tid != 0 && tid != os_thread_id());
}

START_TEST(the_child_can_start_threads)
{
    ends_well(start_thread_in_child, NULL);
}

END_TEST

struct robust {
    pthread_mutex_t mutex;
    _Atomic int holder;
};

static void
hold_for_ever(void *memory)
{
    struct robust *robust = memory;

    child_expect(pthread_mutex_lock(&robust->mutex) == 0);
    atomic_store(&robust->holder, getpid());
    for (;;)
        pause();
}

START_TEST(a_killed_childs_lock_is_recovered)
{
    struct robust *robust = support_share(sizeof *robust);

    make_kind(&robust->mutex, PTHREAD_MUTEX_NORMAL, true);
    const int pidfd = clone_running(hold_for_ever, robust);

    eventually(atomic_load(&robust->holder));
    ck_assert_int_eq(kill(robust->holder, SIGKILL), 0);
    ck_assert_int_eq(reap(pidfd).signal, SIGKILL);
    ck_assert_int_eq(pthread_mutex_lock(&robust->mutex), EOWNERDEAD);
    ck_assert_int_eq(pthread_mutex_consistent(&robust->mutex), 0);
    ck_assert_int_eq(pthread_mutex_unlock(&robust->mutex), 0);
}

END_TEST

static void
end_at_once(void *unused)
{
    (void)unused;
}

/* The parent's locks are not the child's to give back. */
START_TEST(a_childs_end_leaves_the_parents_locks)
{
    struct robust *robust = support_share(sizeof *robust);

    make_kind(&robust->mutex, PTHREAD_MUTEX_ERRORCHECK, true);
    ck_assert_int_eq(pthread_mutex_lock(&robust->mutex), 0);
    ends_well(end_at_once, NULL);
    ck_assert_int_eq(pthread_mutex_lock(&robust->mutex), EDEADLK);
    ck_assert_int_eq(pthread_mutex_unlock(&robust->mutex), 0);
    ck_assert_int_eq(pthread_mutex_lock(&robust->mutex), 0);
}

END_TEST

static volatile sig_atomic_t children_ended;

static void
count_child(int signal)
{
    (void)signal;
    children_ended++;
}

START_TEST(nobody_else_sees_its_end)
{
    const struct sigaction action = {.sa_handler = count_child};

    ck_assert_int_eq(sigaction(SIGCHLD, &action, NULL), 0);
    const int pidfd = clone_running(end_at_once, NULL);
    siginfo_t info = {0};

    ck_assert_int_eq(
        waitid(P_PIDFD, (id_t)pidfd, &info, WEXITED | WNOWAIT | __WALL), 0);
    ck_assert_int_eq(waitpid(-1, NULL, 0), -1);
    ck_assert_int_eq(errno, ECHILD);
    ck_assert_int_eq(reap(pidfd).code, 0);
    ck_assert_int_eq(children_ended, 0);
}

END_TEST

static int fork_handlers_run;

static void
note_fork(void)
{
    fork_handlers_run++;
}

static void
expect_no_handler(void *unused)
{
    (void)unused;
    child_expect(fork_handlers_run == 0);
}

START_TEST(no_fork_handler_runs)
{
    ck_assert_int_eq(pthread_atfork(note_fork, note_fork, note_fork), 0);
    ends_well(expect_no_handler, NULL);
    ck_assert_int_eq(fork_handlers_run, 0);
}

END_TEST

struct relay {
    int parent;
    _Atomic int grandchild;
    _Atomic int go_on;
};

static void
wait_and_fail(struct relay *relay)
{
    child_expect(os_parent_id() == relay->parent);
    while (!atomic_load(&relay->go_on))
        os_pause();
    os_exit_now(23);
}

static void
clone_a_sibling(void *memory)
{
    struct relay *relay = memory;
    const int pid = os_clone(OS_CLONE_PARENT, NULL);

    if (pid == 0)
        wait_and_fail(relay);
    child_expect(pid > 0);
    atomic_store(&relay->grandchild, pid);
}

START_TEST(a_childs_child_can_be_the_parents)
{
    const struct sigaction action = {.sa_handler = count_child};
    struct relay *relay = support_share(sizeof *relay);

    ck_assert_int_eq(sigaction(SIGCHLD, &action, NULL), 0);
    relay->parent = os_process_id();
    ends_well(clone_a_sibling, relay);
    const int pidfd = os_pidfd_open(relay->grandchild);

    atomic_store(&relay->go_on, 1);
    if (pidfd == -ENOSYS) /* valgrind refuses it */
        ck_assert_int_eq(support_reap(relay->grandchild), 23);
    else
        ck_assert_int_eq(reap(pidfd).code, 23);
    ck_assert_int_eq(waitpid(-1, NULL, 0), -1);
    ck_assert_int_eq(children_ended, 0);
}

END_TEST

START_TEST(without_pidfd_it_is_not_written)
{
    int pidfd = -7;
    const int pid = os_clone(0, &pidfd);

    if (pid == 0)
        os_exit_now(0);
    ck_assert_int_gt(pid, 0);
    ck_assert_int_eq(pidfd, -7);
    ck_assert_int_eq(support_reap(pid), 0);
}

END_TEST

static void *
clone_and_reap(void *unused)
{
    (void)unused;
    ends_well(lock_in_child,
              &(pthread_mutex_t)PTHREAD_ERRORCHECK_MUTEX_INITIALIZER_NP);
    return NULL;
}

START_TEST(another_thread_may_clone)
{
    support_join(support_thread(clone_and_reap, NULL));
}

END_TEST

START_TEST(many_clones_leave_nothing)
{
    const int fds = support_fds();

    for (unsigned i = 0; i < scaled(300); i++)
        ends_well(end_at_once, NULL);
    ck_assert_int_eq(support_fds(), fds);
}

END_TEST

int
main(void)
{
    Suite *suite = suite_create("os/clone");
    TCase *tcase = support_case(suite, "clones", 20);

    tcase_add_test(tcase, the_childs_locks_carry_its_own_id);
    tcase_add_test(tcase, the_child_can_start_threads);
    tcase_add_test(tcase, a_killed_childs_lock_is_recovered);
    tcase_add_test(tcase, a_childs_end_leaves_the_parents_locks);
    tcase_add_test(tcase, nobody_else_sees_its_end);
    tcase_add_test(tcase, no_fork_handler_runs);
    tcase_add_test(tcase, a_childs_child_can_be_the_parents);
    tcase_add_test(tcase, without_pidfd_it_is_not_written);
    tcase_add_test(tcase, another_thread_may_clone);
    tcase_add_test(tcase, many_clones_leave_nothing);
    return support_run(suite);
}
