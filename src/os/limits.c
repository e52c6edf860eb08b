/* What a process inherits besides its memory and descriptors, and what may have
 * changed since a copy of it was made. */
#include "os/os.h"

#include <errno.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

_Static_assert((int)RLIM_NLIMITS <= (int)OS_LIMITS, "all resources fit");
_Static_assert((int)RLIMIT_FSIZE == (int)OS_LIMIT_FILE, "as Linux numbers it");
_Static_assert((int)RLIMIT_AS == (int)OS_LIMIT_SPACE, "as Linux numbers it");

int
os_context_get(struct os_context *out)
{
    memset(out, 0, sizeof *out);
    errno = 0;
    out->nice = getpriority(PRIO_PROCESS, 0);
    if (out->nice == -1 && errno != 0)
        return -errno;
    if (sched_getaffinity(0, sizeof out->cpus, (cpu_set_t *)out->cpus) < 0)
        memset(out->cpus, 0, sizeof out->cpus); /* a larger machine */
    for (int i = 0; i < RLIM_NLIMITS; i++) {
        struct rlimit limit;

        if (getrlimit((__rlimit_resource_t)i, &limit) < 0)
            return -errno;
        out->limits[i] = (struct os_limit){limit.rlim_cur, limit.rlim_max};
    }
    return 0;
}

uint64_t
os_space_limit(void)
{
    struct rlimit limit;

    return getrlimit(RLIMIT_AS, &limit) < 0 || limit.rlim_cur == RLIM_INFINITY
               ? OS_NO_LIMIT
               : limit.rlim_cur;
}

bool
os_under_valgrind(void)
{
    const char *preload = secure_getenv("LD_PRELOAD");

    return preload && strstr(preload, "/vgpreload_");
}

static int
apply_limits(const struct os_context *want, const struct os_context *have)
{
    for (int i = 0; i < RLIM_NLIMITS; i++) {
        const struct rlimit limit = {want->limits[i].soft,
                                     want->limits[i].hard};

        if (memcmp(&want->limits[i], &have->limits[i],
                   sizeof want->limits[i]) != 0 &&
            setrlimit((__rlimit_resource_t)i, &limit) < 0)
            return -errno;
    }
    return 0;
}

int
os_context_apply(const struct os_context *want, const struct os_context *have)
{
    static const uint64_t none[sizeof want->cpus / sizeof *want->cpus];
    int status = 0;

    if (want->umask != have->umask)
        umask((mode_t)want->umask);
    if (memcmp(want->cpus, have->cpus, sizeof want->cpus) != 0 &&
        memcmp(want->cpus, none, sizeof none) != 0 &&
        sched_setaffinity(0, sizeof want->cpus, (const cpu_set_t *)want->cpus) <
            0)
        return -errno;
    /* The limit on being nice counts as it is now: first one, then the other,
     * in the order that asks for less. */
    if (want->nice < have->nice)
        status = os_nice(want->nice);
    if (status == 0)
        status = apply_limits(want, have);
    if (status == 0 && want->nice > have->nice)
        status = os_nice(want->nice);
    return status;
}

int
os_nice(int nice)
{
    return setpriority(PRIO_PROCESS, 0, nice) < 0 ? -errno : 0;
}

/* Lowers, never raises. */
static int
limit(__rlimit_resource_t resource, uint64_t soft, uint64_t hard)
{
    struct rlimit now;

    if (getrlimit(resource, &now) < 0)
        return -errno;
    if (hard < now.rlim_max)
        now.rlim_max = hard;
    now.rlim_cur = soft < now.rlim_max ? soft : now.rlim_max;
    return setrlimit(resource, &now) < 0 ? -errno : 0;
}

int
os_limit_memory(uint64_t bytes)
{
    const uint64_t used = os_memory_private(-1);
    const uint64_t most =
        bytes < OS_NO_LIMIT - used ? used + bytes : OS_NO_LIMIT;

    return limit(RLIMIT_DATA, most, most);
}

int
os_limit_cpu(int64_t ns)
{
    const uint64_t seconds = ((uint64_t)ns + 999999999) / 1000000000;

    return limit(RLIMIT_CPU, seconds, seconds + 1);
}
