#include "loops.h"

#include <algorithm>
#include <cstdlib>

#if BENCH_TBB
#    include <tbb/parallel_sort.h>
#endif

void
cpp_sort(int32_t *items, size_t count)
{
    std::sort(items, items + count);
}

void
tbb_sort(int32_t *items, size_t count)
{
#if BENCH_TBB
    tbb::parallel_sort(items, items + count);
#else
    (void)items;
    (void)count;
    std::abort();
#endif
}
