#include "os/os.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <locale.h>
#include <pthread.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

enum {
    STACK = 1 << 20,
    ENOUGH = 16 << 20, /* a stack, for any thread-local storage */
    KEYS_SEEN = 32     /* thread-specific keys that are always looked at */
};

struct start {
    void (*fn)(void *);
    void *arg;
};

static void *
run(void *memory)
{
    const struct start start = *(struct start *)memory;

    free(memory);
    start.fn(start.arg);
    return NULL;
}

static int
set_cpus(pthread_attr_t *attributes, const struct os_thread_options *options)
{
    cpu_set_t set;

    if (!options->cpus)
        return 0;
    CPU_ZERO(&set);
    for (size_t i = 0; i < options->cpu_count; i++) {
        if (options->cpus[i] >= CPU_SETSIZE)
            return EINVAL;
        CPU_SET(options->cpus[i], &set);
    }
    return pthread_attr_setaffinity_np(attributes, sizeof set, &set);
}

static int
set_stack(pthread_attr_t *attributes, size_t size)
{
    if (size == 0)
        size = STACK;
    if (size < OS_STACK_LEAST)
        size = OS_STACK_LEAST;
    if (size > (size_t)1 << 46)
        return ENOMEM;
    return pthread_attr_setstacksize(attributes,
                                     (size + OS_PAGE - 1) / OS_PAGE * OS_PAGE);
}

/* The libraries' thread-local storage lies on the stack too, and nobody says
 * how large it is: where a stack is too small for it, a larger one is tried. */
static int
create_large_enough(pthread_attr_t *attributes, struct start *start)
{
    pthread_t thread;
    size_t size = 0;
    int error;

    while ((error = pthread_create(&thread, attributes, run, start)) ==
               EINVAL &&
           pthread_attr_getstacksize(attributes, &size) == 0 && size < ENOUGH &&
           pthread_attr_setstacksize(attributes, 2 * size) == 0)
        ;
    return error;
}

static int
create(pthread_attr_t *attributes, struct start *start, bool quiet)
{
    sigset_t before;

    if (quiet)
        os_signals_block(&before);
    const int error = create_large_enough(attributes, start);

    if (quiet)
        os_signals_set(&before);
    return error;
}

int
os_thread_start(void (*fn)(void *), void *arg,
                const struct os_thread_options *options)
{
    pthread_attr_t attributes;
    struct start *start = malloc(sizeof *start);
    int error = start ? pthread_attr_init(&attributes) : ENOMEM;

    if (error)
        goto no_attributes;
    *start = (struct start){fn, arg};
    error = pthread_attr_setdetachstate(&attributes, PTHREAD_CREATE_DETACHED);
    if (!error)
        error = set_stack(&attributes, options->stack_size);
    if (!error)
        error = set_cpus(&attributes, options);
    if (!error)
        error = create(&attributes, start, options->quiet);
    pthread_attr_destroy(&attributes);
no_attributes:
    if (error)
        free(start);
    return -error;
}

int
os_thread_id(void)
{
    return (int)syscall(SYS_gettid);
}

bool
os_thread_lives(int tid)
{
    return syscall(SYS_tgkill, getpid(), tid, 0) == 0;
}

void
os_thread_name(const char *name)
{
    prctl(PR_SET_NAME, name, 0, 0, 0);
}

void
os_signals_block(sigset_t *before)
{
    sigset_t all;

    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, before);
}

void
os_signals_set(const sigset_t *mask)
{
    pthread_sigmask(SIG_SETMASK, mask, NULL);
}

void
os_signals_get(sigset_t *mask)
{
    pthread_sigmask(SIG_SETMASK, NULL, mask);
}

/* As the kernel lays it out; the C library has no name for it yet. */
struct attributes {
    uint32_t size, policy;
    uint64_t flags;
    int32_t nice;
    uint32_t priority;
    uint64_t deadline[3];
};

static void
read_state(struct os_thread_state *state)
{
    struct attributes attributes = {.size = sizeof attributes};
    const int before = errno;

    memset(state, 0, sizeof *state);
    syscall(SYS_sched_getaffinity, 0, sizeof state->cpus, state->cpus);
    syscall(SYS_sched_getattr, 0, &attributes, sizeof attributes, 0);
    state->policy = (int)attributes.policy;
    state->priority = (int)attributes.priority;
    state->nice = attributes.nice;
    errno = before;
}

/* Keys are given out lowest first, so a key made on trial says whether more
 * than the first few are in use. That is asked again and again: a program that
 * frees a low key between two looks, with more than KEYS_SEEN in use, goes
 * unnoticed.
 */
static atomic_uint keys_end = KEYS_SEEN;

static void
look_at_keys(void)
{
    pthread_key_t trial;

    if (pthread_key_create(&trial, NULL) != 0)
        trial = KEYS_SEEN; /* all are in use */
    else
        pthread_key_delete(trial);
    if (trial >= KEYS_SEEN)
        atomic_store_explicit(&keys_end, PTHREAD_KEYS_MAX,
                              memory_order_relaxed);
}

/* The keys that have a value in the calling thread. */
static void
values_here(uint64_t found[16])
{
    look_at_keys();
    const unsigned end = atomic_load_explicit(&keys_end, memory_order_relaxed);

    for (pthread_key_t key = 0; key < end; key++)
        if (pthread_getspecific(key))
            found[key / 64] |= UINT64_C(1) << key % 64;
}

/* Values under keys that other libraries made would be seen by the next task.
 */
static bool
foreign_values(const struct os_thread_state *state)
{
    uint64_t found[16] = {0};

    values_here(found);
    for (size_t i = 0; i < 16; i++)
        if (found[i] & ~state->keys[i])
            return true;
    return false;
}

void
os_thread_remember(struct os_thread_state *state)
{
    read_state(state);
    values_here(state->keys);
}

/* Rounding, exceptions and precision as a fresh thread has them. fesetenv would
 * bring in libm. */
static void
reset_floating_point(void)
{
#if defined __x86_64__
    const uint32_t vector = 0x1f80;
    const uint16_t classic = 0x037f;

    __asm__ volatile("ldmxcsr %0; fldcw %1" ::"m"(vector), "m"(classic));
#else
    __asm__ volatile("msr fpcr, xzr; msr fpsr, xzr");
#endif
}

bool
os_thread_restore(const struct os_thread_state *state)
{
    struct os_thread_state now;
    bool restored = true;

    reset_floating_point();
    uselocale(LC_GLOBAL_LOCALE);
    read_state(&now);
    if (memcmp(now.cpus, state->cpus, sizeof now.cpus) != 0)
        restored = syscall(SYS_sched_setaffinity, 0, sizeof state->cpus,
                           state->cpus) == 0;
    if (now.policy != state->policy || now.priority != state->priority) {
        const struct sched_param parameter = {state->priority};

        restored = restored && syscall(SYS_sched_setscheduler, 0, state->policy,
                                       &parameter) == 0;
    }
    /* A class of real time hides the nice value that lies behind it. */
    if (now.nice != state->nice || now.policy != state->policy)
        restored = restored && setpriority(PRIO_PROCESS, 0, state->nice) == 0;
    return restored && !foreign_values(state);
}

/* A sanitizer's runtime keeps a thread of its own. */
/* NOLINTNEXTLINE(bugprone-reserved-identifier,readability-identifier-naming) */
extern void __tsan_init(void) __attribute__((weak));

int
os_thread_count(void)
{
    enum {
        THREADS = 20
    };

    const int count = (int)os_process_number(os_process_id(), THREADS);

    return __tsan_init && count > 1 ? count - 1 : count;
}

/* Whether the thread of this /proc directory has all signals blocked, but for
 * the C library's own and those that cannot be. */
static bool
is_quiet(const char *id)
{
    char path[64], line[128];
    bool quiet = false;

    snprintf(path, sizeof path, "/proc/self/task/%.20s/status", id);
    FILE *file = fopen(path, "re");

    while (file && fgets(line, sizeof line, file))
        if (strncmp(line, "SigBlk:", 7) == 0)
            quiet = (strtoull(line + 7, NULL, 16) | UINT64_C(0x180040100)) ==
                    UINT64_MAX;
    if (file)
        fclose(file);
    return quiet;
}

int
os_threads_beside(int quiet)
{
    const struct dirent *entry;
    int count = 0;

    if (!__tsan_init) {
        count = os_thread_count();
        return count < 0 ? count : count - quiet;
    }
    DIR *tasks = opendir("/proc/self/task");

    if (!tasks)
        return -errno;
    while ((entry = readdir(tasks))) /* NOLINT: nobody else reads `tasks` */
        count += *entry->d_name != '.' && !is_quiet(entry->d_name);
    closedir(tasks);
    return count > 1 ? count : 1;
}
