/* Runs of free spans. Those below `high` are in lists by the logarithm of their
 * length; both ends of a run know its length, so that neighbours are found and
 * joined at once. All this is a cache. */
#include "os/os.h"
#include "shm/layout.h"

#include <string.h>

enum {
    STEP = 128, /* spans whose words get memory together: whole pages */
    TRIES = 16  /* runs that may be too short, before a longer one is cut */
};

void
heap_link(uint32_t *list, uint32_t span)
{
    struct span *at = &heap.spans[span];

    at->prev = 0;
    at->next = *list;
    if (*list)
        heap.spans[*list - 1].prev = span + 1;
    *list = span + 1;
}

void
heap_unlink(uint32_t *list, uint32_t span)
{
    struct span *at = &heap.spans[span];

    if (at->prev)
        heap.spans[at->prev - 1].next = at->next;
    else
        *list = at->next;
    if (at->next)
        heap.spans[at->next - 1].prev = at->prev;
    at->next = at->prev = 0;
}

static uint32_t *
bin_of(uint32_t count)
{
    return &heap.header->runs[31 - __builtin_clz(count)];
}

static void
run_enter(uint32_t first, uint32_t count)
{
    heap.spans[first].run = count;
    heap.spans[first + count - 1].run = count;
    heap_link(bin_of(count), first);
}

static void
run_remove(uint32_t first)
{
    const uint32_t count = heap.spans[first].run;

    heap.spans[first].run = 0;
    heap.spans[first + count - 1].run = 0;
    heap_unlink(bin_of(count), first);
}

void
heap_give_run(uint32_t first, uint32_t count)
{
    struct heap_header *header = heap.header;
    const uint32_t before = first ? heap.spans[first - 1].run : 0;
    const uint32_t end = first + count;
    const uint32_t after = end < header->high ? heap.spans[end].run : 0;

    if (before)
        run_remove(first - before);
    if (after)
        run_remove(end);
    if (end + after == header->high)
        header->high = first - before;
    else
        run_enter(first - before, before + count + after);
}

/* A run in the list that is long enough; 0: none, else index + 1. */
static uint32_t
search(uint32_t list, uint32_t count, uint32_t tries)
{
    for (; list && tries; list = heap.spans[list - 1].next, tries--)
        if (heap.spans[list - 1].run >= count)
            return list;
    return 0;
}

static uint32_t
find_run(uint32_t count)
{
    const uint32_t least = 31 - (uint32_t)__builtin_clz(count);
    uint32_t found = search(heap.header->runs[least], count, TRIES);

    for (uint32_t bin = least + 1; !found && bin < HEAP_BINS; bin++)
        found = heap.header->runs[bin];
    return found;
}

/* Has the words of the spans below `end` their memory? */
static bool
make_ready(uint32_t end)
{
    struct heap_header *header = heap.header;
    const uint32_t from = header->ready;
    uint32_t to = (end + STEP - 1) / STEP * STEP;

    if (end <= from)
        return true;
    to = to < header->spans ? to : header->spans;
    if (os_fill_shared(&heap.spans[from], (to - from) * sizeof *heap.spans) <
            0 ||
        os_fill_shared(&heap.bits[from], (to - from) * sizeof *heap.bits) < 0)
        return false;
    header->ready = to;
    return true;
}

static bool
take_high(uint32_t count, uint32_t *first)
{
    struct heap_header *header = heap.header;

    if (header->spans - header->high < count ||
        !make_ready(header->high + count))
        return false;
    *first = header->high;
    header->high += count;
    return true;
}

bool
heap_take_run(uint32_t count, uint32_t *first)
{
    uint32_t found = find_run(count);

    if (!found && take_high(count, first))
        return true;
    if (!found) /* patience, now that it is the last hope */
        found = search(*bin_of(count), count, UINT32_MAX);
    if (!found)
        return false;
    *first = found - 1;
    const uint32_t length = heap.spans[*first].run;

    run_remove(*first);
    if (length > count)
        run_enter(*first + count, length - count);
    return true;
}

void
heap_punch(uint32_t first, uint32_t count)
{
    const size_t size = (size_t)count * HEAP_SPAN;

    if (os_discard_shared(heap_at(first), size) < 0)
        memset(heap_at(first), 0, size);
}
