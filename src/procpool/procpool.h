/* The process pool: tasks wait in one list, in order of submission, and are
 * offered to workers, each a process of its own with a channel of its own.
 *
 * Nobody waits for a worker but by looking at its channel: a joiner who spins
 * collects what it finds there, and otherwise the library's service thread
 * does, when the worker rings. Whoever collects offers the next tasks.
 *
 * A worker is a job of kind WEFT_PROCESS, a daemon, whose function serves the
 * channel; its end, with the exact outcome, comes from that job. What it had
 * begun has died with it; what it had only been offered goes elsewhere. */
#ifndef PROCPOOL_PROCPOOL_H
#define PROCPOOL_PROCPOOL_H

#include "exec/exec.h"
#include "exec/intake.h"
#include "procpool/channel.h"
#include "procpool/functions.h"
#include "worker/options_copy.h"
#include "worker/service.h"

enum {
    SEATS = 8192 /* ever made: one a worker that lives at the same time, and a
                    few more while somebody still looks at a dead one's */
};

/*   VACANT -> STARTING          who makes a worker
 *   STARTING -> IDLE, VACANT    the same
 *   IDLE -> BUSY                who offers it a task
 *   BUSY -> IDLE, LEAVING       who collects its last answer
 *   IDLE, BUSY -> LEAVING       who heeds its certificate
 *   IDLE -> LEAVING             who has found it superfluous
 *   any but VACANT -> DEAD      its end
 *   DEAD -> VACANT              the last who works on the channel */
enum seat_state {
    SEAT_VACANT,
    SEAT_STARTING,
    SEAT_IDLE,
    SEAT_BUSY,
    SEAT_LEAVING,
    SEAT_DEAD
};

/* How far the stop of the task that it runs has gone. */
enum seat_stage {
    STAGE_NONE,
    STAGE_ASKED,
    STAGE_TERMINATED,
    STAGE_KILLED
};

/* A worker's place in the pool. All under the pool's lock but where said. */
struct seat {
    struct process_pool *pool;
    struct service_source source; /* its bell */
    struct on_end at_end;         /* of the worker */
    enum seat_state state;
    unsigned busy;             /* who works on the channel without the lock */
    _Atomic unsigned visitors; /* joiners that look at the channel */
    struct wait_word look;     /* how their spinning went */
    weft_job *worker;          /* a reference; NULL while VACANT */
    char *map;                 /* CHANNEL_MAPPED bytes; stays while anybody may
                                  look, until the seat is used anew */
    int file, bell;
    size_t room; /* bytes for an argument or a result */
    int pid;
    unsigned slot;
    uint32_t head, tail; /* last number offered, and answered */
    uint32_t unsent;     /* whose argument is being copied; 0 = none */
    weft_job *jobs[CHANNEL_TASKS];         /* NULL: retracted */
    uint32_t functions[CHANNEL_FUNCTIONS]; /* that the channel has */
    bool large;                            /* the argument area is in use */
    bool unprepared; /* the preparation's answer is to come */
    bool answered;   /* it has ended a task */
    bool dying;      /* certificates.h, as the next */
    const _Atomic uint32_t *certificate; /* NULL: not watched */
    bool collecting;                     /* somebody takes a large result */
    enum seat_stage stage;
    unsigned given; /* tasks, in all */
    uint64_t base;  /* private bytes at its start; 0 = not looked */
    int statm;
    int64_t since;    /* when it became idle, or began with a task */
    struct list link; /* in `idle` */
};

struct process_pool {
    weft_pool face; /* first */
    int owner;      /* the process that opened it */
    weft_duration idle_time, grace;
    sigset_t mask; /* of who opened it: its workers' */
    unsigned max_tasks;
    size_t recycle;
    struct options_copy options;
    size_t room;               /* bytes for an argument or a result */
    struct serve_terms *terms; /* what every worker is given */
    size_t terms_size;

    struct intake in;  /* its lock is also that of what follows */
    struct list ready; /* jobs that wait for a worker */
    struct list idle;  /* seats, the last first to be used */
    struct functions functions;
    unsigned live;         /* workers that are not DEAD or LEAVING */
    unsigned size;         /* as many as are kept: what work has asked for */
    unsigned alive;        /* seats that are not VACANT */
    unsigned names;        /* given to workers */
    unsigned early_deaths; /* in a row, of workers that had answered nothing */
    int64_t again;         /* no worker is made before then */
    int64_t pace;          /* ns a task takes, about */
    bool stopping;         /* close has given up waiting */
    int64_t looks;         /* when the timer fires; 0 = it is not set */
    bool over;             /* all workers are gone for good */
    bool guarded;          /* by a hidden thread; certificates.h */
    _Atomic uint32_t changes; /* that it is to see; a futex's value */
    struct timer timer;       /* for idle workers, and for the next try */
    unsigned seat_count;
    struct seat *seats[SEATS];
};

/* What a worker is told. Then the bytes of the preparation's argument. */
struct serve_terms {
    uint64_t room;
    uint32_t fd_count; /* the user's; then file and bell */
    uint32_t cpus;     /* that it should use */
    bool prepares;
    bool copied; /* of the program, not executed anew */
    uint64_t prepare_size, prepare_room;
    struct image_ref prepare;
};

extern const struct job_kind process_pool_job_kind;

static inline struct process_pool *
process_pool(weft_pool *pool)
{
    return (struct process_pool *)(void *)pool;
}

static inline struct channel_door *
seat_door(const struct seat *seat)
{
    return (struct channel_door *)(void *)(seat->map + CHANNEL_DOOR_AT);
}

static inline struct channel_desk *
seat_desk(const struct seat *seat)
{
    return (struct channel_desk *)(void *)(seat->map + CHANNEL_DESK_AT);
}

static inline struct channel_answer *
seat_answer(const struct seat *seat, unsigned place)
{
    return (struct channel_answer *)(void *)(seat->map +
                                             channel_answer_at(place));
}

static inline struct channel_answer *
seat_fresh(const struct seat *seat, unsigned place)
{
    return (struct channel_answer *)(void *)(seat->map + CHANNEL_FRESH_AT) +
           place;
}

/* --- serve.c: the worker's function */

int serve(weft_call *call);

/* --- seats.c: workers come and go */

/* Whether workers are to be made now. Under the lock. */
bool seats_lack(const struct process_pool *pool);

/* Makes them. Error: there is none at all. Not under the lock. */
int seats_need(struct process_pool *pool);

/* Whether it has had all tasks that a worker is given. Under the lock. */
bool seat_is_used_up(const struct seat *seat);

/* The worker has nothing to do now: it waits, or goes. Under the lock. */
void seat_rest(struct seat *seat);

/* The same, at once. Under the lock. */
void seat_dismiss(struct seat *seat);

/* Its worker is dead, and its channel empty. Under the lock. */
void seat_vacate(struct seat *seat);

/* Whoever worked on its channel without the lock, and so is counted in `busy`,
 * has ended: the last one buries a worker that died meanwhile. Under the lock.
 */
void seat_left(struct seat *seat, struct list *ended);

/* Superfluous idle workers go, and what waits is tried again. Under the lock.
 */
void seats_trim(struct process_pool *pool);

/* Sees to it that what waits is offered again then. Under the lock. */
void seats_look_again(struct process_pool *pool, int64_t at);

/* Once nobody uses it: gives everything back. */
void seats_free(struct process_pool *pool);

/* --- death.c */

/* What a dead worker had begun ends; what it had not goes back into the list.
 * Under the lock. */
void seat_bury(struct seat *seat, struct list *ended);

/* Refuses tasks from now on, and those that wait. Under the lock. */
void pool_refuse(struct process_pool *pool, const char *what, const char *why,
                 struct list *ended);

/* --- offer.c: what goes into a channel */

/* Offers what waits to who is free. Under the lock, which it may give back
 * meanwhile; what fails goes into `ended`, for collect_end. */
void offer_all(struct process_pool *pool, struct list *ended);

/* The job is no worker's any more, and as if it had not begun. Under the lock.
 */
void offer_unseat(weft_job *job);

/* Takes a task back that its worker has not begun. Under the lock. */
bool offer_retract(struct seat *seat, weft_job *job);

/* The place of its argument is free again, and the memory given back. */
void offer_forget_argument(struct seat *seat, const weft_job *job);

/* Takes all back that the worker of this seat has not begun, into the front of
 * the list. Under the lock. */
void offer_retract_all(struct seat *seat);

/* --- collect.c: what comes out of it */

/* Takes the answers that are there, and offers more. */
void collect(struct seat *seat);

/* The same under the lock, which it may give back meanwhile, and without
 * offering; the jobs go into `ended`, for collect_end. */
void collect_answers(struct seat *seat, struct list *ended);

/* The same, of a dead worker: no more will come. */
void collect_last(struct seat *seat, struct list *ended);

/* A job whose outcome is known goes there. Under the lock. */
void collect_one(struct process_pool *pool, weft_job *job, struct list *ended);

/* One that has not begun, and never will, the same. */
void collect_canceled(struct process_pool *pool, weft_job *job,
                      struct list *ended);

/* Ends them. Not under the lock. */
void collect_end(struct process_pool *pool, struct list *ended);

#endif
