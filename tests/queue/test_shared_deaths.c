/* What the death of its users leaves of a queue among processes. */
#include "support/queue_support.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>

enum {
    KILLED_MOST = 3000000 /* items */
};

static int
get_some_and_wait(weft_call *call)
{
    const struct order *order = call->arg;

    for (int i = 0; i < order->count; i++)
        (void)get(order->queue);
    return wait_for_go(call);
}

static int
get_some_and_end(weft_call *call)
{
    const struct order *order = call->arg;

    for (int i = 0; i < order->count; i++)
        (void)get(order->queue);
    return 0;
}

START_TEST(a_dead_getters_items_come_back_to_their_places)
{
    queue = make(ROOM, true);
    fill();
    weft_job *job = start(get_some_and_wait, (struct order){.count = 2});

    gate_pass(&common->begun);
    ck_assert_uint_eq(weft_queue_size(queue), 2);
    ck_assert_int_eq(get(queue), 2);
    kill_it(job);
    eventually(weft_queue_size(queue) == 3);
    ck_assert_int_eq(get(queue), 0);
    ck_assert_int_eq(get(queue), 1);
    ck_assert_int_eq(get(queue), 3);
    ck_assert_int_eq(weft_queue_done(queue, 4), 0);
    ck_assert_int_eq(weft_queue_join(queue, WEFT_NOW), 0);
    weft_queue_close(queue);
}

END_TEST

START_TEST(an_ended_getters_items_come_back)
{
    queue = make(ROOM, true);
    fill();
    const struct order order = {.queue = queue, .count = 2};

    expect_end(must_start(kinds[_i], &(weft_task){.fn = get_some_and_end,
                                                  WEFT_ARG(order)}),
               WEFT_OK);
    eventually(weft_queue_size(queue) == ROOM);
    for (int i = 0; i < ROOM; i++)
        ck_assert_int_eq(get(queue), i);
    weft_queue_close(queue);
}

END_TEST

START_TEST(a_getter_that_waits_gets_what_comes_back)
{
    queue = make(ROOM, true);
    put(queue, 5);
    weft_job *holder = start(get_some_and_wait, (struct order){.count = 1});

    gate_pass(&common->begun);
    weft_job *getter = start_waiting(get_one, (struct order){0});

    kill_it(holder);
    expect_end(getter, WEFT_OK);
    ck_assert_int_eq(weft_queue_join(queue, WEFT_NOW), 0);
    weft_queue_close(queue);
}

END_TEST

START_TEST(a_dead_plain_getters_items_are_gone)
{
    queue = make(ROOM, false);
    fill();
    weft_job *job = start(get_some_and_wait, (struct order){.count = 2});

    gate_pass(&common->begun);
    kill_it(job);
    ck_assert_int_eq(get(queue), 2);
    ck_assert_int_eq(get(queue), 3);
    ck_assert_int_eq(try_get(queue), WEFT_ETIMEDOUT);
    fill();
    ck_assert_uint_eq(weft_queue_size(queue), ROOM);
    weft_queue_close(queue);
}

END_TEST

/* --- what the dead had got, of a queue that is not leased */

START_TEST(what_a_dead_getter_had_counts_as_done)
{
    queue = make(ROOM, false);
    fill();
    weft_job *getter = start(get_some_and_wait, (struct order){.count = 3});

    gate_pass(&common->begun);
    weft_job *joiner = start_waiting(join_it, (struct order){0});

    ck_assert_int_eq(get(queue), 3);
    ck_assert_int_eq(weft_queue_done(queue, 1), 0);
    ck_assert_int_eq(weft_queue_join(queue, WEFT_NOW), WEFT_ETIMEDOUT);
    const int64_t begun = weft_now().ns;

    kill_it(getter);
    expect_end(joiner, WEFT_OK);
    ck_assert_int_lt(weft_now().ns - begun, patient(500 * MS));
    ck_assert_int_eq(weft_queue_join(queue, WEFT_NOW), 0);
    ck_assert_int_eq(weft_queue_done(queue, 1), WEFT_EOVERFLOW);
    weft_queue_close(queue);
}

END_TEST

START_TEST(what_an_ended_getter_had_counts_as_done)
{
    queue = make(ROOM, false);
    fill();
    const struct order order = {.queue = queue, .count = ROOM};

    expect_end(must_start(kinds[_i], &(weft_task){.fn = get_some_and_end,
                                                  WEFT_ARG(order)}),
               WEFT_OK);
    ck_assert_int_eq(weft_queue_join(queue, weft_in(patient(500 * MS))), 0);
    weft_queue_close(queue);
}

END_TEST

START_TEST(what_the_living_have_is_not_done)
{
    queue = make(ROOM, false);
    put(queue, 1);
    put(queue, 2);
    (void)get(queue);
    weft_job *getter = start(get_some_and_wait, (struct order){.count = 1});

    gate_pass(&common->begun);
    kill_it(getter);
    ck_assert_int_eq(weft_queue_join(queue, weft_in(5 * MS)), WEFT_ETIMEDOUT);
    ck_assert_int_eq(weft_queue_done(queue, 2), WEFT_EOVERFLOW);
    ck_assert_int_eq(weft_queue_done(queue, 1), 0);
    ck_assert_int_eq(weft_queue_join(queue, WEFT_NOW), 0);
    weft_queue_close(queue);
}

END_TEST

/* The queue is as if the two had never been. */
START_TEST(another_may_say_done_before_the_getter_dies)
{
    queue = make(ROOM, false);
    put(queue, 1);
    weft_job *getter = start(get_some_and_wait, (struct order){.count = 1});

    gate_pass(&common->begun);
    ck_assert_int_eq(weft_queue_done(queue, 1), 0);
    ck_assert_int_eq(weft_queue_join(queue, WEFT_NOW), 0);
    kill_it(getter);
    ck_assert_int_eq(weft_queue_join(queue, WEFT_NOW), 0);
    put(queue, 2);
    (void)get(queue);
    ck_assert_int_eq(weft_queue_join(queue, WEFT_NOW), WEFT_ETIMEDOUT);
    ck_assert_int_eq(weft_queue_done(queue, 1), 0);
    ck_assert_int_eq(weft_queue_join(queue, WEFT_NOW), 0);
    weft_queue_close(queue);
}

END_TEST

/* The memory of a queue that was closed is the next one's. */
START_TEST(what_was_got_from_an_older_queue_is_forgotten)
{
    weft_queue *older;

    queue = make(ROOM, false);
    older = queue;
    fill();
    for (int i = 0; i < ROOM; i++)
        (void)get(queue);
    weft_queue_close(queue);
    queue = make(ROOM, false);
    ck_assert_ptr_eq(queue, older);
    ck_assert_int_eq(weft_queue_done(queue, 1), WEFT_EOVERFLOW);
    put(queue, 1);
    weft_job *getter = start(get_some_and_wait, (struct order){.count = 1});

    gate_pass(&common->begun);
    kill_it(getter); /* and so all is counted anew */
    ck_assert_int_eq(weft_queue_join(queue, weft_in(patient(500 * MS))), 0);
    put(queue, 2);
    (void)get(queue);
    ck_assert_int_eq(weft_queue_done(queue, 2), WEFT_EOVERFLOW);
    ck_assert_int_eq(weft_queue_done(queue, 1), 0);
    weft_queue_close(queue);
}

END_TEST

/* Who holds so much that this cannot be told to others gets all the same. */
START_TEST(who_holds_too_much_may_get)
{
    enum {
        MANY = 70
    };

    weft_queue *many[MANY];

    for (int i = 0; i < MANY; i++) {
        many[i] = make(1, false);
        put(many[i], i);
        ck_assert_int_eq(get(many[i]), i);
    }
    for (int i = 0; i < MANY; i++) {
        ck_assert_int_eq(weft_queue_join(many[i], WEFT_NOW), WEFT_ETIMEDOUT);
        ck_assert_int_eq(weft_queue_done(many[i], 1), 0);
        ck_assert_int_eq(weft_queue_join(many[i], WEFT_NOW), 0);
        weft_queue_close(many[i]);
    }
}

END_TEST

/* --- at any moment */

/* Each counts what it has got, as soon as it has; what it dies with between
 * the two is the only thing that may be missing, or, leased, come again. */
static int
count_items(weft_call *call)
{
    const struct order *order = call->arg;
    int64_t item;

    while (weft_queue_get(order->queue, &item, WEFT_FOREVER) == 0) {
        atomic_fetch_add(&order->seen[item], 1);
        child_expect(weft_queue_done(order->queue, 1) == 0);
    }
    return 0;
}

/* `from`: whose number, in seen[], is the next to put; an item that it dies
 * with between put and count comes again. */
static int
feed(weft_call *call)
{
    const struct order *order = call->arg;
    _Atomic int *next = &order->seen[KILLED_MOST + order->from];

    for (; *next < KILLED_MOST; *next += 2) {
        const int64_t item = *next;

        if (weft_queue_put(order->queue, &item, WEFT_FOREVER) < 0)
            break;
    }
    return 0;
}

START_TEST(users_may_be_killed_at_any_moment)
{
    _Atomic int *seen = weft_shared_alloc((KILLED_MOST + 2) * sizeof *seen);
    weft_job *jobs[4];
    unsigned seed = 11, getters_killed = 0, putters_killed = 0;
    int64_t lost = 0, more = 0;

    ck_assert_ptr_nonnull((void *)seen);
    queue = make(ROOM, _i);
    seen[KILLED_MOST + 1] = 1;
    for (int i = 0; i < 4; i++)
        jobs[i] = start(i < 2 ? feed : count_items,
                        (struct order){.from = i % 2, .seen = seen});
    const int64_t end = weft_now().ns + (int64_t)scaled(3000) * MS;

    while (weft_now().ns < end) {
        const int which = rand_r(&seed) % 4;
        const int64_t until = weft_now().ns + rand_r(&seed) % (int)(3 * MS);

        while (weft_now().ns < until)
            support_spin();
        if (weft_kill(jobs[which], SIGKILL) < 0)
            break; /* all has gone through */
        must_join(jobs[which]);
        if (outcome(jobs[which])->status == WEFT_EDIED)
            *(which < 2 ? &putters_killed : &getters_killed) += 1;
        weft_release(jobs[which]);
        jobs[which] = start(which < 2 ? feed : count_items,
                            (struct order){.from = which % 2, .seen = seen});
    }
    weft_queue_shutdown(queue);
    for (int i = 0; i < 4; i++)
        expect_end(jobs[i], WEFT_OK);
    for (int which = 0; which < 2; which++) {
        int last = seen[KILLED_MOST + which];

        for (int i = which; i < last && i < KILLED_MOST; i += 2) {
            lost += seen[i] == 0;
            more += seen[i] > 1 ? seen[i] - 1 : 0;
        }
    }
    fprintf(stderr, "%u getters, %u putters killed, %lld lost, %lld more\n",
            getters_killed, putters_killed, (long long)lost, (long long)more);
    ck_assert_int_le(lost, _i ? 0 : getters_killed);
    ck_assert_int_le(more, putters_killed + (_i ? getters_killed : 0));
    weft_queue_close(queue);
    weft_shared_free((void *)seen);
}

END_TEST

int
main(void)
{
    Suite *suite = suite_create("queue/shared_deaths");
    TCase *tcase = support_case(suite, "shared deaths", 60);

    tcase_add_checked_fixture(tcase, common_make, NULL);
    tcase_add_test(tcase, a_dead_getters_items_come_back_to_their_places);
    add_for_kinds(tcase, an_ended_getters_items_come_back);
    tcase_add_test(tcase, a_getter_that_waits_gets_what_comes_back);
    tcase_add_test(tcase, a_dead_plain_getters_items_are_gone);
    tcase_add_test(tcase, what_a_dead_getter_had_counts_as_done);
    add_for_kinds(tcase, what_an_ended_getter_had_counts_as_done);
    tcase_add_test(tcase, what_the_living_have_is_not_done);
    tcase_add_test(tcase, another_may_say_done_before_the_getter_dies);
    tcase_add_test(tcase, what_was_got_from_an_older_queue_is_forgotten);
    tcase_add_test(tcase, who_holds_too_much_may_get);
    tcase_add_loop_test(tcase, users_may_be_killed_at_any_moment, 0, 2);
    return support_run(suite);
}
