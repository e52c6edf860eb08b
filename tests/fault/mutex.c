#include "fault.h"

/* Takes the mutex in a second, changes what it guards, gives it back. */
static bool
change(struct arena *arena)
{
    const int status = weft_mutex_lock_until(&arena->mutex, fault_soon(STUCK));

    if (status < 0)
        return false;
    const bool right = fault_guarded(arena, status);

    fault_change(arena);
    weft_mutex_unlock(&arena->mutex);
    return right;
}

static void
lock_and_unlock(struct arena *arena)
{
    (void)fault_guarded(arena, weft_mutex_lock(&arena->mutex));
    fault_change(arena);
    weft_mutex_unlock(&arena->mutex);
}

static const char *
check(struct arena *arena)
{
    if (!change(arena))
        return "what the mutex guards is torn, or the mutex cannot be had";
    return weft_mutex_holder(&arena->mutex) != 0 ? "somebody holds the mutex"
                                                 : NULL;
}

/* --- held by the main process */

static void
hold(struct arena *arena)
{
    atomic_store(&arena->held, 1);
    (void)fault_guarded(arena, weft_mutex_lock(&arena->mutex));
}

static void
let_go(struct arena *arena)
{
    if (atomic_exchange(&arena->held, 0))
        weft_mutex_unlock(&arena->mutex);
}

static const char *
settle(struct arena *arena)
{
    let_go(arena);
    return NULL;
}

/* --- recursive */

static void
make_recursive(struct arena *arena)
{
    arena->mutex.recursive = true;
}

static void
lock_twice(struct arena *arena)
{
    (void)fault_guarded(arena, weft_mutex_lock(&arena->mutex));
    weft_mutex_lock(&arena->mutex);
    fault_change(arena);
    weft_mutex_unlock(&arena->mutex);
    weft_mutex_unlock(&arena->mutex);
}

static bool
change_twice(struct arena *arena)
{
    if (weft_mutex_lock_until(&arena->mutex, fault_soon(STUCK)) < 0)
        return false;
    (void)fault_guarded(arena, WEFT_OWNER_DIED);
    const bool right = change(arena);

    weft_mutex_unlock(&arena->mutex);
    return right;
}

static const char *
check_recursive(struct arena *arena)
{
    if (!change_twice(arena))
        return "the mutex cannot be had twice";
    return check(arena);
}

const struct operation mutex_operations[] = {
    {
        .name = "mutex, free",
        .operate = lock_and_unlock,
        .others = change,
        .check = check,
    },
    {
        .name = "mutex, held by another",
        .prepare = hold,
        .operate = lock_and_unlock,
        .unblock = let_go,
        .settle = settle,
        .others = change,
        .check = check,
    },
    {
        .name = "mutex, granted",
        .prepare = hold,
        .operate = lock_and_unlock,
        .unblock = let_go,
        .settle = settle,
        .inherit = change,
        .check = check,
        .heirs = 1,
        .granted = true,
    },
    {
        .name = "mutex, recursive",
        .prepare = make_recursive,
        .operate = lock_twice,
        .others = change_twice,
        .check = check_recursive,
    },
    {0},
};
