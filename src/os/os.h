/* Everything that weft asks of the system, as one contract. Each function says
 * what whoever implements it for another system must guarantee. Fallible ones
 * return a value >= 0 or -errno, write their out-parameters only on success and
 * retry when a signal interrupts them, unless it says otherwise. Descriptors
 * are close-on-exec from birth. Times are nanoseconds of the monotonic clock;
 * OS_NEVER as a deadline means none. */
#ifndef OS_OS_H
#define OS_OS_H

#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#define OS_NEVER INT64_MAX

enum {
    OS_PAGE = 4096
};

/* --- clock.c */

/* Monotonic, the same in all processes, no system call, signal-safe. */
int64_t os_now(void);

/* What the calling thread, or the process, has used of CPUs. */
int64_t os_cpu_of_thread(void);

/* Since 1970. */
int64_t os_wall(void);

/* The CPU's own counter, at half the price of os_now; where os_has_ticks says
 * so, the same for all CPUs and steady enough to be set against os_now. Else
 * what it returns means nothing. os_has_ticks reads a file. */
bool os_has_ticks(void);

static inline uint64_t
os_ticks(void)
{
#if defined __x86_64__
    return __builtin_ia32_rdtsc();
#else
    return (uint64_t)os_now();
#endif
}

/* --- futex.c: the kernel's wait on a word. `shared` when other processes wait
 * on the word too; both sides must say the same. */

struct os_wait {
    const _Atomic uint32_t *word;
    uint32_t old;
    bool shared;
};

enum {
    OS_WAITS = 128 /* that one os_futex_wait_any takes */
};

/* Sleeps while *word == old; atomic against os_futex_wake after a change of
 * the word. 0 = woken, perhaps for nothing; -EAGAIN: it was not `old`;
 * -ETIMEDOUT; -EINTR. Orders nothing: read the word with acquire after it. */
int os_futex_wait(const _Atomic uint32_t *word, uint32_t old, int64_t until,
                  bool shared);

/* The same on up to OS_WAITS words at once. -ENOSYS where the system refuses
 * it; the caller then waits in slices. */
int os_futex_wait_any(const struct os_wait *waits, unsigned count,
                      int64_t until);

/* Wakes up to `count` sleepers; signal-safe. The word may be gone already. */
void os_futex_wake(const _Atomic uint32_t *word, int count, bool shared);

/* --- thread.c */

struct os_thread_options {
    size_t stack_size;    /* bytes; 0 = 1 MiB */
    const unsigned *cpus; /* that it may run on; NULL = the creator's */
    size_t cpu_count;
    bool quiet; /* all signals blocked: for the library's own threads */
};

/* Runs fn(arg) in a detached thread. -EAGAIN, -ENOMEM, -EINVAL (cpus). */
int os_thread_start(void (*fn)(void *), void *arg,
                    const struct os_thread_options *options);

/* The kernel's id of the calling thread. */
int os_thread_id(void);

/* Whether this process has such a thread. */
bool os_thread_lives(int tid);

/* For top and ps; the system keeps 15 bytes. */
void os_thread_name(const char *name);

void os_signals_block(sigset_t *before); /* all of them; NULL = forget */
void os_signals_set(const sigset_t *mask);
void os_signals_get(sigset_t *mask);

/* Undoes to the calling thread what a task may have changed: floating-point
 * environment, scheduling class, priority and affinity. False when something
 * cannot be undone, or when a thread-specific value of somebody else is left:
 * then the thread must not be used for another task. */
struct os_thread_state {
    uint64_t cpus[16]; /* affinity */
    int policy, priority, nice;
    uint64_t keys[16]; /* that have a value: a sanitizer's */
};

enum {
    OS_STACK_LEAST = 64 << 10 /* the C library's own calls need it */
};

void os_thread_remember(struct os_thread_state *state);
bool os_thread_restore(const struct os_thread_state *state);

/* Threads of this process that are not a sanitizer's own. */
int os_thread_count(void);

/* The same but for `quiet` ones, which have all signals blocked. Where a
 * sanitizer has threads of its own they cannot be told from those: then only
 * threads that some signal can reach are counted, the caller at least. */
int os_threads_beside(int quiet);

/* Burns a moment of CPU politely, in a spin. */
static inline void
os_pause(void)
{
#if defined __x86_64__
    __builtin_ia32_pause();
#else
    __asm__ volatile("yield");
#endif
}

/* --- clone.c, process.c, rights.c, spawn.c */

enum os_clone_flags {
    OS_CLONE_PARENT = 1, /* the child belongs to the caller's parent */
    OS_CLONE_PIDFD = 2,
    OS_CLONE_SIGCHLD = 4 /* its end is announced after all: for debuggers */
};

/* Copies the calling process, as fork does, without running any fork handler.
 * Its end raises no signal and no plain wait sees it. In the child, 0, and the
 * C library's record of thread id and robust list is mended. *pidfd only with
 * OS_CLONE_PIDFD. */
int os_clone(unsigned flags, int *pidfd);

struct os_exit {
    int code;   /* of exit; -1 when killed */
    int signal; /* that killed it; 0 = none */
    bool core_dumped;
    int64_t cpu; /* user and system time */
};

int os_process_id(void);
int os_parent_id(void);
bool os_process_lives(int pid); /* or nobody has reaped it */

/* A number of /proc/PID/stat, by its place there, from 4 on; or -ESRCH, or what
 * else reading it says. */
int64_t os_process_number(int pid, unsigned field);

/* Whether its main thread has begun to end, or is gone: it runs no more code.
 */
bool os_process_is_dying(int pid);
int os_pidfd_open(int pid);
int os_pidfd_signal(int pidfd, int signal);

/* Takes the exit status of a child by its pidfd, once. Waits for its end.
 * -ECHILD when somebody else took it. */
int os_pidfd_reap(int pidfd, struct os_exit *out);

/* Kills a child of the calling process that nobody has reaped, and reaps it. */
void os_child_end(int pid);

/* The calling process dies of SIGKILL when the thread that made it ends.
 * -ESRCH when `parent` is its parent no longer. */
int os_die_with(int parent);

/* The calling process leads a group of its own. */
int os_group_lead(void);

/* Caught signals get their default action again, as exec does; SIGTTIN and
 * SIGTTOU are ignored. */
void os_signals_default(void);

_Noreturn void os_exit_now(int code);

/* Whether the program was executed, or would be, with other rights than those
 * who run it have. */
bool os_gains_by_exec(void);

/* Sends a signal to all processes of a group. */
void os_group_signal(int group, int signal);

/* Whether a process is stopped, by ^Z or a signal. */
bool os_is_stopped(int pid);

/* What the system says of the process: what it may do, to be compared only
 * (user, group and supplementary ids, all sets of capabilities, no_new_privs,
 * seccomp and namespaces' root), and two things that cannot be had otherwise.
 */
struct os_rights {
    uint64_t digest;
    unsigned umask;
    bool traced; /* by a debugger */
};

int os_rights(struct os_rights *out);

/* In a copy of the process: gives back what os_rights keeps open, which is
 * closed already unless `open`. */
void os_rights_forked(bool open);

/* Runs the program that this process runs, anew, in a child of the calling
 * thread, as `name`. Its descriptors are 0 to 2 and `end`, as 3; its
 * environment is `variable` ("K=V") and what `strings` holds, as os_environment
 * writes it; all signals are blocked. Its end raises SIGCHLD. Returns the pid;
 * what hinders the start is the parent's error. */
int os_spawn(const char *name, int end, const char *variable, char *strings,
             size_t size);

/* --- crash.c, maps.c: a process that dies says where */

enum {
    OS_FRAMES = 48
};

struct os_crash {
    int signal, code;
    uint64_t address;           /* that could not be reached */
    uint64_t frames[OS_FRAMES]; /* the first is where it was, the others are
                                   where calls return to */
    unsigned count;
};

/* Loads now what os_crash_catch will need in the worst of moments. */
void os_crash_warm_up(void);

/* From now on, also in copies of the process, `each` is called when a signal is
 * about to kill it: in the handler, once with what is sure and again if more
 * was found. Then it dies of the signal. */
void os_crash_catch(void (*each)(const struct os_crash *crash));

/* Calls `found` with the file, and the offset in it, that each of the addresses
 * belongs to. Signal-safe; the path is gone after the call. */
typedef void os_place(void *context, unsigned which, const char *path,
                      uint64_t offset);

int os_maps_open(void);
void os_maps_places(int fd, const uint64_t *addresses, unsigned count,
                    os_place *found, void *context);

/* --- limits.c */

enum {
    OS_LIMITS = 16,
    OS_LIMIT_FILE = 1, /* RLIMIT_FSIZE */
    OS_LIMIT_SPACE = 9 /* RLIMIT_AS */
};

#define OS_NO_LIMIT UINT64_MAX

struct os_limit {
    uint64_t soft, hard;
};

/* What a process hands on to its children and may change meanwhile. */
struct os_context {
    struct os_limit limits[OS_LIMITS];
    uint64_t cpus[16]; /* affinity; all 0: unknown */
    int32_t nice;
    uint32_t umask; /* from struct os_rights */
};

/* The calling thread's and its process's, but for umask. */
int os_context_get(struct os_context *out);

/* Changes what differs. -EPERM: it may not have that. */
int os_context_apply(const struct os_context *want,
                     const struct os_context *have);

int os_nice(int nice);

/* Bytes that the process may map in all, or OS_NO_LIMIT. */
uint64_t os_space_limit(void);

/* Whether valgrind runs the program. Its memcheck needs 2 bits for each byte
 * that is mapped to be written. */
bool os_under_valgrind(void);

/* So many bytes of private memory more than it has now, and no more; a little
 * CPU time, then SIGXCPU. */
int os_limit_memory(uint64_t bytes);
int os_limit_cpu(int64_t ns);

/* --- environment.c */

/* Copies all strings, each with its end, one after another, however other
 * threads change them. Returns the bytes there are, also beyond `room`. */
long os_environment(char *out, size_t room);

/* Notes which strings there are, which makes copying them faster. While there
 * is one thread. */
void os_environment_note(void);

/* Makes such a block, which must stay, the environment. In a process with one
 * thread. */
int os_environment_set(char *strings, size_t size);

/* Reads own memory where nothing may be; the bytes that were there, or
 * -EFAULT; -EPERM, -ENOSYS: the system does not let it. Signal-safe. */
int os_read_own(const void *at, void *out, size_t size);

/* --- memory_left.c */

/* Bytes that could be had now: of the system and of the control groups. */
uint64_t os_memory_left(void);
bool os_memory_is_left(size_t size); /* true for what is small */

/* How often the system has killed for lack of memory, in the narrowest group
 * that counts it. */
uint64_t os_memory_kills(void);

/* --- memory.c */

/* Bytes of private memory, as RLIMIT_DATA counts them. `statm` is what
 * os_memory_open returned, for another process (pid; 0 = this one) or for who
 * will not be able to open it, or -1. os_memory_private is signal-safe. */
int os_memory_open(int pid);
uint64_t os_memory_private(int statm);

/* Gives a shared file's part its memory now: -ENOMEM, -ENOSPC, not a death. */
int os_memfd_fill(int fd, size_t offset, size_t size);

/* The same for a shared mapping's part, by who has not its descriptor. */
int os_fill_shared(void *at, size_t size);

/* Makes a shared mapping longer; it may move. */
int os_map_extend(void **at, size_t size, size_t longer);

/* A sealed file in memory of `size` zero bytes, sparse; its size is fixed. */
int os_memfd(const char *name, size_t size);

/* A sealed file in memory that holds a copy of the bytes, for ever: neither
 * they nor its size can be changed. -ENOMEM, -ENOSPC, -EFBIG. */
int os_memfd_frozen(const char *name, const void *data, size_t size);

/* The size of such a file; -EBADMSG when `fd` is something else. */
int64_t os_memfd_frozen_size(int fd);

/* Copies bytes out of a file, -EIO when there are fewer, and into one. */
int os_file_get(int fd, size_t offset, void *out, size_t size);
int os_file_put(int fd, size_t offset, const void *data, size_t size);

/* Gives a part's memory back: it reads as zero. */
int os_file_punch(int fd, size_t offset, size_t size);

/* The same as a named file of this user, for programs that close descriptors.
 * Takes the place of one that is there, which stays whole for who uses it.
 * -EEXIST: that is no plain file. */
int os_file_make(const char *path, size_t size);
/* Whether it could take the place of what is there. -EEXIST, or -EISDIR. */
int os_file_check_old(const char *path);
/* Touches nothing that is there: -EEXIST. */
int os_file_make_new(const char *path, size_t size);
int os_file_rename(const char *from, const char *to);

/* An existing one, to be read and written; and what tells it from others. */
int os_file_open(const char *path);

struct os_file_id {
    uint64_t device, number;
};

int os_file_identity(int fd, struct os_file_id *out);
int os_file_cut(int fd, size_t size);

/* The words of the command, each with its end; cut if there is no room. Returns
 * the bytes. */
int os_command(char *out, size_t room);

enum os_map {
    OS_READ = 1,
    OS_WRITE = 2
};

/* `fd` -1: private zero memory. Reserves nothing: pages come at first touch. */
int os_map(void **out, size_t size, int fd, unsigned access);
int os_map_part(void **out, size_t size, int fd, size_t offset,
                unsigned access);
int os_map_private_at(void *at, size_t size); /* over what is there */
int os_map_over(void *at, size_t size, int fd, unsigned access); /* the same */

/* Private memory, a power of two in size, at a multiple of its size. */
int os_map_aligned(void **out, size_t size);

/* A file at this address, or elsewhere if that cannot be. */
int os_map_near(void **out, void *wish, size_t size, int fd, unsigned access);

/* A file at this address and no other. -EEXIST: something is there, or the
 * system maps nothing at that place. */
int os_map_at(void *at, size_t size, int fd, unsigned access);
int os_protect(void *at, size_t size, unsigned access);
void os_unmap(void *at, size_t size);
int os_discard_shared(void *at, size_t size); /* gives the pages back */
void os_keep_out_of_core(void *at, size_t size);
void os_put_into_core(void *at, size_t size);               /* after all */
void os_keep_from_copies(void *at, size_t size, bool keep); /* of the process */

/* --- robust.c: the kernel's note at a thread's death */

/* Where the word of a robust-list node lies from the node. */
int os_robust_offset(long *out);

/* Links / unlinks a node of the calling thread: at its death the kernel sets
 * OS_DIED in the word if its low 30 bits are the thread's id, and wakes one
 * shared waiter if OS_SLEEPERS is set. node[-1] and *node are written. */
#define OS_DIED     0x40000000u
#define OS_SLEEPERS 0x80000000u

int os_robust_link(void **node);
void os_robust_unlink(void **node);

/* --- file.c: descriptors */

int os_event_open(void);   /* an eventfd, non-blocking */
int os_event_ring(int fd); /* signal-safe; -EBADF */
void os_event_clear(int fd);
int os_timer_open(void);
int os_timer_set(int fd, int64_t at); /* OS_NEVER: not at all */

struct os_poll {
    int fd;
    bool readable, writable; /* wanted; then: are */
};

/* Waits until one is ready, which includes errors and hang-ups. Returns how
 * many are; -ETIMEDOUT; -EINTR. -EBADF when one is no descriptor. */
int os_poll(struct os_poll *polls, unsigned count, int64_t until);

int os_watch_open(void); /* an epoll instance */
int os_watch_add(int watch, int fd, void *context);
int os_watch_remove(int watch, int fd);
int os_watch_wait(int watch, void **contexts, unsigned max);

bool os_is_open(int fd);
int os_open_null(void);
int os_open_directory(const char *path); /* "." is the working directory */
int os_go_there(int directory);
int os_move(int from, int to);      /* dup2; `to` is kept over exec */
int os_copy_fd(int fd, int lowest); /* one more, at `lowest` or above */
int os_pipe(int ends[2]); /* read end, which never blocks; write end */
int os_read_some(int fd, void *out, size_t size); /* 0 at the end; -EAGAIN */
int64_t os_file_size(int fd);
int os_signal_open(int signal); /* readable when the signal, blocked, is sent */
void os_signal_clear(int fd);
void os_close(int fd);
void os_close_from(int lowest); /* it and all above */

/* --- stream.c: files that the caller names or has open */

int os_open_read(const char *path); /* never blocks; a directory opens too */

/* Opens, for reading and writing, the file in memory of that name that the
 * process has open. -ESRCH: no such process; -ENOENT: it has none; -EACCES: it
 * is another user's. */
int os_open_of(int pid, const char *name);

/* Which file in memory of that name the process has mapped: a number that no
 * other such file has. 0: none, or it cannot be seen. */
uint64_t os_mapped_of(int pid, const char *name);

/* Reads up to `size` bytes at `offset`, fewer only at the end of the file.
 * Returns how many. */
int64_t os_read_at(int fd, void *out, size_t size, uint64_t offset);

/* Blocks until all is written, also where the descriptor does not block. */
int os_write_all(int fd, const void *bytes, size_t size);

/* --- socket.c: messages over a pair */

int os_pair(int ends[2]);    /* of whole messages, connected */
void os_end_writes(int end); /* the other end reads its end */

/* Sends or receives one whole message with up to OS_FDS descriptors. Receiving
 * returns the bytes, 0 at the end; *fd_count in: room, out: how many came. */
enum {
    OS_FDS = 253
};

int os_send(int end, const void *data, size_t size, const int *fds,
            unsigned fd_count);
int os_receive(int end, void *data, size_t size, int *fds, unsigned *fd_count);

/* The same without waiting, -EAGAIN instead, and in two parts. */
struct os_packet {
    void *head, *body; /* the body follows the head */
    size_t head_size, body_size;
    int *fds;
    unsigned fd_count; /* receiving: room, then how many came */
    bool cut; /* receiving: for some there was no room, or the process may not
                 have more */
};

/* -EAGAIN: full; -ETOOMANYREFS: too many descriptors are on their way;
 * -EMSGSIZE: longer than the pair takes; -EPIPE, -ECONNRESET: nobody has the
 * other end; -EBADF: one of the descriptors. Never a signal. */
int os_packet_send(int end, const struct os_packet *packet);

/* Copies the next message, with descriptors of its own for each that came, and
 * leaves it there; or takes it away, and what there is no room for is lost.
 * Returns its length, also beyond the room; 0 if it is empty or nobody has the
 * other end, see os_pair_is_over. -ECONNRESET, once: whoever had the other end
 * left something unread; what was sent before is still there. */
int os_packet_peek(int end, struct os_packet *packet);
int os_packet_take(int end, struct os_packet *packet);

/* 0, or what hinders it from being an end of such a pair: -EBADF, -ENOTSOCK. */
int os_pair_check(int fd);

/* Whether nobody has the other end any more and no message but empty ones is
 * left. */
bool os_pair_is_over(int end);

/* The same number for all descriptors of one end, in every process. */
uint64_t os_pair_id(int end);

/* Locks the end against other processes, not against threads of this one:
 * -EAGAIN while another one has it. Given back when the process ends, however
 * that comes, and also when it closes any descriptor of this end. */
int os_pair_lock(int end);
void os_pair_unlock(int end);

/* --- cpu.c */

/* CPUs of the affinity mask, at least 1. Read anew. */
unsigned os_cpu_affinity(void);

/* The same of the calling thread or of the main thread, whichever has more: a
 * thread that is pinned does not speak for the process. */
unsigned os_cpu_widest(void);

/* CPUs that the system may ever have. */
unsigned os_cpu_most(void);

/* Restricts the calling thread to these CPUs. -EINVAL: none may be used. */
int os_cpu_restrict(const unsigned *cpus, size_t count);

/* ceil(quota / period) over the process's cgroup and all its ancestors, v1 and
 * v2; 0 = no limit. `root` is put before every path that is read: "" but in
 * tests. */
unsigned os_cpu_quota(const char *root);

/* Tasks that want a CPU now on the whole system, or -errno. 6 to 30 us. */
int os_running(void);

/* The CPU that the caller is on; UINT_MAX: not known. Some nanoseconds. */
unsigned os_cpu_here(void);

/* --- switches.c: when threads get a CPU and lose it, as the kernel saw it */

struct os_switches;

struct os_switch {
    int64_t when; /* as os_now */
    int32_t pid, tid;
    unsigned cpu;
    bool on;        /* it got the CPU; else it lost it, or has ended */
    bool preempted; /* it lost it, but wanted to go on */
};

/* From now on of all threads of this process and of its children, and of what
 * these start. Costs the kernel 0.5 us a switch. -EACCES, -EPERM: the system
 * does not let it; -EMFILE: too many threads; -ENOMEM, -ENOSYS, -ENOENT. */
int os_switches_open(struct os_switches **out);
void os_switches_close(struct os_switches *all);

/* Calls `each` with what is new, in order for each CPU. *lost += those that
 * there was no room for since the last call. Does not allocate. */
void os_switches_read(struct os_switches *all,
                      void (*each)(const struct os_switch *one, void *context),
                      void *context, uint64_t *lost);

/* In a copy of the process: it has none. */
void os_switches_forked(struct os_switches *all);

/* --- sandbox.c: what a process gives up for good; for a process with one
 * thread and for itself only. Threads and processes that it makes inherit it.
 */

/* Whether the system can do it: >= 0, or -errno, such as -ENOSYS, and for
 * writes -EOPNOTSUPP where Landlock is switched off. They change nothing. */
int os_can_limit_writes(void);
int os_can_compute_only(void);

/* No new privileges, and nothing in the file system can be written, made,
 * removed, renamed, linked or truncated any more but below one of the paths in
 * `writable` and /dev/null: such calls fail with EACCES, EPERM, or EXDEV for a
 * move or link across. `writable` ends with NULL; NULL = none; files or
 * directories, relative to the working directory. Open descriptors keep what
 * they can; reading stays free, and so do modes, owners, times and attributes
 * of files. Mounting and tracing a process that is less limited fail as well.
 * Called again, what both allow is left.
 *
 * Landlock before its version 3 knows no truncation: there truncate(2) and
 * O_TRUNC without an access mode for writing fail everywhere, with EPERM, and
 * openat2 and io_uring are absent.
 *
 * -errno of a path that cannot be opened, whose index is then *at (may be
 * NULL): nothing has happened. -E2BIG when called too often, -ENOMEM: a part of
 * the restrictions may hold. */
int os_limit_writes(const char *const *writable, unsigned *at);

/* Compute only: no new privileges, and system calls that open files, use the
 * network, make processes, signal others, look into others, map memory to be
 * executed or change the system fail with EPERM. Threads of its own can be
 * started; open descriptors can be read, written and polled. fstat fails where
 * the C library makes it of newfstatat; its streams do without. -EPERM when
 * called again. */
int os_compute_only(void);

#endif
