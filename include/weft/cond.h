/* A condition: wait, under a mutex, for a change. Rules: mutex.h. */
#ifndef WEFT_COND_H
#define WEFT_COND_H

#include <weft/mutex.h>

typedef struct weft_cond {
    bool shared;
    uint32_t internal_word[18];
    uintptr_t internal_waiters[2];
} weft_cond;

enum {
    WEFT_EVERYONE = 0x7fffffff
};

WEFT_BEGIN

/* Gives the mutex back, waits, takes it again: it is HELD on return, whatever
 * the result. No spurious wake-ups, but look again: others may have been first.
 * 0, WEFT_ETIMEDOUT, WEFT_ECANCELED; WEFT_OWNER_DIED, whatever else there was
 * to say, when the mutex was taken back from one who died. */
WEFT_API WEFT_MUST_CHECK int weft_cond_wait(weft_cond *cond, weft_mutex *mutex,
                                            weft_time deadline);

/* Wakes at most n of those who wait now, the longest waiting first;
 * WEFT_EVERYONE wakes all. */
WEFT_API void weft_cond_notify(weft_cond *cond, unsigned n);

WEFT_END
#endif
