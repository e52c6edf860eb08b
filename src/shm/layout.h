/* What lies in the heap's file, and who may change it.
 *
 *   header, a page       sizes, lock, and where free memory may be found
 *   struct span a span   what the span is
 *   16 words a span      which of its blocks are taken
 *   the spans, 64 KiB each
 *
 * Truth is a span's `state` and its bits; all else is a cache, which whoever
 * takes the lock from a dead holder rebuilds (recover.c). Each change of the
 * truth is one store, under the lock:
 *
 *   state                who                     meaning
 *   FREE, all zero       drop_span, give_large   nobody's; or within a LARGE
 *   SMALL  | class       span_make               cut in blocks of one size
 *   LARGE  | spans       take_large              one block, which begins here
 *   LIMBO  | spans       give_large              was LARGE, its pages go
 *   a bit 0 -> 1 -> 0    take_small, give_small  the block is taken, is free
 *
 * FREE implies that all the span's bits are 0, and, when the lock is free, that
 * it has no pages: they are zero when they come.
 *
 * In the slot of the thread, `heap_taken` is a block's address | a phase:
 *
 *   INSIDE   written under the lock, before the truth changes. If the thread
 *            dies, whoever takes the lock from it frees the block, if it is
 *            taken, and nobody looks at the word again
 *   OUTSIDE  written under the lock, after the truth has changed: the block is
 *            this thread's alone, until it has been handed out or given back.
 *            If the thread dies, heap_recover frees it
 *
 * So at each instruction there is one who frees it, and never two. */
#ifndef SHM_LAYOUT_H
#define SHM_LAYOUT_H

#include "registry/self.h"
#include "wait/robust.h"

enum {
    HEAP_SPAN = 64 << 10,
    HEAP_SMALL = 32 << 10, /* the largest block that shares a span */
    HEAP_ALIGN = 64,
    HEAP_CLASSES = 30,
    HEAP_WORDS = HEAP_SPAN / HEAP_ALIGN / 64,
    HEAP_BINS = 32,
    HEAP_VERSION = 1
};

#define HEAP_MAGIC UINT64_C(0x7061656874666577) /* "weftheap" */

enum heap_kind {
    HEAP_FREE,
    HEAP_IS_SMALL,
    HEAP_LARGE,
    HEAP_LIMBO
};

enum heap_phase {
    HEAP_INSIDE = 1,
    HEAP_OUTSIDE = 2,
    HEAP_PHASES = 3
};

/* Spans are named by index + 1 in lists, so that 0 is none. */
struct span {
    _Atomic uint64_t state; /* enum heap_kind | class or count << 8 */
    uint32_t next, prev;    /* in the list of its class, or of its run's bin */
    uint32_t free;          /* SMALL: blocks that are not taken */
    uint32_t run;           /* at both ends of a free run: its length; else 0 */
    uint32_t word;          /* SMALL: below it there is no bit 0 */
    uint32_t unused;
};

/* NOLINTNEXTLINE(clang-analyzer-optin.performance.Padding) */
struct heap_header {
    uint64_t magic;
    uint64_t build; /* of what wrote it */
    uint64_t base;  /* its address */
    uint64_t size;  /* of the file */
    uint32_t spans;
    uint32_t unused;
    _Alignas(64) struct wait_word lock;
    _Atomic uint32_t robbed; /* whose death is being set right; 0 = nobody's */
    _Atomic uint32_t ready;  /* spans whose words have their memory */
    _Atomic uint64_t used;   /* bytes; a cache, as all below */
    uint32_t high;           /* all spans from here on are free */
    uint32_t partial[HEAP_CLASSES]; /* spans with a block that is not taken */
    uint32_t runs[HEAP_BINS];       /* free ones of 2^bin spans and more */
};

struct heap {
    struct heap_header *header;
    struct span *spans;
    _Atomic uint64_t (*bits)[HEAP_WORDS];
    char *data;
    int fd;
    _Atomic uint32_t dumped; /* spans below it are in this process's cores */
};

extern struct heap heap; /* read-only once open, but `dumped` */

static inline uint64_t
heap_state(uint32_t span)
{
    return atomic_load_explicit(&heap.spans[span].state, memory_order_relaxed);
}

static inline void
heap_set(uint32_t span, enum heap_kind kind, uint32_t value)
{
    /* release: all that it implies is written before, whoever looks after a
     * death */
    atomic_store_explicit(&heap.spans[span].state,
                          (uint64_t)value << 8 | (uint64_t)kind,
                          memory_order_release);
}

static inline enum heap_kind
heap_kind(uint64_t state)
{
    return (enum heap_kind)(state & 0xff);
}

static inline uint32_t
heap_value(uint64_t state)
{
    return (uint32_t)(state >> 8);
}

static inline char *
heap_at(uint32_t span)
{
    return heap.data + (size_t)span * HEAP_SPAN;
}

static inline uint32_t
heap_span_of(const void *at)
{
    return (uint32_t)((size_t)((const char *)at - heap.data) / HEAP_SPAN);
}

/* --- spans.c; all under the lock */

/* A run of free spans, whose words have their memory and whose pages have not;
 * they stay free until the caller says otherwise. False: there is none. */
bool heap_take_run(uint32_t count, uint32_t *first);

/* They are free now, and have no pages. */
void heap_give_run(uint32_t first, uint32_t count);

/* Gives the pages back, or clears them. */
void heap_punch(uint32_t first, uint32_t count);

/* A span goes to the front of a list, or out of it. */
void heap_link(uint32_t *list, uint32_t span);
void heap_unlink(uint32_t *list, uint32_t span);

/* --- blocks.c; all under the lock */

extern const uint16_t heap_sizes[HEAP_CLASSES];

uint32_t heap_class(size_t size);    /* size <= HEAP_SMALL */
uint32_t heap_count(uint32_t class); /* blocks in a span */

/* A free block of the class, which is not taken yet. NULL: no memory. */
char *heap_find_small(uint32_t class);

/* Changes the truth and the caches for a block that heap_find_small returned,
 * or that is taken. */
void heap_take_small(char *block);
void heap_give_small(char *block);

/* Gives back the spans that are kept though nothing is taken in them. */
bool heap_trim(void);

/* The size of the block that begins there, or 0. */
size_t heap_size_of(const void *at);

/* --- recover.c */

/* WEFT_EAGAIN, WEFT_ENOMEM: the thread cannot have the lock. */
int heap_lock(struct self *self);
void heap_unlock(void);

/* Frees a block as it is, whoever took it; under the lock. */
void heap_drop(char *block);

/* --- heap.c */

/* The spans up to there are in use and belong into a core. */
void heap_dump(uint32_t end);

#endif
