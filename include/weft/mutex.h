/* A mutual-exclusion lock with an owner.
 *
 * The rules of all primitives in weft, said once here: the object is yours, in
 * your memory; ALL-ZERO IS READY, there is no init and nothing to free. Fields
 * above `internal` may be set before first use. In the shared heap it works
 * among processes by itself; in other shared mappings set .shared. Only the
 * dead, never the unlucky, are found by weft: it must not move or be freed
 * while someone waits. Nothing here allocates. Names: weft_label. Misuse stops
 * the program, naming object and caller. */
#ifndef WEFT_MUTEX_H
#define WEFT_MUTEX_H

#include <weft/status.h>
#include <weft/time.h>

typedef struct weft_mutex {
    bool recursive;
    bool shared;
    uint16_t internal_depth;
    uint32_t internal_word[3];
} weft_mutex;

WEFT_BEGIN

/* Locks; always held on return, so the result may be ignored. A stop does not
 * end it: a critical section without its lock is worse than a late stop.
 * 0, or WEFT_OWNER_DIED once after a holder died, or ended without unlocking
 * (why names it). Held by the caller already, and not recursive: misuse. */
WEFT_API int weft_mutex_lock(weft_mutex *mutex);

/* The same, until the deadline, and ended by a stop. < 0 = not held.
 * WEFT_ETIMEDOUT, WEFT_ECANCELED, WEFT_EDEADLK (held by the caller),
 * WEFT_EOVERFLOW (a recursive one, 65,536 times), WEFT_EAGAIN (the caller holds
 * 64 objects that it shares with other processes: weft_mutex_lock stops the
 * program then). */
WEFT_API WEFT_MUST_CHECK int weft_mutex_lock_until(weft_mutex *mutex,
                                                   weft_time deadline);

/* Unlocks. Only by the holder; anything else is misuse. For a lock that one
 * worker takes and another gives back use a semaphore with limit 1. */
WEFT_API void weft_mutex_unlock(weft_mutex *mutex);

/* The tid of the holder, 0 = free. For assertions, where only "me" is lasting.
 */
WEFT_API int weft_mutex_holder(const weft_mutex *mutex);

WEFT_END
#endif
