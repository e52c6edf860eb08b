/* Merge sort. Halves go to and fro between the items and the memory beside
 * them. What costs is the branch that nobody can foretell at each comparison,
 * so a merge has none: it takes from both ends at once, in two chains that do
 * not wait for each other, as long as neither run can end meanwhile. Whatever
 * the comparison says, each item is taken once. */
#include "pool/sort.h"

#include <stdbool.h>
#include <string.h>

enum {
    RUN = 12,      /* items sorted by insertion */
    FORKED = 2048, /* items that are worth a fork */
    LEAST = 4,     /* items of the shorter run for a merge from both ends */
    LARGEST = 256  /* bytes of an item that insertion keeps on the stack */
};

#define INLINE static inline __attribute__((always_inline))

struct span {
    const weft_sorting *how;
    char *items, *other;
    size_t count;
    bool into_other; /* where the result goes */
};

struct join {
    const weft_sorting *how;
    const char *left, *right;
    size_t lefts, rights;
    char *out;
};

INLINE bool
is_before(const weft_sorting *how, const char *a, const char *b)
{
    return how->compare(a, b, how->context) < 0;
}

/* One of two without a branch, which compilers like to make of `?:`. */
INLINE const char *
choose(bool second, const char *a, const char *b)
{
    return a + ((b - a) & -(ptrdiff_t)second);
}

/* --- merging; `size` is a constant in those for common sizes */

/* `count` items from each end. Neither run is shorter than twice that. */
INLINE void
merge_ends(struct join *join, char *end, size_t count, size_t size)
{
    const weft_sorting *how = join->how;
    const char *left = join->left, *right = join->right;
    const char *left_last = left + (join->lefts - 1) * size;
    const char *right_last = right + (join->rights - 1) * size;
    char *out = join->out;

    for (size_t i = 0; i < count; i++) {
        const bool first = is_before(how, right, left);
        const bool last = is_before(how, right_last, left_last);

        memcpy(out, choose(first, left, right), size);
        right += first * size;
        left += !first * size;
        out += size;
        end -= size;
        memcpy(end, choose(last, right_last, left_last), size);
        left_last -= last * size;
        right_last -= !last * size;
    }
    join->left = left;
    join->right = right;
    join->lefts = (size_t)(left_last + size - left) / size;
    join->rights = (size_t)(right_last + size - right) / size;
    join->out = out;
}

INLINE void
merge_rest(struct join *join, size_t size)
{
    const char *left = join->left, *right = join->right;
    const char *left_end = left + join->lefts * size;
    const char *right_end = right + join->rights * size;
    char *out = join->out;

    while (left < left_end && right < right_end) {
        const bool first = is_before(join->how, right, left);

        memcpy(out, choose(first, left, right), size);
        right += first * size;
        left += !first * size;
        out += size;
    }
    memcpy(out, left, (size_t)(left_end - left));
    out += left_end - left;
    memcpy(out, right, (size_t)(right_end - right));
}

INLINE void
merge_sized(struct join join, size_t size)
{
    char *end = join.out + (join.lefts + join.rights) * size;

    for (;;) {
        const size_t shorter =
            join.lefts < join.rights ? join.lefts : join.rights;

        if (shorter < LEAST)
            break;
        merge_ends(&join, end, shorter / 2, size);
        end = join.out + (join.lefts + join.rights) * size;
    }
    merge_rest(&join, size);
}

static void
merge(const struct join *join)
{
    switch (join->how->size) {
    case 4:
        merge_sized(*join, 4);
        return;
    case 8:
        merge_sized(*join, 8);
        return;
    case 16:
        merge_sized(*join, 16);
        return;
    default:
        merge_sized(*join, join->how->size);
    }
}

/* --- merging in parallel */

/* How many of the left run are among the first `count` of both, in order. */
static size_t
left_share(const struct join *join, size_t count)
{
    const size_t size = join->how->size;
    size_t least = count > join->rights ? count - join->rights : 0;
    size_t most = count < join->lefts ? count : join->lefts;

    while (least < most) {
        const size_t taken = least + (most - least) / 2;
        const char *left = join->left + taken * size;
        const char *right = join->right + (count - taken - 1) * size;

        if (is_before(join->how, right, left))
            most = taken;
        else
            least = taken + 1;
    }
    return least;
}

static void
merge_forked(weft_lane *lane, void *frame)
{
    const struct join *join = frame;
    const size_t size = join->how->size, all = join->lefts + join->rights;

    if (all < 2 * (size_t)FORKED) {
        merge(join);
        return;
    }
    const size_t lefts = left_share(join, all / 2);
    const size_t rights = all / 2 - lefts;
    struct join first = {join->how, join->left, join->right,
                         lefts,     rights,     join->out};
    struct join second = {join->how,
                          join->left + lefts * size,
                          join->right + rights * size,
                          join->lefts - lefts,
                          join->rights - rights,
                          join->out + all / 2 * size};
    weft_lane *inner = weft_fork(lane, merge_forked, &second);

    merge_forked(inner, &first);
    weft_sync(lane);
}

/* --- sorting */

INLINE void
insert_sized(const struct span *span, size_t size)
{
    char *const items = span->items;
    _Alignas(16) char item[LARGEST];

    for (size_t i = 1; i < span->count; i++) {
        size_t at = i;

        memcpy(item, items + i * size, size);
        for (; at > 0 && is_before(span->how, item, items + (at - 1) * size);
             at--)
            memcpy(items + at * size, items + (at - 1) * size, size);
        memcpy(items + at * size, item, size);
    }
}

static void
insert(const struct span *span)
{
    switch (span->how->size) {
    case 4:
        insert_sized(span, 4);
        return;
    case 8:
        insert_sized(span, 8);
        return;
    case 16:
        insert_sized(span, 16);
        return;
    default:
        insert_sized(span, span->how->size);
    }
}

static void
join_halves(weft_lane *lane, const struct span *span, size_t half)
{
    const weft_sorting *how = span->how;
    char *from = span->into_other ? span->items : span->other;
    char *to = span->into_other ? span->other : span->items;
    struct join join = {
        how, from, from + half * how->size, half, span->count - half, to};

    if (!is_before(how, join.right, join.right - how->size))
        memcpy(to, from, span->count * how->size);
    else
        merge_forked(lane, &join);
}

static void
sort_span(weft_lane *lane, void *frame)
{
    const struct span *span = frame;
    const size_t size = span->how->size, half = span->count / 2;

    if (span->count <= (size <= LARGEST ? RUN : 1)) {
        if (span->count > 1)
            insert(span);
        if (span->into_other)
            memcpy(span->other, span->items, span->count * size);
        return;
    }
    struct span left = {span->how, span->items, span->other, half,
                        !span->into_other};
    struct span right = {span->how, span->items + half * size,
                         span->other + half * size, span->count - half,
                         !span->into_other};

    if (span->count < FORKED) {
        sort_span(lane, &left);
        sort_span(lane, &right);
    } else {
        weft_lane *inner = weft_fork(lane, sort_span, &right);

        sort_span(inner, &left);
        weft_sync(lane);
    }
    join_halves(lane, span, half);
}

void
merge_sort(weft_lane *lane, struct sort *sort)
{
    struct span all = {sort->how, sort->items, sort->other, sort->count, false};

    sort_span(lane, &all);
}
