#include "tbb.h"

#include <oneapi/tbb/global_control.h>
#include <oneapi/tbb/task_arena.h>
#include <oneapi/tbb/task_group.h>

void
bench_tbb_enqueue(void (*fn)(void *arg), void *arg)
{
    static tbb::task_arena arena;

    arena.enqueue([=] { fn(arg); });
}

static long
fib(int n)
{
    long left;

    if (n < 2)
        return n;
    tbb::task_group group;

    group.run([&left, n] { left = fib(n - 1); });
    const long right = fib(n - 2);

    group.wait();
    return left + right;
}

long
bench_tbb_fib(int n, int threads)
{
    tbb::task_arena arena(threads);

    return arena.execute([n] { return fib(n); });
}
