/* A recording as data for the page's script; html.h has the format. */
#include "trace/html.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>

/* Of one recording. Names and lanes are numbered anew, since most names of a
 * large recording are in no bar. */
struct data {
    struct out *out;
    const struct weft_recording *recording;
    struct window window;
    struct draw_lanes lanes;
    uint64_t bar_grain, strip_grain;
    uint32_t *name_number; /* of each name; NONE: not written yet */
    uint32_t *name_order;  /* names in the order of their numbers */
    int32_t *lane_of;      /* of each worker; -1: none */
    uint32_t names;
};

/* Times begin with the window. */
static int64_t
moment(const struct data *data, uint64_t ns)
{
    return (int64_t)(ns - data->window.from);
}

static void
put(struct data *data, uint64_t value)
{
    out_unsigned(data->out, value);
    out_char(data->out, ',');
}

/* JSON has no comma at the end. */
static void
put_last(struct data *data, uint64_t value)
{
    out_unsigned(data->out, value);
}

/* Begins an entry of a flat array: the comma before, its begin and length. */
static void
put_entry(struct data *data, uint64_t *before, uint64_t begin, uint64_t end)
{
    if (*before != UINT64_MAX)
        out_char(data->out, ',');
    else
        *before = data->window.from;
    out_signed(data->out, (int64_t)(begin - *before));
    out_char(data->out, ',');
    put(data, end - begin);
    *before = begin;
}

static uint32_t
number_of(struct data *data, uint32_t name)
{
    if (data->name_number[name] == RECORDING_NONE) {
        data->name_order[data->names] = name;
        data->name_number[name] = data->names++;
    }
    return data->name_number[name];
}

static void
put_bar(struct data *data, const struct bar *bar)
{
    const struct recorded_task *task = &data->recording->tasks[bar->task];

    put(data, bar->cpu);
    if (bar->count == 1) {
        put(data, bar->begin - task->ready);
        put(data, bar->flags);
        put_last(data, number_of(data, bar->name[0]));
        return;
    }
    put(data, bar->busy);
    put(data, bar->flags | BAR_MERGED);
    put(data, bar->count);
    out_unsigned(data->out, bar->names);
    for (uint16_t i = 0; i < bar->names; i++) {
        out_char(data->out, ',');
        put_last(data, number_of(data, bar->name[i]));
    }
}

static void
put_bars(struct data *data, const struct draw_lane *lane)
{
    out_text(data->out, ",\"bars\":[");
    for (uint16_t row = 0; row < lane->rows; row++) {
        struct bar_reader reader;
        struct bar bar;
        uint64_t before = UINT64_MAX;

        out_text(data->out, row > 0 ? ",[" : "[");
        bars_begin(&reader, data->recording, lane->worker, row,
                   data->bar_grain);
        while (bars_next(&reader, &bar)) {
            put_entry(data, &before, bar.begin, bar.end);
            put_bar(data, &bar);
        }
        out_char(data->out, ']');
    }
    out_char(data->out, ']');
}

static void
put_strips(struct data *data, uint32_t worker)
{
    struct strip_reader reader;
    struct strip strip;
    uint64_t before = UINT64_MAX;

    out_text(data->out, ",\"strips\":[");
    strips_begin(&reader, data->recording, worker, data->strip_grain);
    while (strips_next(&reader, &strip)) {
        const uint64_t time = strip.end - strip.begin;

        put_entry(data, &before, strip.begin, strip.end);
        if (strip.on == time || strip.lock == time || strip.other == time) {
            put_last(data, strip.on == time ? 0 : strip.lock == time ? 1 : 2);
            continue;
        }
        put(data, 3);
        put(data, strip.on);
        put(data, strip.lock);
        put_last(data, strip.other);
    }
    out_char(data->out, ']');
}

/* Of what would be too much, one in each of so many pieces of time is kept. */
static uint64_t
thinned(const struct weft_recording *recording, uint32_t count)
{
    return count > HTML_POINTS ? recording->wall / 4096 + 1 : 0;
}

static void
put_spans(struct data *data, uint32_t worker)
{
    const struct weft_recording *recording = data->recording;
    const struct part part = recording->workers[worker].spans;
    const uint64_t apart = thinned(recording, recording->span_count);
    uint64_t before = UINT64_MAX;

    out_text(data->out, ",\"spans\":[");
    for (uint32_t i = part.first; i < part.first + part.count; i++) {
        const struct recorded_span *span = &recording->spans[i];

        if (before != UINT64_MAX && span->begin < before + apart &&
            span->end - span->begin < apart)
            continue;
        put_entry(data, &before, span->begin, span->end);
        put(data, span->depth);
        put(data, number_of(data, span->name));
        put_last(data, span->unfinished);
    }
    out_char(data->out, ']');
}

static void
put_marks(struct data *data, uint32_t worker)
{
    const struct weft_recording *recording = data->recording;
    const uint64_t apart = thinned(recording, recording->mark_count);
    uint64_t before = data->window.from;
    bool any = false;

    out_text(data->out, ",\"marks\":[");
    for (uint32_t i = 0; i < recording->mark_count; i++) {
        const struct recorded_value *mark = &recording->marks[i];

        if (mark->worker != worker || (any && mark->at < before + apart))
            continue;
        out_text(data->out, any ? "," : "");
        out_signed(data->out, (int64_t)(mark->at - before));
        out_char(data->out, ',');
        out_signed(data->out, mark->value);
        out_char(data->out, ',');
        put_last(data, number_of(data, mark->name));
        before = mark->at;
        any = true;
    }
    out_char(data->out, ']');
}

static void
put_lane(struct data *data, const struct draw_lane *lane)
{
    const struct recorded_worker *worker =
        &data->recording->workers[lane->worker];

    out_text(data->out, "{\"name\":");
    out_json(data->out, worker->name);
    out_format(data->out, ",\"kind\":\"%s\",\"pid\":%d,\"tid\":%d",
               !worker->main            ? "thread"
               : worker->worker_process ? "process"
                                        : "main",
               worker->pid, worker->tid);
    out_format(data->out, ",\"rows\":%u,\"begin\":%" PRId64 ",\"end\":%" PRId64,
               lane->rows, moment(data, worker->begin),
               moment(data, worker->end));
    put_bars(data, lane);
    put_strips(data, lane->worker);
    put_spans(data, lane->worker);
    put_marks(data, lane->worker);
    out_char(data->out, '}');
}

static void
put_cpu(struct data *data, uint32_t cpu, uint64_t grain)
{
    struct turn_reader reader;
    struct turn turn;
    uint64_t before = UINT64_MAX;

    out_format(data->out, "{\"number\":%u,\"turns\":[",
               data->recording->cpu[cpu].number);
    turns_begin(&reader, data->recording, cpu, grain);
    while (turns_next(&reader, &turn)) {
        put_entry(data, &before, turn.begin, turn.end);
        put(data, turn.on);
        out_signed(data->out, data->lane_of[turn.worker]);
    }
    out_text(data->out, "]}");
}

static void
put_counters(struct data *data)
{
    const struct weft_recording *recording = data->recording;
    const struct recorded_value *values = recording->counters;
    const uint64_t apart = thinned(recording, recording->counter_count);
    uint64_t before = 0;

    out_text(data->out, ",\"counters\":[");
    for (uint32_t i = 0; i < recording->counter_count; i++) {
        const bool first = i == 0 || values[i].name != values[i - 1].name;

        if (!first && values[i].at < before + apart)
            continue;
        if (first) {
            out_text(data->out, i > 0 ? "]},{\"name\":" : "{\"name\":");
            out_json(data->out, recording->names[values[i].name]);
            out_text(data->out, ",\"values\":[");
        } else
            out_char(data->out, ',');
        out_signed(data->out, moment(data, values[i].at));
        out_char(data->out, ',');
        out_signed(data->out, values[i].value);
        before = values[i].at;
    }
    out_text(data->out, recording->counter_count > 0 ? "]}]" : "]");
}

/* The curves of the whole, in hundredths: concurrency, parallelism, ... */
static int
put_load(struct data *data)
{
    struct recorded_load *load = calloc(HTML_LOADS, sizeof *load);

    if (!load)
        return -ENOMEM;
    const int error = recording_load(data->recording, data->window.from,
                                     data->window.to, load, HTML_LOADS);

    out_text(data->out, ",\"load\":[");
    for (size_t i = 0; error == 0 && i < HTML_LOADS; i++) {
        out_text(data->out, i > 0 ? "," : "");
        put(data, (uint64_t)(load[i].concurrency * 100 + .5F));
        put_last(data, (uint64_t)(load[i].parallelism * 100 + .5F));
    }
    out_char(data->out, ']');
    free(load);
    return error;
}

static void
put_text(struct data *data, const char *name, const char *text)
{
    out_format(data->out, "\"%s\":", name);
    out_json(data->out, text);
    out_char(data->out, ',');
}

static void
put_heading(struct data *data)
{
    const struct weft_recording *recording = data->recording;
    const enum recording_verdict verdict = recording_verdict(recording);
    struct metric_row rows[METRIC_ROWS];
    const size_t count = metric_rows(recording, rows);
    char headline[DRAW_LABEL], warning[DRAW_WARNING];

    draw_headline(recording, headline);
    draw_warning(recording, warning);
    put_text(data, "program", recording->program);
    put_text(data, "verdict", recording_verdict_name(verdict));
    put_text(data, "headline", headline);
    put_text(data, "sentence", recording->sentence);
    put_text(data, "warning", warning);
    out_format(data->out, "\"kind\":%d,\"wall\":%" PRIu64 ",\"cpus\":%u,",
               (int)verdict, data->window.to - data->window.from,
               recording->cpus);
    out_format(data->out, "\"grain\":%" PRIu64 ",\"more\":%u,\"metrics\":[",
               data->bar_grain, data->lanes.more);
    for (size_t i = 0; i < count; i++) {
        out_text(data->out, i > 0 ? ",[" : "[");
        out_json(data->out, rows[i].label);
        out_char(data->out, ',');
        out_json(data->out, rows[i].value);
        out_char(data->out, ']');
    }
    out_char(data->out, ']');
}

/* A million pixels: finer than anybody zooms in a large recording. */
static uint64_t
least_grain(const struct weft_recording *recording)
{
    return recording->wall / 1000000 + 1;
}

static int
put_recording(struct data *data)
{
    const struct weft_recording *recording = data->recording;
    const uint64_t turn_grain = turns_grain(
        recording, recording->cpu_count, least_grain(recording), HTML_STRIPS);
    int error = 0;

    out_char(data->out, '{');
    put_heading(data);
    out_text(data->out, ",\"lanes\":[");
    for (uint32_t i = 0; i < data->lanes.count; i++) {
        out_text(data->out, i > 0 ? ",\n" : "\n");
        put_lane(data, &data->lanes.lane[i]);
    }
    out_text(data->out, "],\"processors\":[");
    for (uint32_t i = 0; i < recording->cpu_count; i++) {
        out_text(data->out, i > 0 ? ",\n" : "\n");
        put_cpu(data, i, turn_grain);
    }
    out_char(data->out, ']');
    put_counters(data);
    if (data->lanes.more > 0)
        error = put_load(data);
    out_text(data->out, ",\"names\":[");
    for (uint32_t i = 0; i < data->names; i++) {
        out_text(data->out, i > 0 ? "," : "");
        out_json(data->out, data->recording->names[data->name_order[i]]);
    }
    out_text(data->out, "]}");
    return error;
}

static int
prepare(struct data *data)
{
    const struct weft_recording *recording = data->recording;
    const size_t names = (size_t)recording->name_count + 1;
    const size_t workers = (size_t)recording->worker_count + 1;
    const uint64_t least = least_grain(recording);
    const int error = lanes_choose(&data->lanes, recording, HTML_LANES);

    if (error < 0)
        return error;
    data->name_number = malloc(names * sizeof *data->name_number);
    data->name_order = malloc(names * sizeof *data->name_order);
    data->lane_of = malloc(workers * sizeof *data->lane_of);
    if (!data->name_number || !data->name_order || !data->lane_of)
        return -ENOMEM;
    for (size_t i = 0; i < names; i++)
        data->name_number[i] = RECORDING_NONE;
    for (size_t i = 0; i < workers; i++)
        data->lane_of[i] = -1;
    for (uint32_t i = 0; i < data->lanes.count; i++)
        data->lane_of[data->lanes.lane[i].worker] = (int32_t)i;
    data->bar_grain = bars_grain(recording, &data->lanes, least, HTML_BARS);
    data->strip_grain =
        strips_grain(recording, &data->lanes, least, HTML_STRIPS);
    return 0;
}

int
html_data(struct out *out, const struct weft_recording *recording)
{
    struct data data = {
        .out = out,
        .recording = recording,
        .window = draw_window(recording),
    };
    int error = prepare(&data);

    if (error == 0)
        error = put_recording(&data);
    free(data.name_number);
    free(data.name_order);
    free(data.lane_of);
    lanes_free(&data.lanes);
    return error;
}
