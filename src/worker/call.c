/* What a running function says of itself. */
#include "base/why.h"
#include "os/os.h"
#include "worker/job.h"
#include "worker/outcome.h"

#include <weft/status.h>

#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

int
weft_fail(weft_call *call, const char *format, ...)
{
    char message[TEXT_MESSAGE];
    struct text text = text_over(message, sizeof message);
    va_list list;

    if (!call)
        return why_set(WEFT_EINVAL, "weft_fail: call is NULL");
    va_start(list, format);
    if (format)
        text_add_list(&text, format, list);
    va_end(list);
    outcome_keep_message(list_entry(call, struct job_call, call), message);
    return WEFT_EFAILED;
}

/* A larger place of its own, with what was written so far. */
static bool
move_result(struct job_call *own, size_t size)
{
    char *larger = os_memory_is_left(size) ? calloc(1, size) : NULL;

    if (!larger)
        return false;
    if (own->call.result_size > 0)
        memcpy(larger, own->start, own->call.result_size);
    free(own->owned);
    own->owned = own->start = larger;
    own->room = size;
    return true;
}

/* A process's result lies in memory that grows by being touched. */
static bool
open_room(struct job_call *own, size_t size)
{
    char *const end = own->start + own->open; /* of a page */
    const size_t more =
        size > own->open ? (size - own->open + OS_PAGE - 1) / OS_PAGE * OS_PAGE
                         : 0;

    if (size > own->room || !os_memory_is_left(size - own->call.result_size))
        return false;
    if (more > 0 && os_protect(end, more, OS_READ | OS_WRITE) < 0)
        return false;
    own->open += more;
    return true;
}

/* What is new is zero: a pool's worker has used its room for other tasks. */
static bool
grow(struct job_call *own, size_t size)
{
    const size_t before = own->call.result_size;

    if (own->fixed)
        return open_room(own, size);
    if (size > own->room)
        return move_result(own, size);
    memset(own->start + before, 0, size - before);
    return true;
}

void *
weft_result_resize(weft_call *call, size_t size)
{
    if (!call) {
        why_set(WEFT_EINVAL, "weft_result_resize: call is NULL");
        return NULL;
    }
    struct job_call *own = list_entry(call, struct job_call, call);
    const size_t before = call->result_size;

    if (size < before)
        memset(own->start + size, 0, before - size);
    if (size > before && !grow(own, size)) {
        why_set(WEFT_ENOMEM, "there is no room for a result of %zu bytes",
                size);
        return NULL;
    }
    call->result_size = size;
    call->result = own->start;
    return own->start;
}
