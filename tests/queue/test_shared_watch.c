/* Looking at a queue among processes without taking from it: weft_wait_any,
 * descriptors, and closing it under who does. */
#include "support/queue_support.h"

#include <poll.h>
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

/* --- the descriptor */

static bool
is_readable_within(int fd, int64_t ns)
{
    struct pollfd wanted = {.fd = fd, .events = POLLIN};

    return poll(&wanted, 1, (int)(ns / MS)) == 1 && wanted.revents == POLLIN;
}

static bool
is_readable(int fd)
{
    return is_readable_within(fd, 0);
}

/* What this process does, its descriptor shows at once. */
START_TEST(the_descriptor_tells_whether_there_is_an_item)
{
    queue = make(ROOM, _i);
    put(queue, 0);
    const int before = support_fds();
    const int fd = weft_queue_fd(queue);

    ck_assert_int_ge(fd, 0);
    ck_assert_int_eq(weft_queue_fd(queue), fd);
    ck_assert_int_eq(support_fds(), before + 1);
    ck_assert(is_readable(fd));
    put(queue, 1);
    ck_assert_int_eq(get(queue), 0);
    ck_assert(is_readable(fd));
    ck_assert_int_eq(get(queue), 1);
    ck_assert(!is_readable(fd));
    ck_assert_int_eq(weft_queue_done(queue, 2), 0);
    fill();
    ck_assert(is_readable(fd));
    ck_assert_uint_eq(weft_queue_discard(queue), ROOM);
    ck_assert(!is_readable(fd));
    weft_queue_shutdown(queue);
    ck_assert(is_readable(fd));
    weft_queue_close(queue);
    ck_assert_int_eq(support_fds(), before);
}

END_TEST

/* An event loop of one source. */
static int
serve(weft_call *call)
{
    const struct order *order = call->arg;
    const int fd = weft_queue_fd(order->queue);
    int seen = 0, status;

    child_expect(fd >= 0);
    while (is_readable_within(fd, patient(900 * MS)))
        while ((status = try_get(order->queue)) != WEFT_ETIMEDOUT) {
            if (status == WEFT_ECLOSED)
                return seen == order->count ? 0 : 1;
            child_expect(status == seen++);
        }
    return 2;
}

START_TEST(it_tells_what_others_do)
{
    enum {
        ROUNDS = 300
    };

    queue = make(ROOM, false);
    weft_job *job = start(serve, (struct order){.count = ROUNDS});

    for (int i = 0; i < ROUNDS; i++) {
        put(queue, i);
        while (i % 2 && weft_queue_size(queue) > 0)
            support_spin();
    }
    weft_queue_shutdown(queue);
    expect_end(job, WEFT_OK);
    weft_queue_close(queue);
}

END_TEST

static int
take_and_put(weft_call *call)
{
    const struct order *order = call->arg;

    for (int i = 0; i < order->count; i++) {
        (void)get(order->queue);
        (void)weft_queue_done(order->queue, 1);
        put(order->other, i);
    }
    return 0;
}

/* Another process's put, get and lease that comes back. */
START_TEST(it_is_right_again_in_a_moment)
{
    weft_queue *answers = make(1, false);

    queue = make(ROOM, _i);
    const int fd = weft_queue_fd(queue), answered = weft_queue_fd(answers);
    weft_job *job =
        start(take_and_put, (struct order){.other = answers, .count = 50});

    for (int i = 0; i < 50; i++) {
        const int64_t begun = weft_now().ns;

        put(queue, i);
        ck_assert(is_readable_within(answered, patient(900 * MS)));
        while (is_readable(fd))
            ck_assert_int_lt(weft_now().ns - begun, patient(900 * MS));
        ck_assert_int_eq(get(answers), i);
        ck_assert(!is_readable(answered));
    }
    expect_end(job, WEFT_OK);
    weft_queue_close(queue);
    weft_queue_close(answers);
}

END_TEST

static int
lease_and_wait(weft_call *call)
{
    const struct order *order = call->arg;

    (void)get(order->queue);
    return wait_for_go(call);
}

START_TEST(it_tells_of_what_comes_back)
{
    queue = make(ROOM, true);
    put(queue, 1);
    const int fd = weft_queue_fd(queue);
    weft_job *job = start(lease_and_wait, (struct order){0});

    gate_pass(&common->begun);
    eventually(!is_readable(fd));
    kill_it(job);
    ck_assert(is_readable_within(fd, patient(900 * MS)));
    weft_queue_close(queue);
}

END_TEST

static int
keep_descriptor(weft_call *call)
{
    const struct order *order = call->arg;
    const int before = support_fds();

    child_expect(weft_queue_fd(order->queue) >= 0);
    child_expect(support_fds() == before + 1);
    gate_open(&common->begun);
    while (support_fds() > before)
        support_spin();
    return 0;
}

/* In other processes too. */
START_TEST(closing_ends_the_descriptors)
{
    queue = make(ROOM, false);
    weft_job *job = start(keep_descriptor, (struct order){0});

    gate_pass(&common->begun);
    const int64_t begun = weft_now().ns;

    weft_queue_close(queue);
    expect_end(job, WEFT_OK);
    ck_assert_int_lt(weft_now().ns - begun, patient(500 * MS));
}

END_TEST

static int
serve_one(weft_call *call)
{
    const struct order *order = call->arg;
    const int fd = weft_queue_fd(order->queue);

    child_expect(fd >= 0 && !is_readable(fd));
    put(order->queue, 1);
    child_expect(is_readable(fd));
    return 0;
}

/* Its thread does not count as the program's, nor does it go into a copy. */
START_TEST(a_program_with_a_descriptor_can_be_copied)
{
    const weft_worker_options forked = {.method = WEFT_FORK};

    queue = make(ROOM, false);
    const int fd = weft_queue_fd(queue);
    const struct order order = {.queue = queue, .count = 1};

    expect_end(must_start(WEFT_PROCESS, &(weft_task){.fn = serve_one,
                                                     .worker = &forked,
                                                     WEFT_ARG(order)}),
               WEFT_OK);
    ck_assert(is_readable_within(fd, patient(900 * MS)));
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
    tcase_add_loop_test(tcase, the_descriptor_tells_whether_there_is_an_item, 0,
                        2);
    tcase_add_test(tcase, it_tells_what_others_do);
    tcase_add_loop_test(tcase, it_is_right_again_in_a_moment, 0, 2);
    tcase_add_test(tcase, it_tells_of_what_comes_back);
    tcase_add_test(tcase, closing_ends_the_descriptors);
    tcase_add_test(tcase, a_program_with_a_descriptor_can_be_copied);
    if (!support_is_valgrind())
        support_add_table(tcase, closing_it_under_a_waiter_ends_the_program,
                          waiting);
    tcase_add_test(tcase, those_who_are_gone_do_not_wait);
    return support_run(suite);
}
