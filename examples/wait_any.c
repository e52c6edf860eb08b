/* Waits for whatever comes first: an item of a queue, a typed line, or the end
 * of the worker who puts, a thread or with --processes a process.
 *
 *     tick 1
 *     hello
 *     you typed: hello
 *     tick 2
 *     tick 3
 *     thread Clock ended
 */
#include <weft/weft.h>

#include <stdio.h>
#include <string.h>
#include <unistd.h>

static int tick(weft_call *call)
{
    weft_queue *ticks = *(weft_queue *const *)call->arg;

    for (int i = 1; i <= 3; i++)
        if (weft_sleep(weft_in(300 * WEFT_MS)) < 0 ||
            weft_queue_put(ticks, &i, WEFT_NOW) < 0)
            return weft_fail(call, "%s", weft_why());
    return 0;
}

/* False: no more lines will come. */
static bool read_line(void)
{
    char line[256];
    const ssize_t size = read(STDIN_FILENO, line, sizeof line);

    if (size > 0)
        printf("you typed: %.*s", (int)size, line);
    return size > 0;
}

static void watch(weft_queue *ticks, weft_job *clock)
{
    enum {
        TICK,
        END,
        LINE
    };

    const weft_source sources[] = {
        [TICK] = {.queue = ticks},
        [END] = {.job = clock},
        [LINE] = {.fd = STDIN_FILENO, .events = WEFT_READABLE},
    };
    size_t count = 3;
    int ready, number;

    do {
        ready = weft_must(
            weft_wait_any(sources, count, 0, weft_in(10 * WEFT_SECOND)),
            "wait");
        if (ready == TICK && weft_queue_get(ticks, &number, WEFT_NOW) == 0)
            printf("tick %d\n", number);
        if (ready == LINE && !read_line())
            count--;
    } while (ready != END);
}

int main(int argc, char **argv)
{
    const bool processes = argc > 1 && strcmp(argv[1], "--processes") == 0;
    const weft_kind kind = processes ? WEFT_PROCESS : WEFT_THREAD;
    weft_queue *ticks;
    weft_job *clock;

    weft_must(
        weft_queue_open(&ticks, &(weft_queue_options){.item_size = sizeof(int),
                                                      .capacity = 8,
                                                      .shared = processes,
                                                      .name = "ticks"}),
        "open the queue");
    weft_must(
        weft_start(&clock, kind,
                   &(weft_task){.fn = tick, .name = "Clock", WEFT_ARG(ticks)}),
        "start");
    watch(ticks, clock);
    printf("%s\n", weft_outcome_of(clock)->text);
    weft_release(clock);
    weft_queue_close(ticks);
    return 0;
}
