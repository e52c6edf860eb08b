/* A timer, a continuation, and a promise kept by a callback. */
#include "command.h"

#include <weft/weft.h>

#include <stdio.h>

static int half(weft_call *call)
{
    *(int *)call->result = *(const int *)call->arg / 2;
    return 0;
}

static void when_done(weft_job *job, void *context)
{
    const weft_outcome *end = weft_outcome_of(job);

    weft_keep(context, end->status, end->result, end->result_size);
}

int main(void)
{
    weft_job *first, *second, *promise;
    int n = 84;

    weft_must(weft_start(&first, WEFT_THREAD,
                         &(weft_task){.fn = half,
                                      WEFT_ARG(n),
                                      .result_size = sizeof n,
                                      .delay = 300 * WEFT_MS}),
              "start");
    weft_must(weft_start(&second, WEFT_THREAD,
                         &(weft_task){/* takes the first one's result */
                                      .fn = half,
                                      .after = first,
                                      .result_size = sizeof n}),
              "start");
    weft_must(weft_promise(&promise, "answer"), "promise");
    weft_must(weft_on_end(second, when_done, promise), "watch");

    weft_must(weft_result(promise, &n, sizeof n, weft_in(5 * WEFT_SECOND)),
              "wait");
    printf("%d\n", n); /* 21 */
    weft_release(promise);
    weft_release(second);
    weft_release(first);
    return finish(0);
}
