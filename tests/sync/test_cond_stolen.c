/* A condition whose waiters signal too, so that who comes later may take a
 * signal that was meant for one who has waited longer: by this pattern, the
 * master lock of an interpreter, glibc's condition variable has lost wake-ups
 * for years (its bug 25847). Lost here is the one that lets the next one in:
 * then all sleep, for ever, as nothing but a notification ends a wait. */
#include "support/actor_support.h"

enum {
    MEMBERS_MOST = 8,
    SPAN = 2000, /* ms that each row takes */
    LEAVES = 5   /* one pass in so many goes out and comes in again */
};

struct guard {
    weft_mutex mutex;
    weft_cond free;
};

/* One is in at a time. */
static struct master {
    struct guard *guard, own; /* it, or one in the shared heap */
    bool taken;               /* under guard->mutex, as below */
    unsigned waiting, waits;  /* for `free`, now and ever */
    atomic_bool ended;
    _Atomic uint64_t passes;
    _Atomic int inside;
} * master;

static void
make(void)
{
    actors_make();
    master = support_share(sizeof *master);
}

static void
lock(void)
{
    child_expect(weft_mutex_lock(&master->guard->mutex) == 0);
}

static void
wait_for_free(void)
{
    master->waiting++;
    master->waits++;
    child_expect(weft_cond_wait(&master->guard->free, &master->guard->mutex,
                                WEFT_FOREVER) == 0);
    master->waiting--;
}

/* Not under the mutex: two that are in would be seen. */
static void
pass(void)
{
    child_expect(atomic_fetch_add(&master->inside, 1) == 0);
    atomic_fetch_add(&master->passes, 1);
    child_expect(atomic_fetch_sub(&master->inside, 1) == 1);
}

static void
enter(void)
{
    lock();
    while (master->taken)
        wait_for_free();
    master->taken = true;
    weft_mutex_unlock(&master->guard->mutex);
}

static void
leave(bool notify_inside)
{
    lock();
    master->taken = false;
    if (notify_inside)
        weft_cond_notify(&master->guard->free, 1);
    weft_mutex_unlock(&master->guard->mutex);
    if (!notify_inside)
        weft_cond_notify(&master->guard->free, 1);
}

/* Lets another one in, if there is one: signals, and waits behind it. */
static void
yield_to_another(void)
{
    lock();
    if (master->waiting > 0) {
        master->taken = false;
        weft_cond_notify(&master->guard->free, 1);
        do
            wait_for_free();
        while (master->taken);
        master->taken = true;
    }
    weft_mutex_unlock(&master->guard->mutex);
}

static int
take_part(int64_t nth)
{
    enter();
    for (uint64_t i = (uint64_t)nth; !atomic_load(&master->ended); i++) {
        pass();
        if (i % LEAVES != 0) {
            yield_to_another();
        } else {
            leave(i % 2);
            enter();
        }
    }
    pass();
    leave(nth % 2);
    return 0;
}

/* Until the time has passed; fails when nobody has passed for long. */
static void
watch_them(int64_t span)
{
    const weft_time end = weft_in(span);

    while (weft_now().ns < end.ns) {
        const uint64_t before = atomic_load(&master->passes);

        eventually(atomic_load(&master->passes) != before);
    }
}

static const struct row {
    weft_kind kind;
    bool in_heap; /* there notifications look at nobody's slot */
    int members;
} rows[] = {
    {WEFT_THREAD, false, 3},  {WEFT_THREAD, false, MEMBERS_MOST},
    {WEFT_PROCESS, false, 3}, {WEFT_PROCESS, false, MEMBERS_MOST},
    {WEFT_PROCESS, true, 3},  {WEFT_PROCESS, true, MEMBERS_MOST},
};

static void
make_guard(const struct row *row)
{
    const bool shared = row->kind == WEFT_PROCESS;

    master->own.mutex.shared = master->own.free.shared = shared;
    master->guard =
        row->in_heap ? weft_shared_alloc(sizeof *master->guard) : &master->own;
    ck_assert_ptr_nonnull(master->guard);
}

START_TEST(no_signal_is_stolen)
{
    const struct row *row = &rows[_i];
    struct actor *members[MEMBERS_MOST];

    make_guard(row);
    for (int i = 0; i < row->members; i++) {
        members[i] = actor_start(row->kind, "member");
        actor_begin(members[i], take_part, i);
    }
    watch_them(scaled(SPAN) * WEFT_MS);
    atomic_store(&master->ended, true);
    /* Each lets the next one out. */
    for (int i = 0; i < row->members; i++) {
        eventually(actor_is_done(members[i]));
        ck_assert_int_eq(actor_result(members[i]), 0);
        actor_leave(members[i]);
    }
    ck_assert_uint_gt(master->waits, 0); /* or it has shown nothing */
    ck_assert(!master->taken);
    ck_assert_uint_eq(master->waiting, 0);
    if (row->in_heap)
        weft_shared_free(master->guard);
}

END_TEST

int
main(void)
{
    Suite *suite = suite_create("cond_stolen");
    TCase *tcase = support_case(suite, "stolen", 30);

    tcase_add_checked_fixture(tcase, make, NULL);
    support_add_table(tcase, no_signal_is_stolen, rows);
    return support_run(suite);
}
