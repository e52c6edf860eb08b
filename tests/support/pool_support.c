#include "support/pool_support.h"

#include "support/options_support.h"

#include <string.h>

weft_kind pool_kind = WEFT_THREAD;

void
pools_of_threads(void)
{
    common_make();
    pool_kind = WEFT_THREAD;
}

void
pools_of_processes(void)
{
    options_ready();
    pool_kind = WEFT_PROCESS;
}

weft_pool *
pool_must_open(const weft_pool_options *options)
{
    weft_pool *pool = NULL;
    const int status = weft_pool_open(&pool, pool_kind, options);

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

static int
meet(weft_call *call)
{
    (void)call;
    atomic_fetch_add(&common->count, 1);
    gate_pass(&common->go);
    return 0;
}

void
expect_full(weft_pool *pool, unsigned workers)
{
    weft_job *jobs[64];

    ck_assert_uint_le(workers, 64);
    memset(common, 0, sizeof *common);
    for (unsigned i = 0; i < workers; i++)
        jobs[i] = submit(pool, .fn = meet, .name = "meet");
    int64_t start = 0;

    while (atomic_load(&common->count) < (int)workers) {
        const bool again = support_look_again(&start);
        const weft_pool_counts counts = counts_of(pool);

        ck_assert_msg(again,
                      "%d of %u run; %u workers, %u idle; tasks: %zu wait, %zu "
                      "run",
                      atomic_load(&common->count), workers, counts.workers,
                      counts.idle, counts.waiting, counts.running);
    }
    ck_assert_uint_eq(counts_of(pool).running, workers);
    ck_assert_uint_eq(counts_of(pool).workers, workers);
    gate_open(&common->go);
    for (unsigned i = 0; i < workers; i++)
        expect_end(jobs[i], WEFT_OK);
}

void
submit_doubles(weft_pool *pool, weft_job **jobs, int first, int count)
{
    for (int i = 0; i < count; i++) {
        const int number = first + i;

        jobs[i] = submit(pool, .fn = double_it, .name = "double",
                         WEFT_ARG(number), .result_size = sizeof(int));
    }
}

void
expect_doubles(weft_job **jobs, int first, int count)
{
    for (int i = 0; i < count; i++) {
        int twice = 0;
        const int status =
            weft_result(jobs[i], &twice, sizeof twice, WEFT_FOREVER);

        ck_assert_msg(status == 0, "%d, %s", status, weft_why());
        ck_assert_int_eq(twice, 2 * (first + i));
        weft_release(jobs[i]);
    }
}
