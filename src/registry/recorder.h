/* The recorder: what each thread does is written into the file while it does
 * it. The layout of that is in recording.h; where the file is, room.h.
 *
 * Whether a recording is on says one word, which all processes of the program
 * share: it lies in the registry's header. So every hook is a look at it, and
 * costs nothing else while it is off. The calls below may be made whether it is
 * on or not; the inline ones look first. None of them fails: what there is no
 * room for is counted. None is for signal handlers, and only the first kind may
 * be called with locks held.
 *
 * Recursive fork/join is folded, or recording it would cost more than doing it:
 * a region (weft_enter, loops, sorts) is one task, each fork that another
 * worker has stolen is one, and all others belong to who made them. */
#ifndef REGISTRY_RECORDER_H
#define REGISTRY_RECORDER_H

#include "registry/recording.h"
#include "registry/self.h"

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

/* In the word, which else is the session: 0 = nothing is recorded. */
#define RECORDER_ASKED 0x80000000u /* somebody wants it begun or ended */

extern _Atomic(_Atomic uint32_t *) recorder_word;

static inline bool
recorder_is_on(void)
{
    _Atomic uint32_t *word =
        atomic_load_explicit(&recorder_word, memory_order_relaxed);

    return __builtin_expect(
        atomic_load_explicit(word, memory_order_relaxed) != 0, 0);
}

/* --- tasks */

/* Of one task, in whoever keeps it; all-zero: it is not recorded. */
struct recorded {
    _Atomic uint64_t id;             /* read by who joins it, too */
    uint64_t parent, spawned, ready; /* ready 0: when it was submitted */
    uint64_t after;                  /* the task that it comes after */
    uint64_t open;                   /* its record, while it runs */
    uint64_t outer;                  /* what its thread did before */
};

/* An id that is no session's: what has it is never recorded. */
#define RECORDER_NEVER UINT64_MAX

void recorder_submit(struct recorded *task);
void recorder_steal(struct recorded *task, uint64_t parent);
void recorder_make_ready(struct recorded *task);
void recorder_begin(struct recorded *task, enum record_task_flags kind,
                    const char *name);
void recorder_end(struct recorded *task, bool failed);
void recorder_on_cpu(const struct recorded *task, int64_t on_cpu, int64_t wall);
void recorder_join(uint64_t id);

static inline void
record_not(struct recorded *task)
{
    atomic_store_explicit(&task->id, RECORDER_NEVER, memory_order_relaxed);
}

/* The calling thread runs it, but it is the library's own business: takes back
 * what was recorded of it. */
void recorder_retract(struct recorded *task);

static inline void
record_retract(struct recorded *task)
{
    if (task->open != 0)
        recorder_retract(task);
    record_not(task);
}

/* The calling thread has submitted it, for no one else to begin before. */
static inline void
record_submit(struct recorded *task)
{
    if (recorder_is_on())
        recorder_submit(task);
}

/* What the calling thread does: a task, or itself; 0: nothing is recorded. */
uint64_t recorder_task(void);

static inline uint64_t
record_id_of(const struct recorded *task)
{
    return atomic_load_explicit(&task->id, memory_order_relaxed);
}

/* What it had to wait for has come. */
static inline void
record_ready(struct recorded *task)
{
    if (recorder_is_on())
        recorder_make_ready(task);
}

/* The calling thread begins it, and has ended it. They nest. */
static inline void
record_begin(struct recorded *task, enum record_task_flags kind,
             const char *name)
{
    if (recorder_is_on())
        recorder_begin(task, kind, name);
}

static inline void
record_end(struct recorded *task, bool failed)
{
    if (__builtin_expect(task->open != 0, 0))
        recorder_end(task, failed);
}

/* After record_end: how long it was on a CPU, in ns, and how long it took. */
static inline void
record_on_cpu(const struct recorded *task, int64_t on_cpu, int64_t wall)
{
    enum {
        WORTH_IT = 100000
    };

    if (__builtin_expect(record_id_of(task) != 0, 0) && wall > WORTH_IT)
        recorder_on_cpu(task, on_cpu, wall);
}

/* It ended without saying so: its process died. */
void record_died(const struct recorded *task, bool failed);

/* The calling task goes on since the other one has ended. */
static inline void
record_join(const struct recorded *task)
{
    const uint64_t id = record_id_of(task);

    if (__builtin_expect(id != 0, 0))
        recorder_join(id);
}

/* --- waits; by the thread that waits, around its sleep */

void record_wait(struct self *self, unsigned kind, const void *object,
                 unsigned holder);
void record_wait_over(struct self *self);

/* --- the library's own business */

/* In the calling process, if the program records and it has not yet seen that:
 * opens the file, and has room for a while. For workers before they give up
 * the right to open files. */
void recorder_look(void);

/* Begins as WEFT_TRACE says, once in the life of a program. */
void recorder_open(void);

void recorder_thread_ends(struct self *self);

/* In a fresh copy of the process, after the registry's registry_forked. */
void recorder_forked(bool ours);

/* 1 while the recorder has a thread of its own, else 0. */
int recorder_has_thread(void);

#endif
