/* What a queue means, whatever its kind. */
#include "os/os.h"
#include "support/worker_support.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>

#define MS INT64_C(1000000)

struct item {
    int rank, number;
};

static int
by_rank(const void *a, const void *b)
{
    const struct item *left = a, *right = b;

    return (left->rank > right->rank) - (left->rank < right->rank);
}

enum {
    ROOM = 4,
    RANKS = 3
};

static const struct sort {
    size_t capacity;
    weft_order order;
    bool leased;
} sorts[] = {
    {ROOM, WEFT_FIFO, false},     {ROOM, WEFT_LIFO, false},
    {ROOM, WEFT_PRIORITY, false}, {0, WEFT_FIFO, false},
    {0, WEFT_LIFO, false},        {0, WEFT_PRIORITY, false},
    {ROOM, WEFT_FIFO, true},      {ROOM, WEFT_LIFO, true},
    {ROOM, WEFT_PRIORITY, true},  {0, WEFT_FIFO, true},
    {0, WEFT_LIFO, true},         {0, WEFT_PRIORITY, true},
};

static const struct sort *sort;
static weft_queue *queue;

static void
open_it(int i)
{
    sort = &sorts[i];
    const weft_queue_options options = {
        .item_size = sizeof(struct item),
        .capacity = sort->capacity,
        .order = sort->order,
        .leased = sort->leased,
        .compare = sort->order == WEFT_PRIORITY ? by_rank : NULL,
        .name = "orders",
    };

    ck_assert_int_eq(weft_queue_open(&queue, &options), 0);
}

static void
put(int number)
{
    const struct item item = {number % RANKS, number};

    child_expect(weft_queue_put(queue, &item, WEFT_FOREVER) == 0);
}

static int
get(void)
{
    struct item item;

    child_expect(weft_queue_get(queue, &item, WEFT_FOREVER) == 0);
    child_expect(item.rank == item.number % RANKS);
    return item.number;
}

static int
try_put(int number)
{
    const struct item item = {number % RANKS, number};

    return weft_queue_put(queue, &item, WEFT_NOW);
}

static int
try_get(void)
{
    struct item item;
    const int status = weft_queue_get(queue, &item, WEFT_NOW);

    return status < 0 ? status : item.number;
}

/* The k-th that comes of count numbers from 0 on. */
static int
expected(int k, int count)
{
    if (sort->order == WEFT_FIFO)
        return k;
    if (sort->order == WEFT_LIFO)
        return count - 1 - k;
    for (int rank = 0; rank < RANKS; rank++)
        for (int number = rank; number < count; number += RANKS)
            if (k-- == 0)
                return number;
    return -1;
}

/* --- order and limits */

START_TEST(items_come_in_order)
{
    open_it(_i);
    for (int round = 0; round < 10; round++) {
        for (int i = 0; i < ROOM; i++)
            put(i);
        ck_assert_uint_eq(weft_queue_size(queue), ROOM);
        for (int i = 0; i < ROOM; i++)
            ck_assert_int_eq(get(), expected(i, ROOM));
        ck_assert_int_eq(weft_queue_done(queue, ROOM), 0);
        ck_assert_uint_eq(weft_queue_size(queue), 0);
    }
    weft_queue_close(queue);
}

END_TEST

START_TEST(many_items_come_in_order)
{
    enum {
        COUNT = 1000
    };

    open_it(_i);
    if (sort->capacity == 0) {
        for (int i = 0; i < COUNT; i++)
            put(i);
        ck_assert_uint_eq(weft_queue_size(queue), COUNT);
        for (int i = 0; i < COUNT; i++)
            ck_assert_int_eq(get(), expected(i, COUNT));
        put(1); /* some go with the queue */
    }
    weft_queue_close(queue);
}

END_TEST

START_TEST(a_try_does_not_wait)
{
    open_it(_i);
    expect_refused(try_get(), WEFT_ETIMEDOUT, "queue 'orders' was empty");
    if (sort->capacity > 0) {
        for (int i = 0; i < ROOM; i++)
            ck_assert_int_eq(try_put(i), 0);
        expect_refused(try_put(0), WEFT_ETIMEDOUT, "queue 'orders' was full");
        (void)get();
        if (sort->leased)
            ck_assert_int_eq(try_put(0), WEFT_ETIMEDOUT);
        ck_assert_int_eq(weft_queue_done(queue, 1), 0);
        ck_assert_int_eq(try_put(0), 0);
    }
    weft_queue_close(queue);
}

END_TEST

START_TEST(a_deadline_ends_a_wait)
{
    struct item item = {0, 0};
    weft_time until;

    open_it(_i);
    until = weft_in(5 * MS);
    ck_assert_int_eq(weft_queue_get(queue, &item, until), WEFT_ETIMEDOUT);
    ck_assert_int_ge(weft_now().ns, until.ns);
    for (int i = 0; i < ROOM; i++)
        put(i);
    until = weft_in(5 * MS);
    ck_assert_int_eq(weft_queue_join(queue, until), WEFT_ETIMEDOUT);
    ck_assert_int_ge(weft_now().ns, until.ns);
    if (sort->capacity > 0) {
        until = weft_in(5 * MS);
        ck_assert_int_eq(weft_queue_put(queue, &item, until), WEFT_ETIMEDOUT);
        ck_assert_int_ge(weft_now().ns, until.ns);
    }
    weft_queue_close(queue);
}

END_TEST

START_TEST(many_go_at_once)
{
    struct item items[2 * ROOM], got[2 * ROOM];

    open_it(_i);
    for (int i = 0; i < 2 * ROOM; i++)
        items[i] = (struct item){i % RANKS, i};
    const int most = sort->capacity > 0 ? ROOM : 2 * ROOM;

    for (int round = 0; round < 3; round++) {
        put(0);
        (void)get(); /* so that a ring begins elsewhere */
        ck_assert_int_eq(weft_queue_done(queue, 1), 0);
        ck_assert_int_eq(weft_queue_put_many(queue, items, 2 * ROOM, WEFT_NOW),
                         most);
        ck_assert_int_eq(weft_queue_get_many(queue, got, 3, WEFT_NOW), 3);
        ck_assert_int_eq(
            weft_queue_get_many(queue, got + 3, 2 * ROOM - 3, WEFT_FOREVER),
            most - 3);
        for (int i = 0; i < most; i++)
            ck_assert_int_eq(got[i].number, expected(i, most));
        ck_assert_int_eq(weft_queue_done(queue, (unsigned)most), 0);
        ck_assert_int_eq(weft_queue_get_many(queue, got, 3, WEFT_NOW),
                         WEFT_ETIMEDOUT);
    }
    weft_queue_close(queue);
}

END_TEST

/* --- waiting */

static int
get_one(weft_call *call)
{
    struct item item = {-1, -1};
    const int status = weft_queue_get(queue, &item, WEFT_FOREVER);

    *(int *)call->result = item.number;
    return status;
}

static int
put_one(weft_call *call)
{
    (void)call;
    return weft_queue_put(queue, &(struct item){0, 9}, WEFT_FOREVER);
}

static int
join_it(weft_call *call)
{
    (void)call;
    return weft_queue_join(queue, WEFT_FOREVER);
}

static weft_job *
start(weft_fn *fn)
{
    return must_start(WEFT_THREAD,
                      &(weft_task){.fn = fn, .result_size = sizeof(int)});
}

/* Starts it and waits until it is seen to wait for the queue. */
static weft_job *
start_waiting(weft_fn *fn)
{
    weft_job *job = start(fn);
    weft_worker worker = {.state = WEFT_STARTING};

    eventually((weft_worker_of(job, &worker), worker.state == WEFT_WAITING));
    ck_assert_str_eq(worker.waits_for, "orders");
    return job;
}

static void
fill(void)
{
    for (int i = 0; i < ROOM; i++)
        put(i);
}

START_TEST(a_get_waits_for_a_put)
{
    int number;

    open_it(_i);
    weft_job *job = start_waiting(get_one);

    put(7);
    ck_assert_int_eq(weft_result(job, &number, sizeof number, WEFT_FOREVER), 0);
    ck_assert_int_eq(number, 7);
    weft_release(job);
    weft_queue_close(queue);
}

END_TEST

START_TEST(a_put_waits_for_room)
{
    open_it(_i);
    if (sort->capacity > 0) {
        fill();
        weft_job *job = start_waiting(put_one);

        (void)get();
        ck_assert_int_eq(weft_queue_done(queue, 1), 0);
        expect_end(job, WEFT_OK);
        ck_assert_uint_eq(weft_queue_size(queue), ROOM);
    }
    weft_queue_close(queue);
}

END_TEST

/* One wake-up is under way at a time; whoever got it passes it on. */
START_TEST(all_who_wait_go_on)
{
    struct item items[3] = {{0, 0}, {0, 3}, {0, 6}};
    weft_job *jobs[3];

    open_it(_i);
    for (int i = 0; i < 3; i++)
        jobs[i] = start_waiting(get_one);
    ck_assert_int_eq(weft_queue_put_many(queue, items, 3, WEFT_NOW), 3);
    for (int i = 0; i < 3; i++)
        expect_end(jobs[i], WEFT_OK);
    weft_queue_close(queue);
    open_it(_i);
    if (sort->capacity > 0) {
        fill();
        for (int i = 0; i < 3; i++)
            jobs[i] = start_waiting(put_one);
        ck_assert_int_eq(weft_queue_get_many(queue, items, 3, WEFT_NOW), 3);
        ck_assert_int_eq(weft_queue_done(queue, 3), 0);
        for (int i = 0; i < 3; i++)
            expect_end(jobs[i], WEFT_OK);
    }
    weft_queue_close(queue);
}

END_TEST

START_TEST(a_discard_makes_room)
{
    open_it(_i);
    if (sort->capacity > 0) {
        fill();
        weft_job *job = start_waiting(put_one);

        ck_assert_uint_ge(weft_queue_discard(queue), ROOM);
        expect_end(job, WEFT_OK);
    }
    weft_queue_close(queue);
}

END_TEST

static void
expect_stopped(weft_fn *fn)
{
    weft_job *job = start_waiting(fn);

    weft_stop(job);
    expect_end(job, WEFT_ECANCELED);
}

START_TEST(a_stop_ends_a_wait)
{
    open_it(_i);
    expect_stopped(get_one);
    fill();
    expect_stopped(join_it);
    if (sort->capacity > 0)
        expect_stopped(put_one);
    ck_assert_uint_eq(weft_queue_size(queue), ROOM);
    weft_queue_close(queue);
}

END_TEST

static int
get_when_stopped(weft_call *call)
{
    struct item item;

    (void)call;
    gate_open(&common->begun);
    while (!weft_stopping())
        support_spin();
    child_expect(weft_queue_get(queue, &item, WEFT_FOREVER) == 0);
    child_expect(weft_queue_get(queue, &item, WEFT_FOREVER) == WEFT_ECANCELED);
    child_expect(strstr(weft_why(), "asked to stop while waiting for an item "
                                    "of queue 'orders'") != NULL);
    return 0;
}

START_TEST(an_item_is_seen_before_a_stop)
{
    open_it(_i);
    put(1);
    weft_job *job = start(get_when_stopped);

    gate_pass(&common->begun);
    weft_stop(job);
    expect_end(job, WEFT_OK);
    weft_queue_close(queue);
}

END_TEST

/* --- done, join, shutdown */

START_TEST(done_is_counted)
{
    open_it(_i);
    expect_refused(weft_queue_done(queue, 1), WEFT_EOVERFLOW, "1 done");
    put(1);
    put(2);
    ck_assert_int_eq(weft_queue_done(queue, 1), WEFT_EOVERFLOW);
    (void)get();
    ck_assert_int_eq(weft_queue_done(queue, 2), WEFT_EOVERFLOW);
    ck_assert_int_eq(weft_queue_done(queue, 1), 0);
    ck_assert_int_eq(weft_queue_done(queue, 1), WEFT_EOVERFLOW);
    expect_refused(weft_queue_join(queue, WEFT_NOW), WEFT_ETIMEDOUT,
                   "not done");
    (void)get();
    ck_assert_int_eq(weft_queue_join(queue, WEFT_NOW), WEFT_ETIMEDOUT);
    ck_assert_int_eq(weft_queue_done(queue, 1), 0);
    ck_assert_int_eq(weft_queue_join(queue, WEFT_NOW), 0);
    weft_queue_close(queue);
}

END_TEST

START_TEST(a_join_ends_with_the_last_done)
{
    open_it(_i);
    put(1);
    put(2);
    weft_job *jobs[] = {start_waiting(join_it), start_waiting(join_it)};

    (void)get();
    (void)get();
    ck_assert_int_eq(weft_queue_done(queue, 1), 0);
    ck_assert(weft_is_alive(jobs[0]) && weft_is_alive(jobs[1]));
    ck_assert_int_eq(weft_queue_done(queue, 1), 0);
    expect_end(jobs[0], WEFT_OK);
    expect_end(jobs[1], WEFT_OK);
    weft_queue_close(queue);
}

END_TEST

START_TEST(what_is_discarded_is_done)
{
    open_it(_i);
    fill();
    (void)get();
    ck_assert_uint_eq(weft_queue_discard(queue), ROOM - 1);
    ck_assert_uint_eq(weft_queue_size(queue), 0);
    ck_assert_uint_eq(weft_queue_discard(queue), 0);
    weft_job *job = start_waiting(join_it);

    ck_assert_int_eq(weft_queue_done(queue, 1), 0);
    expect_end(job, WEFT_OK);
    put(1);
    job = start_waiting(join_it);
    ck_assert_uint_eq(weft_queue_discard(queue), 1);
    expect_end(job, WEFT_OK);
    weft_queue_close(queue);
}

END_TEST

START_TEST(a_shutdown_lets_out_what_is_left)
{
    open_it(_i);
    put(0);
    put(1);
    weft_queue_shutdown(queue);
    weft_queue_shutdown(queue);
    expect_refused(try_put(2), WEFT_ECLOSED, "queue 'orders' is shut down");
    ck_assert_int_eq(weft_queue_put(queue, &(struct item){0, 0}, WEFT_FOREVER),
                     WEFT_ECLOSED);
    ck_assert_uint_eq(weft_queue_size(queue), 2);
    ck_assert_int_eq(get(), expected(0, 2));
    ck_assert_int_eq(get(), expected(1, 2));
    expect_refused(try_get(), WEFT_ECLOSED, "shut down and empty");
    ck_assert_int_eq(weft_queue_get(queue, &(struct item){0, 0}, WEFT_FOREVER),
                     WEFT_ECLOSED);
    ck_assert_int_eq(weft_queue_join(queue, WEFT_NOW), WEFT_ETIMEDOUT);
    ck_assert_int_eq(weft_queue_done(queue, 2), 0);
    ck_assert_int_eq(weft_queue_join(queue, WEFT_NOW), 0);
    weft_queue_close(queue);
}

END_TEST

static int
get_closed(weft_call *call)
{
    struct item item;

    (void)call;
    return weft_queue_get(queue, &item, WEFT_FOREVER) == WEFT_ECLOSED ? 0 : 1;
}

static int
put_closed(weft_call *call)
{
    const struct item item = {0, 0};

    (void)call;
    return weft_queue_put(queue, &item, WEFT_FOREVER) == WEFT_ECLOSED ? 0 : 1;
}

START_TEST(a_shutdown_wakes_everybody)
{
    weft_job *jobs[3];

    open_it(_i);
    for (int i = 0; i < 3; i++)
        jobs[i] = start_waiting(get_closed);
    weft_queue_shutdown(queue);
    for (int i = 0; i < 3; i++)
        expect_end(jobs[i], WEFT_OK);
    weft_queue_close(queue);
    open_it(_i);
    if (sort->capacity > 0) {
        fill();
        for (int i = 0; i < 3; i++)
            jobs[i] = start_waiting(put_closed);
        weft_queue_shutdown(queue);
        for (int i = 0; i < 3; i++)
            expect_end(jobs[i], WEFT_OK);
    }
    weft_queue_close(queue);
}

END_TEST

/* --- descriptor and weft_wait_any */

static bool
is_readable(int fd)
{
    struct pollfd wanted = {.fd = fd, .events = POLLIN};

    return poll(&wanted, 1, 0) == 1;
}

START_TEST(the_descriptor_tells_whether_there_is_an_item)
{
    open_it(_i);
    for (int begin = 0; begin < 2; begin++) {
        const int fd = weft_queue_fd(queue);

        ck_assert_int_ge(fd, 0);
        ck_assert_int_eq(weft_queue_fd(queue), fd);
        ck_assert(!is_readable(fd));
        put(1);
        ck_assert(is_readable(fd));
        ck_assert(is_readable(fd));
        put(2);
        (void)get();
        ck_assert(is_readable(fd));
        (void)get();
        ck_assert(!is_readable(fd));
        ck_assert_int_eq(weft_queue_done(queue, 2), 0);
        put(3);
        ck_assert_uint_eq(weft_queue_discard(queue), 1);
        ck_assert(!is_readable(fd));
    }
    weft_queue_shutdown(queue);
    ck_assert(is_readable(weft_queue_fd(queue)));
    weft_queue_close(queue);
}

END_TEST

START_TEST(a_late_descriptor_is_readable_at_once)
{
    open_it(_i);
    put(1);
    const int before = support_fds();
    const int fd = weft_queue_fd(queue);

    ck_assert(is_readable(fd));
    ck_assert_int_eq(support_fds(), before + 1);
    weft_queue_close(queue);
    ck_assert_int_eq(support_fds(), before);
}

END_TEST

static int
wait_for_it(weft_call *call)
{
    weft_queue *other;
    const weft_queue_options options = {.item_size = 1, .capacity = 1};

    (void)call;
    child_expect(weft_queue_open(&other, &options) == 0);
    const weft_source sources[] = {{.queue = other}, {.queue = queue}};
    const int ready = weft_wait_any(sources, 2, 0, WEFT_FOREVER);

    weft_queue_close(other);
    return ready == 1 ? 0 : 1;
}

/* Waits until it sleeps in weft_wait_any. */
static weft_job *
start_watching(void)
{
    weft_job *job = start(wait_for_it);
    weft_worker worker = {.state = WEFT_STARTING};

    eventually((weft_worker_of(job, &worker), worker.state == WEFT_WAITING));
    return job;
}

START_TEST(it_can_be_waited_for_among_others)
{
    const weft_source source = {0};
    weft_source one = source;

    open_it(_i);
    one.queue = queue;
    ck_assert_int_eq(weft_wait_any(&one, 1, 0, WEFT_NOW), WEFT_ETIMEDOUT);
    weft_job *job = start_watching();

    put(1);
    expect_end(job, WEFT_OK);
    ck_assert_int_eq(weft_wait_any(&one, 1, 0, WEFT_NOW), 0);
    (void)get();
    ck_assert_int_eq(weft_wait_any(&one, 1, 0, WEFT_NOW), WEFT_ETIMEDOUT);
    job = start_watching();
    weft_queue_shutdown(queue);
    expect_end(job, WEFT_OK);
    weft_queue_close(queue);
}

END_TEST

/* --- leases */

static int
get_two_and_go(weft_call *call)
{
    struct item item;

    (void)call;
    child_expect(weft_queue_get(queue, &item, WEFT_FOREVER) == 0);
    child_expect(weft_queue_get(queue, &item, WEFT_FOREVER) == 0);
    child_expect(weft_queue_done(queue, 3) == WEFT_EOVERFLOW);
    return 0;
}

static int
finish_one_of_two(weft_call *call)
{
    (void)get_two_and_go(call);
    child_expect(weft_queue_done(queue, 1) == 0);
    return 0;
}

static void
finish_two(void *unused)
{
    (void)unused;
    child_expect(weft_queue_done(queue, 2) == 0);
}

static int
finish_at_end(weft_call *call)
{
    child_expect(weft_at_end(finish_two, NULL) == 0);
    return get_two_and_go(call);
}

static const weft_kind here[] = {WEFT_THREAD, WEFT_SERIAL};

/* The kind changes with the sort, so that both are met. */
static void
run_getter(weft_fn *fn, int i)
{
    expect_end(must_start(here[i / 3 % 2], &(weft_task){.fn = fn}), WEFT_OK);
}

START_TEST(an_ended_getters_items_come_back_to_their_places)
{
    open_it(_i);
    if (sort->leased) {
        fill();
        run_getter(get_two_and_go, _i);
        ck_assert_uint_eq(weft_queue_size(queue), ROOM);
        for (int i = 0; i < ROOM; i++)
            ck_assert_int_eq(get(), expected(i, ROOM));
        ck_assert_int_eq(weft_queue_done(queue, ROOM), 0);
    }
    weft_queue_close(queue);
}

END_TEST

/* The task is the getter, and not the pool's thread, which goes on. */
START_TEST(an_ended_tasks_items_come_back)
{
    weft_pool *pool = NULL;
    weft_job *job = NULL;

    open_it(_i);
    if (sort->leased) {
        fill();
        ck_assert_int_eq(weft_pool_open(&pool, WEFT_THREAD,
                                        &(weft_pool_options){.workers = 1}),
                         0);
        for (int i = 0; i < 3; i++) {
            ck_assert_int_eq(
                weft_submit(&job, pool, &(weft_task){.fn = get_two_and_go}), 0);
            expect_end(job, WEFT_OK);
            ck_assert_uint_eq(weft_queue_size(queue), ROOM);
        }
        ck_assert_int_eq(weft_pool_close(pool, WEFT_FOREVER), 0);
        for (int i = 0; i < ROOM; i++)
            ck_assert_int_eq(get(), expected(i, ROOM));
    }
    weft_queue_close(queue);
}

END_TEST

START_TEST(what_is_done_does_not_come_back)
{
    open_it(_i);
    if (sort->leased) {
        fill();
        run_getter(finish_one_of_two, _i);
        ck_assert_uint_eq(weft_queue_size(queue), ROOM - 1);
        run_getter(finish_at_end, _i);
        ck_assert_uint_eq(weft_queue_size(queue), ROOM - 3);
        ck_assert_int_eq(get(), expected(3, ROOM));
    }
    weft_queue_close(queue);
}

END_TEST

static int
serial_among_leases(weft_call *call)
{
    struct item item;

    (void)call;
    child_expect(weft_queue_get(queue, &item, WEFT_NOW) == 0);
    child_expect(weft_queue_size(queue) == ROOM - 2);
    return 0;
}

START_TEST(a_serial_job_gives_back_only_its_own)
{
    open_it(_i);
    if (sort->leased) {
        fill();
        ck_assert_int_eq(get(), expected(0, ROOM));
        expect_end(
            must_start(WEFT_SERIAL, &(weft_task){.fn = serial_among_leases}),
            WEFT_OK);
        ck_assert_uint_eq(weft_queue_size(queue), ROOM - 1);
        ck_assert_int_eq(get(), expected(1, ROOM));
        ck_assert_int_eq(weft_queue_done(queue, 2), 0);
    }
    weft_queue_close(queue);
}

END_TEST

static void *
get_in_a_foreign_thread(void *unused)
{
    (void)unused;
    (void)get();
    return NULL;
}

START_TEST(a_foreign_threads_items_come_back)
{
    open_it(_i);
    if (sort->leased) {
        fill();
        support_join(support_thread(get_in_a_foreign_thread, NULL));
        ck_assert_uint_eq(weft_queue_size(queue), ROOM);
        ck_assert_int_eq(get(), expected(0, ROOM));
    }
    weft_queue_close(queue);
}

END_TEST

static int
get_and_wait_for_go(weft_call *call)
{
    (void)get();
    return wait_for_go(call);
}

START_TEST(a_getter_that_waits_is_woken_by_what_comes_back)
{
    int number;

    open_it(_i);
    if (sort->leased) {
        put(5);
        weft_job *holder = start(get_and_wait_for_go);

        gate_pass(&common->begun);
        weft_job *job = start_waiting(get_one);

        gate_open(&common->go);
        expect_end(holder, WEFT_OK);
        ck_assert_int_eq(weft_result(job, &number, sizeof number, WEFT_FOREVER),
                         0);
        ck_assert_int_eq(number, 5);
        weft_release(job);
    }
    weft_queue_close(queue);
}

END_TEST

START_TEST(a_queue_may_go_before_its_holders)
{
    open_it(_i);
    put(5);
    weft_job *holder = start(get_and_wait_for_go);

    gate_pass(&common->begun);
    weft_queue_close(queue);
    gate_open(&common->go);
    expect_end(holder, WEFT_OK);
}

END_TEST

/* --- what is refused */

static const struct {
    weft_queue_options options;
    int status;
    const char *word;
} refused[] = {
    {{.capacity = 1}, WEFT_EINVAL, "item_size is 0"},
    {{.item_size = 65537, .capacity = 1}, WEFT_EINVAL, "item_size is 65537"},
    {{.item_size = 1, .capacity = SIZE_MAX}, WEFT_EINVAL, "capacity"},
    {{.item_size = 65536, .capacity = 1 << 30}, WEFT_ENOMEM, "memory"},
    {{.item_size = 1, .order = (weft_order)3}, WEFT_EINVAL, "order"},
    {{.item_size = 1, .order = WEFT_PRIORITY}, WEFT_EINVAL, "compare is NULL"},
    {{.item_size = 1, .compare = by_rank}, WEFT_EINVAL, "compare is only"},
    {{.item_size = 1, .name = "a\nb"}, WEFT_EINVAL, "name"},
    {{.item_size = 1, .name = ""}, WEFT_EINVAL, "name"},
    {{.item_size = 1, .reserved = {0, 0, 1}}, WEFT_EINVAL, "reserved[2]"},
    {{.item_size = 1, .shared = true}, WEFT_EINVAL, "capacity is 0"},
    {{.item_size = 1, .capacity = 1, .shared = true, .order = WEFT_LIFO},
     WEFT_ENOTSUP,
     "among processes"},
};

START_TEST(a_bad_option_is_refused_by_name)
{
    weft_queue *const untouched = (weft_queue *)&refused;
    weft_queue *out = untouched;

    if (refused[_i].status == WEFT_ENOMEM && support_is_checked())
        return; /* it ends the program at once */
    expect_refused(weft_queue_open(&out, &refused[_i].options),
                   refused[_i].status, refused[_i].word);
    ck_assert_ptr_eq(out, untouched);
}

END_TEST

START_TEST(null_is_refused_by_name)
{
    struct item item = {0, 0};

    open_it(0);
    expect_refused(weft_queue_open(NULL, NULL), WEFT_EINVAL, "out");
    expect_refused(weft_queue_open(&queue, NULL), WEFT_EINVAL, "options");
    expect_refused(weft_queue_put(NULL, &item, WEFT_NOW), WEFT_EINVAL, "queue");
    expect_refused(weft_queue_put(queue, NULL, WEFT_NOW), WEFT_EINVAL, "item");
    expect_refused(weft_queue_get(NULL, &item, WEFT_NOW), WEFT_EINVAL, "queue");
    expect_refused(weft_queue_get(queue, NULL, WEFT_NOW), WEFT_EINVAL, "item");
    expect_refused(weft_queue_put_many(queue, NULL, 1, WEFT_NOW), WEFT_EINVAL,
                   "items");
    expect_refused(weft_queue_get_many(queue, &item, 0, WEFT_NOW), WEFT_EINVAL,
                   "n is 0");
    expect_refused(weft_queue_done(NULL, 1), WEFT_EINVAL, "queue");
    expect_refused(weft_queue_join(NULL, WEFT_NOW), WEFT_EINVAL, "queue");
    expect_refused(weft_queue_fd(NULL), WEFT_EINVAL, "queue");
    weft_queue_shutdown(NULL);
    ck_assert_uint_eq(weft_queue_size(NULL), 0);
    ck_assert_uint_eq(weft_queue_discard(NULL), 0);
    weft_queue_close(NULL);
    weft_queue_close(queue);
}

END_TEST

static void *
get_for_ever(void *unused)
{
    struct item item;

    (void)unused;
    return weft_queue_get(queue, &item, WEFT_FOREVER) < 0 ? &queue : NULL;
}

static void
close_while_waited_on(void *arg)
{
    weft_worker workers[8];
    bool waits = false;

    open_it(*(int *)arg);
    (void)support_thread(get_for_ever, NULL);
    while (!waits) {
        const size_t count = weft_list(WEFT_THREADS, workers, 8);

        for (size_t i = 0; i < count && i < 8; i++)
            waits |= !strcmp(workers[i].waits_for, "orders");
    }
    weft_queue_close(queue);
}

START_TEST(closing_it_under_a_waiter_ends_the_program)
{
    struct ran ran;
    int which = _i;

    run_program(&ran, close_while_waited_on, &which);
    ck_assert_int_eq(ran.code, 128 + SIGABRT);
    ck_assert(
        stands(ran.err, "weft_queue_close of 'orders' by 'MainThread'", 1));
    ck_assert(stands(ran.err, "is waited on", 1));
}

END_TEST

int
main(void)
{
    Suite *suite = suite_create("queue/queue");
    TCase *tcase = support_case(suite, "queue", 20);

    tcase_add_checked_fixture(tcase, common_make, NULL);
    support_add_table(tcase, items_come_in_order, sorts);
    support_add_table(tcase, many_items_come_in_order, sorts);
    support_add_table(tcase, a_try_does_not_wait, sorts);
    support_add_table(tcase, a_deadline_ends_a_wait, sorts);
    support_add_table(tcase, many_go_at_once, sorts);
    support_add_table(tcase, a_get_waits_for_a_put, sorts);
    support_add_table(tcase, a_put_waits_for_room, sorts);
    support_add_table(tcase, all_who_wait_go_on, sorts);
    support_add_table(tcase, a_discard_makes_room, sorts);
    support_add_table(tcase, a_stop_ends_a_wait, sorts);
    support_add_table(tcase, an_item_is_seen_before_a_stop, sorts);
    support_add_table(tcase, done_is_counted, sorts);
    support_add_table(tcase, a_join_ends_with_the_last_done, sorts);
    support_add_table(tcase, what_is_discarded_is_done, sorts);
    support_add_table(tcase, a_shutdown_lets_out_what_is_left, sorts);
    support_add_table(tcase, a_shutdown_wakes_everybody, sorts);
    support_add_table(tcase, the_descriptor_tells_whether_there_is_an_item,
                      sorts);
    support_add_table(tcase, a_late_descriptor_is_readable_at_once, sorts);
    support_add_table(tcase, it_can_be_waited_for_among_others, sorts);
    support_add_table(tcase, an_ended_getters_items_come_back_to_their_places,
                      sorts);
    support_add_table(tcase, an_ended_tasks_items_come_back, sorts);
    support_add_table(tcase, what_is_done_does_not_come_back, sorts);
    support_add_table(tcase, a_serial_job_gives_back_only_its_own, sorts);
    support_add_table(tcase, a_foreign_threads_items_come_back, sorts);
    support_add_table(tcase, a_getter_that_waits_is_woken_by_what_comes_back,
                      sorts);
    support_add_table(tcase, a_queue_may_go_before_its_holders, sorts);
    support_add_table(tcase, a_bad_option_is_refused_by_name, refused);
    tcase_add_test(tcase, null_is_refused_by_name);
    support_add_table(tcase, closing_it_under_a_waiter_ends_the_program, sorts);
    return support_run(suite);
}
