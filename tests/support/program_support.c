#include "support/program_support.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pty.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

/* --- orphans */

void
adopt_orphans(void)
{
    ck_assert_int_eq(prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0), 0);
}

static void
print_children(int pid, int depth)
{
    char path[64], line[256];
    int child;

    snprintf(path, sizeof path, "/proc/%d/task/%d/children", pid, pid);
    FILE *file = fopen(path, "re");

    while (file && fscanf(file, "%d", &child) == 1) {
        snprintf(path, sizeof path, "/proc/%d/stat", child);
        FILE *stat = fopen(path, "re");

        if (stat && fgets(line, sizeof line, stat))
            fprintf(stderr, "%*sleft: %.60s\n", depth * 2, "", line);
        if (stat)
            fclose(stat);
        print_children(child, depth + 1);
    }
    if (file)
        fclose(file);
}

int64_t
until_all_are_gone(int64_t since)
{
    const int64_t late = since + patient(5 * WEFT_SECOND);

    for (;;) {
        const pid_t pid = waitpid(-1, NULL, WNOHANG | __WALL);

        if (pid < 0 && errno == ECHILD)
            return weft_now().ns - since;
        if (pid == 0 && weft_now().ns > late) {
            print_children(getpid(), 0);
            ck_abort_msg("processes are left");
        }
        if (pid == 0)
            support_spin();
    }
}

int64_t
kill_program(pid_t pid)
{
    const int64_t killed = weft_now().ns;

    ck_assert_int_eq(kill(pid, SIGKILL), 0);
    ck_assert_int_eq(support_reap(pid), 128 + SIGKILL);
    return until_all_are_gone(killed);
}

void
let_it_go_on(unsigned *seed, long most)
{
    const struct timespec time = {0, rand_r(seed) % most};

    (void)ppoll(NULL, 0, &time, NULL);
}

/* --- a terminal */

static void
be_in_foreground(void)
{
    child_expect(signal(SIGTTOU, SIG_IGN) != SIG_ERR);
    child_expect(tcsetpgrp(STDIN_FILENO, getpgrp()) == 0);
    child_expect(signal(SIGTTOU, SIG_DFL) != SIG_ERR);
}

/* A shell, of which the test needs no more than that it is there: in a session
 * without one the system ignores ^Z. */
static void
run_shell(void (*fn)(void), _Atomic int *program)
{
    int status;
    const pid_t pid = fork();

    child_expect(pid >= 0);
    if (pid == 0) {
        child_expect(setpgid(0, 0) == 0);
        child_expect(signal(SIGINT, SIG_DFL) != SIG_ERR); /* Check has one */
        be_in_foreground();
        atomic_store(program, getpid());
        fn();
        exit(0);
    }
    while (waitpid(pid, &status, 0) < 0)
        child_expect(errno == EINTR);
    _exit(WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status));
}

struct terminal
open_terminal(void (*fn)(void), _Atomic int *program)
{
    struct terminal terminal;

    fflush(NULL);
    terminal.shell = forkpty(&terminal.end, NULL, NULL, NULL);
    ck_assert_int_ge(terminal.shell, 0);
    if (terminal.shell == 0)
        run_shell(fn, program);
    return terminal;
}

void
type(const struct terminal *terminal, int key)
{
    const char byte = (char)key;

    ck_assert_int_eq(write(terminal->end, &byte, 1), 1);
}

int
close_terminal(const struct terminal *terminal)
{
    const int64_t begun = weft_now().ns;
    int status;
    pid_t pid;
    char text[512];

    ck_assert_int_eq(fcntl(terminal->end, F_SETFL, O_NONBLOCK), 0);
    while ((pid = waitpid(terminal->shell, &status, WNOHANG)) == 0) {
        ck_assert_msg(weft_now().ns - begun < patient(5 * WEFT_SECOND),
                      "the program does not end");
        const ssize_t size = read(terminal->end, text, sizeof text);

        if (size > 0)
            fprintf(stderr, "%.*s", (int)size, text);
        support_spin();
    }
    ck_assert_int_eq(pid, terminal->shell);
    close(terminal->end);
    eventually(waitpid(-1, NULL, WNOHANG | __WALL) < 0 && errno == ECHILD);
    return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}
