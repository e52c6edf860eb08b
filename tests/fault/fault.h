/* The harness that kills a worker at every instruction of an operation on a
 * shared object, while others work on the same object. An operation is a row of
 * a table; the tables are in the files named after what they try. */
#ifndef FAULT_FAULT_H
#define FAULT_FAULT_H

#include <weft/weft.h>

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

enum {
    HEIRS = 2,
    TIMES = 1024,
    MS = 1000000,    /* ns, as the others */
    LATE = 500 * MS, /* nobody waits so long but by the net of a second */
    PAUSE = 50000    /* between two rounds of the companion */
};

#define STUCK INT64_C(3000000000)

/* What a helper process is told, and says. */
struct helper {
    struct arena *arena;
    unsigned index;
    _Atomic uint32_t order; /* its number */
    _Atomic uint32_t begun, done;
    _Atomic int pid;
    _Atomic int right;    /* what it did went as it should */
    _Atomic int64_t time; /* when it was done */
};

/* In the shared heap: everything that the processes have in common. */
struct arena {
    /* The objects, made anew for each operation. */
    weft_mutex mutex, other;
    weft_rwlock rwlock;
    weft_cond cond;
    weft_semaphore semaphore;
    weft_event event, gate;
    weft_barrier barrier;
    weft_once once;
    weft_queue *queue;
    char *_Atomic block;

    /* What the objects guard. */
    _Atomic unsigned a, b; /* the same, but within the lock */
    _Atomic int flag, runs, finished;
    _Atomic int held;     /* by the main process */
    uint32_t put, got;    /* items, by it */
    size_t used;          /* bytes of the heap, at first */
    unsigned left;        /* blocks that the dead had been given */
    unsigned long stride; /* from point to point */

    /* The machinery's own. */
    const struct operation *operation;
    _Atomic int victim;              /* its pid, once it is ready */
    _Atomic uint32_t go;             /* for it */
    _Atomic uint32_t pause, idle;    /* odd: the companion is to pause */
    _Atomic uint32_t rounds, failed; /* of the companion */
    _Atomic int64_t times[TIMES];    /* of its last rounds */
    struct helper companion, heirs[HEIRS];
};

/* All may be NULL but `operate` and `check`. The companion is idle in `prepare`
 * and `check`. */
struct operation {
    const char *name;
    void (*prepare)(struct arena *arena); /* by the main process */
    void (*operate)(struct arena *arena); /* the victim */
    void (*unblock)(struct arena *arena); /* does what the victim waits for */

    /* The main process does what the heirs need, other than help after a
     * death. A sentence: it could not. */
    const char *(*settle)(struct arena *arena);
    bool (*others)(struct arena *arena);       /* a round of the companion */
    bool (*inherit)(struct arena *arena);      /* an heir; in time or never */
    const char *(*check)(struct arena *arena); /* what is wrong, or NULL */
    unsigned heirs; /* that sleep when the victim begins, or with `granted` when
                       it sleeps */
    bool granted;   /* the victim dies only after it was woken */
    bool at_once;   /* the companion goes on before the main process settles */
};

extern const struct operation mutex_operations[], rwlock_operations[],
    semaphore_operations[], cond_operations[], barrier_operations[],
    event_operations[], once_operations[], heap_operations[],
    queue_operations[];

/* --- victim.c: what is stepped */

enum reached {
    REACHED, /* stands where it is to die */
    ENDED,   /* the operation was over before */
    ASTRAY   /* it ended, or does not come back */
};

struct victim {
    weft_job *job;
    int pid;
};

void victim_ready(void); /* once */
bool victim_start(struct victim *victim, struct arena *arena);

/* Steps so many instructions from the operation's beginning, or with `granted`
 * from where it was woken. `sleeps` is called when it first sleeps there. */
enum reached victim_step(struct victim *victim, struct arena *arena,
                         unsigned long count, void (*sleeps)(struct arena *));

/* By the victim: the operation begins or ends here. */
void victim_mark(void);

/* Kills and joins it; false: it cannot be joined, or ended otherwise. */
bool victim_end(struct victim *victim);

/* --- helper.c: those who live */

void helpers_ready(void); /* once */
void helpers_start(struct arena *arena);
void helpers_end(struct arena *arena);

/* The companion stands still; false: it does not, for STUCK. */
bool companion_pause(struct arena *arena);
void companion_resume(struct arena *arena);

/* Since `start`, how long until two rounds have passed; < 0: STUCK. */
int64_t companion_goes_on(struct arena *arena, uint32_t rounds, int64_t start);

/* An heir begins to inherit, and perhaps sleeps. */
void heir_order(struct arena *arena, unsigned heir);
void heir_order_asleep(struct arena *arena, unsigned heir);
bool heir_is_done(struct arena *arena, unsigned heir);

/* How long after `start` it was done; < 0: STUCK. */
int64_t heir_await(struct arena *arena, unsigned heir, int64_t start);

/* --- for all */

int64_t fault_now(void);
void fault_nap(int64_t ns);
char fault_state(int pid);        /* 'S': it sleeps */
weft_time fault_soon(int64_t ns); /* a deadline */

/* Under a lock, `status` being what its taking returned: whether a and b are
 * the same, but for a holder that died. Makes them so. */
bool fault_guarded(struct arena *arena, int status);
void fault_change(struct arena *arena);

#endif
