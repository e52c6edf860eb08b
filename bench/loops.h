/* The peers of bench/loops.c, in C with OpenMP and in C++. */
#ifndef BENCH_LOOPS_H
#define BENCH_LOOPS_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/* What a loop does to its items: the same for all. */
void loops_compute(double *at, size_t begin, size_t end);
void loops_stream(double *to, const double *from, size_t begin, size_t end);

void openmp_empty(void);
void openmp_compute(double *at, size_t count);
void openmp_stream(double *to, const double *from, size_t count);

void cpp_sort(int32_t *items, size_t count);
void tbb_sort(int32_t *items, size_t count);

#ifdef __cplusplus
}
#endif

#endif
