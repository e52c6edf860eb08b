#include "pool/pool.h"

#include "base/why.h"
#include "os/os.h"
#include "registry/recorder.h"
#include "worker/image.h"
#include "worker/task.h"
#include "worker/thread.h"

#include <weft/runtime.h>
#include <weft/status.h>

#include <limits.h>
#include <stdlib.h>
#include <string.h>

enum {
    STACK = 8 << 20 /* of a member: jobs run within each other there */
};

/* --- opening */

static int
check(const weft_pool_options *options)
{
    const weft_task *prepare = options->prepare;
    int status = thread_check(&(weft_task){.worker = &options->worker});

    if (status == 0 && (options->max_tasks || options->recycle))
        return why_set(WEFT_ENOTSUP, "pool options.%s is for processes",
                       options->max_tasks ? "max_tasks" : "recycle");
    if (status == 0 && prepare)
        status = prepare->fn ? task_check(WEFT_SERIAL, prepare, false)
                             : why_set(WEFT_EINVAL,
                                       "pool options.prepare has no function");
    return status;
}

/* What the options point to is the caller's. */
static int
copy(struct thread_pool *pool, const weft_pool_options *options)
{
    const weft_task *task = options->prepare;
    const int status = options_copy(&pool->options, &options->worker);

    if (status < 0)
        return status;
    if (!options->worker.stack_size)
        pool->options.options.stack_size = STACK;
    if (!task)
        return 0;
    pool->prepare = (weft_task){.fn = task->fn, .arg = task->arg};
    if (task->arg_size == 0)
        return 0;
    void *arg = malloc(task->arg_size);

    if (!arg)
        return why_because(WEFT_ENOMEM, "weft_pool_open");
    memcpy(arg, task->arg, task->arg_size);
    pool->prepare.arg = arg;
    pool->prepare.arg_size = task->arg_size;
    return 0;
}

static void
pool_free(struct thread_pool *pool)
{
    const unsigned count = atomic_load(&pool->deck_count);

    for (unsigned i = 0; i < count; i++)
        deck_free(atomic_load(&pool->decks[i]));
    options_copy_free(&pool->options);
    if (pool->prepare.arg_size)
        free((void *)(uintptr_t)pool->prepare.arg);
    free(pool);
}

int
pool_make(weft_pool **out, const struct pool_kind *of, weft_kind kind,
          const weft_pool_options *options)
{
    int status = check(options);

    if (status < 0)
        return status;
    struct thread_pool *pool = calloc(1, sizeof *pool);

    if (!pool)
        return why_because(WEFT_ENOMEM, "weft_pool_open");
    status = copy(pool, options);
    if (status < 0) {
        pool_free(pool);
        return status;
    }
    pool->face = (weft_pool){.of = of, .in = &pool->in, .kind = kind};
    atomic_init(&pool->face.workers, kind == WEFT_SERIAL ? 0
                                     : options->workers  ? options->workers
                                                         : weft_cpu_count());
    intake_open(&pool->in, &pool->face, options);
    pool->idle_time = options->idle;
    pool->timer = (struct timer){.alone = true, .fire = jobs_look};
    list_init(&pool->ready);
    list_init(&pool->blocked);
    list_init(&pool->idle);
    list_init(&pool->spare);
    *out = &pool->face;
    return 0;
}

static int
pool_open(weft_pool **out, const weft_pool_options *options)
{
    return pool_make(out, &thread_pool_kind, WEFT_THREAD, options);
}

static struct thread_pool *
thread_pool(weft_pool *pool)
{
    return (struct thread_pool *)(void *)pool;
}

weft_pool *
pool_here(void)
{
    const struct deck *deck = self_get()->deck;

    return deck ? &deck->pool->face : NULL;
}

/* --- looking and changing */

static int
resize(weft_pool *face, unsigned workers)
{
    struct thread_pool *pool = thread_pool(face);

    lock_take(&pool->in.lock);
    const bool closing = pool->in.closing;
    size_t work = pool->in.waiting;

    if (!closing)
        atomic_store(&face->workers, workers);
    /* Those too many find it out when they are awake. */
    if (!closing)
        for (struct deck *idle; (idle = pool_take_idle(pool));)
            deck_ring(idle);
    lock_give(&pool->in.lock);
    if (closing)
        return why_set(WEFT_ECLOSED, "pool '%s' is being closed",
                       pool->in.name);
    for (; work > 0 && atomic_load(&pool->members) < workers; work--)
        member_need(pool);
    return 0;
}

void
pool_count(weft_pool *face, weft_pool_counts *out)
{
    struct thread_pool *pool = thread_pool(face);

    lock_take(&pool->in.lock);
    out->workers = pool->threads;
    out->idle = atomic_load(&pool->idle_count);
    intake_count(&pool->in, out);
    lock_give(&pool->in.lock);
}

/* --- closing */

static void
join_members(struct thread_pool *pool)
{
    const unsigned count = atomic_load(&pool->deck_count);

    for (unsigned i = 0; i < count; i++)
        member_join(atomic_load(&pool->decks[i]));
}

/* Sends the threads home and waits until they have gone, or got work again. */
void
pool_rest(weft_pool *face)
{
    const struct wait_terms terms = {
        .until = OS_NEVER, .stubborn = true, .kind = SLOT_WAIT_WORK};
    struct thread_pool *pool = thread_pool(face);

    atomic_store(&pool->resting, true);
    for (;;) {
        lock_take(&pool->in.lock);
        if (pool->in.closing) /* none that comes now is for work */
            atomic_store(&pool->resting, true);
        const bool resting = atomic_load(&pool->resting);

        for (struct deck *idle; (idle = pool_take_idle(pool));)
            deck_ring(idle);
        const uint32_t seen = atomic_load(&pool->in.gone.value);
        const unsigned left = pool->threads + pool->in.callers;

        lock_give(&pool->in.lock);
        if (left == 0)
            join_members(pool);
        if (left == 0 || !resting)
            return;
        (void)wait_while(&pool->in.gone, seen, &terms);
    }
}

int
pool_close(weft_pool *face, int64_t until)
{
    struct thread_pool *pool = thread_pool(face);

    if (pool_deck_here(pool))
        return why_set(WEFT_EDEADLK,
                       "a worker of pool '%s' would wait for "
                       "its own end",
                       pool->in.name);
    intake_close(&pool->in);
    const int status = intake_wait_quiet(&pool->in, until, false);

    if (status < 0) {
        jobs_stop(pool);
        (void)intake_wait_quiet(&pool->in, OS_NEVER, true);
        (void)why_set(status, "pool '%s' had to stop what it ran",
                      pool->in.name);
    }
    pool_rest(face);
    timer_cancel(&pool->timer);
    service_settle(); /* it may just be looking */
    pool_free(pool);
    return status;
}

/* --- fork/join */

/* Known by the call that it belongs to, or else by its function. */
static void
run_region(struct deck *deck, weft_fork_fn *fn, void *frame)
{
    struct self *self = self_get();
    char space[TEXT_NAME] = "";
    const char *name = self->region;

    self->region = NULL;
    if (!name && recorder_is_on())
        name = image_function_name((weft_fn *)(uintptr_t)fn, space);
    deck_run(deck, fn, frame, name);
}

static int
enter_here(struct thread_pool *pool, weft_fork_fn *fn, void *frame)
{
    const bool guest = !pool_deck_here(pool);
    struct deck *deck =
        self_is_shared(self_get()) ? NULL : pool_take_deck(pool);

    if (!deck)
        return why_because(WEFT_ENOMEM, "weft_enter");
    pool_put_on(deck);
    if (guest)
        atomic_fetch_add(&pool->guests, 1);
    deck_ask(deck); /* the first fork looks for members */
    run_region(deck, fn, frame);
    if (guest && atomic_fetch_sub(&pool->guests, 1) > 1)
        pool_shared(deck); /* its place is free, for what others share */
    pool_take_off(deck);
    return 0;
}

struct entry {
    struct thread_pool *pool;
    weft_fork_fn *fn;
    void *frame;
};

static int
enter_there(weft_call *call)
{
    const struct entry *entry = call->arg;

    return enter_here(entry->pool, entry->fn, entry->frame);
}

/* Where workers are prepared, only they will do. */
static int
enter_as_job(struct thread_pool *pool, struct entry *entry, int64_t until)
{
    weft_job *job;
    int status = weft_submit(&job, &pool->face,
                             &(weft_task){.fn = enter_there,
                                          .name = "weft_enter",
                                          .arg = entry,
                                          .submit_by = {until}});

    if (status < 0)
        return status;
    status = weft_join(job, (weft_time){until});
    if (status == WEFT_ETIMEDOUT && !jobs_withdraw(pool, job))
        status = weft_join(job, WEFT_FOREVER); /* it began in time */
    if (status < 0) {
        (void)weft_stop(job); /* if it has begun it must come to its end */
        (void)job_wait(job, OS_NEVER, true);
        if (atomic_load(&job->phase) == JOB_BEGUN)
            status = 0;
    }
    if (status == 0 && job->outcome.status < 0)
        status = job_failure(job);
    weft_release(job);
    return status;
}

int
pool_enter(weft_pool *face, weft_fork_fn *fn, void *frame, int64_t until)
{
    struct thread_pool *pool = thread_pool(face);

    if (pool->prepare.fn && !pool_deck_here(pool))
        return enter_as_job(pool, &(struct entry){pool, fn, frame}, until);
    return enter_here(pool, fn, frame);
}

const struct pool_kind thread_pool_kind = {
    .open = pool_open,
    .jobs = &pool_job_kind,
    .resize = resize,
    .count = pool_count,
    .close = pool_close,
    .rest = pool_rest,
    .enter = pool_enter,
    .here = pool_here,
};
