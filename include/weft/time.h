/* Time: absolute monotonic deadlines, and durations.
 *
 * A deadline is a struct, so that passing a duration where a deadline belongs
 * (which would have passed decades ago, and spin) does not compile. */
#ifndef WEFT_TIME_H
#define WEFT_TIME_H

#include <weft/api.h>

typedef int64_t weft_duration; /* nanoseconds */

typedef struct weft_time {
    int64_t ns; /* of CLOCK_MONOTONIC; public, compare freely */
} weft_time;

#define WEFT_US      ((weft_duration)1000)
#define WEFT_MS      ((weft_duration)1000000)
#define WEFT_SECOND  ((weft_duration)1000000000)
#define WEFT_NOW     weft_at(0)         /* as a deadline: do not wait ("try") */
#define WEFT_FOREVER weft_at(INT64_MAX) /* as a deadline: never passes */

WEFT_BEGIN

/* The time now. No system call. Also from a signal handler. */
WEFT_API weft_time weft_now(void);

/* Sleeps until `until`. 0, or WEFT_ECANCELED when asked to stop. */
WEFT_API int weft_sleep(weft_time until);

static inline weft_time
weft_at(int64_t ns)
{
    weft_time time;
    time.ns = ns;
    return time;
}

/* The deadline `span` from now; saturates at WEFT_FOREVER (292 years). */
static inline weft_time
weft_in(weft_duration span)
{
    const int64_t now = weft_now().ns;
    return weft_at(span > INT64_MAX - now ? INT64_MAX : now + span);
}

WEFT_END
#endif
