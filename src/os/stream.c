#include "os/high.h"
#include "os/os.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

int
os_open_read(const char *path)
{
    int fd;

    /* Not blocking: a FIFO would wait for its other end. */
    do
        fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
    while (fd < 0 && errno == EINTR);
    return high_fd(fd);
}

int64_t
os_read_at(int fd, void *out, size_t size, uint64_t offset)
{
    char *at = out;
    size_t left = size;

    while (left > 0) {
        const ssize_t got = pread(fd, at, left, (off_t)offset);

        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0)
            return -errno;
        if (got == 0)
            break;
        at += got;
        offset += (uint64_t)got;
        left -= (size_t)got;
    }
    return (int64_t)(size - left);
}

int
os_write_all(int fd, const void *bytes, size_t size)
{
    const char *at = bytes;

    while (size > 0) {
        const ssize_t done = write(fd, at, size);

        if (done < 0 && errno == EAGAIN) {
            struct os_poll poll = {.fd = fd, .writable = true};
            const int ready = os_poll(&poll, 1, OS_NEVER);

            if (ready < 0 && ready != -EINTR)
                return ready;
            continue;
        }
        if (done < 0 && errno != EINTR)
            return -errno;
        if (done > 0) {
            at += done;
            size -= (size_t)done;
        }
    }
    return 0;
}

/* Whether the link at `entry` of the directory leads to a file in memory of
 * that name. */
static bool
leads_to(int directory, const char *entry, const char *name)
{
    char target[256];
    const ssize_t length =
        readlinkat(directory, entry, target, sizeof target - 1);

    if (length < 0)
        return false;
    target[length] = '\0';
    return strncmp(target, "/memfd:", 7) == 0 &&
           strncmp(target + 7, name, strlen(name)) == 0 &&
           (target[7 + strlen(name)] == '\0' ||
            target[7 + strlen(name)] == ' ');
}

/* What stands before the name in a line of /proc/PID/maps. */
static uint64_t
number_before(const char *line, const char *name)
{
    while (name > line && name[-1] == ' ')
        name--;
    while (name > line && name[-1] != ' ')
        name--;
    return strtoull(name, NULL, 10);
}

uint64_t
os_mapped_of(int pid, const char *name)
{
    char path[32], wanted[64], line[512];
    uint64_t found = 0;

    (void)snprintf(path, sizeof path, "/proc/%d/maps", pid);
    (void)snprintf(wanted, sizeof wanted, " /memfd:%s (deleted)\n", name);
    FILE *maps = fopen(path, "re");

    while (maps && !found && fgets(line, sizeof line, maps)) {
        const char *at = strstr(line, wanted);

        if (at)
            found = number_before(line, at);
    }
    if (maps)
        fclose(maps);
    return found;
}

int
os_open_of(int pid, const char *name)
{
    char path[64];
    int found = -ENOENT;
    const struct dirent *entry;

    snprintf(path, sizeof path, "/proc/%d/fd", pid);
    DIR *directory = opendir(path);

    if (!directory)
        return errno == ENOENT ? -ESRCH : -errno;
    /* NOLINTNEXTLINE(concurrency-mt-unsafe): the stream is this call's own */
    while (found == -ENOENT && (entry = readdir(directory)))
        if (leads_to(dirfd(directory), entry->d_name, name))
            found = high_fd(
                openat(dirfd(directory), entry->d_name, O_RDWR | O_CLOEXEC));
    closedir(directory);
    return found;
}
