/* Actors: workers that do, one by one, what the test tells them. What the test
 * knows of them it sees in the registry, so that it need not sleep. Between two
 * acts an actor waits outside of weft. */
#ifndef SUPPORT_ACTOR_SUPPORT_H
#define SUPPORT_ACTOR_SUPPORT_H

#include "support/worker_support.h"

enum {
    ACTORS = 64
};

/* What to do; the result is the actor's. */
typedef int act_fn(int64_t arg);

struct actor {
    weft_job *job; /* the test's */
    struct gate end;
    _Atomic uint32_t ordered, done; /* acts, ever */
    _Atomic(act_fn *) act;
    _Atomic int64_t arg;
    _Atomic int status;
    _Atomic unsigned id; /* its thread's slot */
    char why[512];
};

/* Readies `common` and room for the actors. Before the first start. */
void actors_make(void);

/* A pipe, made with them: its end (0 reads, 1 writes) as a descriptor of the
 * calling process, an actor's or the test's. */
void actors_make_pipe(void);
int actors_pipe(int end);

struct actor *actor_start(weft_kind kind, const char *name);

/* Tells it what to do; waits for its result. Or both. */
void actor_begin(struct actor *actor, act_fn *act, int64_t arg);
int actor_result(struct actor *actor);
int actor_do(struct actor *actor, act_fn *act, int64_t arg);

bool actor_is_done(const struct actor *actor);

/* It has begun an act and is in a wait of weft. */
bool actor_waits(const struct actor *actor);

/* Begins, and is there when the actor waits. */
void actor_begin_waiting(struct actor *actor, act_fn *act, int64_t arg);

/* Its function returns; the job has ended and was released. */
void actor_leave(struct actor *actor);

/* Its process is killed, and was joined. */
void actor_kill(struct actor *actor);

/* What it is told to do next it does while asked to stop. */
void actor_stop(struct actor *actor);

/* Runs fn(arg) in a program of its own, which must stop because of misuse, with
 * these words on stderr. */
void expect_misuse(void (*fn)(void *arg), void *arg, const char *call,
                   const char *words);

#endif
