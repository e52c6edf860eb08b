/* The numbers beside a picture, and what stands above it. */
#include "base/text.h"
#include "trace/draw.h"
#include "trace/metrics.h"

#include <inttypes.h>

static void
add_time(struct text *text, weft_duration ns)
{
    char time[DRAW_TIME];

    draw_time(time, ns > 0 ? (uint64_t)ns : 0);
    text_add(text, "%s", time);
}

static void
add_count(struct text *text, uint64_t count)
{
    char digits[DRAW_COUNT];

    draw_count(digits, count);
    text_add(text, "%s", digits);
}

/* Two decimals where they say something. */
static void
add_mean(struct text *text, double mean)
{
    text_add(text, "%.*f", mean < 99.5 ? 2 : 0, mean);
}

/* A time and its share of all time in tasks. */
static void
add_share(struct text *text, const weft_metrics *metrics, weft_duration ns)
{
    add_time(text, ns);
    text_add(text, " (%.0f%%)", 100 * metrics_share(metrics, ns));
}

static void
add_available(struct text *text, const weft_metrics *metrics)
{
    if (metrics->span > 0)
        add_mean(text, metrics_available(metrics));
    else
        text_add(text, "none");
}

/* max(T1 / P, the span): no schedule is faster. */
static weft_duration
fastest(const weft_metrics *metrics)
{
    const weft_duration shared =
        metrics->work / (metrics->cpus > 0 ? metrics->cpus : 1);

    return shared > metrics->span ? shared : metrics->span;
}

/* (T1 - span) / P + span: no greedy one is slower (Graham, Brent). */
static weft_duration
slowest(const weft_metrics *metrics)
{
    return (metrics->work - metrics->span) /
               (metrics->cpus > 0 ? metrics->cpus : 1) +
           metrics->span;
}

struct table {
    struct metric_row *row;
    size_t count;
};

static struct text
row(struct table *table, const char *label)
{
    struct metric_row *next = &table->row[table->count++];

    next->label = label;
    return text_over(next->value, sizeof next->value);
}

enum {
    LOCK_WIDE = 150
};

static void
add_waits(struct table *table, const weft_metrics *metrics)
{
    struct text text = row(table, "waiting for a CPU");

    add_share(&text, metrics, metrics->cpu_wait);
    if (metrics->lock_wait > 0) {
        text = row(table, "waiting for a lock");
        add_share(&text, metrics, metrics->lock_wait);
    }
    if (metrics->lock_wait > 0 && metrics->lock) {
        char lock[DRAW_LABEL];

        draw_fit_width(lock, metrics->lock, LOCK_WIDE, 14);
        text = row(table, "most for");
        text_add(&text, "%s", lock);
    }
    text = row(table, "ready, not begun");
    add_time(&text, metrics->queue_wait);
}

size_t
metric_rows(const struct weft_recording *recording,
            struct metric_row rows[METRIC_ROWS])
{
    const weft_metrics *metrics = &recording->metrics;
    struct table table = {rows, 0};
    struct text text = row(&table, "wall time");

    add_time(&text, metrics->wall);
    text = row(&table, "tasks");
    add_count(&text, metrics->tasks);
    text = row(&table, "concurrency avg / max");
    add_mean(&text, metrics->concurrency);
    text_add(&text, " / %u", metrics->concurrency_max);
    text = row(&table, "parallelism avg");
    add_mean(&text, metrics->parallelism);
    text_add(&text, " of %u", metrics->cpus);
    text = row(&table, "work (T1)");
    add_time(&text, metrics->work);
    text = row(&table, "span (critical path)");
    add_time(&text, metrics->span);
    text = row(&table, "available parallelism");
    add_available(&text, metrics);
    add_waits(&table, metrics);
    text = row(&table, "fastest possible here");
    add_time(&text, fastest(metrics));
    text = row(&table, "greedy, at most");
    add_time(&text, slowest(metrics));
    if (metrics->lost > 0) {
        text = row(&table, "records lost");
        add_count(&text, metrics->lost);
    }
    return table.count;
}

static uint32_t
busy_workers(const struct weft_recording *recording)
{
    uint32_t count = 0;

    for (uint32_t i = 0; i < recording->worker_count; i++)
        count += recording->workers[i].tasks.count > 0;
    return count;
}

void
draw_headline(const struct weft_recording *recording, char out[DRAW_LABEL])
{
    const uint32_t workers = busy_workers(recording);
    struct text text = text_over(out, DRAW_LABEL);

    text_add(&text, "%u worker%s, %u CPU%s", workers, workers == 1 ? "" : "s",
             recording->cpus, recording->cpus == 1 ? "" : "s");
}

void
draw_warning(const struct weft_recording *recording, char out[DRAW_WARNING])
{
    struct text text = text_over(out, DRAW_WARNING);

    if (recording->estimated)
        text_add(&text, "On-CPU times are estimates. ");
    if (recording->killed)
        text_add(&text, "The program did not end the recording. ");
    if (recording->cut)
        text_add(&text, "Not all of the file could be read%s%s. ",
                 recording->damage ? ": " : "",
                 recording->damage ? recording->damage : "");
    if (recording->lost > 0)
        text_add(&text, "%" PRIu64 " records were lost. ", recording->lost);
    if (text.used > 0)
        out[text.used - 1] = '\0';
}
