/* Three workers in step: threads, or with --processes processes. Who is the
 * first at a meeting keeps the minutes.
 *
 *     round 1 is complete
 *     round 2 is complete
 *     round 3 is complete
 */
#include <weft/weft.h>

#include <stdio.h>
#include <string.h>

enum {
    PARTIES = 3,
    ROUNDS = 3
};

static int walk(weft_call *call)
{
    weft_barrier *meeting = *(weft_barrier *const *)call->arg;

    for (int round = 1; round <= ROUNDS; round++) {
        const int index = weft_barrier_wait(meeting, weft_in(5 * WEFT_SECOND));

        if (index < 0)
            return weft_fail(call, "%s", weft_why());
        if (index == 0)
            printf("round %d is complete\n", round);
    }
    return 0;
}

int main(int argc, char **argv)
{
    const bool processes = argc > 1 && strcmp(argv[1], "--processes") == 0;
    const weft_kind kind = processes ? WEFT_PROCESS : WEFT_THREAD;
    weft_barrier *meeting = weft_shared_alloc(sizeof *meeting);
    weft_scope *scope;

    if (!meeting)
        return fprintf(stderr, "barrier: %s\n", weft_why()), 1;
    meeting->parties = PARTIES;
    setvbuf(stdout, NULL, _IOLBF, 0); /* lines in order, also into a pipe */
    weft_must(weft_scope_open(&scope, NULL), "open a scope");
    for (int i = 0; i < PARTIES; i++)
        weft_must(
            weft_start(
                NULL, kind,
                &(weft_task){.fn = walk, WEFT_ARG(meeting), .scope = scope}),
            "start");
    weft_must(weft_scope_close(scope, WEFT_FOREVER), "walk");
    weft_shared_free(meeting);
    return 0;
}
