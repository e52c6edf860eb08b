/* The heap after a death. Who takes the lock from a dead holder first frees the
 * block that this one was about to take or give back, if its slot says so, and
 * then makes all caches anew, in one walk over the spans. It may be killed
 * meanwhile: then the next one does the same again. */
#include "os/os.h"
#include "registry/registry.h"
#include "shm/heap.h"
#include "shm/layout.h"

#include <weft/status.h>

#include <string.h>

static char *
journal_block(uint64_t journal)
{
    return (char *)(uintptr_t)(journal & ~(uint64_t)HEAP_PHASES);
}

/* What a slot says its dead owner may have scribbled over. */
static bool
is_in_data(const char *block)
{
    return heap_holds(block) && block >= heap.data &&
           heap_span_of(block) < heap.header->ready;
}

static bool
is_taken(const char *block)
{
    if (!is_in_data(block))
        return false;
    const uint32_t span = heap_span_of(block);

    return heap_size_of(block) > 0 ||
           (heap_kind(heap_state(span)) == HEAP_LIMBO &&
            block == heap_at(span));
}

/* --- all caches anew */

static void
forget_caches(void)
{
    struct heap_header *header = heap.header;

    header->high = 0;
    memset(header->partial, 0, sizeof header->partial);
    memset(header->runs, 0, sizeof header->runs);
}

/* Returns the bytes that are taken in it. */
static uint64_t
see_small(uint32_t span, uint32_t class)
{
    struct span *at = &heap.spans[span];
    uint32_t taken = 0;

    for (uint32_t word = 0; word < HEAP_WORDS; word++)
        taken += (uint32_t)__builtin_popcountll(
            atomic_load_explicit(&heap.bits[span][word], memory_order_relaxed));
    at->word = 0;
    at->free = heap_count(class) - taken;
    if (at->free)
        heap_link(&heap.header->partial[class], span);
    return (uint64_t)taken * heap_sizes[class];
}

/* The lists of free runs lie in the spans themselves, and the holder may have
 * died before it gave their pages back. */
static void
see_free(uint32_t first, uint32_t end)
{
    if (first == end)
        return;
    heap_punch(first, end - first);
    heap_give_run(first, end - first);
}

static void
rebuild(void)
{
    struct heap_header *header = heap.header;
    uint32_t free_from = 0, step;
    uint64_t used = 0;

    forget_caches();
    for (uint32_t i = 0; i < header->ready; i++)
        heap.spans[i].next = heap.spans[i].prev = heap.spans[i].run = 0;
    for (uint32_t i = 0; i < header->ready; i += step) {
        const uint64_t state = heap_state(i);
        const enum heap_kind kind = heap_kind(state);

        step = kind >= HEAP_LARGE ? heap_value(state) : 1;
        if (kind == HEAP_FREE)
            continue;
        header->high = i + step;
        see_free(free_from, i);
        free_from = i + step;
        if (kind == HEAP_IS_SMALL)
            used += see_small(i, heap_value(state));
        else if (kind == HEAP_LARGE)
            used += (uint64_t)step * HEAP_SPAN;
    }
    if (free_from < header->ready)
        heap_punch(free_from, header->ready - free_from);
    atomic_store_explicit(&header->used, used, memory_order_relaxed);
}

/* --- the lock */

/* Makes the truth what it would be if the block were free; the caches do not
 * matter. */
static void
free_in_truth(const char *block)
{
    const uint32_t span = heap_span_of(block);
    const uint64_t state = heap_state(span);

    if (heap_kind(state) == HEAP_IS_SMALL) {
        const uint32_t index =
            (uint32_t)(block - heap_at(span)) / heap_sizes[heap_value(state)];

        atomic_fetch_and(&heap.bits[span][index / 64],
                         ~(UINT64_C(1) << index % 64));
    } else {
        heap_set(span, HEAP_FREE, 0);
    }
}

/* The slot stays as it is until its process is buried, for which somebody must
 * have called heap_recover, and so have had the lock. */
static void
settle(uint32_t dead)
{
    const struct slot *slot = dead ? registry_owner_slot(dead) : NULL;
    const uint64_t journal = slot ? atomic_load(&slot->heap_taken) : 0;

    if ((journal & HEAP_PHASES) == HEAP_INSIDE &&
        is_in_data(journal_block(journal)))
        free_in_truth(journal_block(journal));
}

static void
set_right(uint32_t dead)
{
    _Atomic uint32_t *robbed = &heap.header->robbed;

    settle(atomic_load(robbed)); /* whom the dead one was about to settle */
    settle(dead);
    atomic_store(robbed, dead);
    rebuild();
    atomic_store(robbed, 0);
}

int
heap_lock(struct self *self)
{
    struct wait_word *lock = &heap.header->lock;
    struct wait_terms terms = {
        .until = OS_NEVER, .stubborn = true, .shared = true};
    uint32_t dead;
    const int status = robust_enter(self);

    if (status < 0)
        return status;
    if (!robust_try(lock, self->owner) &&
        robust_take_until(lock, self, &terms, &dead) == WEFT_OWNER_DIED)
        set_right(dead);
    return 0;
}

void
heap_unlock(void)
{
    robust_give(&heap.header->lock, true);
}

/* --- after a death outside of the lock */

void
heap_drop(char *block)
{
    const uint32_t span = heap_span_of(block);
    const uint64_t state = heap_state(span);
    const uint32_t count = heap_value(state);

    if (heap_kind(state) == HEAP_IS_SMALL) {
        heap_give_small(block);
        return;
    }
    if (heap_kind(state) == HEAP_LARGE)
        atomic_fetch_sub_explicit(&heap.header->used,
                                  (uint64_t)count * HEAP_SPAN,
                                  memory_order_relaxed);
    heap_set(span, HEAP_FREE, 0);
    heap_punch(span, count);
    heap_give_run(span, count);
}

void
heap_recover(const struct slot *dead)
{
    const uint64_t journal = atomic_load(&dead->heap_taken);

    if (journal == 0 || !heap_is_open() ||
        !(atomic_load(&dead->certificate) & OS_DIED))
        return;
    /* If it died under the lock, taking that settles it. */
    if (heap_lock(self_get()) < 0)
        return;
    if ((journal & HEAP_PHASES) == HEAP_OUTSIDE &&
        is_taken(journal_block(journal)))
        heap_drop(journal_block(journal));
    heap_unlock();
}
