/* Workers: the threads and processes that run jobs, as records to look at.
 * A record is a copy of what was true a moment ago; it owns nothing. */
#ifndef WEFT_WORKER_H
#define WEFT_WORKER_H

#include <weft/job.h>

typedef enum weft_state {
    WEFT_STARTING,
    WEFT_RUNNING,
    WEFT_WAITING, /* in a weft wait */
    WEFT_IDLE,    /* a pool's worker without a task */
    WEFT_ENDED
} weft_state;

typedef struct weft_worker {
    weft_kind kind;
    weft_state state;
    int pid;      /* of its process */
    int tid;      /* kernel thread id: what top shows */
    int parent;   /* tid of the worker that started it, of a process the pid
                     of its parent; 0 = unknown */
    unsigned id;  /* its slot in the registry */
    bool main;    /* the main thread, or the program's first process */
    bool adopted; /* a thread that weft did not start */
    bool daemon;
    bool stopping;
    bool service;         /* the library's own */
    weft_time since;      /* when it entered its state */
    weft_time wait_until; /* that wait's deadline */
    weft_duration cpu;    /* 0 from weft_list; filled by snapshots */
    unsigned holder;      /* id of who holds what it waits for; 0 = none */
    int exit_code;        /* of a process that has ended; else 0 */
    int signal;           /* that ended it; 0 = none */
    char name[256];
    char task[64];      /* what it runs, when not its own name */
    char waits_for[64]; /* label or address; "" when not waiting */
    char holds[128];    /* labels of the locks it holds */
    uint64_t reserved[7];
} weft_worker;

enum {
    WEFT_THREADS = 1,
    WEFT_PROCESSES = 2,
    WEFT_SERVICES = 4
};

typedef enum weft_method {
    WEFT_METHOD_DEFAULT, /* zygote; spawn if weft_init came after threads */
    WEFT_ZYGOTE,         /* a copy of the program as it was at weft_init */
    WEFT_FORK,           /* a copy as it is now; only if single-threaded */
    WEFT_SPAWN /* the program executed anew; the function found by its name */
} weft_method;

typedef enum weft_heap { /* is the shared heap mapped in it? */
    WEFT_HEAP_DEFAULT,   /* in started processes yes, in pool workers no */
    WEFT_HEAP_SHARED,
    WEFT_HEAP_NONE
} weft_heap;

typedef enum weft_sandbox {
    WEFT_OPEN,    /* none */
    WEFT_LIMITED, /* no new privileges, writes nowhere but .writable: Landlock
                   */
    WEFT_STRICT   /* compute only: no files, no network, no new processes, such
                     calls fail with EPERM, but reading and writing what
                     is open: seccomp */
} weft_sandbox;

/* How to make a worker; zero = default. What a kind cannot do is refused with
 * WEFT_ENOTSUP, never ignored. (T) threads, (P) processes. All of it is copied
 * before weft_start returns. What a process worker is not given here it has
 * from its caller, as it is at the start: environment, directory, umask, nice,
 * limits, CPUs, signal mask; never more rights. */
typedef struct weft_worker_options {
    size_t stack_size;    /* T P  bytes; 0 = 1 MiB of address space for a
                             thread, the main thread's for a process */
    const unsigned *cpus; /* T P  the CPUs it may run on */
    size_t cpu_count;
    int nice;           /*   P  added to the caller's */
    weft_method method; /*   P */
    const int *fds;     /*   P  handed over as call->fds, duplicated at once;
                                all others are closed. At most 200 */
    size_t fd_count;
    const char *const *env; /*   P  NULL-ended "K=V"; NULL = the caller's */
    const char *directory;  /*   P  working directory */
    size_t memory;          /*   P  bytes of private memory that it may have
                                    besides the copy of the program
                                    (RLIMIT_DATA): malloc returns NULL then */
    weft_duration cpu_time; /*   P  rounded up to seconds, then it dies of
                                    SIGXCPU */
    weft_duration grace;    /*   P  from stop request to SIGTERM, and from that
                                    to SIGKILL; 0 = 1 s each */
    weft_sandbox sandbox;   /*   P */
    weft_heap heap;         /*   P */
    bool fresh;             /* T    never a cached thread */
    const char *const *writable; /*   P  NULL-ended paths for WEFT_LIMITED */
    size_t capture; /*   P  keep the last so many bytes of its stdout + stderr,
                            which are not printed then */
    uintptr_t reserved[8];
} weft_worker_options;

WEFT_BEGIN

/* The calling thread's own record, kept by that thread: valid until it ends.
 * A foreign thread is adopted on first use. <= 5 ns, no system call. */
WEFT_API const weft_worker *weft_self(void);

/* The record of the process it lives in: the worker that the program was
 * started as, or <Process(MainProcess, ...)>. Valid for ever. */
WEFT_API const weft_worker *weft_process(void);

/* The worker that runs the job (a record of its own state if it has not begun
 * or has ended). A process is WEFT_ENDED within 1 ms of its death, however much
 * memory the system then has to take back before it can be joined. */
WEFT_API void weft_worker_of(const weft_job *job, weft_worker *out);

/* Fills `out` with up to `max` live workers: WEFT_THREADS of this process, its
 * main thread first; WEFT_PROCESSES that it started; WEFT_SERVICES of the
 * library too. Returns how many there are, also beyond max; (NULL, 0) counts.
 */
WEFT_API size_t weft_list(unsigned which, weft_worker *out, size_t max);

/* Names the calling thread; only a thread names itself, so names do not tear.
 * The kernel gets 15 bytes of it. WEFT_EINVAL: empty, > 255 bytes, not UTF-8,
 * control characters. */
WEFT_API int weft_set_name(const char *name);

/* Writes "<Thread(SumProd, started 16884)>"; cut to fit, always ended. Enough:
 * WEFT_TEXT. Returns text. */
enum {
    WEFT_TEXT = 384
};

WEFT_API const char *weft_describe(const weft_worker *worker, char *text,
                                   size_t size);

/* "Thread", "Process", "Serial", "Cluster", "Promise". */
WEFT_API const char *weft_kind_name(weft_kind kind);

/* Gives any object (lock, queue, your own) a name in views, traces and
 * messages; NULL takes it away, as is good manners before the object goes.
 * Copied. WEFT_EINVAL, WEFT_EAGAIN (65,536 labels), WEFT_ENOMEM. */
WEFT_API int weft_label(const void *object, const char *name);

WEFT_END
#endif
