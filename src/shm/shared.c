/* Taking and giving back, for the program. */
#include "base/misuse.h"
#include "base/why.h"
#include "os/os.h"
#include "shm/heap.h"
#include "shm/layout.h"

#include <weft/shared.h>

#include <string.h>

/* Only by the thread itself; others read it when it is dead. */
static void
note(struct self *self, const char *block, enum heap_phase phase)
{
    /* release: the truth is written before what follows it, and after what
     * comes before it */
    atomic_store_explicit(&self->slot->heap_taken,
                          (uint64_t)(uintptr_t)block | (uint64_t)phase,
                          memory_order_release);
}

static void
note_nothing(struct self *self)
{
    atomic_store_explicit(&self->slot->heap_taken, 0, memory_order_release);
}

/* --- taking */

static void *
no_memory(size_t size)
{
    (void)why_set(WEFT_ENOMEM,
                  "no room for %zu bytes in the shared heap of %zu, of which "
                  "%zu are taken",
                  size, heap_room(), weft_shared_used());
    return NULL;
}

static void *
take_small(struct self *self, size_t size)
{
    const uint32_t class = heap_class(size);

    if (heap_lock(self) < 0)
        return NULL;
    char *block = heap_find_small(class);

    if (block) {
        note(self, block, HEAP_INSIDE);
        heap_take_small(block);
        note(self, block, HEAP_OUTSIDE);
    }
    heap_unlock();
    if (!block)
        return no_memory(size);
    heap_dump(heap_span_of(block) + 1);
    memset(block, 0, heap_sizes[class]);
    note_nothing(self);
    return block;
}

static char *
enter_large(struct self *self, uint32_t count)
{
    uint32_t first;

    if (!heap_take_run(count, &first) &&
        !(heap_trim() && heap_take_run(count, &first)))
        return NULL;
    char *block = heap_at(first);

    note(self, block, HEAP_INSIDE);
    heap_set(first, HEAP_LARGE, count);
    note(self, block, HEAP_OUTSIDE);
    atomic_fetch_add_explicit(&heap.header->used, (uint64_t)count * HEAP_SPAN,
                              memory_order_relaxed);
    return block;
}

static void give_large(struct self *self, uint32_t first, uint32_t count);

/* The pages come when others can have the lock again: a gibibyte takes long. */
static void *
take_large(struct self *self, size_t size)
{
    const uint32_t count =
        (uint32_t)(size / HEAP_SPAN + (size % HEAP_SPAN != 0));

    if (!os_memory_is_left(size))
        return no_memory(size);
    if (heap_lock(self) < 0)
        return NULL;
    char *block = enter_large(self, count);

    heap_unlock();
    if (!block)
        return no_memory(size);
    heap_dump(heap_span_of(block) + count);
    if (os_fill_shared(block, (size_t)count * HEAP_SPAN) < 0) {
        if (heap_lock(self) == 0)
            give_large(self, heap_span_of(block), count);
        return no_memory(size);
    }
    note_nothing(self);
    return block;
}

void *
weft_shared_alloc(size_t size)
{
    if (size == 0) {
        (void)why_set(WEFT_EINVAL, "weft_shared_alloc: the size is 0");
        return NULL;
    }
    if (!heap_is_open() && heap_open(0) < 0)
        return NULL;
    if (size > heap_room())
        return no_memory(size);
    return size <= HEAP_SMALL ? take_small(self_get(), size)
                              : take_large(self_get(), size);
}

/* --- giving back */

static _Noreturn void
misuse(const void *memory)
{
    misuse_stop("weft_shared_free by '%s': no living block of the shared heap "
                "begins at %p",
                self_get()->record.name, memory);
}

/* Gives the lock back. The pages go while others can have it: nobody takes a
 * block that is in limbo. */
static void
give_large(struct self *self, uint32_t first, uint32_t count)
{
    char *block = heap_at(first);

    note(self, block, HEAP_INSIDE);
    heap_set(first, HEAP_LIMBO, count);
    note(self, block, HEAP_OUTSIDE);
    atomic_fetch_sub_explicit(&heap.header->used, (uint64_t)count * HEAP_SPAN,
                              memory_order_relaxed);
    heap_unlock();
    heap_punch(first, count);
    (void)heap_lock(self); /* the thread has had it */
    note(self, block, HEAP_INSIDE);
    heap_set(first, HEAP_FREE, 0);
    heap_give_run(first, count);
    note_nothing(self);
    heap_unlock();
}

void
weft_shared_free(void *memory)
{
    if (!memory || heap_is_foreign(memory))
        return;
    if (!heap_holds(memory))
        misuse(memory);
    struct self *self = self_get();

    if (heap_lock(self) < 0) /* a leak is better than a torn heap */
        return;
    const size_t size = heap_size_of(memory);

    if (size >= HEAP_SPAN) {
        give_large(self, heap_span_of(memory), (uint32_t)(size / HEAP_SPAN));
        return;
    }
    if (size)
        heap_give_small(memory);
    heap_unlock();
    if (!size)
        misuse(memory);
}

size_t
weft_shared_used(void)
{
    return heap_is_open() ? (size_t)atomic_load_explicit(&heap.header->used,
                                                         memory_order_relaxed)
                          : 0;
}
