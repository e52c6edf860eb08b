/* A library that comes late, or brings a thread along: built several times. */
#include "worker/late.h"

#ifdef WITH_THREAD
#    include <pthread.h>
#    include <unistd.h>

static void *
wait_for_ever(void *unused)
{
    for (;;)
        pause();
    return unused;
}

/* As libraries for linear algebra do. */
__attribute__((constructor)) static void
start_thread(void)
{
    pthread_t thread;

    (void)pthread_create(&thread, NULL, wait_for_ever, NULL);
}
#endif

static int value = VALUE;

int
late_value(weft_call *call)
{
    if (call->result_size == sizeof value)
        *(int *)call->result = value;
    return 0;
}
