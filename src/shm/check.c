/* Whether what the heap says of itself fits together. */
#include "shm/heap.h"
#include "shm/layout.h"

#include <string.h>

struct found {
    uint64_t used;
    uint32_t high;
    uint32_t partial[HEAP_CLASSES];
    uint32_t free; /* spans below `high` */
};

static const char *
look_at_small(uint32_t span, uint32_t class, struct found *found)
{
    const struct span *at = &heap.spans[span];
    uint32_t taken = 0;

    if (class >= HEAP_CLASSES)
        return "a span has no such class";
    const uint32_t count = heap_count(class);

    for (uint32_t i = 0; i < HEAP_WORDS * 64; i++)
        if (atomic_load(&heap.bits[span][i / 64]) >> i % 64 & 1) {
            taken++;
            if (i >= count)
                return "a block beyond its span is taken";
            if (i / 64 < at->word)
                continue;
        } else if (i < count && i / 64 < at->word) {
            return "a free block lies below the first";
        }
    if (at->free != count - taken)
        return "a span counts its free blocks wrong";
    found->partial[class] += at->free > 0;
    found->used += (uint64_t)taken * heap_sizes[class];
    return NULL;
}

static const char *
look_at_free(uint32_t span)
{
    for (uint32_t word = 0; word < HEAP_WORDS; word++)
        if (atomic_load(&heap.bits[span][word]))
            return "a free span has a taken block";
    return NULL;
}

static const char *
walk(struct found *found)
{
    const char *fault = NULL;
    uint32_t step, free = 0;

    for (uint32_t i = 0; i < heap.header->ready && !fault; i += step) {
        const uint64_t state = heap_state(i);
        const enum heap_kind kind = heap_kind(state);

        step = kind >= HEAP_LARGE ? heap_value(state) : 1;
        if (step == 0 || step > heap.header->ready - i)
            return "a large block goes beyond the end";
        if (kind == HEAP_FREE) {
            fault = look_at_free(i);
            free++;
            continue;
        }
        found->high = i + step;
        found->free = free;
        if (kind == HEAP_IS_SMALL)
            fault = look_at_small(i, heap_value(state), found);
        else if (kind == HEAP_LARGE)
            found->used += (uint64_t)step * HEAP_SPAN;
    }
    return fault;
}

static const char *
look_at_lists(const struct found *found)
{
    uint32_t free = 0;

    for (uint32_t class = 0; class < HEAP_CLASSES; class ++) {
        uint32_t count = 0;

        for (uint32_t at = heap.header->partial[class]; at;
             at = heap.spans[at - 1].next)
            count++;
        if (count != found->partial[class])
            return "a class misses a span";
    }
    for (uint32_t bin = 0; bin < HEAP_BINS; bin++)
        for (uint32_t at = heap.header->runs[bin]; at;
             at = heap.spans[at - 1].next) {
            const uint32_t run = heap.spans[at - 1].run;

            if (run == 0 || run >> bin != 1 ||
                heap.spans[at - 1 + run - 1].run != run)
                return "a run is not what its list says";
            free += run;
        }
    return free == found->free ? NULL : "free spans are in no list";
}

static const char *
look(void)
{
    struct found found;

    memset(&found, 0, sizeof found);
    const char *fault = walk(&found);

    if (fault)
        return fault;
    if (found.used != atomic_load(&heap.header->used))
        return "the bytes in use are counted wrong";
    if (found.high != heap.header->high)
        return "the last span in use is another one";
    return look_at_lists(&found);
}

const char *
heap_fault(void)
{
    if (!heap_is_open() || heap_lock(self_get()) < 0)
        return "there is no heap to look at";
    const char *fault = look();

    heap_unlock();
    return fault;
}

size_t
heap_block_size(const void *at)
{
    if (!heap_holds(at) || heap_lock(self_get()) < 0)
        return 0;
    const size_t size = heap_size_of(at);

    heap_unlock();
    return size;
}
