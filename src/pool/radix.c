/* LSD radix sort: from the lowest digit of the key to the highest, each pass
 * puts the items in order of one digit and keeps their order otherwise. Each
 * part of the items counts its digits, sums over all parts say where each part
 * puts which digit, and then each part puts its items there: so parts do not
 * meet, and earlier ones stay in front. Bits that are the same in all keys are
 * left out. */
#include "pool/loop.h"
#include "pool/sort.h"

#include <string.h>

enum {
    DIGIT_BITS = 11, /* a table of 16 KiB */
    DIGITS = 1 << DIGIT_BITS,
    PARTS_A_WORKER = 4,
    LEAST_PART = 32768 /* items: their pass beside the sums' */
};

#define INLINE static inline __attribute__((always_inline))

struct pass {
    struct sort *sort;
    const char *from;
    char *to;
    size_t grain;     /* items a part */
    uint64_t example; /* a key */
    unsigned shift, bits;
};

/* --- keys, as unsigned numbers of the same order */

size_t
radix_key_size(weft_key key)
{
    switch (key) {
    case WEFT_KEY_NONE:
        break;
    case WEFT_KEY_I32:
    case WEFT_KEY_U32:
    case WEFT_KEY_F32:
        return 4;
    case WEFT_KEY_I64:
    case WEFT_KEY_U64:
    case WEFT_KEY_F64:
        return 8;
    }
    return 0;
}

/* Of a float's bits. A negative one's order is reversed, and so all its bits
 * are; -0.0 counts as 0.0, and all NaNs as the same, behind infinity. */
INLINE uint32_t
order_f32(uint32_t bits)
{
    const uint32_t sign = UINT32_C(1) << 31, infinity = UINT32_C(0xff) << 23;

    if ((bits & ~sign) > infinity)
        return UINT32_MAX;
    bits = bits == sign ? 0 : bits;
    return bits & sign ? ~bits : bits | sign;
}

INLINE uint64_t
order_f64(uint64_t bits)
{
    const uint64_t sign = UINT64_C(1) << 63, infinity = UINT64_C(0x7ff) << 52;

    if ((bits & ~sign) > infinity)
        return UINT64_MAX;
    bits = bits == sign ? 0 : bits;
    return bits & sign ? ~bits : bits | sign;
}

INLINE uint32_t
load_32(const char *at)
{
    uint32_t bits;

    memcpy(&bits, at, sizeof bits);
    return bits;
}

INLINE uint64_t
load_64(const char *at)
{
    uint64_t bits;

    memcpy(&bits, at, sizeof bits);
    return bits;
}

INLINE uint64_t
load_key(const char *at, weft_key key)
{
    switch (key) {
    case WEFT_KEY_NONE:
        break;
    case WEFT_KEY_I32:
        return load_32(at) ^ UINT32_C(1) << 31;
    case WEFT_KEY_U32:
        return load_32(at);
    case WEFT_KEY_F32:
        return order_f32(load_32(at));
    case WEFT_KEY_I64:
        return load_64(at) ^ UINT64_C(1) << 63;
    case WEFT_KEY_U64:
        return load_64(at);
    case WEFT_KEY_F64:
        return order_f64(load_64(at));
    }
    return 0;
}

int
radix_compare(const void *a, const void *b, void *how_)
{
    const weft_sorting *how = how_;
    const uint64_t left = load_key((const char *)a + how->key_offset, how->key);
    const uint64_t right =
        load_key((const char *)b + how->key_offset, how->key);

    return (left > right) - (left < right);
}

/* --- what a part does; `key` and `size` are constants in each copy */

static size_t *
table_of(const struct pass *pass, size_t begin)
{
    return pass->sort->counts + begin / pass->grain * DIGITS;
}

INLINE void
survey_keys(const struct pass *pass, size_t begin, size_t end, weft_key key)
{
    const weft_sorting *how = pass->sort->how;
    const char *at = pass->from + begin * how->size + how->key_offset;
    uint64_t varying = 0;

    for (size_t i = begin; i < end; i++, at += how->size)
        varying |= load_key(at, key) ^ pass->example;
    *table_of(pass, begin) = varying;
}

INLINE void
count_keys(const struct pass *pass, size_t begin, size_t end, weft_key key)
{
    const weft_sorting *how = pass->sort->how;
    const char *at = pass->from + begin * how->size + how->key_offset;
    const uint64_t mask = (UINT64_C(1) << pass->bits) - 1;
    const unsigned shift = pass->shift;
    size_t *const table = table_of(pass, begin);

    memset(table, 0, (mask + 1) * sizeof *table);
    for (size_t i = begin; i < end; i++, at += how->size)
        table[load_key(at, key) >> shift & mask]++;
}

INLINE void
put_sized(const struct pass *pass, size_t begin, size_t end, weft_key key,
          size_t size)
{
    const size_t offset = pass->sort->how->key_offset;
    const char *item = pass->from + begin * size;
    const uint64_t mask = (UINT64_C(1) << pass->bits) - 1;
    const unsigned shift = pass->shift;
    size_t *const table = table_of(pass, begin);
    char *const to = pass->to;

    for (size_t i = begin; i < end; i++, item += size) {
        const size_t digit = load_key(item + offset, key) >> shift & mask;

        memcpy(to + table[digit]++ * size, item, size);
    }
}

INLINE void
put_keys(const struct pass *pass, size_t begin, size_t end, weft_key key)
{
    const size_t size = pass->sort->how->size;

    if (size == 4 && radix_key_size(key) == 4)
        put_sized(pass, begin, end, key, 4);
    else if (size == 8)
        put_sized(pass, begin, end, key, 8);
    else if (size == 16)
        put_sized(pass, begin, end, key, 16);
    else
        put_sized(pass, begin, end, key, size);
}

/* --- the copies */

enum step {
    SURVEY,
    COUNT,
    PUT
};

INLINE void
step_keys(const struct pass *pass, enum step step, size_t begin, size_t end,
          weft_key key)
{
    if (step == SURVEY)
        survey_keys(pass, begin, end, key);
    else if (step == COUNT)
        count_keys(pass, begin, end, key);
    else
        put_keys(pass, begin, end, key);
}

INLINE int
do_step(const struct pass *pass, enum step step, size_t begin, size_t end)
{
    switch (pass->sort->how->key) {
    case WEFT_KEY_NONE:
        break;
    case WEFT_KEY_I32:
        step_keys(pass, step, begin, end, WEFT_KEY_I32);
        break;
    case WEFT_KEY_U32:
        step_keys(pass, step, begin, end, WEFT_KEY_U32);
        break;
    case WEFT_KEY_F32:
        step_keys(pass, step, begin, end, WEFT_KEY_F32);
        break;
    case WEFT_KEY_I64:
        step_keys(pass, step, begin, end, WEFT_KEY_I64);
        break;
    case WEFT_KEY_U64:
        step_keys(pass, step, begin, end, WEFT_KEY_U64);
        break;
    case WEFT_KEY_F64:
        step_keys(pass, step, begin, end, WEFT_KEY_F64);
        break;
    }
    return 0;
}

static int
survey(void *pass, void *none, size_t begin, size_t end)
{
    (void)none;
    return do_step(pass, SURVEY, begin, end);
}

static int
count(void *pass, void *none, size_t begin, size_t end)
{
    (void)none;
    return do_step(pass, COUNT, begin, end);
}

static int
put(void *pass, void *none, size_t begin, size_t end)
{
    (void)none;
    return do_step(pass, PUT, begin, end);
}

static int
copy(void *pass_, void *none, size_t begin, size_t end)
{
    const struct pass *pass = pass_;
    const size_t size = pass->sort->how->size;

    (void)none;
    memcpy(pass->to + begin * size, pass->from + begin * size,
           (end - begin) * size);
    return 0;
}

/* --- the whole */

size_t
radix_parts(size_t count, unsigned workers)
{
    const size_t most = (size_t)PARTS_A_WORKER * workers;
    const size_t parts = count / LEAST_PART;

    return workers == 1 || parts == 0 ? 1 : parts < most ? parts : most;
}

size_t
radix_counts(size_t parts)
{
    return parts * DIGITS * sizeof(size_t);
}

/* For each part; a stop does not end it. */
static void
for_parts(weft_lane *lane, struct pass *pass, loop_fn *body)
{
    struct loop loop;

    loop_begin(&loop, "weft_sort", pass->sort->count, pass->grain);
    loop.stop = NULL;
    loop.body = body;
    loop.context = pass;
    loop_run(lane, &loop);
}

static uint64_t
varying_bits(const struct pass *pass)
{
    uint64_t varying = 0;

    for (size_t i = 0; i < pass->sort->count; i += pass->grain)
        varying |= *table_of(pass, i);
    return varying;
}

/* From how many of each digit to where each part puts the first of them. */
static void
sum(const struct pass *pass)
{
    const size_t count = pass->sort->count, grain = pass->grain;
    size_t at = 0;

    for (size_t digit = 0; digit < (size_t)1 << pass->bits; digit++)
        for (size_t begin = 0; begin < count; begin += grain) {
            size_t *const here = table_of(pass, begin) + digit;
            const size_t found = *here;

            *here = at;
            at += found;
        }
}

static void
turn(struct pass *pass)
{
    char *const from = (char *)(uintptr_t)pass->from;

    pass->from = pass->to;
    pass->to = from;
}

/* The lowest of the bits that are left, as wide a digit as makes passes even.
 */
static void
choose_digit(struct pass *pass, uint64_t varying)
{
    const unsigned low = (unsigned)__builtin_ctzll(varying);
    const unsigned left = 64 - (unsigned)__builtin_clzll(varying) - low;
    const unsigned passes = (left + DIGIT_BITS - 1) / DIGIT_BITS;

    pass->shift = low;
    pass->bits = (left + passes - 1) / passes;
}

void
radix_sort(weft_lane *lane, struct sort *sort)
{
    const weft_sorting *how = sort->how;
    struct pass pass = {.sort = sort,
                        .from = sort->items,
                        .to = sort->other,
                        .grain = (sort->count - 1) / sort->parts + 1};

    pass.example = load_key(sort->items + how->key_offset, how->key);
    for_parts(lane, &pass, survey);
    uint64_t varying = varying_bits(&pass);

    while (varying) {
        choose_digit(&pass, varying);
        for_parts(lane, &pass, count);
        sum(&pass);
        for_parts(lane, &pass, put);
        turn(&pass);
        varying = pass.shift + pass.bits < 64
                      ? varying >> (pass.shift + pass.bits)
                                       << (pass.shift + pass.bits)
                      : 0;
    }
    if (pass.from != sort->items)
        for_parts(lane, &pass, copy);
}
