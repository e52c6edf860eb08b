#include "trace/sort.h"

#include <stdlib.h>
#include <string.h>

/* Natural merge sort: Knuth, The Art of Computer Programming 3, 5.2.4, N. */
struct sorting {
    size_t size;
    sort_key *key;
    const void *context;
};

/* The end of the sorted stretch that begins at `from`. */
static size_t
stretch(const struct sorting *s, const char *items, size_t from, size_t count)
{
    uint64_t before = s->key(items + from * s->size, s->context);

    while (++from < count) {
        const uint64_t next = s->key(items + from * s->size, s->context);

        if (next < before)
            break;
        before = next;
    }
    return from;
}

/* Merges [a, b) and [b, c) of `from` into `to`. */
static void
merge(const struct sorting *s, const char *from, char *to, const size_t at[3])
{
    const size_t size = s->size;
    const char *left = from + at[0] * size, *left_end = from + at[1] * size;
    const char *right = left_end, *right_end = from + at[2] * size;

    to += at[0] * size;
    while (left < left_end && right < right_end) {
        const char **lesser =
            s->key(right, s->context) < s->key(left, s->context) ? &right
                                                                 : &left;

        memcpy(to, *lesser, size);
        *lesser += size;
        to += size;
    }
    memcpy(to, left, (size_t)(left_end - left));
    memcpy(to + (left_end - left), right, (size_t)(right_end - right));
}

/* Merges stretches two by two; returns how many there are then. */
static size_t
merge_all(const struct sorting *s, const char *from, char *to, size_t count)
{
    size_t stretches = 0;

    for (size_t at[3] = {0, 0, 0}; at[0] < count; at[0] = at[2]) {
        at[1] = stretch(s, from, at[0], count);
        at[2] = at[1] < count ? stretch(s, from, at[1], count) : at[1];
        merge(s, from, to, at);
        stretches++;
    }
    return stretches;
}

bool
sort_by(void *items, size_t count, size_t size, sort_key *key,
        const void *context)
{
    const struct sorting s = {size, key, context};
    char *from = items;

    if (count == 0 || stretch(&s, from, 0, count) == count)
        return true;
    char *other = malloc(count * size);

    if (!other)
        return false;
    char *to = other;
    size_t left;

    do {
        left = merge_all(&s, from, to, count);
        char *swap = from;

        from = to;
        to = swap;
    } while (left > 1);
    if (from == other)
        memcpy(items, other, count * size);
    free(other);
    return true;
}
