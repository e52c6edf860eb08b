/* Between slots and records: writing an identity, reading a slot whole. */
#ifndef REGISTRY_RECORD_H
#define REGISTRY_RECORD_H

#include "registry/slot.h"

#include <weft/worker.h>

#include <stdbool.h>

/* Copies the record's identity into the slot. The slot's one writer. */
void record_write(struct slot *slot, const weft_worker *record, int parent_pid);

/* Reads a slot of any process into a record; trusts nothing in it. False when
 * it is empty, or was being written for too long. */
bool record_read(const struct slot *slot, weft_worker *out);

void record_text_put(_Atomic uint64_t *words, size_t count, const char *text);
void record_text_get(const _Atomic uint64_t *words, size_t count, char *text);

#endif
