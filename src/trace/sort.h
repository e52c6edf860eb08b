/* Sorting by time what is nearly sorted. */
#ifndef TRACE_SORT_H
#define TRACE_SORT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef uint64_t sort_key(const void *item, const void *context);

/* Sorts `count` items of `size` bytes, stably and by merging the stretches that
 * are sorted already: n steps for one, n log k for k of them. Needs as much
 * memory again when there are several; false: there is none. */
bool sort_by(void *items, size_t count, size_t size, sort_key *key,
             const void *context);

#endif
