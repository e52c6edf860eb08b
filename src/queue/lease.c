#include "queue/lease.h"

#include "wait/lock.h"

#include <weft/status.h>

#include <stdlib.h>

/* Over self->leases of all threads, since a queue's end changes other threads'
 * lists. Taken only at a worker's first get from a queue, and when a worker or
 * a queue ends. */
static struct lock leases;

int
lease_open(weft_queue *queue)
{
    struct self *self = self_get();
    struct holder *holder =
        self_is_shared(self) ? NULL : malloc(sizeof *holder);

    if (!holder)
        return WEFT_ENOMEM;
    *holder = (struct holder){.self = self, .job = self->job, .queue = queue};
    list_init(&holder->nodes);
    self->leasing = true;
    lock_take(&leases);
    holder->next = self->leases;
    self->leases = holder;
    lease_enter(holder);
    lock_give(&leases);
    return 0;
}

void
lease_end(struct self *self)
{
    if (!self->leasing)
        return;
    self->leasing = false;
    lock_take(&leases);
    struct holder **at = &self->leases;

    while (*at) {
        struct holder *holder = *at;

        if (holder->job != self->job) { /* of the one that this runs inside */
            self->leasing = true;
            at = &holder->next;
            continue;
        }
        *at = holder->next;
        lease_give_back(holder);
        free(holder);
    }
    lock_give(&leases);
}

void
lease_forget(struct list *holders)
{
    struct list *next;

    lock_take(&leases);
    for (struct list *link = holders->next; link != holders; link = next) {
        struct holder *holder = list_entry(link, struct holder, in_queue);
        struct holder **at = &holder->self->leases;

        while (*at != holder)
            at = &(*at)->next;
        *at = holder->next;
        next = link->next;
        free(holder);
    }
    list_init(holders);
    lock_give(&leases);
}
