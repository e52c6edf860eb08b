/* A tree over the parts, fixed by their number: each node folds, or joins what
 * its halves gave, in order. The left half's result is the node's own; the
 * right half's lies in the node's frame while it is small. */
#include "base/why.h"
#include "os/os.h"
#include "pool/loop.h"
#include "worker/options.h"

#include <weft/status.h>

#include <stdlib.h>
#include <string.h>

enum {
    PARTS = 256, /* by an automatic grain; of items, not of workers */
    SMALL = 128  /* bytes of a partial result that lies on the stack */
};

struct reduction {
    struct loop loop;
    const weft_reduction *how;
};

struct node {
    struct reduction *reduction;
    size_t first, last; /* parts */
    void *out;
};

static void
set_identity(const weft_reduction *how, void *out)
{
    if (how->identity)
        memcpy(out, how->identity, how->size);
    else
        memset(out, 0, how->size);
}

/* Memory for a partial result, which may be `small`. NULL: there is none. */
static void *
take_partial(const weft_reduction *how, void *small)
{
    if (how->size <= SMALL)
        return small;
    return os_memory_is_left(how->size) ? malloc(how->size) : NULL;
}

static void
give_partial(const weft_reduction *how, void *partial)
{
    if (how->size > SMALL)
        free(partial);
}

static void reduce(weft_lane *lane, void *frame);

static void
reduce_halves(weft_lane *lane, const struct node *node, void *partial)
{
    struct reduction *reduction = node->reduction;
    const size_t middle = node->first + (node->last - node->first) / 2;
    struct node left = {reduction, node->first, middle, node->out};
    struct node right = {reduction, middle, node->last, partial};
    weft_lane *inner = weft_fork(lane, reduce, &right);

    reduce(inner, &left);
    weft_sync(lane);
    if (atomic_load(&reduction->loop.status) == 0)
        reduction->how->join(reduction->loop.context, node->out, partial);
}

static void
reduce(weft_lane *lane, void *frame)
{
    const struct node *node = frame;
    struct reduction *reduction = node->reduction;
    const weft_reduction *how = reduction->how;
    _Alignas(16) char small[SMALL];

    if (!loop_goes_on(&reduction->loop))
        return;
    if (node->last - node->first == 1) {
        set_identity(how, node->out);
        (void)loop_part(lane, &reduction->loop, node->first, node->out);
        return;
    }
    void *partial = take_partial(how, small);

    if (!partial) {
        loop_fail(&reduction->loop, WEFT_ENOMEM,
                  "no memory for a partial result of %zu bytes", how->size);
        return;
    }
    reduce_halves(lane, node, partial);
    give_partial(how, partial);
}

static int
check(const weft_reduction *how, const void *result)
{
    if (!how || !result)
        return why_set(WEFT_EINVAL, "weft_reduce: %s is NULL",
                       how ? "result" : "how");
    if (how->size == 0)
        return why_set(WEFT_EINVAL, "reduction.size is 0");
    if (!how->fold || !how->join)
        return why_set(WEFT_EINVAL, "reduction.%s is NULL",
                       how->fold ? "join" : "fold");
    return options_check_words(how->reserved,
                               sizeof how->reserved / sizeof *how->reserved,
                               "the reduction");
}

/* The result stays as it is until there is one. */
static int
reduce_all(weft_pool *pool, struct reduction *reduction, void *result)
{
    const weft_reduction *how = reduction->how;
    _Alignas(16) char small[SMALL];
    struct node all = {reduction, 0, reduction->loop.parts,
                       take_partial(how, small)};

    if (!all.out)
        return why_set(WEFT_ENOMEM,
                       "weft_reduce: no memory for a result of %zu bytes",
                       how->size);
    int status = loop_fork(pool, "weft_reduce", reduce, &all);

    if (status == 0)
        status = loop_end(&reduction->loop);
    if (status == 0)
        memcpy(result, all.out, how->size);
    give_partial(how, all.out);
    return status;
}

int
weft_reduce(weft_pool *pool, size_t count, const weft_reduction *how,
            void *context, void *result)
{
    struct reduction reduction;
    int status = check(how, result);

    if (status < 0)
        return status;
    pool = loop_pool(pool, "weft_reduce", &status);
    if (pool && count == 0)
        set_identity(how, result);
    if (!pool || count == 0)
        return status;
    reduction.how = how;
    loop_begin(&reduction.loop, "weft_reduce", count,
               how->grain ? how->grain : (count - 1) / PARTS + 1);
    reduction.loop.body = how->fold;
    reduction.loop.context = context;
    return reduce_all(pool, &reduction, result);
}
