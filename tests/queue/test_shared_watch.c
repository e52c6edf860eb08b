/* Looking at a queue among processes without taking from it: weft_wait_any,
 * and closing it under who does. */
#include "support/queue_support.h"

#include <signal.h>
#include <unistd.h>

/* --- among other sources */

enum {
    OTHERS = 3
};

static int
watch(weft_call *call)
{
    const struct order *order = call->arg;
    weft_source sources[OTHERS + 1] = {{.queue = order->other},
                                       {.queue = order->queue}};
    size_t count = order->other ? 2 : 1;
    int pipe_ends[2];

    if (!order->other)
        sources[0] = sources[1];
    child_expect(pipe(pipe_ends) == 0);
    if (order->count)
        sources[count++] =
            (weft_source){.fd = pipe_ends[0], .events = WEFT_READABLE};
    for (int i = 0; i < order->from; i++) {
        const int ready = weft_wait_any(sources, count, 0, WEFT_FOREVER);

        child_expect(ready == (order->other != NULL));
        (void)get(order->queue);
    }
    return 0;
}

START_TEST(it_can_be_waited_for_among_others)
{
    enum {
        ROUNDS = 50
    };

    weft_queue *other = make(1, false);

    queue = make(ROOM, false);
    for (int way = 0; way < 4; way++) {
        weft_job *job =
            start_waiting(watch, (struct order){.other = way & 1 ? other : NULL,
                                                .count = way & 2,
                                                .from = ROUNDS});
        const int64_t begun = weft_now().ns;

        for (int i = 0; i < ROUNDS; i++) {
            put(queue, i);
            while (i % 2 && weft_queue_size(queue) > 0)
                support_spin();
        }
        expect_end(job, WEFT_OK);
        ck_assert_int_lt(weft_now().ns - begun, patient(900 * MS));
    }
    weft_queue_close(queue);
    weft_queue_close(other);
}

END_TEST

static int
only_look(weft_call *call)
{
    const struct order *order = call->arg;
    const weft_source source = {.queue = order->queue};

    return weft_wait_any(&source, 1, 0, WEFT_FOREVER);
}

/* The wake-up of one who takes is not used up by one who only looks. */
START_TEST(who_looks_does_not_keep_a_getter_asleep)
{
    queue = make(ROOM, false);
    for (int round = 0; round < 4; round++) {
        weft_job *looker = start_waiting(only_look, (struct order){0});
        weft_job *getter = start_waiting(get_one, (struct order){0});
        const int64_t begun = weft_now().ns;

        put(queue, 1);
        expect_end(getter, WEFT_OK);
        ck_assert_int_lt(weft_now().ns - begun, patient(500 * MS));
        put(queue, 2); /* the first one may have gone too fast */
        expect_end(looker, WEFT_OK);
        (void)get(queue);
    }
    weft_queue_close(queue);
}

END_TEST

/* --- closed */

static weft_fn *const waiting[] = {get_one, only_look, watch};

static void
close_while_waited_on(void *fn)
{
    queue = make(1, false);
    (void)start_waiting(*(weft_fn *const *)fn,
                        (struct order){.count = 1, .from = 1});
    weft_queue_close(queue);
}

START_TEST(closing_it_under_a_waiter_ends_the_program)
{
    struct ran ran;

    run_program(&ran, close_while_waited_on, (void *)(uintptr_t)&waiting[_i]);
    ck_assert_int_eq(ran.code, 128 + SIGABRT);
    ck_assert(stands(ran.err, "weft_queue_close of 'shared'", 1));
    ck_assert(stands(ran.err, " at ", 1));
    ck_assert(stands(ran.err, "is waited on", 1));
}

END_TEST

/* But not under one who waited once, or died waiting. */
START_TEST(those_who_are_gone_do_not_wait)
{
    const weft_source source = {.queue = queue = make(1, false)};

    kill_it(start_waiting(only_look, (struct order){0}));
    kill_it(start_waiting(get_one, (struct order){0}));
    ck_assert_int_eq(weft_wait_any(&source, 1, 0, weft_in(MS)), WEFT_ETIMEDOUT);
    weft_queue_close(queue);
}

END_TEST

int
main(void)
{
    Suite *suite = suite_create("queue/shared_watch");
    TCase *tcase = support_case(suite, "shared watch", 60);

    tcase_add_checked_fixture(tcase, common_make, NULL);
    tcase_add_test(tcase, it_can_be_waited_for_among_others);
    tcase_add_test(tcase, who_looks_does_not_keep_a_getter_asleep);
    if (!support_is_valgrind())
        support_add_table(tcase, closing_it_under_a_waiter_ends_the_program,
                          waiting);
    tcase_add_test(tcase, those_who_are_gone_do_not_wait);
    return support_run(suite);
}
