#include "os/high.h"

#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

int
high_fd(int fd)
{
    if (fd < 0)
        return -errno;
    if (fd > 2)
        return fd;
    const int high = fcntl(fd, F_DUPFD_CLOEXEC, 3);
    const int error = errno;

    close(fd);
    return high < 0 ? -error : high;
}
