/* What goes into a channel, and back out of it before it was begun. */
#include "os/os.h"
#include "procpool/procpool.h"
#include "worker/outcome.h"
#include "worker/process.h"

#include <weft/status.h>

#include <string.h>

enum {
    SHORT = 20000 /* ns that a task takes, for which a few are offered ahead */
};

/* --- who may be offered a task */

static uint32_t
offered(const struct seat *seat)
{
    return seat->head - seat->tail;
}

/* Tasks that a worker may have, the one that it runs included: as many as it
 * ends while its parent sleeps a moment. */
static uint32_t
depth(const struct process_pool *pool)
{
    if (pool->options.options.capture)
        return 1; /* what it prints belongs to one */
    return pool->pace == 0             ? 1
           : pool->pace <= INTAKE_TINY ? CHANNEL_TASKS - 1
           : pool->pace <= SHORT       ? 4
                                       : 1;
}

/* A function's place in the channel is taken over when nothing uses it. */
static bool
has_function(const struct seat *seat, uint32_t function)
{
    return seat->functions[function % CHANNEL_FUNCTIONS] == function ||
           seat->functions[function % CHANNEL_FUNCTIONS] == 0 ||
           offered(seat) == 0;
}

static bool
is_large(const weft_job *job)
{
    return job->call.call.arg_size > CHANNEL_INLINE;
}

/* It has had its present task for so long that this is not like the others, and
 * another worker would be free. */
static bool
is_late(const struct seat *seat, int64_t now)
{
    return !list_empty(&seat->pool->idle) && now - seat->since > INTAKE_WAKE;
}

static bool
may_follow(const struct seat *seat, const weft_job *job, uint32_t most)
{
    return seat->state == SEAT_BUSY && offered(seat) < most &&
           seat->stage == STAGE_NONE && !seat_is_used_up(seat) &&
           !(is_large(job) && seat->large) && job->timeout == 0 &&
           has_function(seat, job->function);
}

/* The one with the fewest tasks that may have one more; but none is put behind
 * another, which may take for ever, while there can be a worker of its own. */
static struct seat *
least_busy(const struct process_pool *pool, const weft_job *job, int64_t now)
{
    const uint32_t most = depth(pool);
    struct seat *best = NULL;

    if (most == 1 || pool->live < atomic_load(&pool->face.workers))
        return NULL;
    for (unsigned i = 0; i < pool->seat_count; i++) {
        struct seat *seat = pool->seats[i];

        if (may_follow(seat, job, most) && !is_late(seat, now) &&
            (!best || offered(seat) < offered(best)))
            best = seat;
    }
    return best;
}

/* What all that are busy will have done before a sleeping worker is awake need
 * not wake it. */
static bool
is_soon_over(const struct process_pool *pool, int64_t now)
{
    int64_t left = (int64_t)pool->in.waiting;
    bool busy = false;

    if (pool->pace == 0 || pool->pace > INTAKE_TINY)
        return false;
    for (unsigned i = 0; i < pool->seat_count; i++) {
        const struct seat *seat = pool->seats[i];

        if (seat->state == SEAT_BUSY && seat->stage == STAGE_NONE &&
            !is_late(seat, now)) {
            left += offered(seat);
            busy = true;
        }
    }
    return busy && left * pool->pace < INTAKE_WAKE;
}

/* The last that was busy; one that is still being prepared only if all are. */
static struct seat *
first_idle(struct process_pool *pool)
{
    for (struct list *at = pool->idle.previous; at != &pool->idle;
         at = at->previous) {
        struct seat *seat = list_entry(at, struct seat, link);

        if (!seat->unprepared)
            return seat;
    }
    return list_entry(pool->idle.previous, struct seat, link);
}

/* NULL: whoever collects next offers it. */
static struct seat *
choose(struct process_pool *pool, const weft_job *job)
{
    const int64_t now = os_now();

    if (list_empty(&pool->idle))
        return least_busy(pool, job, now);
    if (!is_soon_over(pool, now))
        return first_idle(pool);
    seats_look_again(pool, now + INTAKE_LOOK);
    return least_busy(pool, job, now);
}

/* --- the desk */

static void
teach(struct seat *seat, uint32_t number)
{
    struct channel_function *at =
        (struct channel_function *)(void *)(seat->map + CHANNEL_FUNCTIONS_AT) +
        number % CHANNEL_FUNCTIONS;
    uint32_t *known = &seat->functions[number % CHANNEL_FUNCTIONS];

    if (*known == number)
        return;
    at->ref = *functions_ref(&seat->pool->functions, number);
    at->number = number;
    *known = number;
}

static void
fill(struct channel_task *task, weft_job *job)
{
    const weft_call *call = &job->call.call;
    const size_t length =
        text_cut(job->name, strlen(job->name), CHANNEL_LABEL - 1);

    atomic_store(&task->stop, atomic_load(&job->stop.asked));
    task->function = job->function;
    task->attempt = (uint32_t)job->outcome.attempts;
    task->recorded = job->recorded;
    task->arg_at = call->arg_size ? 0 : (uintptr_t)call->arg;
    task->arg_size = call->arg_size;
    task->result_size = call->result_size;
    memcpy(task->label, job->name, length);
    task->label[length] = '\0';
    if (call->arg_size > 0 && !is_large(job))
        memcpy(task->arg, call->arg, call->arg_size);
}

/* The bytes of a large argument; without the lock. False: no memory. */
static bool
send(const struct seat *seat, const weft_job *job)
{
    const weft_call *call = &job->call.call;

    if (call->arg_size > CHANNEL_WINDOW)
        return call->arg_size <= seat->room &&
               os_file_put(seat->file, CHANNEL_ARGUMENT_AT, call->arg,
                           call->arg_size) == 0;
    memcpy(seat->map + CHANNEL_ARGUMENT_AT, call->arg, call->arg_size);
    return true;
}

static void
publish(struct seat *seat, uint32_t number, enum channel_claim claim)
{
    struct channel_door *door = seat_door(seat);
    const unsigned place = channel_place(number);

    atomic_store_explicit(&door->claims[place], channel_claim(number, claim),
                          memory_order_release);
    if (claim == CHANNEL_RETRACTED)
        atomic_store(&seat_desk(seat)->tasks[place].retracted, number);
    atomic_store_explicit(&seat_desk(seat)->tasks[place].number, number,
                          memory_order_release);
    atomic_fetch_add(&door->offers.value, 1);
    wait_wake(&door->offers, 1, true);
}

static void
take_seat(struct seat *seat, weft_job *job)
{
    const uint32_t number = ++seat->head;

    if (seat->state == SEAT_IDLE) {
        list_remove(&seat->link);
        seat->state = SEAT_BUSY;
        seat->since = os_now();
    }
    seat->jobs[channel_place(number)] = job;
    seat->given++;
    lock_take(&job->lock);
    job->number = number;
    job->seat = seat;
    lock_give(&job->lock);
    if (seat->slot == 0) /* it says so itself, when it runs */
        seat->slot = process_slots(seat->worker).process;
    atomic_store(&job->tid, seat->pid);
    atomic_store(&job->slot, seat->slot);
    job_begun(job, os_now());
}

/* Gives the lock back while a large argument is copied: the channel stays, but
 * the worker may die meanwhile. */
static bool
send_unlocked(struct seat *seat, weft_job *job, struct list *ended)
{
    struct process_pool *pool = seat->pool;

    seat->large = true;
    seat->unsent = seat->head;
    seat->busy++;
    lock_give(&pool->in.lock);
    const bool sent = send(seat, job);

    lock_take(&pool->in.lock);
    seat_left(seat, ended);
    return sent;
}

/* A number that stands for nothing, so that the worker goes on to the next. */
static void
leave_out(struct seat *seat, weft_job *job, struct list *ended)
{
    const uint32_t number = (uint32_t)job->number;

    publish(seat, number, CHANNEL_RETRACTED);
    seat->jobs[channel_place(number)] = NULL;
    offer_forget_argument(seat, job);
    outcome_keep_message(&job->call, "there is no memory for its argument");
    job_returned(job, WEFT_ENOMEM);
    collect_one(seat->pool, job, ended);
    collect_answers(seat, ended);
}

static void
offer(struct seat *seat, weft_job *job, struct list *ended)
{
    take_seat(seat, job);
    const uint32_t number = seat->head;
    struct channel_task *task = &seat_desk(seat)->tasks[channel_place(number)];
    bool sent = true;

    teach(seat, job->function);
    fill(task, job);
    job_keep(job);
    if (is_large(job))
        sent = send_unlocked(seat, job, ended);
    if (job->seat == seat) { /* else the worker has died meanwhile */
        seat->unsent = 0;
        if (sent)
            publish(seat, number, CHANNEL_OFFERED);
        else
            leave_out(seat, job, ended);
    }
    job_drop(job);
}

/* --- back */

void
offer_unseat(weft_job *job)
{
    if (job->timed)
        timer_cancel(&job->timer);
    lock_take(&job->lock);
    job->seat = NULL;
    lock_give(&job->lock);
    atomic_store(&job->tid, 0);
    job->outcome.pid = 0;
    atomic_store(&job->phase, JOB_READY);
}

/* Without the lock its argument is being copied, or its result, whatever the
 * task has written into its claim. */
static bool
is_in_transit(const struct seat *seat, uint32_t number)
{
    return seat->unsent == number ||
           (seat->collecting && number == seat->tail + 1);
}

void
offer_forget_argument(struct seat *seat, const weft_job *job)
{
    const size_t size = job->call.call.arg_size;

    if (is_large(job))
        seat->large = false;
    if (size > CHANNEL_WINDOW)
        (void)os_file_punch(seat->file, CHANNEL_ARGUMENT_AT + CHANNEL_WINDOW,
                            size - CHANNEL_WINDOW);
}

bool
offer_retract(struct seat *seat, weft_job *job)
{
    const uint32_t number = (uint32_t)job->number;
    uint32_t claim = channel_claim(number, CHANNEL_OFFERED);

    if (is_in_transit(seat, number) ||
        !atomic_compare_exchange_strong(
            &seat_door(seat)->claims[channel_place(number)], &claim,
            channel_claim(number, CHANNEL_RETRACTED)))
        return false;
    atomic_store(&seat_desk(seat)->tasks[channel_place(number)].retracted,
                 number);
    seat->jobs[channel_place(number)] = NULL;
    seat->given--;
    offer_forget_argument(seat, job);
    offer_unseat(job);
    return true;
}

void
offer_retract_all(struct seat *seat)
{
    struct process_pool *pool = seat->pool;

    for (uint32_t number = seat->head; number != seat->tail; number--) {
        weft_job *job = seat->jobs[channel_place(number)];

        if (!job || !offer_retract(seat, job))
            continue;
        intake_return(&pool->in);
        list_prepend(&pool->ready, &job->in_pool);
    }
}

/* The last that waits behind another, if the worker gives it back. */
static bool
give_back_last(struct seat *seat)
{
    struct process_pool *pool = seat->pool;

    for (uint32_t number = seat->head; number - seat->tail > 1; number--) {
        weft_job *job = seat->jobs[channel_place(number)];

        if (!job || !offer_retract(seat, job))
            continue;
        intake_return(&pool->in);
        list_append(&pool->ready, &job->in_pool);
        return true;
    }
    return false;
}

/* One that waits behind another for the idle worker. */
static bool
take_over(struct process_pool *pool)
{
    const int64_t now = os_now();

    for (unsigned i = 0; i < pool->seat_count; i++) {
        struct seat *from = pool->seats[i];

        if (from->state != SEAT_BUSY || offered(from) <= 1)
            continue;
        if (!is_late(from, now))
            seats_look_again(pool, now + INTAKE_LOOK);
        else if (give_back_last(from))
            return true;
    }
    return false;
}

/* Close has given up waiting: what has not begun never does. */
static void
cancel_all(struct process_pool *pool, struct list *ended)
{
    struct list *at;

    while ((at = list_pop(&pool->ready))) {
        intake_leave(&pool->in);
        collect_canceled(pool, list_entry(at, weft_job, in_pool), ended);
    }
}

void
offer_all(struct process_pool *pool, struct list *ended)
{
    if (pool->stopping)
        cancel_all(pool, ended);
    for (;;) {
        if (list_empty(&pool->ready) &&
            (list_empty(&pool->idle) || !take_over(pool)))
            return;
        weft_job *job = list_entry(pool->ready.next, weft_job, in_pool);
        struct seat *seat = choose(pool, job);

        if (!seat)
            return;
        list_remove(&job->in_pool);
        intake_leave(&pool->in);
        offer(seat, job, ended);
    }
}
