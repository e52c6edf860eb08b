/* Which file an address belongs to, by /proc/self/maps, read with nothing but
 * system calls: for a process that is dying. */
#include "os/os.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

enum {
    LINE = 4096 + 128
};

struct map {
    uint64_t start, end, offset;
    const char *path; /* "" = none */
};

int
os_maps_open(void)
{
    const int fd = open("/proc/self/maps", O_RDONLY | O_CLOEXEC);

    return fd < 0 ? -errno : fd;
}

static uint64_t
hexadecimal(const char **at)
{
    uint64_t value = 0;

    for (;; (*at)++) {
        const char c = **at;

        if (c >= '0' && c <= '9')
            value = value << 4 | (uint64_t)(c - '0');
        else if (c >= 'a' && c <= 'f')
            value = value << 4 | (uint64_t)(c - 'a' + 10);
        else
            return value;
    }
}

static const char *
skip_field(const char *at)
{
    while (*at && *at != ' ')
        at++;
    while (*at == ' ')
        at++;
    return at;
}

/* 7f0c-7f1d r-xp 00026000 fd:01 1234   /usr/lib/libc.so.6 */
static struct map
parse(const char *line)
{
    struct map map = {0};

    map.start = hexadecimal(&line);
    line += *line == '-';
    map.end = hexadecimal(&line);
    line = skip_field(skip_field(line));
    map.offset = hexadecimal(&line);
    map.path = skip_field(skip_field(skip_field(line)));
    return map;
}

static void
look_up(const char *line, const uint64_t *addresses, unsigned count,
        os_place *found, void *context)
{
    const struct map map = parse(line);

    if (map.path[0] != '/')
        return;
    for (unsigned i = 0; i < count; i++)
        if (addresses[i] >= map.start && addresses[i] < map.end)
            found(context, i, map.path, map.offset + addresses[i] - map.start);
}

void
os_maps_places(int fd, const uint64_t *addresses, unsigned count,
               os_place *found, void *context)
{
    char line[LINE];
    size_t used = 0;
    ssize_t got;

    if (lseek(fd, 0, SEEK_SET) < 0)
        return;
    while ((got = read(fd, line + used, sizeof line - 1 - used)) > 0) {
        char *at = line, *end;

        used += (size_t)got;
        line[used] = '\0';
        while ((end = strchr(at, '\n'))) {
            *end = '\0';
            look_up(at, addresses, count, found, context);
            at = end + 1;
        }
        used -= (size_t)(at - line);
        memmove(line, at, used);
    }
}
