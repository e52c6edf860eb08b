#include "support/queue_support.h"

#include "registry/registry.h"

#include <signal.h>

weft_queue *queue;

weft_queue *
make(size_t capacity, bool leased)
{
    weft_queue *made;
    const weft_queue_options options = {.item_size = sizeof(int64_t),
                                        .capacity = capacity,
                                        .shared = true,
                                        .leased = leased,
                                        .name = "shared"};

    ck_assert_msg(weft_queue_open(&made, &options) == 0, "%s", weft_why());
    return made;
}

void
put(weft_queue *to, int64_t item)
{
    child_expect(weft_queue_put(to, &item, WEFT_FOREVER) == 0);
}

int64_t
get(weft_queue *from)
{
    int64_t item;

    child_expect(weft_queue_get(from, &item, WEFT_FOREVER) == 0);
    return item;
}

int
try_get(weft_queue *from)
{
    int64_t item;
    const int status = weft_queue_get(from, &item, WEFT_NOW);

    return status < 0 ? status : (int)item;
}

weft_job *
start(weft_fn *fn, struct order order)
{
    if (!order.queue)
        order.queue = queue;
    return must_start(WEFT_PROCESS,
                      &(weft_task){.fn = fn, .name = "user", WEFT_ARG(order)});
}

struct watched {
    int pid;
    bool waits;
};

static void
look_at(const struct slot *slot, void *context)
{
    struct watched *watched = context;

    if (atomic_load(&slot->identity.pid) == watched->pid &&
        atomic_load(&slot->hot.state) == WEFT_WAITING)
        watched->waits = true;
}

enum {
    SLOTS = 32 * SLOT_BLOCK /* that are looked at: the lowest are taken first */
};

static bool
waits(const weft_job *job)
{
    weft_worker worker;

    weft_worker_of(job, &worker);
    struct watched watched = {.pid = worker.pid};

    for (unsigned id = 1; id < SLOTS; id++)
        look_at(registry_slot(id), &watched);
    return watched.waits;
}

weft_job *
start_waiting(weft_fn *fn, struct order order)
{
    weft_job *job = start(fn, order);

    eventually(waits(job));
    return job;
}

void
kill_it(weft_job *job)
{
    ck_assert_int_eq(weft_kill(job, SIGKILL), 0);
    expect_end(job, WEFT_EDIED);
}

int
get_one(weft_call *call)
{
    const struct order *order = call->arg;
    int64_t item;
    const int status = weft_queue_get(order->queue, &item, WEFT_FOREVER);

    return status < 0 ? status : weft_queue_done(order->queue, 1);
}

int
put_one(weft_call *call)
{
    const struct order *order = call->arg;
    const int64_t item = 9;

    return weft_queue_put(order->queue, &item, WEFT_FOREVER);
}

int
join_it(weft_call *call)
{
    const struct order *order = call->arg;

    return weft_queue_join(order->queue, WEFT_FOREVER);
}

void
fill(void)
{
    for (int i = 0; i < ROOM; i++)
        put(queue, i);
}
