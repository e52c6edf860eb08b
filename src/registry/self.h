/* The calling thread's own block: one pointer of thread-local storage leads to
 * all that weft keeps of a thread. A thread that weft did not start gets one at
 * its first call. */
#ifndef REGISTRY_SELF_H
#define REGISTRY_SELF_H

#include "registry/slot.h"

#include <weft/worker.h>

struct stop;
struct at_end;
struct deck;
struct to_tell;
struct sentry;
struct holder;
struct writer;

/* All fields: written by the thread itself, or by who makes the block before
 * the thread runs. */
struct self {
    weft_worker record;     /* what weft_self returns */
    struct slot *slot;      /* NULL when the registry is full */
    struct stop *stop;      /* wait/stop.h; NULL: nobody can stop this thread */
    unsigned shield;        /* depth of weft_shield */
    int bell;               /* wait/bell.h: eventfd, -1 until first used */
    struct sentry *sentry;  /* wait/sentry.h; NULL until first used */
    struct weft_job *job;   /* that it runs; worker/ */
    struct weft_job *jobs;  /* worker/job_memory.c */
    struct at_end *at_end;  /* worker/at_end.c */
    struct deck *deck;      /* pool/: its lanes, if it works for a pool */
    struct to_tell *ending; /* worker/on_end.c; NULL: it ends no job */
    struct holder *leases;  /* queue/lease.h; under its lock */
    struct writer *writer;  /* registry/recorder.c; NULL until first used */
    const char *region;     /* pool/loop.c: the call that enters one */
    _Atomic uint32_t
        hint;       /* wait/policy.h, for words that are waited on once */
    uint32_t owner; /* what locks say while it holds them: slot->owner, or
                       REGISTRY_NO_SLOT | tid */
    _Atomic uint32_t owed; /* sync/semaphore.c */
    bool has_certificate;  /* wait/certificate.h: its node is linked */
    bool certified;        /* wait/robust.h: and its slot is shared */
    bool counted;          /* in wait/policy.c's number of active threads */
    bool leasing;          /* `leases` may not be empty */
    bool heap;             /* to be freed with the thread */
};

extern _Thread_local struct self *self_here;

/* Opens the registry, with the slots of this process and its main thread, if
 * that has not been done. Where it cannot be done records are kept without
 * slots, and whoever needs one is told. From any thread. */
void self_open(void);

struct self *self_adopt(void);

/* Whether there was no memory for the thread's own block: then it shares one
 * with others like it, and nothing may be kept there. */
static inline bool
self_is_shared(const struct self *self)
{
    return self->record.tid == 0;
}

static inline struct self *
self_get(void)
{
    struct self *self = self_here;

    return __builtin_expect(self != NULL, 1) ? self : self_adopt();
}

/* Readies a block that no thread has taken yet, with a slot if there is one.
 * The record's name, kind, flags and parent are the caller's to have set; the
 * time is filled in, and the pid if it is 0. */
void self_write(struct self *self);

/* The calling thread takes the block as its own, with its true id. */
void self_take(struct self *self);

/* Writes the name into record, slot and kernel. For the calling thread. */
void self_rename(struct self *self, const char *name);

/* Writes what the thread works at, "" = nothing else than its name says, into
 * record and slot. For the calling thread. */
void self_show_task(struct self *self, const char *task);

/* Gives the slot back and forgets the calling thread's block; one that was made
 * by adoption is freed. Runs at the end of adopted threads by itself. */
void self_end(struct self *self);

/* Called first in self_end; set once, by a layer above. */
extern void (*self_ending)(struct self *self);

/* The record of this process. */
const weft_worker *self_process(void);

/* Called when the main thread ends while others go on; set once, by a layer
 * above. */
extern void (*self_main_ending)(void);

/* In a fresh copy of the process, or in a program executed anew to be a worker,
 * which may have joined a registry before. `name` NULL: it is no worker of the
 * program but a program of its own, and opens a registry of its own when
 * needed. */
void self_forked(const char *name, int parent);

/* What a worker's process and its main thread are called, and the thread that
 * started it; until then it is one of the library's own. */
void self_name_process(const char *name, int parent);

/* Called in a copy of the process that the program made by fork(); set once, by
 * a layer above. */
extern void (*self_copied)(void);

#endif
