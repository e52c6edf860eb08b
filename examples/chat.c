/* Two named workers greet each other in turn: threads, or with --processes
 * processes.
 *
 *     Anna: hello, Ben!
 *     Ben: hello, Anna!
 *     Anna: hello, Ben!
 *     Ben: hello, Anna!
 */
#include <weft/weft.h>

#include <stdio.h>
#include <string.h>

static const char *const names[] = {"Anna", "Ben"};

struct guest {
    weft_semaphore *turns; /* one for each guest */
    int number;
};

static int greet(weft_call *call)
{
    const struct guest *guest = call->arg;
    const int other = 1 - guest->number;

    for (int i = 0; i < 2; i++) {
        if (weft_semaphore_acquire(&guest->turns[guest->number],
                                   weft_in(5 * WEFT_SECOND)) < 0)
            return weft_fail(call, "%s", weft_why());
        printf("%s: hello, %s!\n", names[guest->number], names[other]);
        weft_semaphore_release(&guest->turns[other], 1);
    }
    return 0;
}

int main(int argc, char **argv)
{
    const bool processes = argc > 1 && strcmp(argv[1], "--processes") == 0;
    const weft_kind kind = processes ? WEFT_PROCESS : WEFT_THREAD;
    weft_semaphore *turns = weft_shared_alloc(2 * sizeof *turns);
    weft_scope *scope;

    if (!turns)
        return fprintf(stderr, "chat: %s\n", weft_why()), 1;
    turns[0].permits = 1;             /* Anna begins */
    setvbuf(stdout, NULL, _IOLBF, 0); /* lines in order, also into a pipe */
    weft_must(weft_scope_open(&scope, NULL), "open a scope");
    for (int i = 0; i < 2; i++) {
        const struct guest guest = {turns, i};

        weft_must(weft_start(NULL, kind,
                             &(weft_task){.fn = greet,
                                          .name = names[i],
                                          WEFT_ARG(guest),
                                          .scope = scope}),
                  "start");
    }
    weft_must(weft_scope_close(scope, WEFT_FOREVER), "chat");
    weft_shared_free(turns);
    return 0;
}
