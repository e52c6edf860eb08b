/* Labels lie in the registry's file; which label an object has is found through
 * an index in private memory: open addressing, entries EMPTY (never used), GONE
 * (its label was taken away) or label number + 1. Writers take turns; readers
 * take none: they follow an entry and believe the label only if it names the
 * object and its sequence stood still. A freed label's number waits in a list
 * through the labels themselves. */
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
    PROBES = 512,
    EMPTY = 0
};

#define GONE UINT32_MAX

static _Atomic(_Atomic uint32_t *) index_here; /* NULL until the first label */

/* Under `writing`. */
static struct {
    atomic_flag writing;
    uint32_t first_free; /* number + 1 of a freed label; the next one's is in
                            its pid */
    uint32_t page, left; /* labels left in the page claimed last */
} labels = {.writing = ATOMIC_FLAG_INIT};

/* For a few hundred instructions, which nothing interrupts but the scheduler.
 */
static void
write_begin(void)
{
    while (atomic_flag_test_and_set_explicit(&labels.writing,
                                             memory_order_acquire))
        os_pause();
}

static void
write_end(void)
{
    atomic_flag_clear_explicit(&labels.writing, memory_order_release);
}

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

/* The number of a label that no object has. */
static int
fresh_label(void)
{
    const uint32_t freed = labels.first_free;

    if (freed) {
        labels.first_free = atomic_load(&label_at(freed - 1)->pid);
        return (int)(freed - 1);
    }
    if (labels.left == 0) {
        const int page = claim_page();

        if (page < 0)
            return page;
        labels.page = (uint32_t)page;
        labels.left = LABEL_PAGE;
    }
    return (int)(labels.page * LABEL_PAGE + --labels.left);
}

/* `object` NULL: nobody's. */
static void
label_write(struct label *label, const void *object, const char *name,
            uint32_t pid)
{
    const uint32_t sequence =
        atomic_load_explicit(&label->sequence, memory_order_relaxed) & ~1u;

    atomic_store_explicit(&label->sequence, sequence + 1, memory_order_relaxed);
    record_text_put(label->name, 32, name);
    atomic_store_explicit(&label->pid, pid, memory_order_release);
    atomic_store_explicit(&label->object, (uintptr_t)object,
                          memory_order_release);
    /* release: pairs with the first acquire in label_read */
    atomic_store_explicit(&label->sequence, sequence + 2, memory_order_release);
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

        if (entry == EMPTY)
            return false;
        if (entry != GONE && label_read(label_at(entry - 1), object, out))
            return true;
    }
    return false;
}

/* The object's entry, else where it could get one, else NULL. */
static _Atomic uint32_t *
find_entry(_Atomic uint32_t *here, const void *object, bool *found)
{
    _Atomic uint32_t *usable = NULL;

    *found = false;
    for (unsigned i = 0; i < PROBES; i++) {
        _Atomic uint32_t *at = &here[(hash(object) + i) % INDEX];
        const uint32_t entry = atomic_load_explicit(at, memory_order_relaxed);

        if ((entry == EMPTY || entry == GONE) && !usable)
            usable = at;
        if (entry == EMPTY)
            break;
        if (entry != GONE &&
            atomic_load(&label_at(entry - 1)->object) == (uintptr_t)object) {
            *found = true;
            return at;
        }
    }
    return usable;
}

static void
take_away(_Atomic uint32_t *entry)
{
    const uint32_t number = atomic_load(entry);

    atomic_store(entry, GONE);
    label_write(label_at(number - 1), NULL, "", labels.first_free);
    labels.first_free = number;
}

static int
label_set(_Atomic uint32_t *here, const void *object, const char *name)
{
    const uint32_t pid = (uint32_t)self_process()->pid;
    bool found;
    _Atomic uint32_t *entry = find_entry(here, object, &found);

    if (!name) {
        if (found)
            take_away(entry);
        return 0;
    }
    if (!entry)
        return why_set(WEFT_EAGAIN, "the index of labels is full");
    const int number = found ? (int)atomic_load(entry) - 1 : fresh_label();

    if (number < 0)
        return number;
    label_write(label_at((unsigned)number), object, name, pid);
    atomic_store_explicit(entry, (uint32_t)number + 1, memory_order_release);
    return 0;
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
    write_begin();
    const int status = label_set(here, object, name);

    write_end();
    return status;
}

void
label_forked(void)
{
    _Atomic uint32_t *here = atomic_exchange(&index_here, NULL);

    labels.first_free = labels.left = 0;
    write_end(); /* whoever wrote is not here */
    if (here)
        os_unmap((void *)here, INDEX * sizeof *here);
}
