/* A flag to wait for. Rules: mutex.h. */
#ifndef WEFT_EVENT_H
#define WEFT_EVENT_H

#include <weft/status.h>
#include <weft/time.h>

typedef struct weft_event {
    bool shared;
    uint32_t internal_word[6];
    uintptr_t internal_watches[2];
} weft_event;

WEFT_BEGIN

/* Also from a signal handler. What was written before is seen after the wait.
 */
WEFT_API void weft_event_set(weft_event *event);
WEFT_API void weft_event_clear(weft_event *event);
WEFT_API bool weft_event_is_set(const weft_event *event);

/* 0 once it is or was set, even if cleared right after. WEFT_ETIMEDOUT,
 * WEFT_ECANCELED. */
WEFT_API WEFT_MUST_CHECK int weft_event_wait(weft_event *event,
                                             weft_time deadline);

WEFT_END
#endif
