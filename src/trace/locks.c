/* Which lock kept how much from going on. */
#include "trace/grow.h"
#include "trace/metrics.h"
#include "trace/sort.h"

#include <weft/status.h>

#include <stdlib.h>

static uint64_t
key_begin(const void *item, const void *context)
{
    const struct recorded_wait *waits = context;
    const uint32_t *index = item;

    return waits[*index].begin;
}

static uint64_t
key_object(const void *item, const void *context)
{
    const struct recorded_wait *waits = context;
    const uint32_t *index = item;

    return waits[*index].object;
}

static uint64_t
key_name(const void *item, const void *context)
{
    const struct recorded_wait *waits = context;
    const uint32_t *index = item;

    return waits[*index].name;
}

static int
longest_first(const void *a, const void *b)
{
    const struct recorded_lock *x = a, *y = b;

    if (x->waited != y->waited)
        return x->waited > y->waited ? -1 : 1;
    return x->name < y->name ? -1 : x->name > y->name;
}

/* The wait is the next of the lock's, by begin; *until is when the last of
 * those before ended. */
static void
add_wait(struct recorded_lock *lock, const struct recorded_wait *wait,
         uint64_t *until)
{
    const uint64_t from = wait->begin > *until ? wait->begin : *until;

    lock->waited += wait->end - wait->begin;
    lock->waits++;
    if (wait->end > from) {
        lock->busy += wait->end - from;
        *until = wait->end;
    }
}

/* `order`: waits for locks, by object and name, then by begin. */
static bool
sum_up(weft_recording *r, const uint32_t *order, uint32_t count)
{
    struct recorded_lock *lock = NULL;
    uint32_t room = 0;
    uint64_t until = 0;

    for (uint32_t i = 0; i < count; i++) {
        const struct recorded_wait *wait = &r->waits[order[i]];

        if (!lock || lock->object != wait->object || lock->name != wait->name) {
            if (!grow(&r->locks, &room, r->lock_count, sizeof *r->locks))
                return false;
            lock = &r->locks[r->lock_count++];
            *lock = (struct recorded_lock){.object = wait->object,
                                           .name = wait->name};
            until = 0;
        }
        add_wait(lock, wait, &until);
    }
    return true;
}

static bool
list_locks(weft_recording *r, uint32_t *order)
{
    uint32_t count = 0;

    for (uint32_t i = 0; i < r->wait_count; i++)
        if (r->waits[i].lock)
            order[count++] = i;
    return sort_by(order, count, sizeof *order, key_begin, r->waits) &&
           sort_by(order, count, sizeof *order, key_name, r->waits) &&
           sort_by(order, count, sizeof *order, key_object, r->waits) &&
           sum_up(r, order, count);
}

int
metrics_locks(weft_recording *recording)
{
    weft_metrics *m = &recording->metrics;
    uint32_t *order =
        malloc(((size_t)recording->wait_count + 1) * sizeof *order);
    const bool done = order && list_locks(recording, order);

    free(order);
    if (!done)
        return WEFT_ENOMEM;
    if (recording->lock_count == 0)
        return WEFT_OK;
    qsort(recording->locks, recording->lock_count, sizeof *recording->locks,
          longest_first);
    for (uint32_t i = 0; i < recording->lock_count; i++)
        m->lock_wait += (weft_duration)recording->locks[i].waited;
    m->lock = recording->names[recording->locks[0].name];
    m->lock_busy = (weft_duration)recording->locks[0].busy;
    return WEFT_OK;
}
