/* Two workers add to one balance, under a lock: nothing is lost. With
 * --processes the workers are processes; the board lies in the shared heap.
 *
 *     2 times 1000000 makes 2000000
 */
#include <weft/weft.h>

#include <stdio.h>
#include <string.h>

enum {
    TIMES = 1000000
};

struct board {
    weft_mutex lock; /* zero bytes are an unlocked mutex */
    long balance;    /* under lock */
};

static int add(weft_call *call)
{
    struct board *board = *(struct board *const *)call->arg;

    for (int i = 0; i < TIMES; i++) {
        weft_mutex_lock(&board->lock);
        board->balance++;
        weft_mutex_unlock(&board->lock);
    }
    return 0;
}

int main(int argc, char **argv)
{
    const bool processes = argc > 1 && strcmp(argv[1], "--processes") == 0;
    const weft_kind kind = processes ? WEFT_PROCESS : WEFT_THREAD;
    struct board *board = weft_shared_alloc(sizeof *board);
    weft_scope *scope;

    if (!board)
        return fprintf(stderr, "race_with_lock: %s\n", weft_why()), 1;
    weft_must(weft_scope_open(&scope, NULL), "open a scope");
    for (int i = 0; i < 2; i++)
        weft_must(weft_start(
                      NULL, kind,
                      &(weft_task){.fn = add, WEFT_ARG(board), .scope = scope}),
                  "start");
    weft_must(weft_scope_close(scope, WEFT_FOREVER), "add");
    printf("2 times %d makes %ld\n", TIMES, board->balance);
    weft_shared_free(board);
    return 0;
}
