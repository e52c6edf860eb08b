/* What a thread holds, in its slot. */
#include "support/support.h"
#include "sync/held.h"

#include <string.h>

enum {
    SOME = 100,
    SHARED_MUTEX = SLOT_WAIT_MUTEX | SLOT_SHARED,
    PERMITS = SLOT_WAIT_SEMAPHORE | SLOT_SHARED
};

static char objects[SOME];
static const char site[1];
static struct slot slot;
static struct self self;

static void
make(void)
{
    memset(&slot, 0, sizeof slot);
    self = (struct self){.slot = &slot};
}

static void
add(int object, unsigned kind)
{
    held_add(&self, &objects[object], kind, site);
}

static void
take_away(int object)
{
    held_remove(&self, &objects[object]);
}

static bool
is_held(int object, unsigned kind)
{
    return held_find(&slot, &objects[object], kind) != NULL;
}

static unsigned
count(void)
{
    return atomic_load(&slot.held_count);
}

START_TEST(added_and_removed)
{
    for (int i = 0; i < 5; i++)
        add(i, SLOT_WAIT_MUTEX);
    ck_assert_uint_eq(count(), 5);
    ck_assert_uint_eq(slot.held[3].site, (uintptr_t)site);
    take_away(4); /* the last */
    ck_assert_uint_eq(count(), 4);
    take_away(1); /* leaves an empty one */
    ck_assert_uint_eq(count(), 4);
    ck_assert(!is_held(1, SLOT_WAIT_MUTEX));
    ck_assert(is_held(2, SLOT_WAIT_MUTEX));
    take_away(3);
    take_away(2); /* and the empty one below it goes too */
    ck_assert_uint_eq(count(), 1);
    take_away(0);
    ck_assert_uint_eq(count(), 0);
    take_away(0); /* was never held: nothing */
    ck_assert_uint_eq(count(), 0);
}

END_TEST

START_TEST(full_with_private_ones)
{
    for (int i = 0; i < SOME; i++)
        add(i, SLOT_WAIT_MUTEX);
    ck_assert_uint_eq(count(), SOME);
    ck_assert(!held_has_place(&slot));
    ck_assert(held_has_room(&self));
    add(0, SHARED_MUTEX);
    ck_assert(is_held(0, SHARED_MUTEX));
    ck_assert_uint_eq(count(), SOME + 1);
    take_away(0);
    ck_assert(!is_held(0, SHARED_MUTEX));
    for (int i = SOME; i-- > 1;)
        take_away(i);
    take_away(0);
    ck_assert_uint_eq(count(), 0);
}

END_TEST

START_TEST(full_with_shared_ones)
{
    for (int i = 0; i < SLOT_HELD; i++) {
        ck_assert(held_has_room(&self));
        add(i, SHARED_MUTEX);
    }
    ck_assert(!held_has_room(&self));
    add(SLOT_HELD, SLOT_WAIT_MUTEX); /* is only counted */
    ck_assert(!is_held(SLOT_HELD, SLOT_WAIT_MUTEX));
    take_away(17);
    ck_assert(held_has_room(&self));
    add(17, SHARED_MUTEX);
    for (int i = 0; i < SLOT_HELD; i++)
        ck_assert(is_held(i, SHARED_MUTEX));
    take_away(SLOT_HELD);
    for (int i = 0; i < SLOT_HELD; i++)
        take_away(i);
    ck_assert_uint_eq(count(), 0);
}

END_TEST

/* A reader's entry says that it may read again: it stays. */
START_TEST(readers_are_not_displaced)
{
    for (int i = 0; i < SLOT_HELD; i++)
        held_take(&self, &objects[i], SLOT_WAIT_READ, site);
    ck_assert(!held_has_room(&self));
    for (int i = 0; i < SLOT_HELD; i++)
        ck_assert_uint_eq(held_give(&self, &objects[i], SLOT_WAIT_READ, 1), 1);
    ck_assert_uint_eq(count(), 0);
}

END_TEST

START_TEST(held_several_times)
{
    for (int i = 0; i < 5; i++)
        held_take(&self, objects, PERMITS, site);
    add(0, SLOT_WAIT_MUTEX); /* the same address, another kind */
    ck_assert_uint_eq(count(), 2);
    ck_assert_uint_eq(held_count_of(&slot, objects, PERMITS), 5);
    ck_assert_uint_eq(held_count_of(&slot, objects, SLOT_WAIT_MUTEX), 1);
    ck_assert_uint_eq(held_give(&self, objects, PERMITS, 0), 0);
    ck_assert_uint_eq(held_give(&self, objects, PERMITS, 2), 2);
    ck_assert_uint_eq(held_count_of(&slot, objects, PERMITS), 3);
    ck_assert_uint_eq(held_give(&self, objects, PERMITS, UINT32_MAX), 3);
    ck_assert_uint_eq(held_give(&self, objects, PERMITS, 1), 0);
    ck_assert_uint_eq(held_count_of(&slot, objects, PERMITS), 0);
    take_away(0);
    ck_assert_uint_eq(count(), 0);
}

END_TEST

START_TEST(without_a_slot_nothing_is_kept)
{
    self.slot = NULL;
    add(0, SLOT_WAIT_MUTEX);
    held_take(&self, objects, PERMITS, site);
    ck_assert_uint_eq(held_give(&self, objects, PERMITS, 1), 0);
    take_away(0);
    ck_assert_uint_eq(count(), 0);
}

END_TEST

/* Against a plain list, in any order. */
START_TEST(any_order)
{
    bool model[SOME] = {false};
    unsigned seed = 12345 + (unsigned)_i, wrong = 0;

    for (int step = 0; step < 20000; step++) {
        seed = seed * 1103515245 + 12345;
        const int i = (int)(seed >> 16) % SOME;
        const unsigned kind = i % 2 ? SHARED_MUTEX : SLOT_WAIT_MUTEX;

        if (model[i])
            take_away(i);
        else
            add(i, kind); /* 50 shared ones: there is always room */
        model[i] = !model[i];
        for (int j = 1; j < SOME; j += 2)
            wrong += is_held(j, SHARED_MUTEX) != model[j];
    }
    ck_assert_uint_eq(wrong, 0);
    for (int i = 0; i < SOME; i++)
        if (model[i])
            take_away(i);
    ck_assert_uint_eq(count(), 0);
}

END_TEST

int
main(void)
{
    Suite *suite = suite_create("held");
    TCase *tcase = support_case(suite, "held", 10);

    tcase_add_checked_fixture(tcase, make, NULL);
    tcase_add_test(tcase, added_and_removed);
    tcase_add_test(tcase, full_with_private_ones);
    tcase_add_test(tcase, full_with_shared_ones);
    tcase_add_test(tcase, readers_are_not_displaced);
    tcase_add_test(tcase, held_several_times);
    tcase_add_test(tcase, without_a_slot_nothing_is_kept);
    tcase_add_loop_test(tcase, any_order, 0, 5);
    return support_run(suite);
}
