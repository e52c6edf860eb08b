/* A scenario is run again and again, and each time another allocation or call
 * of the system fails, once. Whatever it was for then succeeds all the same, or
 * is refused with a sentence; nothing hangs, nothing is left behind, and the
 * next try succeeds. */
#ifndef SUPPORT_SWEEP_H
#define SUPPORT_SWEEP_H

#include "support/support.h"

#include <weft/weft.h>

#include <stdatomic.h>

enum {
    SWEEP_PATIENCE = 10000 /* ms that one run may take */
};

struct sweep_scenario {
    const char *name;
    int (*run)(void); /* 0, or the first thing that went wrong */
};

/* What a run leaves, in the process that made it. */
struct sweep_left {
    long fds, blocks, mapped;
};

/* Shared by all processes of a run. */
struct sweep_seen {
    int refused; /* the first refusal */
    char why[1024];
    _Atomic int started, ran; /* jobs that were, and functions that did */
    struct sweep_left left;
};

extern struct sweep_seen *seen;

/* The test of a program: each call of each scenario fails once. What main
 * returns. */
int sweep_main(const char *name, const struct sweep_scenario *scenarios,
               int count);

/* --- what a scenario is made of */

/* Notes what a call returned; a failure must have its sentence. */
int note(int status);

/* The first of two that went wrong. */
int either(int first, int second);

int start(weft_job **out, weft_kind kind, const weft_task *task);

/* Waits for the job and gives it back; how it ended. NULL is nothing. */
int finish(weft_job *job);

/* Functions to run: its result is twice its argument, both int; and none. */
weft_fn twice;
weft_fn nothing;

#endif
