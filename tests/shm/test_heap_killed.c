/* Processes that take and give back blocks are killed at any moment, thousands
 * of times, while others go on. What they held is what they had written down;
 * all else is free, and nothing is torn. */
#include "os/os.h"
#include "registry/registry.h"
#include "registry/self.h"
#include "shm/heap.h"
#include "shm/layout.h"
#include "support/options_support.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    VICTIMS = 3, /* at a time */
    HELD = 32,
    MOST = 100000,   /* kills */
    WAIT_MOST = 1500 /* µs that one lives, once it works */
};

/* What a victim says of what it does: a block stands here from after it was
 * had until before it is given back. */
struct diary {
    char *_Atomic held[HELD];
    char *_Atomic giving; /* perhaps given back already */
    _Atomic int taking;   /* perhaps has one that stands nowhere yet */
    _Atomic unsigned done;
    unsigned seed;
};

static struct {
    struct diary diaries[VICTIMS];
    _Atomic int stop, wrong;
} * shared;

static size_t
some_size(unsigned *seed)
{
    const unsigned kind = (unsigned)rand_r(seed) % 16;
    const size_t most = kind > 1 ? 2000 : kind ? 40000 : 400000;

    return 64 + (size_t)rand_r(seed) % most;
}

static bool
is_zero(const char *at, size_t size)
{
    return at[0] == 0 && memcmp(at, at + 1, size - 1) == 0;
}

/* Marks the block with its own address at both ends. */
static void
mark(char *block, size_t size)
{
    memcpy(block, (void *)&block, sizeof(void *));
    memcpy(block + size - sizeof block, (void *)&block, sizeof block);
}

static void
take(struct diary *diary, int at, unsigned *seed)
{
    const size_t size = some_size(seed);

    atomic_store(&diary->taking, 1);
    char *block = weft_shared_alloc(size);

    atomic_store(&diary->held[at], block);
    atomic_store(&diary->taking, 0);
    if (!block || !is_zero(block, size))
        atomic_fetch_add(&shared->wrong, 1);
    else
        mark(block, size);
}

static void
give(struct diary *diary, int at)
{
    char *block = atomic_load(&diary->held[at]);
    char *marked;

    memcpy(&marked, block, sizeof marked);
    if (marked && marked != block)
        atomic_fetch_add(&shared->wrong, 1);
    atomic_store(&diary->giving, block);
    atomic_store(&diary->held[at], NULL);
    weft_shared_free(block);
    atomic_store(&diary->giving, NULL);
}

static void
work(struct diary *diary, unsigned seed)
{
    const int at = (int)((unsigned)rand_r(&seed) % HELD);

    if (atomic_load(&diary->held[at]))
        give(diary, at);
    else
        take(diary, at, &seed);
    atomic_fetch_add(&diary->done, 1);
}

static int
be_killed(weft_call *call)
{
    struct diary *diary = &shared->diaries[*(const int *)call->arg];

    while (!atomic_load(&shared->stop))
        work(diary, diary->seed++ * 7919);
    return 0;
}

static int
go_on(weft_call *call)
{
    struct diary *diary = calloc(1, sizeof *diary);
    unsigned seed = *(const unsigned *)call->arg;

    while (!atomic_load(&shared->stop))
        work(diary, seed++ * 104729);
    for (int i = 0; i < HELD; i++)
        weft_shared_free(atomic_load(&diary->held[i]));
    free(diary);
    return 0;
}

static weft_job *
start_victim(int which)
{
    atomic_store(&shared->diaries[which].done, 0);
    return must_start(WEFT_PROCESS,
                      &(weft_task){.fn = be_killed, WEFT_ARG(which)});
}

struct count {
    unsigned kills, taking, giving;
    char *given[MOST]; /* perhaps; or perhaps somebody else's by now */
};

/* After its death: whether the diary leaves something open. */
static void
read_diary(struct diary *diary, struct count *count)
{
    char *giving = atomic_exchange(&diary->giving, NULL);

    count->kills++;
    count->taking += (unsigned)atomic_exchange(&diary->taking, 0);
    if (giving && count->giving < MOST)
        count->given[count->giving++] = giving;
}

static void
kill_one(weft_job **job, int which, unsigned *seed, struct count *count)
{
    struct diary *diary = &shared->diaries[which];

    while (atomic_load(&diary->done) < 3)
        os_pause();
    const int64_t until =
        os_now() + 1000 * (int64_t)((unsigned)rand_r(seed) % WAIT_MOST);

    while (os_now() < until)
        os_pause();
    ck_assert_int_eq(weft_kill(*job, SIGKILL), 0);
    expect_end(*job, WEFT_EDIED);
    read_diary(diary, count);
    *job = start_victim(which);
}

static void
end_all(weft_job *jobs[VICTIMS], struct count *count)
{
    for (int i = 0; i < VICTIMS; i++) {
        ck_assert_int_eq(weft_kill(jobs[i], SIGKILL), 0);
        expect_end(jobs[i], WEFT_EDIED);
        read_diary(&shared->diaries[i], count);
    }
}

/* All that stands in the diaries is alive, and goes; then what the killed were
 * giving back, unless that had been done. What is left was handed out a moment
 * before a death, which had no time to write it down. */
static void
give_all_back(const struct count *count)
{
    for (int v = 0; v < VICTIMS; v++)
        for (int i = 0; i < HELD; i++) {
            char *block = atomic_load(&shared->diaries[v].held[i]);

            if (!block)
                continue;
            ck_assert_uint_gt(heap_block_size(block), 0);
            weft_shared_free(block);
        }
    for (unsigned i = 0; i < count->giving; i++)
        if (heap_block_size(count->given[i]) > 0)
            weft_shared_free(count->given[i]);
}

static unsigned
living(void)
{
    unsigned count = 0;

    for (uint32_t span = 0; span < heap.header->ready; span++) {
        const uint64_t state = heap_state(span);

        count += heap_kind(state) >= HEAP_LARGE;
        for (int word = 0; word < HEAP_WORDS; word++)
            count += (unsigned)__builtin_popcountll(heap.bits[span][word]);
    }
    return count;
}

START_TEST(the_killed_tear_nothing)
{
    weft_job *victims[VICTIMS], *others[2];
    static struct count count;
    unsigned seed = 7;

    weft_shared_free(weft_shared_alloc(1));
    for (int i = 0; i < VICTIMS; i++)
        victims[i] = start_victim(i);
    for (unsigned i = 0; i < 2; i++)
        others[i] = must_start(i ? WEFT_THREAD : WEFT_PROCESS,
                               &(weft_task){.fn = go_on, WEFT_ARG(i)});
    for (unsigned i = 0; i < scaled(1000); i++) {
        kill_one(&victims[i % VICTIMS], (int)i % VICTIMS, &seed, &count);
        const char *fault = i % 16 ? NULL : heap_fault();

        ck_assert_msg(fault == NULL, "after %u kills: %s", count.kills, fault);
    }
    end_all(victims, &count);
    atomic_store(&shared->stop, 1);
    for (int i = 0; i < 2; i++)
        expect_end(others[i], WEFT_OK);
    ck_assert_int_eq(shared->wrong, 0);
    ck_assert_ptr_null(heap_fault());
    give_all_back(&count);
    ck_assert_ptr_null(heap_fault());
    fprintf(stderr,
            "%u kills, %u while taking, %u while giving back; left: %u blocks, "
            "%zu bytes\n",
            count.kills, count.taking, count.giving, living(),
            weft_shared_used());
    ck_assert_uint_le(living(), count.taking);
}

END_TEST

static void
ready(void)
{
    options_ready();
    shared = support_share(sizeof *shared);
}

int
main(void)
{
    Suite *suite = suite_create("shm/heap_killed");
    TCase *tcase = support_case(suite, "storm", 110);

    tcase_add_checked_fixture(tcase, ready, NULL);
    tcase_add_test(tcase, the_killed_tear_nothing);
    return support_run(suite);
}
