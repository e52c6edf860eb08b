/* Compiled once, so that all ways do the very same. */
#include "loops.h"

enum {
    STEPS = 20
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
