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

/* --- who holds a lock and waits for a thief takes no stranger */

struct knot {
    weft_mutex *mutex;
    atomic_int *held; /* how often */
};

static void
work_some(weft_lane *lane, void *frame)
{
    (void)frame;
    for (int i = 0; i < 20; i++) {
        weft_lane *inner = weft_fork(lane, do_none, NULL);

        (void)inner;
        weft_sync(lane);
        support_spin();
    }
}

static void
hold_and_sync(weft_lane *lane, void *frame)
{
    struct knot *knot = frame;

    weft_mutex_lock(knot->mutex);
    weft_lane *inner = weft_fork(lane, work_some, NULL);

    work_some(inner, NULL);
    weft_sync(lane);
    atomic_fetch_add(knot->held, 1);
    weft_mutex_unlock(knot->mutex);
}

static void
only_lock(weft_lane *lane, void *frame)
{
    struct knot *knot = frame;

    (void)lane;
    weft_mutex_lock(knot->mutex);
    atomic_fetch_add(knot->held, 1);
    weft_mutex_unlock(knot->mutex);
}

enum {
    KNOTS = 16
};

static void
tie_knots(weft_lane *lane, void *frame)
{
    for (int i = 0; i < KNOTS; i++)
        lane = weft_fork(lane, i % 2 ? only_lock : hold_and_sync, frame);
    for (int i = 0; i < KNOTS; i++)
        weft_sync(--lane);
}

static const unsigned sizes[] = {1, 2, 8};

/* The shape of rayon's issue 592, with forks. */
START_TEST(who_holds_a_lock_and_syncs_takes_no_stranger)
{
    weft_pool *pool = open_pool(.workers = sizes[_i]);
    weft_mutex mutex = {0};
    atomic_int held = 0;
    struct knot knot = {&mutex, &held};

    for (unsigned i = 0; i < scaled(200); i++)
        ck_assert_int_eq(weft_enter(pool, tie_knots, &knot, WEFT_FOREVER), 0);
    ck_assert_int_eq(atomic_load(&held), KNOTS * scaled(200));
    pool_drain(pool);
}

END_TEST

/* --- eight times as many workers as CPUs */

struct tree {
    int left;
    long leaves;
};

static void
count_leaves(weft_lane *lane, void *frame)
{
    struct tree *tree = frame;
    struct tree near = {.left = tree->left - 1}, far = near;

    if (tree->left == 0) {
        tree->leaves = 1;
        return;
    }
    weft_lane *inner = weft_fork(lane, count_leaves, &far);

    count_leaves(inner, &near);
    weft_sync(lane);
    tree->leaves = near.leaves + far.leaves;
}

static void *
enter_often(void *pool)
{
    for (unsigned i = 0; i < scaled(200); i++) {
        struct tree tree = {.left = 12};

        child_expect(weft_enter(pool, count_leaves, &tree, WEFT_FOREVER) == 0);
        child_expect(tree.leaves == 1 << 12);
    }
    return NULL;
}

START_TEST(eight_workers_a_cpu_fork_and_join)
{
    const unsigned workers = 8 * weft_cpu_count();
    weft_pool *pool = open_pool(.workers = workers);
    pthread_t threads[8];

    for (int i = 0; i < 8; i++)
        threads[i] = support_thread(enter_often, pool);
    for (int i = 0; i < 8; i++)
        support_join(threads[i]);
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
    support_add_table(tcase, who_holds_a_lock_and_syncs_takes_no_stranger,
                      sizes);
    tcase_add_test(tcase, eight_workers_a_cpu_fork_and_join);
    return suite;
}

int
main(void)
{
    return support_run(make());
}
