/* Which program a process is of: its workers are below it, and have the same
 * registry in their memory. */
#include "command.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static FILE *
open_of(int pid, const char *name)
{
    char path[64];

    snprintf(path, sizeof path, "/proc/%d/%s", pid, name);
    return fopen(path, "re");
}

/* What stands before the name of a mapped file is its inode number. */
static unsigned long
number_before(const char *line, const char *name)
{
    while (name > line && name[-1] == ' ')
        name--;
    while (name > line && name[-1] != ' ')
        name--;
    return strtoul(name, NULL, 10);
}

/* The registry's inode number; 0: it has none, or is not ours to look at. */
static unsigned long
registry_of(int pid)
{
    FILE *maps = open_of(pid, "maps");
    unsigned long found = 0;
    char line[512];

    while (maps && !found && fgets(line, sizeof line, maps)) {
        const char *name = strstr(line, " /memfd:weft-registry");

        if (name)
            found = number_before(line, name);
    }
    if (maps)
        fclose(maps);
    return found;
}

/* 0: it has none. */
static int
parent_of(int pid)
{
    FILE *status = open_of(pid, "status");
    char line[512];
    int parent = 0;

    while (status && !parent && fgets(line, sizeof line, status))
        if (strncmp(line, "PPid:", 5) == 0)
            parent = (int)strtol(line + 5, NULL, 10);
    if (status)
        fclose(status);
    return parent;
}

int
command_program_of(int pid)
{
    const unsigned long registry = registry_of(pid);
    int parent = parent_of(pid);

    while (registry && parent > 0 && registry_of(parent) == registry) {
        pid = parent;
        parent = parent_of(pid);
    }
    return pid;
}
