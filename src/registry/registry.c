/* Claiming. Two words decide, and both are only ever changed by compare-and-
 * swap or fetch-or:
 *
 *   owners[b], in the file   0 = free, else the pid of the process that may
 *                            write block b. 0 -> pid by the claimer; pid -> 0
 * by itself, by whoever reaps it, or by a claimer that finds all blocks taken
 * and this pid dead vacant[b], in the process  bit s set = slot s of our block
 * b is empty. Legal to be cleared and not yet used; never set for a block that
 * is not ours. release in registry_release pairs with acquire in take_slot: the
 * next owner sees the slot cleared
 */
#include "registry/registry.h"

#include "base/why.h"
#include "os/os.h"
#include "registry/recorder.h"

#include <weft/status.h>

#include <errno.h>
#include <stdlib.h>
#include <string.h>

enum {
    PAGE = OS_PAGE,
    STRIDE = 2 * PAGE, /* from slot to slot */
    BLOCK_BYTES = SLOT_BLOCK * STRIDE,
    OWNER_BYTES = LABEL_PAGES * 4,
    SWEEPS = 1000 /* while others are clearing blocks */
};

#define CONDEMNED 0x80000000u

static struct {
    int fd;
    char *base; /* NULL = not open */
    size_t size;
    unsigned blocks;
    size_t labels_at;
} registry = {.fd = -1}; /* read-only between open and fork */

static _Atomic uint64_t vacant[SLOT_BLOCKS];
static atomic_bool mine[SLOT_BLOCKS]; /* writable in this process */
static _Atomic unsigned mine_end;     /* all blocks of ours are below it */

static struct registry_header *
header(void)
{
    return (struct registry_header *)(void *)registry.base;
}

struct registry_header *
registry_header_of(void)
{
    return registry.base ? header() : NULL;
}

static _Atomic uint32_t *
owners(void)
{
    return (_Atomic uint32_t *)(void *)(registry.base + PAGE);
}

static struct slot *
slot_at(unsigned id)
{
    return (struct slot *)(void *)(registry.base + (size_t)id * STRIDE);
}

static char *
block_at(unsigned block)
{
    return registry.base + (size_t)block * BLOCK_BYTES;
}

/* The header's two pages lie where slot 0 would. */
static int
protect_block(unsigned block, unsigned access)
{
    char *at = block_at(block);
    size_t size = BLOCK_BYTES;

    if (block == 0) {
        at += STRIDE;
        size -= STRIDE;
    }
    return os_protect(at, size, access);
}

static int
open_file(size_t size)
{
    const char *path = secure_getenv("WEFT_REGISTRY");

    return path && *path ? os_file_make(path, size)
                         : os_memfd("weft-registry", size);
}

static size_t
labels_after(unsigned blocks)
{
    return (size_t)blocks * BLOCK_BYTES;
}

static size_t
size_of(unsigned blocks)
{
    return labels_after(blocks) + OWNER_BYTES + (size_t)LABEL_MOST * LABEL_SIZE;
}

/* Keeps the descriptor, or closes it when it fails. */
static int
map_file(unsigned blocks, int fd)
{
    const size_t labels_at = labels_after(blocks);
    const size_t size = size_of(blocks);
    void *base = NULL;

    if (fd < 0)
        return fd;
    int status = os_map(&base, size, fd, OS_READ);

    if (status == 0)
        status = os_protect(base, STRIDE, OS_READ | OS_WRITE);
    if (status == 0)
        status = os_protect((char *)base + labels_at, OWNER_BYTES,
                            OS_READ | OS_WRITE);
    if (status < 0) {
        if (base)
            os_unmap(base, size);
        os_close(fd);
        return status;
    }
    os_keep_out_of_core(base, size);
    registry.fd = fd;
    registry.size = size;
    registry.blocks = blocks;
    registry.labels_at = labels_at;
    registry.base = base;
    return 0;
}

int
registry_open(void)
{
    int status = -ENOMEM;

    /* Address space may be limited: less room is better than none. */
    for (unsigned blocks = SLOT_BLOCKS; status == -ENOMEM && blocks;
         blocks /= 8)
        status = map_file(blocks, open_file(size_of(blocks)));
    if (status < 0)
        return why_system(status, "cannot make the registry");
    *header() = (struct registry_header){
        .magic = REGISTRY_MAGIC,
        .version = REGISTRY_VERSION,
        .slots = registry.blocks * SLOT_BLOCK,
        .slot_size = STRIDE,
        .label_size = LABEL_SIZE,
        .labels_at = registry.labels_at,
        .root = os_process_id(),
        .made = os_now(),
    };
    return 0;
}

int
registry_join(int fd)
{
    for (unsigned blocks = SLOT_BLOCKS; blocks; blocks /= 8)
        if (os_file_size(fd) == (int64_t)size_of(blocks)) {
            const int status = map_file(blocks, fd);

            if (status < 0)
                return why_system(status, "cannot map the registry");
            os_close(fd);
            registry.fd = -1;
            return 0;
        }
    os_close(fd);
    return why_set(WEFT_EMISMATCH, "the registry is of another build");
}

int
registry_fd(void)
{
    return registry.fd;
}

bool
registry_is_open(void)
{
    return registry.base != NULL;
}

void
registry_forked(bool ours)
{
    const unsigned end = atomic_exchange(&mine_end, 0);

    recorder_forked(ours);
    for (unsigned b = 0; b < end; b++) {
        atomic_store_explicit(&vacant[b], 0, memory_order_relaxed);
        if (atomic_exchange_explicit(&mine[b], false, memory_order_relaxed))
            (void)protect_block(b, OS_READ);
    }
    if (ours) {
        registry.fd = -1; /* a worker keeps no descriptor but its own */
        return;
    }
    if (!registry.base)
        return;
    os_unmap(registry.base, registry.size);
    if (registry.fd >= 0)
        os_close(registry.fd);
    registry.fd = -1;
    registry.base = NULL;
    registry.blocks = 0;
}

static bool
is_dead(uint32_t pid)
{
    const int fd = os_pidfd_open((int)pid);

    if (fd >= 0)
        os_close(fd);
    return fd == -ESRCH || fd == -EINVAL; /* no process has such a number */
}

/* Gives the pages of a block's slots back, which clears them. Where private
 * pages lie between them the range is not taken as a whole. */
static void
discard_block(unsigned block)
{
    const unsigned first = block == 0 ? 1 : 0;

    if (os_discard_shared(block_at(block) + (size_t)first * STRIDE,
                          BLOCK_BYTES - (size_t)first * STRIDE) == 0)
        return;
    for (unsigned s = first; s < SLOT_BLOCK; s++)
        (void)os_discard_shared(slot_at(block * SLOT_BLOCK + s), PAGE);
}

static _Atomic uint32_t *
block_owner(unsigned block)
{
    return &slot_at(block * SLOT_BLOCK + (block == 0))->block_owner;
}

/* The owners' page is everybody's to scribble over, a block its owner's alone:
 * where the two differ the block is right, as long as that process lives. Who
 * it is, if not `pid`; else 0. */
static uint32_t
other_owner(unsigned block, uint32_t pid)
{
    const uint32_t owner =
        atomic_load_explicit(block_owner(block), memory_order_acquire);

    return owner && owner != pid && !is_dead(owner) ? owner : 0;
}

/* Takes the block from its dead owner, clears it and sets it free. Only who
 * wins the compare-and-swap does so. */
static void
free_block(unsigned block, uint32_t owner)
{
    const uint32_t us = (uint32_t)os_process_id() | CONDEMNED;
    const uint32_t pid = owner & ~CONDEMNED;

    if (atomic_load(&mine[block]) ||
        !atomic_compare_exchange_strong(&owners()[block], &owner, us))
        return;
    const uint32_t other = other_owner(block, pid);

    if (other) {
        atomic_store(&owners()[block], other);
        return;
    }
    if (protect_block(block, OS_READ | OS_WRITE) == 0) {
        discard_block(block);
        (void)protect_block(block, OS_READ);
    }
    atomic_store(&header()->used[block], 0);
    atomic_store(&owners()[block], 0);
}

void
registry_condemn(int pid)
{
    for (unsigned b = 0; b < registry.blocks; b++) {
        uint32_t owner =
            atomic_load_explicit(&owners()[b], memory_order_relaxed);

        if (owner == (uint32_t)pid)
            atomic_compare_exchange_strong(&owners()[b], &owner,
                                           owner | CONDEMNED);
    }
}

void
registry_reclaim(int pid)
{
    const uint32_t owner = (uint32_t)pid | CONDEMNED;

    for (unsigned b = 0; b < registry.blocks; b++)
        if (atomic_load_explicit(&owners()[b], memory_order_relaxed) == owner)
            free_block(b, owner);
}

/* Processes whose parent died too were reaped by nobody here. Whether blocks
 * were freed, or are just being freed by somebody else. */
static bool
sweep(void)
{
    bool hope = false;

    for (unsigned b = 0; b < registry.blocks; b++) {
        const uint32_t owner = atomic_load(&owners()[b]);

        if (atomic_load(&mine[b]))
            continue;
        if (owner && is_dead(owner & ~CONDEMNED)) {
            free_block(b, owner);
            hope = true;
        }
        hope = hope || owner == 0 || owner & CONDEMNED;
    }
    return hope;
}

static void
raise_to(_Atomic unsigned *word, unsigned least)
{
    unsigned now = atomic_load(word);

    while (now < least && !atomic_compare_exchange_weak(word, &now, least))
        ;
}

/* One that is free as far as the owners' page says. Nothing of a last owner's
 * is left in it. -EBUSY: it is not free. */
static int
enter_block(unsigned block, uint32_t pid)
{
    const uint32_t other = other_owner(block, pid);

    if (other) {
        atomic_store(&owners()[block], other);
        return -EBUSY;
    }
    const int status = protect_block(block, OS_READ | OS_WRITE);

    if (status < 0) {
        atomic_store(&owners()[block], 0);
        return status;
    }
    if (atomic_load(block_owner(block)) != 0)
        discard_block(block);
    atomic_store(block_owner(block), pid);
    return 0;
}

static int
claim_block(void)
{
    const uint32_t pid = (uint32_t)os_process_id();

    for (unsigned b = 0; b < registry.blocks; b++) {
        uint32_t none = 0;

        if (atomic_load(&mine[b]) ||
            atomic_load_explicit(&owners()[b], memory_order_relaxed) != 0 ||
            !atomic_compare_exchange_strong(&owners()[b], &none, pid))
            continue;
        const int status = enter_block(b, pid);

        if (status == -EBUSY)
            continue;
        if (status < 0)
            return why_system(status, "cannot open a block of the registry");
        atomic_store(&mine[b], true);
        raise_to(&mine_end, b + 1);
        /* There is no slot 0: the header lies there. */
        atomic_fetch_or(&vacant[b], b == 0 ? ~UINT64_C(1) : ~UINT64_C(0));
        return 0;
    }
    return why_set(WEFT_EAGAIN, "all %u slots of the registry are taken",
                   registry.blocks * SLOT_BLOCK - 1);
}

static void
note_used(unsigned block, unsigned s)
{
    uint8_t now = atomic_load(&header()->used[block]);

    while (
        (now & ~SLOT_SHARES) <= s &&
        !atomic_compare_exchange_weak(&header()->used[block], &now,
                                      (uint8_t)((now & SLOT_SHARES) | (s + 1))))
        ;
}

static struct slot *
take_slot(void)
{
    const unsigned end = atomic_load(&mine_end);

    for (unsigned b = 0; b < end; b++) {
        uint64_t bits = atomic_load_explicit(&vacant[b], memory_order_relaxed);

        while (bits) {
            const unsigned s = (unsigned)__builtin_ctzll(bits);

            /* acquire: pairs with release in registry_release */
            if (atomic_compare_exchange_weak_explicit(
                    &vacant[b], &bits, bits & ~(UINT64_C(1) << s),
                    memory_order_acquire, memory_order_relaxed)) {
                note_used(b, s);
                return slot_at(b * SLOT_BLOCK + s);
            }
        }
    }
    return NULL;
}

static void
clear_hot(struct slot_hot *hot)
{
    atomic_store_explicit(&hot->state, 0, memory_order_release);
    atomic_store_explicit(&hot->since, 0, memory_order_release);
    atomic_store_explicit(&hot->until, 0, memory_order_release);
    atomic_store_explicit(&hot->object, 0, memory_order_release);
    atomic_store_explicit(&hot->kind, 0, memory_order_release);
    atomic_store_explicit(&hot->holder, 0, memory_order_release);
    atomic_store_explicit(&hot->stopping, 0, memory_order_release);
    atomic_store_explicit(&hot->shield, 0, memory_order_release);
}

/* The low half finds the slot, the upper one tells its owners apart. */
static uint32_t
new_owner(const struct slot *slot)
{
    const uint32_t claim =
        atomic_fetch_add_explicit(&header()->claims, 1, memory_order_relaxed);

    return registry_id(slot) | (claim & 0x3fff) << 16;
}

/* Removes what the last one in it left; readers see one or the other. */
static struct slot *
cleared(struct slot *slot)
{
    struct slot_identity *identity = &slot->identity;
    const uint32_t sequence =
        atomic_load_explicit(&identity->sequence, memory_order_relaxed) & ~1u;

    atomic_store_explicit(&identity->sequence, sequence + 1,
                          memory_order_relaxed);
    atomic_store_explicit(&identity->flags, 0, memory_order_release);
    atomic_store_explicit(&identity->pid, 0, memory_order_release);
    atomic_store_explicit(&identity->tid, 0, memory_order_release);
    atomic_store_explicit(&identity->parent, 0, memory_order_release);
    atomic_store_explicit(&identity->parent_pid, 0, memory_order_release);
    atomic_store_explicit(&identity->started, 0, memory_order_release);
    atomic_store_explicit(&identity->name[0], 0, memory_order_release);
    atomic_store_explicit(&identity->task[0], 0, memory_order_release);
    clear_hot(&slot->hot);
    atomic_store_explicit(&slot->held_count, 0, memory_order_release);
    atomic_store_explicit(&slot->stack_count, 0, memory_order_release);
    atomic_store_explicit(&slot->call.object, 0, memory_order_release);
    atomic_store_explicit(&slot->granted.object, 0, memory_order_release);
    atomic_store_explicit(&slot->heap_taken, 0, memory_order_release);
    atomic_store_explicit(&slot->owner, new_owner(slot), memory_order_release);
    atomic_store_explicit(&identity->sequence, sequence + 2,
                          memory_order_release);
    return slot;
}

struct slot *
registry_claim(void)
{
    struct slot *slot = take_slot();
    int status = 0;

    while (!slot && status == 0) {
        status = claim_block();
        for (int i = 0; i < SWEEPS && status == WEFT_EAGAIN && sweep(); i++) {
            os_pause();
            status = claim_block();
        }
        if (status == 0)
            slot = take_slot(); /* others may have been faster */
    }
    return slot ? cleared(slot) : NULL;
}

void
registry_renew(struct slot *slot)
{
    atomic_store_explicit(&slot->owner, new_owner(slot), memory_order_release);
}

void
registry_release(struct slot *slot)
{
    const unsigned id = registry_id(slot);

    atomic_store_explicit(&slot->identity.flags, 0, memory_order_release);
    atomic_store_explicit(&slot->hot.state, 0, memory_order_relaxed);
    atomic_store_explicit(&slot->hot.kind, 0, memory_order_relaxed);
    atomic_store_explicit(&slot->owner, 0, memory_order_release);
    atomic_fetch_or_explicit(&vacant[id / SLOT_BLOCK],
                             UINT64_C(1) << id % SLOT_BLOCK,
                             memory_order_release);
}

unsigned
registry_id(const struct slot *slot)
{
    if (!slot)
        return 0;
    return (unsigned)((size_t)((const char *)slot - registry.base) / STRIDE);
}

const struct slot *
registry_slot(unsigned id)
{
    return id && id < registry.blocks * SLOT_BLOCK ? slot_at(id) : NULL;
}

/* Below it lie the slots that may say something of shared objects. */
static unsigned
shared_end(unsigned block)
{
    const uint8_t used =
        atomic_load_explicit(&header()->used[block], memory_order_acquire);
    const unsigned end = used & ~SLOT_SHARES;

    return !(used & SLOT_SHARES) ? 0 : end < SLOT_BLOCK ? end : SLOT_BLOCK;
}

void
registry_share(const struct slot *slot)
{
    atomic_fetch_or(&header()->used[registry_id(slot) / SLOT_BLOCK],
                    SLOT_SHARES);
}

static bool
is_owned(const struct slot *slot)
{
    return atomic_load_explicit(&slot->owner, memory_order_acquire) != 0;
}

void
registry_each_condemned(int pid, void (*fn)(const struct slot *slot))
{
    const uint32_t owner = (uint32_t)pid | CONDEMNED;

    for (unsigned b = 0; b < registry.blocks; b++) {
        if (atomic_load_explicit(&owners()[b], memory_order_relaxed) != owner)
            continue;
        const unsigned first = b == 0 ? 1 : 0, end = shared_end(b);

        if (first >= end || other_owner(b, (uint32_t)pid))
            continue;
        for (unsigned s = first; s < end; s++)
            if (is_owned(slot_at(b * SLOT_BLOCK + s)))
                fn(slot_at(b * SLOT_BLOCK + s));
    }
}

void
registry_each_living(void (*fn)(const struct slot *slot, void *context),
                     void *context)
{
    for (unsigned b = 0; b < registry.blocks; b++) {
        if (atomic_load_explicit(&owners()[b], memory_order_acquire) == 0)
            continue;
        for (unsigned s = b == 0 ? 1 : 0; s < shared_end(b); s++) {
            const struct slot *slot = slot_at(b * SLOT_BLOCK + s);

            if (is_owned(slot) && !(atomic_load(&slot->certificate) & OS_DIED))
                fn(slot, context);
        }
    }
}

const struct slot *
registry_owner_slot(uint32_t owner)
{
    const struct slot *slot =
        owner & REGISTRY_NO_SLOT ? NULL : registry_slot(owner & 0xffff);

    return slot && atomic_load_explicit(&slot->owner, memory_order_acquire) ==
                       owner
               ? slot
               : NULL;
}

bool
registry_owner_lives(uint32_t owner)
{
    const struct slot *slot = registry_owner_slot(owner);

    if (owner & REGISTRY_NO_SLOT)
        return os_thread_lives((int)(owner & ~REGISTRY_NO_SLOT));
    return slot &&
           !(atomic_load_explicit(&slot->certificate, memory_order_acquire) &
             OS_DIED);
}

int
registry_owner_tid(uint32_t owner)
{
    const struct slot *slot = registry_owner_slot(owner);

    if (owner & REGISTRY_NO_SLOT)
        return (int)(owner & ~REGISTRY_NO_SLOT);
    return slot
               ? atomic_load_explicit(&slot->identity.tid, memory_order_relaxed)
               : 0;
}

struct slot *
registry_next(unsigned after)
{
    const unsigned end = atomic_load(&mine_end) * SLOT_BLOCK;
    unsigned id = after + 1;

    while (id < end) {
        const unsigned block = id / SLOT_BLOCK;
        const uint64_t taken =
            atomic_load_explicit(&mine[block], memory_order_relaxed)
                ? ~atomic_load(&vacant[block]) >> id % SLOT_BLOCK
                : 0;

        if (taken == 0) {
            id = (block + 1) * SLOT_BLOCK;
            continue;
        }
        id += (unsigned)__builtin_ctzll(taken);
        struct slot *slot = id ? slot_at(id) : NULL;

        if (slot &&
            atomic_load_explicit(&slot->identity.flags, memory_order_acquire) &
                SLOT_USED)
            return slot;
        id++;
    }
    return NULL;
}

_Atomic uint32_t *
registry_label_owners(void)
{
    return (_Atomic uint32_t *)(void *)(registry.base + registry.labels_at);
}

struct label *
registry_labels(void)
{
    return (struct label *)(void *)(registry.base + registry.labels_at +
                                    OWNER_BYTES);
}
