/* A meeting of a fixed number of workers, again and again. Rules: mutex.h. */
#ifndef WEFT_BARRIER_H
#define WEFT_BARRIER_H

#include <weft/status.h>
#include <weft/time.h>

typedef struct weft_barrier {
    uint32_t parties; /* set before first use, 1..65,535; else WEFT_EINVAL at
                         the wait */
    bool shared;
    uint32_t internal_word[3];
    uint64_t internal_state;
} weft_barrier;

WEFT_BEGIN

/* Waits for the others. The index of the caller, 0 = first to arrive. To act
 * once between two rounds: whoever gets 0 acts, then all wait again.
 * WEFT_EBROKEN: a party died, gave up (deadline, stop) or aborted; then so for
 * everyone until reset. */
WEFT_API WEFT_MUST_CHECK int weft_barrier_wait(weft_barrier *barrier,
                                               weft_time deadline);

WEFT_API void weft_barrier_abort(weft_barrier *barrier);

/* Whole and empty again; those who wait get WEFT_EBROKEN. */
WEFT_API void weft_barrier_reset(weft_barrier *barrier);

/* How many wait now, or WEFT_EBROKEN. */
WEFT_API int weft_barrier_waiting(const weft_barrier *barrier);

WEFT_END
#endif
