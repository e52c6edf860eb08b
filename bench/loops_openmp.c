#include "loops.h"

enum {
    STEPS = 20,
    CHUNK = 4096 /* items a call: nobody pays for the call itself */
};

void
loops_compute(double *at, size_t begin, size_t end)
{
    for (size_t i = begin; i < end; i++) {
        double x = (double)i;

        for (int k = 0; k < STEPS; k++)
            x = x * 0.5 + 1;
        at[i] = x;
    }
}

void
loops_stream(double *to, const double *from, size_t begin, size_t end)
{
    for (size_t i = begin; i < end; i++)
        to[i] = from[i] * 3 + 1;
}

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
