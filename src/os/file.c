#include "os/high.h"
#include "os/os.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/signalfd.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/timerfd.h>
#include <time.h>
#include <unistd.h>

static int
result(int value)
{
    return value < 0 ? -errno : value;
}

int
os_event_open(void)
{
    return high_fd(eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
}

int
os_event_ring(int fd)
{
    const uint64_t one = 1;
    const int before = errno;
    ssize_t wrote;

    while ((wrote = write(fd, &one, sizeof one)) < 0 && errno == EINTR)
        ;
    /* Full means that it rings already. */
    const int status = wrote < 0 && errno != EAGAIN ? -errno : 0;

    errno = before;
    return status;
}

void
os_event_clear(int fd)
{
    uint64_t count;

    while (read(fd, &count, sizeof count) < 0 && errno == EINTR)
        ;
}

int
os_timer_open(void)
{
    return high_fd(timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK));
}

int
os_timer_set(int fd, int64_t at)
{
    struct itimerspec when = {{0}, {0}};

    if (at != OS_NEVER) {
        at = at > 0 ? at : 1; /* zero would switch it off */
        when.it_value.tv_sec = at / 1000000000;
        when.it_value.tv_nsec = at % 1000000000;
    }
    return result(timerfd_settime(fd, TFD_TIMER_ABSTIME, &when, NULL));
}

/* poll with a deadline in nanoseconds; in pieces, since a wait may be longer
 * than ppoll's callers usually ask. */
static int
poll_until(struct pollfd *fds, unsigned count, int64_t until)
{
    struct timespec left = {0, 0};

    if (until == OS_NEVER)
        return result(ppoll(fds, count, NULL, NULL));
    const int64_t span = until - os_now();

    if (span > 0) {
        left.tv_sec = span / 1000000000;
        left.tv_nsec = span % 1000000000;
    }
    const int ready = result(ppoll(fds, count, &left, NULL));

    return ready == 0 ? -ETIMEDOUT : ready;
}

static short
wanted(const struct os_poll *poll)
{
    return (short)((poll->readable ? POLLIN : 0) |
                   (poll->writable ? POLLOUT : 0));
}

/* An error or a hang-up makes ready whatever was wanted: the next read or write
 * will say what is wrong. */
static void
answer(struct os_poll *poll, short events)
{
    const bool broken = events & (POLLERR | POLLHUP);

    poll->readable = poll->readable && (events & POLLIN || broken);
    poll->writable = poll->writable && (events & POLLOUT || broken);
}

int
os_poll(struct os_poll *polls, unsigned count, int64_t until)
{
    enum {
        FEW = 64
    };
    struct pollfd few[FEW];
    struct pollfd *fds = few;
    int status = -ENOMEM;

    if (count > FEW) {
        void *space = NULL;

        if (os_map(&space, count * sizeof *fds, -1, OS_READ | OS_WRITE) < 0)
            return status;
        fds = space;
    }
    for (unsigned i = 0; i < count; i++)
        fds[i] = (struct pollfd){polls[i].fd, wanted(&polls[i]), 0};
    status = poll_until(fds, count, until);
    for (unsigned i = 0; status > 0 && i < count; i++) {
        if (fds[i].revents & POLLNVAL)
            status = -EBADF;
        answer(&polls[i], fds[i].revents);
    }
    if (fds != few)
        os_unmap(fds, count * sizeof *fds);
    return status;
}

int
os_watch_open(void)
{
    return high_fd(epoll_create1(EPOLL_CLOEXEC));
}

int
os_watch_add(int watch, int fd, void *context)
{
    struct epoll_event event = {.events = EPOLLIN, .data.ptr = context};

    return result(epoll_ctl(watch, EPOLL_CTL_ADD, fd, &event));
}

int
os_watch_remove(int watch, int fd)
{
    return result(epoll_ctl(watch, EPOLL_CTL_DEL, fd, NULL));
}

int
os_watch_wait(int watch, void **contexts, unsigned max)
{
    enum {
        MOST = 64
    };
    struct epoll_event events[MOST];
    int count;

    do
        count = result(
            epoll_wait(watch, events, (int)(max < MOST ? max : MOST), -1));
    while (count == -EINTR);
    for (int i = 0; i < count; i++)
        contexts[i] = events[i].data.ptr;
    return count;
}

bool
os_is_open(int fd)
{
    return fcntl(fd, F_GETFD) >= 0;
}

int
os_open_null(void)
{
    return result(open("/dev/null", O_RDWR | O_CLOEXEC));
}

int
os_open_directory(const char *path)
{
    return high_fd(open(path, O_PATH | O_DIRECTORY | O_CLOEXEC));
}

int
os_go_there(int directory)
{
    return result(fchdir(directory));
}

int
os_move(int from, int to)
{
    return result(dup2(from, to));
}

void
os_close(int fd)
{
    close(fd);
}

void
os_close_from(int lowest)
{
    close_range((unsigned)lowest, ~0u, 0);
}

int
os_copy_fd(int fd, int lowest)
{
    return result(fcntl(fd, F_DUPFD_CLOEXEC, lowest));
}

int
os_pipe(int ends[2])
{
    int low[2];

    if (pipe2(low, O_CLOEXEC) < 0)
        return -errno;
    ends[0] = high_fd(low[0]);
    ends[1] = high_fd(low[1]);
    if (ends[0] >= 0 && ends[1] >= 0 &&
        fcntl(ends[0], F_SETFL, O_NONBLOCK) >= 0)
        return 0;
    const int status = ends[0] < 0 ? ends[0] : ends[1] < 0 ? ends[1] : -errno;

    for (int i = 0; i < 2; i++)
        if (ends[i] >= 0)
            close(ends[i]);
    return status;
}

int
os_read_some(int fd, void *out, size_t size)
{
    int got;

    do
        got = result((int)read(fd, out, size));
    while (got == -EINTR);
    return got;
}

int64_t
os_file_size(int fd)
{
    struct stat file;

    return fstat(fd, &file) < 0 ? -errno : (int64_t)file.st_size;
}

int
os_signal_open(int signal)
{
    sigset_t set;

    sigemptyset(&set);
    sigaddset(&set, signal);
    return high_fd(signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK));
}

void
os_signal_clear(int fd)
{
    struct signalfd_siginfo info;

    while (read(fd, &info, sizeof info) > 0)
        ;
}
