/* One light, many cars: threads, or with --processes processes.
 *
 *     green
 *     car 0 goes
 *     car 2 goes
 *     car 1 goes
 */
#include <weft/weft.h>

#include <stdio.h>
#include <string.h>

struct car {
    weft_event *light;
    int number;
};

static int drive(weft_call *call)
{
    const struct car *car = call->arg;

    if (weft_event_wait(car->light, weft_in(5 * WEFT_SECOND)) < 0)
        return weft_fail(call, "car %d: %s", car->number, weft_why());
    printf("car %d goes\n", car->number);
    return 0;
}

int main(int argc, char **argv)
{
    const bool processes = argc > 1 && strcmp(argv[1], "--processes") == 0;
    const weft_kind kind = processes ? WEFT_PROCESS : WEFT_THREAD;
    weft_event *light = weft_shared_alloc(sizeof *light); /* not set */
    weft_scope *cars;

    if (!light)
        return fprintf(stderr, "event: %s\n", weft_why()), 1;
    setvbuf(stdout, NULL, _IOLBF, 0); /* lines in order, also into a pipe */
    weft_must(weft_scope_open(&cars, NULL), "open a scope");
    for (int i = 0; i < 3; i++) {
        const struct car car = {light, i}; /* copied: each has its own */

        weft_must(
            weft_start(NULL, kind,
                       &(weft_task){.fn = drive, WEFT_ARG(car), .scope = cars}),
            "start");
    }
    weft_sleep(weft_in(200 * WEFT_MS));
    printf("green\n");
    weft_event_set(light);
    weft_must(weft_scope_close(cars, WEFT_FOREVER), "drive");
    weft_shared_free(light);
    return 0;
}
