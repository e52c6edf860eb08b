/* Calls that the headers promise and this version refuses by name: promises and
 * callbacks come with the pools. */
#include "base/why.h"

#include <weft/job.h>
#include <weft/status.h>

static int
refuse(const char *call)
{
    return why_set(WEFT_ENOTSUP, "%s is not built yet", call);
}

int
weft_promise(weft_job **out, const char *name)
{
    (void)out;
    (void)name;
    return refuse("weft_promise");
}

int
weft_keep(weft_job *promise, int status, const void *result, size_t size)
{
    (void)promise;
    (void)status;
    (void)result;
    (void)size;
    return refuse("weft_keep");
}

int
weft_on_end(weft_job *job, void (*fn)(weft_job *job, void *context),
            void *context)
{
    (void)job;
    (void)fn;
    (void)context;
    return refuse("weft_on_end");
}
