/* Status: what every fallible call returns.
 *
 *   < 0   it did not happen, and nothing changed;
 *   >= 0  it happened. Most calls return 0; some a count, an index or a notice.
 *
 * So `if (call() < 0)` is right everywhere, WEFT_OWNER_DIED included: the lock
 * IS held. A code equals -errno where errno has a word for it. */
#ifndef WEFT_STATUS_H
#define WEFT_STATUS_H

#include <weft/api.h>

#define WEFT_STATUS_MAP(X)                                                 \
    X(OWNER_DIED, 1, "taken; the last holder died, its data may be torn")  \
    X(OK, 0, "ok")                                                         \
    X(EPERM, -1, "not permitted")                                          \
    X(ESRCH, -3, "no such process")                                        \
    X(EAGAIN, -11, "full, or a limit of the system was reached")           \
    X(ENOMEM, -12, "out of memory")                                        \
    X(EBUSY, -16, "in use")                                                \
    X(EINVAL, -22, "invalid argument")                                     \
    X(EPIPE, -32, "the other end is gone")                                 \
    X(EDEADLK, -35, "would wait for itself")                               \
    X(ENOSYS, -38, "not available on this system")                         \
    X(ENODATA, -61, "nothing is left")                                     \
    X(EOVERFLOW, -75, "more than was taken or put")                        \
    X(EMSGSIZE, -90, "does not fit; the size needed is told")              \
    X(ENOTSUP, -95, "this kind of worker cannot do that")                  \
    X(ECLOSED, -108, "closed or shut down")                                \
    X(ETIMEDOUT, -110, "the deadline passed")                              \
    X(ESTALE, -116, "the zygote has other rights; call weft_init() again") \
    X(ECANCELED, -125, "this worker, or the job, was asked to stop")       \
    X(EFAILED, -1001, "the job's function returned a failure")             \
    X(EDIED, -1002, "the job's worker died")                               \
    X(EBROKEN, -1003, "the barrier is broken")                             \
    X(ETHREADS, -1004, "needs weft_init() before the first thread")        \
    X(ENOTINIMAGE, -1005, "the function is not in the worker's program")   \
    X(EMISMATCH, -1006, "the other side is a different build")

enum {
#define WEFT_STATUS_ENUM(name, code, text) WEFT_##name = code,
    WEFT_STATUS_MAP(WEFT_STATUS_ENUM)
#undef WEFT_STATUS_ENUM
};

WEFT_BEGIN

/* The sentence of a code, in English; "unknown status" for others. Static
 * text. Never blocks; also from a signal handler. */
WEFT_API const char *weft_status_text(int status);

/* Why the calling thread's last weft call that returned < 0 or a notice did
 * so, in one sentence with the names: "holder 'compactor' (pid 831) died",
 * "process start needs weft_init() before the first thread". "" if none.
 * Valid until the thread's next weft call. The rest of weft keeps no such
 * state: this is for people, the code is for programs. */
WEFT_API const char *weft_why(void);

/* Returns `status` when >= 0; otherwise writes "PROGRAM: DOING: why" to stderr
 * and exits with 1. For main programs and tests, not for libraries. */
WEFT_API int weft_must(int status, const char *doing);

WEFT_END
#endif
