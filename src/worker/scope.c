/* A job is in one of two lists, `running` or `ended`, each of which holds a
 * reference. `change` counts ends: whoever waits for the scope waits for it to
 * change. `ending` counts the threads that are inside scope_ended, so that
 * close does not free what the last of them still touches.
 *
 * A stop may come from a signal handler that has interrupted a holder of the
 * lock. So it only says `ask`, and asks itself if it gets the lock at once;
 * else the holder finds `ask` after giving the lock back. Both sequentially
 * consistent: one of them sees the other. */
#include "worker/scope.h"

#include "base/why.h"
#include "os/os.h"
#include "worker/place.h"
#include "worker/runtime.h"

#include <weft/status.h>

#include <limits.h>
#include <stdlib.h>

struct weft_scope {
    struct lock lock;
    struct list running; /* under lock */
    struct list ended;   /* under lock, in order of ending */
    size_t count;        /* of running; under lock */
    weft_job *given;     /* by the last weft_scope_next; its caller's */
    weft_job *first;     /* that ended badly, a reference; under lock */
    struct wait_word change;
    _Atomic unsigned ending; /* scope_ended calls that still touch it */
    atomic_bool stopping;
    atomic_bool ask; /* the running ones have yet to be asked to stop */
    bool keep_going;
    bool labelled;
    atomic_bool late;  /* it has had jobs that come late to a pool */
    atomic_bool spins; /* it has had jobs whose end a waiter can bring about */
};

static void
unlock(weft_scope *scope)
{
    lock_give(&scope->lock);
    while (atomic_load(&scope->ask) && lock_try(&scope->lock)) {
        atomic_store(&scope->ask, false);
        list_foreach (at, &scope->running)
            job_ask(list_entry(at, weft_job, in_scope), JOB_STOP_ASKED);
        lock_give(&scope->lock);
    }
}

int
weft_scope_open(weft_scope **out, const weft_scope_options *options)
{
    static const weft_scope_options defaults;
    const weft_scope_options *how = options ? options : &defaults;

    if (!out)
        return why_set(WEFT_EINVAL, "weft_scope_open: out is NULL");
    for (size_t i = 0; i < sizeof how->reserved / sizeof *how->reserved; i++)
        if (how->reserved[i])
            return why_set(WEFT_EINVAL, "scope options hold a field that this "
                                        "version of weft does not know");
    const char *fault = how->name ? text_name_fault(how->name) : NULL;

    if (fault)
        return why_set(WEFT_EINVAL, "scope options: %s", fault);
    weft_scope *scope = calloc(1, sizeof *scope);

    if (!scope)
        return why_because(WEFT_ENOMEM, "weft_scope_open");
    list_init(&scope->running);
    list_init(&scope->ended);
    scope->keep_going = how->keep_going;
    scope->labelled = how->name != NULL;
    const int status = how->name ? weft_label(scope, how->name) : 0;

    if (status < 0) {
        free(scope);
        return status;
    }
    *out = scope;
    return 0;
}

int
scope_add(weft_scope *scope, weft_job *job)
{
    int status = 0;

    lock_take(&scope->lock);
    if (atomic_load(&scope->stopping)) {
        status = WEFT_ECANCELED;
    } else {
        list_append(&scope->running, &weft_retain(job)->in_scope);
        scope->count++;
        if (job->of->spin)
            atomic_store(&scope->spins, true);
        if (place_is_late(job))
            atomic_store(&scope->late, true);
    }
    unlock(scope);
    return status < 0
               ? why_set(status, "the scope of '%s' is stopping", job->name)
               : 0;
}

/* Tells the waiters, then the lock goes: nothing of the scope is touched after
 * that, but what `ending` guards. */
static void
changed(weft_scope *scope)
{
    wait_post(&scope->change, atomic_load(&scope->change.value) + 1, INT_MAX);
}

void
scope_take_back(weft_scope *scope, weft_job *job)
{
    lock_take(&scope->lock);
    list_remove(&job->in_scope);
    scope->count--;
    changed(scope);
    unlock(scope);
    weft_release(job);
}

/* What was only stopped is not what went wrong first. */
static void
note_failure(weft_scope *scope, weft_job *job)
{
    weft_job *first = scope->first;

    if (first && (first->outcome.status != WEFT_ECANCELED ||
                  job->outcome.status == WEFT_ECANCELED))
        return;
    scope->first = weft_retain(job);
    weft_release(first);
}

void
scope_ended(weft_scope *scope, weft_job *job)
{
    atomic_fetch_add(&scope->ending, 1);
    lock_take(&scope->lock);
    list_remove(&job->in_scope);
    list_append(&scope->ended, &job->in_scope);
    scope->count--;
    if (job->outcome.status < 0) {
        note_failure(scope, job);
        if (!scope->keep_going) {
            atomic_store(&scope->stopping, true);
            atomic_store(&scope->ask, true);
        }
    }
    changed(scope);
    unlock(scope);
    atomic_fetch_sub(&scope->ending, 1);
}

/* The next job after `last`, with a reference, that the caller, a worker, may
 * be able to run. NULL: there is none, or a job has ended since `seen`, and
 * `last` may be one that is no longer in the list. */
static weft_job *
find_waiting(weft_scope *scope, const weft_job *last, uint32_t seen)
{
    weft_job *found = NULL;

    lock_take(&scope->lock);
    const struct list *at = last ? &last->in_scope : &scope->running;

    if (atomic_load(&scope->change.value) == seen)
        while (!found && (at = at->next) != &scope->running) {
            weft_job *job = list_entry(at, weft_job, in_scope);

            if (job->of->help && !job->blocking && job_only_waits(job))
                found = job_keep(job);
        }
    unlock(scope);
    return found;
}

/* Runs one of the jobs, or something that one of them waits for. */
static bool
help(weft_scope *scope, uint32_t seen)
{
    weft_job *job = self_get()->deck ? find_waiting(scope, NULL, seen) : NULL;
    bool helped = false;

    while (job && !(helped = job->of->help(job))) {
        weft_job *next = find_waiting(scope, job, seen);

        job_drop(job);
        job = next;
    }
    if (job)
        job_drop(job);
    return helped;
}

/* The first job, with a reference, whose end a waiter can bring about. */
static weft_job *
find_spinning(weft_scope *scope)
{
    weft_job *found = NULL;

    lock_take(&scope->lock);
    list_foreach (at, &scope->running) {
        weft_job *job = list_entry(at, weft_job, in_scope);

        if (job->of->spin) {
            found = job_keep(job);
            break;
        }
    }
    unlock(scope);
    return found;
}

static int
spin(weft_scope *scope, uint32_t seen, const struct wait_terms *terms)
{
    weft_job *job = atomic_load(&scope->spins) ? find_spinning(scope) : NULL;

    if (!job)
        return 0;
    const int status = job->of->spin(job, &scope->change.value, seen, terms);

    job_drop(job);
    return status;
}

static int
wait_for_change(weft_scope *scope, uint32_t seen, int64_t until, bool stubborn)
{
    const struct wait_terms terms = {.until = until,
                                     .stubborn = stubborn,
                                     .kind = SLOT_WAIT_SCOPE,
                                     .object = scope};

    if (until > os_now() && help(scope, seen))
        return 0;
    int status = spin(scope, seen, &terms);

    if (status < 0 || atomic_load(&scope->change.value) != seen || until <= 0)
        return status < 0 ? status : wait_while(&scope->change, seen, &terms);
    const bool left = place_leave(atomic_load(&scope->late));

    status = wait_while(&scope->change, seen, &terms);
    if (left)
        place_take();
    return status;
}

static void
give_back(weft_scope *scope)
{
    weft_release(scope->given);
    scope->given = NULL;
}

/* A job comes into the list of ended ones a moment before its end is seen. */
static void
settle(weft_job *job)
{
    (void)job_wait(job, OS_NEVER, true);
}

/* The next ended job; NULL: none yet. *left: jobs that still run. */
static weft_job *
take_ended(weft_scope *scope, size_t *left, uint32_t *seen)
{
    lock_take(&scope->lock);
    struct list *at = list_pop(&scope->ended);

    *left = scope->count;
    *seen = atomic_load(&scope->change.value);
    unlock(scope);
    return at ? list_entry(at, weft_job, in_scope) : NULL;
}

int
weft_scope_next(weft_scope *scope, weft_job **out, weft_time deadline)
{
    size_t left;
    uint32_t seen;

    if (!scope || !out)
        return why_set(WEFT_EINVAL, "weft_scope_next: %s is NULL",
                       scope ? "out" : "scope");
    give_back(scope);
    for (;;) {
        scope->given = take_ended(scope, &left, &seen);
        if (scope->given) {
            settle(scope->given);
            record_join(&scope->given->recorded);
            job_see(scope->given);
            *out = scope->given;
            return 0;
        }
        if (left == 0)
            return why_set(WEFT_ENODATA,
                           "every job of the scope was given out");
        const int status = wait_for_change(scope, seen, deadline.ns, false);

        if (status < 0)
            return why_set(status,
                           status == WEFT_ETIMEDOUT
                               ? "no job of the scope ended by the deadline"
                               : "asked to stop while waiting for a scope");
    }
}

int
weft_scope_stop(weft_scope *scope)
{
    if (!scope)
        return WEFT_EINVAL;
    atomic_store(&scope->stopping, true);
    atomic_store(&scope->ask, true);
    if (lock_try(&scope->lock))
        unlock(scope);
    return 0;
}

/* Waits for all; 0, or what the deadline or a stop of the caller made of it. */
static int
wait_for_all(weft_scope *scope, int64_t until)
{
    int result = 0;

    for (;;) {
        lock_take(&scope->lock);
        const uint32_t seen = atomic_load(&scope->change.value);
        const size_t left = scope->count;

        unlock(scope);
        if (left == 0)
            return result;
        const int status = result < 0
                               ? wait_for_change(scope, seen, OS_NEVER, true)
                               : wait_for_change(scope, seen, until, false);

        if (status < 0) {
            result = status;
            weft_scope_stop(scope);
        }
    }
}

static bool
runs_inside(const weft_scope *scope)
{
    for (const weft_job *at = self_get()->job; at; at = at->outer)
        if (at->scope == scope)
            return true;
    return false;
}

/* How the whole ended, with the sentence of what ended it. */
static int
verdict(weft_scope *scope, int waited)
{
    weft_job *first = scope->first;

    if (waited < 0 && (!first || first->outcome.status == WEFT_ECANCELED))
        return why_set(waited, waited == WEFT_ETIMEDOUT
                                   ? "the deadline stopped jobs of the scope"
                                   : "asked to stop while closing a scope");
    return first ? why_set(WEFT_EFAILED, "%s", weft_outcome_of(first)->text)
                 : 0;
}

static void
scope_free(weft_scope *scope)
{
    struct list *at;

    while (atomic_load(&scope->ending) > 0)
        os_pause();
    while ((at = list_pop(&scope->ended))) {
        weft_job *job = list_entry(at, weft_job, in_scope);

        job_see(job);
        weft_release(job);
    }
    give_back(scope);
    weft_release(scope->first);
    if (scope->labelled)
        (void)weft_label(scope, NULL);
    free(scope);
}

int
weft_scope_close(weft_scope *scope, weft_time deadline)
{
    if (!scope)
        return 0;
    if (runs_inside(scope))
        return why_set(WEFT_EDEADLK, "a job would wait for its own scope");
    const int waited = wait_for_all(scope, deadline.ns);

    list_foreach (at, &scope->ended) {
        settle(list_entry(at, weft_job, in_scope));
        record_join(&list_entry(at, weft_job, in_scope)->recorded);
    }
    const int status = verdict(scope, waited);

    scope_free(scope);
    return status;
}
