#include "os/os.h"

#include <fcntl.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

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

int64_t
os_wall(void)
{
    return read_clock(CLOCK_REALTIME);
}

/* The kernel takes the counter for its clock only where it is steady and the
 * same for all CPUs, and says which clock it takes. */
bool
os_has_ticks(void)
{
    static const char wanted[] = "tsc\n";
    char name[16] = "";
    const int fd =
        open("/sys/devices/system/clocksource/clocksource0/current_clocksource",
             O_RDONLY | O_CLOEXEC);

    if (fd < 0)
        return false;
    const ssize_t got = read(fd, name, sizeof name - 1);

    close(fd);
    return got > 0 && strcmp(name, wanted) == 0;
}
