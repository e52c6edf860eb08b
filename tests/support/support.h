/* What every test program shares. A test is a process of its own; what it
 * starts may use `child_expect` instead of Check's assertions. */
#ifndef SUPPORT_SUPPORT_H
#define SUPPORT_SUPPORT_H

#include <check.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

/* Runs the suite and frees it; what main returns. */
int support_run(Suite *suite);

/* A test case of the suite whose tests have so many seconds each; checkers and
 * larger counts multiply them. */
TCase *support_case(Suite *suite, const char *name, int seconds);

/* Adds a test that runs for each index _i of the table. */
#define support_add_table(tcase, test, table) \
    tcase_add_loop_test(tcase, test, 0, (int)(sizeof(table) / sizeof *(table)))

/* WEFT_TEST_SCALE percent of `count`, at least 1. */
unsigned scaled(unsigned count);

/* `ns` times WEFT_TEST_SLOW, which a checker that runs sets by itself. */
int64_t patient(int64_t ns);

bool support_is_valgrind(void);
bool support_is_tsan(void);
bool support_is_asan(void);
bool support_is_checked(void); /* one of the three */

int support_fds(void);     /* descriptors of this process */
int support_threads(void); /* its threads, a checker's own included */
long support_rss(void);    /* its resident memory in KiB */
char support_state(pid_t tid);

/* Between two looks at a condition; false when it has lasted too long since
 * *start, which is 0 at first. */
bool support_look_again(int64_t *start);

/* Waits until the condition holds; fails when it does not in 5 s. */
#define eventually(condition)                                    \
    do {                                                         \
        int64_t start_ = 0;                                      \
        while (!(condition))                                     \
            if (!support_look_again(&start_))                    \
                ck_abort_msg("never came true: %s", #condition); \
    } while (0)

/* Between two looks at a word that changes in a moment. */
void support_spin(void);

pthread_t support_thread(void *(*fn)(void *), void *arg);
void support_join(pthread_t thread);

/* Runs fn(arg) in a fork and ends it with 0. */
pid_t support_fork(void (*fn)(void *), void *arg);

/* The exit code of a fork or clone, or 128 + the signal that killed it. */
int support_reap(pid_t pid);
int support_run_fork(void (*fn)(void *), void *arg);

/* Memory that forks of this process share, zeroed. */
void *support_share(size_t size);

/* In a child: says what does not hold, and ends. */
#define child_expect(condition)                                   \
    do {                                                          \
        if (!(condition))                                         \
            support_child_failed(__FILE__, __LINE__, #condition); \
    } while (0)

_Noreturn void support_child_failed(const char *file, int line,
                                    const char *what);

/* A fresh directory; and a file below it, with the directories that it needs.
 */
void support_directory(char path[64]);
void support_write(const char *root, const char *path, const char *text);
void support_remove(const char *root);

#endif
