#include "os/high.h"
#include "os/os.h"

#include <errno.h>
#include <fcntl.h>
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
