/* What a process gave up is refused, and nothing else is. */
#include "os/os.h"
#include "support/support.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/filter.h>
#include <linux/landlock.h>
#include <linux/openat2.h>
#include <linux/seccomp.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/random.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/un.h>
#include <time.h>
#include <ucontext.h>
#include <unistd.h>

#ifndef SYS_futex_waitv
#    define SYS_futex_waitv 449
#endif

/* --- compute only */

/* Allowed whatever the arguments are. */
static const long allowed[] = {
#if defined __x86_64__
    SYS_arch_prctl,
    SYS_time,
    SYS_poll,
    SYS_select,
    SYS_epoll_create,
    SYS_epoll_wait,
    SYS_dup2,
#endif
    SYS_read,
    SYS_write,
    SYS_readv,
    SYS_writev,
    SYS_pread64,
    SYS_pwrite64,
    SYS_preadv,
    SYS_pwritev,
    SYS_close,
    SYS_lseek,
    SYS_fstat,
    SYS_munmap,
    SYS_mremap,
    SYS_madvise,
    SYS_brk,
    SYS_futex,
    SYS_futex_waitv,
    SYS_sched_yield,
    SYS_sched_getaffinity,
    SYS_clock_gettime,
    SYS_clock_nanosleep,
    SYS_nanosleep,
    SYS_clock_getres,
    SYS_gettimeofday,
    SYS_getpid,
    SYS_gettid,
    SYS_getppid,
    SYS_getuid,
    SYS_geteuid,
    SYS_getgid,
    SYS_getegid,
    SYS_getrandom,
    SYS_uname,
    SYS_sysinfo,
    SYS_getrusage,
    SYS_times,
    SYS_getcpu,
    SYS_rt_sigaction,
    SYS_rt_sigprocmask,
    SYS_rt_sigtimedwait,
    SYS_rt_sigpending,
    SYS_sigaltstack,
    SYS_restart_syscall,
    SYS_ppoll,
    SYS_pselect6,
    SYS_epoll_create1,
    SYS_epoll_ctl,
    SYS_epoll_pwait,
    SYS_epoll_pwait2,
    SYS_eventfd2,
    SYS_timerfd_create,
    SYS_timerfd_settime,
    SYS_timerfd_gettime,
    SYS_pipe2,
    SYS_dup,
    SYS_dup3,
    SYS_set_robust_list,
    SYS_rseq,
    SYS_membarrier};

/* Allowed too, but not to be called with nonsense; or not always allowed. */
static const long special[] = {
#if defined __x86_64__
    335,
    336, /* of the kernel's own probes: no filter is asked */
#endif
    SYS_exit,
    SYS_exit_group,
    SYS_rt_sigreturn,
    SYS_set_tid_address,
    SYS_clone,
    SYS_clone3,
    SYS_fcntl,
    SYS_get_robust_list,
    SYS_ioctl,
    SYS_mmap,
    SYS_mprotect,
    SYS_prctl,
    SYS_tgkill};

#define COUNT(table) (sizeof(table) / sizeof *(table))

static bool
is_in(const long *table, size_t count, long number)
{
    for (size_t i = 0; i < count; i++)
        if (table[i] == number)
            return true;
    return false;
}

static bool
refused(long result)
{
    return result == -1 && errno == EPERM;
}

/* With arguments that the kernel itself would answer with another error. */
static bool
is_refused(long number)
{
    return refused(syscall(number, -1L, -1L, -1L, -1L, -1L, -1L));
}

static void
call_all(void *unused)
{
    (void)unused;
    child_expect(os_compute_only() == 0);
    for (long number = 0; number < 600; number++) {
        if (is_in(special, COUNT(special), number))
            continue;
        if (is_refused(number) != is_in(allowed, COUNT(allowed), number))
            continue;
        dprintf(STDERR_FILENO, "system call %ld\n", number);
        support_child_failed(__FILE__, __LINE__, "what is allowed and no more");
    }
}

START_TEST(calls_are_refused_but_some)
{
    ck_assert_int_eq(support_run_fork(call_all, NULL), 0);
}

END_TEST

static void
refuse_files(int fd)
{
    (void)fd;
    child_expect(refused(open("/dev/null", O_RDONLY)));
    child_expect(refused(openat(AT_FDCWD, "/dev/null", O_RDONLY)));
    child_expect(!fopen("/dev/null", "re") && errno == EPERM);
    child_expect(refused(unlink("/tmp/weft-no-such-file")));
    child_expect(refused(mkdir("/tmp", 0700)));
    child_expect(refused(memfd_create("any", MFD_CLOEXEC)));
    child_expect(refused(syscall(SYS_io_uring_setup, 1, NULL)));
    child_expect(refused(access("/", F_OK)));
}

static void
refuse_others(int fd)
{
    char byte;
    struct iovec here = {&byte, 1};

    child_expect(refused(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)));
    child_expect(refused(kill(getppid(), 0)));
    child_expect(refused(kill(getpid(), 0)));
    child_expect(refused(syscall(SYS_tgkill, getppid(), getppid(), 0)));
    child_expect(refused(ptrace(PTRACE_TRACEME, 0, NULL, NULL)));
    child_expect(refused(process_vm_readv(getpid(), &here, 1, &here, 1, 0)));
    child_expect(refused(fcntl(fd, F_SETOWN, getppid())));
    child_expect(refused(fcntl(fd, F_SETSIG, SIGKILL)));
    child_expect(refused(ioctl(fd, FIOASYNC, &fd)));
    child_expect(refused(ioctl(fd, TIOCSTI, "x")));
    child_expect(
        refused(syscall(SYS_get_robust_list, getppid(), &here, &here)));
}

static void
refuse_processes(int fd)
{
    const unsigned long thread = CLONE_THREAD | CLONE_SIGHAND | CLONE_VM;

    (void)fd;
    child_expect(refused(execl("/bin/true", "true", NULL)));
    child_expect(refused(fork()));
    child_expect(refused(syscall(SYS_clone, SIGCHLD, 0, 0, 0, 0)));
    /* The kernel knows these two together for wrong: -EINVAL. */
    child_expect(refused(
        syscall(SYS_clone, thread | CLONE_FS | CLONE_NEWNS, 0, 0, 0, 0)));
    child_expect(syscall(SYS_clone3, NULL, 0) == -1 && errno == ENOSYS);
    child_expect(refused(setpriority(PRIO_PROCESS, 0, 0)));
    child_expect(refused(prctl(PR_SET_DUMPABLE, 1, 0, 0, 0)));
    child_expect(refused(prctl(PR_SET_PDEATHSIG, 0, 0, 0, 0)));
}

static void
refuse_code(int fd)
{
    static char page[OS_PAGE] __attribute__((aligned(OS_PAGE)));

    (void)fd;
    child_expect(mmap(NULL, OS_PAGE, PROT_READ | PROT_EXEC,
                      MAP_PRIVATE | MAP_ANONYMOUS, -1, 0) == MAP_FAILED &&
                 errno == EPERM);
    child_expect(refused(mprotect(page, OS_PAGE, PROT_READ | PROT_EXEC)));
    child_expect(mprotect(page, OS_PAGE, PROT_READ) == 0);
}

static void
refuse_again(int fd)
{
    (void)fd;
    child_expect(os_compute_only() == -EPERM);
    child_expect(os_can_compute_only() == -EPERM);
    child_expect(os_limit_writes(NULL, NULL) == -EPERM);
}

static void
keep_memory(int fd)
{
    const size_t size = 100 << 20;
    char *memory = malloc(size);

    (void)fd;
    child_expect(memory);
    for (size_t i = 0; i < size; i += OS_PAGE)
        memory[i] = 1;
    memory = realloc(memory, size / 2);
    child_expect(memory && memory[size / 2 - OS_PAGE] == 1);
    free(memory);
}

static void
keep_descriptors(int fd)
{
    char read_back[8] = "";
    int ends[2];

    child_expect(write(fd, "x", 1) == 1);
    child_expect(fcntl(fd, F_GETFL) >= 0);
    child_expect(pipe2(ends, O_CLOEXEC) == 0);
    child_expect(dup2(ends[1], STDOUT_FILENO) == STDOUT_FILENO);
    child_expect(printf("a%db\n", 5) == 4 && fflush(stdout) == 0);
    child_expect(read(ends[0], read_back, 8) == 4);
    child_expect(strcmp(read_back, "a5b\n") == 0);
    FILE *stream = fdopen(ends[1], "w");

    child_expect(stream && fputs("more", stream) >= 0 && fclose(stream) == 0);
    child_expect(read(ends[0], read_back, 8) == 4);
    child_expect(isatty(ends[0]) == 0 && errno == ENOTTY);
}

static void
keep_clocks(int fd)
{
    const struct timespec moment = {0, 1000};
    struct rusage usage;
    char name[16] = "", random[16];

    (void)fd;
    child_expect(clock() != (clock_t)-1);
    child_expect(time(NULL) > 0);
    child_expect(os_now() > 0 && os_cpu_of_thread() > 0);
    child_expect(nanosleep(&moment, NULL) == 0);
    child_expect(getrusage(RUSAGE_SELF, &usage) == 0);
    child_expect(getrandom(random, sizeof random, 0) == sizeof random);
    os_thread_name("computer");
    child_expect(prctl(PR_GET_NAME, name, 0, 0, 0) == 0);
    child_expect(strcmp(name, "computer") == 0);
}

static void
count_signal(int signal)
{
    static _Atomic int count;

    child_expect(signal == SIGUSR1 && ++count == 1);
}

static void
keep_signals(int fd)
{
    (void)fd;
    child_expect(signal(SIGUSR1, count_signal) != SIG_ERR);
    child_expect(raise(SIGUSR1) == 0);
}

static void *
compute(void *count)
{
    char *memory = malloc(1 << 20);

    child_expect(memory);
    memset(memory, 1, 1 << 20);
    free(memory);
    child_expect(refused(open("/dev/null", O_RDONLY)));
    child_expect(refused(kill(getppid(), 0)));
    ++*(_Atomic int *)count;
    return NULL;
}

static void
keep_threads(int fd)
{
    _Atomic int count = 0;
    pthread_t threads[4];

    (void)fd;
    for (int i = 0; i < 4; i++)
        child_expect(pthread_create(&threads[i], NULL, compute,
                                    (void *)(uintptr_t)&count) == 0);
    for (int i = 0; i < 4; i++)
        child_expect(pthread_join(threads[i], NULL) == 0);
    child_expect(count == 4);
}

static void (*const computations[])(int) = {
    refuse_files, refuse_others, refuse_processes, refuse_code,
    refuse_again, keep_memory,   keep_descriptors, keep_clocks,
    keep_signals, keep_threads,
};

static void
run_computation(void *computation)
{
    const int fd = os_open_null();

    child_expect(fd >= 0);
    child_expect(os_compute_only() == 0);
    child_expect(prctl(PR_GET_NAME, (char[16]){0}, 0, 0, 0) == 0);
    (*(void (*const *)(int))computation)(fd);
}

START_TEST(a_process_computes_only)
{
    ck_assert_int_eq(
        support_run_fork(run_computation, (void *)(uintptr_t)&computations[_i]),
        0);
}

END_TEST

static void
abort_at_last(void *unused)
{
    (void)unused;
    child_expect(os_compute_only() == 0);
    abort();
}

START_TEST(it_can_abort)
{
    ck_assert_int_eq(support_run_fork(abort_at_last, NULL), 128 + SIGABRT);
}

END_TEST

#if defined __x86_64__
static void
call_x32(void *unused)
{
    (void)unused;
    child_expect(os_compute_only() == 0);
    syscall(0x40000000 | SYS_getpid);
}

static void
call_i386(void *unused)
{
    long result = 20; /* getpid there, writev here */

    (void)unused;
    child_expect(os_compute_only() == 0);
    __asm__ volatile("int $0x80" : "+a"(result) : : "memory");
}

START_TEST(other_interfaces_kill)
{
    ck_assert_int_eq(support_run_fork(call_x32, NULL), 128 + SIGSYS);
    const int end = support_run_fork(call_i386, NULL);

    /* The latter where the kernel has no such interface. */
    ck_assert(end == 128 + SIGSYS || end == 128 + SIGSEGV);
}

END_TEST
#endif

/* --- limited writes */

/* Another system for a child: `action` for the calls with this number, whose
 * third argument has these bits. */
static void
pretend(uint32_t number, uint32_t third, uint32_t action)
{
    struct sock_filter code[] = {
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, number, 0, 4),
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS,
                 offsetof(struct seccomp_data, args[2])),
        BPF_STMT(BPF_ALU | BPF_AND | BPF_K, third),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, third, 0, 1),
        BPF_STMT(BPF_RET | BPF_K, action),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
    };
    const struct sock_fprog program = {COUNT(code), code};

    child_expect(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0);
    child_expect(syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, 0, &program) ==
                 0);
}

static int version_told;

static void
tell_version(int signal, siginfo_t *info, void *memory)
{
    ucontext_t *context = memory;

    (void)signal;
    (void)info;
#if defined __x86_64__
    context->uc_mcontext.gregs[REG_RAX] = version_told;
#else
    context->uc_mcontext.regs[0] = (unsigned long)version_told;
#endif
}

static void
pretend_version(int version)
{
    const struct sigaction action = {.sa_sigaction = tell_version,
                                     .sa_flags = SA_SIGINFO};

    version_told = version;
    child_expect(sigaction(SIGSYS, &action, NULL) == 0);
    pretend(SYS_landlock_create_ruleset, LANDLOCK_CREATE_RULESET_VERSION,
            SECCOMP_RET_TRAP);
    child_expect(os_can_limit_writes() == version);
}

/* As each of these systems does: 0 = the one that runs. */
static const int versions[] = {0, 1, 2};

static void
limit(int pretended, const char *const *writable)
{
    if (pretended)
        pretend_version(pretended);
    child_expect(os_limit_writes(writable, NULL) == 0);
    child_expect(prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0) == 1);
}

/* Also -EXDEV, as for what lies on two file systems. */
static bool
denied(long result)
{
    return result == -1 &&
           (errno == EACCES || errno == EPERM || errno == EXDEV);
}

static bool
denied_open(const char *path, int flags)
{
    return denied(open(path, flags | O_CLOEXEC, 0600));
}

static bool
opens(const char *path, int flags)
{
    const int fd = open(path, flags | O_CLOEXEC, 0600);

    return fd >= 0 && close(fd) == 0;
}

static long
size_of(const char *path)
{
    struct stat status;

    return stat(path, &status) == 0 ? (long)status.st_size : -1;
}

static void
write_outside(void)
{
    child_expect(denied_open("out/file", O_WRONLY));
    child_expect(denied_open("out/file", O_RDWR));
    child_expect(denied_open("out/file", O_WRONLY | O_TRUNC));
    child_expect(denied_open("out/file", O_WRONLY | O_APPEND));
    child_expect(denied_open("out/new", O_WRONLY | O_CREAT));
    child_expect(denied_open("out/new", O_RDONLY | O_CREAT));
    child_expect(denied_open("new", O_WRONLY | O_CREAT | O_EXCL));
    child_expect(open("out", O_WRONLY | O_TMPFILE | O_CLOEXEC, 0600) == -1);
    child_expect(denied_open("in/../out/file", O_WRONLY));
    child_expect(denied_open("in/way_out", O_WRONLY));
}

static void
truncate_outside(void)
{
    const struct open_how how = {.flags = O_RDONLY | O_TRUNC};

    child_expect(denied_open("out/file", O_RDONLY | O_TRUNC));
    child_expect(denied_open("out/file", O_ACCMODE | O_TRUNC));
    child_expect(denied(truncate("out/file", 0)));
    child_expect(syscall(SYS_openat2, AT_FDCWD, "out/file", &how, sizeof how) ==
                 -1);
#if defined __x86_64__
    child_expect(denied(syscall(SYS_open, "out/file", O_RDONLY | O_TRUNC)));
    child_expect(denied(syscall(SYS_open, "out/file", O_ACCMODE | O_TRUNC)));
#endif
    child_expect(size_of("out/file") == 4);
}

/* What a filter does before version 3, since Landlock cannot. */
static void
truncate_around(void)
{
    child_expect(syscall(SYS_openat2, AT_FDCWD, "in", NULL, 0) == -1 &&
                 errno == ENOSYS);
    child_expect(syscall(SYS_io_uring_setup, 1, NULL) == -1 && errno == ENOSYS);
    child_expect(refused(syscall(SYS_open_by_handle_at, -1, NULL, O_TRUNC)));
}

static void
bind_outside(void)
{
    const struct sockaddr_un name = {AF_UNIX, "out/socket"};
    const int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

    child_expect(fd >= 0);
    child_expect(denied(bind(fd, (const struct sockaddr *)&name, sizeof name)));
}

static void
make_outside(void)
{
    child_expect(denied(mkdir("out/new", 0700)));
    child_expect(denied(mkfifo("out/new", 0600)));
    child_expect(denied(mknod("out/new", S_IFREG | 0600, 0)));
    child_expect(denied(mknod("out/new", S_IFCHR | 0600, 0x103)));
    child_expect(denied(mknod("out/new", S_IFBLK | 0600, 0x103)));
    child_expect(denied(symlink("file", "out/new")));
    child_expect(denied(link("out/file", "out/new")));
    child_expect(denied(link("in/file", "out/new")));
    child_expect(denied(link("out/file", "in/new")));
    bind_outside();
}

static void
remove_outside(void)
{
    child_expect(denied(unlink("out/file")));
    child_expect(denied(rmdir("out/empty")));
    child_expect(denied(rename("out/file", "out/new")));
    child_expect(denied(rename("out/file", "in/new")));
    child_expect(denied(rename("in/file", "out/new")));
    child_expect(denied(rename("out/empty", "in/new")));
    child_expect(denied(rename("in", "new")));
}

static void
read_outside(void)
{
    char text[8] = "";
    const int fd = open("out/file", O_RDONLY | O_CLOEXEC);
    DIR *directory = opendir("out");

    child_expect(read(fd, text, sizeof text) == 4);
    child_expect(strcmp(text, "text") == 0);
    child_expect(directory && readdir(directory));
    child_expect(opens("/dev/null", O_RDWR | O_TRUNC));
}

static void
write_inside(int version)
{
    child_expect(opens("in/file", O_RDWR | O_TRUNC));
    child_expect(opens("in/new", O_WRONLY | O_CREAT | O_EXCL));
    child_expect(link("in/new", "in/newer") == 0);
    child_expect(rename("in/newer", "in/newest") == 0);
    child_expect(unlink("in/newest") == 0);
    child_expect(symlink("new", "in/link") == 0);
    child_expect(mkfifo("in/fifo", 0600) == 0);
    child_expect(mkdir("in/deep", 0700) == 0);
    child_expect(opens("in/deep/new", O_WRONLY | O_CREAT));
    child_expect(unlink("in/deep/new") == 0);
    child_expect(rmdir("in/deep") == 0);
    /* What the older versions lack. */
    child_expect(denied(rename("in/new", "in/below/new")) == (version < 2));
    child_expect(denied(truncate("in/file", 0)) == (version < 3));
    child_expect(denied_open("in/file", O_RDONLY | O_TRUNC) == (version < 3));
}

static void
write_here_and_there(void *version)
{
    const char *const writable[] = {"in", NULL};
    const int pretended = *(const int *)version;
    const int fd = open("out/old", O_WRONLY | O_CLOEXEC);

    child_expect(fd >= 0);
    limit(pretended, writable);
    write_outside();
    truncate_outside();
    if (pretended)
        truncate_around();
    make_outside();
    remove_outside();
    read_outside();
    write_inside(pretended ? pretended : os_can_limit_writes());
    child_expect(write(fd, "more", 4) == 4 && ftruncate(fd, 1) == 0);
}

static void
write_one_file(void *version)
{
    const char *const writable[] = {"out/file", "in/below", NULL};

    limit(*(const int *)version, writable);
    child_expect(opens("out/file", O_WRONLY | O_TRUNC));
    child_expect(denied_open("out/old", O_WRONLY));
    child_expect(denied_open("out/new", O_WRONLY | O_CREAT));
    child_expect(denied(unlink("out/file")));
    child_expect(opens("in/below/new", O_WRONLY | O_CREAT));
    child_expect(denied_open("in/new", O_WRONLY | O_CREAT));
}

static void
write_less_and_less(void *version)
{
    limit(*(const int *)version, (const char *const[]){"in", "out", NULL});
    child_expect(opens("out/new", O_WRONLY | O_CREAT));
    child_expect(os_limit_writes((const char *const[]){"in", NULL}, NULL) == 0);
    child_expect(denied_open("out/new", O_WRONLY));
    child_expect(opens("in/new", O_WRONLY | O_CREAT));
    child_expect(os_limit_writes(NULL, NULL) == 0);
    child_expect(denied_open("in/new", O_WRONLY));
    child_expect(opens("in/new", O_RDONLY));
    child_expect(opens("/dev/null", O_WRONLY));
}

static void *
write_from_thread(void *unused)
{
    child_expect(denied_open("out/file", O_WRONLY));
    return unused;
}

static void
write_by_others(void *version)
{
    pthread_t thread;

    limit(*(const int *)version, (const char *const[]){"in", NULL});
    child_expect(pthread_create(&thread, NULL, write_from_thread, NULL) == 0);
    child_expect(pthread_join(thread, NULL) == 0);
    execl("/bin/sh", "sh", "-c",
          "echo > in/new && ! (echo > out/file) 2>/dev/null", NULL);
    support_child_failed(__FILE__, __LINE__, "the execution");
}

static void (*const writers[])(void *) = {
    write_here_and_there,
    write_one_file,
    write_less_and_less,
    write_by_others,
};

/* The working directory of a child, with its files. */
static void
make_files(char root[64])
{
    char *const at = (support_directory(root), root);

    support_write(at, "in/file", "text");
    support_write(at, "in/below/file", "text");
    support_write(at, "out/file", "text");
    support_write(at, "out/old", "text");
    support_write(at, "out/empty/file", "text");
    ck_assert_int_eq(chdir(at), 0);
    ck_assert_int_eq(unlink("out/empty/file"), 0);
    ck_assert_int_eq(symlink("../out/file", "in/way_out"), 0);
}

static void
run_limited(void (*writer)(void *), const int *version)
{
    char root[64];

    make_files(root);
    ck_assert_int_eq(support_run_fork(writer, (void *)(uintptr_t)version), 0);
    support_remove(root);
}

START_TEST(writes_are_limited)
{
    for (size_t i = 0; i < COUNT(writers); i++)
        run_limited(writers[i], &versions[_i]);
}

END_TEST

static void
miss_a_path(void *unused)
{
    const char *const writable[] = {"in", "out/file", "missing", "out", NULL};
    unsigned at = 77;

    (void)unused;
    child_expect(os_limit_writes(writable, &at) == -ENOENT && at == 2);
    child_expect(os_limit_writes(writable, NULL) == -ENOENT);
    child_expect(os_limit_writes((const char *const[]){"in/file/x", NULL},
                                 &at) == -ENOTDIR &&
                 at == 0);
    child_expect(prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0) == 0);
    child_expect(opens("out/file", O_WRONLY));
}

START_TEST(a_missing_path_is_told)
{
    run_limited(miss_a_path, NULL);
}

END_TEST

static const int lacks[] = {ENOSYS, EOPNOTSUPP};

static void
lack_landlock(void *lack)
{
    const int error = *(const int *)lack;
    unsigned at = 77;

    pretend(SYS_landlock_create_ruleset, 0,
            SECCOMP_RET_ERRNO | (unsigned)error);
    child_expect(os_can_limit_writes() == -error);
    child_expect(os_limit_writes(NULL, &at) == -error && at == 77);
    child_expect(opens("out/file", O_WRONLY));
}

/* Version 2 cannot do without a filter, 3 can. */
static void
lack_filters(void *unused)
{
    (void)unused;
    pretend_version(2);
    pretend(SYS_seccomp, 0, SECCOMP_RET_ERRNO | ENOSYS);
    child_expect(os_can_compute_only() == -ENOSYS);
    child_expect(os_compute_only() == -ENOSYS);
    child_expect(os_can_limit_writes() == -ENOSYS);
    child_expect(os_limit_writes(NULL, NULL) == -ENOSYS);
    child_expect(opens("out/file", O_WRONLY));
    version_told = 3;
    child_expect(os_can_limit_writes() == 3);
}

START_TEST(what_the_system_lacks_is_told)
{
    for (size_t i = 0; i < COUNT(lacks); i++)
        run_limited(lack_landlock, &lacks[i]);
    run_limited(lack_filters, NULL);
}

END_TEST

static void
add_computing(Suite *suite)
{
    TCase *tcase = support_case(suite, "compute only", 20);

    tcase_add_test(tcase, calls_are_refused_but_some);
    support_add_table(tcase, a_process_computes_only, computations);
    tcase_add_test(tcase, it_can_abort);
#if defined __x86_64__
    tcase_add_test(tcase, other_interfaces_kill);
#endif
    tcase_add_test(tcase, what_the_system_lacks_is_told);
}

static void
add_writing(Suite *suite)
{
    TCase *tcase = support_case(suite, "limited writes", 20);

    support_add_table(tcase, writes_are_limited, versions);
    tcase_add_test(tcase, a_missing_path_is_told);
}

/* Whether the system has it; says so if not. */
static bool
has(const char *what, int answer)
{
    if (answer < 0)
        printf("os/sandbox: no %s here (%s), its tests are skipped\n", what,
               strerror(-answer));
    return answer >= 0;
}

int
main(void)
{
    const bool filters = has("filters of system calls", os_can_compute_only());
    const bool limits = has("Landlock", os_can_limit_writes());

    if (!filters && !limits)
        return 77;
    Suite *suite = suite_create("os/sandbox");

    if (filters)
        add_computing(suite);
    if (limits)
        add_writing(suite);
    return support_run(suite);
}
