/* Keeps what jobs print with the jobs, instead of printing it. */
#include <weft/weft.h>

#include <stdio.h>
#include <stdlib.h>

static int report(weft_call *call)
{
    (void)call;
    printf("3 files read\n");
    fprintf(stderr, "warning: one is empty\n");
    return 0;
}

static int crash(weft_call *call)
{
    (void)call;
    printf("reading the index\n");
    abort();
}

/* The last 4096 bytes that it writes to stdout and stderr are kept. */
static weft_job *start(weft_fn *fn, const char *name)
{
    weft_job *job;

    weft_must(
        weft_start(
            &job, WEFT_PROCESS,
            &(weft_task){.fn = fn,
                         .name = name,
                         .worker = &(weft_worker_options){.capture = 4096}}),
        "start");
    return job;
}

static void show(weft_job *job)
{
    weft_join(job, WEFT_FOREVER);
    const weft_outcome *end = weft_outcome_of(job);

    printf("%s; it printed:\n%s\n", end->text, end->output);
    weft_release(job);
}

int main(void)
{
    weft_job *first = start(report, "report");
    weft_job *second = start(crash, "crash"); /* they run at the same time */

    show(first);
    show(second);
    return 0;
}
