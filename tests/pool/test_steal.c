/* Who has nothing to do gets what others fork. */
#include "registry/registry.h"
#include "support/pool_support.h"

struct handing {
    unsigned owner; /* its slot */
    atomic_bool begun, run;
};

static void
do_none(weft_lane *lane, void *frame)
{
    (void)lane;
    (void)frame;
}

static void
mark(weft_lane *lane, void *frame)
{
    (void)lane;
    atomic_store((atomic_bool *)frame, true);
}

/* Forks on until somebody else has run what was forked first: only a fork looks
 * whether somebody is hungry. */
static void
fork_until(weft_lane *lane, const atomic_bool *run)
{
    const weft_time until = weft_in(patient(5 * WEFT_SECOND));

    while (!atomic_load(run)) {
        weft_lane *inner = weft_fork(lane, do_none, NULL);

        (void)inner;
        weft_sync(lane);
        child_expect(weft_now().ns < until.ns);
        support_spin();
    }
}

static void
hand_out(weft_lane *lane, void *frame)
{
    atomic_bool *run = frame;
    weft_lane *inner = weft_fork(lane, mark, run);

    fork_until(inner, run);
    child_expect(!weft_unfork(lane));
}

START_TEST(an_idle_worker_takes_what_is_forked)
{
    weft_pool *pool = open_pool(.workers = 2);

    for (unsigned i = 0; i < scaled(1000); i++) {
        atomic_bool run = false;

        if (i % 4 == 0) /* it sleeps by then, in most rounds */
            eventually(counts_of(pool).idle == counts_of(pool).workers);
        ck_assert_int_eq(weft_enter(pool, hand_out, &run, WEFT_FOREVER), 0);
    }
    pool_drain(pool);
}

END_TEST

/* --- an owner who waits for his thief */

static bool
sleeps(unsigned id)
{
    return atomic_load(&registry_slot(id)->hot.state) == WEFT_IDLE;
}

/* Runs elsewhere; what it forks can be taken by nobody but the one who waits
 * for it, and who sleeps. */
static void
hand_back(weft_lane *lane, void *frame)
{
    struct handing *handing = frame;
    const weft_time until = weft_in(patient(5 * WEFT_SECOND));

    atomic_store(&handing->begun, true);
    while (!sleeps(handing->owner) && weft_now().ns < until.ns)
        support_spin();
    hand_out(lane, &handing->run);
}

static void
wait_for_thief(weft_lane *lane, void *frame)
{
    struct handing *handing = frame;

    handing->owner = weft_self()->id;
    weft_lane *inner = weft_fork(lane, hand_back, handing);

    fork_until(inner, &handing->begun);
    child_expect(!weft_unfork(lane));
}

START_TEST(who_waits_for_a_thief_helps_him)
{
    weft_pool *pool = open_pool(.workers = 2);

    for (unsigned i = 0; i < scaled(200); i++) {
        struct handing handing = {.run = false};

        ck_assert_int_eq(
            weft_enter(pool, wait_for_thief, &handing, WEFT_FOREVER), 0);
        ck_assert(atomic_load(&handing.run));
    }
    pool_drain(pool);
}

END_TEST

static Suite *
make(void)
{
    Suite *suite = suite_create("stealing");
    TCase *tcase = support_case(suite, "stealing", 20);

    tcase_add_checked_fixture(tcase, common_make, NULL);
    tcase_add_test(tcase, an_idle_worker_takes_what_is_forked);
    tcase_add_test(tcase, who_waits_for_a_thief_helps_him);
    return suite;
}

int
main(void)
{
    return support_run(make());
}
