#include "os/os.h"

#include <errno.h>
#include <linux/capability.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/resource.h>
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

int
os_pidfd_open(int pid)
{
    const long fd = syscall(SYS_pidfd_open, pid, 0);

    return fd < 0 ? -errno : (int)fd;
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

int
os_rights(struct os_rights *out)
{
    struct __user_cap_header_struct header = {
        .version = _LINUX_CAPABILITY_VERSION_3, .pid = 0};
    struct __user_cap_data_struct data[2] = {{0}};
    uid_t user[3];
    gid_t group[3];

    if (getresuid(&user[0], &user[1], &user[2]) < 0 ||
        getresgid(&group[0], &group[1], &group[2]) < 0 ||
        syscall(SYS_capget, &header, data) < 0)
        return -errno;
    for (int i = 0; i < 3; i++) {
        out->ids[i] = user[i];
        out->ids[3 + i] = group[i];
    }
    out->capabilities[0] = data[0].permitted | (uint64_t)data[1].permitted
                                                   << 32;
    out->capabilities[1] = data[0].effective | (uint64_t)data[1].effective
                                                   << 32;
    out->capabilities[2] = data[0].inheritable | (uint64_t)data[1].inheritable
                                                     << 32;
    return 0;
}
