/* Saying what the program does, for the timeline. Off: a load and a branch; on:
 * some ten nanoseconds. Names are copied when a thread first uses them, up to
 * 255 bytes; NULL is no name. From any thread of any worker, but not from
 * signal handlers; never blocks, never fails: what there is no room for is
 * counted. See weft-timeline(7). */
#ifndef WEFT_TRACE_H
#define WEFT_TRACE_H

#include <weft/status.h>
#include <weft/time.h>

typedef struct weft_span { /* all internal */
    uint64_t at;
} weft_span;

WEFT_BEGIN

/* Records into the file `path` from now on, all processes of the program
 * included; the file is made anew, 4 GiB at most (WEFT_TRACE_SIZE). Takes some
 * milliseconds. WEFT_EBUSY: the program is recorded already, or another one
 * records into that file; WEFT_EINVAL: it is no plain file; -errno if it cannot
 * be written. */
WEFT_API WEFT_MUST_CHECK int weft_trace_start(const char *path);

/* The file is complete when it returns, but if another process of the program
 * began the recording: then that one ends it, within 0.1 s. Does nothing if
 * nothing is recorded. The program's end stops it, too. */
WEFT_API void weft_trace_stop(void);

/* The same to another program of this user, by its pid or a worker's; for it to
 * begin it must call weft now and then. WEFT_ETIMEDOUT: it has not until the
 * deadline, and will not; WEFT_ESRCH: there is no such program, or it does not
 * use weft; WEFT_EPERM: it is another user's; else as above. */
WEFT_API WEFT_MUST_CHECK int weft_trace_start_in(int pid, const char *path,
                                                 weft_time until);
WEFT_API WEFT_MUST_CHECK int weft_trace_stop_in(int pid, weft_time until);

/* A part of the current task; ended in the same thread, innermost first. */
WEFT_API weft_span weft_span_begin(const char *name);
WEFT_API void weft_span_end(weft_span span);

WEFT_API void weft_mark(const char *name, int64_t value);    /* an instant */
WEFT_API void weft_counter(const char *name, int64_t value); /* a curve */

WEFT_END
#endif
