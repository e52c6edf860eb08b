#include "os/cgroup.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    PATH = 4096
};

static FILE *
open_file(const char *directory, const char *file)
{
    char path[PATH + 64];

    snprintf(path, sizeof path, "%s/%s", directory, file);
    return fopen(path, "re");
}

bool
cgroup_read(const char *directory, const char *file, char *line, size_t size)
{
    FILE *stream = open_file(directory, file);

    if (!stream)
        return false;
    const bool got = fgets(line, (int)size, stream) != NULL;

    fclose(stream);
    return got;
}

bool
cgroup_find(const char *directory, const char *file, const char *key,
            uint64_t *out)
{
    FILE *stream = open_file(directory, file);
    char line[256];
    const size_t length = strlen(key);
    bool found = false;

    if (!stream)
        return false;
    while (!found && fgets(line, sizeof line, stream))
        found = strncmp(line, key, length) == 0 && line[length] == ' ';
    fclose(stream);
    if (found)
        *out = strtoull(line + length, NULL, 10);
    return found;
}

static uint64_t
lesser(uint64_t a, uint64_t b)
{
    return a == 0 || (b != 0 && b < a) ? b : a;
}

/* The least limit of the group at mount + group and of all above it. */
static uint64_t
walk(const char *mount, const char *group, cgroup_limit *limit)
{
    char path[PATH];
    uint64_t least = 0;

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

/* Whether a comma-separated list, which may end a line or a field, holds the
 * word. */
static bool
lists(const char *list, const char *word)
{
    const size_t length = strlen(word);

    for (const char *at = list; at; at = strchr(at, ',')) {
        at += *at == ',';
        if (strncmp(at, word, length) == 0 && strchr(",\n", at[length]))
            return true; /* strchr finds the end of the text too */
    }
    return false;
}

/* The group's path in /proc/self/cgroup: "0::PATH" for v2, "N:cpu,…:PATH". */
static bool
find_group(const char *root, const char *controller, char *out)
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
        found = controller ? lists(names + 1, controller) : names[1] == '\0';
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

uint64_t
cgroup_least(const char *root, const char *controller, cgroup_limit *second,
             cgroup_limit *first)
{
    char path[PATH], line[2 * PATH], group[2][PATH], place[PATH];
    struct mount mount;
    uint64_t least = 0;
    const bool in_first = find_group(root, controller, group[0]);
    const bool in_second = find_group(root, NULL, group[1]);

    snprintf(path, sizeof path, "%s/proc/self/mountinfo", root);
    FILE *file = fopen(path, "re");

    if (!file)
        return 0;
    while (fgets(line, sizeof line, file)) {
        if (!parse_mount(line, &mount) ||
            snprintf(place, sizeof place, "%s%s", root, mount.point) >= PATH)
            continue;
        if (in_second && strcmp(mount.type, "cgroup2") == 0)
            least =
                lesser(least, walk(place, below(group[1], mount.root), second));
        if (in_first && strcmp(mount.type, "cgroup") == 0 &&
            lists(mount.options, controller))
            least =
                lesser(least, walk(place, below(group[0], mount.root), first));
    }
    fclose(file);
    return least;
}
