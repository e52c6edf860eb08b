#include "fault.h"

static bool
meet(struct arena *arena)
{
    const int status =
        weft_barrier_wait(&arena->barrier, fault_soon(2 * STUCK));

    return status >= 0 || status == WEFT_EBROKEN;
}

static void
operate(struct arena *arena)
{
    (void)!weft_barrier_wait(&arena->barrier, WEFT_FOREVER);
}

static void
make_for_two(struct arena *arena)
{
    arena->barrier.parties = 2;
}

static void
make_for_three(struct arena *arena)
{
    arena->barrier.parties = 3;
}

/* The main process is the third. */
static void
arrive(struct arena *arena)
{
    atomic_store(&arena->held, meet(arena));
}

/* A victim that has arrived breaks the round, or it is complete; one that has
 * not leaves the heir waiting, alone. */
static const char *
settle(struct arena *arena)
{
    const int waiting = weft_barrier_waiting(&arena->barrier);

    if (waiting > 1)
        return "a dead one is waited with";
    if (waiting == 1)
        weft_barrier_abort(&arena->barrier);
    return NULL;
}

/* After a reset all meet. */
static const char *
check(struct arena *arena)
{
    const unsigned others = arena->barrier.parties - 1;
    const char *fault = NULL;

    weft_barrier_reset(&arena->barrier);
    if (weft_barrier_waiting(&arena->barrier) != 0)
        return "somebody waits after a reset";
    for (unsigned i = 0; i < others; i++)
        heir_order(arena, i);
    if (weft_barrier_wait(&arena->barrier, fault_soon(STUCK)) < 0)
        fault = "the parties do not meet after a reset";
    for (unsigned i = 0; i < others; i++)
        if (heir_await(arena, i, fault_now()) < 0)
            fault = "an heir does not return from a round";
    return fault;
}

const struct operation barrier_operations[] = {
    {
        .name = "barrier of two",
        .prepare = make_for_two,
        .operate = operate,
        .settle = settle,
        .inherit = meet,
        .check = check,
        .heirs = 1,
    },
    {
        .name = "barrier of three",
        .prepare = make_for_three,
        .operate = operate,
        .unblock = arrive,
        .settle = settle,
        .inherit = meet,
        .check = check,
        .heirs = 1,
    },
    {0},
};
