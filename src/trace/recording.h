/* A recording in memory: what the file says, checked, sorted and with the sums
 * that pictures and reports need. Made by read.c, completed by metrics.c;
 * read-only afterwards, so any thread may look.
 *
 * Times are nanoseconds since the recording began, never beyond `wall`, and no
 * end lies before its begin. Indexes are within their arrays or NONE. Strings
 * are UTF-8 without control characters, though any other character may be in
 * them: whoever writes a format escapes what is special there.
 *
 * What belongs to a worker lies together in its array, [first, first + count),
 * sorted by begin; of two that begin at once the outer one comes first. */
#ifndef TRACE_RECORDING_H
#define TRACE_RECORDING_H

#include "trace/names.h"

#include <weft/recording.h>

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define RECORDING_NONE UINT32_MAX

/* Who spawns and joins tasks is a task, by its index, or the code of a thread
 * outside of any task: then this bit and the index of the worker. */
#define RECORDING_THREAD 0x80000000u

enum {
    RECORDING_SENTENCE = 256
};

/* A part of one of the arrays. */
struct part {
    uint32_t first, count;
};

/* A thread; of a process worker usually the only one that it has. */
struct recorded_worker {
    const char *name;
    const char *process; /* name of its process */
    int32_t pid, tid;
    bool main;           /* the main thread of its process */
    bool worker_process; /* its process was started by weft */
    bool own; /* what it does outside of tasks is the program's, not weft's */
    uint64_t begin, end; /* first and last that is known of it */
    struct part tasks, runs, waits, spans;
};

enum recorded_task_flags {
    TASK_UNFINISHED = 1, /* ran when the recording ended: `end` is the last
                            time seen of its worker */
    TASK_ESTIMATED = 2,  /* `cpu` is an estimate */
    TASK_CRITICAL = 4,   /* on the longest path */
    TASK_FOLDED = 8,     /* of fork/join: the forks that were not stolen are
                            part of it */
    TASK_FAILED = 16,    /* ended with a failure */
    TASK_LATE = 32       /* ready later than submitted: see lates[] */
};

struct recorded_task {
    uint64_t begin, end;
    uint64_t ready; /* from when on only a worker was missing; <= begin */
    uint64_t cpu;   /* on a CPU, without the tasks that ran within it, and
                       without spinning in a wait */
    uint32_t name;  /* of names[]; 0 is "" */
    uint32_t worker;
    uint32_t parent; /* task or thread that submitted it, or NONE */
    uint16_t depth;  /* tasks of its worker that it lies within: a worker that
                        waits helps */
    uint8_t flags;
    uint8_t kind; /* RECORD_THREAD, _PROCESS, ... of registry/recording.h */
};

/* Of a task that had to wait for a time or for others before it was ready. */
struct recorded_late {
    uint64_t submitted;
    uint32_t task;
};

/* On a CPU. None of them where the system does not tell (`estimated`). Tasks
 * are on a CPU where their worker is, and they are the innermost, and it is not
 * in a wait. */
struct recorded_run {
    uint64_t begin, end;
    uint32_t worker;
    uint32_t cpu;   /* its number, or NONE */
    bool preempted; /* it wanted to go on when it ended */
};

/* A CPU that appears in the runs. */
struct recorded_cpu {
    uint32_t number;
    struct part runs; /* of cpu_runs[] */
};

struct recorded_wait {
    uint64_t begin, end;
    uint64_t object; /* address, or a number; 0 = none */
    uint32_t worker;
    uint32_t name; /* of the object, in names[]: its label, or its kind and
                      address: "mutex 0x5581..." */
    uint16_t kind; /* enum record_wait_kind of registry/recording.h */
    bool lock;     /* for a lock that somebody holds */
    bool unfinished;
};

/* A part of a task that the program named. */
struct recorded_span {
    uint64_t begin, end;
    uint32_t worker, name;
    uint16_t depth; /* spans of its worker that it lies within */
    bool unfinished;
};

/* An instant, or a point of a curve that keeps its value until the next. */
struct recorded_value {
    uint64_t at;
    int64_t value;
    uint32_t worker, name;
};

/* At `at` the waiter, a task or a thread, went on (or began), which needed the
 * end of `task`. */
struct recorded_join {
    uint64_t at;
    uint32_t waiter, task;
};

/* A lock, and how much it kept. Most waited for first. */
struct recorded_lock {
    uint64_t object;
    uint64_t waited; /* sum over all waits */
    uint64_t busy;   /* time in which somebody waited */
    uint64_t waits;
    uint32_t name;
};

struct weft_recording {
    char *path;          /* as it was opened */
    const char *program; /* its command, the first word */
    uint64_t wall;       /* length of the recording */
    int64_t started;     /* of CLOCK_MONOTONIC */
    unsigned cpus;       /* that the program may use */
    uint64_t lost;       /* records that were dropped */
    bool estimated;      /* on-CPU times are estimates, runs[] is empty */
    bool cut;           /* the file ends early, or parts of it are no records */
    bool killed;        /* the program did not end the recording */
    const char *damage; /* what is wrong with it, in words; NULL = nothing */

    const char **names;
    struct recorded_worker *workers; /* by process, then by begin */
    struct recorded_task *tasks;     /* by worker, then by begin */
    struct recorded_run *runs;       /* by worker, then by begin */
    struct recorded_cpu *cpu;        /* by number */
    uint32_t *cpu_runs;              /* of runs[], by CPU, then by begin */
    struct recorded_wait *waits;     /* by worker, then by begin */
    struct recorded_span *spans;     /* by worker, then by begin */
    struct recorded_value *marks;    /* by time */
    struct recorded_value *counters; /* by name, then by time */
    struct recorded_join *joins;     /* by time */
    struct recorded_late *lates;     /* by time */
    struct recorded_lock *locks;     /* by time waited, longest first */
    uint32_t name_count, worker_count, task_count, run_count, cpu_count,
        wait_count, span_count, mark_count, counter_count, join_count,
        late_count, lock_count;

    uint64_t from, to; /* first submission or begin, last end of a task: what
                          the metrics are about */
    weft_metrics metrics;

    struct names texts; /* where all strings lie */
    char damage_text[128];
    char sentence[RECORDING_SENTENCE]; /* weft_recording_verdict */
};

/* What a wait is for, in a word or two: "mutex", "put into queue". */
const char *recording_wait_name(unsigned kind);

/* Means over a piece of time. */
struct recorded_load {
    float concurrency; /* tasks in progress */
    float parallelism; /* tasks on a CPU */
};

/* Divides [from, to) into `count` pieces of the same length and says what went
 * on in each. Takes time with the tasks and runs there are, not with count.
 * -ENOMEM. */
int recording_load(const struct weft_recording *recording, uint64_t from,
                   uint64_t to, struct recorded_load *out, size_t count);

enum recording_verdict {
    VERDICT_NOT_CONCURRENT,
    VERDICT_NOT_PARALLEL, /* concurrent, but not parallel */
    VERDICT_PARALLEL      /* both */
};

enum recording_verdict recording_verdict(const weft_recording *recording);

/* "CONCURRENT, NOT PARALLEL" and so on; the whole line is `sentence`. */
const char *recording_verdict_name(enum recording_verdict verdict);

struct out;

/* One each for a format. They write to `out`, which keeps the first error, and
 * return 0 or a status; text, json and csv, perfetto and chrome take one
 * recording, which the caller has seen to. */
int draw_svg(struct out *out, weft_recording *const *recordings, size_t count);
int draw_html(struct out *out, weft_recording *const *recordings, size_t count);
int write_text(struct out *out, const weft_recording *recording);
int write_json(struct out *out, const weft_recording *recording);
int write_csv(struct out *out, const weft_recording *recording);
int write_perfetto(struct out *out, const weft_recording *recording);
int write_chrome(struct out *out, const weft_recording *recording);
int write_records(struct out *out, const weft_recording *recording);

#endif
