#include "worker/serial.h"

#include "base/why.h"
#include "os/os.h"
#include "worker/after.h"
#include "worker/at_end.h"
#include "worker/options.h"

#include <weft/status.h>

/* The caller becomes the job's worker for a while: a stop of either ends its
 * waits. */
static void
run(weft_job *job, struct self *self)
{
    const int64_t cpu = os_cpu_of_thread();
    struct stop stop = {
        .asked = &job->stop.asked, .cell = &job->stop, .outer = self->stop};
    struct at_end *at_end = self->at_end;
    const unsigned shield = self->shield;

    job->outer = self->job;
    self->job = job;
    self->stop = &stop;
    self->at_end = NULL;
    atomic_store(&job->tid, self->record.tid);
    atomic_store(&job->slot, self->record.id);
    const bool may = after_wait(job);

    if (may && job->delay > 0)
        (void)weft_sleep(weft_in(job->delay));
    if (may && !job_is_canceled(job)) {
        if (job->late)
            record_ready(&job->recorded);
        job_begun(job, os_now());
        record_begin(&job->recorded, RECORD_SERIAL, job->name);
        const int code = job->fn(&job->call.call);

        at_end_run(self);
        record_end(&job->recorded, code != 0);
        job_returned(job, code);
        job->outcome.wall = os_now() - job->begun;
        job->outcome.cpu = os_cpu_of_thread() - cpu;
        record_on_cpu(&job->recorded, job->outcome.cpu, job->outcome.wall);
    }
    self->shield = shield;
    self->at_end = at_end;
    self->stop = stop.outer;
    self->job = job->outer;
    job->outer = NULL;
}

static int
serial_begin(weft_job *job)
{
    run(job, self_get());
    job_end(job);
    return 0;
}

const struct job_kind serial_kind = {.begin = serial_begin};

int
serial_check(const weft_task *task)
{
    const weft_worker_options *options = task->worker;

    if (task->after && job_is_mine(task->after))
        return why_set(WEFT_EDEADLK,
                       "'%s' would wait for its own end: a serial job after it "
                       "runs inside it",
                       task->after->name);
    if (options && (options->stack_size || options->cpus || options->fresh ||
                    options_for_processes(options)))
        return why_set(WEFT_ENOTSUP,
                       "task.worker is not for serial jobs: they run in the "
                       "caller");
    return 0;
}
