/* The peers of bench/loops.c: OpenMP, pthreadpool, and sorts in C++. */
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

/* A way to run loops in parallel. NULL: it cannot. */
struct loops_way {
    const char *name;
    void (*empty)(void); /* a region in which nobody does anything */
    void (*compute)(double *at, size_t count);
    void (*stream)(double *to, const double *from, size_t count);
};

/* Fills the way from loops_openmp.c as another compiler made it, a library of
 * its own: two OpenMPs in one program have the same names. Nothing, if it is
 * not there. */
void loops_load(struct loops_way *way, const char *library);

void openmp_empty(void);
void openmp_compute(double *at, size_t count);
void openmp_stream(double *to, const double *from, size_t count);

void pthreadpool_empty(void);
void pthreadpool_compute(double *at, size_t count);
void pthreadpool_stream(double *to, const double *from, size_t count);

void cpp_sort(int32_t *items, size_t count);
void tbb_sort(int32_t *items, size_t count);

#ifdef __cplusplus
}
#endif

#endif
