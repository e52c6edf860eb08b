#include "os/high.h"
#include "os/os.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
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

/* FNV-1a, 64 bits. */
static uint64_t
digest(uint64_t sum, const char *bytes, size_t size)
{
    for (size_t i = 0; i < size; i++)
        sum = (sum ^ (unsigned char)bytes[i]) * UINT64_C(0x100000001b3);
    return sum;
}

/* Files that stay open, since opening them takes longer than reading them.
 * Somebody may have closed one, or a fork may have made it another process's:
 * then it is opened again. Used by one thread at a time; others open their own.
 */
struct kept {
    const char *path;
    int fd, pid;
    dev_t device;
    ino_t number;
};

static struct {
    atomic_flag used;
    struct kept status, spaces;
} kept = {
    .used = ATOMIC_FLAG_INIT,
    .status = {.path = "/proc/self/status", .fd = -1},
    .spaces = {.path = "/proc/self/ns", .fd = -1},
};

static bool
is_open_still(const struct kept *file)
{
    struct stat now;

    return file->fd >= 0 && file->pid == getpid() &&
           fstat(file->fd, &now) == 0 && now.st_dev == file->device &&
           now.st_ino == file->number;
}

static int
keep_open(struct kept *file)
{
    struct stat now;

    if (is_open_still(file))
        return file->fd;
    file->fd = high_fd(open(file->path, O_RDONLY | O_CLOEXEC));
    if (file->fd >= 0 && fstat(file->fd, &now) == 0) {
        file->pid = getpid();
        file->device = now.st_dev;
        file->number = now.st_ino;
    }
    return file->fd;
}

/* The root directory, whose mount's id is its namespace's own, and the other
 * namespaces that decide what a process may do. */
static void
add_places(struct os_rights *out, int spaces)
{
    struct stat net = {0}, user = {0};
    struct statx root = {0};

    (void)statx(AT_FDCWD, "/", 0, STATX_INO | STATX_MNT_ID, &root);
    (void)fstatat(spaces, "net", &net, 0);
    (void)fstatat(spaces, "user", &user, 0);
    const uint64_t words[] = {
        (uint64_t)root.stx_dev_major << 32 | root.stx_dev_minor,
        root.stx_ino,
        root.stx_mnt_id,
        net.st_dev,
        net.st_ino,
        user.st_dev,
        user.st_ino,
    };

    out->digest = digest(out->digest, (const char *)words, sizeof words);
}

static bool
starts(const char *line, const char *word)
{
    return strncmp(line, word, strlen(word)) == 0;
}

/* A line of /proc/self/status, or the start of one that is too long. Whether it
 * says what the process may do. */
static bool
take_line(struct os_rights *out, const char *line)
{
    static const char *const rights[] = {
        "Uid:", "Gid:", "Groups:", "NoNewPrivs:", "Seccomp", "Cap"};

    if (starts(line, "Umask:"))
        out->umask = (unsigned)strtoul(line + 6, NULL, 8);
    else if (starts(line, "TracerPid:"))
        out->traced = strtoul(line + 10, NULL, 10) != 0;
    for (size_t i = 0; i < sizeof rights / sizeof *rights; i++)
        if (starts(line, rights[i]))
            return true;
    return false;
}

/* Of what was read, in parts, of a text that is a line each. */
struct lines {
    char text[4096 + 1];
    size_t used;
    bool counts; /* the line that goes on in the next part is to be digested */
    bool inside; /* there is such a line */
};

static void
take_part(struct os_rights *out, struct lines *lines)
{
    char *at = lines->text, *end;

    lines->text[lines->used] = '\0';
    while ((end = strchr(at, '\n'))) {
        *end = '\0';
        if (lines->inside ? lines->counts : take_line(out, at))
            out->digest = digest(out->digest, at, (size_t)(end - at));
        lines->inside = false;
        at = end + 1;
    }
    lines->used -= (size_t)(at - lines->text);
    memmove(lines->text, at, lines->used);
    if (lines->used < sizeof lines->text - 1)
        return;
    /* A line of thousands of groups. */
    lines->counts = lines->inside ? lines->counts : take_line(out, lines->text);
    lines->inside = true;
    if (lines->counts)
        out->digest = digest(out->digest, lines->text, lines->used);
    lines->used = 0;
}

static int
read_rights(struct os_rights *out, int status, int spaces)
{
    struct lines lines = {.used = 0};
    off_t place = 0;
    ssize_t got;

    *out = (struct os_rights){.digest = UINT64_C(0xcbf29ce484222325)};
    while ((got = pread(status, lines.text + lines.used,
                        sizeof lines.text - 1 - lines.used, place)) > 0) {
        place += got;
        lines.used += (size_t)got;
        take_part(out, &lines);
    }
    if (got < 0)
        return -errno;
    add_places(out, spaces);
    return 0;
}

int
os_rights(struct os_rights *out)
{
    struct kept status = {.path = kept.status.path, .fd = -1};
    struct kept spaces = {.path = kept.spaces.path, .fd = -1};
    const bool first = !atomic_flag_test_and_set(&kept.used);
    int error = keep_open(first ? &kept.status : &status);

    if (error >= 0)
        error = keep_open(first ? &kept.spaces : &spaces);
    if (error >= 0)
        error = read_rights(out, first ? kept.status.fd : status.fd,
                            first ? kept.spaces.fd : spaces.fd);
    if (first)
        atomic_flag_clear(&kept.used);
    if (status.fd >= 0)
        close(status.fd);
    if (spaces.fd >= 0)
        close(spaces.fd);
    return error;
}

void
os_rights_forked(bool open)
{
    struct kept *const files[] = {&kept.status, &kept.spaces};

    atomic_flag_clear(&kept.used);
    for (size_t i = 0; i < 2; i++) {
        if (open && files[i]->fd >= 0)
            close(files[i]->fd);
        files[i]->fd = -1;
    }
}
