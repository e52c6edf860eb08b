/* A function that is too slow gets 1 s: a thread is asked to stop, and so is a
 * process, with --processes, which would be killed if it did not.
 *
 *     still at it
 *     still at it
 *     asked to stop
 *     thread Slow exceeded its timeout
 */
#include <weft/weft.h>

#include <stdio.h>
#include <string.h>

static int slow(weft_call *call)
{
    while (weft_sleep(weft_in(400 * WEFT_MS)) == 0)
        printf("still at it\n");
    printf("asked to stop\n");
    return weft_fail(call, "the answer is not known yet");
}

int main(int argc, char **argv)
{
    const bool processes = argc > 1 && strcmp(argv[1], "--processes") == 0;
    const weft_kind kind = processes ? WEFT_PROCESS : WEFT_THREAD;
    weft_job *job;

    setvbuf(stdout, NULL, _IOLBF, 0); /* lines in order, also into a pipe */
    weft_must(weft_start(&job, kind,
                         &(weft_task){.fn = slow,
                                      .name = "Slow",
                                      .timeout = 1 * WEFT_SECOND}),
              "start");
    weft_join(job, WEFT_FOREVER);
    printf("%s\n", weft_outcome_of(job)->text);
    const bool late = weft_outcome_of(job)->status == WEFT_ETIMEDOUT;

    weft_release(job);
    return late ? 0 : 1;
}
