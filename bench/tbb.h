/* What the benchmarks take of oneTBB, whose own face is C++. */
#ifndef BENCH_TBB_H
#define BENCH_TBB_H

#include <stddef.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Gives fn(arg) to an arena with a thread a CPU. */
void bench_tbb_enqueue(void (*fn)(void *arg), void *arg);

/* fib(n) with a task_group a call, without cut-off, on so many threads. */
long bench_tbb_fib(int n, int threads);

#ifdef __cplusplus
}
#endif
#endif
