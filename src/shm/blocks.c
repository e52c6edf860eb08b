/* Small blocks: a span is cut in blocks of one size, and a word has a bit for
 * each of 64. A class keeps one span in which nothing is taken, so that taking
 * and giving back a single block does not make and discard pages each time. */
#include "os/os.h"
#include "shm/layout.h"

/* The larger ones are as large as they can be for their number in a span. What
 * is asked for is rounded up by a quarter at most, beyond 16 KiB by a half. */
const uint16_t heap_sizes[HEAP_CLASSES] = {
    64,   128,  192,  256,  320,  384,   448,   512,   640,   768,
    896,  1024, 1280, 1536, 1792, 2048,  2560,  3072,  3584,  4096,
    4992, 5952, 7232, 8192, 9344, 10880, 13056, 16384, 21824, 32768};

uint32_t
heap_class(size_t size)
{
    uint32_t low = 0, high = HEAP_CLASSES - 1;

    if (size <= 512)
        return (uint32_t)(size - 1) / HEAP_ALIGN;
    while (low < high) {
        const uint32_t middle = (low + high) / 2;

        if (heap_sizes[middle] < size)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

uint32_t
heap_count(uint32_t class)
{
    return HEAP_SPAN / heap_sizes[class];
}

static uint32_t *
partial(uint32_t class)
{
    return &heap.header->partial[class];
}

/* Pages first: a span that is SMALL never lacks memory. */
static bool
make_span(uint32_t class)
{
    uint32_t span;

    if (!heap_take_run(1, &span))
        return false;
    if (os_fill_shared(heap_at(span), HEAP_SPAN) < 0) {
        heap_punch(span, 1);
        heap_give_run(span, 1);
        return false;
    }
    heap_set(span, HEAP_IS_SMALL, class);
    heap.spans[span].free = heap_count(class);
    heap.spans[span].word = 0;
    heap_link(partial(class), span);
    return true;
}

static void
drop_span(uint32_t span, uint32_t class)
{
    heap_unlink(partial(class), span);
    heap_set(span, HEAP_FREE, 0);
    heap_punch(span, 1);
    heap_give_run(span, 1);
}

bool
heap_trim(void)
{
    bool found = false;

    for (uint32_t class = 0; class < HEAP_CLASSES; class ++)
        for (uint32_t at = *partial(class), next; at; at = next) {
            next = heap.spans[at - 1].next;
            if (heap.spans[at - 1].free < heap_count(class))
                continue;
            drop_span(at - 1, class);
            found = true;
        }
    return found;
}

static uint64_t
vacant(uint32_t span, uint32_t word, uint32_t count)
{
    const uint64_t taken =
        atomic_load_explicit(&heap.bits[span][word], memory_order_relaxed);
    const uint32_t left = count - word * 64;

    return ~taken & (left < 64 ? (UINT64_C(1) << left) - 1 : ~UINT64_C(0));
}

static char *
first_vacant(uint32_t span, uint32_t class)
{
    const uint32_t count = heap_count(class);
    uint32_t *word = &heap.spans[span].word;
    uint64_t bits;

    while ((bits = vacant(span, *word, count)) == 0)
        ++*word;
    const uint32_t index = *word * 64 + (uint32_t)__builtin_ctzll(bits);

    return heap_at(span) + (size_t)index * heap_sizes[class];
}

char *
heap_find_small(uint32_t class)
{
    if (!*partial(class) && !make_span(class) &&
        !(heap_trim() && make_span(class)))
        return NULL;
    return first_vacant(*partial(class) - 1, class);
}

struct place {
    uint32_t span, class, word;
    uint64_t bit;
};

static struct place
place_of(const char *block)
{
    const uint32_t span = heap_span_of(block);
    const uint32_t class = heap_value(heap_state(span));
    const uint32_t index =
        (uint32_t)(block - heap_at(span)) / heap_sizes[class];

    return (struct place){span, class, index / 64, UINT64_C(1) << index % 64};
}

static uint64_t
bits_of(const struct place *place)
{
    return atomic_load_explicit(&heap.bits[place->span][place->word],
                                memory_order_relaxed);
}

static void
set_bits(const struct place *place, uint64_t bits)
{
    /* release: the journal is written before */
    atomic_store_explicit(&heap.bits[place->span][place->word], bits,
                          memory_order_release);
}

static void
count_used(uint64_t more)
{
    _Atomic uint64_t *used = &heap.header->used;

    atomic_store_explicit(
        used, atomic_load_explicit(used, memory_order_relaxed) + more,
        memory_order_relaxed);
}

void
heap_take_small(char *block)
{
    const struct place place = place_of(block);
    struct span *span = &heap.spans[place.span];

    set_bits(&place, bits_of(&place) | place.bit);
    count_used(heap_sizes[place.class]);
    if (--span->free == 0)
        heap_unlink(partial(place.class), place.span);
}

void
heap_give_small(char *block)
{
    const struct place place = place_of(block);
    struct span *span = &heap.spans[place.span];

    set_bits(&place, bits_of(&place) & ~place.bit);
    count_used(0 - (uint64_t)heap_sizes[place.class]);
    if (span->word > place.word)
        span->word = place.word;
    if (span->free++ == 0)
        heap_link(partial(place.class), place.span);
    if (span->free == heap_count(place.class) && (span->next || span->prev))
        drop_span(place.span, place.class);
}

size_t
heap_size_of(const void *at)
{
    const char *block = at;

    if (block < heap.data || heap_span_of(block) >= heap.header->ready)
        return 0;
    const uint32_t span = heap_span_of(block);
    const uint64_t state = heap_state(span);
    const size_t offset = (size_t)(block - heap_at(span));

    if (heap_kind(state) == HEAP_LARGE && offset == 0)
        return (size_t)heap_value(state) * HEAP_SPAN;
    if (heap_kind(state) != HEAP_IS_SMALL)
        return 0;
    const size_t size = heap_sizes[heap_value(state)];
    const struct place place = place_of(block);

    return offset % size == 0 && offset / size < HEAP_SPAN / size &&
                   bits_of(&place) & place.bit
               ? size
               : 0;
}
