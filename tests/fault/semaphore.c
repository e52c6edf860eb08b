#include "fault.h"

enum {
    LOST_SOON = 20 * MS /* by then a permit that is free has been taken */
};

static bool
acquire(struct arena *arena)
{
    return weft_semaphore_acquire(&arena->semaphore, fault_soon(STUCK)) == 0;
}

static bool
release(struct arena *arena)
{
    return weft_semaphore_release(&arena->semaphore, 1) == 0;
}

static bool
acquire_and_release(struct arena *arena)
{
    return acquire(arena) && release(arena);
}

static void
operate(struct arena *arena)
{
    (void)!weft_semaphore_acquire(&arena->semaphore, WEFT_FOREVER);
    weft_semaphore_release(&arena->semaphore, 1);
}

/* --- with a limit: all permits return */

static void
make(struct arena *arena, unsigned limit, unsigned permits)
{
    if (atomic_exchange(&arena->runs, 1))
        return;
    arena->semaphore.limit = limit;
    arena->semaphore.permits = permits;
}

static void
make_two(struct arena *arena)
{
    make(arena, 2, 2);
}

/* There are as many as at first, and can be taken, and no more. */
static const char *
check(struct arena *arena)
{
    const unsigned limit = arena->semaphore.limit;
    bool right = true;

    if (weft_semaphore_permits(&arena->semaphore) != limit)
        return "the permits are not as many as before";
    for (unsigned i = 0; i < limit; i++)
        right = acquire(arena) && right;
    if (weft_semaphore_acquire(&arena->semaphore, WEFT_NOW) != WEFT_ETIMEDOUT)
        return "there is one permit too many";
    if (weft_semaphore_release(&arena->semaphore, limit) < 0)
        return "the permits cannot be given back";
    return right ? NULL : "a permit cannot be had";
}

/* The main process has the only one. */
static void
hold(struct arena *arena)
{
    make(arena, 1, 1);
    atomic_store(&arena->held, acquire(arena));
}

static void
let_go(struct arena *arena)
{
    if (atomic_exchange(&arena->held, 0))
        (void)release(arena);
}

static const char *
settle(struct arena *arena)
{
    let_go(arena);
    return NULL;
}

/* Somebody else gives back what the main process has taken. */
static void
release_for_another(struct arena *arena)
{
    weft_semaphore_release(&arena->semaphore, 1);
}

static const char *
check_released(struct arena *arena)
{
    atomic_store(&arena->held, 0);
    if (weft_semaphore_permits(&arena->semaphore) == 0 && !release(arena))
        return "the permit cannot be given back";
    return check(arena);
}

/* --- without: at most one is lost */

static void
make_unlimited(struct arena *arena)
{
    make(arena, 0, 2);
}

static const char *
check_unlimited(struct arena *arena)
{
    const unsigned permits = weft_semaphore_permits(&arena->semaphore);

    if (permits < 1 || permits > 2)
        return "there is not one permit, and not two";
    if (!acquire(arena))
        return "a permit cannot be had";
    return weft_semaphore_release(&arena->semaphore, 3 - permits) < 0
               ? "the permits cannot be given back"
               : NULL;
}

static void
hold_unlimited(struct arena *arena)
{
    make(arena, 0, 1);
    atomic_store(&arena->held, acquire(arena));
}

/* The one that the victim took to the grave is made anew. */
static const char *
settle_unlimited(struct arena *arena)
{
    const int64_t begun = fault_now();

    let_go(arena);
    while (!heir_is_done(arena, 0) && fault_now() - begun < LOST_SOON)
        fault_nap(PAUSE);
    if (!heir_is_done(arena, 0) &&
        weft_semaphore_permits(&arena->semaphore) == 0)
        (void)release(arena);
    return NULL;
}

static const char *
check_granted_unlimited(struct arena *arena)
{
    const unsigned permits = weft_semaphore_permits(&arena->semaphore);

    if (permits > 1)
        return "there is a permit too many";
    if (permits == 0 && !release(arena))
        return "a permit cannot be given back";
    return acquire_and_release(arena) ? NULL : "a permit cannot be had";
}

const struct operation semaphore_operations[] = {
    {
        .name = "semaphore with a limit",
        .prepare = make_two,
        .operate = operate,
        .others = acquire_and_release,
        .check = check,
    },
    {
        .name = "semaphore with a limit, none left",
        .prepare = hold,
        .operate = operate,
        .unblock = let_go,
        .settle = settle,
        .others = acquire_and_release,
        .check = check,
    },
    {
        .name = "semaphore with a limit, for another",
        .prepare = hold,
        .operate = release_for_another,
        .check = check_released,
    },
    {
        .name = "semaphore with a limit, granted",
        .prepare = hold,
        .operate = operate,
        .unblock = let_go,
        .settle = settle,
        .inherit = acquire_and_release,
        .check = check,
        .heirs = 1,
        .granted = true,
    },
    {
        .name = "semaphore without a limit",
        .prepare = make_unlimited,
        .operate = operate,
        .others = acquire_and_release,
        .check = check_unlimited,
    },
    {
        .name = "semaphore without a limit, granted",
        .prepare = hold_unlimited,
        .operate = operate,
        .unblock = let_go,
        .settle = settle_unlimited,
        .inherit = acquire_and_release,
        .check = check_granted_unlimited,
        .heirs = 1,
        .granted = true,
    },
    {0},
};
