/* Writing files is given up by Landlock, all but computing by a filter of
 * system calls. A filter is made from a table of rules that are tried in order.
 * Each rule jumps over itself alone, so the 8 bits of a jump are enough however
 * long the table grows.
 */
#include "os/os.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/landlock.h>
#include <linux/seccomp.h>
#include <sched.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#ifndef SYS_futex_waitv
#    define SYS_futex_waitv 449
#endif
#ifndef PR_SET_VMA
#    define PR_SET_VMA 0x53564d41
#endif

#if defined __x86_64__
#    define ARCHITECTURE AUDIT_ARCH_X86_64
#else
#    define ARCHITECTURE AUDIT_ARCH_AARCH64
#endif

enum {
    X32 = 0x40000000, /* set in the numbers of x86-64's other interface */
    FIRST_LENGTH = 6, /* what a filter looks at before its rules */
    RULE_LENGTH = 6,  /* at most */
    FILTER_LENGTH = 640
};

#define ALL    UINT32_MAX
#define REFUSE (SECCOMP_RET_ERRNO | EPERM)
#define ABSENT (SECCOMP_RET_ERRNO | ENOSYS)

/* What happens to a call if the low half of its argument, masked, is `value`;
 * the next rule decides otherwise. The kernel takes no argument that is looked
 * at here for longer than 32 bits, or knows no higher bits of it. */
struct rule {
    uint32_t number, action;
    uint32_t argument, mask, value; /* mask 0: whatever it is */
};

struct filter {
    unsigned short length;
    struct sock_filter code[FILTER_LENGTH];
};

static void
add(struct filter *filter, struct sock_filter instruction)
{
    assert(filter->length < FILTER_LENGTH);
    filter->code[filter->length++] = instruction;
}

static void
add_load(struct filter *filter, size_t offset)
{
    add(filter, (struct sock_filter)BPF_STMT(BPF_LD | BPF_W | BPF_ABS,
                                             (uint32_t)offset));
}

/* Goes on with the next instruction if it holds, else after `over` more. */
static void
add_test(struct filter *filter, uint32_t value, unsigned char over)
{
    add(filter, (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, value,
                                             0, over));
}

static void
add_end(struct filter *filter, uint32_t action)
{
    add(filter, (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, action));
}

/* Numbers mean other calls elsewhere. */
static void
add_first(struct filter *filter)
{
    add_load(filter, offsetof(struct seccomp_data, arch));
    add(filter, (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K,
                                             ARCHITECTURE, 1, 0));
    add_end(filter, SECCOMP_RET_KILL_PROCESS);
    add_load(filter, offsetof(struct seccomp_data, nr));
#if defined __x86_64__
    add(filter,
        (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JGE | BPF_K, X32, 0, 1));
    add_end(filter, SECCOMP_RET_KILL_PROCESS);
#endif
}

/* Begins and ends with the number of the call loaded. */
static void
add_rule(struct filter *filter, struct rule rule)
{
    if (rule.mask == 0) {
        add_test(filter, rule.number, 1);
        add_end(filter, rule.action);
        return;
    }
    add_test(filter, rule.number, 5);
    add_load(filter, offsetof(struct seccomp_data, args) +
                         rule.argument * sizeof(uint64_t));
    add(filter,
        (struct sock_filter)BPF_STMT(BPF_ALU | BPF_AND | BPF_K, rule.mask));
    add_test(filter, rule.value, 1);
    add_end(filter, rule.action);
    add_load(filter, offsetof(struct seccomp_data, nr));
}

static void
add_rules(struct filter *filter, const struct rule *rules, size_t count)
{
    for (size_t i = 0; i < count; i++)
        add_rule(filter, rules[i]);
}

static int
give_up_privileges(void)
{
    return prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0 ? -errno : 0;
}

static int
install(struct filter *filter)
{
    const struct sock_fprog program = {filter->length, filter->code};
    const int error = give_up_privileges();

    if (error)
        return error;
    return syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, 0, &program) < 0
               ? -errno
               : 0;
}

/* clang-format off */
#define ALLOW(name)                  {SYS_##name, SECCOMP_RET_ALLOW, 0, 0, 0}
#define ALLOW_IF(name, argument, is) {SYS_##name, SECCOMP_RET_ALLOW, argument, ALL, is}
#define ALLOW_BITS(name, argument, mask, are) \
    {SYS_##name, SECCOMP_RET_ALLOW, argument, mask, are}
/* clang-format on */

#define NAMESPACES                                                           \
    ((uint32_t)CLONE_NEWNS | CLONE_NEWCGROUP | CLONE_NEWUTS | CLONE_NEWIPC | \
     CLONE_NEWUSER | CLONE_NEWPID | CLONE_NEWNET)

/* What is not here is refused. newfstatat too, though the C library makes fstat
 * of it: a filter cannot see that the path is empty. clone3 is absent rather
 * than refused, as its flags cannot be seen either, and the C library then
 * falls back on clone. fcntl without the commands that have a signal sent to
 * whomever one likes. */
static const struct rule computing[] = {
    ALLOW(read),
    ALLOW(write),
    ALLOW(futex),
    ALLOW(readv),
    ALLOW(writev),
    ALLOW(pread64),
    ALLOW(pwrite64),
    ALLOW(preadv),
    ALLOW(pwritev),
    ALLOW(close),
    ALLOW(lseek),
    ALLOW(fstat),

    ALLOW_BITS(mmap, 2, PROT_EXEC, 0),
    ALLOW_BITS(mprotect, 2, PROT_EXEC, 0),
    ALLOW(munmap),
    ALLOW(mremap),
    ALLOW(madvise),
    ALLOW(brk),

    ALLOW(futex_waitv),
    ALLOW(sched_yield),
    ALLOW(sched_getaffinity),
    ALLOW(clock_gettime),
    ALLOW(clock_getres),
    ALLOW(clock_nanosleep),
    ALLOW(nanosleep),
    ALLOW(gettimeofday),

    ALLOW(getpid),
    ALLOW(gettid),
    ALLOW(getppid),
    ALLOW(getuid),
    ALLOW(geteuid),
    ALLOW(getgid),
    ALLOW(getegid),
    ALLOW(getrandom),
    ALLOW(uname),
    ALLOW(sysinfo),
    ALLOW(getrusage),
    ALLOW(times),
    ALLOW(getcpu),

    ALLOW(rt_sigaction),
    ALLOW(rt_sigprocmask),
    ALLOW(rt_sigreturn),
    ALLOW(rt_sigtimedwait),
    ALLOW(rt_sigpending),
    ALLOW(sigaltstack),
    ALLOW(restart_syscall),

    ALLOW(ppoll),
    ALLOW(pselect6),
    ALLOW(epoll_create1),
    ALLOW(epoll_ctl),
    ALLOW(epoll_pwait),
    ALLOW(epoll_pwait2),
    ALLOW(eventfd2),
    ALLOW(timerfd_create),
    ALLOW(timerfd_settime),
    ALLOW(timerfd_gettime),
    ALLOW(pipe2),
    ALLOW(dup),
    ALLOW(dup3),
    ALLOW_IF(fcntl, 1, F_DUPFD),
    ALLOW_IF(fcntl, 1, F_DUPFD_CLOEXEC),
    ALLOW_IF(fcntl, 1, F_GETFD),
    ALLOW_IF(fcntl, 1, F_SETFD),
    ALLOW_IF(fcntl, 1, F_GETFL),
    ALLOW_IF(fcntl, 1, F_SETFL),
    ALLOW_IF(fcntl, 1, F_GETLK),
    ALLOW_IF(fcntl, 1, F_SETLK),
    ALLOW_IF(fcntl, 1, F_SETLKW),
    ALLOW_IF(fcntl, 1, F_OFD_GETLK),
    ALLOW_IF(fcntl, 1, F_OFD_SETLK),
    ALLOW_IF(fcntl, 1, F_OFD_SETLKW),
    ALLOW_IF(fcntl, 1, F_GETPIPE_SZ),
    ALLOW_IF(fcntl, 1, F_SETPIPE_SZ),
    ALLOW_IF(fcntl, 1, F_GET_SEALS),
    ALLOW_IF(fcntl, 1, F_ADD_SEALS),
    ALLOW_IF(ioctl, 1, TCGETS),
    ALLOW_IF(ioctl, 1, TIOCGWINSZ),
    ALLOW_IF(ioctl, 1, FIONREAD),

    ALLOW_BITS(clone, 0, NAMESPACES | CLONE_THREAD, CLONE_THREAD),
    {SYS_clone3, ABSENT, 0, 0, 0},
    ALLOW(set_robust_list),
    ALLOW_IF(get_robust_list, 0, 0), /* the caller's own */
    ALLOW(rseq),
    ALLOW(set_tid_address),
    ALLOW(membarrier),
    ALLOW_IF(prctl, 0, PR_SET_NAME),
    ALLOW_IF(prctl, 0, PR_GET_NAME),
    ALLOW_IF(prctl, 0, PR_SET_VMA),
    ALLOW_IF(prctl, 0, PR_GET_TID_ADDRESS),
    ALLOW(exit),
    ALLOW(exit_group),

#if defined __x86_64__
    ALLOW(arch_prctl),
    ALLOW(time),
    ALLOW(poll),
    ALLOW(select),
    ALLOW(epoll_create),
    ALLOW(epoll_wait),
    ALLOW(dup2),
#endif
};

/* O_TRUNC needs the right to write from Landlock only where the access mode
 * asks for writing: not with 0 and not with the odd 3. A filter sees neither
 * what openat2 is given nor what io_uring does. */
#define OPENING(name, argument)                        \
    ALLOW_BITS(name, argument, O_ACCMODE, O_WRONLY),   \
        ALLOW_BITS(name, argument, O_ACCMODE, O_RDWR), \
    {                                                  \
        SYS_##name, REFUSE, argument, O_TRUNC, O_TRUNC \
    }

static const struct rule truncating[] = {
    OPENING(openat, 2),
#if defined __x86_64__
    OPENING(open, 1),
#endif
    OPENING(open_by_handle_at, 2),
    {SYS_truncate, REFUSE, 0, 0, 0},
    {SYS_openat2, ABSENT, 0, 0, 0},
    {SYS_io_uring_setup, ABSENT, 0, 0, 0},
};

#define COUNT(rules) (sizeof(rules) / sizeof *(rules))

static_assert(FIRST_LENGTH + (COUNT(computing) + 1) * RULE_LENGTH + 1 <=
                  FILTER_LENGTH,
              "the filter has room for each rule at its longest");

static int
has_action(uint32_t action)
{
    return syscall(SYS_seccomp, SECCOMP_GET_ACTION_AVAIL, 0, &action) < 0
               ? -errno
               : 0;
}

int
os_can_compute_only(void)
{
    const int error = has_action(SECCOMP_RET_ERRNO);

    return error ? error : has_action(SECCOMP_RET_KILL_PROCESS);
}

int
os_compute_only(void)
{
    /* As raise and abort do; it can make no process that inherits this. */
    const struct rule own = ALLOW_IF(tgkill, 0, (uint32_t)getpid());
    struct filter filter = {0};

    add_first(&filter);
    add_rules(&filter, computing, COUNT(computing));
    add_rule(&filter, own);
    add_end(&filter, REFUSE);
    return install(&filter);
}

static int
refuse_truncating(void)
{
    struct filter filter = {0};

    add_first(&filter);
    add_rules(&filter, truncating, COUNT(truncating));
    add_end(&filter, SECCOMP_RET_ALLOW);
    return install(&filter);
}

/* Rights that came with later versions than the headers may know. */
#define RIGHT_REFER    (UINT64_C(1) << 13)
#define RIGHT_TRUNCATE (UINT64_C(1) << 14)

enum {
    WITH_REFER = 2, /* from this version of Landlock on */
    WITH_TRUNCATE = 3
};

static const uint64_t rights_of_files =
    LANDLOCK_ACCESS_FS_WRITE_FILE | RIGHT_TRUNCATE;

static uint64_t
rights_to_write(int version)
{
    uint64_t rights =
        LANDLOCK_ACCESS_FS_WRITE_FILE | LANDLOCK_ACCESS_FS_REMOVE_DIR |
        LANDLOCK_ACCESS_FS_REMOVE_FILE | LANDLOCK_ACCESS_FS_MAKE_CHAR |
        LANDLOCK_ACCESS_FS_MAKE_DIR | LANDLOCK_ACCESS_FS_MAKE_REG |
        LANDLOCK_ACCESS_FS_MAKE_SOCK | LANDLOCK_ACCESS_FS_MAKE_FIFO |
        LANDLOCK_ACCESS_FS_MAKE_BLOCK | LANDLOCK_ACCESS_FS_MAKE_SYM;

    if (version >= WITH_REFER)
        rights |= RIGHT_REFER;
    if (version >= WITH_TRUNCATE)
        rights |= RIGHT_TRUNCATE;
    return rights;
}

int
os_can_limit_writes(void)
{
    const long version = syscall(SYS_landlock_create_ruleset, NULL, 0,
                                 LANDLOCK_CREATE_RULESET_VERSION);

    if (version < 0)
        return -errno;
    const int error = version < WITH_TRUNCATE ? os_can_compute_only() : 0;

    return error ? error : (int)version;
}

/* The kernel refuses a rule that gives a file what only a directory can have.
 */
static int
permit(int rules, int fd, uint64_t rights)
{
    struct landlock_path_beneath_attr rule = {.parent_fd = fd};
    struct stat status;

    if (fstat(fd, &status) < 0)
        return -errno;
    rule.allowed_access =
        S_ISDIR(status.st_mode) ? rights : rights & rights_of_files;
    return syscall(SYS_landlock_add_rule, rules, LANDLOCK_RULE_PATH_BENEATH,
                   &rule, 0) < 0
               ? -errno
               : 0;
}

static int
permit_path(int rules, const char *path, uint64_t rights)
{
    const int fd = open(path, O_PATH | O_CLOEXEC);

    if (fd < 0)
        return -errno;
    const int error = permit(rules, fd, rights);

    os_close(fd);
    return error;
}

static int
permit_paths(int rules, const char *const *paths, uint64_t rights, unsigned *at)
{
    for (unsigned i = 0; paths && paths[i]; i++) {
        const int error = permit_path(rules, paths[i], rights);

        if (error && at)
            *at = i;
        if (error)
            return error;
    }
    const int error = permit_path(rules, "/dev/null", rights);

    return error == -ENOENT ? 0 : error; /* a bare root may have none */
}

static int
enforce(int rules, int version)
{
    int error = give_up_privileges();

    if (!error && syscall(SYS_landlock_restrict_self, rules, 0) < 0)
        error = -errno;
    if (!error && version < WITH_TRUNCATE)
        error = refuse_truncating();
    return error;
}

int
os_limit_writes(const char *const *writable, unsigned *at)
{
    const int version = os_can_limit_writes();

    if (version < 0)
        return version;
    const struct landlock_ruleset_attr wanted = {.handled_access_fs =
                                                     rights_to_write(version)};
    const int rules =
        (int)syscall(SYS_landlock_create_ruleset, &wanted, sizeof wanted, 0);

    if (rules < 0)
        return -errno;
    int error = permit_paths(rules, writable, wanted.handled_access_fs, at);

    if (!error)
        error = enforce(rules, version);
    os_close(rules);
    return error;
}
