/* What a worker of a pool does while it waits, and who works in its place. */
#include "support/pool_support.h"

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

static Suite *
make(void)
{
    Suite *suite = suite_create("waiting in a pool");
    TCase *tcase = support_case(suite, "waiting", 20);

    tcase_add_checked_fixture(tcase, common_make, NULL);
    tcase_add_test(tcase, what_it_cannot_run_hides_nothing);
    tcase_add_test(tcase, who_waits_for_a_late_job_takes_no_stranger);
    tcase_add_test(tcase, who_is_too_many_swallows_no_task);
    return suite;
}

int
main(void)
{
    return support_run(make());
}
