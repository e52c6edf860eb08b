/* Waiting for the first of several things: jobs, queues, events, descriptors.
 */
#ifndef WEFT_WAIT_H
#define WEFT_WAIT_H

#include <weft/job.h>

struct weft_queue;
struct weft_event;

enum {
    WEFT_READABLE = 1,
    WEFT_WRITABLE = 2
};

/* Set exactly one: .job (has ended), .queue (get would not wait), .event (is
 * set), or .fd with .events. */
typedef struct weft_source {
    weft_job *job;
    struct weft_queue *queue;
    struct weft_event *event;
    int fd;
    int events; /* WEFT_READABLE | WEFT_WRITABLE; 0 = not a descriptor */
} weft_source;

WEFT_BEGIN

/* Waits until at least one is ready and returns the index of the first ready
 * one at or after `from` in a circle (0 = in order of the array; the last
 * answer + 1 = fair). Level, not edge: it takes nothing. Up to 65,536 sources,
 * at most 127 of them shared between processes (WEFT_EINVAL). A descriptor is
 * ready too when it has failed or was hung up; a closed one is WEFT_EINVAL.
 * WEFT_ENOMEM and WEFT_EAGAIN: for more than 64 sources, or for the first
 * descriptor a thread waits for, something must be allocated.
 * WEFT_ETIMEDOUT, WEFT_ECANCELED.
 *
 * Mechanism: no fd among them: one futex of the waiter's own; private sources
 * ring it through watch nodes on the waiter's stack, shared ones join it in
 * futex_waitv. With an fd: the waiter polls, with an eventfd of its own that
 * wakers ring only because its word says "polling"; for shared sources a
 * hidden thread of the waiter's own sits in futex_waitv and rings it. */
WEFT_API WEFT_MUST_CHECK int weft_wait_any(const weft_source *sources,
                                           size_t count, size_t from,
                                           weft_time deadline);

WEFT_END
#endif
