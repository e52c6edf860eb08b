/* Messages over a pair of sockets, each whole, with descriptors. */
#include "os/high.h"
#include "os/os.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

static int
result(long value)
{
    return value < 0 ? -errno : (int)value;
}

int
os_pair(int ends[2])
{
    int low[2];

    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, low) < 0)
        return -errno;
    ends[0] = high_fd(low[0]);
    ends[1] = high_fd(low[1]);
    if (ends[0] >= 0 && ends[1] >= 0)
        return 0;
    const int status = ends[0] < 0 ? ends[0] : ends[1];

    for (int i = 0; i < 2; i++)
        if (ends[i] >= 0)
            close(ends[i]);
    return status;
}

void
os_end_writes(int end)
{
    shutdown(end, SHUT_WR);
}

union control {
    char space[CMSG_SPACE(OS_FDS * sizeof(int))];
    struct cmsghdr align;
};

static void
put_fds(struct msghdr *message, union control *control, const int *fds,
        unsigned count)
{
    memset(control, 0, sizeof *control);
    message->msg_control = control->space;
    message->msg_controllen = CMSG_SPACE(count * sizeof(int));
    struct cmsghdr *header = CMSG_FIRSTHDR(message);

    header->cmsg_level = SOL_SOCKET;
    header->cmsg_type = SCM_RIGHTS;
    header->cmsg_len = CMSG_LEN(count * sizeof(int));
    memcpy(CMSG_DATA(header), fds, count * sizeof(int));
}

/* Takes over what fits into the room; the rest is closed. */
static unsigned
take_fds(struct msghdr *message, int *fds, unsigned room)
{
    unsigned taken = 0;

    for (struct cmsghdr *header = CMSG_FIRSTHDR(message); header;
         header = CMSG_NXTHDR(message, header)) {
        if (header->cmsg_level != SOL_SOCKET || header->cmsg_type != SCM_RIGHTS)
            continue;
        const size_t count = (header->cmsg_len - CMSG_LEN(0)) / sizeof(int);

        for (size_t i = 0; i < count; i++) {
            int fd;

            memcpy(&fd, CMSG_DATA(header) + i * sizeof fd, sizeof fd);
            if (taken < room)
                fds[taken++] = fd;
            else
                close(fd);
        }
    }
    return taken;
}

static int
transmit(int end, const struct os_packet *packet, int flags)
{
    struct iovec parts[] = {{packet->head, packet->head_size},
                            {packet->body, packet->body_size}};
    struct msghdr message = {.msg_iov = parts, .msg_iovlen = 2};
    union control control;
    int sent;

    if (packet->fd_count > OS_FDS)
        return -EINVAL;
    if (packet->fd_count > 0)
        put_fds(&message, &control, packet->fds, packet->fd_count);
    do
        sent = result(sendmsg(end, &message, flags | MSG_NOSIGNAL));
    while (sent == -EINTR);
    return sent;
}

static int
obtain(int end, struct os_packet *packet, int flags)
{
    struct iovec parts[] = {{packet->head, packet->head_size},
                            {packet->body, packet->body_size}};
    union control control;
    struct msghdr message = {.msg_iov = parts, .msg_iovlen = 2};
    int got;

    if (packet->fd_count > 0) {
        memset(&control, 0, sizeof control);
        message.msg_control = control.space;
        message.msg_controllen = sizeof control.space;
    }
    do
        got = result(recvmsg(end, &message, flags | MSG_CMSG_CLOEXEC));
    while (got == -EINTR);
    if (got < 0)
        return got;
    packet->cut = message.msg_flags & MSG_CTRUNC;
    packet->fd_count = take_fds(&message, packet->fds, packet->fd_count);
    return got;
}

int
os_send(int end, const void *data, size_t size, const int *fds,
        unsigned fd_count)
{
    const struct os_packet packet = {.head = (void *)(uintptr_t)data,
                                     .head_size = size,
                                     .fds = (int *)(uintptr_t)fds,
                                     .fd_count = fd_count};

    return transmit(end, &packet, 0);
}

int
os_receive(int end, void *data, size_t size, int *fds, unsigned *fd_count)
{
    struct os_packet packet = {
        .head = data, .head_size = size, .fd_count = *fd_count};

    packet.fds = fds;
    const int got = obtain(end, &packet, 0);

    if (got >= 0)
        *fd_count = packet.fd_count;
    return got;
}

int
os_packet_send(int end, const struct os_packet *packet)
{
    return transmit(end, packet, MSG_DONTWAIT);
}

int
os_packet_peek(int end, struct os_packet *packet)
{
    return obtain(end, packet, MSG_DONTWAIT | MSG_PEEK | MSG_TRUNC);
}

int
os_packet_take(int end, struct os_packet *packet)
{
    return obtain(end, packet, MSG_DONTWAIT | MSG_TRUNC);
}

static int
option(int fd, int name, int *value)
{
    socklen_t size = sizeof *value;

    return result(getsockopt(fd, SOL_SOCKET, name, value, &size));
}

int
os_pair_check(int fd)
{
    int domain = 0, type = 0;
    int status = option(fd, SO_DOMAIN, &domain);

    if (status == 0)
        status = option(fd, SO_TYPE, &type);
    if (status < 0)
        return status;
    return domain == AF_UNIX && type == SOCK_SEQPACKET ? 0 : -ENOTSOCK;
}

bool
os_pair_is_over(int end)
{
    struct pollfd poll_end = {.fd = end, .events = POLLRDHUP};
    int bytes = 0;

    /* Looked at first: what comes after it does not come over an end. */
    if (poll(&poll_end, 1, 0) != 1 || !(poll_end.revents & POLLRDHUP))
        return false;
    return ioctl(end, FIONREAD, &bytes) == 0 && bytes == 0;
}

uint64_t
os_pair_id(int end)
{
    uint64_t id = 0;
    socklen_t size = sizeof id;

    return getsockopt(end, SOL_SOCKET, SO_COOKIE, &id, &size) < 0 ? 0 : id;
}

static int
lock_as(int end, short type)
{
    struct flock lock = {.l_type = type, .l_whence = SEEK_SET};

    return result(fcntl(end, F_SETLK, &lock));
}

int
os_pair_lock(int end)
{
    const int status = lock_as(end, F_WRLCK);

    return status == -EACCES ? -EAGAIN : status;
}

void
os_pair_unlock(int end)
{
    (void)lock_as(end, F_UNLCK);
}
