/* Each worker has a buffer of its own, without a lock, and frees it when it
 * ends: threads, or with --processes processes.
 *
 *     1 2 3
 *     1 2 3 4 5
 *     a buffer is freed
 *     1 2 3 4 5 6 7
 *     a buffer is freed
 */
#include <weft/weft.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    SIZE = 4096
};

static _Thread_local char *buffer; /* NULL at first, in each worker */

static void free_buffer(void *arg)
{
    (void)arg;
    free(buffer);
    buffer = NULL; /* the thread may run another job later */
    printf("a buffer is freed\n");
}

/* The worker's own; made when it is first needed. NULL: no memory. */
static char *get_buffer(void)
{
    if (!buffer) {
        buffer = malloc(SIZE);
        if (buffer && weft_at_end(free_buffer, NULL) < 0) {
            free(buffer);
            buffer = NULL;
        }
    }
    return buffer;
}

/* "1 2 3": stays until the worker's next call. */
static const char *numbers_to(int last)
{
    char *text = get_buffer();
    size_t used = 0;

    for (int i = 1; text && i <= last && used < SIZE; i++)
        used += (size_t)snprintf(text + used, SIZE - used,
                                 i == 1 ? "%d" : " %d", i);
    return text;
}

static int print(weft_call *call)
{
    const int *range = call->arg;

    for (int last = range[0]; last <= range[1]; last += 2) {
        const char *text = numbers_to(last);

        if (!text)
            return weft_fail(call, "no memory");
        printf("%s\n", text);
    }
    return 0;
}

int main(int argc, char **argv)
{
    const bool processes = argc > 1 && strcmp(argv[1], "--processes") == 0;
    const weft_kind kind = processes ? WEFT_PROCESS : WEFT_THREAD;
    const int ranges[2][2] = {{3, 5}, {7, 7}};
    weft_scope *scope;

    setvbuf(stdout, NULL, _IOLBF, 0); /* lines in order, also into a pipe */
    weft_must(weft_scope_open(&scope, NULL), "open a scope");
    for (int i = 0; i < 2; i++)
        weft_must(
            weft_start(
                NULL, kind,
                &(weft_task){.fn = print, WEFT_ARG(ranges[i]), .scope = scope}),
            "start");
    weft_must(weft_scope_close(scope, WEFT_FOREVER), "print");
    return 0;
}
