/* The thread pool: a queue of jobs in order of submission, decks of lanes that
 * can be stolen from, and members, the threads that serve both.
 *
 * A member that finds nothing lists its deck as idle, asks all decks to share,
 * looks once more, and sleeps on its deck's bell. Whoever adds work looks for
 * idle ones afterwards, takes one from the list, and rings. So no more are
 * woken than there is work for, and the one woken, if it finds more than it
 * takes, wakes the next.
 *
 * Who forks need not be a member: a thread that enters from outside works on a
 * deck of its own as a guest, in the place of one of the members, which steal
 * only while they and the guests together are no more than the pool's workers.
 * Jobs are for members alone. */
#ifndef POOL_POOL_H
#define POOL_POOL_H

#include "exec/exec.h"
#include "exec/intake.h"
#include "pool/deck.h"
#include "worker/options_copy.h"

enum {
    POOL_DECKS = 8192 /* members and guests, at most */
};

struct thread_pool {
    weft_pool face;          /* first */
    weft_duration idle_time; /* 0 = for ever */
    weft_task prepare;       /* no fn: none */
    struct options_copy options;

    struct intake in;    /* its lock is also that of what follows */
    struct list ready;   /* jobs that wait for a member */
    struct list blocked; /* jobs that wait for a thread of their own */
    struct list idle;    /* decks, the last first to be woken */
    struct list spare;   /* decks that nobody uses */
    unsigned blocking;   /* threads that run blocking jobs */
    unsigned names;      /* given to threads */
    unsigned threads;    /* that have not ended */
    int64_t pace;        /* ns a job takes, about */
    struct timer timer;  /* for jobs that nobody was woken for */
    bool looks;          /* it is set */
    uint64_t numbered;   /* jobs */

    _Atomic unsigned extra; /* members in place of those that cannot help; +1
                               under lock */
    atomic_bool stopping;   /* close has given up waiting; with the list of the
                               runtime's jobs: who adds one looks here, who
                               sets this looks there */
    atomic_bool resting;    /* who has nothing to do ends */
    _Atomic unsigned members; /* threads that serve the pool; +1 by anybody */
    _Atomic unsigned idle_count; /* of them, those in `idle`; under lock */
    _Atomic unsigned guests;
    _Atomic unsigned deck_count;
    struct deck *_Atomic decks[POOL_DECKS]; /* all that were ever made */
};

extern const struct job_kind pool_job_kind;

static inline struct thread_pool *
pool_of(weft_job *job)
{
    return job->worker;
}

/* Members that there may be. */
static inline unsigned
pool_workers(const struct thread_pool *pool)
{
    return atomic_load(&pool->face.workers) + atomic_load(&pool->extra);
}

/* Members that do not sleep, and guests. */
static inline unsigned
pool_active(const struct thread_pool *pool)
{
    return atomic_load(&pool->members) - atomic_load(&pool->idle_count) +
           atomic_load(&pool->guests);
}

/* --- pool.c: what thread_pool_kind consists of, for serial.c too */

int pool_make(weft_pool **out, const struct pool_kind *of, weft_kind kind,
              const weft_pool_options *options);
void pool_count(weft_pool *face, weft_pool_counts *out);
int pool_close(weft_pool *face, int64_t until);
void pool_rest(weft_pool *face);
int pool_enter(weft_pool *face, weft_fork_fn *fn, void *frame, int64_t until);
weft_pool *pool_here(void);

/* --- decks.c: who has which, and who sleeps */

/* A deck that nobody uses. NULL: no memory, or too many; with the sentence. */
struct deck *pool_take_deck(struct thread_pool *pool);
void pool_give_deck(struct thread_pool *pool, struct deck *deck);

/* The calling thread works on a deck that it took, within what it does; and
 * does so no longer, and gives it back. */
void pool_put_on(struct deck *deck);
void pool_take_off(struct deck *deck);

/* The pool's deck that the calling thread works on, be it around what it does
 * for another pool. NULL: it does not work for the pool. */
struct deck *pool_deck_here(const struct thread_pool *pool);

/* The owner of `deck` has shared lanes: wakes one who steals them. */
void pool_shared(struct deck *deck);

/* The deck's thread has stolen from `from`: if there is more, wakes another. */
void pool_stole(struct deck *deck, struct deck *from);

/* Takes a deck from the list of idle ones, to be rung; NULL = none. Both under
 * the lock. */
struct deck *pool_take_idle(struct thread_pool *pool);
void pool_not_idle(struct thread_pool *pool, struct deck *deck);

/* --- member.c: threads */

/* Makes a member if there may be one more. Error: there is none at all. The
 * second then gives up the jobs that wait. */
int member_try(struct thread_pool *pool);
void member_need(struct thread_pool *pool);

/* A thread of the pool that runs fn(deck) and calls member_gone last. */
int member_thread(struct thread_pool *pool, weft_fn *fn, struct deck *deck);
void member_gone(struct thread_pool *pool);

/* Waits until the thread that called it has ended as a job, too. */
void member_join(struct deck *deck);

/* --- jobs.c */

/* Runs the pool's preparation, if there is one. False: it failed, and the pool
 * refuses tasks from now on. */
bool jobs_prepare(struct thread_pool *pool);

/* The next job, for a member to run; NULL = none. */
weft_job *jobs_take(struct thread_pool *pool);

/* Runs a job that was taken, in the calling thread, and ends it. */
void jobs_run(struct thread_pool *pool, weft_job *job);

/* Under the lock: it waits no longer, and is the caller's to run or to end. */
void jobs_leave(struct thread_pool *pool, weft_job *job);

/* Cancels a job if it still waits. False: it has begun, or is about to. */
bool jobs_withdraw(struct thread_pool *pool, weft_job *job);

/* After a failed member_try: ends as failed, with the sentence, what still
 * waits for a member, unless there is one meanwhile. */
void jobs_give_up(struct thread_pool *pool);

/* In the service thread: wakes a member if jobs still wait. */
void jobs_look(struct timer *timer);

/* Asks all to stop. */
void jobs_stop(struct thread_pool *pool);

/* --- help.c: the job kind's `help` and `wait` */

bool jobs_help(weft_job *job);
int jobs_wait(weft_job *job, const struct wait_terms *terms);

#endif
