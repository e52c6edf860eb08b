/* Programs that a test runs, kills, and looks for the rest of: alone, or at a
 * terminal of which the test has the other end. */
#ifndef SUPPORT_PROGRAM_SUPPORT_H
#define SUPPORT_PROGRAM_SUPPORT_H

#include "support/worker_support.h"

enum {
    CTRL_C = 3,
    CTRL_Z = 26
};

/* The test adopts all orphans, so that when it has no child left there is none.
 */
void adopt_orphans(void);

/* Reaps until there is no child, and returns how long that took since. */
int64_t until_all_are_gone(int64_t since);

/* Kills a child and waits until all that it left are gone; how long that took.
 */
int64_t kill_program(pid_t pid);

/* A moment of up to so many ns, another one each time. */
void let_it_go_on(unsigned *seed, long most);

struct terminal {
    int end;
    pid_t shell;
};

/* Runs fn in a program in the foreground of a terminal, with a shell behind it,
 * and stores its pid. */
struct terminal open_terminal(void (*fn)(void), _Atomic int *program);
void type(const struct terminal *terminal, int key);

/* The program's exit code; then there must be no process left. What it prints
 * is read, else it could not end. */
int close_terminal(const struct terminal *terminal);

#endif
