/* What the tests of pools share. */
#ifndef SUPPORT_POOL_SUPPORT_H
#define SUPPORT_POOL_SUPPORT_H

#include "support/worker_support.h"

/* A thread pool with these options; it must open. */
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

#endif
