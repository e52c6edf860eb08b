#include "support/pool_support.h"

weft_pool *
pool_must_open(const weft_pool_options *options)
{
    weft_pool *pool = NULL;
    const int status = weft_pool_open(&pool, WEFT_THREAD, options);

    ck_assert_msg(status == 0, "not opened: %d, %s", status, weft_why());
    ck_assert_ptr_nonnull(pool);
    return pool;
}

weft_job *
pool_must_submit(weft_pool *pool, const weft_task *task)
{
    weft_job *job = NULL;
    const int status = weft_submit(&job, pool, task);

    ck_assert_msg(status == 0, "not taken: %d, %s", status, weft_why());
    ck_assert_ptr_nonnull(job);
    return job;
}

void
pool_drain(weft_pool *pool)
{
    ck_assert_int_eq(weft_pool_close(pool, WEFT_FOREVER), 0);
}

weft_pool_counts
counts_of(const weft_pool *pool)
{
    weft_pool_counts counts;

    weft_pool_count(pool, &counts);
    return counts;
}

weft_job *
keep_busy(weft_pool *pool)
{
    weft_job *job = submit(pool, .fn = wait_for_go, .name = "busy");

    gate_pass(&common->begun);
    return job;
}

void
let_go(weft_job *job)
{
    gate_open(&common->go);
    expect_end(job, WEFT_OK);
}
