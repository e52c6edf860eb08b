#include "worker/outcome.h"

#include <weft/status.h>

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

const char *
outcome_signal_name(int number, char space[32])
{
    const char *name = sigabbrev_np(number);

    if (name)
        snprintf(space, 32, "SIG%s", name);
    else
        snprintf(space, 32, "signal %d", number);
    return space;
}

const char *
outcome_kind_word(weft_kind kind)
{
    return kind == WEFT_THREAD    ? "thread"
           : kind == WEFT_PROCESS ? "process"
           : kind == WEFT_PROMISE ? "promise"
                                  : "serial job";
}

void
outcome_keep_message(struct job_call *call, const char *message)
{
    if (!call->message)
        call->message = call->space ? call->space : malloc(TEXT_MESSAGE);
    if (!call->message)
        return; /* the code still says that it failed */
    struct text text = text_over(call->message, TEXT_MESSAGE);

    text_add(&text, "%s", message);
    text_clean(call->message);
}

/* "process Crash (pid 831)", "task decode in process decoder-1 (pid 831)" */
static void
add_worker(struct text *text, const weft_job *job)
{
    if (job->died_in) {
        text_add(text, "task %s in process %s (pid %d)", job->name,
                 job->died_in->name, job->outcome.pid);
        return;
    }
    text_add(text, "%s %s", outcome_kind_word(job->kind), job->name);
    if (job->kind == WEFT_PROCESS && job->outcome.pid)
        text_add(text, " (pid %d)", job->outcome.pid);
}

static void
add_death(struct text *text, const weft_job *job)
{
    const weft_outcome *outcome = &job->outcome;
    char space[32];

    if (outcome->signal)
        text_add(text, "%s died of %s%s",
                 outcome->out_of_memory ? " ran out of memory and" : "",
                 outcome_signal_name(outcome->signal, space),
                 outcome->core_dumped ? " (core dumped)" : "");
    else if (outcome->exit_code < 0)
        text_add(text, " ended, and somebody else took its exit status");
    else
        text_add(text, " called exit(%d)", outcome->exit_code);
    if (*outcome->where)
        text_add(text, " at %s", outcome->where);
    else if (outcome->signal == SIGKILL && !outcome->out_of_memory &&
             !job->was_killed)
        text_add(text, ", sender unknown");
}

static void
add_failure(struct text *text, const weft_outcome *outcome)
{
    if (*outcome->message)
        text_add(text, " failed: %s", outcome->message);
    else
        text_add(text, " failed with code %d", outcome->code);
}

/* A message without a beginning says why there was none. */
static void
add_stop(struct text *text, const weft_job *job)
{
    const char *message = job->outcome.message;

    if (!*message || atomic_load(&job->phase) != JOB_CANCELED)
        text_add(text, " was stopped");
    else
        text_add(text, " %s: %s",
                 job->kind == WEFT_PROMISE ? "was never kept" : "never began",
                 message);
}

static void
write_text(const weft_job *job, char *out, size_t size)
{
    const weft_outcome *outcome = &job->outcome;
    struct text text = text_over(out, size);

    add_worker(&text, job);
    if (job->kind == WEFT_PROMISE && outcome->status < 0 &&
        outcome->status != WEFT_ECANCELED) {
        text_add(&text, " failed: %s", weft_status_text(outcome->status));
        return;
    }
    switch (outcome->status) {
    case WEFT_OK:
        text_add(&text, " ended");
        break;
    case WEFT_EDIED:
        add_death(&text, job);
        break;
    case WEFT_ETIMEDOUT:
        text_add(&text, " exceeded its timeout");
        break;
    case WEFT_ECANCELED:
        add_stop(&text, job);
        break;
    default:
        add_failure(&text, outcome);
    }
}

const weft_outcome *
weft_outcome_of(weft_job *job)
{
    enum {
        SIZE = TEXT_MESSAGE + 2 * TEXT_NAME + 64
    };

    if (!job || !job_has_ended(job))
        return NULL;
    job_see(job);
    lock_take(&job->lock);
    if (!job->text) {
        char space[SIZE];

        if (job->of->explain)
            job->of->explain(job);
        write_text(job, space, sizeof space);
        job->text = strdup(space);
        job->outcome.text =
            job->text ? job->text : weft_status_text(job->outcome.status);
    }
    lock_give(&job->lock);
    return &job->outcome;
}
