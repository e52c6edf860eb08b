#include "sync/recover.h"

#include "os/os.h"
#include "registry/registry.h"
#include "shm/heap.h"
#include "sync/object.h"

#include <limits.h>

/* Written before main. */
static struct {
    recover_fn *fn;
    size_t word;
} ways[SLOT_WAIT_KINDS];

void
recover_teach(unsigned kind, recover_fn *fn, size_t word)
{
    ways[kind].fn = fn;
    ways[kind].word = word;
}

static void
wake_word(uint64_t object, uint32_t kind, bool shared)
{
    if (kind < SLOT_WAIT_KINDS)
        os_futex_wake(
            (const _Atomic uint32_t *)(uintptr_t)(object + ways[kind].word),
            INT_MAX, shared);
}

/* Objects beyond the heap are at other addresses, or nowhere, in the process
 * that recovers: who waits for those looks again by itself. */
static void
recover(uint64_t object, uint32_t kind, uint32_t ticket,
        const struct slot *dead)
{
    void *at = (void *)(uintptr_t)object;

    kind &= ~SLOT_SHARED;
    if (kind >= SLOT_WAIT_KINDS || !object_can_be_reached(at))
        return;
    if (ways[kind].fn)
        ways[kind].fn(at, dead, ticket);
    else
        wake_word(object, kind, true);
}

static void
recover_held(const struct slot_held *held, const struct slot *dead)
{
    const uint32_t kind =
        atomic_load_explicit(&held->kind, memory_order_relaxed);

    if (kind & SLOT_SHARED)
        recover(atomic_load(&held->object), kind, 0, dead);
}

static void
recover_call(const struct slot_call *call, const struct slot *dead)
{
    recover(atomic_load(&call->object),
            atomic_load_explicit(&call->kind, memory_order_relaxed),
            atomic_load_explicit(&call->ticket, memory_order_relaxed), dead);
}

static void
bury_slot(const struct slot *slot)
{
    if (atomic_load(&slot->held_count) > 0)
        registry_bury(slot);
}

static void
recover_slot(const struct slot *slot)
{
    const uint32_t count = atomic_load(&slot->held_count);

    heap_recover(slot);
    bury_slot(slot);
    recover_call(&slot->call, slot);
    if (atomic_load(&slot->granted.object) != atomic_load(&slot->call.object))
        recover_call(&slot->granted, slot);
    for (uint32_t i = 0; i < count && i < SLOT_HELD; i++)
        recover_held(&slot->held[i], slot);
}

void
recover_process(int pid, bool heap)
{
    registry_each_condemned(pid, heap ? recover_slot : bury_slot);
}

/* Objects of this process alone may be gone: they are not touched, but who
 * sleeps on their words is woken. */
void
recover_self(struct self *self)
{
    struct slot *slot = self->slot;
    const uint32_t count = slot ? atomic_load(&slot->held_count) : 0;

    if (count == 0)
        return;
    registry_bury(slot);
    registry_renew(slot);
    self->owner = atomic_load(&slot->owner);
    /* Recounts find nothing here from now on; the entries are still there. */
    atomic_store(&slot->held_count, 0);
    for (uint32_t i = 0; i < count && i < SLOT_HELD; i++) {
        const struct slot_held *held = &slot->held[i];
        const uint64_t object = atomic_load(&held->object);

        if (atomic_load(&held->kind) & SLOT_SHARED)
            recover_held(held, slot);
        else if (object)
            wake_word(object, atomic_load(&held->kind), false);
    }
}
