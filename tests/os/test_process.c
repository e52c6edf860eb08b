/* Processes: their ends, groups, signals and rights. */
#include "os/os.h"
#include "support/support.h"

#include <errno.h>
#include <grp.h>
#include <linux/capability.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

/* A child, started by fork, that ends as asked. */
static int
start(void (*fn)(void *), void *arg)
{
    const int pidfd = os_pidfd_open(support_fork(fn, arg));

    ck_assert_int_ge(pidfd, 0);
    return pidfd;
}

static struct os_exit
reap(int pidfd)
{
    struct os_exit end;

    ck_assert_int_eq(os_pidfd_reap(pidfd, &end), 0);
    return end;
}

static void
exit_with(void *code)
{
    os_exit_now(*(const int *)code);
}

START_TEST(the_code_is_told)
{
    int codes[] = {0, 1, 42, 255};

    for (size_t i = 0; i < sizeof codes / sizeof *codes; i++) {
        const struct os_exit end = reap(start(exit_with, &codes[i]));

        ck_assert_int_eq(end.code, codes[i]);
        ck_assert_int_eq(end.signal, 0);
        ck_assert(!end.core_dumped);
    }
}

END_TEST

static void
stay(void *unused)
{
    (void)unused;
    for (;;)
        pause();
}

START_TEST(the_signal_is_told)
{
    static const int signals[] = {SIGKILL, SIGHUP, SIGUSR1};

    for (size_t i = 0; i < sizeof signals / sizeof *signals; i++) {
        const int pidfd = start(stay, NULL);

        ck_assert_int_eq(os_pidfd_signal(pidfd, signals[i]), 0);
        const struct os_exit end = reap(pidfd);

        ck_assert_int_eq(end.code, -1);
        ck_assert_int_eq(end.signal, signals[i]);
        ck_assert(!end.core_dumped);
    }
}

END_TEST

static void
crash(void *root)
{
    const struct rlimit limit = {1 << 20, 1 << 20};

    child_expect(setrlimit(RLIMIT_CORE, &limit) == 0);
    child_expect(chdir(root) == 0);
    signal(SIGQUIT, SIG_DFL);
    raise(SIGQUIT);
}

/* Whether there is a core depends on the machine: a plain wait says. */
START_TEST(a_core_is_told)
{
    char root[64];
    int status;

    support_directory(root);
    ck_assert_int_gt(waitpid(support_fork(crash, root), &status, 0), 0);
    ck_assert(WIFSIGNALED(status));
    const struct os_exit end = reap(start(crash, root));

    ck_assert_int_eq(end.signal, WTERMSIG(status));
    ck_assert_int_eq(end.core_dumped, !!WCOREDUMP(status));
    support_remove(root);
}

END_TEST

START_TEST(an_end_is_taken_once)
{
    int code = 5;
    const int pidfd = start(exit_with, &code);
    struct os_exit end = reap(pidfd), untouched = {.code = 77};

    ck_assert_int_eq(end.code, 5);
    ck_assert_int_eq(os_pidfd_reap(pidfd, &untouched), -ECHILD);
    ck_assert_int_eq(untouched.code, 77);
    ck_assert_int_eq(os_pidfd_signal(pidfd, SIGTERM), -ESRCH);
}

END_TEST

static void
burn(void *unused)
{
    (void)unused;
    while (os_cpu_of_thread() < 20000000)
        os_pause();
}

START_TEST(cpu_time_is_told)
{
    ck_assert_int_ge(reap(start(burn, NULL)).cpu, 15000000);
}

END_TEST

START_TEST(no_such_process)
{
    int code = 0;
    const pid_t pid = support_fork(exit_with, &code);

    support_reap(pid);
    ck_assert_int_eq(os_pidfd_open(pid), -ESRCH);
}

END_TEST

START_TEST(who_is_dying_is_told)
{
    siginfo_t info;
    const pid_t pid = support_fork(stay, NULL);

    ck_assert(!os_process_is_dying(pid));
    ck_assert_int_eq(os_process_number(pid, 4), getpid()); /* its parent */
    ck_assert_int_eq(kill(pid, SIGKILL), 0);
    ck_assert_int_eq(waitid(P_PID, (id_t)pid, &info, WEXITED | WNOWAIT), 0);
    ck_assert(os_process_is_dying(pid));
    ck_assert_int_eq(support_reap(pid), 128 + SIGKILL);
    ck_assert(os_process_is_dying(pid));
    ck_assert_int_eq(os_process_number(pid, 4), -ESRCH);
    ck_assert_int_eq(os_process_number(getpid(), 100), -EIO);
}

END_TEST

static void
lead(void *unused)
{
    (void)unused;
    child_expect(getpgrp() != getpid());
    child_expect(os_group_lead() == 0);
    child_expect(getpgrp() == getpid());
}

START_TEST(a_process_leads_its_group)
{
    ck_assert_int_eq(support_run_fork(lead, NULL), 0);
}

END_TEST

static void
ignore(int signal)
{
    (void)signal;
}

static void
default_signals(void *unused)
{
    struct sigaction action;

    (void)unused;
    signal(SIGUSR1, ignore);
    signal(SIGRTMIN + 3, ignore);
    signal(SIGUSR2, SIG_IGN);
    signal(SIGTTIN, ignore);
    os_signals_default();
    for (int number = 1; number < NSIG; number++) {
        const bool ignored =
            number == SIGUSR2 || number == SIGTTIN || number == SIGTTOU;

        if (sigaction(number, NULL, &action) < 0)
            continue;
        child_expect(action.sa_handler == SIG_IGN || !ignored);
        child_expect(action.sa_handler == SIG_DFL ||
                     action.sa_handler == SIG_IGN);
    }
}

START_TEST(caught_signals_get_their_default)
{
    ck_assert_int_eq(support_run_fork(default_signals, NULL), 0);
}

END_TEST

struct family {
    _Atomic int child;
    _Atomic int done;
};

static void
stay_while_parent_lives(void *memory)
{
    struct family *family = memory;

    child_expect(os_die_with(os_parent_id()) == 0);
    atomic_store(&family->done, 1);
    stay(NULL);
}

static void
start_and_leave(void *memory)
{
    struct family *family = memory;
    const pid_t pid = support_fork(stay_while_parent_lives, family);

    atomic_store(&family->child, pid);
    while (!atomic_load(&family->done))
        os_pause();
}

START_TEST(it_dies_with_its_parent)
{
    struct family *family = support_share(sizeof *family);

    ck_assert_int_eq(support_run_fork(start_and_leave, family), 0);
    eventually(support_state(family->child) == '\0' ||
               support_state(family->child) == 'Z');
}

END_TEST

static void
look_for_a_stranger(void *unused)
{
    (void)unused;
    child_expect(os_die_with(os_process_id()) == -ESRCH);
}

START_TEST(a_parent_that_is_gone_is_told)
{
    ck_assert_int_eq(support_run_fork(look_for_a_stranger, NULL), 0);
}

END_TEST

static void
drop_ids(void)
{
    child_expect(setresgid(65534, 65534, 65534) == 0);
    child_expect(setresuid(65534, 65534, 65534) == 0);
}

static void
drop_group(void)
{
    child_expect(setegid(65534) == 0);
}

static void
drop_groups(void)
{
    gid_t groups[40];

    for (gid_t i = 0; i < 40; i++) /* a line of more than 256 bytes */
        groups[i] = 1000000 + i;
    child_expect(setgroups(40, groups) == 0);
    groups[39]++;
    struct os_rights before, after;

    child_expect(os_rights(&before) == 0);
    child_expect(setgroups(40, groups) == 0);
    child_expect(os_rights(&after) == 0);
    child_expect(memcmp(&before, &after, sizeof after) != 0);
}

static void
drop_privileges(void)
{
    child_expect(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0);
}

static void
drop_capability(void)
{
    child_expect(prctl(PR_CAPBSET_DROP, CAP_SYS_TIME, 0, 0, 0) == 0);
}

static void (*const drops[])(void) = {
    drop_privileges, drop_ids, drop_group, drop_groups, drop_capability,
};

static void
drop_rights(void *memory)
{
    struct os_rights before, after;

    child_expect(os_rights(&before) == 0);
    (*(void (*const *)(void))memory)();
    child_expect(os_rights(&after) == 0);
    child_expect(memcmp(&before, &after, sizeof after) != 0);
}

START_TEST(dropped_rights_are_noticed)
{
    if (getuid() == 0 || drops[_i] == drop_privileges)
        ck_assert_int_eq(
            support_run_fork(drop_rights, (void *)(uintptr_t)&drops[_i]), 0);
}

END_TEST

START_TEST(rights_can_be_compared)
{
    struct os_rights one, two;

    memset(&one, 1, sizeof one);
    memset(&two, 2, sizeof two);
    ck_assert_int_eq(os_rights(&one), 0);
    ck_assert_int_eq(setenv("ANY", "thing", 1), 0);
    ck_assert_int_eq(os_rights(&two), 0);
    ck_assert_uint_eq(one.digest, two.digest);
    ck_assert_uint_eq(one.umask, two.umask);
    ck_assert(one.traced == two.traced);
}

END_TEST

START_TEST(a_child_can_be_ended)
{
    const pid_t pid = support_fork(stay, NULL);
    const int clone = os_clone(0, NULL);

    if (clone == 0)
        stay(NULL);
    os_child_end(pid);
    os_child_end(clone);
    ck_assert_int_eq(waitpid(-1, NULL, __WALL), -1);
    ck_assert_int_eq(errno, ECHILD);
    os_child_end(pid); /* there is none */
}

END_TEST

int
main(void)
{
    if (os_pidfd_open(getpid()) == -ENOSYS)
        return 77; /* valgrind refuses it */
    Suite *suite = suite_create("os/process");
    TCase *tcase = support_case(suite, "ends", 10);

    tcase_add_test(tcase, the_code_is_told);
    tcase_add_test(tcase, the_signal_is_told);
    tcase_add_test(tcase, a_core_is_told);
    tcase_add_test(tcase, an_end_is_taken_once);
    tcase_add_test(tcase, cpu_time_is_told);
    tcase_add_test(tcase, no_such_process);
    tcase_add_test(tcase, a_child_can_be_ended);
    tcase = support_case(suite, "state", 10);
    tcase_add_test(tcase, who_is_dying_is_told);
    tcase_add_test(tcase, a_process_leads_its_group);
    tcase_add_test(tcase, caught_signals_get_their_default);
    tcase_add_test(tcase, it_dies_with_its_parent);
    tcase_add_test(tcase, a_parent_that_is_gone_is_told);
    tcase_add_test(tcase, rights_can_be_compared);
    support_add_table(tcase, dropped_rights_are_noticed, drops);
    return support_run(suite);
}
