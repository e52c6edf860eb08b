/* Parallel loops over a pool; NULL pool = the caller's own, or the default one.
 * They wait for the whole and return the first failure in time, and weft_why()
 * which items it was; the rest is not begun then. If the caller is asked to
 * stop, weft_stopping() turns true in all parts, their waits end, and no
 * further part begins: WEFT_ECANCELED. Loops may lie within loops. Process
 * pools: `context` and arrays must lie in the shared heap (except weft_map).
 * So far thread pools only: WEFT_ENOTSUP. */
#ifndef WEFT_LOOP_H
#define WEFT_LOOP_H

#include <weft/pool.h>

/* Does the items begin <= i < end. >= 0, or a failure < 0. */
typedef int weft_range_fn(void *context, size_t begin, size_t end);

typedef struct weft_reduction {
    size_t size;          /* of a partial result */
    const void *identity; /* what a part starts from; NULL = zero bytes */
    size_t grain;         /* items a part, 0 = automatic. Parts are joined in
                             order, in a tree fixed by count and grain: the
                             result does not depend on the workers */
    /* Adds the items begin <= i < end to *part. A failure < 0. */
    int (*fold)(void *context, void *part, size_t begin, size_t end);
    /* *left = *left + *right. Associative, need not commute. */
    void (*join)(void *context, void *left, const void *right);
    uintptr_t reserved[4];
} weft_reduction;

typedef enum weft_key { /* the type of a sort key */
    WEFT_KEY_NONE,
    WEFT_KEY_I32,
    WEFT_KEY_I64,
    WEFT_KEY_U32,
    WEFT_KEY_U64,
    WEFT_KEY_F32,
    WEFT_KEY_F64
} weft_key;

typedef struct weft_sorting {
    size_t size; /* of an item */
    int (*compare)(const void *a, const void *b, void *context); /* or: */
    void *context;
    weft_key key; /* by the number at key_offset, by radix; as numbers compare,
                     so -0.0 and 0.0 are equal, and so are NaNs, which are last
                     whatever their sign */
    size_t key_offset;
    uintptr_t reserved[4];
} weft_sorting;

WEFT_BEGIN

/* Items 0..count in ranges of `grain` (0 = automatic), in no order. */
WEFT_API int weft_for(weft_pool *pool, size_t count, size_t grain,
                      weft_range_fn *body, void *context);

/* *result = join of fold over all items; identity if count is 0. When it fails
 * *result stays as it was. WEFT_ENOMEM: no memory for partial results. */
WEFT_API WEFT_MUST_CHECK int weft_reduce(weft_pool *pool, size_t count,
                                         const weft_reduction *how,
                                         void *context, void *result);

/* results[i] = task(args[i]): arrays of task->arg_size and ->result_size bytes
 * a piece; an arg_size of 0 gives the bare pointer to each. By bytes, so every
 * kind of pool can. Of the task only fn, name, arg_size and result_size may be
 * set. When a call fails: WEFT_EFAILED, and weft_why() has its index and its
 * message; when it leaves a result of another size: WEFT_EMSGSIZE. Which of the
 * other results are there is then open. For each failure by itself, or input
 * without an end, submit into a scope instead. */
WEFT_API WEFT_MUST_CHECK int weft_map(weft_pool *pool, const weft_task *task,
                                      const void *args, void *results,
                                      size_t count);

/* Sorts in place, stably. Uses memory for count items: WEFT_ENOMEM, unsorted.
 * A stop finds it either not begun (WEFT_ECANCELED) or lets it end. `compare`
 * runs in several threads; one that contradicts itself gives some order of the
 * same items. */
WEFT_API WEFT_MUST_CHECK int weft_sort(weft_pool *pool, void *items,
                                       size_t count, const weft_sorting *how);

WEFT_END
#endif
