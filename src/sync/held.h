/* What a thread holds, in its own slot: for views, and for shared objects the
 * truth from which others recount when it has died. One writer.
 *
 *   held_count   entries in use or empty below it; beyond SLOT_HELD only
 * counted object       0 = empty: stored last when an entry is filled and first
 * when it is emptied (release), so that an entry that is seen is whole count
 * how often; changed by one store */
#ifndef SYNC_HELD_H
#define SYNC_HELD_H

#include "registry/self.h"

/* Another entry. Beyond SLOT_HELD it is only counted; but a shared object's
 * takes the place of one that is not, see held_has_room. */
void held_add_slow(struct slot *slot, const void *object, unsigned kind,
                   const void *site);
void held_remove_slow(struct slot *slot, const void *object);

/* Whether the next entry can be appended. */
static inline bool
held_has_place(const struct slot *slot)
{
    return atomic_load_explicit(&slot->held_count, memory_order_relaxed) <
           SLOT_HELD;
}

static inline bool
held_fill(struct slot *slot, uint32_t at, const void *object, unsigned kind,
          const void *site)
{
    if (at >= SLOT_HELD)
        return false;
    struct slot_held *held = &slot->held[at];

    atomic_store_explicit(&held->site, (uintptr_t)site, memory_order_relaxed);
    atomic_store_explicit(&held->kind, kind, memory_order_relaxed);
    atomic_store_explicit(&held->count, 1, memory_order_relaxed);
    atomic_store_explicit(&held->object, (uintptr_t)object,
                          memory_order_release);
    atomic_store_explicit(&slot->held_count, at + 1, memory_order_release);
    return true;
}

static inline void
held_add(struct self *self, const void *object, unsigned kind, const void *site)
{
    struct slot *slot = self->slot;

    if (slot &&
        !held_fill(
            slot, atomic_load_explicit(&slot->held_count, memory_order_relaxed),
            object, kind, site))
        held_add_slow(slot, object, kind, site);
}

static inline uint64_t
held_object(const struct slot *slot, uint32_t at)
{
    return atomic_load_explicit(&slot->held[at].object, memory_order_relaxed);
}

/* Most often it is the last one, and the one below it is held. */
static inline void
held_remove(struct self *self, const void *object)
{
    struct slot *slot = self->slot;

    if (!slot)
        return;
    const uint32_t last =
        atomic_load_explicit(&slot->held_count, memory_order_relaxed) - 1;

    if (last < SLOT_HELD && held_object(slot, last) == (uintptr_t)object &&
        (last == 0 || held_object(slot, last - 1) != 0))
        atomic_store_explicit(&slot->held_count, last, memory_order_release);
    else
        held_remove_slow(slot, object);
}

/* For shared objects: whether one more can be told to others. */
bool held_has_room(const struct self *self);

/* The thread's entry for the object; NULL: none. */
struct slot_held *held_find(struct slot *slot, const void *object,
                            unsigned kind);

/* One more, or up to n less, of what may be held several times: an entry's
 * count. How many less. */
void held_take(struct self *self, const void *object, unsigned kind,
               const void *site);
uint32_t held_give(struct self *self, const void *object, unsigned kind,
                   uint32_t n);

/* How often the slot's thread holds it: for recounts. */
uint32_t held_count_of(const struct slot *slot, const void *object,
                       unsigned kind);

#endif
