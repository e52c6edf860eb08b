/* Many putters and getters at once: nothing lost, nothing twice, and from each
 * putter in order. Above all of the ring, which has no lock, but the other
 * kinds go through the same.
 *
 * Bugs planted to see it fail, and found: a waiter that announces itself after
 * its last look; one that leaves SIDE_WAKING set; `soon` never told, for gets
 * and for puts; a turn that is stored before the item is copied. Found by
 * test_queue: a wake-up that is not passed on. */
#include "queue/private.h"
#include "support/worker_support.h"

#include <stdlib.h>
#include <string.h>

#define MS INT64_C(1000000)
#define US INT64_C(1000)

enum {
    SIDE_MOST = 4
};

struct item {
    uint32_t putter, number;
    uint64_t check;
};

static struct item
item_of(uint32_t putter, uint32_t number)
{
    return (struct item){putter, number, ~((uint64_t)putter << 32 | number)};
}

/* A random number, one sequence a thread. */
static uint32_t
roll(uint32_t *state)
{
    *state = *state * 1664525u + 1013904223u;
    return *state >> 8;
}

static struct {
    weft_queue *queue;
    unsigned putters, getters, each;
    bool deadlines;         /* short ones, tried again */
    bool many;              /* at once */
    bool stops;             /* workers are stopped and go on */
    _Atomic uint8_t *seen;  /* putters * each */
    _Atomic unsigned begun; /* threads */
} crowd;

static weft_time
some_deadline(uint32_t *random)
{
    const uint32_t rolled = roll(random);

    if (!crowd.deadlines)
        return WEFT_FOREVER;
    return rolled % 4 == 0 ? WEFT_NOW : weft_in(rolled % 60 * US);
}

/* Whether the call is to be made again. */
static bool
is_passing(int status)
{
    return status == WEFT_ETIMEDOUT || status == WEFT_ECANCELED;
}

static void
put_all(uint32_t putter)
{
    struct item items[5];
    uint32_t random = putter + 1, next = 0;

    while (next < crowd.each) {
        uint32_t n = crowd.many ? 1 + roll(&random) % 5 : 1;

        if (n > crowd.each - next)
            n = crowd.each - next;
        for (uint32_t i = 0; i < n; i++)
            items[i] = item_of(putter, next + i);
        const int put =
            weft_queue_put_many(crowd.queue, items, n, some_deadline(&random));

        child_expect(put > 0 || is_passing(put));
        next += put > 0 ? (uint32_t)put : 0;
    }
}

static void
look_at(const struct item *item, uint32_t last[SIDE_MOST])
{
    const struct item right = item_of(item->putter, item->number);

    child_expect(item->putter < crowd.putters);
    child_expect(item->number < crowd.each);
    child_expect(item->check == right.check);
    /* One putter's items come to one getter in order. */
    child_expect(item->number + 1 > last[item->putter]);
    last[item->putter] = item->number + 1;
    child_expect(
        atomic_fetch_add(&crowd.seen[item->putter * crowd.each + item->number],
                         1) == 0);
}

static void
get_all(uint32_t getter)
{
    struct item items[5];
    uint32_t random = getter + 100, last[SIDE_MOST] = {0};
    int got;

    do {
        const uint32_t n = crowd.many ? 1 + roll(&random) % 5 : 1;

        got =
            weft_queue_get_many(crowd.queue, items, n, some_deadline(&random));
        for (int i = 0; i < got; i++)
            look_at(&items[i], last);
        if (got > 0)
            child_expect(weft_queue_done(crowd.queue, (unsigned)got) == 0);
    } while (got > 0 || is_passing(got));
    child_expect(got == WEFT_ECLOSED);
}

static int
work(weft_call *call)
{
    const uint32_t which = *(const uint32_t *)call->arg;

    atomic_fetch_add(&crowd.begun, 1);
    if (which < crowd.putters)
        put_all(which);
    else
        get_all(which - crowd.putters);
    return 0;
}

/* Every second one. A stop lasts for ever, so from then on each of their waits
 * fails at once, and is tried again. */
static void
stop_some(weft_job *jobs[], unsigned count)
{
    eventually(crowd.begun == count);
    for (unsigned i = 0; i < count; i += 2)
        weft_stop(jobs[i]);
}

static void
check_seen(void)
{
    for (unsigned i = 0; i < crowd.putters * crowd.each; i++)
        ck_assert_uint_eq(crowd.seen[i], 1);
}

static void
run_putters_and_getters(const weft_queue_options *options)
{
    const unsigned count = crowd.putters + crowd.getters;
    weft_job *jobs[2 * SIDE_MOST];

    ck_assert_int_eq(weft_queue_open(&crowd.queue, options), 0);
    crowd.seen = calloc(crowd.putters * crowd.each, 1);
    ck_assert_ptr_nonnull(crowd.seen);
    for (uint32_t i = 0; i < count; i++)
        jobs[i] =
            must_start(WEFT_THREAD, &(weft_task){.fn = work, WEFT_ARG(i)});
    if (crowd.stops)
        stop_some(jobs, count);
    for (uint32_t i = 0; i < crowd.putters; i++)
        must_join(jobs[i]);
    ck_assert_int_eq(weft_queue_join(crowd.queue, WEFT_FOREVER), 0);
    weft_queue_shutdown(crowd.queue);
    for (uint32_t i = 0; i < count; i++) {
        must_join(jobs[i]);
        weft_release(jobs[i]);
    }
    check_seen();
    ck_assert_uint_eq(weft_queue_size(crowd.queue), 0);
    weft_queue_close(crowd.queue);
    free(crowd.seen);
}

static const size_t capacities[] = {1, 2, 3, 64};

static const struct {
    unsigned putters, getters;
} crowds[] = {{1, 1}, {1, 4}, {4, 1}, {2, 2}, {3, 3}, {4, 4}};

enum {
    CROWDS = sizeof crowds / sizeof crowds[0],
    CAPACITIES = sizeof capacities / sizeof capacities[0]
};

static void
run_all(int i, unsigned each)
{
    crowd.putters = crowds[i / CAPACITIES].putters;
    crowd.getters = crowds[i / CAPACITIES].getters;
    crowd.each = scaled(each) + 1;
    run_putters_and_getters(&(weft_queue_options){
        .item_size = sizeof(struct item),
        .capacity = capacities[i % CAPACITIES],
    });
}

START_TEST(nothing_is_lost_or_doubled)
{
    run_all(_i, 10000);
}

END_TEST

START_TEST(nothing_is_lost_without_spinning)
{
    policy_park_only(true);
    run_all(_i, 2000);
}

END_TEST

START_TEST(nothing_is_lost_when_many_go_at_once)
{
    crowd.many = true;
    run_all(_i, 10000);
}

END_TEST

START_TEST(nothing_is_lost_in_a_stormof_deadlines)
{
    crowd.deadlines = true;
    crowd.many = _i % 2;
    policy_park_only(_i % 4 < 2);
    run_all(_i, 2000);
}

END_TEST

START_TEST(nothing_is_lost_when_workers_are_stopped)
{
    crowd.deadlines = true;
    crowd.stops = true;
    run_all(_i, 2000);
}

END_TEST

static int
by_number(const void *a, const void *b)
{
    const struct item *left = a, *right = b;

    return (left->number > right->number) - (left->number < right->number);
}

static const weft_queue_options others[] = {
    {.item_size = sizeof(struct item), .capacity = 0},
    {.item_size = sizeof(struct item),
     .capacity = 3,
     .order = WEFT_PRIORITY,
     .compare = by_number},
    {.item_size = sizeof(struct item), .capacity = 8, .leased = true},
    {.item_size = sizeof(struct item), .capacity = 0, .leased = true},
};

START_TEST(nothing_is_lost_by_the_others)
{
    crowd.putters = crowd.getters = 1u + (unsigned)_i % 3;
    crowd.each = scaled(2500);
    crowd.deadlines = _i & 4;
    run_putters_and_getters(&others[_i % 4]);
}

END_TEST

/* --- a queue that is never empty */

static struct {
    weft_queue *queue;
    _Atomic bool over;
    unsigned rounds;
} never;

/* Puts first, gets then: so that there is always an item whose put has
 * returned, whoever takes it. */
static void *
put_and_get(void *unused)
{
    uint64_t item = 1;

    (void)unused;
    for (unsigned i = 0; i < never.rounds; i++) {
        child_expect(weft_queue_put(never.queue, &item, WEFT_FOREVER) == 0);
        child_expect(weft_queue_get(never.queue, &item, WEFT_NOW) == 0);
    }
    return NULL;
}

static const struct {
    size_t capacity;
    unsigned threads;
    bool lifo;
} crowded[] = {
    {4, 2, false}, {3, 3, false}, {64, 4, false}, {8, 3, true}, {0, 3, false},
};

START_TEST(what_is_never_empty_is_never_found_empty)
{
    pthread_t threads[4];
    const weft_queue_options options = {.item_size = sizeof(uint64_t),
                                        .capacity = crowded[_i].capacity,
                                        .order = crowded[_i].lifo ? WEFT_LIFO
                                                                  : WEFT_FIFO};

    never.rounds = scaled(75000 / crowded[_i].threads);
    ck_assert_int_eq(weft_queue_open(&never.queue, &options), 0);
    for (unsigned i = 0; i < crowded[_i].threads; i++)
        threads[i] = support_thread(put_and_get, NULL);
    for (unsigned i = 0; i < crowded[_i].threads; i++)
        support_join(threads[i]);
    ck_assert_uint_eq(weft_queue_size(never.queue), 0);
    weft_queue_close(never.queue);
}

END_TEST

/* Gets first, puts then: there is always room. */
static void *
get_and_put(void *unused)
{
    uint64_t item;

    (void)unused;
    for (unsigned i = 0; i < never.rounds; i++) {
        child_expect(weft_queue_get(never.queue, &item, WEFT_FOREVER) == 0);
        child_expect(weft_queue_put(never.queue, &item, WEFT_NOW) == 0);
    }
    return NULL;
}

START_TEST(what_is_never_full_is_never_found_full)
{
    enum {
        ROOM = 3
    };

    pthread_t threads[ROOM];
    const weft_queue_options options = {.item_size = sizeof(uint64_t),
                                        .capacity = ROOM};
    const uint64_t item = 1;

    never.rounds = scaled(40000);
    ck_assert_int_eq(weft_queue_open(&never.queue, &options), 0);
    for (int i = 0; i < ROOM; i++)
        ck_assert_int_eq(weft_queue_put(never.queue, &item, WEFT_NOW), 0);
    for (int i = 0; i < ROOM; i++)
        threads[i] = support_thread(get_and_put, NULL);
    for (int i = 0; i < ROOM; i++)
        support_join(threads[i]);
    weft_queue_close(never.queue);
}

END_TEST

/* --- a shutdown in the midst of it */

static void *
put_until_closed(void *count)
{
    const uint64_t item = 1;

    while (weft_queue_put(never.queue, &item, WEFT_FOREVER) == 0)
        ++*(unsigned *)count;
    return NULL;
}

static void *
get_until_closed(void *count)
{
    uint64_t item;

    while (weft_queue_get(never.queue, &item, WEFT_FOREVER) == 0)
        ++*(unsigned *)count;
    return NULL;
}

/* What was put before the shutdown is got after it, also what was just being
 * put. */
START_TEST(a_shutdown_loses_nothing)
{
    const weft_queue_options options = {.item_size = sizeof(uint64_t),
                                        .capacity = (size_t)_i};

    for (unsigned round = 0; round < scaled(3000); round++) {
        unsigned put[2] = {0}, got[2] = {0};
        pthread_t threads[4];

        ck_assert_int_eq(weft_queue_open(&never.queue, &options), 0);
        for (int i = 0; i < 2; i++) {
            threads[i] = support_thread(put_until_closed, &put[i]);
            threads[2 + i] = support_thread(get_until_closed, &got[i]);
        }
        for (unsigned i = 0; i < round % 64; i++)
            support_spin();
        weft_queue_shutdown(never.queue);
        for (int i = 0; i < 4; i++)
            support_join(threads[i]);
        ck_assert_uint_eq(put[0] + put[1], got[0] + got[1]);
        weft_queue_close(never.queue);
    }
}

END_TEST

/* --- watchers beside putters */

static void *
put_now_and_then(void *unused)
{
    uint64_t item = 1;

    (void)unused;
    for (unsigned i = 0; i < never.rounds; i++)
        child_expect(weft_queue_put(never.queue, &item, WEFT_FOREVER) == 0);
    return NULL;
}

/* Each wait begins with an empty queue, or nearly; a lost ring would be a wait
 * for ever. */
START_TEST(no_ring_is_lost)
{
    const weft_queue_options options = {.item_size = sizeof(uint64_t),
                                        .capacity = (size_t)_i};
    const weft_queue_options other = {.item_size = 1, .capacity = 1};
    weft_queue *silent;
    uint64_t item;

    never.rounds = scaled(15000);
    ck_assert_int_eq(weft_queue_open(&never.queue, &options), 0);
    ck_assert_int_eq(weft_queue_open(&silent, &other), 0);
    const weft_source sources[] = {
        {.queue = silent},
        {.queue = never.queue},
        {.fd = weft_queue_fd(silent), .events = WEFT_READABLE}};
    const pthread_t thread = support_thread(put_now_and_then, NULL);

    for (unsigned i = 0; i < never.rounds; i++) {
        ck_assert_int_eq(
            weft_wait_any(sources, i % 3 == 0 ? 3 : 2, 0, WEFT_FOREVER), 1);
        ck_assert_int_eq(weft_queue_get(never.queue, &item, WEFT_NOW), 0);
    }
    support_join(thread);
    weft_queue_close(silent);
    weft_queue_close(never.queue);
}

END_TEST

/* The descriptor instead. */
START_TEST(the_descriptor_is_right_after_each_change)
{
    const weft_queue_options options = {.item_size = sizeof(uint64_t),
                                        .capacity = (size_t)_i};
    uint64_t item;

    never.rounds = scaled(15000);
    ck_assert_int_eq(weft_queue_open(&never.queue, &options), 0);
    const weft_source source = {.fd = weft_queue_fd(never.queue),
                                .events = WEFT_READABLE};
    const pthread_t thread = support_thread(put_now_and_then, NULL);

    for (unsigned i = 0; i < never.rounds; i++) {
        ck_assert_int_eq(weft_wait_any(&source, 1, 0, WEFT_FOREVER), 0);
        ck_assert_int_eq(weft_queue_get(never.queue, &item, WEFT_NOW), 0);
    }
    support_join(thread);
    ck_assert_int_eq(weft_wait_any(&source, 1, 0, WEFT_NOW), WEFT_ETIMEDOUT);
    weft_queue_close(never.queue);
}

END_TEST

int
main(void)
{
    Suite *suite = suite_create("queue/ring");
    TCase *tcase = support_case(suite, "ring", 30);
    const int all = CROWDS * CAPACITIES;

    tcase_add_loop_test(tcase, nothing_is_lost_or_doubled, 0, all);
    tcase_add_loop_test(tcase, nothing_is_lost_without_spinning, 0, all);
    tcase_add_loop_test(tcase, nothing_is_lost_when_many_go_at_once, 0, all);
    tcase_add_loop_test(tcase, nothing_is_lost_in_a_stormof_deadlines, 0, all);
    tcase_add_loop_test(tcase, nothing_is_lost_when_workers_are_stopped, 0,
                        all);
    tcase_add_loop_test(tcase, nothing_is_lost_by_the_others, 0, 8);
    support_add_table(tcase, what_is_never_empty_is_never_found_empty, crowded);
    tcase_add_test(tcase, what_is_never_full_is_never_found_full);
    tcase_add_loop_test(tcase, a_shutdown_loses_nothing, 0, 3);
    tcase_add_loop_test(tcase, no_ring_is_lost, 0, 3);
    tcase_add_loop_test(tcase, the_descriptor_is_right_after_each_change, 0, 3);
    return support_run(suite);
}
