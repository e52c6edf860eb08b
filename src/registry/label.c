/* Labels lie in the registry's file; which label an object has is found through
 * an index in private memory: open addressing, entries 0 (never used) or label
 * number + 1, set once by compare-and-swap and never cleared. A label that was
 * taken away keeps its place in the index and may serve another object whose
 * probe meets it. A label is changed by whoever makes its sequence odd. */
#include "registry/label.h"

#include "base/why.h"
#include "os/os.h"
#include "registry/record.h"
#include "registry/registry.h"
#include "registry/self.h"

#include <weft/worker.h>

#include <string.h>

enum {
    INDEX = 2 * LABEL_MOST,
    PROBES = 128
};

static _Atomic(_Atomic uint32_t *) index_here; /* NULL until the first label */
static _Atomic uint64_t page_left; /* page << 8 | labels left in it, else 0 */

static struct label *
label_at(unsigned number)
{
    return (struct label *)(void *)((char *)registry_labels() +
                                    (size_t)number * LABEL_SIZE);
}

static unsigned
hash(const void *object)
{
    return (unsigned)(((uintptr_t)object * UINT64_C(0x9e3779b97f4a7c15)) >>
                      (64 - 17));
}

static _Atomic uint32_t *
get_index(void)
{
    _Atomic uint32_t *here = atomic_load(&index_here);
    void *fresh;

    if (here)
        return here;
    if (os_map(&fresh, INDEX * sizeof *here, -1, OS_READ | OS_WRITE) < 0)
        return NULL;
    if (atomic_compare_exchange_strong(&index_here, &here, fresh))
        return fresh;
    os_unmap(fresh, INDEX * sizeof *here); /* somebody was faster */
    return here;
}

static int
claim_page(void)
{
    const uint32_t pid = (uint32_t)os_process_id();

    for (unsigned p = 0; p < LABEL_PAGES; p++) {
        uint32_t none = 0;

        if (atomic_load_explicit(&registry_label_owners()[p],
                                 memory_order_relaxed) != 0 ||
            !atomic_compare_exchange_strong(&registry_label_owners()[p], &none,
                                            pid))
            continue;
        const int status =
            os_protect(label_at(p * LABEL_PAGE), OS_PAGE, OS_READ | OS_WRITE);

        if (status < 0)
            return why_system(status, "cannot open a page of labels");
        return (int)p;
    }
    return why_set(WEFT_EAGAIN, "all %d labels are taken", LABEL_MOST);
}

/* The number of a label that no object has yet. */
static int
fresh_label(void)
{
    uint64_t left = atomic_load(&page_left);

    for (;;) {
        if ((left & 0xff) == 0) {
            const int page = claim_page();

            if (page < 0)
                return page;
            /* Claimers that race leave up to seven labels unused. */
            atomic_store(&page_left, (uint64_t)page << 8 | (LABEL_PAGE - 1));
            return page * LABEL_PAGE + LABEL_PAGE - 1;
        }
        if (atomic_compare_exchange_weak(&page_left, &left, left - 1))
            return (int)((left >> 8) * LABEL_PAGE + (left & 0xff) - 1);
    }
}

static uint32_t
label_lock(struct label *label)
{
    for (;;) {
        uint32_t sequence =
            atomic_load_explicit(&label->sequence, memory_order_relaxed) & ~1u;

        if (atomic_compare_exchange_weak_explicit(
                &label->sequence, &sequence, sequence + 1, memory_order_acquire,
                memory_order_relaxed))
            return sequence;
        os_pause();
    }
}

/* Gives the label to the object if it is free or the object's already. */
static bool
label_write(struct label *label, const void *object, const char *name)
{
    const uint32_t sequence = label_lock(label);
    const uint64_t whose =
        atomic_load_explicit(&label->object, memory_order_relaxed);
    const bool ok = whose == 0 || whose == (uintptr_t)object;

    if (ok) {
        record_text_put(label->name, 32, name ? name : "");
        atomic_store_explicit(&label->pid, (uint32_t)os_process_id(),
                              memory_order_release);
        atomic_store_explicit(&label->object, name ? (uintptr_t)object : 0,
                              memory_order_release);
    }
    /* release: pairs with the first acquire in label_read */
    atomic_store_explicit(&label->sequence, sequence + 2, memory_order_release);
    return ok;
}

static bool
label_read(const struct label *label, const void *object, char *out)
{
    for (int i = 0; i < 100; i++) {
        const uint32_t before =
            atomic_load_explicit(&label->sequence, memory_order_acquire);

        if (before & 1)
            continue;
        const uint64_t whose =
            atomic_load_explicit(&label->object, memory_order_acquire);

        record_text_get(label->name, 32, out);
        if (atomic_load_explicit(&label->sequence, memory_order_relaxed) ==
            before)
            return whose == (uintptr_t)object;
    }
    return false;
}

bool
label_find(const void *object, char out[TEXT_NAME])
{
    const _Atomic uint32_t *here = atomic_load(&index_here);

    for (unsigned i = 0; here && object && i < PROBES; i++) {
        const uint32_t entry = atomic_load_explicit(
            &here[(hash(object) + i) % INDEX], memory_order_acquire);

        if (entry == 0)
            return false;
        if (label_read(label_at(entry - 1), object, out))
            return true;
    }
    return false;
}

static bool
has_label(const _Atomic uint32_t *entry, const void *object)
{
    const uint32_t number = atomic_load_explicit(entry, memory_order_acquire);

    return number &&
           atomic_load_explicit(&label_at(number - 1)->object,
                                memory_order_acquire) == (uintptr_t)object;
}

/* Puts a fresh label into an empty place of the index. */
static int
place_fresh(_Atomic uint32_t *entry, const void *object, const char *name)
{
    const int number = fresh_label();
    uint32_t empty = 0;

    if (number < 0)
        return number;
    label_write(label_at((unsigned)number), object, name);
    if (atomic_compare_exchange_strong(entry, &empty, (uint32_t)number + 1))
        return 0;
    /* Somebody took the place meanwhile: let the object look again. The label
     * stays unused, which the rarity of the race pays for. */
    label_write(label_at((unsigned)number), object, NULL);
    return 1;
}

static int
label_set(_Atomic uint32_t *here, const void *object, const char *name)
{
    const unsigned start = hash(object);

    for (unsigned i = 0; i < PROBES; i++)
        if (has_label(&here[(start + i) % INDEX], object) &&
            label_write(label_at(here[(start + i) % INDEX] - 1), object, name))
            return 0;
    for (unsigned i = 0; name && i < PROBES; i++) {
        _Atomic uint32_t *entry = &here[(start + i) % INDEX];
        int status = 1;

        if (atomic_load(entry) == 0)
            status = place_fresh(entry, object, name);
        if (status <= 0)
            return status;
        if (label_write(label_at(atomic_load(entry) - 1), object, name))
            return 0;
    }
    return name ? why_set(WEFT_EAGAIN, "all %d labels are taken", LABEL_MOST)
                : 0;
}

int
weft_label(const void *object, const char *name)
{
    const char *fault = name ? text_name_fault(name) : NULL;

    if (!object)
        return why_set(WEFT_EINVAL, "weft_label: object is NULL");
    if (fault)
        return why_set(WEFT_EINVAL, "weft_label: %s", fault);
    self_get(); /* opens the registry */
    if (!registry_is_open())
        return why_set(WEFT_ENOMEM, "weft_label: there is no registry");
    _Atomic uint32_t *here = get_index();

    if (!here)
        return why_because(WEFT_ENOMEM, "weft_label");
    return label_set(here, object, name);
}

void
label_forked(void)
{
    _Atomic uint32_t *here = atomic_exchange(&index_here, NULL);

    atomic_store(&page_left, 0);
    if (here)
        os_unmap((void *)here, INDEX * sizeof *here);
}
