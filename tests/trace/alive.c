/* Calls weft until it is killed, and has a process do the same. Prints both
 * pids. */
#include <weft/weft.h>

#include <stdio.h>
#include <unistd.h>

static int
live(weft_call *call)
{
    (void)call;
    for (;;) {
        weft_mark("alive", 1);
        (void)weft_sleep(weft_in(WEFT_MS));
    }
    return 0;
}

static int
tell(weft_call *call)
{
    printf("%d %d\n", (int)getppid(), (int)getpid());
    fflush(stdout);
    return live(call);
}

int
main(void)
{
    weft_job *job = NULL;

    weft_must(weft_init(NULL), "prepare");
    weft_must(weft_start(&job, WEFT_PROCESS, &(weft_task){.fn = tell}),
              "start");
    return live(NULL);
}
