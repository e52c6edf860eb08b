/* The runtime: the one piece of global state. Optional for threads. */
#ifndef WEFT_RUNTIME_H
#define WEFT_RUNTIME_H

#include <weft/api.h>

struct weft_job;

typedef struct weft_options {
    size_t shared_size; /* bytes of address space for the shared heap; 0 = 64
                           GiB, reserved, not used, until allocated */
    bool no_zygote; /* make no helper now: processes by fork or spawn only */
    bool quiet;     /* do not print unobserved failures and stragglers */
    /* Instead of printing, for a job that failed and that nobody asked about.
     * Called in the thread that released the last handle. */
    void (*on_failure)(struct weft_job *job);
    /* Before the program stops because of misuse; may end it otherwise, but
     * must not call weft. */
    void (*on_misuse)(const char *sentence);
    int argc;    /* with argv: lets WEFT_SPAWN and a serving host take */
    char **argv; /*   over where the library could not do so by itself */
    uintptr_t reserved[8];
} weft_options;

WEFT_BEGIN

/* Readies what must exist before the first thread: the shared heap and the
 * zygote, the helper from which process workers are copied. Call it once,
 * before the first thread and AFTER arguments and configuration are read: a
 * process worker is a copy of the program as it is now. A program that is
 * single-threaded when it first starts a process may leave it out. Calling it
 * again, single-threaded, makes a fresh copy. NULL = defaults; environment
 * variables (WEFT_SHARED_SIZE, WEFT_QUIET) win over both. What it could not
 * do is said again by the call that needs it, so the result may be ignored.
 * In a re-executed child and on a serving cluster host it does not return.
 * In a multi-threaded program it returns 0 and processes are spawned.
 * WEFT_EINVAL, WEFT_ENOTSUP (a field not built yet), WEFT_ENOMEM, WEFT_ENOSYS,
 * WEFT_EAGAIN. */
WEFT_API int weft_init(const weft_options *options);

/* Joins every job that is not a daemon, as exit does, ends the library's own
 * threads and the zygote; for programs whose static destructors run late. weft
 * may be used again after it. */
WEFT_API void weft_fini(void);

/* CPUs that this process may use: min(affinity, cgroup quota over all
 * ancestors, WEFT_CPUS), at least 1. */
WEFT_API unsigned weft_cpu_count(void);

/* "1.0.0" of the library that runs, which may be newer than the header. */
WEFT_API const char *weft_version(void);

WEFT_END
#endif
