/* What comes out of a channel. Whoever is asked for more than the answer's
 * inline bytes takes them without the lock; meanwhile nobody else collects from
 * that worker. */
#include "base/why.h"
#include "os/os.h"
#include "procpool/certificates.h"
#include "procpool/procpool.h"
#include "worker/outcome.h"
#include "worker/process.h"

#include <weft/status.h>

#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    SMOOTH = 8 /* tasks that the pace is an average of */
};

void
collect_one(struct process_pool *pool, weft_job *job, struct list *ended)
{
    intake_account(&pool->in, job);
    lock_take(&job->lock);
    job->seat = NULL;
    lock_give(&job->lock);
    list_append(ended, &job->in_pool);
}

void
collect_canceled(struct process_pool *pool, weft_job *job, struct list *ended)
{
    atomic_store(&job->phase, JOB_CANCELED);
    job->outcome.status = WEFT_ECANCELED;
    collect_one(pool, job, ended);
}

void
collect_end(struct process_pool *pool, struct list *ended)
{
    struct list *at;

    while ((at = list_pop(ended))) {
        job_end(list_entry(at, weft_job, in_pool));
        intake_ended(&pool->in);
    }
}

/* --- one answer, which is not to be trusted */

static void
fail(weft_job *job, int code, const char *message)
{
    job_returned(job, code ? code : WEFT_EFAILED);
    outcome_keep_message(&job->call, message);
}

static void
copy_message(const struct channel_answer *answer, char out[TEXT_MESSAGE])
{
    size_t size = answer->message_size;

    if (size > TEXT_MESSAGE - 1)
        size = TEXT_MESSAGE - 1;
    memcpy(out, answer->bytes, size);
    out[size] = '\0';
}

static void
take_message(weft_job *job, const struct channel_answer *answer)
{
    char message[TEXT_MESSAGE];

    copy_message(answer, message);
    if (*message)
        outcome_keep_message(&job->call, message);
}

/* Memory for it: the job's own, or as much as is needed. */
static char *
room_for(weft_job *job, size_t size)
{
    if (size > job->call.room) {
        job->call.owned = os_memory_is_left(size) ? malloc(size) : NULL;
        return job->call.owned;
    }
    return job->result;
}

static void
take_result(const struct seat *seat, weft_job *job, size_t size,
            const char *bytes)
{
    char *to = size <= seat->room ? room_for(job, size) : NULL;

    if (!to)
        fail(job, WEFT_ENOMEM, "there is no memory for its result");
    else if (bytes)
        memcpy(to, bytes, size);
    else if (os_file_get(seat->file, channel_result_at(seat->room), to, size) <
             0)
        fail(job, WEFT_EFAILED, "its result could not be read");
    job->call.call.result_size = size;
}

/* A large result's place is free again, and its memory given back. */
static void
fetched(struct seat *seat, size_t size)
{
    _Atomic uint32_t *word = &seat_desk(seat)->fetched;

    if (size > CHANNEL_WINDOW && size <= seat->room)
        (void)os_file_punch(seat->file, channel_result_at(seat->room), size);
    atomic_fetch_add(word, 1);
    os_futex_wake(word, 1, true);
}

static void
take_large(struct seat *seat, weft_job *job, size_t size)
{
    struct process_pool *pool = seat->pool;

    seat->collecting = true;
    lock_give(&pool->in.lock);
    take_result(seat, job, size, NULL);
    fetched(seat, size);
    lock_take(&pool->in.lock);
    seat->collecting = false;
}

static void
note_pace(struct process_pool *pool, int64_t wall)
{
    if (wall < 0 || wall > WEFT_SECOND)
        wall = WEFT_SECOND;
    pool->pace += (wall + 1 - pool->pace) / SMOOTH + (pool->pace == 0);
    if (pool->pace < 1 || wall > SMOOTH * pool->pace)
        pool->pace = wall + 1;
}

static void
take_times(weft_job *job, const struct channel_answer *answer)
{
    const int64_t most = os_now() - job->begun;
    int64_t wall = answer->wall, cpu = answer->cpu;

    if (wall < 0 || wall > most)
        wall = most;
    job->outcome.wall = wall;
    job->outcome.cpu = cpu < 0 || cpu > wall ? wall : cpu;
}

/* The answer to the task of this number. */
static void
take(struct seat *seat, weft_job *job, const struct channel_answer *answer)
{
    const size_t size = answer->result_size;

    take_times(job, answer);
    job->call.call.result_size = 0;
    if (answer->end == CHANNEL_NEVER_BEGAN) {
        atomic_store(&job->tid, 0); /* no worker was its own */
        job->outcome.pid = 0;
        atomic_store(&job->phase, JOB_CANCELED);
        job->outcome.status = WEFT_ECANCELED;
        return;
    }
    note_pace(seat->pool, job->outcome.wall);
    take_message(job, answer);
    job_returned(job, answer->end == CHANNEL_LOST && answer->code == 0
                          ? WEFT_EFAILED
                          : answer->code);
    if (answer->message_size > 0 || answer->code != 0)
        return;
    if (size <= CHANNEL_BYTES)
        take_result(seat, job, size, answer->bytes);
    else
        take_large(seat, job, size);
}

/* What it has printed since the last answer. */
static void
take_output(const struct seat *seat, weft_job *job)
{
    if (seat->pool->options.options.capture)
        job->output = process_take_output(seat->worker);
    if (job->output)
        job->outcome.output = job->output;
}

/* A copy of the answer to this task, as much of it as is used. False: it is not
 * there. */
static bool
copy_answer(const struct channel_answer *from, uint32_t number,
            struct channel_answer *to)
{
    const size_t head = offsetof(struct channel_answer, bytes);

    if (atomic_load_explicit(&from->number, memory_order_acquire) != number)
        return false;
    memcpy((void *)to, from, head);
    memcpy(to->bytes, from->bytes, channel_used(to) - head);
    return to->seal == channel_seal(to, number);
}

/* --- all that are there */

static void
take_prepared(struct seat *seat, struct list *ended)
{
    struct channel_answer answer;
    char message[TEXT_MESSAGE];

    if (!copy_answer(seat_answer(seat, CHANNEL_PREPARED), 1, &answer))
        return;
    seat->unprepared = false;
    if (answer.code == 0)
        return;
    copy_message(&answer, message);
    text_clean(message);
    if (*message == '\0')
        snprintf(message, sizeof message, "code %d", answer.code);
    pool_refuse(seat->pool, "the preparation of a worker failed", message,
                ended);
}

static void
skip_retracted(struct seat *seat)
{
    while (seat->tail != seat->head &&
           !seat->jobs[channel_place(seat->tail + 1)])
        atomic_store(&seat_desk(seat)->collected, ++seat->tail);
}

static void
advance(struct seat *seat, weft_job *job)
{
    const uint32_t number = seat->tail + 1;

    seat->jobs[channel_place(number)] = NULL;
    seat->tail = number;
    atomic_store(&seat_desk(seat)->collected, number);
    if (seat->stage == STAGE_ASKED)
        seat->stage = STAGE_NONE; /* it was this one's */
    seat->since = os_now();
    if (!seat->answered)
        certificates_watch(seat);
    seat->answered = true;
    seat->pool->early_deaths = 0;
    offer_forget_argument(seat, job);
}

/* Whether the worker may have begun a task after this one. The first that was
 * not taken back tells: those after it come later. */
static bool
may_have_gone_on(const struct seat *seat, uint32_t number)
{
    do {
        if (number++ == seat->head || seat->unsent == number)
            return false;
    } while (!seat->jobs[channel_place(number)]);
    _Atomic uint32_t *claim = &seat_door(seat)->claims[channel_place(number)];

    /* A change that changes nothing, for its release: it comes after the copy
     * of the answer. */
    return atomic_fetch_or(claim, 0) != channel_claim(number, CHANNEL_OFFERED);
}

/* A copy of the next answer; its job, or NULL: it is not there. */
static weft_job *
next_answered(const struct seat *seat, struct channel_answer *copy)
{
    const uint32_t number = seat->tail + 1;
    const unsigned place = channel_place(number);

    if (seat->tail == seat->head || seat->unsent == number)
        return NULL;
    if (copy_answer(seat_fresh(seat, place), number, copy) &&
        !may_have_gone_on(seat, number))
        return seat->jobs[place];
    return copy_answer(seat_answer(seat, place), number, copy)
               ? seat->jobs[place]
               : NULL;
}

/* A stop could do no more for one that was begun behind another. */
static void
stop_first(const struct seat *seat)
{
    weft_job *job = seat->tail == seat->head
                        ? NULL
                        : seat->jobs[channel_place(seat->tail + 1)];

    if (job && atomic_load(&job->stop.asked) != 0)
        service_attend(job);
}

static void
take_all(struct seat *seat, struct list *ended)
{
    struct channel_answer answer;
    const uint32_t before = seat->tail;
    weft_job *job;

    if (seat->unprepared)
        take_prepared(seat, ended);
    skip_retracted(seat);
    while ((job = next_answered(seat, &answer))) {
        take(seat, job, &answer);
        take_output(seat, job);
        advance(seat, job);
        collect_one(seat->pool, job, ended);
        skip_retracted(seat);
    }
    if (seat->tail != before)
        stop_first(seat);
}

void
collect_answers(struct seat *seat, struct list *ended)
{
    if (seat->state < SEAT_IDLE || seat->collecting)
        return;
    seat->busy++;
    take_all(seat, ended);
    if (seat->tail == seat->head && seat->state == SEAT_BUSY)
        seat_rest(seat);
    seat_left(seat, ended);
}

void
collect_last(struct seat *seat, struct list *ended)
{
    seat->busy++;
    take_all(seat, ended);
    seat->busy--;
}

void
collect(struct seat *seat)
{
    struct process_pool *pool = seat->pool;
    struct list ended;

    list_init(&ended);
    lock_take(&pool->in.lock);
    collect_answers(seat, &ended);
    certificates_heed(seat);
    offer_all(pool, &ended);
    const bool lack = seats_lack(pool);

    lock_give(&pool->in.lock);
    collect_end(pool, &ended);
    if (lack)
        (void)seats_need(pool);
}
