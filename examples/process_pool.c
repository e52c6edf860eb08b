/* Tasks that crash, loop and eat memory, and the others that do not notice:
 * each costs one line, its worker is replaced, and the next task runs. */
#include <weft/weft.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    MEBIBYTE = 1 << 20
};

static int decode(weft_call *call)
{
    const int n = *(const int *)call->arg;

    if (n == 3)
        abort();
    if (n == 5)
        for (volatile bool on = true; on;)
            ;
    if (n == 7)
        return weft_fail(call, "picture %d is damaged", n);
    while (n == 8) {
        char *volatile more = malloc(MEBIBYTE);
        memset(more, 1, MEBIBYTE); /* it never looks for NULL */
    }
    *(int *)call->result = n * n;
    return 0;
}

int main(void)
{
    weft_pool *pool;
    weft_scope *scope;
    weft_job *job;
    weft_pool_counts counts;

    weft_must(weft_pool_open(
                  &pool, WEFT_PROCESS,
                  &(weft_pool_options){.workers = 2,
                                       .max_tasks = 1000,
                                       .name = "decoder",
                                       .worker = {.memory = 64 << 20,
                                                  .sandbox = WEFT_STRICT,
                                                  .grace = 100 * WEFT_MS}}),
              "open a pool");
    weft_must(
        weft_scope_open(&scope, &(weft_scope_options){.keep_going = true}),
        "open a scope");
    for (int i = 0; i < 10; i++)
        weft_must(weft_submit(NULL, pool,
                              &(weft_task){.fn = decode,
                                           .name = "decode",
                                           WEFT_ARG(i),
                                           .result_size = sizeof(int),
                                           .timeout = 500 * WEFT_MS,
                                           .scope = scope}),
                  "submit");

    while (weft_scope_next(scope, &job, WEFT_FOREVER) == 0) {
        const weft_outcome *end = weft_outcome_of(job);

        if (end->status == WEFT_OK)
            printf("%d\n", *(const int *)end->result);
        else
            printf("%s\n%s", end->text, end->stack);
    }
    weft_scope_close(scope, WEFT_FOREVER);
    weft_pool_count(pool, &counts);
    printf("%d succeeded, %d failed, %d workers died\n", (int)counts.succeeded,
           (int)counts.failed, (int)counts.died);
    weft_pool_close(pool, WEFT_FOREVER);
    return 0;
}
