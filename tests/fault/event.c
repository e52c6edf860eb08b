#include "fault.h"

static bool
wait_for_it(struct arena *arena)
{
    return weft_event_wait(&arena->event, fault_soon(2 * STUCK)) == 0;
}

static void
set(struct arena *arena)
{
    weft_event_set(&arena->event);
}

static void
clear(struct arena *arena)
{
    weft_event_clear(&arena->event);
}

static void
clear_and_set(struct arena *arena)
{
    weft_event_clear(&arena->event);
    weft_event_set(&arena->event);
}

static void
wait_for_ever(struct arena *arena)
{
    (void)!weft_event_wait(&arena->event, WEFT_FOREVER);
}

/* Only if the victim has not: who waits is woken by its setting. */
static const char *
settle(struct arena *arena)
{
    if (!weft_event_is_set(&arena->event))
        weft_event_set(&arena->event);
    return NULL;
}

static const char *
check(struct arena *arena)
{
    if (!weft_event_is_set(&arena->event) ||
        weft_event_wait(&arena->event, WEFT_NOW) != 0)
        return "it is not set";
    weft_event_clear(&arena->event);
    if (weft_event_is_set(&arena->event) ||
        weft_event_wait(&arena->event, WEFT_NOW) != WEFT_ETIMEDOUT)
        return "it is not clear";
    return NULL;
}

const struct operation event_operations[] = {
    {
        .name = "event, set",
        .prepare = clear,
        .operate = set,
        .settle = settle,
        .inherit = wait_for_it,
        .check = check,
        .heirs = HEIRS,
    },
    {
        .name = "event, clear and set",
        .prepare = set,
        .operate = clear_and_set,
        .settle = settle,
        .others = wait_for_it,
        .check = check,
    },
    {
        .name = "event, wait",
        .prepare = clear,
        .operate = wait_for_ever,
        .unblock = set,
        .settle = settle,
        .inherit = wait_for_it,
        .check = check,
        .heirs = 1,
    },
    {
        .name = "event, granted",
        .prepare = clear,
        .operate = wait_for_ever,
        .unblock = set,
        .settle = settle,
        .inherit = wait_for_it,
        .check = check,
        .heirs = 1,
        .granted = true,
    },
    {0},
};
