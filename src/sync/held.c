#include "sync/held.h"

static uint32_t
used(const struct slot *slot)
{
    const uint32_t count =
        atomic_load_explicit(&slot->held_count, memory_order_acquire);

    return count < SLOT_HELD ? count : SLOT_HELD;
}

static uint64_t
object_of(const struct slot_held *held)
{
    return atomic_load_explicit(&held->object, memory_order_acquire);
}

static struct slot_held *
find(struct slot *slot, uint64_t object)
{
    for (uint32_t i = used(slot); i-- > 0;)
        if (object_of(&slot->held[i]) == object)
            return &slot->held[i];
    return NULL;
}

/* Something of this process alone: others need not know that it is held. */
static struct slot_held *
find_private(struct slot *slot)
{
    for (uint32_t i = used(slot); i-- > 0;) {
        const uint32_t kind =
            atomic_load_explicit(&slot->held[i].kind, memory_order_relaxed);

        if (object_of(&slot->held[i]) != 0 &&
            (kind == SLOT_WAIT_MUTEX || kind == SLOT_WAIT_WRITE))
            return &slot->held[i];
    }
    return NULL;
}

bool
held_has_room(const struct self *self)
{
    return used(self->slot) < SLOT_HELD || find(self->slot, 0) ||
           find_private(self->slot);
}

void
held_add_slow(struct slot *slot, const void *object, unsigned kind,
              const void *site)
{
    struct slot_held *empty = find(slot, 0);

    if (!empty) {
        atomic_fetch_add_explicit(&slot->held_count, 1, memory_order_relaxed);
        empty = kind & SLOT_SHARED ? find_private(slot) : NULL;
        if (!empty)
            return;
        atomic_store_explicit(&empty->object, 0, memory_order_release);
    }
    atomic_store_explicit(&empty->site, (uintptr_t)site, memory_order_relaxed);
    atomic_store_explicit(&empty->kind, kind, memory_order_relaxed);
    atomic_store_explicit(&empty->count, 1, memory_order_relaxed);
    atomic_store_explicit(&empty->object, (uintptr_t)object,
                          memory_order_release);
}

/* Empty entries at the end go, so that the next one is filled fast. */
static void
trim(struct slot *slot)
{
    uint32_t count =
        atomic_load_explicit(&slot->held_count, memory_order_relaxed);

    while (count > 0 && count <= SLOT_HELD &&
           object_of(&slot->held[count - 1]) == 0)
        count--;
    atomic_store_explicit(&slot->held_count, count, memory_order_release);
}

void
held_remove_slow(struct slot *slot, const void *object)
{
    struct slot_held *held = find(slot, (uintptr_t)object);
    const uint32_t count =
        atomic_load_explicit(&slot->held_count, memory_order_relaxed);

    if (held)
        atomic_store_explicit(&held->object, 0, memory_order_release);
    else if (count > SLOT_HELD)
        atomic_store_explicit(&slot->held_count, count - 1,
                              memory_order_relaxed);
    trim(slot);
}

struct slot_held *
held_find(struct slot *slot, const void *object, unsigned kind)
{
    for (uint32_t i = used(slot); i-- > 0;)
        if (object_of(&slot->held[i]) == (uintptr_t)object &&
            atomic_load_explicit(&slot->held[i].kind, memory_order_relaxed) ==
                kind)
            return &slot->held[i];
    return NULL;
}

void
held_take(struct self *self, const void *object, unsigned kind,
          const void *site)
{
    struct slot_held *held =
        self->slot ? held_find(self->slot, object, kind) : NULL;

    if (held)
        atomic_store_explicit(
            &held->count,
            atomic_load_explicit(&held->count, memory_order_relaxed) + 1,
            memory_order_release);
    else
        held_add(self, object, kind, site);
}

uint32_t
held_give(struct self *self, const void *object, unsigned kind, uint32_t n)
{
    struct slot_held *held =
        self->slot ? held_find(self->slot, object, kind) : NULL;

    if (!held || n == 0)
        return 0;
    const uint32_t count =
        atomic_load_explicit(&held->count, memory_order_relaxed);

    if (n < count) {
        atomic_store_explicit(&held->count, count - n, memory_order_release);
        return n;
    }
    atomic_store_explicit(&held->object, 0, memory_order_release);
    trim(self->slot);
    return count;
}

uint32_t
held_count_of(const struct slot *slot, const void *object, unsigned kind)
{
    uint32_t count = 0;

    for (uint32_t i = 0; i < used(slot); i++)
        if (object_of(&slot->held[i]) == (uintptr_t)object &&
            atomic_load_explicit(&slot->held[i].kind, memory_order_relaxed) ==
                kind)
            count += atomic_load_explicit(&slot->held[i].count,
                                          memory_order_relaxed);
    return count;
}
