#include "pool/sort.h"

#include "base/why.h"
#include "os/os.h"
#include "pool/loop.h"
#include "worker/options.h"

#include <weft/status.h>

#include <stdlib.h>

enum {
    FEW = 400 /* items that are sorted by comparing keys; from there on the
                 table of a radix pass is worth its setting up */
};

static int
check_key(const weft_sorting *how)
{
    const size_t size = radix_key_size(how->key);

    if (how->key == WEFT_KEY_NONE)
        return how->key_offset
                   ? why_set(WEFT_EINVAL, "sorting.key_offset without a key")
                   : 0;
    if (size == 0)
        return why_set(WEFT_EINVAL, "sorting.key: there is no key %d",
                       (int)how->key);
    if (how->size < size || how->key_offset > how->size - size)
        return why_set(WEFT_EINVAL,
                       "sorting.key_offset: a key of %zu bytes at %zu is not "
                       "within an item of %zu",
                       size, how->key_offset, how->size);
    return 0;
}

static int
check(const void *items, size_t count, const weft_sorting *how)
{
    size_t bytes;

    if (!how || (!items && count > 0))
        return why_set(WEFT_EINVAL, "weft_sort: %s is NULL",
                       how ? "items" : "how");
    if (how->size == 0)
        return why_set(WEFT_EINVAL, "sorting.size is 0");
    if (!how->compare == (how->key == WEFT_KEY_NONE))
        return why_set(WEFT_EINVAL, "sorting: %s",
                       how->compare ? "both compare and a key"
                                    : "neither compare nor a key");
    if (__builtin_mul_overflow(how->size, count, &bytes))
        return why_set(WEFT_EINVAL,
                       "weft_sort: %zu items of %zu bytes are beyond all "
                       "memory",
                       count, how->size);
    const int status = check_key(how);

    return status < 0 ? status
                      : options_check_words(how->reserved,
                                            sizeof how->reserved /
                                                sizeof *how->reserved,
                                            "the sorting");
}

static void
run(weft_lane *lane, void *frame)
{
    struct sort *sort = frame;

    if (sort->how->compare)
        merge_sort(lane, sort);
    else
        radix_sort(lane, sort);
}

/* A stop in the middle would leave neither the one order nor the other. */
static int
sort_all(weft_pool *pool, struct sort *sort)
{
    const size_t bytes = sort->count * sort->how->size;
    const size_t tables = sort->how->compare ? 0 : radix_counts(sort->parts);
    int status = WEFT_ENOMEM;

    sort->other = bytes && os_memory_is_left(bytes) ? malloc(bytes) : NULL;
    sort->counts = tables ? malloc(tables) : NULL;
    if (sort->other && (tables == 0 || sort->counts))
        status = loop_fork(pool, "weft_sort", run, sort);
    else
        (void)why_set(status, "weft_sort: no memory for %zu bytes beside them",
                      bytes);
    free(sort->counts);
    free(sort->other);
    return status;
}

int
weft_sort(weft_pool *pool, void *items, size_t count, const weft_sorting *how)
{
    int status = check(items, count, how);

    if (status < 0)
        return status;
    pool = loop_pool(pool, "weft_sort", &status);
    if (!pool)
        return status;
    if (stop_pending(self_get()))
        return why_set(WEFT_ECANCELED, "weft_sort: asked to stop");
    if (count < 2)
        return 0;
    const weft_sorting by_key = {.size = how->size,
                                 .compare = radix_compare,
                                 .context = (void *)(uintptr_t)how};
    struct sort sort = {.how = count < FEW && !how->compare ? &by_key : how,
                        .items = items,
                        .count = count,
                        .parts = radix_parts(count, loop_workers(pool))};

    return sort_all(pool, &sort);
}
