/* Workers that write over all they can reach: what they share with the program,
 * and everything else. Only they themselves have to do with it. */
#include "procpool/channel.h"
#include "support/options_support.h"
#include "support/pool_support.h"

#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum {
    BESIDE = 16,
    ROUNDS = 10,
    RANGES = 512,
    EDGE = 1 << 20 /* of a large mapping: so much at each end */
};

static const unsigned sizes[] = {1, 2, 8};

/* --- what a hostile worker does; with its stack, and nothing else in the end
 */

enum reach {
    SHARED,    /* what it shares with anybody */
    ALL,       /* its own as well, but for its stack */
    WITH_STACK /* that too */
};

enum then {
    RETURN,
    LOOP
};

enum pattern {
    ZEROS,
    ONES,
    COUNT,
    NOISE,
    PATTERNS
};

struct attack {
    enum reach reach;
    enum then then;
    enum pattern pattern;
    unsigned seed;
};

struct range {
    volatile unsigned char *from, *to;
};

static bool
lies_in(const void *at, unsigned long from, unsigned long to)
{
    return from <= (uintptr_t)at && (uintptr_t)at < to;
}

static size_t
find_ranges(enum reach reach, struct range *ranges)
{
    FILE *maps = fopen("/proc/self/maps", "re");
    char line[512], access[8], name[256];
    unsigned long from, to;
    size_t count = 0;

    while (maps && count < RANGES && fgets(line, sizeof line, maps)) {
        *name = '\0';
        if (sscanf(line, "%lx-%lx %7s %*s %*s %*s %255[^\n]", &from, &to,
                   access, name) < 3 ||
            access[1] != 'w')
            continue;
        if (reach == SHARED && access[3] != 's')
            continue;
        if (reach != WITH_STACK && lies_in(access, from, to))
            continue;
        if (lies_in(common, from, to)) /* that is the test's */
            continue;
        ranges[count++] = (struct range){(volatile unsigned char *)from,
                                         (volatile unsigned char *)to};
    }
    if (maps)
        fclose(maps);
    return count;
}

static inline unsigned char
byte_of(enum pattern pattern, unsigned *state)
{
    *state = *state * 1664525 + 1013904223;
    return pattern == ZEROS   ? 0
           : pattern == ONES  ? 0xff
           : pattern == COUNT ? (unsigned char)(*state >> 30)
                              : (unsigned char)(*state >> 24);
}

static void
scribble(struct range range, enum pattern pattern, unsigned *state)
{
    const bool is_large = range.to - range.from > 2 * EDGE;
    volatile unsigned char *const end = is_large ? range.from + EDGE : range.to;

    for (volatile unsigned char *at = range.from; at < end; at++)
        *at = byte_of(pattern, state);
    for (volatile unsigned char *at = range.to - EDGE;
         is_large && at < range.to; at++)
        *at = byte_of(pattern, state);
}

static int
attack(weft_call *call)
{
    const struct attack how = *(const struct attack *)call->arg;
    struct range ranges[RANGES];
    unsigned state = how.seed;

    const size_t count = find_ranges(how.reach, ranges);

    for (size_t i = 0; i < count; i++)
        scribble(ranges[i], how.pattern, &state);
    while (how.then == LOOP)
        ;
    return 0;
}

/* --- what becomes of it */

static void
expect_harmless(weft_pool *pool, unsigned workers, const struct attack *how)
{
    weft_job *before[BESIDE], *after[BESIDE];

    submit_doubles(pool, before, 0, BESIDE);
    weft_job *job = submit(pool, .fn = attack, .name = "hostile", .arg = how,
                           .arg_size = sizeof *how, .result_size = sizeof(int),
                           .timeout = 300 * WEFT_MS);

    submit_doubles(pool, after, BESIDE, BESIDE);
    must_join(job);
    ck_assert_str_ne(outcome(job)->text, "");
    ck_assert_msg(
        outcome(job)->status == WEFT_EDIED ||
            outcome(job)->status == WEFT_ETIMEDOUT ||
            (outcome(job)->status == WEFT_EFAILED && how->then == RETURN) ||
            (outcome(job)->status == WEFT_OK && how->then == RETURN),
        "%s", outcome(job)->text);
    weft_release(job);
    expect_doubles(before, 0, BESIDE);
    expect_doubles(after, BESIDE, BESIDE);
    expect_full(pool, workers);
}

START_TEST(what_is_shared_is_not_trusted)
{
    const unsigned workers = sizes[_i / PATTERNS];
    weft_pool *pool =
        open_pool(.workers = workers, .worker = {.grace = 20 * WEFT_MS});

    for (unsigned i = 0; i < scaled(ROUNDS); i++)
        expect_harmless(pool, workers,
                        &(struct attack){SHARED, i % 4 == 3 ? LOOP : RETURN,
                                         (enum pattern)(_i % PATTERNS), i});
    pool_drain(pool);
}

END_TEST

START_TEST(nothing_that_it_reaches_is_anybodys)
{
    const unsigned workers = sizes[_i / PATTERNS];
    weft_pool *pool =
        open_pool(.workers = workers, .worker = {.grace = 20 * WEFT_MS});

    for (unsigned i = 0; i < scaled(ROUNDS); i++)
        expect_harmless(pool, workers,
                        &(struct attack){i % 2 ? ALL : WITH_STACK, RETURN,
                                         (enum pattern)(_i % PATTERNS), i});
    pool_drain(pool);
}

END_TEST

static struct channel_door *
find_door(void)
{
    FILE *maps = fopen("/proc/self/maps", "re");
    char line[512], access[8];
    unsigned long from = 0, offset = 1;

    while (maps && fgets(line, sizeof line, maps))
        if (strstr(line, "weft-channel") &&
            sscanf(line, "%lx-%*x %7s %lx", &from, access, &offset) == 3 &&
            offset == CHANNEL_DOOR_AT && access[1] == 'w')
            break;
    if (maps)
        fclose(maps);
    return (struct channel_door *)from; /* NOLINT(performance-no-int-to-ptr) */
}

/* Says that it was never begun, then crashes. */
static int
deny(weft_call *call)
{
    struct channel_door *door = find_door();

    (void)call;
    for (unsigned i = 0; i < CHANNEL_TASKS; i++) {
        const uint32_t claim = atomic_load(&door->claims[i]);

        if (claim == channel_claim(claim >> 2, CHANNEL_TAKEN))
            atomic_store(&door->claims[i],
                         channel_claim(claim >> 2, CHANNEL_OFFERED));
    }
    abort();
}

START_TEST(one_that_denies_its_beginning_is_found_out)
{
    weft_pool *pool = open_pool(.workers = sizes[_i]);
    weft_job *beside[BESIDE];
    weft_job *job = submit(pool, .fn = deny);

    submit_doubles(pool, beside, 0, BESIDE);
    must_join(job);
    ck_assert_int_eq(outcome(job)->status, WEFT_EDIED);
    ck_assert_int_eq(outcome(job)->signal, SIGABRT);
    weft_release(job);
    expect_doubles(beside, 0, BESIDE);
    expect_full(pool, sizes[_i]);
    pool_drain(pool);
}

END_TEST

int
main(void)
{
    Suite *suite = suite_create("hostile workers of a pool");
    TCase *tcase = support_case(suite, "hostile", 60);

    tcase_add_checked_fixture(tcase, pools_of_processes, NULL);
    tcase_add_loop_test(tcase, what_is_shared_is_not_trusted, 0,
                        PATTERNS * (int)(sizeof sizes / sizeof *sizes));
    if (!support_is_checked()) /* which would see it */
        tcase_add_loop_test(tcase, nothing_that_it_reaches_is_anybodys, 0,
                            PATTERNS * (int)(sizeof sizes / sizeof *sizes));
    tcase_add_loop_test(tcase, one_that_denies_its_beginning_is_found_out, 0,
                        (int)(sizeof sizes / sizeof *sizes));
    return support_run(suite);
}
