/* The bug itself: two workers add to one balance without a lock, and additions
 * are lost. With --processes the workers are processes.
 *
 *     2 times 50000000 makes 63456653
 *
 * See race_with_lock.c for what to do about it. */
#include <weft/weft.h>

#include <stdio.h>
#include <string.h>

enum {
    TIMES = 50000000
};

/* volatile: the compiler, too, must read, add and write each time. */
static int add(weft_call *call)
{
    volatile long *balance = *(volatile long *const *)call->arg;

    for (int i = 0; i < TIMES; i++)
        *balance = *balance + 1; /* the other one may write in between */
    return 0;
}

int main(int argc, char **argv)
{
    const bool processes = argc > 1 && strcmp(argv[1], "--processes") == 0;
    const weft_kind kind = processes ? WEFT_PROCESS : WEFT_THREAD;
    long *balance = weft_shared_alloc(sizeof *balance);
    weft_scope *scope;

    if (!balance)
        return fprintf(stderr, "race: %s\n", weft_why()), 1;
    weft_must(weft_scope_open(&scope, NULL), "open a scope");
    for (int i = 0; i < 2; i++)
        weft_must(weft_start(NULL, kind,
                             &(weft_task){
                                 .fn = add, WEFT_ARG(balance), .scope = scope}),
                  "start");
    weft_must(weft_scope_close(scope, WEFT_FOREVER), "add");
    printf("2 times %d makes %ld\n", TIMES, *balance);
    weft_shared_free(balance);
    return 0;
}
