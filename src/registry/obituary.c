/* What the last few threads were called that ended holding something: a ring in
 * the registry's header, which all write. */
#include "base/text.h"
#include "registry/record.h"
#include "registry/registry.h"

#include <string.h>

static bool
is_of_process(const struct slot *slot, weft_worker *out, int pid)
{
    return record_read(slot, out) && out->kind == WEFT_PROCESS &&
           out->pid == pid;
}

/* Main threads go by the name of their process, which is what people gave. */
static void
name_process(const struct slot *slot, weft_worker *worker)
{
    const unsigned first = registry_id(slot) & ~(SLOT_BLOCK - 1u);
    weft_worker process;

    for (unsigned id = first; id < registry_id(slot); id++) {
        const struct slot *at = registry_slot(id);

        if (at && is_of_process(at, &process, worker->pid)) {
            memcpy(worker->name, process.name, sizeof process.name);
            return;
        }
    }
}

bool
registry_line(const struct slot *slot, char out[TEXT_NAME])
{
    weft_worker worker;
    struct text text = text_over(out, TEXT_NAME);

    if (!record_read(slot, &worker))
        return false;
    if (worker.main)
        name_process(slot, &worker);
    text_add(&text, "'%s' (pid %d, tid %d)", worker.name, worker.pid,
             worker.tid);
    return true;
}

void
registry_bury(const struct slot *slot)
{
    struct registry_header *header = registry_header_of();
    char line[TEXT_NAME];

    if (!header || !registry_line(slot, line))
        return;
    struct registry_obituary *obituary =
        &header->obituaries[atomic_fetch_add(&header->buried, 1) %
                            REGISTRY_OBITUARIES];

    atomic_store_explicit(&obituary->owner, 0, memory_order_relaxed);
    record_text_put(obituary->text, 32, line);
    /* release: who finds the owner finds the text */
    atomic_store_explicit(
        &obituary->owner,
        atomic_load_explicit(&slot->owner, memory_order_relaxed),
        memory_order_release);
}

bool
registry_obituary(uint32_t owner, char out[TEXT_NAME])
{
    struct registry_header *header = registry_header_of();

    for (unsigned i = 0; header && i < REGISTRY_OBITUARIES; i++) {
        struct registry_obituary *obituary = &header->obituaries[i];

        if (atomic_load_explicit(&obituary->owner, memory_order_acquire) !=
            owner)
            continue;
        record_text_get(obituary->text, 32, out);
        text_clean(out);
        return true;
    }
    return false;
}
