/* Who registers pushes a node onto a stack; who ends the job takes the stack
 * whole, and turns it round.
 *
 *   job->on_end   who changes it            legal              illegal
 *   NULL, a node  registering: push by      in any order, by   to push a node
 *                 compare-and-swap          any thread         twice
 *   CLOSED        who ends the job, by      before the end is  ever to leave it
 *                 exchange                  seen
 *
 * So each node is either in what the exchange gave, or was not pushed: then the
 * end is seen in a moment, and whoever came too late goes on with that.
 *
 * Calling comes after the joiners were woken. What is called may end further
 * jobs, which are a chain without limit; so they queue up in the thread, whose
 * outermost on_end_tell works them off. */
#include "worker/on_end.h"

#include "base/why.h"
#include "os/os.h"
#include "worker/runtime.h"

#include <weft/status.h>

#include <stdlib.h>

struct to_tell {
    weft_job *first;
    weft_job **last; /* where the next one is linked */
};

static struct on_end closed;

#define CLOSED (&closed)

bool
on_end_add(weft_job *job, struct on_end *node)
{
    struct on_end *first = atomic_load(&job->on_end);

    do {
        if (first == CLOSED) {
            (void)job_wait(job, OS_NEVER, true); /* it is just being posted */
            return false;
        }
        node->next = first;
    } while (!atomic_compare_exchange_weak(&job->on_end, &first, node));
    return true;
}

bool
on_end_close(weft_job *job)
{
    struct on_end *at = atomic_exchange(&job->on_end, CLOSED);
    bool user = false;

    if (at == CLOSED)
        return false;
    while (at) {
        struct on_end *next = at->next;

        user = user || at->user;
        at->next = job->to_call;
        job->to_call = at;
        at = next;
    }
    return user;
}

/* A node is not touched once its function is called, which may free it. */
static void
call_all(weft_job *job)
{
    struct on_end *at;

    while ((at = job->to_call)) {
        const struct on_end call = *at;

        job->to_call = call.next;
        if (call.user)
            free(at);
        call.fn(job, call.context);
    }
    weft_release(job);
    runtime_remove(job); /* last: the exit waits for all of it */
    job_drop(job);
}

/* A joiner is not to be kept by what others have called, nor may it hold what
 * they take; and who cannot keep a queue has none. */
static bool
is_for_service(const weft_job *job, const struct self *self)
{
    return (job->kind == WEFT_PROCESS && !service_is_here()) ||
           self_is_shared(self);
}

void
on_end_tell(weft_job *job)
{
    struct self *self = self_get();

    if (is_for_service(job, self)) {
        atomic_store(&job->untold, true);
        service_hurry(job);
        return;
    }
    atomic_store(&job->teller, self);
    if (self->ending) {
        *self->ending->last = job;
        self->ending->last = &job->next_to_tell;
        return;
    }
    struct to_tell queue = {job, &job->next_to_tell};

    self->ending = &queue;
    while ((job = queue.first)) {
        queue.first = job->next_to_tell;
        if (!queue.first)
            queue.last = &queue.first;
        call_all(job);
    }
    self->ending = NULL;
}

int
weft_on_end(weft_job *job, void (*fn)(weft_job *job, void *context),
            void *context)
{
    if (!job || !fn)
        return why_set(WEFT_EINVAL, "weft_on_end: %s is NULL",
                       job ? "fn" : "job");
    struct on_end *node = NULL;

    if (!job_has_ended(job)) {
        node = malloc(sizeof *node);
        if (!node)
            return why_because(WEFT_ENOMEM, "weft_on_end");
        *node = (struct on_end){.fn = fn, .context = context, .user = true};
    }
    if (node && on_end_add(job, node))
        return 0;
    free(node);
    fn(job, context);
    return 0;
}
