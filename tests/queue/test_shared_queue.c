/* What a queue means among processes. */
#include "support/queue_support.h"

#include <stdlib.h>

enum {
    SIDE_MOST = 3
};

/* --- what goes through */

enum {
    BY = 1000000 /* item: producer * BY + number */
};

static int
produce(weft_call *call)
{
    const struct order *order = call->arg;

    for (int i = 0; i < order->count; i++)
        put(order->queue, (int64_t)order->from * BY + i);
    return 0;
}

/* Each producer's numbers rise; each item is counted. */
static int
consume(weft_call *call)
{
    const struct order *order = call->arg;
    int64_t last[SIDE_MOST] = {-1, -1, -1}, item;

    while (weft_queue_get(order->queue, &item, WEFT_FOREVER) == 0) {
        const int64_t from = item / BY, number = item % BY;

        child_expect(from < SIDE_MOST && number > last[from]);
        last[from] = number;
        atomic_fetch_add(&order->seen[from * order->count + number], 1);
    }
    return 0;
}

static const size_t capacities[] = {1, 3, 64};

static void
pass_through(size_t capacity, int producers, int consumers, int count)
{
    weft_job *in[SIDE_MOST], *out[SIDE_MOST];
    const int all = producers * count;
    _Atomic int *seen = weft_shared_alloc((size_t)all * sizeof *seen);

    ck_assert_ptr_nonnull((void *)seen);
    queue = make(capacity, false);
    for (int i = 0; i < consumers; i++)
        out[i] = start(consume, (struct order){.count = count, .seen = seen});
    for (int i = 0; i < producers; i++)
        in[i] = start(produce, (struct order){.count = count, .from = i});
    for (int i = 0; i < producers; i++)
        expect_end(in[i], WEFT_OK);
    weft_queue_shutdown(queue);
    for (int i = 0; i < consumers; i++)
        expect_end(out[i], WEFT_OK);
    for (int i = 0; i < all; i++)
        ck_assert_msg(seen[i] == 1, "item %d came %d times", i, seen[i]);
    weft_queue_close(queue);
    weft_shared_free((void *)seen);
}

START_TEST(nothing_is_lost_or_doubled)
{
    for (int producers = 1; producers <= SIDE_MOST; producers++)
        for (int consumers = 1; consumers <= SIDE_MOST; consumers++)
            pass_through(capacities[_i], producers, consumers,
                         (int)scaled(3000));
}

END_TEST

START_TEST(many_go_at_once)
{
    int64_t items[2 * ROOM], got[2 * ROOM];

    queue = make(ROOM, _i);
    for (int i = 0; i < 2 * ROOM; i++)
        items[i] = i;
    for (int round = 0; round < 3; round++) {
        put(queue, 0);
        (void)get(queue); /* so that it begins elsewhere */
        ck_assert_int_eq(weft_queue_done(queue, 1), 0);
        ck_assert_int_eq(weft_queue_put_many(queue, items, 2 * ROOM, WEFT_NOW),
                         ROOM);
        ck_assert_uint_eq(weft_queue_size(queue), ROOM);
        ck_assert_int_eq(weft_queue_get_many(queue, got, 3, WEFT_NOW), 3);
        ck_assert_int_eq(
            weft_queue_get_many(queue, got + 3, ROOM, WEFT_FOREVER), ROOM - 3);
        for (int i = 0; i < ROOM; i++)
            ck_assert_int_eq(got[i], i);
        ck_assert_int_eq(weft_queue_done(queue, ROOM), 0);
    }
    weft_queue_close(queue);
}

END_TEST

static int
answer(weft_call *call)
{
    const struct order *order = call->arg;

    for (int i = 0; i < order->count; i++) {
        const int64_t item = get(order->queue);

        child_expect(try_get(order->other) == (int)item);
    }
    return 0;
}

/* Who was told of a put finds its item. */
START_TEST(a_put_that_has_returned_is_found)
{
    weft_queue *told = make(1, false);
    const int count = (int)scaled(200000);

    queue = make(2, false);
    weft_job *job = start(answer, (struct order){told, queue, .count = count});

    for (int i = 0; i < count; i++) {
        put(queue, i);
        put(told, i);
    }
    expect_end(job, WEFT_OK);
    weft_queue_close(queue);
    weft_queue_close(told);
}

END_TEST

/* --- waiting */

START_TEST(a_deadline_ends_a_wait)
{
    int64_t item = 0;
    weft_time until;

    queue = make(ROOM, _i);
    expect_refused(try_get(queue), WEFT_ETIMEDOUT, "queue 'shared' was empty");
    until = weft_in(5 * MS);
    ck_assert_int_eq(weft_queue_get(queue, &item, until), WEFT_ETIMEDOUT);
    ck_assert_int_ge(weft_now().ns, until.ns);
    fill();
    expect_refused(weft_queue_put(queue, &item, WEFT_NOW), WEFT_ETIMEDOUT,
                   "queue 'shared' was full");
    until = weft_in(5 * MS);
    ck_assert_int_eq(weft_queue_put(queue, &item, until), WEFT_ETIMEDOUT);
    ck_assert_int_eq(weft_queue_join(queue, weft_in(MS)), WEFT_ETIMEDOUT);
    ck_assert_int_ge(weft_now().ns, until.ns);
    weft_queue_close(queue);
}

END_TEST

/* Woken, not found after the second in which sleepers look by themselves. */
START_TEST(a_wait_ends_at_once)
{
    queue = make(ROOM, _i);
    for (int round = 0; round < 8; round++) {
        weft_job *job = start_waiting(get_one, (struct order){0});
        const int64_t begun = weft_now().ns;

        put(queue, 1);
        expect_end(job, WEFT_OK);
        ck_assert_int_lt(weft_now().ns - begun, patient(500 * MS));
    }
    fill();
    weft_job *job = start_waiting(put_one, (struct order){0});

    (void)get(queue);
    ck_assert_int_eq(weft_queue_done(queue, 1), 0);
    expect_end(job, WEFT_OK);
    weft_queue_close(queue);
}

END_TEST

START_TEST(a_stop_ends_a_wait)
{
    weft_fn *const fns[] = {get_one, join_it, put_one};

    queue = make(ROOM, _i);
    for (int i = 0; i < 3; i++) {
        weft_job *job = start_waiting(fns[i], (struct order){0});

        weft_stop(job);
        expect_end(job, WEFT_ECANCELED);
        if (i == 0)
            fill();
    }
    ck_assert_uint_eq(weft_queue_size(queue), ROOM);
    weft_queue_close(queue);
}

END_TEST

/* --- done, join, shutdown, discard */

START_TEST(done_is_counted)
{
    queue = make(ROOM, _i);
    expect_refused(weft_queue_done(queue, 1), WEFT_EOVERFLOW, "1 done");
    ck_assert_int_eq(weft_queue_join(queue, WEFT_NOW), 0);
    put(queue, 1);
    put(queue, 2);
    (void)get(queue);
    ck_assert_int_eq(weft_queue_done(queue, 2), WEFT_EOVERFLOW);
    ck_assert_int_eq(weft_queue_done(queue, 1), 0);
    (void)get(queue);
    weft_job *job = start_waiting(join_it, (struct order){0});

    ck_assert_int_eq(weft_queue_join(queue, WEFT_NOW), WEFT_ETIMEDOUT);
    ck_assert_int_eq(weft_queue_done(queue, 1), 0);
    expect_end(job, WEFT_OK);
    weft_queue_close(queue);
}

END_TEST

START_TEST(what_is_discarded_is_done)
{
    queue = make(ROOM, _i);
    fill();
    weft_job *putter = start_waiting(put_one, (struct order){0});

    ck_assert_uint_ge(weft_queue_discard(queue), ROOM);
    expect_end(putter, WEFT_OK);
    weft_job *job = start(join_it, (struct order){0});

    (void)weft_queue_discard(queue);
    expect_end(job, WEFT_OK);
    ck_assert_uint_eq(weft_queue_size(queue), 0);
    weft_queue_close(queue);
}

END_TEST

START_TEST(a_shutdown_lets_out_what_is_left)
{
    const int64_t item = 3;

    queue = make(ROOM, _i);
    weft_job *getters[] = {start_waiting(get_one, (struct order){0}),
                           start_waiting(get_one, (struct order){0})};

    weft_queue_shutdown(queue);
    expect_end(getters[0], WEFT_EFAILED);
    expect_end(getters[1], WEFT_EFAILED);
    weft_queue_close(queue);
    queue = make(ROOM, _i);
    fill();
    weft_job *putter = start_waiting(put_one, (struct order){0});

    weft_queue_shutdown(queue);
    expect_end(putter, WEFT_EFAILED);
    expect_refused(weft_queue_put(queue, &item, WEFT_NOW), WEFT_ECLOSED,
                   "queue 'shared' is shut down");
    for (int i = 0; i < ROOM; i++)
        ck_assert_int_eq(get(queue), i);
    expect_refused(try_get(queue), WEFT_ECLOSED, "shut down and empty");
    ck_assert_int_eq(weft_queue_done(queue, ROOM), 0);
    weft_queue_close(queue);
}

END_TEST

int
main(void)
{
    Suite *suite = suite_create("queue/shared_queue");
    TCase *tcase = support_case(suite, "shared queue", 60);

    tcase_add_checked_fixture(tcase, common_make, NULL);
    support_add_table(tcase, nothing_is_lost_or_doubled, capacities);
    tcase_add_loop_test(tcase, many_go_at_once, 0, 2);
    tcase_add_test(tcase, a_put_that_has_returned_is_found);
    tcase_add_loop_test(tcase, a_deadline_ends_a_wait, 0, 2);
    tcase_add_loop_test(tcase, a_wait_ends_at_once, 0, 2);
    tcase_add_loop_test(tcase, a_stop_ends_a_wait, 0, 2);
    tcase_add_loop_test(tcase, done_is_counted, 0, 2);
    tcase_add_loop_test(tcase, what_is_discarded_is_done, 0, 2);
    tcase_add_loop_test(tcase, a_shutdown_lets_out_what_is_left, 0, 2);
    return support_run(suite);
}
