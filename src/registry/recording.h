/* The layout of a recording: what the recorder writes and every reader finds.
 *
 * The file is made of chunks of 64 KiB. Chunk 0 is the header; each other one
 * is claimed by one thread, by an atomic increment of header.claimed, and from
 * then on written by that thread alone, through a shared mapping. So all of it
 * is readable after a kill at any moment; nothing has to be closed. While the
 * program records, or if it was killed, the file is sparse and longer than what
 * was used: what counts is header.claimed. After a stop it is cut to that.
 *
 *   chunk 0         struct recording_header, the rest is empty
 *   chunk n > 0     struct recording_chunk, then 2032 records of 32 bytes
 *
 * A chunk whose magic is not there was never written (its claimer was killed,
 * or the disk was full) and is skipped. Chunks of one thread need not lie
 * together; `sequence` orders them.
 *
 * A record is 8 bytes of head and three words. The head is stored last, whole
 * and with release: type 0 = not written (yet), to be skipped. `used` is how
 * many records were begun. What has a duration is written when it begins, with
 * 0 as its end, which is filled in later: an end of 0 was never reached, since
 * the thread was killed, or the recording stopped, before.
 *
 * Times are ticks of header.clock, but those of RECORD_RUN, which are
 * nanoseconds of CLOCK_MONOTONIC; recording_ns makes the one of the other.
 * Those of two CPUs may disagree by some ten nanoseconds.
 *
 * A task's id is 64 bits, unique in the file, never 0:
 *
 *   bits 56..63     session, the same throughout a file
 *   bits 32..55     first chunk of the writer that made the id: the thread that
 *                   submitted the task, or, if that was not recording, ran it
 *   bits  0..31     count; 0: the thread itself, outside of any task. Such an
 *                   id has no RECORD_TASK; it stands for the writer of that
 *                   chunk, as parent of what its thread submits and as joiner
 *
 * A name is the number of its RECORD_NAME: its offset in the file / 32. 0 =
 * none. Names may be defined several times, at least once by each writer.
 *
 * Nothing here can be trusted by a reader: a file may be cut, torn, forged.
 * Numbers are of the writer's byte order, which header.byte_order tells. */
#ifndef REGISTRY_RECORDING_H
#define REGISTRY_RECORDING_H

#include <stddef.h>
#include <stdint.h>

enum {
    RECORDING_VERSION = 1,
    RECORDING_BYTE_ORDER = 0x01020304,
    RECORDING_HEADER = 4096, /* bytes of the header that mean something */
    RECORDING_CHUNK = 64 << 10,
    RECORDING_CHUNK_HEAD = 512,
    RECORDING_RECORD = 32,
    RECORDING_PER_CHUNK =
        (RECORDING_CHUNK - RECORDING_CHUNK_HEAD) / RECORDING_RECORD,
    RECORDING_NAME = 255, /* bytes that a name has at most, without an end */
    RECORDING_COMMAND = 2048
};

#define RECORDING_MAGIC       UINT64_C(0x0a63657274666577) /* "weftrec\n" */
#define RECORDING_CHUNK_MAGIC 0x6b6e6863u                  /* "chnk" */

/* --- the header */

enum recording_state {
    RECORDING_RUNS = 1, /* or the program was killed */
    RECORDING_STOPPED = 2
};

enum recording_clock {
    RECORDING_TSC = 1,      /* of the CPU; see `first` and `last` */
    RECORDING_MONOTONIC = 2 /* ticks are nanoseconds */
};

enum recording_cpu {
    RECORDING_CPU_UNKNOWN,  /* killed before it was found out: as estimated */
    RECORDING_CPU_MEASURED, /* there are RECORD_RUNs, of all threads */
    RECORDING_CPU_ESTIMATED /* there are RECORD_CPUs, of the longer tasks */
};

/* The two clocks at one moment. */
struct recording_point {
    uint64_t ticks;
    int64_t ns; /* CLOCK_MONOTONIC */
};

/* Words marked * change while the program records; all others are written
 * before the magic is, which comes last. */
struct recording_header {
    uint64_t magic;
    uint32_t version;
    uint32_t byte_order;
    uint32_t header_size, chunk_size, chunk_head, record_size;
    uint32_t clock;   /* enum recording_clock */
    uint32_t session; /* 1..255 */
    int32_t pid;      /* of the program */
    uint32_t cpus;    /* that it may use: affinity, control groups, WEFT_CPUS */
    uint32_t cpus_of_system;
    uint32_t state;     /* * enum recording_state */
    uint32_t on_cpu;    /* * enum recording_cpu */
    uint32_t full;      /* * 0, or errno of why there was no more room: ENOSPC,
                           EFBIG for the largest size allowed, ENOMEM */
    int64_t wall_start; /* CLOCK_REALTIME, ns */
    int64_t wall_stop;  /* * 0: was not stopped */
    int64_t start;      /* CLOCK_MONOTONIC, ns */
    int64_t stop;       /* * 0: was not stopped */
    uint64_t room;      /* bytes that the file may have */
    struct recording_point first;   /* at the start */
    struct recording_point last[2]; /* * about 10 times a second; the one that
                                       counts is last[latest & 1] */
    uint32_t latest;                /* * */
    uint32_t unused;
    int64_t runs_from;  /* * RECORD_RUNs are complete from here, ns; 0: none */
    int64_t runs_until; /* * to here */
    uint64_t runs_lost; /* * switches that the kernel could not hand over */
    uint64_t lost;      /* * records for which there was no room */
    char padding[64];
    uint32_t claimed; /* * chunks, the header included, ever claimed: those
                         beyond `room` never became anything */
    char padding2[252];
    char command[RECORDING_COMMAND]; /* words, each with its end, then an empty
                                        one; cut if it is longer */
};

/* --- chunks */

enum recording_chunk_kind {
    RECORDING_WORKER = 1, /* a thread's own records */
    RECORDING_KERNEL = 2  /* RECORD_RUNs, of all threads */
};

struct recording_chunk {
    uint32_t magic;    /* stored last */
    uint32_t kind;     /* enum recording_chunk_kind */
    uint32_t first;    /* the writer: number of its first chunk, in ids too */
    uint32_t sequence; /* among the writer's chunks, from 0 */
    int32_t pid, tid;
    uint32_t slot;  /* in the registry; 0 = none. Used again by others later */
    uint32_t used;  /* * records begun */
    uint32_t flags; /* enum recording_writer */
    char unused[28];
    char name[256];    /* of the thread when it claimed the chunk */
    char process[192]; /* its process's, cut if longer */
};

enum recording_writer {
    RECORDING_MAIN = 1,    /* the main thread of its process */
    RECORDING_PROCESS = 2, /* of a process worker, not of the program itself */
    RECORDING_ADOPTED = 4, /* not started by weft */
    RECORDING_SERVICE = 8  /* the library's own */
};

/* --- records */

enum record_type {
    RECORD_NONE,
    RECORD_NAME,
    RECORD_TASK,
    RECORD_SPAWN,
    RECORD_AFTER,
    RECORD_CPU,
    RECORD_JOIN,
    RECORD_WAIT,
    RECORD_SPAN,
    RECORD_MARK,
    RECORD_COUNTER,
    RECORD_RUN,
    RECORD_DIED,
    RECORD_TYPES /* a reader skips what it does not know */
};

/* In the writer's order of bytes; stored as one word. */
struct record_head {
    uint8_t type;  /* enum record_type */
    uint8_t flags; /* by type */
    uint16_t cpu;  /* where the thread was; RECORD_NO_CPU = not known */
    uint32_t name; /* 0 = none */
};

#define RECORD_NO_CPU 0xffffu

/* RECORD_TASK: flags: who ran it, and how it ended. Tasks of a thread nest: one
 * that waits may run another meanwhile (helping, serial jobs, fork/join
 * regions); what is recorded belongs to the innermost. */
enum record_task_flags {
    RECORD_TASK_KIND = 0x0f,
    RECORD_THREAD = 1, /* weft_start of a thread */
    RECORD_PROCESS = 2,
    RECORD_SERIAL = 3,
    RECORD_POOLED = 4, /* submitted to a pool */
    RECORD_REGION = 5, /* weft_enter, loops and sorts: fork/join */
    RECORD_PIECE = 6,  /* a fork that was stolen. Forks that were not are part
                          of the region or piece that made them */
    RECORD_FAILED = 0x10
};

struct record_task {
    struct record_head head; /* of the task; cpu: at its beginning */
    uint64_t id;
    uint64_t begin;
    uint64_t end; /* * */
};

/* RECORD_SPAWN: of the RECORD_TASK right before it, in the same chunk. A task
 * without one was submitted before the recording began. */
struct record_spawn {
    struct record_head head; /* cpu, name: none */
    uint64_t parent;         /* task, or thread, that submitted it */
    uint64_t spawned; /* the submission; of a piece: when it was stolen */
    uint64_t ready;   /* from when on nothing but a worker was missing:
                         what it comes after has ended, its delay has
                         passed */
};

/* RECORD_AFTER: the task could begin only when `on` had ended (task.after). */
struct record_after {
    struct record_head head;
    uint64_t task;
    uint64_t on;
    uint64_t when; /* it had */
};

/* RECORD_CPU: at the end of a task, what the thread's CPU clock says: of tasks
 * of more than 100 us. Includes tasks nested in it. */
struct record_cpu {
    struct record_head head;
    uint64_t task;
    uint64_t on_cpu; /* ns */
    uint64_t wall;   /* ns, from begin to end */
};

/* RECORD_JOIN: `joiner` went on only after `joined` had ended, from `when` on.
 * If it had to wait there is a RECORD_WAIT too. */
struct record_join {
    struct record_head head;
    uint64_t joiner; /* task or thread */
    uint64_t joined;
    uint64_t when;
};

/* RECORD_WAIT: the thread slept. flags: enum record_wait_kind; name: the
 * object's label; cpu: not that, but the registry slot of who held the object
 * when the wait began, 0 = none known. */
enum record_wait_kind {
    RECORD_WAIT_SLEEP = 1,
    RECORD_WAIT_JOIN, /* object: tid of the worker */
    RECORD_WAIT_SCOPE,
    RECORD_WAIT_ANY,  /* object: of how many */
    RECORD_WAIT_WORK, /* the library's own, between two tasks: the worker is
                         idle; or for a fork that was stolen */
    RECORD_WAIT_PIPE,
    RECORD_WAIT_MUTEX,
    RECORD_WAIT_READ, /* of a rwlock */
    RECORD_WAIT_WRITE,
    RECORD_WAIT_COND,
    RECORD_WAIT_NOTIFY,
    RECORD_WAIT_SEMAPHORE,
    RECORD_WAIT_EVENT,
    RECORD_WAIT_BARRIER,
    RECORD_WAIT_ONCE,
    RECORD_WAIT_PUT, /* into a queue */
    RECORD_WAIT_GET,
    RECORD_WAIT_DONE, /* until a queue's items are */
    RECORD_WAIT_KINDS
};

struct record_wait {
    struct record_head head;
    uint64_t begin;
    uint64_t end;    /* * */
    uint64_t object; /* address in that process, or a number */
};

/* RECORD_SPAN: weft_span_begin to weft_span_end, within one thread. */
struct record_span {
    struct record_head head;
    uint64_t begin;
    uint64_t end;  /* * */
    uint64_t task; /* or thread */
};

/* RECORD_MARK, RECORD_COUNTER. */
struct record_value {
    struct record_head head;
    uint64_t when;
    int64_t value;
    uint64_t task;
};

/* RECORD_RUN: a thread was on a CPU; in chunks of kind RECORDING_KERNEL, in
 * order of `begin` for each CPU. In ns of CLOCK_MONOTONIC. head.cpu: which;
 * head.name: not that, but the tid. A thread without any was on a CPU all the
 * time if it recorded anything. */
enum record_run_flags {
    RECORD_PREEMPTED = 1, /* at its end it wanted to go on */
    RECORD_SINCE = 2      /* it was on the CPU before `begin` already */
};

struct record_run {
    struct record_head head;
    int64_t begin;
    int64_t end; /* * 0: still on it, up to header.runs_until */
    int64_t pid;
};

/* RECORD_DIED: the task, whose end is 0, ended then, as others saw: its process
 * exited or was killed. flags: RECORD_FAILED or 0. */
struct record_died {
    struct record_head head;
    uint64_t task;
    uint64_t when;
    int64_t pid;
};

/* RECORD_NAME: head.cpu: bytes of text, at most RECORDING_NAME. The text begins
 * here and goes on through the following records, which have no head of their
 * own, in the same chunk. UTF-8, no end, no control characters if the program
 * was honest. */
struct record_name {
    struct record_head head;
    char text[24];
};

union record {
    struct record_head head;
    struct record_name name;
    struct record_task task;
    struct record_spawn spawn;
    struct record_after after;
    struct record_cpu on_cpu;
    struct record_join join;
    struct record_wait wait;
    struct record_span span;
    struct record_value value;
    struct record_run run;
    struct record_died died;
};

_Static_assert(sizeof(struct recording_header) <= RECORDING_HEADER,
               "the header is a page");
_Static_assert(offsetof(struct recording_header, claimed) % 64 == 0,
               "all processes count there");
_Static_assert(sizeof(struct recording_chunk) == RECORDING_CHUNK_HEAD,
               "records begin after it");
_Static_assert(sizeof(union record) == RECORDING_RECORD, "a record");

/* Records that a name of so many bytes takes. */
static inline uint32_t
record_name_units(uint32_t length)
{
    return length <= 24 ? 1 : 1 + (length - 24 + 31) / 32;
}

/* The thread that made the id, and whether it is that thread itself. */
static inline uint32_t
record_id_chunk(uint64_t id)
{
    return (uint32_t)(id >> 32) & 0xffffffu;
}

static inline int
record_id_is_thread(uint64_t id)
{
    return (uint32_t)id == 0;
}

static inline uint64_t
record_id(uint32_t session, uint32_t chunk, uint32_t count)
{
    return (uint64_t)(session & 0xffu) << 56 |
           (uint64_t)(chunk & 0xffffffu) << 32 | count;
}

static inline int
record_wait_is_for_lock(unsigned kind)
{
    return kind == RECORD_WAIT_MUTEX || kind == RECORD_WAIT_READ ||
           kind == RECORD_WAIT_WRITE;
}

/* Ticks in ns of CLOCK_MONOTONIC. */
static inline int64_t
recording_ns(const struct recording_header *header, uint64_t ticks)
{
    const struct recording_point *a = &header->first;
    const struct recording_point *b = &header->last[header->latest & 1];
    const int64_t since = (int64_t)(ticks - a->ticks);
    const int64_t span = (int64_t)(b->ticks - a->ticks);

    if (header->clock != RECORDING_TSC)
        return (int64_t)ticks;
    if (span <= 0)
        return a->ns;
    return a->ns + (int64_t)((long double)since * (long double)(b->ns - a->ns) /
                             (long double)span);
}

#endif
