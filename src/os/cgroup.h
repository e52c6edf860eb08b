/* Control groups limit at any level, so every ancestor is asked; v1 and v2 may
 * be mounted side by side. */
#ifndef OS_CGROUP_H
#define OS_CGROUP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* What one group, a directory, says; 0 = nothing. */
typedef uint64_t cgroup_limit(const char *directory);

/* The least that the process's groups and all above them say, but 0. `root` is
 * put before every path that is read: "" but in tests. */
uint64_t cgroup_least(const char *root, const char *controller,
                      cgroup_limit *second, cgroup_limit *first);

/* The first line of a group's file. */
bool cgroup_read(const char *directory, const char *file, char *line,
                 size_t size);

/* The number after `key` in a group's file of "key number" lines; false: it is
 * not there. */
bool cgroup_find(const char *directory, const char *file, const char *key,
                 uint64_t *out);

#endif
