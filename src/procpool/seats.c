/* Workers come and go. How many there are follows from what is: fewer live than
 * are to be kept, or tasks wait and more are allowed. */
#include "base/why.h"
#include "os/os.h"
#include "procpool/certificates.h"
#include "procpool/procpool.h"
#include "worker/on_end.h"
#include "worker/process.h"
#include "worker/runtime.h"
#include "worker/task.h"
#include "worker/wire.h"

#include <weft/status.h>

#include <limits.h>
#include <stdlib.h>
#include <string.h>

enum {
    RETRY = 100 * (int)WEFT_MS /* ns, until a worker is tried to be made again
                                  for who is not told that there is none */
};

/* --- how many */

bool
seats_lack(const struct process_pool *pool)
{
    const bool waits = !list_empty(&pool->ready);
    const unsigned most = atomic_load(&pool->face.workers);

    if (pool->live >= most || atomic_load(&pool->in.refuses) < 0)
        return false;
    if (pool->again > 0 && os_now() < pool->again)
        return false;
    return waits || (pool->live < pool->size && !pool->in.closing &&
                     !runtime_is_closed());
}

static bool
is_superfluous(const struct process_pool *pool)
{
    return pool->live > atomic_load(&pool->face.workers);
}

bool
seat_is_used_up(const struct seat *seat)
{
    const unsigned most = seat->pool->max_tasks;

    return most && seat->given >= most;
}

static bool
has_grown(struct seat *seat)
{
    const struct process_pool *pool = seat->pool;

    if (pool->recycle == 0)
        return false;
    const uint64_t now = os_memory_private(seat->statm);

    if (seat->base == 0)
        seat->base = now;
    return now > seat->base + pool->recycle;
}

void
seat_dismiss(struct seat *seat)
{
    if (seat->state == SEAT_IDLE)
        list_remove(&seat->link);
    seat->state = SEAT_LEAVING;
    seat->pool->live--;
    (void)weft_stop(seat->worker);
}

void
seat_rest(struct seat *seat)
{
    struct process_pool *pool = seat->pool;
    const bool renewed = seat_is_used_up(seat) ||
                         seat->stage >= STAGE_TERMINATED || has_grown(seat);

    seat->stage = STAGE_NONE;
    if (renewed || is_superfluous(pool)) {
        seat_dismiss(seat);
        return;
    }
    seat->state = SEAT_IDLE;
    seat->since = os_now();
    list_append(&pool->idle, &seat->link);
    if (pool->idle_time > 0)
        seats_look_again(pool, seat->since + pool->idle_time);
    if (pool->in.closing)
        intake_tell_gone(&pool->in); /* close dismisses who is idle */
}

/* --- time passes */

void
seats_look_again(struct process_pool *pool, int64_t at)
{
    if (pool->over || (pool->looks && pool->looks <= at))
        return;
    /* Without it there is the next task. */
    pool->looks = timer_set(&pool->timer, at) == 0 ? at : 0;
}

/* The longest idle first. */
static int64_t
trim_idle(struct process_pool *pool, int64_t now)
{
    while (!list_empty(&pool->idle)) {
        struct seat *seat = list_entry(pool->idle.next, struct seat, link);

        if (seat->since + pool->idle_time > now)
            return seat->since + pool->idle_time;
        seat_dismiss(seat);
        if (pool->size > pool->live)
            pool->size = pool->live;
    }
    return 0;
}

void
seats_trim(struct process_pool *pool)
{
    const int64_t now = os_now();

    while (is_superfluous(pool) && !list_empty(&pool->idle))
        seat_dismiss(list_entry(pool->idle.next, struct seat, link));
    if (pool->idle_time > 0) {
        const int64_t next = trim_idle(pool, now);

        if (next > 0)
            seats_look_again(pool, next);
    }
    if (pool->again > now)
        seats_look_again(pool, pool->again);
}

/* --- making one */

static void
rang(struct service_source *source)
{
    struct seat *seat = list_entry(source, struct seat, source);

    lock_take(&seat->pool->in.lock);
    if (seat->bell >= 0) /* else its worker was just buried */
        os_event_clear(seat->bell);
    lock_give(&seat->pool->in.lock);
    collect(seat);
}

/* One that nobody looks at any more, or a new one. */
static struct seat *
vacant(struct process_pool *pool)
{
    for (unsigned i = 0; i < pool->seat_count; i++)
        if (pool->seats[i]->state == SEAT_VACANT &&
            atomic_load(&pool->seats[i]->visitors) == 0)
            return pool->seats[i];
    if (pool->seat_count == SEATS)
        return NULL;
    struct seat *seat = calloc(1, sizeof *seat);

    if (!seat)
        return NULL;
    seat->pool = pool;
    seat->source.ready = rang;
    seat->file = seat->bell = seat->statm = -1;
    list_init(&seat->link);
    pool->seats[pool->seat_count++] = seat;
    return seat;
}

static void
unmap(struct seat *seat)
{
    if (seat->map)
        os_unmap(seat->map, CHANNEL_MAPPED);
    seat->map = NULL;
}

static void
close_channel(struct seat *seat)
{
    if (seat->bell >= 0) {
        service_unwatch_source(seat->bell);
        os_close(seat->bell);
    }
    if (seat->file >= 0)
        os_close(seat->file);
    if (seat->statm >= 0)
        os_close(seat->statm);
    seat->bell = seat->file = seat->statm = -1;
}

/* Under the lock, since the service thread may look for the one before. */
static int
open_bell(struct seat *seat)
{
    const int bell = os_event_open();

    if (bell < 0)
        return why_system(bell, "cannot make a worker's channel");
    lock_take(&seat->pool->in.lock);
    seat->bell = bell;
    lock_give(&seat->pool->in.lock);
    return service_watch_source(bell, &seat->source);
}

static int
open_channel(struct seat *seat)
{
    const size_t size = channel_result_at(seat->pool->room) + seat->pool->room;
    void *map = NULL;

    seat->room = seat->pool->room;
    seat->file = os_memfd("weft-channel", size);
    int status = seat->file < 0 ? seat->file
                                : os_map(&map, CHANNEL_MAPPED, seat->file,
                                         OS_READ | OS_WRITE);

    if (status < 0)
        return why_system(status, "cannot make a worker's channel");
    os_keep_from_copies(map, CHANNEL_MAPPED, true);
    os_keep_out_of_core(map, CHANNEL_MAPPED);
    seat->map = map;
    return open_bell(seat);
}

/* In the service thread: the worker is no more. */
static void
worker_ended(weft_job *worker, void *context)
{
    struct seat *seat = context;
    struct process_pool *pool = seat->pool;
    struct list ended;

    (void)worker;
    list_init(&ended);
    lock_take(&pool->in.lock);
    if (seat->state == SEAT_IDLE)
        list_remove(&seat->link);
    if (seat->state != SEAT_LEAVING)
        pool->live--;
    seat->state = SEAT_DEAD;
    seat->busy++;
    seat_left(seat, &ended);
    offer_all(pool, &ended);
    seats_trim(pool);
    lock_give(&pool->in.lock);
    collect_end(pool, &ended);
    (void)seats_need(pool);
}

void
seat_left(struct seat *seat, struct list *ended)
{
    if (--seat->busy == 0 && seat->state == SEAT_DEAD)
        seat_bury(seat, ended);
}

static int
start(struct seat *seat, unsigned number)
{
    struct process_pool *pool = seat->pool;
    weft_worker_options options = pool->options.options;
    const size_t count = options.fd_count;
    int fds[WIRE_HANDED];
    char name[TEXT_NAME];
    struct text text = text_over(name, sizeof name);

    for (size_t i = 0; i < count; i++)
        fds[i] = pool->options.fds[i];
    fds[count] = seat->file;
    fds[count + 1] = seat->bell;
    options.fds = fds;
    options.fd_count = count + 2;
    text_add(&text, "%s-%u", pool->in.name, number);
    /* The caller may be the service thread, which blocks all signals. */
    const struct task_way way = {
        .kind = WEFT_PROCESS, .of = &process_kind, .mask = &pool->mask};
    const weft_task task = {.fn = serve,
                            .name = name,
                            .arg = pool->terms,
                            .arg_size = pool->terms_size,
                            .daemon = true,
                            .worker = &options};
    const int status = task_check(WEFT_PROCESS, &task, false);

    return status == 0 ? task_launch(&seat->worker, &way, &task) : status;
}

static void
begin_life(struct seat *seat)
{
    seat->head = seat->tail = seat->unsent = 0;
    seat->given = 0;
    seat->pid = 0;
    seat->slot = 0;
    seat->base = 0;
    seat->stage = STAGE_NONE;
    seat->large = seat->answered = seat->collecting = false;
    seat->unprepared = seat->pool->terms->prepares;
    memset(seat->functions, 0, sizeof seat->functions);
    memset(seat->jobs, 0, sizeof seat->jobs);
    unmap(seat); /* of the one before */
}

/* Under the lock: it is there, unless its end has come already. */
static void
settle(struct seat *seat, struct list *ended)
{
    struct process_pool *pool = seat->pool;

    if (seat->state == SEAT_STARTING) {
        if (pool->size < pool->live)
            pool->size = pool->live;
        seat_rest(seat);
        offer_all(pool, ended);
    }
    seat_left(seat, ended);
}

/* Without the lock; the seat is the caller's. */
static int
make(struct seat *seat, unsigned number)
{
    struct process_pool *pool = seat->pool;
    int status;

    begin_life(seat);
    status = open_channel(seat);
    if (status == 0)
        status = start(seat, number);
    if (status < 0)
        return status;
    job_see(seat->worker); /* the tasks say how it went */
    seat->pid = atomic_load(&seat->worker->tid);
    if (pool->recycle)
        seat->statm = os_memory_open(seat->pid);
    seat->at_end = (struct on_end){.fn = worker_ended, .context = seat};
    if (!on_end_add(seat->worker, &seat->at_end))
        worker_ended(seat->worker, seat);
    return 0;
}

/* Under the lock: it could not be made. */
static void
undo(struct seat *seat)
{
    close_channel(seat);
    seat->busy--;
    seat->state = SEAT_VACANT;
    seat->pool->live--;
    seat->pool->alive--;
    certificates_forget(seat);
    intake_tell_gone(&seat->pool->in);
}

static int
add_worker(struct process_pool *pool, struct seat *seat)
{
    struct list ended;

    list_init(&ended);
    seat->state = SEAT_STARTING;
    seat->busy++;
    pool->live++;
    pool->alive++;
    const unsigned number = pool->names++;

    lock_give(&pool->in.lock);
    const int status = make(seat, number);

    lock_take(&pool->in.lock);
    if (status < 0)
        undo(seat);
    else
        settle(seat, &ended);
    lock_give(&pool->in.lock);
    collect_end(pool, &ended);
    lock_take(&pool->in.lock);
    return status;
}

/* The program is ending: what waits will find no worker any more. */
static int
give_up(struct process_pool *pool)
{
    struct list ended;

    list_init(&ended);
    lock_take(&pool->in.lock);
    pool_refuse(pool, "no worker can be made", "the program is ending", &ended);
    lock_give(&pool->in.lock);
    collect_end(pool, &ended);
    return why_set(WEFT_ECLOSED, "the program is ending");
}

int
seats_need(struct process_pool *pool)
{
    int status = 0;

    if (runtime_is_closed())
        return give_up(pool);
    lock_take(&pool->in.lock);
    while (status == 0 && seats_lack(pool)) {
        struct seat *seat = vacant(pool);

        status = seat ? add_worker(pool, seat)
                      : why_because(WEFT_ENOMEM, "cannot make a worker");
    }
    if (status < 0 && !list_empty(&pool->ready))
        seats_look_again(pool, os_now() + RETRY);
    if (status < 0 && pool->live > 0)
        status = 0; /* others do the work meanwhile */
    lock_give(&pool->in.lock);
    return status;
}

/* --- the end */

/* Those who sleep there have nothing to wait for. */
static void
send_away(const struct seat *seat)
{
    _Atomic uint32_t *done = &seat_door(seat)->done;

    atomic_fetch_add(done, 1);
    if (atomic_load(&seat_desk(seat)->sleepers) > 0)
        os_futex_wake(done, INT_MAX, true);
}

void
seat_vacate(struct seat *seat)
{
    struct process_pool *pool = seat->pool;

    send_away(seat);
    close_channel(seat);
    weft_release(seat->worker);
    seat->worker = NULL;
    seat->tail = seat->head; /* its jobs are elsewhere */
    seat->state = SEAT_VACANT;
    pool->alive--;
    certificates_forget(seat);
    intake_tell_gone(&pool->in);
}

void
seats_free(struct process_pool *pool)
{
    for (unsigned i = 0; i < pool->seat_count; i++) {
        unmap(pool->seats[i]);
        free(pool->seats[i]);
    }
}
