/* weft_wait_any while several wakers ring at once: few sources and as many as
 * there may be, among threads and among processes, with descriptors and
 * without. In a round each waker puts one token at some moment, somewhere; the
 * waiter collects them all before the next round. A wake-up that was lost is a
 * hang, also among processes: see no_net.c.
 *
 * Bugs planted to see it fail, and found: a ring that leaves a polling waiter
 * alone; words that are noted after the look at the sources, by who sleeps on
 * them and by who polls; a sentry that rings nobody; a queue that does not
 * change the word of its watchers. */
#include "support/actor_support.h"
#include "wait/policy.h"

#include <stdlib.h>
#include <unistd.h>

enum {
    WAKERS = 3,
    PRIVATE_MOST = 10000,
    SHARED_MOST = 127,
    LEFT = 1U << 30 /* a round: leave */
};

/* A queue, or an event, whose tokens lie beside it: a bit for each waker. */
struct place {
    weft_queue *queue;
    weft_event *event;
    weft_event own; /* the event, if it is not in the shared heap */
    _Atomic uint32_t tokens;
};

static struct board {
    unsigned count;  /* places */
    unsigned spread; /* longest pause of a waker, in looks at a word */
    bool polls;      /* the pipe is a source too */
    bool silent;     /* and nothing comes through it */
    unsigned rounds;
    struct place places[PRIVATE_MOST];
    _Alignas(64) _Atomic uint32_t round; /* the waiter's */
} * board;

static void
make(void)
{
    actors_make();
    actors_make_pipe();
    board = support_share(sizeof *board);
}

/* --- a waker */

static uint32_t
roll(uint32_t *state)
{
    *state = *state * 1664525u + 1013904223u;
    return *state >> 8;
}

static void
put_token(struct place *place, int64_t waker)
{
    if (place->queue) {
        child_expect(weft_queue_put(place->queue, &waker, WEFT_FOREVER) == 0);
        return;
    }
    atomic_fetch_or(&place->tokens, 1U << waker);
    weft_event_set(place->event);
}

static void
send_token(int64_t waker)
{
    const uint8_t byte = (uint8_t)waker;

    child_expect(write(actors_pipe(1), &byte, 1) == 1);
}

static void
pause_somewhat(uint32_t random)
{
    for (uint32_t i = random % board->spread; i > 0; i--)
        (void)atomic_load(&board->round);
}

static int
wake_in_each_round(int64_t waker)
{
    uint32_t state = (uint32_t)waker + 1, round = 0;

    for (;;) {
        while (atomic_load(&board->round) == round)
            support_spin();
        round = atomic_load(&board->round);
        if (round == LEFT)
            return 0;
        pause_somewhat(roll(&state));
        const unsigned at = roll(&state) % (board->count + board->polls);

        if (at == board->count && !board->silent)
            send_token(waker);
        else
            put_token(&board->places[at % board->count], waker);
    }
}

/* --- the waiter */

/* The tokens that are there, as bits. */
static uint32_t
take_tokens(struct place *place)
{
    int64_t waker;

    if (!place->queue) {
        weft_event_clear(place->event);
        return atomic_exchange(&place->tokens, 0);
    }
    return weft_queue_get(place->queue, &waker, WEFT_NOW) == 0 ? 1U << waker
                                                               : 0;
}

static uint32_t
receive_token(void)
{
    uint8_t byte;

    child_expect(read(actors_pipe(0), &byte, 1) == 1);
    return 1U << byte;
}

static weft_source *
make_sources(void)
{
    weft_source *sources = calloc(board->count + 1, sizeof *sources);

    child_expect(sources != NULL);
    for (unsigned i = 0; i < board->count; i++)
        sources[i] = board->places[i].queue
                         ? (weft_source){.queue = board->places[i].queue}
                         : (weft_source){.event = board->places[i].event};
    sources[board->count] =
        (weft_source){.fd = actors_pipe(0), .events = WEFT_READABLE};
    return sources;
}

/* How many tokens were not what they should be: there once in each round. */
static int
collect(int64_t unused)
{
    weft_source *sources = make_sources();
    const size_t count = board->count + board->polls;
    size_t from = 0;
    int wrong = 0;

    (void)unused;
    for (unsigned round = 1; round <= board->rounds; round++) {
        uint32_t got = 0;

        policy_park_only(round % 2);
        atomic_store(&board->round, round);
        while (got != (1U << WAKERS) - 1) {
            const int ready = weft_wait_any(sources, count, from, WEFT_FOREVER);

            child_expect(ready >= 0 && ready < (int)count);
            const uint32_t taken = ready == (int)board->count
                                       ? receive_token()
                                       : take_tokens(&board->places[ready]);

            wrong += (taken & got) != 0;
            got |= taken;
            from = (size_t)ready + 1;
        }
    }
    atomic_store(&board->round, LEFT);
    free(sources);
    return wrong;
}

/* --- the rows */

enum what {
    EVENTS = 1,
    QUEUES = 2
};

struct row {
    weft_kind kind; /* of the wakers */
    unsigned count; /* sources but the descriptor */
    enum what what; /* they are, or both in turn */
    bool polls;
    bool silent;
    bool apart; /* the waiter is a process too */
    unsigned rounds, spread;
};

static const struct row rows[] = {
    {WEFT_THREAD, 1, EVENTS, false, false, false, 15000, 300},
    {WEFT_THREAD, 1, EVENTS, true, true, false, 15000, 300},
    {WEFT_THREAD, 1, QUEUES, true, false, false, 15000, 300},
    {WEFT_PROCESS, 1, EVENTS, false, false, false, 15000, 300},
    {WEFT_PROCESS, 1, EVENTS, true, true, false, 15000, 300},
    {WEFT_PROCESS, 1, QUEUES, true, false, false, 15000, 300},
    {WEFT_PROCESS, SHARED_MOST, EVENTS | QUEUES, false, false, false, 5000,
     3000},
    {WEFT_PROCESS, SHARED_MOST, EVENTS | QUEUES, true, true, false, 5000, 3000},
    {WEFT_PROCESS, SHARED_MOST, EVENTS | QUEUES, true, false, false, 5000,
     3000},
    {WEFT_PROCESS, 20, EVENTS | QUEUES, false, false, true, 5000, 1000},
    {WEFT_PROCESS, 20, EVENTS | QUEUES, true, true, true, 5000, 1000},
    {WEFT_THREAD, PRIVATE_MOST, EVENTS | QUEUES, false, false, false, 500,
     30000},
    {WEFT_THREAD, PRIVATE_MOST, EVENTS | QUEUES, true, true, false, 500, 30000},
    {WEFT_THREAD, PRIVATE_MOST, EVENTS | QUEUES, true, false, false, 500,
     30000},
};

static void
make_place(struct place *place, enum what what, bool shared, bool in_heap)
{
    const weft_queue_options options = {
        .item_size = sizeof(int64_t), .capacity = WAKERS, .shared = shared};

    if (what == QUEUES) {
        ck_assert_int_eq(weft_queue_open(&place->queue, &options), 0);
        return;
    }
    place->own.shared = shared;
    place->event =
        in_heap ? weft_shared_alloc(sizeof *place->event) : &place->own;
    ck_assert_ptr_nonnull(place->event);
}

/* Shared events lie in the heap and beside it, in turn. */
static void
make_places(unsigned count, enum what what, bool shared)
{
    const bool both = what == (EVENTS | QUEUES);

    board->count = count;
    for (unsigned i = 0; i < count; i++)
        make_place(&board->places[i],
                   !both   ? what
                   : i % 2 ? QUEUES
                           : EVENTS,
                   shared, shared && i % 4 == 0);
}

static void
free_places(void)
{
    for (unsigned i = 0; i < board->count; i++) {
        struct place *place = &board->places[i];

        ck_assert_uint_eq(atomic_load(&place->tokens), 0);
        if (place->queue)
            weft_queue_close(place->queue);
        else if (place->event != &place->own)
            weft_shared_free(place->event);
    }
}

START_TEST(no_ring_is_lost_in_a_storm)
{
    const struct row *row = &rows[_i];
    struct actor *wakers[WAKERS], *waiter = NULL;

    if (row->apart)
        waiter = actor_start(WEFT_PROCESS, "waiter");
    for (int i = 0; i < WAKERS; i++)
        wakers[i] = actor_start(row->kind, "waker");
    make_places(row->count, row->what, row->kind == WEFT_PROCESS);
    board->polls = row->polls;
    board->silent = row->silent;
    board->rounds = scaled(row->rounds);
    board->spread = row->spread;
    for (int i = 0; i < WAKERS; i++)
        actor_begin(wakers[i], wake_in_each_round, i);
    /* Not an actor: a stop word of its own, with as many shared ones, would be
     * looked at every 10 ms, and the rest with it. */
    ck_assert_int_eq(waiter ? actor_do(waiter, collect, 0) : collect(0), 0);
    for (int i = 0; i < WAKERS; i++) {
        ck_assert_int_eq(actor_result(wakers[i]), 0);
        actor_leave(wakers[i]);
    }
    if (waiter)
        actor_leave(waiter);
    free_places();
}

END_TEST

/* --- how many there may be */

static int
try_first(unsigned count, bool polls)
{
    weft_source *sources = make_sources();

    sources[count] = sources[board->count]; /* the descriptor */
    const int status = weft_wait_any(sources, count + polls, 0, WEFT_NOW);

    free(sources);
    return status;
}

START_TEST(more_shared_ones_are_refused)
{
    const enum what what = _i >> 1 ? QUEUES : EVENTS;
    const bool polls = _i & 1;

    ck_assert_int_eq(weft_init(NULL), 0);
    make_places(SHARED_MOST, what, true);
    ck_assert_int_eq(try_first(SHARED_MOST, polls), WEFT_ETIMEDOUT);
    make_place(&board->places[board->count++], what, false, false);
    ck_assert_int_eq(try_first(SHARED_MOST + 1, polls), WEFT_ETIMEDOUT);
    make_place(&board->places[board->count++], what, true, true);
    expect_refused(try_first(SHARED_MOST + 2, polls), WEFT_EINVAL,
                   "128 sources are shared between processes; 127 may be");
    put_token(&board->places[0], 0); /* also when one is ready */
    expect_refused(try_first(SHARED_MOST + 2, polls), WEFT_EINVAL, "128");
    ck_assert_int_eq(try_first(SHARED_MOST + 1, polls), 0);
    ck_assert_uint_eq(take_tokens(&board->places[0]), 1);
    free_places();
}

END_TEST

int
main(void)
{
    Suite *suite = suite_create("any_storm");
    TCase *tcase = support_case(suite, "bounds", 30);

    tcase_add_checked_fixture(tcase, make, NULL);
    tcase_add_loop_test(tcase, more_shared_ones_are_refused, 0, 4);
    tcase = support_case(suite, "storms", 30);
    tcase_add_checked_fixture(tcase, make, NULL);
    support_add_table(tcase, no_ring_is_lost_in_a_storm, rows);
    return support_run(suite);
}
