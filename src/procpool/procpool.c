#include "procpool/procpool.h"

#include "base/why.h"
#include "os/os.h"
#include "worker/process.h"
#include "worker/runtime.h"
#include "worker/task.h"
#include "worker/wire.h"

#include <weft/runtime.h>
#include <weft/status.h>

#include <stdlib.h>
#include <string.h>

enum {
    OWN_FDS = 2 /* beside the user's */
};

#define ROOM ((size_t)64 << 30) /* of a file that is sparse */

/* --- opening */

static int
check(const weft_pool_options *options)
{
    const weft_worker_options *worker = &options->worker;
    const weft_task *prepare = options->prepare;
    int status = process_check(&(weft_task){.fn = serve, .worker = worker});

    if (status < 0)
        return status;
    if (worker->method == WEFT_FORK)
        return why_set(WEFT_ENOTSUP, "worker.method: workers that are replaced "
                                     "cannot be made by WEFT_FORK");
    if (worker->fd_count > WIRE_HANDED - OWN_FDS)
        return why_set(WEFT_EINVAL,
                       "worker.fd_count is %zu, above %d for a pool",
                       worker->fd_count, WIRE_HANDED - OWN_FDS);
    if (prepare && !prepare->fn)
        return why_set(WEFT_EINVAL, "pool options.prepare has no function");
    if (prepare)
        status = task_check(WEFT_PROCESS, prepare, false);
    return status < 0 ? status : process_can_start(worker->method);
}

/* A limit of file sizes holds for memory files too. */
static size_t
room(void)
{
    struct os_context context;
    uint64_t file = OS_NO_LIMIT;

    if (os_context_get(&context) == 0)
        file = context.limits[OS_LIMIT_FILE].soft;
    const uint64_t most = file / 4;

    return most < ROOM ? (size_t)most & ~(size_t)(OS_PAGE - 1) : ROOM;
}

static unsigned
cpus_for_each(unsigned workers)
{
    const unsigned cpus = weft_cpu_count();

    return cpus > workers ? cpus / workers : 1;
}

static int
make_terms(struct process_pool *pool, const weft_pool_options *options)
{
    const weft_task *prepare = options->prepare;
    const size_t arg = prepare ? prepare->arg_size : 0;
    struct serve_terms *terms = calloc(1, sizeof *terms + arg);

    if (!terms)
        return why_because(WEFT_ENOMEM, "weft_pool_open");
    pool->terms = terms;
    pool->terms_size = sizeof *terms + arg;
    terms->room = pool->room;
    terms->fd_count = (uint32_t)options->worker.fd_count;
    terms->cpus = cpus_for_each(atomic_load(&pool->face.workers));
    terms->copied = options->worker.method != WEFT_SPAWN;
    if (!prepare)
        return 0;
    terms->prepares = true;
    terms->prepare_size = arg;
    terms->prepare_room = prepare->result_size;
    if (arg)
        memcpy(terms + 1, prepare->arg, arg);
    return image_refer(prepare->fn, &terms->prepare);
}

static void
pool_free(struct process_pool *pool)
{
    seats_free(pool);
    functions_free(&pool->functions);
    options_copy_free(&pool->options);
    free(pool->terms);
    free(pool);
}

static void
tick(struct timer *timer)
{
    struct process_pool *pool = list_entry(timer, struct process_pool, timer);
    struct list ended;

    list_init(&ended);
    lock_take(&pool->in.lock);
    pool->looks = 0;
    seats_trim(pool);
    offer_all(pool, &ended);
    lock_give(&pool->in.lock);
    collect_end(pool, &ended);
    (void)seats_need(pool);
}

static int
fill(struct process_pool *pool, const weft_pool_options *options)
{
    pool->face = (weft_pool){
        .of = &process_pool_kind, .in = &pool->in, .kind = WEFT_PROCESS};
    atomic_init(&pool->face.workers,
                options->workers ? options->workers : weft_cpu_count());
    intake_open(&pool->in, &pool->face, options);
    pool->owner = self_process()->pid;
    pool->idle_time = options->idle;
    pool->max_tasks = options->max_tasks;
    pool->recycle = options->recycle;
    pool->grace =
        options->worker.grace ? options->worker.grace : 1 * WEFT_SECOND;
    pool->room = room();
    os_signals_get(&pool->mask);
    pool->timer = (struct timer){.alone = true, .fire = tick};
    list_init(&pool->ready);
    list_init(&pool->idle);
    int status = options_copy(&pool->options, &options->worker);

    if (pool->options.options.heap == WEFT_HEAP_DEFAULT)
        pool->options.options.heap = WEFT_HEAP_NONE;
    if (status == 0)
        status = make_terms(pool, options);
    return status == 0 ? service_start() : status;
}

static int
open_pool(weft_pool **out, const weft_pool_options *options)
{
    int status = check(options);

    if (status < 0)
        return status;
    struct process_pool *pool = calloc(1, sizeof *pool);

    if (!pool)
        return why_because(WEFT_ENOMEM, "weft_pool_open");
    status = fill(pool, options);
    if (status < 0) {
        pool_free(pool);
        return status;
    }
    *out = &pool->face;
    return 0;
}

/* --- looking and changing */

static int
resize(weft_pool *face, unsigned workers)
{
    struct process_pool *pool = process_pool(face);

    lock_take(&pool->in.lock);
    const bool closing = pool->in.closing;

    if (!closing) {
        atomic_store(&face->workers, workers);
        if (pool->size > workers)
            pool->size = workers;
        seats_trim(pool);
    }
    lock_give(&pool->in.lock);
    if (closing)
        return why_set(WEFT_ECLOSED, "pool '%s' is being closed",
                       pool->in.name);
    (void)seats_need(pool);
    return 0;
}

static void
count(weft_pool *face, weft_pool_counts *out)
{
    struct process_pool *pool = process_pool(face);

    lock_take(&pool->in.lock);
    intake_count(&pool->in, out);
    out->workers = pool->live;
    list_foreach (at, &pool->idle)
        out->idle++;
    lock_give(&pool->in.lock);
}

/* --- closing */

static void
ask(weft_job *job, void *pool)
{
    if (job->of == &process_pool_job_kind && job->worker == pool)
        job_ask(job, JOB_STOP_ASKED);
}

/* First what has not begun: a worker whose task stops would go on to the next.
 */
static void
stop_all(struct process_pool *pool)
{
    struct list ended;

    list_init(&ended);
    lock_take(&pool->in.lock);
    pool->stopping = true;
    for (unsigned i = 0; i < pool->seat_count; i++)
        if (pool->seats[i]->state == SEAT_BUSY) {
            offer_retract_all(pool->seats[i]);
            collect_answers(pool->seats[i], &ended);
        }
    offer_all(pool, &ended);
    lock_give(&pool->in.lock);
    collect_end(pool, &ended);
    runtime_foreach(ask, pool);
}

static bool
is_gone(const struct process_pool *pool)
{
    if (pool->alive + pool->in.callers > 0 || pool->guarded)
        return false;
    for (unsigned i = 0; i < pool->seat_count; i++)
        if (atomic_load(&pool->seats[i]->visitors) > 0)
            return false;
    return true;
}

static void
dismiss_all(struct process_pool *pool)
{
    for (unsigned i = 0; i < pool->seat_count; i++)
        if (pool->seats[i]->state == SEAT_IDLE)
            seat_dismiss(pool->seats[i]);
}

/* Until the workers have ended, and nobody looks at a channel. */
static void
wait_gone(struct process_pool *pool)
{
    const struct wait_terms terms = {
        .until = OS_NEVER, .stubborn = true, .kind = SLOT_WAIT_WORK};

    for (;;) {
        lock_take(&pool->in.lock);
        dismiss_all(pool);
        const uint32_t seen = atomic_load(&pool->in.gone.value);
        const bool gone = pool->over = is_gone(pool);

        lock_give(&pool->in.lock);
        if (gone)
            return;
        (void)wait_while(&pool->in.gone, seen, &terms);
    }
}

static int
close_pool(weft_pool *face, int64_t until)
{
    struct process_pool *pool = process_pool(face);

    if (pool->owner != self_process()->pid)
        return why_set(WEFT_ENOTSUP,
                       "pool '%s' belongs to process %d, which opened it",
                       pool->in.name, pool->owner);
    intake_close(&pool->in);
    const int status = intake_wait_quiet(&pool->in, until, false);

    if (status < 0) {
        stop_all(pool);
        (void)intake_wait_quiet(&pool->in, OS_NEVER, true);
        (void)why_set(status, "pool '%s' had to stop what it ran",
                      pool->in.name);
    }
    wait_gone(pool);
    timer_cancel(&pool->timer);
    service_settle();
    pool_free(pool);
    return status;
}

/* The library's own threads are not the pool's. */
static void
rest(weft_pool *face)
{
    (void)face;
}

const struct pool_kind process_pool_kind = {
    .open = open_pool,
    .jobs = &process_pool_job_kind,
    .resize = resize,
    .count = count,
    .close = close_pool,
    .rest = rest,
};
