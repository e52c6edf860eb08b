/* What the tests of pools share. */
#ifndef SUPPORT_POOL_SUPPORT_H
#define SUPPORT_POOL_SUPPORT_H

#include "support/worker_support.h"

/* What `open_pool` opens: WEFT_THREAD, or what a fixture says. */
extern weft_kind pool_kind;

/* Checked fixtures: `common`, and pools of processes, without core files. */
void pools_of_threads(void);
void pools_of_processes(void);

/* A pool with these options; it must open. */
#define open_pool(...) pool_must_open(&(weft_pool_options){__VA_ARGS__})

weft_pool *pool_must_open(const weft_pool_options *options);

/* Submits the task; it must be taken. */
weft_job *pool_must_submit(weft_pool *pool, const weft_task *task);

#define submit(pool, ...) pool_must_submit(pool, &(weft_task){__VA_ARGS__})

/* Closes it when all is done; nothing has to be stopped. */
void pool_drain(weft_pool *pool);

weft_pool_counts counts_of(const weft_pool *pool);

/* Has one worker of the pool busy until `common->go` is opened; returns when it
 * is. Its job, for `let_go`. */
weft_job *keep_busy(weft_pool *pool);
void let_go(weft_job *job);

/* All of its workers are there: so many tasks run at the same time. */
void expect_full(weft_pool *pool, unsigned workers);

/* Its results are right: submits `count` tasks of double_it, from `first` on,
 * and joins them. */
void submit_doubles(weft_pool *pool, weft_job **jobs, int first, int count);
void expect_doubles(weft_job **jobs, int first, int count);

#endif
