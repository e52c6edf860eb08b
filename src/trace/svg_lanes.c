/* A lane a worker: pale bars are tasks in progress, the solid part at the
 * bottom is being on a CPU, hatches are waits. A bar of merged tasks is as high
 * as the part of its time that was busy, and so are the strips. */
#include "base/text.h"
#include "trace/svg.h"

#include <stdio.h>

enum {
    GAP = 8,     /* between lanes */
    BAR = 40,    /* an outermost bar; 2 pixels of the lane above and below */
    DEEPER = 15, /* an inner bar begins so much lower */
    STRIP = 20,  /* what shows being on a CPU, of the bar's height */
    MOST_BARS = 2000,
    MOST_STRIPS = 5000,
    NARROW = 4,       /* what is no wider gets no outline */
    LABEL_LEAST = 16, /* what is narrower gets no name */
    LABEL_SIZE = 11
};

/* One lane being drawn. */
struct drawn {
    struct picture *picture;
    const struct draw_lane *lane;
    const struct recorded_worker *worker;
    double bars, bottom; /* y of the outermost bar and of the end of all */
    uint64_t bar_grain, strip_grain;
};

static double
lane_height(const struct draw_lane *lane)
{
    return BAR + 4 + DEEPER * (lane->rows - 1) + SVG_SPAN_ROW * lane->span_rows;
}

double
svg_lanes_height(const struct picture *picture)
{
    double height = picture->lanes.more > 0 ? 18 : 0;

    for (uint32_t i = 0; i < picture->lanes.count; i++)
        height += lane_height(&picture->lanes.lane[i]) + GAP;
    return height;
}

static void
put_who(const struct drawn *drawn, double y)
{
    const struct recorded_worker *worker = drawn->worker;
    char text[32];

    svg_text(drawn->picture->out,
             (struct svg_place){"name", SVG_MARGIN + 14, y + 20}, worker->name,
             14);
    if (worker->worker_process && worker->main)
        snprintf(text, sizeof text, "process %d", worker->pid);
    else if (worker->main)
        snprintf(text, sizeof text, "main of %d", worker->pid);
    else
        snprintf(text, sizeof text, "thread %d", worker->tid);
    svg_text(drawn->picture->out,
             (struct svg_place){"small", SVG_MARGIN + 14, y + 36}, text, 18);
}

static void
put_times(const struct picture *picture, const struct bar *bar)
{
    char begin[DRAW_TIME], time[DRAW_TIME], cpu[DRAW_TIME];

    draw_time(begin, bar->begin - picture->window.from);
    draw_time(time, bar->busy);
    draw_time(cpu, bar->cpu);
    out_format(picture->out, "%s in progress, %s on a CPU, from %s on", time,
               cpu, begin);
}

/* What hovering says. */
static void
put_about(const struct drawn *drawn, const struct bar *bar)
{
    const struct weft_recording *recording = drawn->picture->recording;
    struct out *out = drawn->picture->out;
    char name[DRAW_LABEL];

    out_text(out, "<title>");
    if (bar->count > 1)
        out_format(out, "%u tasks: ", bar->count);
    for (uint16_t i = 0; i < bar->names; i++) {
        draw_fit(name, recording->names[bar->name[i]], 70);
        out_text(out, i > 0 ? ", " : "");
        out_xml(out, name);
    }
    out_text(out, bar->names == BAR_NAMES ? " ...\n" : "\n");
    put_times(drawn->picture, bar);
    if (bar->flags & TASK_UNFINISHED)
        out_text(out, "\ndid not end");
    if (bar->flags & TASK_FAILED)
        out_text(out, "\nended with a failure");
    if (bar->flags & TASK_FOLDED)
        out_text(out, "\nforks that were not stolen are part of it");
    out_text(out, "\nworker ");
    draw_fit(name, drawn->worker->name, 70);
    out_xml(out, name);
    out_text(out, "</title>");
}

static void
put_bar(const struct drawn *drawn, const struct bar *bar, double top)
{
    struct out *out = drawn->picture->out;
    const double x = svg_x(drawn->picture, bar->begin);
    const double wide = svg_x(drawn->picture, bar->end) - x;
    const double whole = drawn->bottom - top;
    const uint64_t time = bar->end - bar->begin;
    const double high =
        time > 0 ? whole * (double)bar->busy / (double)time : whole;
    const char *class = bar->flags & TASK_UNFINISHED      ? "b u"
                        : bar->count > 1 || wide < NARROW ? "m"
                                                          : "b";

    out_format(out, "<rect class=\"%s\"", class);
    svg_attribute(out, "x", x);
    svg_attribute(out, "y", drawn->bottom - high);
    svg_attribute(out, "width", wide < .4 ? .4 : wide);
    svg_attribute(out, "height", high < .4 ? .4 : high);
    out_char(out, '>');
    put_about(drawn, bar);
    out_text(out, "</rect>\n");
}

static void
put_label(const struct drawn *drawn, const struct bar *bar, double top)
{
    const double x = svg_x(drawn->picture, bar->begin);
    const double wide = svg_x(drawn->picture, bar->end) - x;
    char name[DRAW_LABEL];

    if (bar->count > 1 || wide < LABEL_LEAST)
        return;
    draw_fit_width(name, drawn->picture->recording->names[bar->name[0]],
                   wide - 7, LABEL_SIZE);
    if (*name)
        svg_text(drawn->picture->out,
                 (struct svg_place){"in", x + 4.5, top + 13}, name, DRAW_LABEL);
}

/* Of one row: the bars and their names; the time before each is idle. */
static void
put_row(const struct drawn *drawn, uint16_t row)
{
    const double top = drawn->bars + DEEPER * row;
    struct bar_reader reader;
    struct bar bar;

    bars_begin(&reader, drawn->picture->recording, drawn->lane->worker, row,
               drawn->bar_grain);
    while (bars_next(&reader, &bar)) {
        put_bar(drawn, &bar, top);
        put_label(drawn, &bar, top);
    }
}

static void
put_idle(const struct drawn *drawn)
{
    const struct picture *picture = drawn->picture;
    uint64_t since = drawn->worker->begin;
    struct bar_reader reader;
    struct bar bar;
    bool more = true;

    out_text(picture->out, "<path class=\"idle\" d=\"M0 0");
    bars_begin(&reader, picture->recording, drawn->lane->worker, 0,
               drawn->bar_grain);
    while (more) {
        more = bars_next(&reader, &bar);
        const uint64_t until = more ? bar.begin : drawn->worker->end;
        const double x = svg_x(picture, since);
        const double wide = svg_x(picture, until) - x;

        if (until > since && wide >= .5)
            svg_box(picture->out, x, drawn->bars - 2, wide,
                    drawn->bottom - drawn->bars + 4);
        if (more && bar.end > since)
            since = bar.end;
    }
    out_text(picture->out, "\"><title>no task in progress</title></path>\n");
}

/* Outlines of single tasks; merged ones only get a line above. */
static void
put_critical(const struct drawn *drawn)
{
    const struct picture *picture = drawn->picture;

    if (!(picture->lanes.flags & TASK_CRITICAL))
        return;
    out_text(picture->out, "<path class=\"k\" d=\"M0 0");
    for (uint16_t row = 0; row < drawn->lane->rows; row++) {
        const double top = drawn->bars + DEEPER * row;
        struct bar_reader reader;
        struct bar bar;

        bars_begin(&reader, picture->recording, drawn->lane->worker, row,
                   drawn->bar_grain);
        while (bars_next(&reader, &bar)) {
            const double x = svg_x(picture, bar.begin);
            const double wide = svg_x(picture, bar.end) - x;

            if (bar.flags & TASK_CRITICAL)
                svg_box(picture->out, x, top, wide,
                        bar.count > 1 || wide < NARROW ? 0
                                                       : drawn->bottom - top);
        }
    }
    out_text(picture->out, "\"/>\n");
}

static void
put_failed(const struct drawn *drawn)
{
    const struct picture *picture = drawn->picture;
    const struct part tasks = drawn->worker->tasks;

    if (!(picture->lanes.flags & TASK_FAILED))
        return;
    double last = -1;
    out_text(picture->out, "<path class=\"x\" d=\"M0 0");
    for (uint32_t i = tasks.first; i < tasks.first + tasks.count; i++) {
        const struct recorded_task *task = &picture->recording->tasks[i];
        const double x = svg_x(picture, task->end) - 3;

        if ((task->flags & TASK_FAILED) && (x < last || x >= last + 1)) {
            svg_box(picture->out, x, drawn->bars, 3,
                    drawn->bottom - drawn->bars);
            last = x;
        }
    }
    out_text(picture->out, "\"/>\n");
}

/* Strips stand on one another: a lock above being on a CPU, other waits above
 * both. */
enum layer {
    LAYER_ON,
    LAYER_LOCK,
    LAYER_OTHER
};

static const char *const layer_class[] = {"on", "lock w", "wait w"};

/* How full a layer is, and from where on. */
struct level {
    double from, part;
};

static struct level
level_of(const struct strip *strip, enum layer layer)
{
    const double time = (double)(strip->end - strip->begin);
    const double parts[] = {
        (double)strip->on / time,
        (double)strip->lock / time,
        (double)strip->other / time,
    };
    struct level level = {.part = parts[layer] < 1 ? parts[layer] : 1};

    for (int below = 0; below < (int)layer; below++)
        level.from += parts[below];
    /* Who spins is on a CPU while he waits: then the hatch lies over it. */
    if (level.from + level.part > 1)
        level.from = 1 - level.part;
    return level;
}

/* One layer as one path. */
static void
put_strips(const struct drawn *drawn, enum layer layer)
{
    const struct picture *picture = drawn->picture;
    struct strip_reader reader;
    struct strip strip;

    out_format(picture->out, "<path class=\"%s\" d=\"M0 0", layer_class[layer]);
    strips_begin(&reader, picture->recording, drawn->lane->worker,
                 drawn->strip_grain);
    while (strips_next(&reader, &strip)) {
        const struct level level = level_of(&strip, layer);
        const double high = STRIP * level.part;
        const double x = svg_x(picture, strip.begin);
        const double wide = svg_x(picture, strip.end) - x;

        if (high >= .05)
            svg_box(picture->out, x, drawn->bottom - STRIP * level.from - high,
                    wide < .3 ? .3 : wide, high);
    }
    out_text(picture->out, "\"/>\n");
}

static void
put_lane(struct drawn *drawn, double y)
{
    const struct picture *picture = drawn->picture;
    struct out *out = picture->out;
    const double high = lane_height(drawn->lane);
    const uint8_t colour = picture->lanes.colour[drawn->lane->worker];

    drawn->bars = y + 2 + SVG_SPAN_ROW * drawn->lane->span_rows;
    drawn->bottom = y + high - 2;
    out_format(out, "<path class=\"bg\" d=\"");
    svg_box(out, SVG_LEFT, y, svg_wide(picture), high);
    out_text(out, "\"/>\n");
    out_format(out, "<g class=\"c%u\"><path d=\"", colour);
    svg_box(out, SVG_MARGIN, y + 11, 8, 8);
    out_text(out, "\"/></g>\n");
    put_who(drawn, y);
    put_idle(drawn);
    out_format(out, "<g class=\"c%u\" stroke-width=\"1\">\n", colour);
    for (uint16_t row = 0; row < drawn->lane->rows; row++)
        put_row(drawn, row);
    put_strips(drawn, LAYER_ON);
    out_text(out, "</g>\n");
    if (drawn->worker->waits.count > 0) {
        put_strips(drawn, LAYER_LOCK);
        put_strips(drawn, LAYER_OTHER);
    }
    put_critical(drawn);
    put_failed(drawn);
    svg_spans(picture, drawn->lane, y + 1);
    svg_marks(picture, drawn->lane->worker, drawn->bars);
}

void
svg_lanes(struct picture *picture)
{
    const struct draw_lanes *lanes = &picture->lanes;
    struct drawn drawn = {.picture = picture};
    const uint64_t pixel = (uint64_t)picture->pixel;
    char text[DRAW_LABEL];

    drawn.bar_grain = bars_grain(picture->recording, lanes, pixel, MOST_BARS);
    drawn.strip_grain =
        strips_grain(picture->recording, lanes, pixel / 2, MOST_STRIPS);
    for (uint32_t i = 0; i < lanes->count; i++) {
        drawn.lane = &lanes->lane[i];
        drawn.worker = &picture->recording->workers[drawn.lane->worker];
        put_lane(&drawn, picture->y);
        picture->y += lane_height(drawn.lane) + GAP;
    }
    if (lanes->more == 0)
        return;
    snprintf(text, sizeof text, "and %u more workers, less busy than these",
             lanes->more);
    svg_text(picture->out, (struct svg_place){"sub", SVG_LEFT, picture->y + 10},
             text, 70);
    picture->y += 18;
}
