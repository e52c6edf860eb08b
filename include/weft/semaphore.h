/* Permits to take and give back, by anyone. Rules: mutex.h. */
#ifndef WEFT_SEMAPHORE_H
#define WEFT_SEMAPHORE_H

#include <weft/status.h>
#include <weft/time.h>

typedef struct weft_semaphore {
    uint32_t limit; /* giving back beyond it is refused; 0 = none */
    bool shared;
    uint32_t permits; /* set at first, then read with weft_semaphore_permits */
    uint32_t internal_word[14];
} weft_semaphore;

WEFT_BEGIN

/* Takes one. WEFT_ETIMEDOUT, WEFT_ECANCELED. A dead taker's permits return,
 * unless limit is 0. */
WEFT_API WEFT_MUST_CHECK int weft_semaphore_acquire(weft_semaphore *semaphore,
                                                    weft_time deadline);

/* Gives n back, all or none. WEFT_EOVERFLOW. Also from a signal handler. */
WEFT_API int weft_semaphore_release(weft_semaphore *semaphore, unsigned n);

WEFT_API unsigned weft_semaphore_permits(const weft_semaphore *semaphore);

WEFT_END
#endif
