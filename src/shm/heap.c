/* The file and its mapping. The program asks for an address where no library,
 * no stack and no heap of the C library goes, so that a program executed anew,
 * whose addresses are others, has it free too. */
#include "shm/heap.h"

#include "base/digest.h"
#include "base/text.h"
#include "base/why.h"
#include "os/os.h"
#include "shm/layout.h"
#include "wait/lock.h"

#include <weft/status.h>

#include <errno.h>
#include <stdlib.h>
#include <string.h>

enum {
    DUMP_STEP = 16, /* spans that are made part of cores together */
    HIGH_PLACES = 4
};

#define MIB  ((size_t)1 << 20)
#define GIB  ((size_t)1 << 30)
#define MOST (16384 * GIB)
/* Where nothing else tends to be, AddressSanitizer's memory neither; and where
 * ThreadSanitizer lets a program map anything at all. */
#define PLACES     UINT64_C(0x650000000000)
#define HIGH_PLACE UINT64_C(0x7e9000000000)

struct heap heap = {.fd = -1};
_Atomic uintptr_t heap_first;
_Atomic size_t heap_bytes;

static struct lock opening;
static const char *without; /* why this process is to have none; under opening,
                               or alone */

/* The heap of whom this process is a copy of, which it may read. */
static struct {
    uintptr_t first;
    size_t bytes;
} foreign;

/* --- where things lie */

static size_t
pages(size_t size)
{
    return (size + OS_PAGE - 1) & ~(size_t)(OS_PAGE - 1);
}

static size_t
bits_at(size_t spans)
{
    return OS_PAGE + pages(spans * sizeof(struct span));
}

static size_t
data_at(size_t spans)
{
    return bits_at(spans) + pages(spans * sizeof *heap.bits);
}

static size_t
size_of(size_t spans)
{
    return data_at(spans) + spans * HEAP_SPAN;
}

static uint64_t
build(void)
{
    const uint64_t layout[] = {HEAP_VERSION, sizeof(struct heap_header),
                               sizeof(struct span), sizeof(struct slot)};
    const uint64_t sum =
        digest_bytes(DIGEST_START, WEFT_VERSION, sizeof WEFT_VERSION);

    return digest_bytes(digest_bytes(sum, layout, sizeof layout), heap_sizes,
                        sizeof heap_sizes);
}

/* The place last but for the size: who sees the size sees the place. */
static void
use(char *base, size_t spans)
{
    heap.header = (struct heap_header *)(void *)base;
    heap.spans = (struct span *)(void *)(base + OS_PAGE);
    heap.bits =
        (_Atomic uint64_t(*)[HEAP_WORDS])(void *)(base + bits_at(spans));
    heap.data = base + data_at(spans);
    atomic_store(&heap.dumped, 0);
    os_keep_out_of_core(base + OS_PAGE, size_of(spans) - OS_PAGE);
    atomic_store_explicit(&heap_first, (uintptr_t)base, memory_order_relaxed);
    /* release: pairs with acquire in heap_holds */
    atomic_store_explicit(&heap_bytes, size_of(spans), memory_order_release);
}

void
heap_dump(uint32_t end)
{
    uint32_t before = atomic_load_explicit(&heap.dumped, memory_order_relaxed);

    if (end <= before)
        return;
    end = (end + DUMP_STEP - 1) / DUMP_STEP * DUMP_STEP;
    end = end < heap.header->spans ? end : heap.header->spans;
    os_put_into_core(heap.data, (size_t)end * HEAP_SPAN);
    while (before < end &&
           !atomic_compare_exchange_weak(&heap.dumped, &before, end))
        ;
}

/* --- making it */

/* One of 128 places. */
static void *
some_place(void)
{
    const int64_t now = os_now();
    const uint64_t place = digest_bytes(DIGEST_START, &now, sizeof now) & 0x7f;

    return (void *)(uintptr_t)(PLACES + place * 64 * GIB);
}

/* A worker that is executed anew must find the same place free; so it is the
 * system's choice only where all others are taken. The first high one may hold
 * the heap of whom this process is a fork of. */
static int
map_somewhere(void **out, size_t size, int fd)
{
    for (unsigned i = 0; i <= HIGH_PLACES; i++) {
        void *place =
            i == 0 ? some_place()
                   : (void *)(uintptr_t)(HIGH_PLACE +
                                         (uintptr_t)(i - 1) * (128 * GIB));
        const int status =
            os_map_near(out, place, size, fd, OS_READ | OS_WRITE);

        if (status < 0 || *out == place)
            return status;
        os_unmap(*out, size);
        *out = NULL;
    }
    return os_map_near(out, NULL, size, fd, OS_READ | OS_WRITE);
}

static int
make(size_t spans)
{
    const size_t size = size_of(spans);
    const int fd = os_memfd("weft-heap", size);
    void *base = NULL;

    if (fd < 0)
        return fd;
    int status = map_somewhere(&base, size, fd);

    if (status == 0)
        status = os_fill_shared(base, OS_PAGE);
    if (status < 0) {
        if (base)
            os_unmap(base, size);
        os_close(fd);
        return status;
    }
    struct heap_header *header = base;

    header->magic = HEAP_MAGIC;
    header->build = build();
    header->base = (uintptr_t)base;
    header->size = size;
    header->spans = (uint32_t)spans;
    heap.fd = fd;
    use(base, spans);
    return 0;
}

/* --- how large */

static int
choose_size(size_t *wanted)
{
    const char *text = secure_getenv("WEFT_SHARED_SIZE");

    if (text && *text && !text_size(text, MOST, wanted))
        return why_set(WEFT_EINVAL,
                       "WEFT_SHARED_SIZE is '%.64s', which is not a size such "
                       "as 512M or 4G, up to 16384G",
                       text);
    if (*wanted == 0)
        *wanted = os_under_valgrind() ? 256 * MIB : 64 * GIB;
    return *wanted > MOST ? why_set(WEFT_EINVAL,
                                    "options.shared_size is %zu bytes, above "
                                    "16384 GiB",
                                    *wanted)
                          : 0;
}

/* What is asked for, or else the next size that the system has room for. Where
 * the address space is limited a part of it must be enough. */
static int
make_some(size_t wanted)
{
    const size_t steps[] = {64 * GIB, 16 * GIB,  4 * GIB,
                            GIB,      256 * MIB, 64 * MIB};
    const uint64_t limit = os_space_limit();
    const size_t most = limit == OS_NO_LIMIT ? MOST : (size_t)limit / 4;
    int status = -ENOMEM;

    if (wanted <= most)
        status = make((wanted + HEAP_SPAN - 1) / HEAP_SPAN);
    for (size_t i = 0; status < 0 && i < sizeof steps / sizeof *steps; i++)
        if (steps[i] < wanted && steps[i] <= most)
            status = make(steps[i] / HEAP_SPAN);
    return status;
}

static int
open_now(size_t wanted)
{
    if (heap_is_open())
        return 0;
    if (without)
        return why_set(WEFT_ENOTSUP, "%s", without);
    int status = choose_size(&wanted);

    if (status < 0)
        return status;
    status = make_some(wanted);
    return status < 0 ? why_system(status, "cannot make the shared heap") : 0;
}

int
heap_open(size_t wanted)
{
    lock_take(&opening);
    const int status = open_now(wanted);

    lock_give(&opening);
    return status;
}

bool
heap_is_open(void)
{
    /* acquire: pairs with release in use */
    return atomic_load_explicit(&heap_bytes, memory_order_acquire) != 0;
}

int
heap_fd(void)
{
    return heap.fd;
}

void *
heap_base(void)
{
    return heap_is_open() ? heap.header : NULL;
}

size_t
heap_room(void)
{
    return heap_is_open() ? (size_t)heap.header->spans * HEAP_SPAN : 0;
}

/* --- in other processes */

/* What the file says of itself. */
static int
check_file(int fd, const void *base, struct heap_header *header)
{
    const int status = os_file_get(fd, 0, header, sizeof *header);

    if (status < 0)
        return why_system(status, "cannot read the shared heap");
    if (header->magic != HEAP_MAGIC || header->build != build() ||
        header->base != (uintptr_t)base ||
        header->size != size_of(header->spans) ||
        os_file_size(fd) != (int64_t)header->size)
        return why_set(WEFT_EMISMATCH, "the shared heap is of another build");
    return 0;
}

static int
map_there(int fd, void *base)
{
    struct heap_header header;
    int status = check_file(fd, base, &header);

    if (status < 0)
        return status;
    status = os_map_at(base, header.size, fd, OS_READ | OS_WRITE);
    if (status == -EEXIST)
        return why_set(WEFT_EMISMATCH,
                       "the shared heap's %zu bytes at %p lie where this "
                       "process has something else",
                       (size_t)header.size, base);
    if (status < 0)
        return why_system(status, "cannot map the shared heap");
    use(base, header.spans);
    return 0;
}

int
heap_join(int fd, void *base)
{
    int status;

    lock_take(&opening);
    if (heap_is_open())
        status = why_set(WEFT_EMISMATCH,
                         "a shared heap was made before the worker could "
                         "have the program's");
    else
        status = map_there(fd, base);
    lock_give(&opening);
    os_close(fd);
    return status;
}

static void
forget(void)
{
    atomic_store(&heap_bytes, 0);
    atomic_store(&heap_first, 0);
    memset(&heap, 0, sizeof heap);
    heap.fd = -1;
}

void
heap_leave(const char *why)
{
    lock_take(&opening);
    without = why;
    if (heap_is_open()) {
        if (heap.fd >= 0)
            os_close(heap.fd);
        os_unmap(heap.header, heap.header->size);
        forget();
    }
    lock_give(&opening);
}

bool
heap_is_foreign(const void *at)
{
    return (uintptr_t)at - foreign.first < foreign.bytes;
}

void
heap_forked(bool ours)
{
    atomic_store(&opening.word, 0);
    if (ours) {
        heap.fd = -1; /* a worker keeps no descriptor but its own */
        return;
    }
    without = NULL;
    if (!heap_is_open())
        return;
    foreign.first = atomic_load(&heap_first);
    foreign.bytes = atomic_load(&heap_bytes);
    (void)os_protect(heap.header, foreign.bytes, OS_READ);
    if (heap.fd >= 0)
        os_close(heap.fd);
    forget();
}
