/* How long something took, and how much faster it was than the same without
 * forks. */
#ifndef SPEED_H
#define SPEED_H

#include <weft/weft.h>

#include <stdio.h>

static inline double seconds_since(weft_time begun)
{
    return (double)(weft_now().ns - begun.ns) / (double)WEFT_SECOND;
}

static inline void speed_print(double serial, double forked)
{
    printf("serial %.3f s, forked %.3f s, %u CPUs: %.2f times as fast\n",
           serial, forked, weft_cpu_count(), serial / forked);
}

#endif
