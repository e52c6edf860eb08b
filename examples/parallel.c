/* A loop, a sum, a sort and a map over all CPUs. */
#include "command.h"

#include <weft/weft.h>

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

enum {
    COUNT = 1000000
};

static int fill(void *context, size_t begin, size_t end)
{
    double *x = context;

    for (size_t i = begin; i < end; i++)
        x[i] = sin((double)i);
    return 0;
}

static int add_range(void *context, void *part, size_t begin, size_t end)
{
    const double *x = context;
    double *sum = part;

    for (size_t i = begin; i < end; i++)
        *sum += x[i] * x[i];
    return 0;
}

static void add_parts(void *context, void *left, const void *right)
{
    (void)context;
    *(double *)left += *(const double *)right;
}

static int square(weft_call *call)
{
    const int n = *(const int *)call->arg;

    *(int *)call->result = n * n;
    return 0;
}

int main(void)
{
    double *x = malloc(COUNT * sizeof *x), sum;
    const int in[] = {1, 2, 3, 4};
    int out[4];

    if (!x)
        return 1;
    weft_must(weft_for(NULL, COUNT, 0, fill, x), "fill");
    weft_must(weft_reduce(NULL, COUNT,
                          &(weft_reduction){.size = sizeof sum,
                                            .fold = add_range,
                                            .join = add_parts},
                          x, &sum),
              "add");
    weft_must(
        weft_sort(NULL, x, COUNT,
                  &(weft_sorting){.size = sizeof *x, .key = WEFT_KEY_F64}),
        "sort");
    printf("%.3f, smallest %.3f\n", sum, x[0]);

    weft_must(weft_map(NULL,
                       &(weft_task){.fn = square,
                                    .arg_size = sizeof *in,
                                    .result_size = sizeof *out},
                       in, out, 4),
              "map");
    printf("%d %d %d %d\n", out[0], out[1], out[2], out[3]);
    free(x);
    return finish(0);
}
