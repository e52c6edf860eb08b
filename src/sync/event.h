/* What weft_wait_any needs of an event. */
#ifndef SYNC_EVENT_H
#define SYNC_EVENT_H

#include "wait/any.h"

#include <weft/event.h>

extern const struct waitable event_waitable; /* of a weft_event */

#endif
