#include "support/failing.h"

#include "os/os.h"
#include "support/support.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

static struct {
    atomic_bool armed;
    _Atomic unsigned calls;
    unsigned at, way;
    struct failing_hit hit;
} * plan;

static bool takes_part;            /* this process, and so its copies */
static atomic_long blocks, mapped; /* of this process */

void
failing_open(void)
{
    plan = support_share(sizeof *plan);
}

void
failing_arm(unsigned at, unsigned way)
{
    takes_part = true;
    plan->at = at;
    plan->way = way;
    plan->hit = (struct failing_hit){0};
    atomic_store(&plan->calls, 0);
    atomic_store(&plan->armed, true);
}

unsigned
failing_disarm(void)
{
    atomic_store(&plan->armed, false);
    return atomic_load(&plan->calls);
}

struct failing_hit
failing_hit(void)
{
    return plan->hit;
}

long
failing_blocks(void)
{
    return atomic_load(&blocks);
}

long
failing_mapped(void)
{
    return atomic_load(&mapped);
}

/* Whether this call is the one to fail; then *error says how. */
static bool
strike(const char *name, const int *errors, size_t count, int *error)
{
    if (!takes_part || !atomic_load(&plan->armed) ||
        atomic_fetch_add(&plan->calls, 1) + 1 != plan->at)
        return false;
    *error = errors[plan->way < count ? plan->way : count - 1];
    plan->hit = (struct failing_hit){name, *error, plan->way + 1 < count};
    return true;
}

/* A function that returns -errno: how it can fail is all that is to say. What
 * the linker calls __real_x is x, and __wrap_x what is called instead. */
#define FAILS(name, parameters, arguments, ...)                            \
    int __real_##name parameters;                                          \
    int __wrap_##name parameters;                                          \
    int __wrap_##name parameters                                           \
    {                                                                      \
        static const int errors[] = {__VA_ARGS__};                         \
        int error;                                                         \
                                                                           \
        if (strike(#name, errors, sizeof errors / sizeof *errors, &error)) \
            return error;                                                  \
        return __real_##name arguments;                                    \
    }

/* Not here: what has no way to fail with the arguments that weft gives
 * (os_watch_wait, os_watch_remove, os_timer_set, os_thread_id …). */
FAILS(os_futex_wait,
      (const _Atomic uint32_t *word, uint32_t old, int64_t until, bool shared),
      (word, old, until, shared), -EINTR)
FAILS(os_futex_wait_any,
      (const struct os_wait *waits, unsigned count, int64_t until),
      (waits, count, until), -ENOSYS, -EINTR, -ENOMEM)
FAILS(os_thread_start,
      (void (*fn)(void *), void *arg, const struct os_thread_options *options),
      (fn, arg, options), -EAGAIN, -ENOMEM)
FAILS(os_thread_count, (void), (), -EMFILE)
FAILS(os_clone, (unsigned flags, int *pidfd), (flags, pidfd), -EAGAIN, -ENOMEM,
      -ENOSYS)
FAILS(os_pidfd_open, (int pid), (pid), -EMFILE, -ENOMEM)
FAILS(os_pidfd_signal, (int pidfd, int signal), (pidfd, signal), -EPERM)
FAILS(os_die_with, (int parent), (parent), -ESRCH)
FAILS(os_group_lead, (void), (), -EPERM)
FAILS(os_rights, (struct os_rights * out), (out), -EPERM)
FAILS(os_memfd, (const char *name, size_t size), (name, size), -EMFILE, -ENOMEM,
      -ENOSYS)
FAILS(os_map_private_at, (void *at, size_t size), (at, size), -ENOMEM)
FAILS(os_protect, (void *at, size_t size, unsigned access), (at, size, access),
      -ENOMEM)
FAILS(os_robust_offset, (long *out), (out), -ENOSYS)
FAILS(os_robust_link, (void **node), (node), -ENOSYS)
FAILS(os_event_open, (void), (), -EMFILE, -ENOMEM)
FAILS(os_timer_open, (void), (), -EMFILE, -ENOMEM)
FAILS(os_poll, (struct os_poll * polls, unsigned count, int64_t until),
      (polls, count, until), -EINTR, -ENOMEM)
FAILS(os_watch_open, (void), (), -EMFILE, -ENOMEM)
FAILS(os_watch_add, (int watch, int fd, void *context), (watch, fd, context),
      -ENOSPC, -ENOMEM)
FAILS(os_pair, (int ends[2]), (ends), -EMFILE, -ENOMEM)
FAILS(os_send,
      (int end, const void *data, size_t size, const int *fds,
       unsigned fd_count),
      (end, data, size, fds, fd_count), -ENOBUFS, -ENOMEM)
FAILS(os_receive,
      (int end, void *data, size_t size, int *fds, unsigned *fd_count),
      (end, data, size, fds, fd_count), -ENOMEM)
FAILS(os_packet_send, (int end, const struct os_packet *packet), (end, packet),
      -EAGAIN, -ETOOMANYREFS, -ENOBUFS, -EMSGSIZE)
FAILS(os_packet_peek, (int end, struct os_packet *packet), (end, packet),
      -ENOMEM, -ECONNRESET, -EAGAIN)
FAILS(os_packet_take, (int end, struct os_packet *packet), (end, packet),
      -ENOMEM, -EAGAIN)
FAILS(os_pair_check, (int fd), (fd), -EPERM)
FAILS(os_pair_lock, (int end), (end), -ENOLCK, -EAGAIN)
FAILS(os_memfd_frozen, (const char *name, const void *data, size_t size),
      (name, data, size), -EMFILE, -ENOMEM, -ENOSPC)
FAILS(os_file_get, (int fd, size_t offset, void *out, size_t size),
      (fd, offset, out, size), -EIO)
FAILS(os_file_put, (int fd, size_t offset, const void *data, size_t size),
      (fd, offset, data, size), -ENOSPC)
FAILS(os_open_null, (void), (), -EMFILE, -ENOENT)
FAILS(os_open_directory, (const char *path), (path), -EMFILE, -EACCES)
FAILS(os_copy_fd, (int fd, int lowest), (fd, lowest), -EMFILE)
FAILS(os_pipe, (int ends[2]), (ends), -EMFILE)
FAILS(os_signal_open, (int signal), (signal), -EMFILE, -ENOMEM)
FAILS(os_context_get, (struct os_context * out), (out), -EPERM)
FAILS(os_context_apply,
      (const struct os_context *want, const struct os_context *have),
      (want, have), -EPERM)
FAILS(os_nice, (int nice), (nice), -EACCES)
FAILS(os_limit_memory, (uint64_t bytes), (bytes), -EPERM)
FAILS(os_limit_cpu, (int64_t ns), (ns), -EPERM)
FAILS(os_environment_set, (char *strings, size_t size), (strings, size),
      -ENOMEM)
FAILS(os_memfd_fill, (int fd, size_t offset, size_t size), (fd, offset, size),
      -ENOMEM, -ENOSPC)
FAILS(os_map_near,
      (void **out, void *wish, size_t size, int fd, unsigned access),
      (out, wish, size, fd, access), -ENOMEM)
FAILS(os_map_at, (void *at, size_t size, int fd, unsigned access),
      (at, size, fd, access), -EEXIST)
FAILS(os_fill_shared, (void *at, size_t size), (at, size), -ENOMEM)
FAILS(os_discard_shared, (void *at, size_t size), (at, size), -ENOMEM)
FAILS(os_spawn,
      (const char *name, int end, const char *variable, char *strings,
       size_t size),
      (name, end, variable, strings, size), -EAGAIN, -ENOMEM)
FAILS(os_limit_writes, (const char *const *writable, unsigned *at),
      (writable, at), -ENOMEM)
FAILS(os_compute_only, (void), (), -ENOMEM)
FAILS(os_go_there, (int directory), (directory), -EACCES)
FAILS(os_move, (int from, int to), (from, to), -EBUSY)
FAILS(os_cpu_restrict, (const unsigned *cpus, size_t count), (cpus, count),
      -EINVAL)
FAILS(os_running, (void), (), -EMFILE)

int64_t __real_os_memfd_frozen_size(int fd);
int64_t __wrap_os_memfd_frozen_size(int fd);

int64_t
__wrap_os_memfd_frozen_size(int fd)
{
    static const int errors[] = {-EBADMSG};
    int error;

    return strike("os_memfd_frozen_size", errors, 1, &error)
               ? error
               : __real_os_memfd_frozen_size(fd);
}

long __real_os_environment(char *out, size_t room);
long __wrap_os_environment(char *out, size_t room);

long
__wrap_os_environment(char *out, size_t room)
{
    static const int errors[] = {-ENOMEM, -EAGAIN};
    int error;

    return strike("os_environment", errors, 2, &error)
               ? error
               : __real_os_environment(out, room);
}

/* Somebody else took the status: the end itself is as before. */
int __real_os_pidfd_reap(int pidfd, struct os_exit *out);
int __wrap_os_pidfd_reap(int pidfd, struct os_exit *out);

int
__wrap_os_pidfd_reap(int pidfd, struct os_exit *out)
{
    static const int errors[] = {-ECHILD};
    struct os_exit ignored;
    int error;

    if (!strike("os_pidfd_reap", errors, 1, &error))
        return __real_os_pidfd_reap(pidfd, out);
    (void)__real_os_pidfd_reap(pidfd, &ignored);
    return error;
}

bool __real_os_thread_restore(const struct os_thread_state *state);
bool __wrap_os_thread_restore(const struct os_thread_state *state);

bool
__wrap_os_thread_restore(const struct os_thread_state *state)
{
    static const int errors[] = {0};
    int error;

    return !strike("os_thread_restore", errors, 1, &error) &&
           __real_os_thread_restore(state);
}

/* --- mappings, which are counted too */

int __real_os_map(void **out, size_t size, int fd, unsigned access);
int __wrap_os_map(void **out, size_t size, int fd, unsigned access);
int __real_os_map_part(void **out, size_t size, int fd, size_t offset,
                       unsigned access);
int __wrap_os_map_part(void **out, size_t size, int fd, size_t offset,
                       unsigned access);
void __real_os_unmap(void *at, size_t size);
void __wrap_os_unmap(void *at, size_t size);

int __real_os_map_extend(void **at, size_t size, size_t longer);
int __wrap_os_map_extend(void **at, size_t size, size_t longer);

static const int map_errors[] = {-ENOMEM, -EAGAIN};

int
__wrap_os_map_extend(void **at, size_t size, size_t longer)
{
    int error;

    if (strike("os_map_extend", map_errors, 1, &error))
        return error;
    atomic_fetch_add(&mapped, (long)(longer - size));
    return __real_os_map_extend(at, size, longer);
}

static int
count_map(int status, size_t size)
{
    if (status == 0)
        atomic_fetch_add(&mapped, (long)size);
    return status;
}

int
__wrap_os_map(void **out, size_t size, int fd, unsigned access)
{
    int error;

    if (strike("os_map", map_errors, 2, &error))
        return error;
    return count_map(__real_os_map(out, size, fd, access), size);
}

int
__wrap_os_map_part(void **out, size_t size, int fd, size_t offset,
                   unsigned access)
{
    int error;

    if (strike("os_map_part", map_errors, 2, &error))
        return error;
    return count_map(__real_os_map_part(out, size, fd, offset, access), size);
}

void
__wrap_os_unmap(void *at, size_t size)
{
    atomic_fetch_sub(&mapped, (long)size);
    __real_os_unmap(at, size);
}

/* --- memory */

void *__real_malloc(size_t size);
void *__wrap_malloc(size_t size);
void *__real_calloc(size_t count, size_t size);
void *__wrap_calloc(size_t count, size_t size);
void *__real_realloc(void *old, size_t size);
void *__wrap_realloc(void *old, size_t size);
char *__real_strdup(const char *text);
char *__wrap_strdup(const char *text);
void __real_free(void *at);
void __wrap_free(void *at);

static bool
strike_memory(const char *name)
{
    static const int errors[] = {-ENOMEM};
    int error;

    if (!strike(name, errors, 1, &error))
        return false;
    errno = ENOMEM;
    return true;
}

static void *
count_block(void *at)
{
    if (at)
        atomic_fetch_add(&blocks, 1);
    return at;
}

void *
__wrap_malloc(size_t size)
{
    return strike_memory("malloc") ? NULL : count_block(__real_malloc(size));
}

void *
__wrap_calloc(size_t count, size_t size)
{
    return strike_memory("calloc") ? NULL
                                   : count_block(__real_calloc(count, size));
}

void *
__wrap_realloc(void *old, size_t size)
{
    if (strike_memory("realloc"))
        return NULL;
    void *fresh = __real_realloc(old, size);

    return old ? fresh : count_block(fresh);
}

char *
__wrap_strdup(const char *text)
{
    return strike_memory("strdup") ? NULL : count_block(__real_strdup(text));
}

void
__wrap_free(void *at)
{
    if (at)
        atomic_fetch_sub(&blocks, 1);
    __real_free(at);
}
