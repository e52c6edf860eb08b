/* The program executed anew. Executed by a test it says what it finds. */
#include "os/os.h"
#include "support/support.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#define VARIABLE "WEFT_TEST_SPAWN"

extern char **environ;

struct found {
    int pid, parent, fds, blocked, ignored, caught;
    size_t strings;
    char name[64], first[64], second[64];
};

/* --- executed anew */

static void
say(char **arguments)
{
    struct found found = {.pid = getpid(), .parent = getppid()};
    struct sigaction action;
    sigset_t mask;

    for (int fd = 3; fd < 1000; fd++)
        found.fds += fcntl(fd, F_GETFD) >= 0;
    sigprocmask(SIG_SETMASK, NULL, &mask);
    for (int number = 1; number < NSIG; number++) {
        found.blocked += sigismember(&mask, number) == 1;
        if (sigaction(number, NULL, &action) < 0)
            continue;
        found.ignored += action.sa_handler == SIG_IGN;
        found.caught +=
            action.sa_handler != SIG_IGN && action.sa_handler != SIG_DFL;
    }
    while (environ[found.strings])
        found.strings++;
    snprintf(found.name, sizeof found.name, "%s", arguments[0]);
    if (found.strings > 0)
        snprintf(found.first, sizeof found.first, "%s", environ[0]);
    if (found.strings > 1)
        snprintf(found.second, sizeof found.second, "%s", environ[1]);
    _exit(send(3, &found, sizeof found, 0) == sizeof found &&
                  arguments[1] == NULL
              ? 7
              : 8);
}

/* --- the tests */

static int
spawn(char *strings, size_t size, struct found *found)
{
    int ends[2];

    memset(found, 0, sizeof *found);
    ck_assert_int_eq(os_pair(ends), 0);
    const int pid = os_spawn("a name", ends[1], VARIABLE "=1", strings, size);

    close(ends[1]);
    if (pid > 0) {
        ck_assert_int_eq(recv(ends[0], found, sizeof *found, 0), sizeof *found);
        ck_assert_int_eq(support_reap(pid), 7);
        ck_assert_int_eq(found->pid, pid);
        ck_assert_int_eq(found->parent, getpid());
        ck_assert_str_eq(found->name, "a name");
        ck_assert_str_eq(found->first, VARIABLE "=1");
        ck_assert_int_eq(found->fds, 1);
        if (!support_is_checked()) /* which catches some itself */
            ck_assert_int_eq(found->caught, 0);
    }
    close(ends[0]);
    return pid;
}

static void
do_not_come(int number)
{
    (void)number;
    _exit(66);
}

START_TEST(it_starts_with_what_it_is_given)
{
    char some[] = "A=1\0B=2";
    struct found found;
    sigset_t before, after;

    /* Open ones that are kept over exec are not for it. */
    ck_assert_int_ge(dup2(1, 100), 0);
    ck_assert_int_ge(fcntl(100, F_SETFD, 0), 0);
    signal(SIGUSR1, do_not_come);
    sigprocmask(SIG_SETMASK, NULL, &before);
    ck_assert_int_gt(spawn(some, sizeof some, &found), 0);
    ck_assert_uint_eq(found.strings, 3);
    ck_assert_str_eq(found.second, "A=1");
    ck_assert_int_gt(found.blocked, 50);
    ck_assert_int_gt(spawn(some, 0, &found), 0);
    ck_assert_uint_eq(found.strings, 1);
    sigprocmask(SIG_SETMASK, NULL, &after);
    ck_assert_mem_eq(&before, &after, sizeof before);
    struct sigaction action;

    sigaction(SIGUSR1, NULL, &action);
    ck_assert(action.sa_handler == do_not_come);
}

END_TEST

/* The end may be 3 already, or 3 may be something else. */
START_TEST(its_end_is_3_wherever_it_was)
{
    struct found found;

    for (int i = 0; i < 10; i++) {
        ck_assert_int_gt(spawn(NULL, 0, &found), 0);
        ck_assert_int_ge(open("/dev/null", O_RDONLY | O_CLOEXEC), 0);
    }
}

END_TEST

/* Larger than the system takes: the error comes back, and no child stays. */
START_TEST(what_hinders_it_is_the_parent_s_error)
{
    enum {
        LARGE = 64 << 20
    };

    char *large = malloc(LARGE);
    struct found found;

    ck_assert_ptr_nonnull(large);
    memset(large, 'x', LARGE - 1);
    large[LARGE - 1] = '\0';
    ck_assert_int_eq(spawn(large, LARGE, &found), -E2BIG);
    ck_assert_int_eq(waitpid(-1, NULL, __WALL | WNOHANG), -1);
    ck_assert_int_eq(errno, ECHILD);
    ck_assert_int_eq(os_spawn("a name", 999, VARIABLE "=1", NULL, 0), -EBADF);
    ck_assert_int_eq(waitpid(-1, NULL, __WALL | WNOHANG), -1);
    ck_assert_int_eq(errno, ECHILD);
    ck_assert_int_gt(spawn(NULL, 0, &found), 0);
    free(large);
}

END_TEST

START_TEST(it_is_done_often)
{
    const int fds = support_fds();
    struct found found;

    for (unsigned i = scaled(200); i > 0; i--)
        ck_assert_int_gt(spawn(NULL, 0, &found), 0);
    ck_assert_int_eq(support_fds(), fds);
}

END_TEST

int
main(int argc, char **argv)
{
    if (argc == 1 && getenv(VARIABLE))
        say(argv);
    Suite *suite = suite_create("spawn");
    TCase *tcase = support_case(suite, "spawn", 20);

    tcase_add_test(tcase, it_starts_with_what_it_is_given);
    tcase_add_test(tcase, its_end_is_3_wherever_it_was);
    tcase_add_test(tcase, what_hinders_it_is_the_parent_s_error);
    tcase_add_test(tcase, it_is_done_often);
    return support_run(suite);
}
