#define _POSIX_C_SOURCE 200809L
/* Records itself, says whether it was concurrent, and whether parallel, and
 * draws a picture. */
#include <weft/weft.h>

#include <stdio.h>

static int work(weft_call *call)
{
    volatile long sink = 0;

    (void)call;
    for (int frame = 0; frame < 10; frame++) {
        const weft_span span = weft_span_begin("frame");

        for (long i = 0; i < 1000000; i++)
            sink += i;
        weft_span_end(span);
        weft_counter("frames", frame + 1);
    }
    weft_mark("done", sink);
    return 0;
}

int main(void)
{
    weft_scope *scope;
    weft_recording *recording;
    weft_metrics m;
    FILE *picture = fopen("trace.svg", "w");

    if (!picture)
        return 1;
    weft_must(weft_trace_start("trace.weft"), "trace");
    weft_must(weft_scope_open(&scope, NULL), "open a scope");
    for (int i = 0; i < 2; i++)
        weft_must(weft_start(NULL, WEFT_THREAD,
                             &(weft_task){.fn = work, .scope = scope}),
                  "start");
    weft_must(weft_scope_close(scope, WEFT_FOREVER), "work");
    weft_trace_stop();

    weft_must(weft_recording_open(&recording, "trace.weft"),
              "read the recording");
    weft_recording_metrics(recording, &m);
    printf("%s\n", weft_recording_verdict(recording));
    printf("%.3f s of work in %.3f s; the longest chain is %.3f s\n",
           (double)m.work / WEFT_SECOND, (double)m.wall / WEFT_SECOND,
           (double)m.span / WEFT_SECOND);
    weft_must(weft_recording_write(&recording, 1, WEFT_SVG, fileno(picture)),
              "draw");
    printf("the picture is in trace.svg\n");
    weft_recording_close(recording);
    return fclose(picture) ? 1 : 0;
}
