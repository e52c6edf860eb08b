/* Many readers or one writer; a waiting writer goes before new readers.
 * Rules of all primitives: mutex.h. */
#ifndef WEFT_RWLOCK_H
#define WEFT_RWLOCK_H

#include <weft/status.h>
#include <weft/time.h>

typedef struct weft_rwlock {
    bool shared;
    uint32_t internal_word[9];
} weft_rwlock;

WEFT_BEGIN

/* As weft_mutex_lock: held on return; WEFT_OWNER_DIED after a writer died. */
WEFT_API int weft_rwlock_read(weft_rwlock *lock);
WEFT_API int weft_rwlock_write(weft_rwlock *lock);

/* As weft_mutex_lock_until. Who reads already may read again even while a
 * writer waits; to write what one reads is WEFT_EDEADLK, as is any second lock
 * of a writer. */
WEFT_API WEFT_MUST_CHECK int weft_rwlock_read_until(weft_rwlock *lock,
                                                    weft_time deadline);
WEFT_API WEFT_MUST_CHECK int weft_rwlock_write_until(weft_rwlock *lock,
                                                     weft_time deadline);

WEFT_API void weft_rwlock_unlock(weft_rwlock *lock);

WEFT_END
#endif
