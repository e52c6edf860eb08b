#include "exec/exec.h"

#include "base/why.h"
#include "exec/intake.h"
#include "worker/options.h"
#include "worker/runtime.h"
#include "worker/task.h"

#include <weft/runtime.h>
#include <weft/status.h>

static struct {
    struct lock lock;
    weft_pool *_Atomic pool; /* made under lock, once */
} standard;

static weft_pool *
standard_pool(void)
{
    weft_pool *pool = atomic_load(&standard.pool);

    if (pool)
        return pool;
    lock_take(&standard.lock);
    pool = atomic_load(&standard.pool);
    if (!pool && weft_pool_open(&pool, WEFT_THREAD, NULL) == 0)
        atomic_store(&standard.pool, pool);
    lock_give(&standard.lock);
    return pool;
}

weft_pool *
exec_pool(weft_pool *pool)
{
    if (!pool)
        pool = thread_pool_kind.here();
    return pool ? pool : standard_pool();
}

/* Its threads would keep a program whose main thread has ended. */
static void
rest(void)
{
    weft_pool *pool = atomic_load(&standard.pool);

    if (pool)
        pool->of->rest(pool);
}

/* The copy has no workers: of its pools it keeps nothing. */
static void
forget(void)
{
    atomic_store(&standard.pool, NULL);
    standard.lock = (struct lock){0};
    if (self_here)
        self_here->deck = NULL;
}

__attribute__((constructor)) static void
set_hooks(void)
{
    runtime_resting = rest;
    runtime_copied = forget;
}

/* --- opening */

/* NULL, with *status: there are no such pools. */
static const struct pool_kind *
kind_of(weft_kind kind, int *status)
{
    switch (kind) {
    case WEFT_THREAD:
        return &thread_pool_kind;
    case WEFT_SERIAL:
        return &serial_pool_kind;
    case WEFT_PROCESS:
        return &process_pool_kind;
    case WEFT_CLUSTER:
        *status = why_set(WEFT_ENOTSUP, "pools of machines are not built yet");
        return NULL;
    case WEFT_PROMISE:
        break;
    }
    *status = why_set(WEFT_EINVAL, "there are no pools of kind %d", (int)kind);
    return NULL;
}

static int
check_name(const char *name)
{
    enum {
        NUMBER = sizeof "-4294967295" - 1
    };

    char space[TEXT_NAME];
    struct text text = text_over(space, sizeof space);
    const char *fault = text_name_fault(name);

    if (fault)
        return why_set(WEFT_EINVAL, "pool options.name: %s", fault);
    text_add(&text, "%s", name);
    return text.used + NUMBER >= TEXT_NAME
               ? why_set(WEFT_EINVAL,
                         "pool options.name leaves no room for a number")
               : 0;
}

static int
check_options(weft_kind kind, const weft_pool_options *options)
{
    enum {
        MOST = 4096
    };

    int status = options_check_words(
        options->reserved, sizeof options->reserved / sizeof *options->reserved,
        "pool options");

    if (status == 0 && options->name)
        status = check_name(options->name);
    if (status == 0)
        status = options_check(&options->worker);
    if (status < 0)
        return status;
    if (options->workers > MOST)
        return why_set(WEFT_EINVAL, "a pool has up to %d workers, not %u", MOST,
                       options->workers);
    if (options->idle < 0)
        return why_set(WEFT_EINVAL, "pool options.idle is negative");
    if (options->engine && kind != WEFT_CLUSTER)
        return why_set(WEFT_EINVAL, "pool options.engine is for clusters");
    return 0;
}

int
weft_pool_open(weft_pool **out, weft_kind kind,
               const weft_pool_options *options)
{
    static const weft_pool_options defaults;
    int status = 0;

    if (!out)
        return why_set(WEFT_EINVAL, "weft_pool_open: out is NULL");
    *out = NULL;
    const struct pool_kind *of = kind_of(kind, &status);

    if (!options)
        options = &defaults;
    if (status == 0)
        status = check_options(kind, options);
    if (status < 0)
        return status;
    runtime_open();
    return of->open(out, options);
}

/* --- using it */

int
weft_submit(weft_job **out, weft_pool *pool, const weft_task *task)
{
    if (!task)
        return why_set(WEFT_EINVAL, "weft_submit: task is NULL");
    runtime_open();
    pool = exec_pool(pool);
    if (!pool)
        return WEFT_ENOMEM;
    /* Else the job gets its place when it begins. */
    const bool early = pool->in->backlog || task->delay || task->after;
    int status = task_check(pool->kind, task, true);

    if (status == 0 && !service_runs())
        status = service_start(); /* for stops */
    if (status == 0 && early)
        status = intake_reserve(pool->in, task->submit_by.ns);
    if (status < 0)
        return status;
    status = task_launch(out,
                         &(struct task_way){.kind = pool->kind,
                                            .of = pool->of->jobs,
                                            .pool = pool,
                                            .reserved = early},
                         task);
    if (status < 0 && early)
        intake_give_back(pool->in);
    return status;
}

int
weft_pool_resize(weft_pool *pool, unsigned workers)
{
    if (!pool || workers == 0)
        return why_set(WEFT_EINVAL, "weft_pool_resize: %s",
                       pool ? "a pool has at least one worker"
                            : "pool is NULL");
    const int status =
        check_options(pool->kind, &(weft_pool_options){.workers = workers});

    return status < 0 ? status : pool->of->resize(pool, workers);
}

void
weft_pool_count(const weft_pool *pool, weft_pool_counts *out)
{
    if (!out)
        return;
    *out = (weft_pool_counts){0};
    if (pool)
        pool->of->count((weft_pool *)(uintptr_t)pool, out);
}

int
weft_pool_close(weft_pool *pool, weft_time deadline)
{
    return pool ? pool->of->close(pool, deadline.ns) : 0;
}

int
weft_enter(weft_pool *pool, weft_fork_fn *fn, void *frame, weft_time deadline)
{
    if (!fn)
        return why_set(WEFT_EINVAL, "weft_enter: fn is NULL");
    pool = exec_pool(pool);
    if (!pool)
        return WEFT_ENOMEM;
    if (!pool->of->enter)
        return why_set(WEFT_ENOTSUP, "fork/join is for thread pools only");
    return pool->of->enter(pool, fn, frame, deadline.ns);
}
