#include "loops.h"

#if BENCH_PTHREADPOOL

#    include <pthreadpool.h>

enum {
    CHUNK = 4096 /* items a call, as with OpenMP */
};

static pthreadpool_t
pool(void)
{
    static pthreadpool_t made;

    if (!made)
        made = pthreadpool_create(0);
    return made;
}

static void
do_nothing(void *context, size_t index)
{
    (void)context;
    (void)index;
}

void
pthreadpool_empty(void)
{
    pthreadpool_parallelize_1d(pool(), do_nothing, NULL,
                               pthreadpool_get_threads_count(pool()), 0);
}

static void
compute(void *at, size_t begin, size_t size)
{
    loops_compute(at, begin, begin + size);
}

void
pthreadpool_compute(double *at, size_t count)
{
    pthreadpool_parallelize_1d_tile_1d(pool(), compute, at, count, CHUNK, 0);
}

struct streams {
    double *to;
    const double *from;
};

static void
stream(void *context, size_t begin, size_t size)
{
    const struct streams *streams = context;

    loops_stream(streams->to, streams->from, begin, begin + size);
}

void
pthreadpool_stream(double *to, const double *from, size_t count)
{
    pthreadpool_parallelize_1d_tile_1d(
        pool(), stream, &(struct streams){to, from}, count, CHUNK, 0);
}

#endif
