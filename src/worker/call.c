/* What a running function says of itself. */
#include "base/why.h"
#include "worker/job.h"
#include "worker/outcome.h"

#include <weft/status.h>

#include <stdarg.h>

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

void *
weft_result_resize(weft_call *call, size_t size)
{
    (void)call;
    (void)size;
    why_set(WEFT_ENOTSUP, "weft_result_resize is not built yet");
    return NULL;
}
