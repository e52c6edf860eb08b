#include "worker/at_end.h"

#include "base/why.h"
#include "queue/lease.h"
#include "worker/runtime.h"

#include <weft/status.h>
#include <weft/task.h>

#include <stdlib.h>

struct at_end {
    void (*fn)(void *arg);
    void *arg;
    struct at_end *next;
};

int
weft_at_end(void (*fn)(void *arg), void *arg)
{
    if (!fn)
        return why_set(WEFT_EINVAL, "weft_at_end: fn is NULL");
    runtime_open(); /* the main thread's run when the program ends */
    struct self *self = self_get();
    struct at_end *added = malloc(sizeof *added);

    if (self_is_shared(self)) {
        free(added);
        added = NULL;
    }
    if (!added)
        return why_because(WEFT_ENOMEM, "weft_at_end");
    *added = (struct at_end){fn, arg, self->at_end};
    self->at_end = added;
    return 0;
}

void
at_end_run(struct self *self)
{
    struct at_end *first;

    while ((first = self->at_end)) {
        self->at_end = first->next;
        first->fn(first->arg);
        free(first);
    }
    lease_end(self); /* after them, since they may finish items */
}
