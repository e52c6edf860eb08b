/* What a worker of a process pool and its parent share: a file in memory for
 * each worker, which no other worker has.
 *
 *   part        written by    how
 *   door        both          mapped; with the next all that a task can
 *                             scribble over
 *   fresh       the worker    mapped: answers that nothing has begun after
 *   answers     the worker    pwrite(2) only; the parent maps them
 *   desk        the parent    mapped; the worker maps it read-only
 *   functions   the parent    the same
 *   argument    the parent    the same, as far as CHANNEL_WINDOW
 *   result      the worker    pwrite(2) only; the parent reads it with pread(2)
 *
 * An answer is out of reach of every later task, however wildly that writes:
 * before the worker takes a task it puts those into `answers` that were not
 * collected yet. The parent copies a fresh one, and believes the copy if the
 * next task's claim then still says that it was not begun; else the answer is
 * in `answers`. What was put there is never asked of who collects at once.
 * Either is believed with its seal only: pwrite(2) has no order that a reader
 * of the map could rely on, and what a task scribbles may look like the answer
 * to a later one.
 *
 * The parent keeps what it has offered in memory of its own, and
 * believes an answer no more than its sizes allow.
 *
 * Tasks are numbered from 1, and run in that order. A task's claim lies in the
 * door at its number modulo CHANNEL_TASKS:
 *
 *   before        after        who, and then
 *   older         n OFFERED    the parent, release; after the task's place
 *   n OFFERED     n TAKEN      the worker, CAS, acquire; it runs n
 *   n OFFERED     n RETRACTED  the parent, CAS; n runs elsewhere, or never
 *   n RETRACTED   m OFFERED    the parent, when another task has the place
 *   older         n RETRACTED  the parent: n stands for nothing
 *
 * So exactly one of the two has a task, and one that is OFFERED when its worker
 * dies was never begun. The parent takes anything else but OFFERED for begun.
 *
 * What a task scribbles over a claim must not leave the two waiting for each
 * other, so the desk says again that n was offered, in the task's number, and
 * that later than the claim; and in `retracted`, later too, that it was taken
 * back. A worker that finds n offered, not retracted, and in the claim neither
 * OFFERED nor RETRACTED makes that OFFERED again. One that finds a
 * newer number knows that n was retracted, and goes on to n + 1.
 *
 * Who posts and who sleeps: the worker counts `done` after its answer and then
 * reads desk.visitors, and if there are some desk.sleepers; the parent's
 * collector changes visitors, and sleepers before it sleeps on `done`, and then
 * reads `done`. All sequentially consistent: either the collector sees the
 * answer, or the worker rings, or it wakes one who sleeps, who collects. */
#ifndef PROCPOOL_CHANNEL_H
#define PROCPOOL_CHANNEL_H

#include "base/digest.h"
#include "os/os.h"
#include "registry/recorder.h"
#include "wait/wait.h"
#include "worker/image.h"

#include <stddef.h>

enum {
    CHANNEL_TASKS = 32, /* offered to a worker at a time */
    CHANNEL_FUNCTIONS = 64,
    CHANNEL_INLINE = 320,        /* bytes of an argument on the desk */
    CHANNEL_BYTES = 1024,        /* of a result or message in an answer */
    CHANNEL_LABEL = 64,          /* of a task's name that is shown */
    CHANNEL_WINDOW = 1024 * 1024 /* bytes of an argument that are mapped */
};

_Static_assert((int)CHANNEL_BYTES >= (int)TEXT_MESSAGE, "a message fits");

enum channel_claim {
    CHANNEL_OFFERED,
    CHANNEL_TAKEN,
    CHANNEL_RETRACTED
};

static inline uint32_t
channel_claim(uint32_t number, enum channel_claim state)
{
    return number << 2 | state;
}

static inline unsigned
channel_place(uint32_t number)
{
    return number % CHANNEL_TASKS;
}

/* Why a worker leaves in a hurry. */
enum channel_trouble {
    CHANNEL_CLOSED = 0x636c6f73 /* a task has closed its descriptors */
};

struct channel_door { /* NOLINT(clang-analyzer-optin.performance.Padding) */
    struct wait_word offers; /* changes with every offer: what an idle worker
                                sleeps on */
    _Alignas(64) _Atomic uint32_t done; /* answers given: a hint, and a
                                           futex's value */
    _Atomic uint32_t trouble;           /* enum channel_trouble: a hint */
    _Alignas(64) _Atomic uint32_t claims[CHANNEL_TASKS];
};

struct channel_task {
    _Atomic uint32_t number; /* of the last one whose claim was written; release
                                after that */
    _Atomic uint32_t retracted; /* of the last one that was taken back */
    _Atomic uint32_t stop;      /* 0, or enum job_stop; woken as a futex */
    uint32_t function;          /* its number */
    uint32_t attempt;
    uint64_t arg_at; /* in the shared heap, if it has no bytes; 0 = none */
    uint64_t arg_size, result_size;
    struct recorded recorded;
    char label[CHANNEL_LABEL];
    _Alignas(16) char arg[CHANNEL_INLINE];
};

struct channel_desk {
    _Atomic uint32_t visitors;  /* that collect without being rung for */
    _Atomic uint32_t sleepers;  /* those of them that sleep on `done` */
    _Atomic uint32_t fetched;   /* large results, in all; a futex's value */
    _Atomic uint32_t collected; /* number of the last answer that was */
    _Alignas(64) struct channel_task tasks[CHANNEL_TASKS];
};

struct channel_function {
    uint32_t number;
    struct image_ref ref;
};

enum channel_end {
    CHANNEL_RETURNED = 1,
    CHANNEL_NEVER_BEGAN, /* it was asked to stop before */
    CHANNEL_LOST         /* its function or result could not be had */
};

struct channel_answer {
    _Atomic uint32_t number; /* the task's */
    uint32_t end;            /* enum channel_end */
    int32_t code;
    uint32_t message_size; /* in `bytes`; then there is no result */
    uint64_t result_size;  /* in `bytes` if it fits */
    int64_t wall, cpu;
    uint64_t seal; /* channel_seal */
    char bytes[CHANNEL_BYTES];
};

/* Bytes of it that say something. */
static inline size_t
channel_used(const struct channel_answer *answer)
{
    const size_t message = answer->message_size < CHANNEL_BYTES
                               ? answer->message_size
                               : CHANNEL_BYTES;
    const size_t result = answer->result_size <= CHANNEL_BYTES - message
                              ? (size_t)answer->result_size
                              : 0;

    return offsetof(struct channel_answer, bytes) + message + result;
}

/* Of the answer to this task. One that is just being written, or that was
 * scribbled over, does not bear it. */
static inline uint64_t
channel_seal(const struct channel_answer *answer, uint32_t number)
{
    const size_t head = offsetof(struct channel_answer, end);
    const size_t before = offsetof(struct channel_answer, seal) - head;
    const size_t after = offsetof(struct channel_answer, bytes);
    const uint64_t sum =
        digest_words(DIGEST_START ^ number, &answer->end, before);

    return digest_words(sum, answer->bytes, channel_used(answer) - after);
}

/* One more answer, for the preparation. */
enum {
    CHANNEL_PREPARED = CHANNEL_TASKS,
    CHANNEL_ANSWERS
};

#define CHANNEL_PAGES(size) (((int)(size) + OS_PAGE - 1) / OS_PAGE * OS_PAGE)

enum {
    CHANNEL_DOOR_AT = 0,
    CHANNEL_FRESH_AT = OS_PAGE,
    CHANNEL_ANSWERS_AT =
        CHANNEL_FRESH_AT +
        CHANNEL_PAGES(CHANNEL_TASKS * sizeof(struct channel_answer)),
    CHANNEL_DESK_AT =
        CHANNEL_ANSWERS_AT +
        CHANNEL_PAGES(CHANNEL_ANSWERS * sizeof(struct channel_answer)),
    CHANNEL_FUNCTIONS_AT =
        CHANNEL_DESK_AT + CHANNEL_PAGES(sizeof(struct channel_desk)),
    CHANNEL_ARGUMENT_AT =
        CHANNEL_FUNCTIONS_AT +
        CHANNEL_PAGES(CHANNEL_FUNCTIONS * sizeof(struct channel_function)),
    CHANNEL_MAPPED = CHANNEL_ARGUMENT_AT + CHANNEL_WINDOW /* by the parent */
};

_Static_assert(sizeof(struct channel_door) <= OS_PAGE, "it fits");

/* Bytes into the file; `room` bytes are kept for argument and result each. */
static inline size_t
channel_result_at(size_t room)
{
    return CHANNEL_ARGUMENT_AT + room;
}

static inline size_t
channel_answer_at(unsigned place)
{
    return CHANNEL_ANSWERS_AT + place * sizeof(struct channel_answer);
}

#endif
