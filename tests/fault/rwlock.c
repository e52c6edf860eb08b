#include "fault.h"

/* Who reads after a writer's death may make right what it left behind. */
static bool
look(struct arena *arena)
{
    const int status =
        weft_rwlock_read_until(&arena->rwlock, fault_soon(STUCK));

    if (status < 0)
        return false;
    const bool right = fault_guarded(arena, status);

    weft_rwlock_unlock(&arena->rwlock);
    return right;
}

static bool
change(struct arena *arena)
{
    const int status =
        weft_rwlock_write_until(&arena->rwlock, fault_soon(STUCK));

    if (status < 0)
        return false;
    const bool right = fault_guarded(arena, status);

    fault_change(arena);
    weft_rwlock_unlock(&arena->rwlock);
    return right;
}

static bool
look_and_change(struct arena *arena)
{
    return look(arena) && change(arena);
}

static void
read_once(struct arena *arena)
{
    (void)fault_guarded(arena, weft_rwlock_read(&arena->rwlock));
    weft_rwlock_unlock(&arena->rwlock);
}

static void
write_once(struct arena *arena)
{
    (void)fault_guarded(arena, weft_rwlock_write(&arena->rwlock));
    fault_change(arena);
    weft_rwlock_unlock(&arena->rwlock);
}

static const char *
check(struct arena *arena)
{
    if (!look(arena))
        return "what the lock guards is torn, or it cannot be read";
    return change(arena) ? NULL : "the lock cannot be had for writing";
}

/* --- held by the main process */

static void
hold_for_reading(struct arena *arena)
{
    atomic_store(&arena->held, 1);
    (void)fault_guarded(arena, weft_rwlock_read(&arena->rwlock));
}

static void
hold_for_writing(struct arena *arena)
{
    atomic_store(&arena->held, 1);
    (void)fault_guarded(arena, weft_rwlock_write(&arena->rwlock));
}

static void
let_go(struct arena *arena)
{
    if (atomic_exchange(&arena->held, 0))
        weft_rwlock_unlock(&arena->rwlock);
}

static const char *
settle(struct arena *arena)
{
    let_go(arena);
    return NULL;
}

const struct operation rwlock_operations[] = {
    {
        .name = "rwlock, read",
        .operate = read_once,
        .others = look_and_change,
        .check = check,
    },
    {
        .name = "rwlock, write",
        .operate = write_once,
        .others = look_and_change,
        .check = check,
    },
    {
        .name = "rwlock, write while another reads",
        .prepare = hold_for_reading,
        .operate = write_once,
        .unblock = let_go,
        .settle = settle,
        .others = look,
        .check = check,
        .at_once = true,
    },
    {
        .name = "rwlock, read while a writer waits",
        .prepare = hold_for_reading,
        .operate = read_once,
        .unblock = let_go,
        .settle = settle,
        .inherit = change,
        .check = check,
        .heirs = 1,
    },
    {
        .name = "rwlock, write granted",
        .prepare = hold_for_writing,
        .operate = write_once,
        .unblock = let_go,
        .settle = settle,
        .inherit = change,
        .check = check,
        .heirs = 1,
        .granted = true,
    },
    {
        .name = "rwlock, read granted",
        .prepare = hold_for_writing,
        .operate = read_once,
        .unblock = let_go,
        .settle = settle,
        .inherit = change,
        .check = check,
        .heirs = 1,
        .granted = true,
    },
    {0},
};
