/* How much memory there still is, for those who would rather be refused than
 * killed; and how often the system has killed for lack of it. */
#include "os/cgroup.h"
#include "os/os.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    LARGE = 1 << 20 /* bytes: less is not worth a look */
};

/* Page cache that nobody uses would be given back. */
static uint64_t
left(uint64_t limit, uint64_t used, uint64_t cache)
{
    used = used > cache ? used - cache : 0;
    return limit > used ? limit - used : 1;
}

static uint64_t
left_v2(const char *directory)
{
    char limit[64], used[64];
    uint64_t cache = 0;

    if (!cgroup_read(directory, "memory.max", limit, sizeof limit) ||
        strncmp(limit, "max", 3) == 0 ||
        !cgroup_read(directory, "memory.current", used, sizeof used))
        return 0;
    (void)cgroup_find(directory, "memory.stat", "inactive_file", &cache);
    return left(strtoull(limit, NULL, 10), strtoull(used, NULL, 10), cache);
}

static uint64_t
left_v1(const char *directory)
{
    char limit[64], used[64];
    uint64_t cache = 0;

    if (!cgroup_read(directory, "memory.limit_in_bytes", limit, sizeof limit) ||
        !cgroup_read(directory, "memory.usage_in_bytes", used, sizeof used))
        return 0;
    (void)cgroup_find(directory, "memory.stat", "total_inactive_file", &cache);
    return left(strtoull(limit, NULL, 10), strtoull(used, NULL, 10), cache);
}

static uint64_t
left_in_system(void)
{
    uint64_t memory = 0, swap = 0;

    if (!cgroup_find("/proc", "meminfo", "MemAvailable:", &memory))
        return UINT64_MAX;
    (void)cgroup_find("/proc", "meminfo", "SwapFree:", &swap);
    return (memory + swap) * 1024;
}

uint64_t
os_memory_left(void)
{
    const uint64_t system = left_in_system();
    const uint64_t group = cgroup_least("", "memory", left_v2, left_v1);

    return group != 0 && group < system ? group : system;
}

bool
os_memory_is_left(size_t size)
{
    return size < LARGE || os_memory_left() > size;
}

/* One more than the count, since 0 means that nothing is said. The counts of
 * groups above are at least as high. */
static uint64_t
kills_v2(const char *directory)
{
    uint64_t count;

    return cgroup_find(directory, "memory.events", "oom_kill", &count)
               ? count + 1
               : 0;
}

static uint64_t
kills_v1(const char *directory)
{
    uint64_t count;

    return cgroup_find(directory, "memory.oom_control", "oom_kill", &count)
               ? count + 1
               : 0;
}

uint64_t
os_memory_kills(void)
{
    uint64_t count = cgroup_least("", "memory", kills_v2, kills_v1);

    if (count == 0)
        (void)cgroup_find("/proc", "vmstat", "oom_kill", &count);
    return count;
}
