#include "registry/record.h"

#include "base/text.h"
#include "registry/label.h"
#include "registry/registry.h"
#include "registry/self.h"

#include <stdio.h>
#include <string.h>

enum {
    RETRIES = 100
};

void
record_text_put(_Atomic uint64_t *words, size_t count, const char *text)
{
    const size_t length = strnlen(text, count * 8 - 1);

    /* release: none is seen before the odd sequence. The end is always
     * written; what lies behind it is never read. */
    for (size_t i = 0; i <= length / 8; i++) {
        uint64_t word = 0;
        const size_t left = length - i * 8;

        memcpy(&word, text + i * 8, left < 8 ? left : 8);
        atomic_store_explicit(&words[i], word, memory_order_release);
    }
}

void
record_text_get(const _Atomic uint64_t *words, size_t count, char *text)
{
    for (size_t i = 0; i < count; i++) {
        const uint64_t word =
            atomic_load_explicit(&words[i], memory_order_acquire);

        memcpy(text + i * 8, &word, 8);
        if (memchr(text + i * 8, 0, 8))
            break;
    }
    text[count * 8 - 1] = '\0';
}

static unsigned
flags_of(const weft_worker *record)
{
    return ((unsigned)record->kind & SLOT_KIND) |
           (record->main ? SLOT_MAIN : 0) |
           (record->adopted ? SLOT_ADOPTED : 0) |
           (record->daemon ? SLOT_DAEMON : 0) |
           (record->service ? SLOT_SERVICE : 0) | SLOT_USED;
}

void
record_write(struct slot *slot, const weft_worker *record, int parent_pid)
{
    struct slot_identity *to = &slot->identity;
    const uint32_t sequence =
        atomic_load_explicit(&to->sequence, memory_order_relaxed) & ~1u;

    atomic_store_explicit(&to->sequence, sequence + 1, memory_order_relaxed);
    atomic_store_explicit(&to->pid, record->pid, memory_order_release);
    atomic_store_explicit(&to->tid, record->tid, memory_order_release);
    atomic_store_explicit(&to->parent, record->parent, memory_order_release);
    atomic_store_explicit(&to->parent_pid, (uint32_t)parent_pid,
                          memory_order_release);
    atomic_store_explicit(&to->started, record->since.ns, memory_order_release);
    record_text_put(to->name, 32, record->name);
    record_text_put(to->task, 8, record->task);
    atomic_store_explicit(&to->flags, flags_of(record), memory_order_release);
    atomic_store_explicit(&slot->hot.since, record->since.ns,
                          memory_order_relaxed);
    atomic_store_explicit(&slot->hot.state, record->state,
                          memory_order_relaxed);
    /* release: pairs with the first acquire in read_identity */
    atomic_store_explicit(&to->sequence, sequence + 2, memory_order_release);
}

static bool
read_identity(const struct slot_identity *from, weft_worker *out)
{
    for (int i = 0; i < RETRIES; i++) {
        const uint32_t before =
            atomic_load_explicit(&from->sequence, memory_order_acquire);

        if (before & 1)
            continue;
        const uint32_t flags =
            atomic_load_explicit(&from->flags, memory_order_acquire);

        out->kind = (weft_kind)(flags & SLOT_KIND);
        out->main = flags & SLOT_MAIN;
        out->adopted = flags & SLOT_ADOPTED;
        out->daemon = flags & SLOT_DAEMON;
        out->service = flags & SLOT_SERVICE;
        out->pid = atomic_load_explicit(&from->pid, memory_order_acquire);
        out->tid = atomic_load_explicit(&from->tid, memory_order_acquire);
        out->parent = atomic_load_explicit(&from->parent, memory_order_acquire);
        record_text_get(from->name, 32, out->name);
        record_text_get(from->task, 8, out->task);
        /* The acquire loads above keep this one behind them. */
        if (atomic_load_explicit(&from->sequence, memory_order_relaxed) ==
            before)
            return flags & SLOT_USED;
    }
    return false;
}

/* What is waited for, in words: a label, else what the kind of wait can say. */
static void
describe_wait(const struct slot_hot *hot, weft_worker *out)
{
    /* Addresses mean something in their own process only. */
    const bool own = out->pid == self_process()->pid;
    struct text text = text_over(out->waits_for, sizeof out->waits_for);
    const uint64_t object =
        atomic_load_explicit(&hot->object, memory_order_relaxed);
    const unsigned kind =
        atomic_load_explicit(&hot->kind, memory_order_relaxed);
    char label[TEXT_NAME];

    if (own && label_find((const void *)(uintptr_t)object, label))
        text_add(&text, "%s", label);
    else if (kind == SLOT_WAIT_SLEEP)
        text_add(&text, "time");
    else if (kind == SLOT_WAIT_JOIN)
        text_add(&text, "the end of %llu", (unsigned long long)object);
    else if (kind == SLOT_WAIT_ANY)
        text_add(&text, "any of %llu", (unsigned long long)object);
    else if (kind == SLOT_WAIT_PIPE)
        text_add(&text, "the pipe %llu", (unsigned long long)object);
    else if (object)
        text_add(&text, "0x%llx", (unsigned long long)object);
}

static void
read_hot(const struct slot_hot *hot, weft_worker *out)
{
    const unsigned state =
        atomic_load_explicit(&hot->state, memory_order_relaxed);

    out->state = state <= WEFT_ENDED ? (weft_state)state : WEFT_RUNNING;
    out->since.ns = atomic_load_explicit(&hot->since, memory_order_relaxed);
    out->stopping =
        atomic_load_explicit(&hot->stopping, memory_order_relaxed) != 0;
    if (out->state != WEFT_WAITING)
        return;
    out->wait_until.ns =
        atomic_load_explicit(&hot->until, memory_order_relaxed);
    out->holder = atomic_load_explicit(&hot->holder, memory_order_relaxed);
    describe_wait(hot, out);
}

bool
record_read(const struct slot *slot, weft_worker *out)
{
    memset(out, 0, sizeof *out);
    if (!read_identity(&slot->identity, out))
        return false;
    read_hot(&slot->hot, out);
    out->id = registry_id(slot);
    text_clean(out->name);
    text_clean(out->task);
    return true;
}
