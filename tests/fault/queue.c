#include "fault.h"

#include <poll.h>
#include <string.h>

enum {
    ROOM = 3,
    WORDS =
        5, /* of an item, each with its number, so that a torn one is seen */
    OWN = 1000 /* the victim's number; the others' begin at 1 */
};

static void
fill(uint32_t item[WORDS], uint32_t number)
{
    for (uint32_t i = 0; i < WORDS; i++)
        item[i] = number * (i + 1);
}

/* Its number; 0: it is torn. */
static uint32_t
number_of(const uint32_t item[WORDS])
{
    uint32_t whole[WORDS];

    fill(whole, item[0]);
    return memcmp(item, whole, sizeof whole) == 0 ? item[0] : 0;
}

static int
put(struct arena *arena, uint32_t number, weft_time until)
{
    uint32_t item[WORDS];

    fill(item, number);
    return weft_queue_put(arena->queue, item, until);
}

/* The number, or < 0; 0: torn. */
static int
get(struct arena *arena, weft_time until)
{
    uint32_t item[WORDS];
    const int status = weft_queue_get(arena->queue, item, until);

    return status < 0 ? status : (int)number_of(item);
}

static void
fill_up(struct arena *arena, unsigned count, bool leased)
{
    const weft_queue_options options = {.item_size = WORDS * sizeof(uint32_t),
                                        .capacity = ROOM,
                                        .shared = true,
                                        .leased = leased};

    if (!arena->queue && weft_queue_open(&arena->queue, &options) < 0)
        return;
    (void)weft_queue_discard(arena->queue);
    arena->put = arena->got = 0;
    while (arena->put < count)
        (void)put(arena, ++arena->put, WEFT_NOW);
}

static void
make_empty(struct arena *arena)
{
    fill_up(arena, 0, false);
}

static void
make_two(struct arena *arena)
{
    fill_up(arena, 2, false);
}

static void
make_full(struct arena *arena)
{
    fill_up(arena, ROOM, false);
}

static void
make_leased(struct arena *arena)
{
    fill_up(arena, 2, true);
}

/* --- the victim */

static void
operate_put(struct arena *arena)
{
    (void)put(arena, OWN, WEFT_FOREVER);
}

static void
operate_get(struct arena *arena)
{
    (void)get(arena, WEFT_FOREVER);
}

static void
get_and_say_done(struct arena *arena)
{
    (void)get(arena, WEFT_FOREVER);
    weft_queue_done(arena->queue, 1);
}

static void
discard(struct arena *arena)
{
    (void)weft_queue_discard(arena->queue);
}

/* --- the main process and an heir */

static void
make_room(struct arena *arena)
{
    arena->got += get(arena, WEFT_NOW) >= 0;
}

static void
put_one(struct arena *arena)
{
    (void)put(arena, ++arena->put, WEFT_NOW);
}

/* One more for the heir, if the victim has had the first. */
static const char *
settle_get(struct arena *arena)
{
    const int64_t begun = fault_now();

    if (arena->put == 0)
        put_one(arena);
    while (!heir_is_done(arena, 0) && fault_now() - begun < 20 * MS)
        fault_nap(PAUSE);
    if (!heir_is_done(arena, 0) && weft_queue_size(arena->queue) == 0)
        put_one(arena);
    return NULL;
}

static const char *
settle_put(struct arena *arena)
{
    const int64_t begun = fault_now();

    if (weft_queue_size(arena->queue) == ROOM)
        while (!heir_is_done(arena, 0) && fault_now() - begun < 20 * MS)
            fault_nap(PAUSE);
    if (!heir_is_done(arena, 0) && weft_queue_size(arena->queue) == ROOM)
        make_room(arena);
    return NULL;
}

/* What the victim has put is seen without help. */
static const char *
settle_seen(struct arena *arena)
{
    if (!heir_is_done(arena, 0) && weft_queue_size(arena->queue) == 0)
        put_one(arena);
    return NULL;
}

static bool
inherit_watch(struct arena *arena)
{
    const weft_source source = {.queue = arena->queue};

    return weft_wait_any(&source, 1, 0, fault_soon(2 * STUCK)) == 0 &&
           get(arena, WEFT_NOW) > 0;
}

/* It may still show what was there before, and then for a moment only. */
static bool
inherit_poll(struct arena *arena)
{
    struct pollfd wanted = {.fd = weft_queue_fd(arena->queue),
                            .events = POLLIN};
    int got = WEFT_ETIMEDOUT;

    while (got == WEFT_ETIMEDOUT &&
           poll(&wanted, 1, (int)(2 * STUCK / MS)) == 1)
        got = get(arena, WEFT_NOW);
    return got > 0;
}

static bool
inherit_get(struct arena *arena)
{
    return get(arena, fault_soon(2 * STUCK)) > 0;
}

static bool
inherit_put(struct arena *arena)
{
    return put(arena, OWN + 1, fault_soon(2 * STUCK)) == 0;
}

/* --- what is left: whole, in order, once, and with all its room */

/* How many are missing between `from` and `to`; < 0: something is wrong. */
static int
drain(struct arena *arena, bool leased)
{
    uint32_t last = 0, missing = arena->put;
    int number;

    while ((number = get(arena, WEFT_NOW)) >= 0) {
        if (number == 0 || ((uint32_t)number < OWN && (uint32_t)number <= last))
            return -1;
        if ((uint32_t)number < OWN) {
            last = (uint32_t)number;
            missing--;
        }
        if (leased && weft_queue_done(arena->queue, 1) < 0)
            return -1;
    }
    return (int)missing;
}

static const char *
check_room(struct arena *arena)
{
    for (uint32_t i = 1; i <= ROOM; i++)
        if (put(arena, i, fault_soon(STUCK)) < 0)
            return "room was lost";
    if (put(arena, OWN, WEFT_NOW) != WEFT_ETIMEDOUT)
        return "there is too much room";
    return weft_queue_discard(arena->queue) != ROOM
               ? "not all items were discarded"
               : NULL;
}

static const char *
check_most(struct arena *arena, int most, bool leased)
{
    const int missing = drain(arena, leased);

    if (missing < 0)
        return "an item is torn, out of order or twice there";
    if (missing > most)
        return "an item was lost";
    return check_room(arena);
}

static const char *
check_none(struct arena *arena)
{
    return check_most(arena, 0, false);
}

static const char *
check_one(struct arena *arena)
{
    return check_most(arena, 1, false);
}

/* But what the main process took. */
static const char *
check_put(struct arena *arena)
{
    return check_most(arena, (int)arena->got, false);
}

static const char *
check_any(struct arena *arena)
{
    return check_most(arena, ROOM + 2, false);
}

/* Got and not done by somebody who is dead counts as done. */
static const char *
check_done(struct arena *arena)
{
    (void)weft_queue_discard(arena->queue);
    return weft_queue_join(arena->queue, fault_soon(LATE)) < 0
               ? "an item is never done"
               : check_room(arena);
}

static const char *
check_leased(struct arena *arena)
{
    return check_most(arena, 1, true);
}

/* It had not said that it is done: nothing is lost. */
static const char *
check_lease_back(struct arena *arena)
{
    return check_most(arena, 0, true);
}

const struct operation queue_operations[] = {
    {
        .name = "queue, put",
        .prepare = make_two,
        .operate = operate_put,
        .check = check_none,
    },
    {
        .name = "queue, get",
        .prepare = make_two,
        .operate = operate_get,
        .check = check_one,
    },
    {
        .name = "queue, get a lease",
        .prepare = make_leased,
        .operate = operate_get,
        .check = check_lease_back,
    },
    {
        .name = "queue, get a lease and say done",
        .prepare = make_leased,
        .operate = get_and_say_done,
        .check = check_leased,
    },
    {
        .name = "queue, put on full",
        .prepare = make_full,
        .operate = operate_put,
        .unblock = make_room,
        .check = check_put,
    },
    {
        .name = "queue, get on empty",
        .prepare = make_empty,
        .operate = operate_get,
        .unblock = put_one,
        .check = check_one,
    },
    {
        .name = "queue, get and say done",
        .prepare = make_two,
        .operate = get_and_say_done,
        .check = check_done,
    },
    {
        .name = "queue, put watched",
        .prepare = make_empty,
        .operate = operate_put,
        .settle = settle_seen,
        .inherit = inherit_watch,
        .check = check_any,
        .heirs = 1,
    },
    {
        .name = "queue, put polled",
        .prepare = make_empty,
        .operate = operate_put,
        .settle = settle_seen,
        .inherit = inherit_poll,
        .check = check_any,
        .heirs = 1,
    },
    {
        .name = "queue, discard",
        .prepare = make_two,
        .operate = discard,
        .check = check_any,
    },
    {
        .name = "queue, get granted",
        .prepare = make_empty,
        .operate = operate_get,
        .unblock = put_one,
        .settle = settle_get,
        .inherit = inherit_get,
        .check = check_any,
        .heirs = 1,
        .granted = true,
    },
    {
        .name = "queue, put granted",
        .prepare = make_full,
        .operate = operate_put,
        .unblock = make_room,
        .settle = settle_put,
        .inherit = inherit_put,
        .check = check_put,
        .heirs = 1,
        .granted = true,
    },
    {0},
};
