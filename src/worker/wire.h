/* What crosses from the program to a process worker: a request, sent to the
 * zygote or inherited over a fork, and a file in memory that both map. */
#ifndef WORKER_WIRE_H
#define WORKER_WIRE_H

#include "base/text.h"
#include "os/os.h"
#include "worker/image.h"

#include <signal.h>

enum {
    WIRE_MAGIC = 0x77656674,
    WIRE_CPUS = 1024,
    WIRE_ARG_AT = 64,
    WIRE_RESULT_AT = 2048 /* from the report */
};

/* Descriptors that go with it, in this order. */
enum wire_fd {
    WIRE_SHARE,
    WIRE_STDOUT,
    WIRE_STDERR,
    WIRE_HERE, /* the caller's working directory */
    WIRE_FDS
};

struct wire_request {
    uint32_t magic;
    int32_t parent_pid; /* the program */
    int32_t parent_tid; /* who started it */
    uint32_t cpu_count; /* 0 = the zygote's */
    uint32_t closed;    /* bit n: the caller's descriptor n is */
    uint64_t arg_size, result_size;
    uint64_t stack_size; /* 0 = the main thread's */
    sigset_t mask;
    uint16_t cpus[WIRE_CPUS];
    char name[TEXT_NAME];
    struct image_ref fn;
};

struct wire_reply {
    int32_t pid; /* or a status */
};

/* The file: control and argument, which the worker maps read-only, then report
 * and result. */
struct wire_control {
    _Atomic uint32_t stop; /* the parent: 0, or enum job_stop */
    _Atomic uint32_t go;   /* the parent: enum wire_go */
};

/* The function begins only when the start can fail no more. */
enum wire_go {
    WIRE_WAIT,
    WIRE_GO,
    WIRE_NEVER
};

enum wire_phase {
    WIRE_STARTED,
    WIRE_RUNS,
    WIRE_RETURNED
};

/* The worker writes; the parent trusts nothing in it. */
struct wire_report {
    _Atomic uint32_t phase;
    _Atomic uint32_t slot; /* of the process */
    int32_t code;          /* before WIRE_RETURNED, release */
    char message[TEXT_MESSAGE];
};

_Static_assert(sizeof(struct wire_report) <= WIRE_RESULT_AT, "it fits");
_Static_assert(sizeof(struct wire_control) <= WIRE_ARG_AT, "it fits");

static inline size_t
wire_pages(size_t size)
{
    return (size + OS_PAGE - 1) & ~(size_t)(OS_PAGE - 1);
}

static inline size_t
wire_report_at(size_t arg_size)
{
    return wire_pages(WIRE_ARG_AT + arg_size);
}

static inline size_t
wire_size(size_t arg_size, size_t result_size)
{
    return wire_report_at(arg_size) + wire_pages(WIRE_RESULT_AT + result_size);
}

#endif
