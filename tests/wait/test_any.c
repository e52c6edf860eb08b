/* Waiting for the first of several objects and descriptors. */
#include "os/os.h"
#include "support/support.h"
#include "wait/any.h"
#include "wait/lock.h"

#include <weft/status.h>

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#define MS INT64_C(1000000)

/* Something to wait for: ready while it holds tokens. */
struct thing {
    struct lock lock;
    struct list watches; /* under lock */
    unsigned tokens;     /* under lock */
};

static bool
thing_ready(void *object)
{
    struct thing *thing = object;

    lock_take(&thing->lock);
    const bool ready = thing->tokens > 0;

    lock_give(&thing->lock);
    return ready;
}

static void
thing_watch(void *object, struct watch *watch)
{
    struct thing *thing = object;

    lock_take(&thing->lock);
    list_append(&thing->watches, &watch->link);
    lock_give(&thing->lock);
}

static void
thing_unwatch(void *object, struct watch *watch)
{
    struct thing *thing = object;

    lock_take(&thing->lock);
    list_remove(&watch->link);
    lock_give(&thing->lock);
}

static const struct waitable a_thing = {thing_ready, thing_watch, thing_unwatch,
                                        NULL, NULL};

static void
thing_put(struct thing *thing)
{
    lock_take(&thing->lock);
    thing->tokens++;
    list_foreach (link, &thing->watches)
        watch_ring(list_entry(link, struct watch, link));
    lock_give(&thing->lock);
}

static bool
thing_take(struct thing *thing)
{
    lock_take(&thing->lock);
    const bool got = thing->tokens > 0;

    thing->tokens -= got;
    lock_give(&thing->lock);
    return got;
}

static bool
thing_is_watched(struct thing *thing)
{
    lock_take(&thing->lock);
    const bool watched = !list_empty(&thing->watches);

    lock_give(&thing->lock);
    return watched;
}

enum {
    MOST = 10000
};

static struct thing things[MOST];
static int silent = -1;

static void
make_things(void)
{
    for (int i = 0; i < MOST; i++)
        list_init(&things[i].watches);
    silent = os_event_open();
}

static struct any_source
of_thing(size_t i)
{
    return (struct any_source){.kind = &a_thing, .object = &things[i]};
}

static struct any_source
of_fd(int fd)
{
    return (struct any_source){.fd = fd, .readable = true};
}

/* Sources for `count` things; with a descriptor that stays silent behind them
 * the waiter polls. */
static struct any_source *
make_sources(size_t count, bool polls)
{
    struct any_source *sources = calloc(count + 1, sizeof *sources);

    ck_assert_ptr_nonnull(sources);
    for (size_t i = 0; i < count; i++)
        sources[i] = of_thing(i);
    if (polls)
        sources[count] = of_fd(silent);
    return sources;
}

/* any_wait with nothing but a deadline. */
static int
wait_any(struct any_source *sources, size_t count, size_t from, int64_t until)
{
    const struct wait_terms terms = {
        .until = until, .kind = SLOT_WAIT_ANY, .object = (const void *)count};

    return any_wait(sources, count, from, &terms);
}

START_TEST(a_ready_thing_is_told_at_once)
{
    struct any_source *sources = make_sources(5, _i);
    const size_t count = 5 + (size_t)_i;

    ck_assert_int_eq(wait_any(sources, count, 0, 0), WEFT_ETIMEDOUT);
    ck_assert_int_eq(wait_any(sources, count, 0, -1), WEFT_ETIMEDOUT);
    thing_put(&things[3]);
    ck_assert_int_eq(wait_any(sources, count, 0, OS_NEVER), 3);
    ck_assert_int_eq(wait_any(sources, count, 0, 0), 3); /* takes nothing */
    free(sources);
}

END_TEST

START_TEST(a_deadline_ends_it)
{
    struct any_source *sources = make_sources(3, _i);
    const int64_t until = os_now() + 30 * MS;

    ck_assert_int_eq(wait_any(sources, 3 + (size_t)_i, 0, until),
                     WEFT_ETIMEDOUT);
    ck_assert_int_ge(os_now(), until);
    for (int i = 0; i < 3; i++)
        ck_assert(!thing_is_watched(&things[i]));
    free(sources);
}

END_TEST

/* 0 and 3 are things, 1 and 4 descriptors that are ready, 2 and 5 are not. */
START_TEST(the_circle_begins_where_it_is_told)
{
    static const int expected[] = {0, 1, 3, 3, 4, 0};
    const int ready = os_event_open();
    struct any_source sources[] = {of_thing(0), of_fd(ready), of_thing(2),
                                   of_thing(3), of_fd(ready), of_fd(silent)};

    os_event_ring(ready);
    thing_put(&things[0]);
    thing_put(&things[3]);
    for (size_t from = 0; from < 40; from++)
        ck_assert_int_eq(wait_any(sources, 6, from, OS_NEVER),
                         expected[from % 6]);
}

END_TEST

START_TEST(all_get_their_turn)
{
    struct any_source *sources = make_sources(10, false);
    size_t from = 0;

    for (int i = 0; i < 10; i++)
        thing_put(&things[i]);
    for (size_t i = 0; i < 100; i++) {
        const int got = wait_any(sources, 10, from, OS_NEVER);

        ck_assert_int_eq(got, (int)(i % 10));
        from = (size_t)got + 1;
    }
    free(sources);
}

END_TEST

/* A thread that waits. */
struct waiting {
    struct any_source *sources;
    size_t count;
    int64_t until;
    struct stop_cell cell;
    struct stop stop;
    pthread_t thread;
    _Atomic int tid;
    _Atomic int result;
};

static void *
wait_for_any(void *memory)
{
    struct waiting *waiting = memory;

    self_get()->stop = &waiting->stop;
    atomic_store(&waiting->tid, os_thread_id());
    atomic_store(&waiting->result,
                 wait_any(waiting->sources, waiting->count, 0, waiting->until));
    return NULL;
}

/* Starts it and returns when it sleeps. */
static void
start(struct waiting *waiting)
{
    stop_cell_init(&waiting->cell);
    waiting->stop =
        (struct stop){.asked = &waiting->cell.asked, .cell = &waiting->cell};
    waiting->result = 77777;
    waiting->until = OS_NEVER;
    waiting->thread = support_thread(wait_for_any, waiting);
    eventually(atomic_load(&waiting->tid) != 0 &&
               thing_is_watched(&things[waiting->count - 2]) &&
               support_state(waiting->tid) == 'S');
}

static int
end(struct waiting *waiting)
{
    support_join(waiting->thread);
    for (size_t i = 0; i + 1 < waiting->count; i++)
        ck_assert(list_empty(&things[i].watches));
    free(waiting->sources);
    return waiting->result;
}

static const size_t sizes[] = {1, 2, 1000, MOST};

static void
a_ring_ends_it(bool polls)
{
    for (unsigned i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        const size_t count = sizes[i] < scaled(MOST) ? sizes[i] : scaled(MOST);
        struct waiting waiting = {.sources = make_sources(count, polls),
                                  .count = count + 1};

        if (!polls) /* another thing, that stays silent too */
            waiting.sources[count] = of_thing(MOST - 1);
        if (!polls && count == MOST)
            waiting.count--;
        start(&waiting);
        thing_put(&things[count / 2]);
        ck_assert_int_eq(end(&waiting), (int)(count / 2));
        ck_assert(thing_take(&things[count / 2]));
    }
}

START_TEST(a_ring_ends_a_sleep)
{
    a_ring_ends_it(false);
}

END_TEST

START_TEST(a_ring_ends_a_poll)
{
    a_ring_ends_it(true);
}

END_TEST

START_TEST(a_descriptor_ends_a_poll)
{
    struct waiting waiting = {.sources = make_sources(3, true), .count = 4};

    start(&waiting);
    os_event_ring(silent);
    ck_assert_int_eq(end(&waiting), 3);
}

END_TEST

START_TEST(a_thousand_descriptors_are_polled)
{
    struct any_source sources[1000];
    int ready[2];

    ck_assert_int_eq(pipe2(ready, O_CLOEXEC), 0);
    for (int i = 0; i < 1000; i++)
        sources[i] = of_fd(i == 666 ? ready[0] : silent);
    ck_assert_int_eq(wait_any(sources, 1000, 0, os_now() + MS), WEFT_ETIMEDOUT);
    ck_assert_int_eq(write(ready[1], "x", 1), 1);
    ck_assert_int_eq(wait_any(sources, 1000, 0, OS_NEVER), 666);
    ck_assert_int_eq(wait_any(sources, 1000, 700, OS_NEVER), 666);
}

END_TEST

START_TEST(what_is_wanted_of_a_descriptor_counts)
{
    int ends[2];
    struct any_source sources[2] = {{0}};

    ck_assert_int_eq(os_pair(ends), 0);
    sources[0] = of_fd(ends[0]);
    sources[1] = (struct any_source){.fd = ends[0], .writable = true};
    ck_assert_int_eq(wait_any(sources, 2, 0, OS_NEVER), 1);
    ck_assert_int_eq(write(ends[1], "x", 1), 1);
    ck_assert_int_eq(wait_any(sources, 2, 0, OS_NEVER), 0);
    os_close(ends[1]);
    ck_assert_int_eq(read(ends[0], ends, 1), 1);
    ck_assert_int_eq(wait_any(sources, 1, 0, OS_NEVER), 0); /* a hang-up */
}

END_TEST

START_TEST(a_closed_descriptor_is_refused)
{
    struct any_source sources[] = {of_thing(0), of_fd(9999)};

    ck_assert_int_eq(wait_any(sources, 2, 0, OS_NEVER), WEFT_EINVAL);
    ck_assert_str_eq(weft_why(), "a source's fd is no open descriptor");
    thing_put(&things[0]);
    ck_assert_int_eq(wait_any(sources, 2, 0, OS_NEVER), WEFT_EINVAL);
}

END_TEST

START_TEST(without_a_bell_it_says_why)
{
    struct any_source source = of_fd(silent);
    struct rlimit limit;
    rlim_t before;

    self_get();
    ck_assert_int_eq(getrlimit(RLIMIT_NOFILE, &limit), 0);
    before = limit.rlim_cur;
    limit.rlim_cur = 0;
    ck_assert_int_eq(setrlimit(RLIMIT_NOFILE, &limit), 0);
    ck_assert_int_eq(wait_any(&source, 1, 0, OS_NEVER), WEFT_EAGAIN);
    ck_assert_str_eq(weft_why(), "cannot make a descriptor to be rung by: "
                                 "Too many open files");
    limit.rlim_cur = before;
    ck_assert_int_eq(setrlimit(RLIMIT_NOFILE, &limit), 0);
}

END_TEST

START_TEST(a_stop_before_ends_it)
{
    struct any_source *sources = make_sources(2, _i);
    const size_t count = 2 + (size_t)_i;
    struct stop_cell cell;
    struct stop stop = {.asked = &cell.asked, .cell = &cell};

    stop_cell_init(&cell);
    stop_ask(&cell, 1);
    self_get()->stop = &stop;
    ck_assert_int_eq(wait_any(sources, count, 0, OS_NEVER), WEFT_ECANCELED);
    self_get()->shield = 1;
    ck_assert_int_eq(wait_any(sources, count, 0, os_now() + 5 * MS),
                     WEFT_ETIMEDOUT);
    self_get()->shield = 0;
    thing_put(&things[1]); /* what is ready comes first */
    ck_assert_int_eq(wait_any(sources, count, 0, OS_NEVER), 1);
    free(sources);
}

END_TEST

START_TEST(a_stop_meanwhile_ends_it)
{
    struct waiting waiting = {.sources = make_sources(3, _i), .count = 4};

    if (!_i)
        waiting.sources[3] = of_thing(3);
    start(&waiting);
    stop_ask(&waiting.cell, 1);
    ck_assert_int_eq(end(&waiting), WEFT_ECANCELED);
    ck_assert_int_eq(waiting.cell.bell, -1);
}

END_TEST

static void
nothing(int signal)
{
    (void)signal;
}

START_TEST(a_signal_does_not_end_it)
{
    const struct sigaction action = {.sa_handler = nothing};
    struct waiting waiting = {.sources = make_sources(3, _i), .count = 4};

    if (!_i)
        waiting.sources[3] = of_thing(3);
    ck_assert_int_eq(sigaction(SIGUSR1, &action, NULL), 0);
    start(&waiting);
    for (int i = 0; i < 50; i++)
        ck_assert_int_eq(pthread_kill(waiting.thread, SIGUSR1), 0);
    ck_assert_int_eq(waiting.result, 77777);
    thing_put(&things[1]);
    ck_assert_int_eq(end(&waiting), 1);
}

END_TEST

START_TEST(a_wait_is_published)
{
    struct waiting waiting = {.sources = make_sources(3, _i), .count = 4};

    if (!_i)
        waiting.sources[3] = of_thing(3);
    self_get();
    start(&waiting);
    const struct slot *slot = self_get()->slot + 2; /* the next page but one */

    ck_assert_int_eq(slot->identity.tid, waiting.tid);
    eventually(atomic_load(&slot->hot.state) == WEFT_WAITING);
    ck_assert_uint_eq(slot->hot.kind, SLOT_WAIT_ANY);
    ck_assert_uint_eq(slot->hot.object, 4);
    thing_put(&things[0]);
    ck_assert_int_eq(end(&waiting), 0);
}

END_TEST

START_TEST(many_waits_leave_nothing)
{
    struct any_source *sources = make_sources(4, true);

    ck_assert_int_eq(wait_any(sources, 5, 0, os_now() + MS), WEFT_ETIMEDOUT);
    const int fds = support_fds();

    for (unsigned i = 0; i < scaled(2000); i++)
        ck_assert_int_eq(wait_any(sources, 5, 0, os_now() + 1000),
                         WEFT_ETIMEDOUT);
    ck_assert_int_eq(support_fds(), fds);
    free(sources);
}

END_TEST

/* Producers put tokens into things, consumers wait for any and take them. A
 * lost wake-up is a hang. */
enum {
    THINGS = 8,
    CONSUMERS = 2,
    PRODUCERS = 2
};

static struct {
    unsigned each; /* tokens of a producer */
    bool polls;
    _Atomic unsigned taken, wrong, seed;
} storm;

static void *
produce(void *unused)
{
    unsigned random = atomic_fetch_add(&storm.seed, 1);

    (void)unused;
    for (unsigned i = 0; i < storm.each; i++) {
        random = random * 1664525 + 1013904223;
        thing_put(&things[(random >> 20) % THINGS]);
        /* Often let them go to sleep. */
        for (unsigned k = (random >> 10) % 256; k > 0; k--)
            os_pause();
    }
    return NULL;
}

static void
end_storm(void)
{
    for (int i = 0; i < CONSUMERS; i++)
        thing_put(&things[THINGS]);
}

static void *
consume(void *unused)
{
    struct any_source *sources = make_sources(THINGS + 1, storm.polls);
    const size_t count = THINGS + 1 + (size_t)storm.polls;

    (void)unused;
    for (size_t from = 0;;) {
        const int got = wait_any(sources, count, from, OS_NEVER);

        if (got == THINGS)
            break;
        if (got < 0 || got > THINGS) {
            atomic_fetch_add(&storm.wrong, 1);
            break;
        }
        from = ((size_t)got + 1) % THINGS;
        if (thing_take(&things[got]) &&
            atomic_fetch_add(&storm.taken, 1) + 1 == storm.each * PRODUCERS)
            end_storm();
    }
    free(sources);
    return NULL;
}

static const struct {
    bool polls, parks;
} storms[] = {{false, false}, {false, true}, {true, false}, {true, true}};

START_TEST(no_ring_is_lost)
{
    pthread_t threads[CONSUMERS + PRODUCERS];

    storm.each = scaled(storms[_i].parks ? 25000 : 50000);
    storm.polls = storms[_i].polls;
    policy_park_only(storms[_i].parks);
    for (int i = 0; i < CONSUMERS + PRODUCERS; i++)
        threads[i] = support_thread(i < CONSUMERS ? consume : produce, NULL);
    for (int i = 0; i < CONSUMERS + PRODUCERS; i++)
        support_join(threads[i]);
    ck_assert_uint_eq(storm.wrong, 0);
    ck_assert_uint_eq(storm.taken, storm.each * PRODUCERS);
    for (int i = 0; i <= THINGS; i++)
        ck_assert(list_empty(&things[i].watches));
}

END_TEST

/* One token at a time, so that each ring finds the waiter at another point of
 * going to sleep. */
static struct {
    _Atomic unsigned ready, done;
    unsigned rounds;
    struct stop_cell cell;
} race;

static void
pause_somewhat(unsigned round)
{
    while (atomic_load(&race.ready) != round)
        support_spin();
    for (unsigned i = round * 7919 % 300; i > 0; i--)
        os_pause();
}

static void *
put_one_by_one(void *unused)
{
    (void)unused;
    for (unsigned round = 1; round <= race.rounds; round++) {
        pause_somewhat(round);
        thing_put(&things[round % 3]);
        atomic_store(&race.done, round);
    }
    return NULL;
}

START_TEST(a_ring_at_any_moment_is_heard)
{
    struct any_source *sources = make_sources(3, storms[_i].polls);
    unsigned wrong = 0;

    race.rounds = scaled(20000);
    policy_park_only(storms[_i].parks);
    const pthread_t thread = support_thread(put_one_by_one, NULL);

    for (unsigned round = 1; round <= race.rounds; round++) {
        atomic_store(&race.ready, round);
        const int got =
            wait_any(sources, 3 + (size_t)storms[_i].polls, 0, OS_NEVER);

        wrong += got != (int)(round % 3) || !thing_take(&things[got]);
    }
    support_join(thread);
    ck_assert_uint_eq(wrong, 0);
    free(sources);
}

END_TEST

static void *
stop_one_by_one(void *unused)
{
    (void)unused;
    for (unsigned round = 1; round <= race.rounds; round++) {
        pause_somewhat(round);
        stop_ask(&race.cell, 1);
        atomic_store(&race.done, round);
    }
    return NULL;
}

START_TEST(a_stop_at_any_moment_is_heard)
{
    struct any_source *sources = make_sources(3, storms[_i].polls);
    struct stop stop = {.asked = &race.cell.asked, .cell = &race.cell};
    unsigned wrong = 0;

    race.rounds = scaled(20000);
    policy_park_only(storms[_i].parks);
    stop_cell_init(&race.cell);
    self_get()->stop = &stop;
    const pthread_t thread = support_thread(stop_one_by_one, NULL);

    for (unsigned round = 1; round <= race.rounds; round++) {
        stop_cell_init(&race.cell);
        atomic_store(&race.ready, round);
        wrong += wait_any(sources, 3 + (size_t)storms[_i].polls, 0, OS_NEVER) !=
                 WEFT_ECANCELED;
        while (atomic_load(&race.done) != round)
            support_spin();
    }
    support_join(thread);
    ck_assert_uint_eq(wrong, 0);
    free(sources);
}

END_TEST

static TCase *
add_case(Suite *suite, const char *name, int seconds)
{
    TCase *tcase = support_case(suite, name, seconds);

    tcase_add_checked_fixture(tcase, make_things, NULL);
    return tcase;
}

int
main(void)
{
    Suite *suite = suite_create("wait/any");
    TCase *tcase = add_case(suite, "ends", 20);

    tcase_add_loop_test(tcase, a_ready_thing_is_told_at_once, 0, 2);
    tcase_add_loop_test(tcase, a_deadline_ends_it, 0, 2);
    tcase_add_test(tcase, the_circle_begins_where_it_is_told);
    tcase_add_test(tcase, all_get_their_turn);
    tcase_add_test(tcase, a_ring_ends_a_sleep);
    tcase_add_test(tcase, a_ring_ends_a_poll);
    tcase_add_loop_test(tcase, a_stop_before_ends_it, 0, 2);
    tcase_add_loop_test(tcase, a_stop_meanwhile_ends_it, 0, 2);
    tcase_add_loop_test(tcase, a_signal_does_not_end_it, 0, 2);
    tcase_add_loop_test(tcase, a_wait_is_published, 0, 2);
    tcase_add_test(tcase, many_waits_leave_nothing);
    tcase = add_case(suite, "descriptors", 20);
    tcase_add_test(tcase, a_descriptor_ends_a_poll);
    tcase_add_test(tcase, a_thousand_descriptors_are_polled);
    tcase_add_test(tcase, what_is_wanted_of_a_descriptor_counts);
    tcase_add_test(tcase, a_closed_descriptor_is_refused);
    tcase_add_test(tcase, without_a_bell_it_says_why);
    tcase = add_case(suite, "storms", 60);
    support_add_table(tcase, no_ring_is_lost, storms);
    support_add_table(tcase, a_ring_at_any_moment_is_heard, storms);
    support_add_table(tcase, a_stop_at_any_moment_is_heard, storms);
    return support_run(suite);
}
