#include "os/high.h"
#include "os/os.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/auxv.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

int
os_process_id(void)
{
    return (int)getpid();
}

int
os_parent_id(void)
{
    return (int)getppid();
}

bool
os_process_lives(int pid)
{
    return kill(pid, 0) == 0 || errno == EPERM;
}

int64_t
os_process_number(int pid, unsigned field)
{
    char path[32], text[1024];

    snprintf(path, sizeof path, "/proc/%d/stat", pid);
    const int fd = open(path, O_RDONLY | O_CLOEXEC);

    if (fd < 0)
        return errno == ENOENT ? -ESRCH : -errno;
    const ssize_t size = read(fd, text, sizeof text - 1);
    const int error = size < 0 ? errno : EIO;

    close(fd);
    if (size <= 0)
        return -error;
    text[size] = '\0';
    /* The name may hold anything: the third field follows its last bracket. */
    const char *at = strrchr(text, ')');

    for (unsigned i = 2; at && i < field; i++)
        at = strchr(at + 1, ' ');
    return at ? strtoll(at, NULL, 10) : -EIO;
}

bool
os_process_is_dying(int pid)
{
    enum {
        FLAGS = 9,
        EXITING = 4 /* the kernel's PF_EXITING */
    };

    const int64_t flags = os_process_number(pid, FLAGS);

    return flags == -ESRCH || (flags >= 0 && flags & EXITING);
}

int
os_pidfd_open(int pid)
{
    return high_fd((int)syscall(SYS_pidfd_open, pid, 0));
}

int
os_pidfd_signal(int pidfd, int signal)
{
    return syscall(SYS_pidfd_send_signal, pidfd, signal, NULL, 0) < 0 ? -errno
                                                                      : 0;
}

static int64_t
nanoseconds(struct timeval time)
{
    return (int64_t)time.tv_sec * 1000000000 + (int64_t)time.tv_usec * 1000;
}

int
os_pidfd_reap(int pidfd, struct os_exit *out)
{
    struct rusage usage = {0};
    siginfo_t info;
    long result;

    /* The raw call: the library's wrapper has no fifth argument. */
    do {
        info.si_pid = 0;
        result = syscall(SYS_waitid, P_PIDFD, pidfd, &info, WEXITED | __WALL,
                         &usage);
    } while (result < 0 && errno == EINTR);
    if (result < 0)
        return -errno;
    const bool exited = info.si_code == CLD_EXITED;

    *out = (struct os_exit){
        .code = exited ? info.si_status : -1,
        .signal = exited ? 0 : info.si_status,
        .core_dumped = info.si_code == CLD_DUMPED,
        .cpu = nanoseconds(usage.ru_utime) + nanoseconds(usage.ru_stime),
    };
    return 0;
}

void
os_child_end(int pid)
{
    siginfo_t info;

    if (kill(pid, SIGKILL) == 0)
        while (syscall(SYS_waitid, P_PID, pid, &info, WEXITED | __WALL, NULL) <
                   0 &&
               errno == EINTR)
            ;
}

int
os_die_with(int parent)
{
    if (prctl(PR_SET_PDEATHSIG, SIGKILL) < 0)
        return -errno;
    /* It may have died before the line above. */
    return getppid() == parent ? 0 : -ESRCH;
}

int
os_group_lead(void)
{
    return setpgid(0, 0) < 0 ? -errno : 0;
}

bool
os_gains_by_exec(void)
{
    uid_t user[3];
    gid_t group[3];

    return getauxval(AT_SECURE) || getresuid(&user[0], &user[1], &user[2]) ||
           getresgid(&group[0], &group[1], &group[2]) || user[0] != user[1] ||
           user[0] != user[2] || group[0] != group[1] || group[0] != group[2];
}

void
os_group_signal(int group, int signal)
{
    if (group > 1) /* 0 and 1 would mean others */
        (void)kill(-group, signal);
}

bool
os_is_stopped(int pid)
{
    char path[64], text[512];

    snprintf(path, sizeof path, "/proc/%d/stat", pid);
    const int fd = open(path, O_RDONLY | O_CLOEXEC);

    if (fd < 0)
        return false;
    const ssize_t size = read(fd, text, sizeof text - 1);

    close(fd);
    text[size > 0 ? size : 0] = '\0';
    const char *state = strrchr(text, ')'); /* 831 (name) T ... */

    return state && state[1] == ' ' && (state[2] == 'T' || state[2] == 't');
}

void
os_signals_default(void)
{
    for (int number = 1; number < NSIG; number++) {
        struct sigaction action;

        if (sigaction(number, NULL, &action) < 0)
            continue;
        if (action.sa_handler != SIG_IGN && action.sa_handler != SIG_DFL)
            signal(number, SIG_DFL);
    }
    signal(SIGTTIN, SIG_IGN);
    signal(SIGTTOU, SIG_IGN);
}

void
os_exit_now(int code)
{
    _exit(code);
}
