/* weft_sort against a serial stable sort, over kinds of items, orders that they
 * come in, and sizes. */
#include "support/worker_support.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

static const unsigned sizes[] = {1, 2, 8};
static weft_pool *pool;

static void
open_pool(int i)
{
    ck_assert_int_eq(weft_pool_open(&pool, WEFT_THREAD,
                                    &(weft_pool_options){.workers = sizes[i]}),
                     0);
}

static void
close_pool(void)
{
    ck_assert_int_eq(weft_pool_close(pool, WEFT_FOREVER), 0);
}

/* --- orders in which items come: small numbers for each index */

static uint64_t seed = 88172645463325252;

static uint64_t
draw(void)
{
    seed ^= seed << 13;
    seed ^= seed >> 7;
    return seed ^= seed << 17;
}

static uint64_t
random_order(size_t i, size_t count)
{
    (void)i;
    (void)count;
    return draw();
}

static uint64_t
sorted(size_t i, size_t count)
{
    (void)count;
    return i;
}

static uint64_t
reversed(size_t i, size_t count)
{
    return count - i;
}

static uint64_t
equal(size_t i, size_t count)
{
    (void)i;
    (void)count;
    return 42;
}

static uint64_t
few_distinct(size_t i, size_t count)
{
    (void)i;
    (void)count;
    return draw() % 5;
}

static uint64_t
organ_pipe(size_t i, size_t count)
{
    return i < count / 2 ? i : count - i;
}

static uint64_t
saw(size_t i, size_t count)
{
    (void)count;
    return i % 1000;
}

static uint64_t
high_bits(size_t i, size_t count)
{
    (void)i;
    (void)count;
    return draw() % 3 << 62 | 1 | (draw() % 3) << 30;
}

static uint64_t
nearly_sorted(size_t i, size_t count)
{
    return i % 100 == 99 ? draw() % count : i;
}

typedef uint64_t order_fn(size_t i, size_t count);

static order_fn *const orders[] = {random_order, sorted,       reversed,
                                   equal,        few_distinct, organ_pipe,
                                   saw,          high_bits,    nearly_sorted};

enum {
    ORDERS = sizeof orders / sizeof *orders
};

/* --- kinds of items: a key somewhere in `size` bytes */

static const struct kind {
    weft_key key;
    size_t size, offset;
    bool compares; /* by a function instead of the key */
} item_kinds[] = {
    {WEFT_KEY_I32, 4, 0, false},  {WEFT_KEY_I32, 8, 0, false},
    {WEFT_KEY_U32, 4, 0, false},  {WEFT_KEY_U32, 8, 4, false},
    {WEFT_KEY_F32, 4, 0, false},  {WEFT_KEY_F32, 16, 12, false},
    {WEFT_KEY_I64, 8, 0, false},  {WEFT_KEY_I64, 16, 8, false},
    {WEFT_KEY_U64, 8, 0, false},  {WEFT_KEY_U64, 40, 24, false},
    {WEFT_KEY_F64, 8, 0, false},  {WEFT_KEY_F64, 16, 0, false},
    {WEFT_KEY_F64, 13, 3, false}, {WEFT_KEY_I32, 300, 101, false},
    {WEFT_KEY_I32, 4, 0, true},   {WEFT_KEY_U32, 8, 0, true},
    {WEFT_KEY_I64, 16, 8, true},  {WEFT_KEY_F64, 8, 0, true},
    {WEFT_KEY_F64, 13, 3, true},  {WEFT_KEY_I32, 300, 101, true},
};

static size_t
key_size(weft_key key)
{
    return key == WEFT_KEY_I32 || key == WEFT_KEY_U32 || key == WEFT_KEY_F32
               ? 4
               : 8;
}

/* Now and then what is special about floats. */
static double
float_of(uint64_t number)
{
    const double special[] = {0.0,      -0.0,      NAN,   -NAN,
                              INFINITY, -INFINITY, 1e-310};

    return number % 16 < 7 ? special[number % 16]
                           : (double)(int64_t)number / 1024;
}

static void
set_key(char *at, weft_key key, uint64_t number)
{
    const double f64 = float_of(number);
    const float f32 = (float)f64;

    if (key == WEFT_KEY_F64)
        memcpy(at, &f64, 8);
    else if (key == WEFT_KEY_F32)
        memcpy(at, &f32, 4);
    else
        memcpy(at, &number, key_size(key));
}

/* As the C language compares; NaNs are the last, and equal. */
static int
compare_floats(double a, double b)
{
    if (isnan(a) || isnan(b))
        return !!isnan(a) - !!isnan(b);
    return (a > b) - (a < b);
}

static int
compare(const void *a, const void *b, void *kind_)
{
    const struct kind *kind = kind_;

    union {
        int32_t i32;
        uint32_t u32;
        float f32;
        int64_t i64;
        uint64_t u64;
        double f64;
    } x, y;

    memcpy(&x, (const char *)a + kind->offset, key_size(kind->key));
    memcpy(&y, (const char *)b + kind->offset, key_size(kind->key));
    switch (kind->key) {
    case WEFT_KEY_I32:
        return (x.i32 > y.i32) - (x.i32 < y.i32);
    case WEFT_KEY_U32:
        return (x.u32 > y.u32) - (x.u32 < y.u32);
    case WEFT_KEY_F32:
        return compare_floats(x.f32, y.f32);
    case WEFT_KEY_I64:
        return (x.i64 > y.i64) - (x.i64 < y.i64);
    case WEFT_KEY_U64:
        return (x.u64 > y.u64) - (x.u64 < y.u64);
    case WEFT_KEY_F64:
        return compare_floats(x.f64, y.f64);
    case WEFT_KEY_NONE:
        break;
    }
    abort();
}

/* What lies beside the key says where the item was. */
static char *
make_items(const struct kind *kind, order_fn *order, size_t count)
{
    char *items = malloc(count * kind->size + 1);

    for (size_t i = 0; i < count; i++) {
        char *item = items + i * kind->size;

        for (size_t k = 0; k < kind->size; k++)
            item[k] = (char)(i >> (k % 3 * 8));
        set_key(item + kind->offset, kind->key, order(i, count));
    }
    return items;
}

/* The reference: a plain merge sort, top down. */
static void
sort_plainly(const struct kind *kind, char *items, char *space, size_t count)
{
    const size_t size = kind->size, half = count / 2;
    char *left = space, *right = items + half * size, *out = items;
    char *const left_end = left + half * size;
    char *const right_end = items + count * size;

    if (count < 2)
        return;
    sort_plainly(kind, items, space, half);
    sort_plainly(kind, right, space, count - half);
    memcpy(space, items, half * size);
    while (left < left_end) {
        const bool first = right < right_end &&
                           compare(right, left, (void *)(uintptr_t)kind) < 0;

        memmove(out, first ? right : left, size);
        *(first ? &right : &left) += size;
        out += size;
    }
}

static void
try_it(const struct kind *kind, order_fn *order, size_t count)
{
    const size_t bytes = count * kind->size;
    char *items = make_items(kind, order, count);
    char *wanted = malloc(bytes + 1), *space = malloc(bytes + 1);
    weft_sorting how = {.size = kind->size};

    if (kind->compares) {
        how.compare = compare;
        how.context = (void *)(uintptr_t)kind;
    } else {
        how.key = kind->key;
        how.key_offset = kind->offset;
    }
    memcpy(wanted, items, bytes);
    sort_plainly(kind, wanted, space, count);
    ck_assert_int_eq(weft_sort(pool, items, count, &how), 0);
    ck_assert_msg(memcmp(items, wanted, bytes) == 0,
                  "%zu items of %zu bytes, key %d at %zu%s", count, kind->size,
                  (int)kind->key, kind->offset,
                  kind->compares ? ", compared" : "");
    free(items);
    free(wanted);
    free(space);
}

static void
try_all(const size_t *counts, size_t n)
{
    for (size_t k = 0; k < sizeof item_kinds / sizeof *item_kinds; k++)
        for (size_t o = 0; o < ORDERS; o++)
            for (size_t i = 0; i < n; i++)
                try_it(&item_kinds[k], orders[o], counts[i]);
}

START_TEST(small_ones)
{
    const size_t counts[] = {0,  1,  2,  3,   4,   5,   11,  12,
                             13, 25, 50, 100, 399, 400, 401, 1000};

    open_pool(_i);
    try_all(counts, sizeof counts / sizeof *counts);
    close_pool();
}

END_TEST

START_TEST(middle_ones)
{
    const size_t counts[] = {scaled(5000), scaled(70001)};

    open_pool(_i);
    try_all(counts, 2);
    close_pool();
}

END_TEST

START_TEST(a_million)
{
    open_pool(_i);
    for (size_t k = 0; k < sizeof item_kinds / sizeof *item_kinds; k += 2)
        if (item_kinds[k].size <= 16)
            try_it(&item_kinds[k], orders[k % ORDERS], scaled(300007));
    try_it(&item_kinds[14], random_order, scaled(300007));
    close_pool();
}

END_TEST

/* --- a comparison that contradicts itself: the items stay what they are */

static int
say_anything(const void *a, const void *b, void *context)
{
    (void)a;
    (void)b;
    (void)context;
    return (int)(__atomic_fetch_add(&seed, 0x9e3779b97f4a7c15,
                                    __ATOMIC_RELAXED) >>
                     40 &
                 2) -
           1;
}

START_TEST(nothing_is_lost)
{
    const size_t count = scaled(50000);
    uint32_t *items = malloc(count * sizeof *items);
    char *seen = calloc(count, 1);

    open_pool(_i);
    for (size_t i = 0; i < count; i++)
        items[i] = (uint32_t)i;
    ck_assert_int_eq(weft_sort(pool, items, count,
                               &(weft_sorting){.size = sizeof *items,
                                               .compare = say_anything}),
                     0);
    for (size_t i = 0; i < count; i++)
        child_expect(seen[items[i]]++ == 0);
    close_pool();
    free(items);
    free(seen);
}

END_TEST

/* --- within a loop */

static int
sort_within(void *context, size_t begin, size_t end)
{
    int *rows = context;

    for (size_t i = begin; i < end; i++)
        if (weft_sort(NULL, rows + i * 3000, 3000,
                      &(weft_sorting){.size = 4, .key = WEFT_KEY_I32}) < 0)
            return -1;
    return 0;
}

START_TEST(within_a_loop)
{
    enum {
        ROWS = 50,
        WIDTH = 3000
    };

    int *rows = malloc(ROWS * WIDTH * sizeof *rows);

    open_pool(_i);
    for (int i = 0; i < ROWS * WIDTH; i++)
        rows[i] = (int)draw();
    ck_assert_int_eq(weft_for(pool, ROWS, 1, sort_within, rows), 0);
    for (int i = 1; i < ROWS * WIDTH; i++)
        child_expect(i % WIDTH == 0 || rows[i - 1] <= rows[i]);
    close_pool();
    free(rows);
}

END_TEST

/* --- what is refused */

static int
sort_stopped(weft_call *call)
{
    int items[] = {2, 1};

    (void)call;
    while (!weft_stopping())
        support_spin();
    child_expect(weft_sort(NULL, items, 2,
                           &(weft_sorting){.size = 4, .key = WEFT_KEY_I32}) ==
                 WEFT_ECANCELED);
    child_expect(items[0] == 2);
    return 0;
}

START_TEST(not_after_a_stop)
{
    weft_job *job = must_start(WEFT_THREAD, &(weft_task){.fn = sort_stopped});

    weft_stop(job);
    must_join(job);
    weft_release(job);
}

END_TEST

START_TEST(what_is_wrong)
{
    int items[] = {3, 2, 1};

    const struct {
        weft_sorting how;
        const char *word;
    } wrong[] = {
        {{.size = 0, .key = WEFT_KEY_I32}, "size is 0"},
        {{.size = 4}, "neither"},
        {{.size = 4, .key = WEFT_KEY_I32, .compare = compare}, "both"},
        {{.size = 4, .key = WEFT_KEY_F64 + 1}, "no key 7"},
        {{.size = 4, .key = WEFT_KEY_I64}, "key_offset"},
        {{.size = 4, .key = WEFT_KEY_I32, .key_offset = 1}, "key_offset"},
        {{.size = 4, .key = WEFT_KEY_I32, .key_offset = SIZE_MAX},
         "key_offset"},
        {{.size = 4, .compare = compare, .key_offset = 1}, "key_offset"},
        {{.size = 4, .key = WEFT_KEY_I32, .reserved = {0, 0, 1}}, "sorting"},
    };

    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++)
        expect_refused(weft_sort(NULL, items, 3, &wrong[i].how), WEFT_EINVAL,
                       wrong[i].word);
    expect_refused(weft_sort(NULL, items, 3, NULL), WEFT_EINVAL, "how");
    const weft_sorting how = {.size = 4, .key = WEFT_KEY_I32};

    expect_refused(weft_sort(NULL, NULL, 3, &how), WEFT_EINVAL, "items");
    expect_refused(weft_sort(NULL, items, SIZE_MAX / 2, &how), WEFT_EINVAL,
                   "memory");
    expect_refused(weft_sort(NULL, items, SIZE_MAX / 16, &how), WEFT_ENOMEM,
                   "memory");
    ck_assert(items[0] == 3 && items[1] == 2 && items[2] == 1);
    ck_assert_int_eq(weft_sort(NULL, NULL, 0, &how), 0);
}

END_TEST

int
main(void)
{
    Suite *suite = suite_create("sort");
    TCase *tcase = support_case(suite, "sort", 60);

    tcase_add_checked_fixture(tcase, common_make, NULL);
    support_add_table(tcase, small_ones, sizes);
    support_add_table(tcase, middle_ones, sizes);
    support_add_table(tcase, a_million, sizes);
    support_add_table(tcase, nothing_is_lost, sizes);
    support_add_table(tcase, within_a_loop, sizes);
    tcase_add_test(tcase, not_after_a_stop);
    tcase_add_test(tcase, what_is_wrong);
    return support_run(suite);
}
