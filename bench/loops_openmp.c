#include "loops.h"

enum {
    CHUNK = 4096 /* items a call: nobody pays for the call itself */
};

void
openmp_empty(void)
{
#pragma omp parallel
    {
        __asm__ volatile("");
    }
}

void
openmp_compute(double *at, size_t count)
{
#pragma omp parallel for
    for (size_t i = 0; i < count; i += CHUNK)
        loops_compute(at, i, i + CHUNK < count ? i + CHUNK : count);
}

void
openmp_stream(double *to, const double *from, size_t count)
{
#pragma omp parallel for
    for (size_t i = 0; i < count; i += CHUNK)
        loops_stream(to, from, i, i + CHUNK < count ? i + CHUNK : count);
}
