/* Something done once, also among processes. Rules: mutex.h. */
#ifndef WEFT_ONCE_H
#define WEFT_ONCE_H

#include <weft/status.h>

typedef struct weft_once {
    bool shared;
    uint32_t internal_word[3];
} weft_once;

WEFT_BEGIN

/* Calls fn(arg) if nobody has; all return when it is done. If its worker dies,
 * or fn fails (nonzero), the next caller does it. 0, or what fn returned here.
 */
WEFT_API WEFT_MUST_CHECK int weft_once_do(weft_once *once, int (*fn)(void *arg),
                                          void *arg);

WEFT_END
#endif
