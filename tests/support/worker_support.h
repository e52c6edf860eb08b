/* What the tests of jobs share. */
#ifndef SUPPORT_WORKER_SUPPORT_H
#define SUPPORT_WORKER_SUPPORT_H

#include "support/support.h"

#include <weft/weft.h>

#include <stdatomic.h>

/* The kinds that one test is to hold for: kinds[_i]. */
extern const weft_kind kinds[2];

#define add_for_kinds(tcase, test) support_add_table(tcase, test, kinds)

/* A word that threads, and processes if it is shared, wait for. */
struct gate {
    _Atomic uint32_t open;
};

void gate_open(struct gate *gate);
void gate_pass(struct gate *gate); /* waits until it is open */

/* Memory that processes share with the test: made before the first start, so
 * that the zygote has it too. */
struct common {
    struct gate begun, go, done;
    _Atomic int count, value, pid, tid;
    _Atomic int64_t time;
    char text[4096];
};

extern struct common *common;
void common_make(void); /* a checked fixture */

/* Starts the task; it must start. */
weft_job *must_start(weft_kind kind, const weft_task *task);

/* Starts it, waits for its end, and returns the job. */
weft_job *must_run(weft_kind kind, const weft_task *task);

/* Its outcome, which must be there. */
const weft_outcome *outcome(weft_job *job);

void must_join(weft_job *job);

/* Waits for the end, checks outcome->status, and releases the job. */
void expect_end(weft_job *job, int status);

/* Refused with the status, and the sentence holds the word. */
#define expect_refused(call, code, word)                           \
    do {                                                           \
        ck_assert_int_eq((call), (code));                          \
        ck_assert_msg(strstr(weft_why(), (word)), "no '%s' in %s", \
                      (const char *)(word), weft_why());           \
    } while (0)

/* In a child: processes that run double_it work, one after the other. */
void child_doubles(void);

/* What its worker does now, by the registry. */
weft_state state_of(const weft_job *job);

/* Functions to run. */
weft_fn do_nothing;     /* returns 0 */
weft_fn do_fail;        /* fails with "it is broken" */
weft_fn double_it;      /* its result is twice its argument, both int */
weft_fn wait_for_go;    /* opens common->begun and passes common->go */
weft_fn sleep_for_ever; /* in weft_sleep; returns what that returns */
weft_fn loop_for_ever;  /* opens common->begun; never looks, never waits */

/* Threads of this process but a checker's own, which block all signals and have
 * the program's name. */
int busy_threads(void);

/* Has the calling thread, and no other, call `handler` every `ns` with SIGALRM,
 * until it is given NULL. */
void storm(void (*handler)(int number), long ns);

/* A program of its own: runs fn in a fork, which ends as it likes or by
 * exit(0), and keeps what was printed. */
struct ran {
    int code; /* exit code, or 128 + signal */
    int64_t took;
    char out[8192], err[8192];
};

void run_program(struct ran *ran, void (*fn)(void *arg), void *arg);

/* Whether `text` stands `times` times in `whole`. */
bool stands(const char *whole, const char *text, unsigned times);

#endif
