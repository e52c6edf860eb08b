#include "fault.h"

enum {
    SHORT = MS / 4
};

/* Under the mutex, for tries that may take a second: the status of a lock. */
static int
lock(struct arena *arena)
{
    return weft_mutex_lock_until(&arena->mutex, fault_soon(STUCK));
}

static void
unlock(struct arena *arena)
{
    weft_mutex_unlock(&arena->mutex);
}

/* --- who waits for the flag, and takes it */

static void
take_flag(struct arena *arena)
{
    weft_mutex_lock(&arena->mutex);
    while (atomic_load(&arena->flag) == 0)
        (void)!weft_cond_wait(&arena->cond, &arena->mutex, WEFT_FOREVER);
    atomic_fetch_sub(&arena->flag, 1);
    unlock(arena);
}

static bool
inherit_flag(struct arena *arena)
{
    const weft_time until = fault_soon(2 * STUCK);
    int status = lock(arena);

    if (status < 0)
        return false;
    while (status >= 0 && atomic_load(&arena->flag) == 0)
        status = weft_cond_wait(&arena->cond, &arena->mutex, until);
    if (status >= 0)
        atomic_fetch_sub(&arena->flag, 1);
    unlock(arena);
    return status >= 0;
}

/* A wait that leaves a hole. What was meant for another is handed on. */
static bool
wait_shortly(struct arena *arena)
{
    if (lock(arena) < 0)
        return false;
    const int status =
        weft_cond_wait(&arena->cond, &arena->mutex, fault_soon(SHORT));

    if (status >= 0)
        weft_cond_notify(&arena->cond, 1);
    unlock(arena);
    return status >= 0 || status == WEFT_ETIMEDOUT;
}

static void
wait_in_vain(struct arena *arena)
{
    weft_mutex_lock(&arena->mutex);
    (void)!weft_cond_wait(&arena->cond, &arena->mutex, fault_soon(1));
    unlock(arena);
}

/* --- who raises it */

static void
raise_flag(struct arena *arena, int by, unsigned n)
{
    weft_mutex_lock(&arena->mutex);
    atomic_fetch_add(&arena->flag, by);
    weft_cond_notify(&arena->cond, n);
    unlock(arena);
}

static void
notify_one(struct arena *arena)
{
    raise_flag(arena, 1, 1);
}

static void
notify_all(struct arena *arena)
{
    raise_flag(arena, HEIRS, WEFT_EVERYONE);
}

/* Whoever waits: the companion may be first, and hand it on. */
static void
unblock(struct arena *arena)
{
    weft_mutex_lock(&arena->mutex);
    atomic_store(&arena->flag, 1);
    weft_cond_notify(&arena->cond, 1);
    unlock(arena);
}

/* Is the victim known to have died in the mutex, then what it was told has been
 * for nothing, and who lives tells the others. Else nobody helps the heir. */
static const char *
settle_granted(struct arena *arena)
{
    const int status = lock(arena);

    if (status < 0)
        return "the mutex cannot be had";
    if (!heir_is_done(arena, 0) &&
        (status == WEFT_OWNER_DIED || atomic_load(&arena->flag) == 0)) {
        atomic_store(&arena->flag, 1);
        weft_cond_notify(&arena->cond, 1);
    }
    unlock(arena);
    return NULL;
}

/* The victim may have died before it told anybody. */
static const char *
settle(struct arena *arena)
{
    unsigned waiting = 0;

    if (lock(arena) < 0)
        return "the mutex cannot be had";
    for (unsigned i = 0; i < arena->operation->heirs; i++)
        waiting += !heir_is_done(arena, i);
    atomic_store(&arena->flag, (int)waiting);
    if (waiting > 0)
        weft_cond_notify(&arena->cond, waiting);
    unlock(arena);
    return NULL;
}

/* Nobody waits; and no notification is left over. */
static const char *
check(struct arena *arena)
{
    if (lock(arena) < 0)
        return "the mutex cannot be had";
    atomic_store(&arena->flag, 0);
    const int status =
        weft_cond_wait(&arena->cond, &arena->mutex, fault_soon(SHORT));

    unlock(arena);
    return status == WEFT_ETIMEDOUT ? NULL : "a wait ended for nothing";
}

/* Two wait behind whatever the dead one left; each notification reaches one. */
static const char *
check_in_turn(struct arena *arena)
{
    const char *fault = check(arena);
    const int64_t now = fault_now();
    unsigned done = 0;

    for (unsigned i = 0; i < HEIRS; i++)
        heir_order_asleep(arena, i);
    for (unsigned told = 1; told <= HEIRS; told++) {
        notify_one(arena);
        while (done < told && fault_now() - now < LATE) {
            fault_nap(PAUSE);
            done = 0;
            for (unsigned i = 0; i < HEIRS; i++)
                done += heir_is_done(arena, i);
        }
        if (done != told)
            fault = "a notification did not wake one waiter";
    }
    return fault;
}

const struct operation cond_operations[] = {
    {
        .name = "cond, wait",
        .operate = take_flag,
        .unblock = unblock,
        .others = wait_shortly,
        .inherit = inherit_flag,
        .check = check_in_turn,
    },
    {
        .name = "cond, wait granted",
        .operate = take_flag,
        .unblock = unblock,
        .settle = settle_granted,
        .inherit = inherit_flag,
        .check = check,
        .heirs = 1,
        .granted = true,
    },
    {
        .name = "cond, wait in vain",
        .operate = wait_in_vain,
        .settle = settle,
        .others = wait_shortly,
        .inherit = inherit_flag,
        .check = check,
        .heirs = 1,
    },
    {
        .name = "cond, notify one",
        .operate = notify_one,
        .settle = settle,
        .inherit = inherit_flag,
        .check = check,
        .heirs = 1,
    },
    {
        .name = "cond, notify all",
        .operate = notify_all,
        .settle = settle,
        .others = wait_shortly,
        .inherit = inherit_flag,
        .check = check,
        .heirs = HEIRS,
    },
    {0},
};
