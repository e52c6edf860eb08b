/* How many CPUs the process may use. For quotas see the kernel's cgroup-v2.rst
 * and sched-bwc.rst. */
#include "os/cgroup.h"
#include "os/os.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/rseq.h>
#include <unistd.h>

enum {
    MOST_CPUS = 16384 /* twice what kernels are made for */
};

/* From signal handlers too, so it does not allocate. */
static unsigned
count_cpus(pid_t thread)
{
    union {
        unsigned long words[MOST_CPUS / (8 * sizeof(unsigned long))];
        cpu_set_t set;
    } cpus = {{0}};

    if (sched_getaffinity(thread, sizeof cpus, &cpus.set) < 0)
        return 1;
    const int count = CPU_COUNT_S(sizeof cpus, &cpus.set);

    return count > 0 ? (unsigned)count : 1;
}

unsigned
os_cpu_affinity(void)
{
    return count_cpus(0);
}

unsigned
os_cpu_widest(void)
{
    const unsigned own = count_cpus(0), first = count_cpus(getpid());

    return own > first ? own : first;
}

unsigned
os_cpu_most(void)
{
    const long count = sysconf(_SC_NPROCESSORS_CONF);

    return count > 0 ? (unsigned)count : 1;
}

unsigned
os_cpu_here(void)
{
    const struct rseq *area =
        (const struct rseq *)(const void *)((const char *)
                                                __builtin_thread_pointer() +
                                            __rseq_offset);
    /* The kernel keeps it there, for those that the C library has asked it to.
     */
    const int cpu = __rseq_size > 0
                        ? (int)__atomic_load_n(&area->cpu_id, __ATOMIC_RELAXED)
                        : sched_getcpu();

    return cpu < 0 ? UINT_MAX : (unsigned)cpu;
}

int
os_cpu_restrict(const unsigned *cpus, size_t count)
{
    cpu_set_t set;

    CPU_ZERO(&set);
    for (size_t i = 0; i < count; i++) {
        if (cpus[i] >= CPU_SETSIZE)
            return -EINVAL;
        CPU_SET(cpus[i], &set);
    }
    return sched_setaffinity(0, sizeof set, &set) < 0 ? -errno : 0;
}

static uint64_t
share(long long quota, long long period)
{
    if (quota <= 0 || period <= 0)
        return 0;
    const long long cpus = quota / period + (quota % period != 0);

    return cpus > 1 << 20 ? 0 : (uint64_t)cpus;
}

static uint64_t
quota_v2(const char *directory)
{
    char line[128], *end;

    if (!cgroup_read(directory, "cpu.max", line, sizeof line) ||
        strncmp(line, "max", 3) == 0)
        return 0;
    const long long quota = strtoll(line, &end, 10);

    return share(quota, strtoll(end, NULL, 10));
}

static uint64_t
quota_v1(const char *directory)
{
    char quota[64], period[64];

    if (!cgroup_read(directory, "cpu.cfs_quota_us", quota, sizeof quota) ||
        !cgroup_read(directory, "cpu.cfs_period_us", period, sizeof period))
        return 0;
    return share(strtoll(quota, NULL, 10), strtoll(period, NULL, 10));
}

unsigned
os_cpu_quota(const char *root)
{
    return (unsigned)cgroup_least(root, "cpu", quota_v2, quota_v1);
}

int
os_running(void)
{
    char text[128];
    const int fd = open("/proc/loadavg", O_RDONLY | O_CLOEXEC);

    if (fd < 0)
        return -errno;
    const ssize_t size = read(fd, text, sizeof text - 1);

    close(fd);
    if (size <= 0)
        return -EIO;
    text[size] = '\0';
    const char *at = text; /* 0.20 0.18 0.12 1/80 11206 */

    for (int field = 0; at && field < 3; field++)
        at = strchr(at + 1, ' ');
    return at ? (int)strtol(at, NULL, 10) : -EIO;
}
