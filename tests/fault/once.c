#include "fault.h"

#include <string.h>
#include <unistd.h>

static int
run(void *context)
{
    struct arena *arena = context;

    atomic_fetch_add(&arena->runs, 1);
    /* So that others come while it runs; only the victim waits. */
    if (getpid() == atomic_load(&arena->victim))
        (void)!weft_event_wait(&arena->gate, WEFT_FOREVER);
    atomic_fetch_add(&arena->finished, 1);
    return 0;
}

static void
operate(struct arena *arena)
{
    (void)!weft_once_do(&arena->once, run, arena);
}

static bool
inherit(struct arena *arena)
{
    return weft_once_do(&arena->once, run, arena) == 0;
}

static void
make(struct arena *arena)
{
    memset(&arena->once, 0, sizeof arena->once);
    atomic_store(&arena->runs, 0);
    atomic_store(&arena->finished, 0);
    atomic_store(&arena->held, 0);
    weft_event_clear(&arena->gate);
}

static void
unblock(struct arena *arena)
{
    if (!atomic_exchange(&arena->held, 1))
        heir_order_asleep(arena, 0);
    weft_event_set(&arena->gate);
}

/* An heir waits for the victim, or comes when it is dead. */
static const char *
settle(struct arena *arena)
{
    if (!atomic_exchange(&arena->held, 1))
        heir_order(arena, 0);
    return NULL;
}

static const char *
check(struct arena *arena)
{
    const int runs = atomic_load(&arena->runs);
    const int finished = atomic_load(&arena->finished);

    if (finished < 1)
        return "it is done, but nobody has finished it";
    if (runs > 2 || finished > 2)
        return "it was done again after it had been done";
    if (!heir_is_done(arena, 0))
        return "nobody can do it";
    return !inherit(arena) || atomic_load(&arena->runs) != runs
               ? "it was done again"
               : NULL;
}

const struct operation once_operations[] = {
    {
        .name = "once",
        .prepare = make,
        .operate = operate,
        .unblock = unblock,
        .settle = settle,
        .inherit = inherit,
        .check = check,
    },
    {0},
};
