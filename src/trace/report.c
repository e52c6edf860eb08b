/* The metrics, as text, JSON and CSV. */
#include "trace/metrics.h"
#include "trace/out.h"

#include <weft/status.h>

#include <inttypes.h>

enum {
    LOCKS_SHOWN = 5,
    FORECASTS = 5 /* at 2, 4, 8, ... CPUs */
};

/* A duration in the unit that leaves one to three digits before the point. */
static void
out_duration(struct out *out, weft_duration ns)
{
    static const struct {
        weft_duration unit;
        const char *name;
    } units[] = {{WEFT_SECOND, "s"}, {WEFT_MS, "ms"}, {WEFT_US, "us"}};

    for (unsigned i = 0; i < 3; i++) {
        if (ns < units[i].unit)
            continue;
        out_format(out, "%10.3f %s", (double)ns / (double)units[i].unit,
                   units[i].name);
        return;
    }
    out_format(out, "%6" PRId64 "     ns", ns);
}

static void
row(struct out *out, const char *name, weft_duration ns, const char *note)
{
    out_format(out, "  %-24s", name);
    out_duration(out, ns);
    out_format(out, "%s%s\n", *note ? "   " : "", note);
}

/* With its part of the task time. */
static void
row_share(struct out *out, const weft_metrics *m, const char *name,
          weft_duration ns)
{
    out_format(out, "  %-24s", name);
    out_duration(out, ns);
    out_format(out, "   %.1f%% of task time\n", 100 * metrics_share(m, ns));
}

static void
write_notes(struct out *out, const weft_recording *recording)
{
    const weft_metrics *m = &recording->metrics;

    if (recording->damage)
        out_format(out, "note: %s\n", recording->damage);
    if (m->lost > 0)
        out_format(out, "note: %" PRIu64 " records were lost\n", m->lost);
    if (m->estimated)
        out_text(out, "note: on-CPU: estimated; the system does not let this "
                      "user see when threads run\n");
    for (uint32_t i = 0; i < recording->task_count; i++) {
        if (!(recording->tasks[i].flags & TASK_FOLDED))
            continue;
        out_text(out, "note: forks that nobody stole are part of the task that "
                      "made them: available\n      parallelism is at least "
                      "what it says\n");
        break;
    }
}

static void
write_locks(struct out *out, const weft_recording *recording)
{
    const weft_metrics *m = &recording->metrics;

    if (recording->lock_count == 0)
        return;
    out_text(out, "locks, most waited for first\n");
    for (uint32_t i = 0; i < recording->lock_count && i < LOCKS_SHOWN; i++) {
        const struct recorded_lock *lock = &recording->locks[i];

        out_format(out, "  %-24s", recording->names[lock->name]);
        out_duration(out, (weft_duration)lock->waited);
        out_format(
            out,
            "   %.1f%% of task time, in %" PRIu64 " waits; somebody "
            "waited %.1f%% of the time\n",
            100 * metrics_share(m, (weft_duration)lock->waited), lock->waits,
            m->wall > 0 ? 100 * (double)lock->busy / (double)m->wall : 0);
    }
    if (recording->lock_count > LOCKS_SHOWN)
        out_format(out, "  and %" PRIu32 " more\n",
                   recording->lock_count - LOCKS_SHOWN);
}

static void
write_forecast(struct out *out, const weft_metrics *m)
{
    if (m->span <= 0)
        return;
    out_text(out, "speed-up over one CPU that a greedy schedule has, locks "
                  "and queues left out\n");
    for (unsigned i = 1; i <= FORECASTS; i++) {
        const struct forecast f = metrics_forecast(m, 1u << i);

        out_format(out, "  at %2u CPUs               %8.2f - %.2f\n", 1u << i,
                   f.low, f.high);
    }
}

int
write_text(struct out *out, const weft_recording *recording)
{
    const weft_metrics *m = &recording->metrics;

    out_format(out, "%s\n%s\n", recording->sentence,
               recording_verdict_name(recording_verdict(recording)));
    write_notes(out, recording);
    out_format(out, "  %-24s%10" PRIu64 "   in %" PRIu32 " workers\n", "tasks",
               m->tasks, recording->worker_count);
    out_format(out, "  %-24s%10.3f   at most %u\n", "concurrency",
               m->concurrency, m->concurrency_max);
    out_format(out, "  %-24s%10.3f   of %u CPU%s\n", "achieved parallelism",
               m->parallelism, m->cpus, m->cpus == 1 ? "" : "s");
    out_format(out, "  %-24s%10.3f   work / span\n", "available parallelism",
               metrics_available(m));
    row(out, "wall", m->wall, "first submission to last end");
    row(out, "task time", m->task_time, "");
    row(out, "work", m->work, "on a CPU, all tasks");
    row(out, "span", m->span, "on a CPU, longest chain of tasks");
    row_share(out, m, "waiting for a CPU", m->cpu_wait);
    row_share(out, m, "waiting for locks", m->lock_wait);
    row(out, "queue delay", m->queue_wait, "ready, but not begun");
    write_locks(out, recording);
    write_forecast(out, m);
    return WEFT_OK;
}

/* All figures by name, for JSON and CSV. */
struct figure {
    const char *name;

    enum {
        FIGURE_COUNT,
        FIGURE_RATIO,
        FIGURE_BOOL,
        FIGURE_TEXT
    } kind;

    double ratio;
    uint64_t count;
    const char *text;
};

enum {
    FIGURES = 22
};

#define COUNT(n, v)                                             \
    {                                                           \
        .name = n, .kind = FIGURE_COUNT, .count = (uint64_t)(v) \
    }
#define RATIO(n, v)                                   \
    {                                                 \
        .name = n, .kind = FIGURE_RATIO, .ratio = (v) \
    }
#define BOOL(n, v)                                   \
    {                                                \
        .name = n, .kind = FIGURE_BOOL, .count = (v) \
    }
#define TEXT(n, v)                                  \
    {                                               \
        .name = n, .kind = FIGURE_TEXT, .text = (v) \
    }

static void
figures_of(const weft_recording *r, struct figure figures[FIGURES])
{
    const weft_metrics *m = &r->metrics;
    const enum recording_verdict verdict = recording_verdict(r);
    const struct figure list[FIGURES] = {
        TEXT("verdict", recording_verdict_name(verdict)),
        BOOL("concurrent", verdict != VERDICT_NOT_CONCURRENT),
        BOOL("parallel", verdict == VERDICT_PARALLEL),
        RATIO("concurrency", m->concurrency),
        COUNT("concurrency_max", m->concurrency_max),
        RATIO("parallelism", m->parallelism),
        COUNT("cpus", m->cpus),
        RATIO("available", metrics_available(m)),
        COUNT("wall_ns", m->wall),
        COUNT("task_time_ns", m->task_time),
        COUNT("work_ns", m->work),
        COUNT("span_ns", m->span),
        COUNT("cpu_wait_ns", m->cpu_wait),
        COUNT("queue_wait_ns", m->queue_wait),
        COUNT("lock_wait_ns", m->lock_wait),
        TEXT("lock", m->lock ? m->lock : ""),
        COUNT("lock_busy_ns", m->lock_busy),
        COUNT("tasks", m->tasks),
        COUNT("workers", r->worker_count),
        COUNT("lost", m->lost),
        BOOL("estimated", m->estimated),
        BOOL("cut", m->cut),
    };

    for (unsigned i = 0; i < FIGURES; i++)
        figures[i] = list[i];
}

static void
out_figure(struct out *out, const struct figure *figure,
           void (*text)(struct out *, const char *))
{
    switch (figure->kind) {
    case FIGURE_COUNT:
        out_unsigned(out, figure->count);
        break;
    case FIGURE_RATIO:
        out_format(out, "%.6f", figure->ratio);
        break;
    case FIGURE_BOOL:
        out_text(out, figure->count ? "true" : "false");
        break;
    default:
        text(out, figure->text);
    }
}

int
write_csv(struct out *out, const weft_recording *recording)
{
    struct figure figures[FIGURES];

    figures_of(recording, figures);
    out_text(out, "name,value\n");
    for (unsigned i = 0; i < FIGURES; i++) {
        out_format(out, "%s,", figures[i].name);
        out_figure(out, &figures[i], out_csv);
        out_char(out, '\n');
    }
    return WEFT_OK;
}

static void
json_locks(struct out *out, const weft_recording *recording)
{
    out_text(out, "  \"locks\": [");
    for (uint32_t i = 0; i < recording->lock_count; i++) {
        const struct recorded_lock *lock = &recording->locks[i];

        out_text(out, i ? ",\n    {\"name\": " : "\n    {\"name\": ");
        out_json(out, recording->names[lock->name]);
        out_format(out,
                   ", \"waited_ns\": %" PRIu64 ", \"busy_ns\": %" PRIu64
                   ", \"waits\": %" PRIu64 "}",
                   lock->waited, lock->busy, lock->waits);
    }
    out_text(out, recording->lock_count ? "\n  ],\n" : "],\n");
}

static void
json_forecast(struct out *out, const weft_metrics *m)
{
    out_text(out, "  \"speedup\": [");
    for (unsigned i = 1; i <= FORECASTS && m->span > 0; i++) {
        const struct forecast f = metrics_forecast(m, 1u << i);

        out_format(out, "%s\n    {\"cpus\": %u, \"low\": %.6f, \"high\": %.6f}",
                   i > 1 ? "," : "", 1u << i, f.low, f.high);
    }
    out_text(out, m->span > 0 ? "\n  ]\n" : "]\n");
}

int
write_json(struct out *out, const weft_recording *recording)
{
    struct figure figures[FIGURES];

    figures_of(recording, figures);
    out_text(out, "{\n");
    for (unsigned i = 0; i < FIGURES; i++) {
        out_format(out, "  \"%s\": ", figures[i].name);
        out_figure(out, &figures[i], out_json);
        out_text(out, ",\n");
    }
    json_locks(out, recording);
    json_forecast(out, &recording->metrics);
    out_text(out, "}\n");
    return WEFT_OK;
}
