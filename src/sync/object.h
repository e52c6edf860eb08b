/* What all primitives share: their names in sentences, their misuse, and what
 * is told to whoever makes a dead one's call right. */
#ifndef SYNC_OBJECT_H
#define SYNC_OBJECT_H

#include "base/text.h"
#include "registry/self.h"
#include "shm/heap.h"
#include "wait/wait.h"

#include <weft/time.h>

/* 'index.lock', or 0x7f… where it has no label. */
const char *object_name(const void *object, char out[TEXT_NAME]);

/* Whether other processes use it: by its own field, or because it lies in the
 * shared heap. */
static inline bool
object_is_shared(bool field, const void *object)
{
    return field || heap_holds(object);
}

/* Whether an address of another process means the same object here. */
static inline bool
object_can_be_reached(const void *object)
{
    return heap_holds(object);
}

/* Who a lock's word names, also some time after its end: 'flusher' (pid 831,
 * tid 833). */
const char *object_owner(uint32_t owner, char out[TEXT_NAME]);

/* Stops the program: "weft_mutex_unlock of 'index.lock' at flush (…): it is not
 * held by the caller". `site` is where the call returns to. */
_Noreturn void object_misused(const char *call, const void *object,
                              const void *site, const char *fault);

/* Where there is no status to answer with. */
static inline void
object_must(const char *call, const void *object, const void *site)
{
    if (__builtin_expect(!object, 0))
        object_misused(call, object, site, "it is NULL");
}

/* For a failed call: WEFT_ETIMEDOUT and WEFT_ECANCELED with the object's name.
 */
int object_failed(int status, const char *call, const void *object);

/* Readies the calling thread for holding a shared object, once more if it does
 * already; `kind` is that of its entry (held.h). WEFT_EAGAIN: it holds
 * SLOT_HELD others; the failures of robust_enter. */
int object_enter(struct self *self, const void *object, unsigned kind);

/* The calling thread begins and ends a call on a shared object; see struct
 * slot_call. The thread has entered (robust_enter). */
static inline void
call_begin(struct self *self, const void *object, unsigned kind)
{
    struct slot_call *call = &self->slot->call;

    atomic_store_explicit(&call->kind, kind, memory_order_relaxed);
    /* release: whoever sees the object sees its kind */
    atomic_store_explicit(&call->object, (uintptr_t)object,
                          memory_order_release);
}

static inline void
call_end(struct self *self)
{
    /* release: what the call changed is seen by who finds it ended */
    atomic_store_explicit(&self->slot->call.object, 0, memory_order_release);
}

/* Around a call that may come in the middle of another one. */
struct call_saved {
    uint64_t object;
    uint32_t kind, ticket;
};

static inline struct call_saved
call_save(const struct self *self)
{
    const struct slot_call *call = &self->slot->call;

    return (struct call_saved){
        atomic_load_explicit(&call->object, memory_order_relaxed),
        atomic_load_explicit(&call->kind, memory_order_relaxed),
        atomic_load_explicit(&call->ticket, memory_order_relaxed)};
}

static inline void
call_restore(struct self *self, const struct call_saved *saved)
{
    struct slot_call *call = &self->slot->call;

    atomic_store_explicit(&call->object, 0, memory_order_release);
    atomic_store_explicit(&call->kind, saved->kind, memory_order_relaxed);
    atomic_store_explicit(&call->ticket, saved->ticket, memory_order_relaxed);
    atomic_store_explicit(&call->object, saved->object, memory_order_release);
}

#endif
