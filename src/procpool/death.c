/* A worker is dead: what it had begun has died with it, and nothing else. */
#include "base/why.h"
#include "os/os.h"
#include "procpool/procpool.h"
#include "worker/outcome.h"

#include <weft/status.h>

#include <stdlib.h>
#include <string.h>

enum {
    PATIENCE = 10,             /* early deaths in a row, besides 2 a worker */
    PAUSE = 10 * (int)WEFT_MS, /* ns, after the second; doubles */
    DOUBLINGS = 6,
    SUSPECT = 10 /* deaths before its beginning, at which nobody believes that
                    they have nothing to do with a task */
};

/* --- tasks */

/* Those that wait, in a pool that refuses tasks. */
static void
refuse_waiting(struct process_pool *pool, struct list *ended)
{
    struct list *at;

    while ((at = list_pop(&pool->ready))) {
        weft_job *job = list_entry(at, weft_job, in_pool);

        intake_leave(&pool->in);
        atomic_store(&job->phase, JOB_BEGUN);
        job_returned(job, WEFT_EFAILED);
        outcome_keep_message(&job->call, pool->in.refusal);
        collect_one(pool, job, ended);
    }
}

void
pool_refuse(struct process_pool *pool, const char *what, const char *why,
            struct list *ended)
{
    intake_refuse(&pool->in, what, why);
    refuse_waiting(pool, ended);
}

/* The one that it had begun: whatever its claim says now, if it does not say
 * that it was only offered. */
static weft_job *
begun_by(const struct seat *seat)
{
    const uint32_t number = seat->tail + 1;
    const unsigned place = channel_place(number);

    if (seat->tail == seat->head || seat->unsent == number ||
        atomic_load(&seat_door(seat)->claims[place]) ==
            channel_claim(number, CHANNEL_OFFERED))
        return NULL;
    return seat->jobs[place];
}

/* The one before whose beginning worker after worker has died: a task that
 * gives its claim back before it crashes looks like that. */
static weft_job *
suspect(const struct seat *seat)
{
    const uint32_t number = seat->tail + 1;

    if (seat->tail == seat->head || seat->unsent == number || seat->unprepared)
        return NULL;
    weft_job *next = seat->jobs[channel_place(number)];

    return next && ++next->bereaved >= SUSPECT ? next : NULL;
}

static void
put_back(struct process_pool *pool, weft_job *job)
{
    offer_unseat(job);
    intake_return(&pool->in);
    list_prepend(&pool->ready, &job->in_pool);
}

/* What it had only been offered goes back to where it came from. */
static void
put_others_back(struct seat *seat, const weft_job *victim)
{
    for (uint32_t number = seat->head; number != seat->tail; number--) {
        weft_job *job = seat->jobs[channel_place(number)];

        if (job && job != victim)
            put_back(seat->pool, job);
    }
}

/* A worker that could not even say that it cannot go on. */
static bool
had_closed_all(const struct seat *seat)
{
    return seat->worker->outcome.signal == 0 &&
           atomic_load(&seat_door(seat)->trouble) == CHANNEL_CLOSED;
}

static void
tell_how(const struct seat *seat, weft_job *victim)
{
    const weft_outcome *end = &seat->worker->outcome;
    weft_outcome *out = &victim->outcome;

    out->wall = os_now() - victim->begun;
    out->cpu = end->cpu < out->wall ? end->cpu : out->wall;
    victim->died_in = weft_retain(seat->worker);
    record_died(&victim->recorded, true);
    if (*end->output) {
        victim->output = strdup(end->output);
        out->output = victim->output ? victim->output : "";
    }
    if (had_closed_all(seat)) {
        job_returned(victim, WEFT_EFAILED);
        outcome_keep_message(&victim->call,
                             "it has closed its worker's descriptors, over "
                             "which its end was to be told");
        return;
    }
    out->status = WEFT_EDIED;
    out->signal = end->signal;
    out->exit_code = end->signal ? -1 : end->exit_code;
    if (!end->signal && end->status != WEFT_EDIED)
        out->exit_code = end->code != 0;
    out->core_dumped = end->core_dumped;
    out->out_of_memory = end->out_of_memory;
    victim->killed_for_it =
        seat->stage >= STAGE_TERMINATED || seat->worker->killed_for_it;
}

static void
end_victim(struct seat *seat, weft_job *victim, struct list *ended)
{
    struct process_pool *pool = seat->pool;

    if (victim->retries > 0 && atomic_load(&victim->stop.asked) == 0) {
        victim->retries--;
        victim->outcome.attempts++;
        put_back(pool, victim);
        return;
    }
    tell_how(seat, victim);
    collect_one(pool, victim, ended);
}

/* --- the worker */

/* One that dies before it has done anything is not replaced for ever. */
static void
note_early_death(struct seat *seat, struct list *ended)
{
    struct process_pool *pool = seat->pool;
    const unsigned most = PATIENCE + 2 * atomic_load(&pool->face.workers);
    const unsigned count = ++pool->early_deaths;

    if (count > 1) {
        pool->again =
            os_now() +
            ((int64_t)PAUSE << (count - 2 < DOUBLINGS ? count - 2 : DOUBLINGS));
        seats_look_again(pool, pool->again);
    }
    if (count >= most)
        pool_refuse(pool, "its workers end before their first task",
                    weft_outcome_of(seat->worker)->text, ended);
}

void
seat_bury(struct seat *seat, struct list *ended)
{
    const bool left = atomic_load(&seat->worker->stop.asked) != 0;

    collect_last(seat, ended);
    weft_job *victim = begun_by(seat);
    const bool early = !seat->answered && !victim && !left;

    if (!victim && !left)
        victim = suspect(seat);
    put_others_back(seat, victim);
    if (early)
        note_early_death(seat, ended);
    if (victim)
        end_victim(seat, victim, ended);
    if (atomic_load(&seat->pool->in.refuses) < 0)
        refuse_waiting(seat->pool, ended);
    seat_vacate(seat);
}
