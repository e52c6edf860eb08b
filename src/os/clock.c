#include "os/os.h"

#include <time.h>

static int64_t
read_clock(clockid_t clock)
{
    struct timespec now;

    clock_gettime(clock, &now);
    return (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
}

int64_t
os_now(void)
{
    return read_clock(CLOCK_MONOTONIC);
}

int64_t
os_cpu_of_thread(void)
{
    return read_clock(CLOCK_THREAD_CPUTIME_ID);
}
