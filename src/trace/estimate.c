/* Times on a CPU where the system does not say when threads run. */
#include "trace/lane.h"
#include "trace/metrics.h"

#include <weft/status.h>

#include <stdlib.h>

/* Each task's own time, without waits and inner tasks, and what the tasks
 * within it had of a CPU. */
struct estimate {
    weft_recording *recording;
    uint64_t *own, *inner;
};

static bool
is_known(const struct recorded_task *task)
{
    return task->flags & TASK_ESTIMATED;
}

static void
estimate_event(struct estimate *e, const struct lane *lane,
               const struct lane_event *event)
{
    const struct recorded_task *task = &e->recording->tasks[event->index];
    const struct lane_item *top = lane_top(lane);

    if (event->kind != LANE_TASK || event->begins || !top ||
        top->task == RECORDING_NONE)
        return;
    e->inner[top->task] += is_known(task)
                               ? task->cpu
                               : e->own[event->index] + e->inner[event->index];
}

static int
estimate_worker(struct estimate *e, uint32_t worker)
{
    struct lane lane;
    struct lane_event event;
    uint64_t at = 0;
    int status;

    lane_begin(&lane, e->recording, worker, false);
    do {
        const struct lane_item *top = lane_top(&lane);
        const uint32_t task =
            top && top->kind == LANE_TASK ? top->index : RECORDING_NONE;

        status = lane_next(&lane, &event);
        if (status > 0) {
            if (task != RECORDING_NONE)
                e->own[task] += event.at - at;
            at = event.at;
            estimate_event(e, &lane, &event);
        }
    } while (status > 0);
    lane_end(&lane);
    return status;
}

/* What the thread's clock said includes the tasks within it; what was too short
 * to be asked for counts as on a CPU but for its waits. */
static float
rate_of(const struct recorded_task *task, uint64_t own, uint64_t inner)
{
    const uint64_t cpu = task->cpu > inner ? task->cpu - inner : 0;

    return is_known(task) && cpu < own ? (float)((double)cpu / (double)own) : 1;
}

int
metrics_estimate(weft_recording *recording, float *rates)
{
    const size_t tasks = (size_t)recording->task_count + 1;
    struct estimate e = {
        .recording = recording,
        .own = calloc(tasks, sizeof *e.own),
        .inner = calloc(tasks, sizeof *e.inner),
    };
    int status = e.own && e.inner ? WEFT_OK : WEFT_ENOMEM;

    for (uint32_t w = 0; w < recording->worker_count && status == WEFT_OK; w++)
        status = estimate_worker(&e, w);
    for (uint32_t i = 0; i < recording->task_count && status == WEFT_OK; i++) {
        rates[i] = rate_of(&recording->tasks[i], e.own[i], e.inner[i]);
        recording->tasks[i].cpu = 0;
    }
    free(e.own);
    free(e.inner);
    return status;
}
