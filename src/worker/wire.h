/* What crosses from the program to a process worker: a request, sent over a
 * socket or inherited over a fork, and a file in memory that both map. */
#ifndef WORKER_WIRE_H
#define WORKER_WIRE_H

#include "base/text.h"
#include "os/os.h"
#include "registry/recorder.h"
#include "wait/wait.h"
#include "worker/image.h"

#include <weft/worker.h>

#include <signal.h>

enum {
    WIRE_MAGIC = 0x77656674,
    WIRE_CPUS = 1024,
    WIRE_ARG_AT = 64,
    WIRE_RESULT_AT = 2048, /* from the report */
    WIRE_HANDED = 200      /* descriptors of the user, at most */
};

/* Descriptors that go with it, in this order, then the user's, and, for a
 * program executed anew, the registry's and the heap's. */
enum wire_fd {
    WIRE_SHARE,
    WIRE_STDOUT,
    WIRE_STDERR,
    WIRE_HERE, /* the working directory that it is to have */
    WIRE_FDS,
    WIRE_FDS_MOST = WIRE_FDS + WIRE_HANDED,
    WIRE_SPAWN_FDS = WIRE_FDS_MOST + 2
};

struct wire_request {
    uint32_t magic;
    int32_t parent_pid; /* the program */
    int32_t parent_tid; /* who started it */
    uint32_t cpu_count; /* 0 = the caller's */
    uint32_t closed;    /* bit n: the caller's descriptor n is */
    uint32_t handed;    /* descriptors of the user */
    bool confirm;       /* the program waits until it is ready */
    bool captured;      /* its output goes into a pipe */
    weft_method method;
    weft_sandbox sandbox;
    weft_heap heap;
    int32_t nice;
    uint64_t memory; /* 0: no limit of its own */
    int64_t cpu_time;
    uint64_t arg_at; /* in the shared heap, if it has no bytes; 0 = none */
    uint64_t arg_size, environment_size, writable_size;
    uint64_t result_size, result_room;
    uint64_t stack_size; /* 0 = the main thread's */
    sigset_t mask;
    uint64_t heap_at;          /* the shared heap's address; 0 = no heap */
    uint64_t rights;           /* the caller's, as struct os_rights */
    struct os_context context; /* the same */
    uint16_t cpus[WIRE_CPUS];
    struct recorded recorded;
    char name[TEXT_NAME];
    struct image_ref fn;
};

/* The file, first part, which the worker maps read-only: control, argument, and
 * two blocks of strings. */
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
    WIRE_READY,
    WIRE_REFUSED, /* `code` and `message` say why */
    WIRE_RUNS,
    WIRE_RETURNED
};

enum {
    WIRE_FILES = 12, /* that a crash report can name */
    WIRE_PATH = 256
};

/* Where a worker died. The whole second part, from here on, is the worker's to
 * write; the parent trusts nothing in it. */
struct wire_crash {
    _Atomic uint32_t count; /* of frames; last, release */
    int32_t signal, code;
    uint64_t address;
    uint32_t memory_is_full; /* the limit that it was given was near */
    uint32_t files;

    struct {
        uint64_t address, offset;
        uint32_t file; /* from 1; 0 = unknown */
    } frames[OS_FRAMES];

    char paths[WIRE_FILES][WIRE_PATH];
};

struct wire_report {
    struct wait_word phase; /* enum wire_phase */
    _Atomic uint32_t slot;  /* of the process */
    _Atomic uint32_t first; /* of its main thread, which is certified */
    int32_t code;           /* before WIRE_RETURNED, release */
    uint64_t result_size;   /* the same */
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
wire_environment_at(const struct wire_request *request)
{
    return WIRE_ARG_AT + request->arg_size;
}

static inline size_t
wire_writable_at(const struct wire_request *request)
{
    return wire_environment_at(request) + request->environment_size;
}

/* The first part, with a page after it that nobody ever touches: in the worker
 * it keeps what lies below from running into the second. */
static inline size_t
wire_first_size(const struct wire_request *request)
{
    return wire_pages(wire_writable_at(request) + request->writable_size);
}

static inline size_t
wire_crash_at(const struct wire_request *request)
{
    return wire_first_size(request) + OS_PAGE;
}

static inline size_t
wire_report_at(const struct wire_request *request)
{
    return wire_crash_at(request) + wire_pages(sizeof(struct wire_crash));
}

/* With a result of `size` bytes. */
static inline size_t
wire_size(const struct wire_request *request, size_t size)
{
    return wire_report_at(request) + wire_pages(WIRE_RESULT_AT + size);
}

#endif
