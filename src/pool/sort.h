/* Sorting on lanes, between the items and as much memory again. */
#ifndef POOL_SORT_H
#define POOL_SORT_H

#include <weft/fork.h>
#include <weft/loop.h>

struct sort {
    const weft_sorting *how;
    char *items, *other; /* count * size bytes each */
    size_t count;
    size_t parts;   /* that a pass is cut into */
    size_t *counts; /* radix: of each part, by digit */
};

/* merge.c: by how->compare; stable. Ends in items. */
void merge_sort(weft_lane *lane, struct sort *sort);

/* radix.c: by how->key; stable. */
void radix_sort(weft_lane *lane, struct sort *sort);

/* The key's bytes; 0: there is no such key. */
size_t radix_key_size(weft_key key);

/* Bytes of `counts`, and how many parts are worth while. */
size_t radix_counts(size_t parts);
size_t radix_parts(size_t count, unsigned workers);

/* Of how (a weft_sorting with a key): compares two items as radix_sort does. */
int radix_compare(const void *a, const void *b, void *how);

#endif
