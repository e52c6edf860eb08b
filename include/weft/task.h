/* A task: what to run. The same for workers, pools and clusters. */
#ifndef WEFT_TASK_H
#define WEFT_TASK_H

#include <weft/time.h>

struct weft_job;
struct weft_scope;
struct weft_worker_options;

typedef enum weft_kind {
    WEFT_THREAD,  /* shares memory with the caller */
    WEFT_PROCESS, /* own memory; may crash alone */
    WEFT_SERIAL,  /* in the caller, at once, for debugging */
    WEFT_CLUSTER, /* on other machines; pools only */
    WEFT_PROMISE  /* by nobody: what weft_promise makes */
} weft_kind;

/* What a running function is given. Made by the library; may grow. */
typedef struct weft_call {
    const void *arg; /* a private copy, aligned to 16; or the bare pointer */
    size_t arg_size; /* 0 for a bare pointer */
    void *result;    /* result_size zeroed bytes; NULL when 0 */
    size_t result_size;
    const int *fds; /* descriptors handed over, yours to close */
    size_t fd_count;
    unsigned attempt; /* 0, then counts the retries */
} weft_call;

/* 0 = ok; anything else = failed, and is kept as outcome->code. */
typedef int weft_fn(weft_call *call);

typedef struct weft_task {
    weft_fn *fn;        /* never NULL */
    const char *name;   /* 1..255 bytes of UTF-8, no control characters;
                           NULL = the function's name. Copied. */
    const void *arg;    /* copied at once; WEFT_ARG fills both. With size */
    size_t arg_size;    /*   0 the bare pointer is passed: to threads, or
                             into the shared heap */
    size_t result_size; /* bytes; 0 = none, or sized while it runs */
    struct weft_scope *scope; /* the scope that it belongs to; NULL = none */
    struct weft_job *after;   /* begin when this job has succeeded; its result
                                 is copied as the argument if none is given
                                 (arg NULL, arg_size 0). If it ends otherwise
                                 this one never begins: WEFT_ECANCELED. You may
                                 release it at once */
    weft_duration delay;      /* begin this much later; than the end of
                                 `after` */
    weft_duration timeout;    /* from begin; 0 = none. Then a stop request; a
                                 process is killed after the grace */
    weft_time submit_by;      /* how long weft_submit may wait for room; zero =
                                 WEFT_NOW: a full pool answers WEFT_EAGAIN */
    unsigned retries;         /* after a worker's death, not after a failure */
    bool daemon;              /* not waited for at exit */
    bool blocking;            /* sleeps or waits outside weft: thread pools run
                                 it beside the CPU tasks */
    const struct weft_worker_options
        *worker; /* weft_start only; see worker.h */
    uintptr_t reserved[8];
} weft_task;

/* Two initialisers: the bytes of an object. WEFT_ARG((struct pair){3, 7}) too.
 * Of a pointer it sends the POINTER's bytes; say .arg = pointer for that. */
#define WEFT_ARG(...) .arg = &(__VA_ARGS__), .arg_size = sizeof(__VA_ARGS__)

WEFT_BEGIN

/* The calls below are for use inside a running function. */

/* Says why: `return weft_fail(call, "cannot open %s", path);`. Keeps up to
 * 1023 bytes, control characters replaced; returns WEFT_EFAILED. */
WEFT_API int weft_fail(weft_call *call, const char *format, ...)
    WEFT_PRINTF(2, 3);

/* Makes the result `size` bytes, when its size is known only now. Keeps what
 * was written so far; call->result may move. NULL when there is no memory:
 * the old one stays. A process's large result is never copied. */
WEFT_API void *weft_result_resize(weft_call *call, size_t size);

/* True once this worker was asked to stop. About 3 ns; ask in long loops. */
WEFT_API bool weft_stopping(void);

/* From weft_shield(true) to weft_shield(false) a stop does not end this
 * worker's waits: for cleaning up. Nests. weft_stopping() still tells. */
WEFT_API void weft_shield(bool on);

/* Calls fn(arg) when the calling worker ends, last given first: with
 * _Thread_local, a thread-local value with a destructor. WEFT_ENOMEM. */
WEFT_API int weft_at_end(void (*fn)(void *arg), void *arg);

WEFT_END
#endif
