/* Reading a recording: was it concurrent, was it parallel? The file is one that
 * weft_trace_start, WEFT_TRACE or `weft record` made. weft-timeline(7) defines
 * what is measured. Any thread may call these; of one recording several at
 * once, but for the closing. */
#ifndef WEFT_RECORDING_H
#define WEFT_RECORDING_H

#include <weft/status.h>
#include <weft/time.h>

typedef struct weft_recording weft_recording;

/* From the first task's submission to the last one's end. What is on a CPU
 * counts as such only within tasks, and within the program's own code outside
 * of them; spinning while waiting does not. Shares are of `task_time`. */
typedef struct weft_metrics {
    weft_duration wall;
    double concurrency; /* tasks in progress, mean over `wall` */
    unsigned concurrency_max;
    unsigned cpus;            /* that the program might use */
    double parallelism;       /* tasks on a CPU, mean over `wall` */
    weft_duration task_time;  /* tasks in progress, without those in which
                                 their thread ran another one meanwhile */
    weft_duration work;       /* T1: on a CPU, sum over all tasks */
    weft_duration span;       /* the longest chain of it that had to be done one
                                 after the other; work / span is the parallelism
                                 that the program has to offer */
    weft_duration cpu_wait;   /* wanted a CPU, had none */
    weft_duration queue_wait; /* ready, not begun */
    weft_duration lock_wait;
    weft_duration lock_busy; /* the time in which somebody waited for `lock` */
    const char *lock;        /* the one most waited for, by its label or kind
                                and address; NULL = none. Until the close */
    uint64_t tasks;
    uint64_t lost;  /* records dropped */
    bool estimated; /* times on a CPU are estimates */
    bool cut;       /* the file ends early or is damaged; the rest was read */
    uint64_t reserved[8];
} weft_metrics;

typedef enum weft_format {
    WEFT_TEXT_FORMAT, /* the metrics, for people */
    WEFT_JSON,        /* the metrics */
    WEFT_CSV,         /* the metrics, a line each: name,value */
    WEFT_SVG,         /* the picture */
    WEFT_HTML,        /* the picture, to move about in */
    WEFT_PERFETTO, /* all that was recorded, as protobuf for ui.perfetto.dev */
    WEFT_CHROME,   /* the same as Chrome's JSON */
    WEFT_RECORDS   /* the same as CSV, a line each */
} weft_format;

WEFT_BEGIN

/* Reads a recording, in whatever state it was left; trusts nothing in it.
 * WEFT_EINVAL: it is none. -errno: it cannot be read. WEFT_ENOMEM. The
 * recording is yours to close. Blocks as reading files does. */
WEFT_API WEFT_MUST_CHECK int weft_recording_open(weft_recording **out,
                                                 const char *path);

WEFT_API void weft_recording_metrics(const weft_recording *recording,
                                     weft_metrics *out);

/* The answer in a line, without its end: "concurrent: yes (1.71)  parallel: no
 * (0.99 of 1 CPU)  available 2.78  42% of task time waited for a CPU". Valid
 * until the close. */
WEFT_API const char *weft_recording_verdict(const weft_recording *recording);

/* Writes the recordings in that format to a descriptor, the pictures of several
 * on one time scale. WEFT_ENOTSUP: that format takes one recording.
 * WEFT_EINVAL: there is no such format, or none to write. -errno of write(2),
 * which it blocks as. */
WEFT_API WEFT_MUST_CHECK int weft_recording_write(
    weft_recording *const *recordings, size_t count, weft_format format,
    int fd);

/* NULL is nothing. */
WEFT_API void weft_recording_close(weft_recording *recording);

WEFT_END
#endif
