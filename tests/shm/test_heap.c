/* The shared heap: what it gives, where it lies, and what is left of it. */
#include "os/os.h"
#include "shm/heap.h"
#include "shm/layout.h"
#include "support/options_support.h"

#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

enum {
    SPAN = 64 << 10,
    RESERVE = 30 * SPAN /* kept of what was given back */
};

static bool
is_zero(const char *at, size_t size)
{
    return at[0] == 0 && memcmp(at, at + 1, size - 1) == 0;
}

static void *
must_alloc(size_t size)
{
    void *block = weft_shared_alloc(size);

    ck_assert_msg(block != NULL, "%zu bytes: %s", size, weft_why());
    return block;
}

static void
expect_whole(void)
{
    const char *fault = heap_fault();

    ck_assert_msg(fault == NULL, "%s", fault);
}

/* Bytes that the file has. */
static size_t
file_bytes(void)
{
    struct stat status;

    ck_assert_int_eq(fstat(heap_fd(), &status), 0);
    return (size_t)status.st_blocks * 512;
}

/* --- what it gives */

static const size_t sizes[] = {
    1,     63,       64,           65,    128,     511,      512,
    513,   640,      641,          1000,  4096,    4097,     5000,
    10880, 10881,    21824,        21825, 32768,   32769,    SPAN - 1,
    SPAN,  SPAN + 1, 3 * SPAN + 5, MIB,   MIB + 1, 10 * MIB, 200 * (size_t)MIB};

START_TEST(a_block_is_aligned_zeroed_and_whole)
{
    const size_t size = sizes[_i];
    char *blocks[3];

    if (support_is_valgrind() && size > MIB + 1) /* which looks at each byte */
        return;
    for (int i = 0; i < 3; i++) {
        blocks[i] = must_alloc(size);
        ck_assert_uint_eq((uintptr_t)blocks[i] % 64, 0);
        ck_assert(heap_holds(blocks[i]));
        ck_assert_uint_ge(heap_block_size(blocks[i]), size);
        ck_assert(is_zero(blocks[i], size));
        memset(blocks[i], i + 1, size);
    }
    for (int i = 0; i < 3; i++) {
        ck_assert_int_eq(blocks[i][0], i + 1);
        ck_assert_int_eq(blocks[i][size - 1], i + 1);
        ck_assert_uint_eq(heap_block_size(blocks[i] + 1), 0);
    }
    ck_assert_uint_ge(weft_shared_used(), 3 * size);
    for (int i = 0; i < 3; i++)
        weft_shared_free(blocks[i]);
    ck_assert_uint_eq(weft_shared_used(), 0);
    expect_whole();
    for (int i = 0; i < 3; i++) {
        blocks[i] = must_alloc(size);
        ck_assert(is_zero(blocks[i], size));
    }
    for (int i = 2; i >= 0; i--)
        weft_shared_free(blocks[i]);
    expect_whole();
}

END_TEST

START_TEST(each_size_has_its_room)
{
    const size_t step = 100 / scaled(100);

    for (size_t size = 1; size < 70000; size += (size < 2100 ? 1 : 61) * step) {
        char *block = must_alloc(size);
        const size_t room = heap_block_size(block);

        ck_assert_uint_ge(room, size);
        ck_assert_uint_lt(room, size + size / 2 + (size > 32768 ? SPAN : 64));
        weft_shared_free(block);
    }
    expect_whole();
}

END_TEST

START_TEST(a_gibibyte_is_had_at_once)
{
    const size_t size = (size_t)1 << 30;

    if (support_is_checked() || os_memory_left() < 2 * size)
        return;
    const int64_t start = os_now();
    char *block = must_alloc(size);

    ck_assert_uint_ge(file_bytes(), size);
    ck_assert_int_eq(block[size - 1] | block[size / 2], 0);
    weft_shared_free(block);
    ck_assert_uint_lt(file_bytes(), RESERVE + MIB * 4);
    fprintf(stderr, "1 GiB taken and given back in %.1f ms\n",
            (double)(os_now() - start) / 1e6);
}

END_TEST

START_TEST(nothing_is_no_size)
{
    ck_assert_ptr_null(weft_shared_alloc(0));
    ck_assert_ptr_nonnull(strstr(weft_why(), "0"));
    weft_shared_free(NULL);
    ck_assert_uint_eq(weft_shared_used(), 0);
    ck_assert(!heap_holds(NULL));
    ck_assert(!heap_holds(&(int){0}));
}

END_TEST

static const size_t huge[] = {
    SIZE_MAX,         SIZE_MAX - 63,    SIZE_MAX / 2,          (size_t)1 << 62,
    SIZE_MAX - 65535, (size_t)20 << 40, ((size_t)64 << 30) + 1};

START_TEST(what_cannot_be_is_refused)
{
    ck_assert_ptr_null(weft_shared_alloc(huge[_i]));
    ck_assert_ptr_nonnull(strstr(weft_why(), "bytes"));
    ck_assert_uint_eq(weft_shared_used(), 0);
    weft_shared_free(must_alloc(1));
    expect_whole();
}

END_TEST

/* --- full, and empty again */

static size_t
fill(char **blocks, size_t most, size_t size)
{
    size_t count = 0;

    while (count < most && (blocks[count] = weft_shared_alloc(size)))
        memset(blocks[count++], 0x55, size);
    return count;
}

static const size_t fillers[] = {64, 1000, 5000, 32768, SPAN, 5 * SPAN};

START_TEST(a_full_heap_says_so_and_is_used_again)
{
    enum {
        MOST = MIB / 64
    };

    static char *blocks[MOST + 1];

    setenv("WEFT_SHARED_SIZE", "1M", 1);
    for (int round = 0; round < 3; round++) {
        const size_t size = fillers[(size_t)(_i + round) % 6];
        const size_t count = fill(blocks, MOST + 1, size);

        ck_assert_uint_le(count * size, MIB);
        ck_assert_uint_ge(count * size, MIB * 2 / 3);
        ck_assert_ptr_nonnull(strstr(weft_why(), "no room"));
        ck_assert_uint_le(weft_shared_used(), MIB);
        expect_whole();
        for (size_t i = 0; i < count; i += 2)
            weft_shared_free(blocks[i]);
        expect_whole();
        for (size_t i = 1; i < count; i += 2)
            weft_shared_free(blocks[i]);
        ck_assert_uint_eq(weft_shared_used(), 0);
        expect_whole();
    }
}

END_TEST

START_TEST(nothing_is_left_of_what_was_given_back)
{
    enum {
        COUNT = 3000
    };

    static void *blocks[COUNT];
    unsigned seed = 1;

    weft_shared_free(must_alloc(1));
    const size_t before = file_bytes();

    for (unsigned round = 0; round < scaled(4); round++) {
        for (int i = 0; i < COUNT; i++) {
            const size_t most = rand_r(&seed) % 8 ? 2000 : 200000;

            blocks[i] = must_alloc(1 + (size_t)rand_r(&seed) % most);
            if (i % 3 == 0) {
                weft_shared_free(blocks[i / 2]);
                blocks[i / 2] = NULL;
            }
        }
        expect_whole();
        ck_assert_uint_gt(file_bytes(), before + 10 * (size_t)MIB);
        for (int i = 0; i < COUNT; i++) {
            const int at = i * 7 % COUNT;

            weft_shared_free(blocks[at]);
            blocks[at] = NULL;
        }
        ck_assert_uint_eq(weft_shared_used(), 0);
        expect_whole();
    }
    ck_assert_uint_lt(file_bytes(), before + RESERVE + 2 * (size_t)MIB);
}

END_TEST

/* --- threads and processes together */

enum {
    HELD = 64,
    THREADS = 8,
    PROCESSES = 4
};

static int
hammer(unsigned seed, unsigned rounds)
{
    struct {
        char *at;
        size_t size;
        char mark;
    } held[HELD] = {0};

    int wrong = 0;

    for (unsigned i = 0; i < rounds; i++) {
        const size_t at = (size_t)rand_r(&seed) % HELD;
        const unsigned kind = (unsigned)rand_r(&seed) % 64;

        if (held[at].at) {
            wrong += held[at].at[0] != held[at].mark ||
                     held[at].at[held[at].size - 1] != held[at].mark ||
                     held[at].at[held[at].size / 2] != held[at].mark;
            weft_shared_free(held[at].at);
            held[at].at = NULL;
            continue;
        }
        held[at].size = 1 + (size_t)rand_r(&seed) % (kind ? 3000 : 300000);
        held[at].at = weft_shared_alloc(held[at].size);
        held[at].mark = (char)rand_r(&seed);
        if (!held[at].at)
            return -1;
        wrong += !is_zero(held[at].at, held[at].size);
        memset(held[at].at, held[at].mark, held[at].size);
    }
    for (size_t at = 0; at < HELD; at++)
        weft_shared_free(held[at].at);
    return wrong;
}

static int
hammer_task(weft_call *call)
{
    const unsigned *seed = call->arg;

    return hammer(*seed, scaled(20000));
}

static void
hammer_all(unsigned threads, unsigned processes)
{
    weft_job *jobs[THREADS + PROCESSES];

    weft_shared_free(must_alloc(1));
    for (unsigned i = 0; i < threads + processes; i++)
        jobs[i] = must_start(i < processes ? WEFT_PROCESS : WEFT_THREAD,
                             &(weft_task){.fn = hammer_task, WEFT_ARG(i)});
    for (unsigned i = 0; i < threads + processes; i++)
        expect_end(jobs[i], WEFT_OK);
    ck_assert_uint_eq(weft_shared_used(), 0);
    expect_whole();
}

START_TEST(threads_work_in_it)
{
    hammer_all(THREADS, 0);
}

END_TEST

START_TEST(threads_and_processes_work_in_it)
{
    hammer_all(THREADS, PROCESSES);
}

END_TEST

struct node {
    struct node *next;
    long number;
};

/* Adds its own to the list, and reads it. */
static int
lengthen(weft_call *call)
{
    struct node **list = *(struct node ***)(uintptr_t)call->arg;
    struct node *node = weft_shared_alloc(sizeof *node);

    if (!node)
        return weft_fail(call, "%s", weft_why());
    node->number = (*list)->number + 1;
    node->next = *list;
    *list = node;
    return 0;
}

START_TEST(a_list_goes_through_all_processes)
{
    struct node **list = must_alloc(sizeof *list);

    *list = must_alloc(sizeof **list);
    for (int i = 0; i < 20; i++)
        expect_end(
            must_run(WEFT_PROCESS,
                     &(weft_task){.fn = lengthen,
                                  WEFT_ARG(list),
                                  .worker =
                                      &(weft_worker_options){
                                          .method = methods[i % 2],
                                          .heap = i % 3 ? WEFT_HEAP_SHARED
                                                        : WEFT_HEAP_DEFAULT}}),
            WEFT_OK);
    for (int i = 20; i >= 0; i--) {
        struct node *node = *list;

        ck_assert_int_eq(node->number, i);
        *list = node->next;
        weft_shared_free(node);
    }
    weft_shared_free(list);
    ck_assert_uint_eq(weft_shared_used(), 0);
    expect_whole();
}

END_TEST

static int
have_none(weft_call *call)
{
    void *const *block = call->arg;

    return !heap_holds(*block) && weft_shared_alloc(1) == NULL &&
                   strstr(weft_why(), "without the shared heap") &&
                   weft_shared_used() == 0
               ? 0
               : -1;
}

static int
read_it(weft_call *call)
{
    char *const *block = call->arg;

    return **block;
}

START_TEST(a_worker_may_go_without)
{
    char *block = must_alloc(1);
    const weft_worker_options options = {.method = methods[_i],
                                         .heap = WEFT_HEAP_NONE};

    expect_end(must_run(WEFT_PROCESS, &(weft_task){.fn = have_none,
                                                   WEFT_ARG(block),
                                                   .worker = &options}),
               WEFT_OK);
    expect_end(must_run(WEFT_PROCESS, &(weft_task){.fn = read_it,
                                                   WEFT_ARG(block),
                                                   .worker = &options}),
               WEFT_EDIED);
    weft_shared_free(block);
}

END_TEST

/* A program of its own, which may read what there was. */
static void
be_a_copy(void *arg)
{
    char *block = arg;

    child_expect(*block == 'x');
    child_expect(!heap_holds(block));
    child_expect(weft_shared_used() == 0);
    weft_shared_free(block); /* another program's */
    char *own = weft_shared_alloc(10);

    child_expect(own && heap_holds(own) && heap_fault() == NULL);
    weft_shared_free(own);
}

START_TEST(a_copy_made_by_fork_has_a_heap_of_its_own)
{
    char *block = must_alloc(1);

    *block = 'x';
    ck_assert_int_eq(support_run_fork(be_a_copy, block), 0);
    ck_assert_uint_eq(weft_shared_used(), 64);
    weft_shared_free(block);
    expect_whole();
}

END_TEST

/* --- misuse */

enum {
    WRONG = 13
};

static void *
wrong_block(int which)
{
    static int elsewhere;
    char *small = must_alloc(100), *large = must_alloc(3 * SPAN);
    char *freed = must_alloc(100), *gone = must_alloc(3 * SPAN);
    char *base = heap_base();

    weft_shared_free(freed);
    weft_shared_free(gone);
    void *const wrong[WRONG] = {small + 1,
                                small + 64,
                                small - 128,
                                large + 64,
                                large + SPAN,
                                freed,
                                gone,
                                base,
                                base + OS_PAGE,
                                small + SPAN / 2,
                                large + 64 * SPAN,
                                base + heap_bytes - 64,
                                &elsewhere};

    return wrong[which];
}

static void
free_wrong(void *which)
{
    const int *index = which;

    setrlimit(RLIMIT_CORE, &(struct rlimit){0, 0});
    signal(SIGABRT, SIG_DFL);
    void *block = wrong_block(*index);

    fprintf(stderr, "%p\n", block);
    weft_shared_free(block);
}

START_TEST(what_is_no_block_is_misuse)
{
    struct ran ran;
    char address[32] = "";

    run_program(&ran, free_wrong, &_i);
    ck_assert_int_eq(ran.code, 128 + SIGABRT);
    sscanf(ran.err, "%31s", address);
    ck_assert(stands(ran.err, address, 2));
    ck_assert(stands(ran.err, "weft_shared_free", 1));
}

END_TEST

/* --- sizes */

static const struct {
    const char *text;
    size_t room; /* 0: refused */
} wishes[] = {
    {"1M", MIB},
    {"64K", SPAN},
    {"1", SPAN},
    {"100000", 2 * SPAN},
    {"2G", (size_t)2 << 30},
    {"0", 0},
    {"-1", 0},
    {"lots", 0},
    {"1T", 0},
    {"1MB", 0},
    {" 1M", 0},
    {"99999999999999999999", 0},
    {"99999999G", 0},
};

START_TEST(the_environment_says_how_large)
{
    setenv("WEFT_SHARED_SIZE", wishes[_i].text, 1);
    const int status = weft_init(&(weft_options){.shared_size = 4 * MIB});
    void *block = weft_shared_alloc(1);

    if (wishes[_i].room == 0) {
        ck_assert_int_eq(status, WEFT_EINVAL);
        ck_assert_ptr_null(block);
        ck_assert_ptr_nonnull(strstr(weft_why(), "WEFT_SHARED_SIZE"));
        return;
    }
    ck_assert_int_eq(status, 0);
    ck_assert_ptr_nonnull(block);
    ck_assert_uint_eq(heap_room(), wishes[_i].room);
    weft_shared_free(block);
}

END_TEST

START_TEST(the_option_says_how_large)
{
    ck_assert_int_eq(weft_init(&(weft_options){.shared_size = 4 * MIB}), 0);
    ck_assert_uint_eq(heap_room(), 4 * MIB);
    ck_assert_ptr_null(weft_shared_alloc(5 * MIB));
    void *block = must_alloc(4 * MIB);

    weft_shared_free(block);
    ck_assert_int_eq(weft_init(&(weft_options){.shared_size = 8 * MIB}), 0);
    ck_assert_uint_eq(heap_room(), 4 * MIB); /* it is made once */
}

END_TEST

START_TEST(little_address_space_makes_it_smaller)
{
    const rlim_t limit = (rlim_t)6 << 30;

    if (support_is_checked())
        return;
    ck_assert_int_eq(setrlimit(RLIMIT_AS, &(struct rlimit){limit, limit}), 0);
    ck_assert_int_eq(weft_init(NULL), 0);
    void *block = must_alloc(1);

    ck_assert_uint_eq(heap_room(), (size_t)1 << 30);
    weft_shared_free(block);
}

END_TEST

START_TEST(no_address_space_is_an_error)
{
    if (support_is_checked())
        return;
    const rlim_t limit = (rlim_t)200 << 20;

    ck_assert_int_eq(setrlimit(RLIMIT_AS, &(struct rlimit){limit, limit}), 0);
    ck_assert_ptr_null(weft_shared_alloc(1));
    ck_assert_ptr_nonnull(strstr(weft_why(), "shared heap"));
    ck_assert_uint_eq(weft_shared_used(), 0);
}

END_TEST

/* --- seen from outside */

/* Whether the mapping at the address is kept out of cores. */
static bool
is_kept_out(const void *at)
{
    FILE *maps = fopen("/proc/self/smaps", "re");
    char line[512];
    bool within = false, kept_out = false, found = false;

    ck_assert_ptr_nonnull(maps);
    while (fgets(line, sizeof line, maps)) {
        unsigned long from, to;

        if (sscanf(line, "%lx-%lx ", &from, &to) == 2)
            within = (uintptr_t)at >= from && (uintptr_t)at < to;
        if (within && strncmp(line, "VmFlags:", 8) == 0) {
            kept_out = strstr(line, " dd") != NULL;
            found = true;
        }
    }
    fclose(maps);
    ck_assert(found);
    return kept_out;
}

START_TEST(cores_hold_what_is_used)
{
    char *small = must_alloc(1), *large = must_alloc(10 * MIB);

    ck_assert(!is_kept_out(small));
    ck_assert(!is_kept_out(large));
    ck_assert(!is_kept_out(large + 10 * MIB - 1));
    ck_assert(is_kept_out(large + 20 * MIB));
    ck_assert(is_kept_out((char *)heap_base() + OS_PAGE));
    weft_shared_free(small);
    weft_shared_free(large);
}

END_TEST

/* What a dead process's slot says may be anything. */
START_TEST(a_scribbled_journal_frees_nothing)
{
    char *small = must_alloc(1000), *large = must_alloc(MIB);
    const uint32_t dead = OS_DIED;
    const uint64_t lies[] = {
        0,
        UINT64_MAX,
        0xf5764f40ab97b9b8,
        0x5a5a5a5a5a5a5a5a,
        (uintptr_t)&dead,
        (uintptr_t)heap_base(),
        (uintptr_t)heap_base() - HEAP_SPAN,
        (uintptr_t)small + 64,
        (uintptr_t)large + 64,
        (uintptr_t)large + HEAP_SPAN,
        (uintptr_t)large + (size_t)64 * MIB,
    };
    const size_t used = weft_shared_used();

    memset(small, 1, 1000);
    memset(large, 1, MIB);
    for (size_t i = 0; i < sizeof lies / sizeof *lies; i++) {
        struct slot slot = {.certificate = dead,
                            .heap_taken = (lies[i] & ~(uint64_t)HEAP_PHASES) |
                                          HEAP_OUTSIDE};

        heap_recover(&slot);
        ck_assert_uint_eq(weft_shared_used(), used);
    }
    ck_assert_int_eq(small[999], 1);
    ck_assert_int_eq(large[MIB - 1], 1);
    weft_shared_free(small);
    weft_shared_free(large);
}

END_TEST

START_TEST(it_has_no_name)
{
    char path[64], target[256] = "";

    weft_shared_free(must_alloc(1));
    snprintf(path, sizeof path, "/proc/self/fd/%d", heap_fd());
    ck_assert_int_gt(readlink(path, target, sizeof target - 1), 0);
    ck_assert_str_eq(target, "/memfd:weft-heap (deleted)");
    ck_assert(fcntl(heap_fd(), F_GETFD) & FD_CLOEXEC);
    ck_assert_int_lt(ftruncate(heap_fd(), 1), 0);
}

END_TEST

int
main(void)
{
    Suite *suite = suite_create("shm/heap");
    TCase *alone = support_case(suite, "one process", 60);
    TCase *many = support_case(suite, "many processes", 100);

    tcase_add_checked_fixture(many, options_ready, NULL);
    support_add_table(alone, a_block_is_aligned_zeroed_and_whole, sizes);
    tcase_add_test(alone, each_size_has_its_room);
    tcase_add_test(alone, a_gibibyte_is_had_at_once);
    tcase_add_test(alone, nothing_is_no_size);
    support_add_table(alone, what_cannot_be_is_refused, huge);
    support_add_table(alone, a_full_heap_says_so_and_is_used_again, fillers);
    tcase_add_test(alone, nothing_is_left_of_what_was_given_back);
    tcase_add_test(alone, threads_work_in_it);
    tcase_add_test(alone, a_copy_made_by_fork_has_a_heap_of_its_own);
    tcase_add_loop_test(alone, what_is_no_block_is_misuse, 0, WRONG);
    if (!support_is_valgrind()) /* weft_init says ENOSYS there */
        support_add_table(alone, the_environment_says_how_large, wishes);
    tcase_add_test(alone, little_address_space_makes_it_smaller);
    tcase_add_test(alone, no_address_space_is_an_error);
    tcase_add_test(alone, cores_hold_what_is_used);
    tcase_add_test(alone, a_scribbled_journal_frees_nothing);
    tcase_add_test(alone, it_has_no_name);
    if (!support_is_valgrind()) { /* which starts no processes */
        tcase_add_test(many, the_option_says_how_large);
        tcase_add_test(many, threads_and_processes_work_in_it);
        tcase_add_test(many, a_list_goes_through_all_processes);
        add_for_methods(many, a_worker_may_go_without);
    }
    return support_run(suite);
}
