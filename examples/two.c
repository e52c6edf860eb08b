/* Two workers that compute. Are they concurrent? Are they parallel? Ask
 * `weft record -- ./two`, and `taskset -c 0 weft record -- ./two`. */
#include <weft/weft.h>

#include <stdio.h>

enum {
    FRAMES = 6
};

static int compute(weft_call *call)
{
    volatile double sum = 0;

    (void)call;
    for (int frame = 0; frame < FRAMES; frame++) {
        const weft_span span = weft_span_begin("frame");

        for (int i = 1; i < 20000000; i++)
            sum += 1.0 / i;
        weft_span_end(span);
    }
    printf("%s: %.6f\n", weft_self()->name, sum / FRAMES);
    return 0;
}

int main(void)
{
    weft_scope *scope;

    weft_must(weft_scope_open(&scope, NULL), "open a scope");
    weft_must(
        weft_start(NULL, WEFT_THREAD,
                   &(weft_task){.fn = compute, .name = "Left", .scope = scope}),
        "start");
    weft_must(weft_start(
                  NULL, WEFT_THREAD,
                  &(weft_task){.fn = compute, .name = "Right", .scope = scope}),
              "start");
    return weft_scope_close(scope, WEFT_FOREVER) ? 1 : 0;
}
