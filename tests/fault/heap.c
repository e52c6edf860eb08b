#include "shm/heap.h"

#include "fault.h"

#include <string.h>

enum {
    SMALL = 200,
    LARGE = 150000,
    LEFT_MOST = 30 /* instructions from a block's being handed out to when it
                       stands in the arena */
};

static bool
take_and_give(struct arena *arena)
{
    char *small = weft_shared_alloc(SMALL), *large = weft_shared_alloc(LARGE);

    (void)arena;
    if (!small || !large || *small || *large)
        return false;
    memset(small, 1, SMALL);
    *large = 1;
    weft_shared_free(large);
    weft_shared_free(small);
    return true;
}

static void
operate(struct arena *arena, size_t size)
{
    atomic_store(&arena->block, weft_shared_alloc(size));
    weft_shared_free(atomic_load(&arena->block));
}

static void
operate_small(struct arena *arena)
{
    operate(arena, SMALL);
}

static void
operate_large(struct arena *arena)
{
    operate(arena, LARGE);
}

/* What is taken now is what is to be taken in the end. */
static void
remember(struct arena *arena)
{
    atomic_store(&arena->block, NULL);
    arena->used = weft_shared_used();
}

static void
take(struct arena *arena)
{
    remember(arena);
    atomic_store(&arena->block, weft_shared_alloc(SMALL));
}

static void
take_large(struct arena *arena)
{
    remember(arena);
    atomic_store(&arena->block, weft_shared_alloc(LARGE));
}

static void
give(struct arena *arena)
{
    weft_shared_free(atomic_load(&arena->block));
}

/* A block that was handed out belongs to the program, also if there was no time
 * to say where it is. Where nobody else works in the heap these instructions
 * follow one another; false: they do not, and a block is lost. */
static bool
may_be_left(struct arena *arena, const char *block)
{
    const bool is_left = weft_shared_used() > arena->used;

    if (block)
        return true;
    if (!is_left)
        return arena->operation->others || arena->left == 0;
    arena->used = weft_shared_used();
    return ++arena->left * arena->stride <= LEFT_MOST + arena->stride;
}

static const char *
check(struct arena *arena)
{
    char *block = atomic_exchange(&arena->block, NULL);
    const char *fault = heap_fault();

    if (fault)
        return fault;
    if (!may_be_left(arena, block))
        return "a block was lost";
    if (block && heap_block_size(block) > 0)
        weft_shared_free(block);
    if (weft_shared_used() != arena->used)
        return "not as much is taken as before";
    if (!take_and_give(arena))
        return "there is no memory, or it is not zero";
    return heap_fault();
}

const struct operation heap_operations[] = {
    {
        .name = "heap, small",
        .prepare = remember,
        .operate = operate_small,
        .check = check,
    },
    {
        .name = "heap, large",
        .prepare = remember,
        .operate = operate_large,
        .check = check,
    },
    {
        .name = "heap, beside others",
        .prepare = remember,
        .operate = operate_small,
        .others = take_and_give,
        .check = check,
    },
    {
        .name = "heap, another's small one",
        .prepare = take,
        .operate = give,
        .others = take_and_give,
        .check = check,
    },
    {
        .name = "heap, another's large one",
        .prepare = take_large,
        .operate = give,
        .others = take_and_give,
        .check = check,
    },
    {0},
};
