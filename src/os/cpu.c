/* How many CPUs the process may use. Control groups limit by quota / period at
 * any level, so every ancestor is asked; v1 and v2 may be mounted side by side.
 * See the kernel's cgroup-v2.rst and sched-bwc.rst. */
#include "os/os.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum {
    PATH = 4096
};

static unsigned
count_cpus(pid_t thread)
{
    /* Larger machines than the static set's need a larger set. */
    for (int cpus = CPU_SETSIZE; cpus <= 1 << 20; cpus *= 2) {
        cpu_set_t *set = CPU_ALLOC((size_t)cpus);
        const size_t size = CPU_ALLOC_SIZE((size_t)cpus);
        int count = 0;

        if (!set)
            return 1;
        const int status = sched_getaffinity(thread, size, set);

        if (status == 0)
            count = CPU_COUNT_S(size, set);
        CPU_FREE(set);
        if (status == 0 || errno != EINVAL)
            return count > 0 ? (unsigned)count : 1;
    }
    return 1;
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

static bool
read_line(const char *path, char *line, size_t size)
{
    FILE *file = fopen(path, "re");

    if (!file)
        return false;
    const bool got = fgets(line, (int)size, file) != NULL;

    fclose(file);
    return got;
}

static unsigned
share(long long quota, long long period)
{
    if (quota <= 0 || period <= 0)
        return 0;
    const long long cpus = quota / period + (quota % period != 0);

    return cpus > 1 << 20 ? 0 : (unsigned)cpus;
}

static unsigned
limit_v2(const char *directory)
{
    char path[PATH + 64], line[128];
    char *end;

    snprintf(path, sizeof path, "%s/cpu.max", directory);
    if (!read_line(path, line, sizeof line) || strncmp(line, "max", 3) == 0)
        return 0;
    const long long quota = strtoll(line, &end, 10);

    return share(quota, strtoll(end, NULL, 10));
}

static unsigned
limit_v1(const char *directory)
{
    char path[PATH + 64], quota[64], period[64];

    snprintf(path, sizeof path, "%s/cpu.cfs_quota_us", directory);
    if (!read_line(path, quota, sizeof quota))
        return 0;
    snprintf(path, sizeof path, "%s/cpu.cfs_period_us", directory);
    if (!read_line(path, period, sizeof period))
        return 0;
    return share(strtoll(quota, NULL, 10), strtoll(period, NULL, 10));
}

static unsigned
lesser(unsigned a, unsigned b)
{
    return a == 0 || (b != 0 && b < a) ? b : a;
}

/* The least limit of the group at mount + group and of all above it. */
static unsigned
walk(const char *mount, const char *group, unsigned (*limit)(const char *))
{
    char path[PATH];
    unsigned least = 0;

    if (snprintf(path, sizeof path, "%s%s", mount, group) >= PATH)
        return 0;
    for (;;) {
        char *slash = strrchr(path, '/');

        least = lesser(least, limit(path));
        if (strlen(path) <= strlen(mount) || !slash)
            return least;
        *slash = '\0';
    }
}

/* A line of mountinfo, as far as it matters here. */
struct mount {
    char root[PATH], point[PATH], type[32], options[256];
};

static bool
parse_mount(const char *line, struct mount *out)
{
    const char *dash = strstr(line, " - ");

    return dash &&
           sscanf(line, "%*s %*s %*s %4095s %4095s", out->root, out->point) ==
               2 &&
           sscanf(dash, " - %31s %*s %255s", out->type, out->options) == 2;
}

/* Whether a comma-separated list holds the word `cpu`. */
static bool
lists_cpu(const char *list)
{
    for (const char *at = list; at; at = strchr(at, ',')) {
        at += *at == ',';
        if (strncmp(at, "cpu", 3) == 0 &&
            (at[3] == ',' || at[3] == '\0' || at[3] == '\n'))
            return true;
    }
    return false;
}

/* The group's path in /proc/self/cgroup: "0::PATH" for v2, "N:cpu,…:PATH". */
static bool
find_group(const char *root, bool second, char *out)
{
    char path[PATH], line[PATH];
    bool found = false;

    snprintf(path, sizeof path, "%s/proc/self/cgroup", root);
    FILE *file = fopen(path, "re");

    if (!file)
        return false;
    while (!found && fgets(line, sizeof line, file)) {
        char *names = strchr(line, ':');
        char *group = names ? strchr(names + 1, ':') : NULL;

        if (!group)
            continue;
        *group++ = '\0';
        found = second ? names[1] == '\0' : lists_cpu(names + 1);
        group[strcspn(group, "\n")] = '\0';
        snprintf(out, PATH, "%s", strcmp(group, "/") == 0 ? "" : group);
    }
    fclose(file);
    return found;
}

/* What lies above a mount's root cannot be seen from here. */
static const char *
below(const char *group, const char *mount_root)
{
    const size_t length = strlen(mount_root);

    if (strcmp(mount_root, "/") == 0)
        return group;
    /* A group of like name is another one. */
    return strncmp(group, mount_root, length) == 0 &&
                   (group[length] == '/' || group[length] == '\0')
               ? group + length
               : "";
}

unsigned
os_cpu_quota(const char *root)
{
    char path[PATH], line[2 * PATH], group[2][PATH], place[PATH];
    struct mount mount;
    unsigned least = 0;
    const bool first = find_group(root, false, group[0]);
    const bool second = find_group(root, true, group[1]);

    snprintf(path, sizeof path, "%s/proc/self/mountinfo", root);
    FILE *file = fopen(path, "re");

    if (!file)
        return 0;
    while (fgets(line, sizeof line, file)) {
        if (!parse_mount(line, &mount) ||
            snprintf(place, sizeof place, "%s%s", root, mount.point) >= PATH)
            continue;
        if (second && strcmp(mount.type, "cgroup2") == 0)
            least = lesser(least,
                           walk(place, below(group[1], mount.root), limit_v2));
        if (first && strcmp(mount.type, "cgroup") == 0 &&
            lists_cpu(mount.options))
            least = lesser(least,
                           walk(place, below(group[0], mount.root), limit_v1));
    }
    fclose(file);
    return least;
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
