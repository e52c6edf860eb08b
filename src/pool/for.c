#include "base/why.h"
#include "pool/loop.h"

#include <weft/status.h>

struct each {
    weft_range_fn *body;
    void *context;
};

static int
do_part(void *each_, void *none, size_t begin, size_t end)
{
    const struct each *each = each_;

    (void)none;
    return each->body(each->context, begin, end);
}

int
weft_for(weft_pool *pool, size_t count, size_t grain, weft_range_fn *body,
         void *context)
{
    struct each each = {body, context};
    struct loop loop;
    int status = 0;

    if (!body)
        return why_set(WEFT_EINVAL, "weft_for: body is NULL");
    pool = loop_pool(pool, "weft_for", &status);
    if (!pool || count == 0)
        return status;
    loop_begin(&loop, "weft_for", count,
               grain ? grain : loop_grain(pool, count));
    loop.body = do_part;
    loop.context = &each;
    return loop_enter(pool, &loop);
}
