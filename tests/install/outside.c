/* A program of somebody else, built against the installed library. */
#include <weft/weft.h>

#include <stdio.h>

struct pair {
    long a, b;
};

static int
add(weft_call *call)
{
    const struct pair *in = call->arg;

    *(long *)call->result = in->a + in->b;
    return 0;
}

static long
add_in(weft_kind kind)
{
    const struct pair in = {3, 7};
    weft_job *job;
    long sum;

    weft_must(weft_start(&job, kind,
                         &(weft_task){.fn = add,
                                      .name = "Add",
                                      WEFT_ARG(in),
                                      .result_size = sizeof(sum)}),
              "start");
    weft_must(weft_result(job, &sum, sizeof(sum), WEFT_FOREVER), "add");
    weft_release(job);
    return sum;
}

int
main(void)
{
    if (add_in(WEFT_THREAD) != 10 || add_in(WEFT_PROCESS) != 10) {
        fprintf(stderr, "outside: a wrong sum\n");
        return 1;
    }
    return 0;
}
