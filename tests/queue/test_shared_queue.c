/* What a queue means among processes, and after the death of its users. */
#include "os/os.h"
#include "registry/registry.h"
#include "support/worker_support.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define MS INT64_C(1000000)

enum {
    ROOM = 4,
    SIDE_MOST = 3,
    KILLED_MOST = 3000000 /* items */
};

static weft_queue *queue;

static weft_queue *
make(size_t capacity, bool leased)
{
    weft_queue *made;
    const weft_queue_options options = {.item_size = sizeof(int64_t),
                                        .capacity = capacity,
                                        .shared = true,
                                        .leased = leased,
                                        .name = "shared"};

    ck_assert_msg(weft_queue_open(&made, &options) == 0, "%s", weft_why());
    return made;
}

static void
put(weft_queue *to, int64_t item)
{
    child_expect(weft_queue_put(to, &item, WEFT_FOREVER) == 0);
}

static int64_t
get(weft_queue *from)
{
    int64_t item;

    child_expect(weft_queue_get(from, &item, WEFT_FOREVER) == 0);
    return item;
}

static int
try_get(weft_queue *from)
{
    int64_t item;
    const int status = weft_queue_get(from, &item, WEFT_NOW);

    return status < 0 ? status : (int)item;
}

/* A worker that is told the queue and a number. */
struct order {
    weft_queue *queue, *other;
    int count, from;
    _Atomic int *seen; /* in the shared heap */
};

static weft_job *
start(weft_fn *fn, struct order order)
{
    if (!order.queue)
        order.queue = queue;
    return must_start(WEFT_PROCESS,
                      &(weft_task){.fn = fn, .name = "user", WEFT_ARG(order)});
}

struct watched {
    int pid;
    bool waits;
};

static void
look_at(const struct slot *slot, void *context)
{
    struct watched *watched = context;

    if (atomic_load(&slot->identity.pid) == watched->pid &&
        atomic_load(&slot->hot.state) == WEFT_WAITING)
        watched->waits = true;
}

enum {
    SLOTS = 32 * SLOT_BLOCK /* that are looked at: the lowest are taken first */
};

static bool
waits(const weft_job *job)
{
    weft_worker worker;

    weft_worker_of(job, &worker);
    struct watched watched = {.pid = worker.pid};

    for (unsigned id = 1; id < SLOTS; id++)
        look_at(registry_slot(id), &watched);
    return watched.waits;
}

static weft_job *
start_waiting(weft_fn *fn, struct order order)
{
    weft_job *job = start(fn, order);

    eventually(waits(job));
    return job;
}

static void
kill_it(weft_job *job)
{
    ck_assert_int_eq(weft_kill(job, SIGKILL), 0);
    expect_end(job, WEFT_EDIED);
}

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

static const size_t capacities[] = {1, 2, 64};

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

static int
get_one(weft_call *call)
{
    const struct order *order = call->arg;
    int64_t item;
    const int status = weft_queue_get(order->queue, &item, WEFT_FOREVER);

    return status < 0 ? status : weft_queue_done(order->queue, 1);
}

static int
put_one(weft_call *call)
{
    const struct order *order = call->arg;
    const int64_t item = 9;

    return weft_queue_put(order->queue, &item, WEFT_FOREVER);
}

static int
join_it(weft_call *call)
{
    const struct order *order = call->arg;

    return weft_queue_join(order->queue, WEFT_FOREVER);
}

static void
fill(void)
{
    for (int i = 0; i < ROOM; i++)
        put(queue, i);
}

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

static void
close_while_waited_on(void *unused)
{
    (void)unused;
    queue = make(1, false);
    (void)start_waiting(get_one, (struct order){0});
    weft_queue_close(queue);
}

START_TEST(closing_it_under_a_waiter_ends_the_program)
{
    struct ran ran;

    run_program(&ran, close_while_waited_on, NULL);
    ck_assert_int_eq(ran.code, 128 + SIGABRT);
    ck_assert(stands(ran.err, "weft_queue_close of 'shared'", 1));
    ck_assert(stands(ran.err, "is waited on", 1));
}

END_TEST

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

/* --- deaths */

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
    if (!support_is_valgrind())
        tcase_add_test(tcase, closing_it_under_a_waiter_ends_the_program);
    tcase_add_test(tcase, it_can_be_waited_for_among_others);
    tcase_add_test(tcase, who_looks_does_not_keep_a_getter_asleep);
    tcase_add_test(tcase, a_dead_getters_items_come_back_to_their_places);
    add_for_kinds(tcase, an_ended_getters_items_come_back);
    tcase_add_test(tcase, a_getter_that_waits_gets_what_comes_back);
    tcase_add_test(tcase, a_dead_plain_getters_items_are_gone);
    tcase_add_loop_test(tcase, users_may_be_killed_at_any_moment, 0, 2);
    return support_run(suite);
}
