/* A job from inside: what every kind of worker shares. */
#ifndef WORKER_JOB_H
#define WORKER_JOB_H

#include "base/list.h"
#include "base/text.h"
#include "registry/recorder.h"
#include "wait/lock.h"
#include "wait/stop.h"
#include "wait/wait.h"
#include "worker/job_memory.h"
#include "worker/service.h"

#include <weft/job.h>
#include <weft/scope.h>
#include <weft/task.h>
#include <weft/worker.h>

#include <signal.h>

struct task_way;
struct seat;

/* Reasons in a job's stop word. */
enum job_stop {
    JOB_STOP_ASKED = 1,
    JOB_STOP_TIMEOUT = 2,
    JOB_STOP_ABANDONED = 4 /* a promise that nobody can keep any more */
};

/* What a running function's call leads to. */
struct job_call {
    weft_call call; /* first: what the function sees */
    char *message;  /* room for TEXT_MESSAGE; NULL until weft_fail needs it */
    char *space;    /* where it lies, if it is not to be allocated */
    char *start;    /* of the result */
    size_t room;    /* there; all of it beyond the result is zero */
    bool fixed;     /* the room cannot grow, but is opened as it is needed */
    size_t open;    /* bytes of it that can be touched, if it is fixed */
    char *owned;    /* memory of a result that has grown; NULL at first */
};

/* How a kind of worker does what differs. */
struct job_kind {
    /* Begins the job, which is READY; from any thread. What fails is undone. */
    int (*begin)(weft_job *job);
    /* In job_end, for a job that `begin` never began; may be NULL. */
    void (*abandon)(weft_job *job);
    /* Begins it if nothing needs to be made for that, else says false: for who
     * has just ended the job before it. NULL: never. */
    bool (*begin_at_once)(weft_job *job);
    /* Makes a copy of these bytes the argument of a job that has not begun;
     * NULL: the job keeps it in memory of its own. */
    int (*give)(weft_job *job, const void *bytes, size_t size);
    /* After a stop request, in the service thread; NULL: nothing more to do. */
    void (*stop)(weft_job *job);
    /* After its timer, while it runs; in the service thread. */
    void (*timer)(weft_job *job);
    int (*kill)(weft_job *job, int signal);
    /* Waits for the end in a way of its own; NULL: on `ended`. */
    int (*wait)(weft_job *job, const struct wait_terms *terms);
    /* Before the caller sleeps on a word that changes when the job ends: brings
     * that about itself, if the waiting policy lets it spin, until the word is
     * no longer `old`. 0, or what ends a wait. NULL: nothing to be done. */
    int (*spin)(weft_job *job, const _Atomic uint32_t *word, uint32_t old,
                const struct wait_terms *terms);
    /* In a worker that is about to wait for the job: runs it, or something that
     * it waits for. False: there is nothing that only waits to be run. May be
     * NULL. */
    bool (*help)(weft_job *job);
    /* Some time after the end, in the service thread; may be NULL. */
    void (*clean)(weft_job *job);
    /* Finds out the worker's slot, which was not known when the job began; may
     * be NULL. */
    void (*locate)(weft_job *job);
    /* Fills in what of an outcome takes long, when it is first asked for. */
    void (*explain)(weft_job *job); /* may be NULL */
    void (*free)(weft_job *job);    /* what the kind keeps; may be NULL */
};

/*   ENTERING -> WAITING          who starts it; the service leaves it alone
 *   WAITING -> READY             who has ended the job before it, or the
 *                                starter, who found that ended
 *   WAITING -> CANCELED          the same, or the service thread for a stop
 *   DUE -> DELAYED               the service thread
 *   DUE, DELAYED -> READY, CANCELED
 *                                the service thread, which alone launches and
 *                                cancels these
 *   READY -> DUE                 who made it READY and cannot begin it at once
 *   READY -> BEGUN, CANCELED     who runs it; a promise: who keeps it, or the
 *                                service thread
 * Those out of WAITING, and a promise's, are by compare-and-swap; in all others
 * no two ever race. Others read it as a hint. */
enum job_phase {
    JOB_ENTERING, /* it will wait, but is not ready to be told */
    JOB_WAITING,  /* for job->after */
    JOB_DUE,      /* that has ended; the service is to go on */
    JOB_DELAYED,
    JOB_READY,
    JOB_BEGUN,
    JOB_CANCELED
};

#define JOB_TELLS 0x80000000u

/* What is to be called when a job has ended. */
struct on_end {
    void (*fn)(weft_job *job, void *context);
    void *context;
    struct on_end *next;
    bool user; /* the program's function, in a block of its own */
};

struct weft_job {
    _Atomic unsigned references; /* what keeps the memory; handles included */
    /* What a user, or a scope, holds, and JOB_TELLS: +1 and -1 by who takes and
     * gives a handle; the bit is set once, by who ends the job, when the
     * outcome is complete and before that can be seen. Whoever brings the
     * handles to 0 after it, or finds them 0 while setting it, reports an
     * unseen failure: one of them, always. Sequentially consistent. */
    _Atomic unsigned handles;
    _Atomic uint32_t phase;
    struct wait_word ended; /* 0, then 1 for good; release: pairs with the
                               acquire of whoever reads the outcome */
    const struct job_kind *of;
    weft_fn *fn;
    void *worker;        /* the kind's: struct thread before it has begun,
                            struct process, a pool */
    struct list in_pool; /* that it waits in; under the pool's lock */

    struct stop_cell stop;
    struct lock lock;
    weft_kind kind;
    bool daemon;
    bool timed;         /* the timer was used */
    bool killed_for_it; /* it died of what a stop request led to */
    bool was_killed;    /* weft_kill sent it SIGKILL; under lock */
    bool takes_result;  /* of `after`, as its argument */
    bool blocking;      /* of the task */
    bool late;     /* it comes to the pool some time after its submission */
    bool entered;  /* it was given to the pool's workers */
    bool reserved; /* it had a place there before */
    unsigned char bereaved; /* workers that died when it was their next; under
                               the pool's lock */
    atomic_bool seen;       /* somebody knows how it ended */
    atomic_bool untold; /* the service thread is to call what is to be called */
    atomic_bool watched; /* before its end somebody wanted to be told: there is
                            a watch or a descriptor */
    _Atomic unsigned attended; /* it is in the service's stack */
    struct list live;          /* runtime's list; under its lock */

    _Atomic(struct on_end *) on_end;     /* worker/on_end.c */
    struct on_end *to_call;              /* by who ends it */
    weft_job *next_to_tell;              /* in the ending thread's queue */
    _Atomic(const struct self *) teller; /* who calls it */

    /* A pool's, under its lock. */
    uint64_t number;    /* in the pool, from 1; 0 = it has not come there yet */
    uint64_t submitter; /* the number of the job that submitted it; 0 = none */
    unsigned retries;   /* left: after a worker's death */
    unsigned function;  /* its number in the pool */
    struct seat *seat;  /* the worker that has it; changed under lock too */

    weft_scope *scope; /* NULL = none */
    struct list in_scope;

    /* Read-only after the start. */
    const char *name;
    weft_job *after; /* a reference until it begins; NULL = none */
    weft_duration delay, timeout, grace;
    int parent; /* tid of who started it */

    /* The worker's while it runs; read-only after the end. */
    _Atomic int tid;       /* of its worker; 0 before */
    _Atomic unsigned slot; /* the worker's; 0 = none */
    _Atomic int64_t begun;
    weft_job *outer; /* while it runs: the job around it in its thread */
    char *result;    /* result_size bytes within the block, or the kind's */
    struct job_call call;
    weft_outcome outcome;
    struct recorded recorded;

    /* From here on nothing is written for a job that needs none of it: memory
     * that is used again comes with all of this as it is to begin with. */
    struct job_memory memory;
    weft_job *next_attended;
    struct timer timer;
    struct list watches; /* under lock */
    int fd;              /* under lock; -1 until asked for */
    char *text;          /* under lock; NULL until asked for */
    char *output;        /* that is the job's own */
    char *argument;      /* that it took */
    weft_job *died_in;   /* the worker that died of it, a reference */
    struct on_end follow;
    int64_t due; /* written before DUE, read in it */
    sigset_t mask;
    _Alignas(16) char block[]; /* argument, result, name */
};

/* A hint: it has not begun. */
static inline bool
job_only_waits(const weft_job *job)
{
    return atomic_load_explicit(&job->phase, memory_order_relaxed) == JOB_READY;
}

/* Whether nothing of the library's is under way that will end it: it waits for
 * another job, or for somebody to keep it. */
static inline bool
job_is_pending(const weft_job *job)
{
    const uint32_t phase = atomic_load(&job->phase);

    return phase <= JOB_WAITING ||
           (job->kind == WEFT_PROMISE && phase == JOB_READY);
}

static inline bool
job_has_ended(const weft_job *job)
{
    return atomic_load_explicit(&job->ended.value, memory_order_acquire) != 0;
}

/* What is written for every job. */
enum {
    JOB_HOT = offsetof(struct weft_job, memory)
};

/* A job with one reference, copying what the task holds. NULL: no memory. */
weft_job *job_new(const struct task_way *way, const weft_task *task,
                  const char *name);

/* Begins now or after its delay. */
int job_launch(weft_job *job);

/* Whether a READY job was asked to stop: then it is CANCELED, and only job_end
 * is left to do. By who would run it, as the next. */
bool job_is_canceled(weft_job *job);

/* Begins a READY job that could not begin at its start: what goes wrong is how
 * it ends. The second: it has. */
void job_begin_late(weft_job *job);
void job_cannot_begin(weft_job *job);

/* READY -> BEGUN; its time, and its timeout, began at `when`. */
void job_begun(weft_job *job, int64_t when);

/* Ends it: the outcome is complete but for status, which is made from what
 * happened. Gives the reference back that the runtime held. */
void job_end(weft_job *job);

/* A job that could not be launched leaves the runtime's list; whoever found it
 * there meanwhile and waits for it goes on. */
void job_never_was(weft_job *job);

/* Fills in how a function's return, `code`, ended the job. */
void job_returned(weft_job *job, int code);

/* The kind's checks and preparations, before anything is made or begun. */
int job_check(weft_kind kind, const weft_task *task);

/* Asks it to stop. Signal-safe. */
void job_ask(weft_job *job, enum job_stop reason);

/* In the service thread: what a stop request still needs. */
void job_attend(weft_job *job);
void job_timer(struct timer *timer);

/* Whether the calling thread runs the job, or a job around it. */
bool job_is_mine(const weft_job *job);

/* Waits for its end. 0, WEFT_ETIMEDOUT, WEFT_ECANCELED; no sentence. */
int job_wait(weft_job *job, int64_t until, bool stubborn);

/* The library's own references, which keep the memory and nothing else. A
 * failure is reported when the last handle goes, or at the end if that comes
 * later. */
weft_job *job_keep(weft_job *job);
void job_drop(weft_job *job);

/* Marks the outcome as known. */
static inline void
job_see(weft_job *job)
{
    atomic_store_explicit(&job->seen, true, memory_order_relaxed);
}

/* How a failed job's call failed: EFAILED or EDIED, with the sentence. */
int job_failure(weft_job *job);

#endif
