/* What a worker of a pool does while it waits, and who works in its place. */
#include "support/pool_support.h"

#include <string.h>

static weft_pool *
pool_of_call(const weft_call *call)
{
    return *(weft_pool *const *)call->arg;
}

/* Submits what begins late, and waits for it. */
static int
join_late(const weft_call *call, weft_duration delay)
{
    weft_job *job = NULL;
    int status = weft_submit(&job, pool_of_call(call),
                             &(weft_task){.fn = do_nothing, .delay = delay});

    if (status == 0)
        status = weft_join(job, WEFT_FOREVER);
    (void)weft_stop(job);
    weft_release(job);
    return status;
}

/* --- in a scope */

struct two {
    weft_pool *own, *other;
};

static int
open_done(weft_call *call)
{
    (void)call;
    gate_open(&common->done);
    return 0;
}

static int
close_mixed_scope(weft_call *call)
{
    const struct two *two = call->arg;
    weft_scope *scope = NULL;
    int status = weft_scope_open(&scope, NULL);

    if (status == 0)
        status = weft_submit(NULL, two->other,
                             &(weft_task){.fn = do_nothing, .scope = scope});
    if (status == 0)
        status = weft_submit(NULL, two->own,
                             &(weft_task){.fn = open_done, .scope = scope});
    const int closed = weft_scope_close(scope, WEFT_FOREVER);

    return status < 0 ? status : closed;
}

START_TEST(what_it_cannot_run_hides_nothing)
{
    const struct two two = {open_pool(.workers = 1), open_pool(.workers = 1)};
    weft_job *busy = keep_busy(two.other);
    weft_job *job = submit(two.own, .fn = close_mixed_scope, WEFT_ARG(two));

    gate_pass(&common->done);
    let_go(busy);
    expect_end(job, WEFT_OK);
    pool_drain(two.own);
    pool_drain(two.other);
}

END_TEST

/* Waits for a job of the other pool that comes after one of its own. */
static int
join_behind_own(weft_call *call)
{
    const struct two *two = call->arg;
    weft_job *first = NULL, *second = NULL;
    int status = weft_submit(&first, two->own, &(weft_task){.fn = do_nothing});

    if (status == 0)
        status = weft_submit(&second, two->other,
                             &(weft_task){.fn = do_nothing, .after = first});
    if (status == 0)
        status = weft_join(second, WEFT_FOREVER);
    weft_release(second);
    weft_release(first);
    return status;
}

START_TEST(what_comes_after_its_own_does_in_another_pool)
{
    const struct two two = {open_pool(.workers = 1), open_pool(.workers = 1)};

    expect_end(submit(two.own, .fn = join_behind_own, WEFT_ARG(two)), WEFT_OK);
    pool_drain(two.own);
    pool_drain(two.other);
}

END_TEST

struct depth {
    weft_pool *pool;
    int left;
    bool any;
};

static int descend(weft_call *call);

static int
descend_in_scope(const weft_task *next, weft_pool *pool)
{
    weft_scope *scope = NULL;
    weft_task task = *next;
    int status = weft_scope_open(&scope, NULL);

    task.scope = scope;
    if (status == 0)
        status = weft_submit(NULL, pool, &task);
    const int closed = weft_scope_close(scope, WEFT_FOREVER);

    return status < 0 ? status : closed;
}

static int
descend_by_any(const weft_task *next, weft_pool *pool)
{
    weft_source source = {0};
    int status = weft_submit(&source.job, pool, next);

    if (status == 0)
        status = weft_wait_any(&source, 1, 0, WEFT_FOREVER);
    weft_release(source.job);
    return status;
}

static int
descend(weft_call *call)
{
    struct depth depth = *(const struct depth *)call->arg;

    if (depth.left-- == 0)
        return 0;
    const weft_task next = {.fn = descend, WEFT_ARG(depth)};

    return depth.any ? descend_by_any(&next, depth.pool)
                     : descend_in_scope(&next, depth.pool);
}

/* Deeper than a stack: another worker goes on in the place of the one. */
START_TEST(a_full_stack_is_no_end)
{
    weft_pool *pool =
        open_pool(.workers = 1, .worker = {.stack_size = 2 << 20});

    expect_end(submit(pool, .fn = descend,
                      WEFT_ARG((struct depth){pool, 10000, _i != 0})),
               WEFT_OK);
    pool_drain(pool);
}

END_TEST

/* --- behind a shield */

/* The worker's own stop must not end the task that it runs meanwhile; nor its
 * shield keep off that one's. */
static int
join_shielded(weft_call *call)
{
    weft_job *job = NULL;

    weft_shield(true);
    int status = weft_submit(
        &job, pool_of_call(call),
        &(weft_task){.fn = sleep_for_ever, .timeout = 20 * WEFT_MS});

    if (status == 0)
        status = weft_join(job, WEFT_FOREVER);
    const int how = status == 0 ? weft_outcome_of(job)->status : 0;

    weft_release(job);
    return status < 0 ? status : how == WEFT_ETIMEDOUT ? 0 : 1;
}

START_TEST(a_shield_is_not_for_what_it_runs_meanwhile)
{
    weft_pool *pool = open_pool(.workers = 1);
    weft_job *job = submit(pool, .fn = join_shielded, WEFT_ARG(pool));

    if (_i == 1) {
        gate_pass(&common->begun);
        ck_assert_int_eq(weft_stop(job), 0);
    }
    expect_end(job, WEFT_OK);
    pool_drain(pool);
}

END_TEST

/* --- for the first of several */

static int
wait_for_what_is_ready(weft_call *call)
{
    weft_event event = {0};
    weft_source sources[] = {{.event = &event}, {.job = NULL}};
    int status = weft_submit(&sources[1].job, pool_of_call(call),
                             &(weft_task){.fn = wait_for_go});

    weft_event_set(&event);
    if (status == 0)
        status = weft_wait_any(sources, 2, 0, WEFT_FOREVER);
    gate_open(&common->go);
    if (status == 0)
        status = weft_result(sources[1].job, NULL, 0, WEFT_FOREVER);
    weft_release(sources[1].job);
    return status;
}

START_TEST(what_is_ready_needs_no_help)
{
    weft_pool *pool = open_pool(.workers = 1);

    expect_end(submit(pool, .fn = wait_for_what_is_ready, WEFT_ARG(pool)),
               WEFT_OK);
    pool_drain(pool);
}

END_TEST

/* --- for a job that is not there yet */

static int
note_where(weft_call *call)
{
    (void)call;
    atomic_store(&common->value, weft_self()->tid);
    return 0;
}

static int
tell_and_join_delayed(weft_call *call)
{
    atomic_store(&common->tid, weft_self()->tid);
    gate_open(&common->begun);
    gate_pass(&common->go);
    return join_late(call, 5 * WEFT_MS);
}

/* The job is not in the pool yet, so nothing there belongs to it. */
START_TEST(who_waits_for_a_late_job_takes_no_stranger)
{
    weft_pool *pool = open_pool(.workers = 1);
    weft_job *job = submit(pool, .fn = tell_and_join_delayed, WEFT_ARG(pool));

    gate_pass(&common->begun);
    weft_job *stranger = submit(pool, .fn = note_where);

    gate_open(&common->go);
    expect_end(stranger, WEFT_OK);
    ck_assert_int_ne(atomic_load(&common->value), atomic_load(&common->tid));
    expect_end(job, WEFT_OK);
    pool_drain(pool);
}

END_TEST

static int
close_late_scope(weft_call *call)
{
    weft_scope *scope = NULL;
    int status = weft_scope_open(&scope, NULL);

    if (status == 0)
        status = weft_submit(NULL, pool_of_call(call),
                             &(weft_task){.fn = do_nothing,
                                          .scope = scope,
                                          .delay = 5 * WEFT_MS});
    const int closed = weft_scope_close(scope, WEFT_FOREVER);

    return status < 0 ? status : closed;
}

static int
wait_for_any_late(weft_call *call)
{
    weft_source source = {0};
    int status =
        weft_submit(&source.job, pool_of_call(call),
                    &(weft_task){.fn = do_nothing, .delay = 5 * WEFT_MS});

    if (status == 0)
        status = weft_wait_any(&source, 1, 0, WEFT_FOREVER);
    weft_release(source.job);
    return status;
}

static weft_fn *const late_ways[] = {close_late_scope, wait_for_any_late};

START_TEST(one_worker_can_wait_for_what_comes_late)
{
    weft_pool *pool = open_pool(.workers = 1);

    expect_end(submit(pool, .fn = late_ways[_i], WEFT_ARG(pool)), WEFT_OK);
    pool_drain(pool);
}

END_TEST

/* Joins what is too late until it is stopped, and then waits in its own way. */
static int
join_until_stopped(weft_call *call)
{
    const int status = join_late(call, 3600 * WEFT_SECOND);

    gate_open(&common->done);
    gate_pass(&common->go);
    return status == WEFT_ECANCELED ? 0 : status;
}

/* Three members sleep or wait where there may be two: whichever is woken for a
 * task, one of them runs it. */
START_TEST(who_is_too_many_swallows_no_task)
{
    weft_pool *pool = open_pool(.workers = 2);
    struct gate *const go = &common->go;
    weft_job *busy = keep_busy(pool);
    weft_job *waiter = submit(pool, .fn = join_until_stopped, WEFT_ARG(pool));

    eventually(counts_of(pool).workers == 3);
    let_go(busy);
    atomic_store(&go->open, 0);
    eventually(counts_of(pool).idle == 2);
    ck_assert_int_eq(weft_stop(waiter), 0);
    gate_pass(&common->done);
    expect_end(submit(pool, .fn = do_nothing), WEFT_OK);
    gate_open(go);
    expect_end(waiter, WEFT_OK);
    pool_drain(pool);
}

END_TEST

/* --- for work */

static int
note_name(weft_call *call)
{
    (void)call;
    return strcmp(weft_self()->name, "lazy-0") == 0 ? 0 : 1;
}

START_TEST(the_longest_idle_time_does_not_end)
{
    weft_pool *pool =
        open_pool(.workers = 1, .name = "lazy", .idle = INT64_MAX);

    for (unsigned i = 0; i < scaled(200); i++) {
        expect_end(submit(pool, .fn = note_name), WEFT_OK);
        eventually(counts_of(pool).idle == 1 || counts_of(pool).workers == 0);
    }
    pool_drain(pool);
}

END_TEST

static Suite *
make(void)
{
    Suite *suite = suite_create("waiting in a pool");
    TCase *tcase = support_case(suite, "waiting", 20);

    tcase_add_checked_fixture(tcase, common_make, NULL);
    tcase_add_test(tcase, what_it_cannot_run_hides_nothing);
    tcase_add_test(tcase, what_comes_after_its_own_does_in_another_pool);
    tcase_add_test(tcase, who_waits_for_a_late_job_takes_no_stranger);
    tcase_add_loop_test(tcase, a_full_stack_is_no_end, 0, 2);
    tcase_add_loop_test(tcase, a_shield_is_not_for_what_it_runs_meanwhile, 0,
                        2);
    tcase_add_test(tcase, what_is_ready_needs_no_help);
    support_add_table(tcase, one_worker_can_wait_for_what_comes_late,
                      late_ways);
    tcase_add_test(tcase, who_is_too_many_swallows_no_task);
    tcase_add_test(tcase, the_longest_idle_time_does_not_end);
    return suite;
}

int
main(void)
{
    return support_run(make());
}
