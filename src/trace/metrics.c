#include "trace/metrics.h"

#include <weft/status.h>

int
metrics_measure(weft_recording *recording)
{
    weft_metrics *m = &recording->metrics;

    if (metrics_sweep(recording) < 0 || metrics_locks(recording) < 0)
        return WEFT_ENOMEM;
    m->wall = (weft_duration)(recording->to - recording->from);
    m->cpus = recording->cpus;
    m->tasks = recording->task_count;
    m->lost = recording->lost;
    m->estimated = recording->estimated;
    m->cut = recording->cut;
    for (uint32_t i = 0; i < recording->task_count; i++)
        m->queue_wait += (weft_duration)(recording->tasks[i].begin -
                                         recording->tasks[i].ready);
    metrics_say(recording);
    return WEFT_OK;
}

double
metrics_available(const weft_metrics *metrics)
{
    return metrics->span > 0 ? (double)metrics->work / (double)metrics->span
                             : 0;
}

double
metrics_share(const weft_metrics *metrics, weft_duration part)
{
    return metrics->task_time > 0 ? (double)part / (double)metrics->task_time
                                  : 0;
}

struct forecast
metrics_forecast(const weft_metrics *metrics, unsigned cpus)
{
    const double work = (double)metrics->work, span = (double)metrics->span;
    const double shared = work / cpus;
    const double least = shared > span ? shared : span;
    const double most = (work - span) / cpus + span;

    if (work <= 0)
        return (struct forecast){1, 1};
    return (struct forecast){work / most, work / least};
}
