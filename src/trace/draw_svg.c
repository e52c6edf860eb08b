/* Recordings one above the other on one time scale, as an SVG without script.
 */
#include "trace/svg.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

enum {
    HEAD = 76,  /* title and program */
    TITLE = 56, /* verdict and sentence of a recording */
    WARNING = 18,
    BETWEEN = 30,
    FOOT = 16,
    BADGE = 246
};

static double
most(double one, double other)
{
    return one > other ? one : other;
}

static double
title_height(const struct weft_recording *recording)
{
    char warning[DRAW_WARNING];

    draw_warning(recording, warning);
    return TITLE + (*warning ? WARNING : 0);
}

static double
picture_height(const struct picture *picture)
{
    const double left = svg_lanes_height(picture) + svg_cpus_height(picture) +
                        svg_curves_height() + svg_counters_height(picture) +
                        svg_axis_height();

    return title_height(picture->recording) +
           most(left, svg_numbers_height(picture->recording)) + BETWEEN;
}

/* What two blanks divide is divided by a dot: SVG would draw one blank. */
static void
put_sentence(struct out *out, const char *sentence)
{
    for (const char *gap; (gap = strstr(sentence, "  ")); sentence = gap + 2) {
        char part[RECORDING_SENTENCE];

        memcpy(part, sentence, (size_t)(gap - sentence));
        part[gap - sentence] = '\0';
        out_xml(out, part);
        out_text(out, " \xc2\xb7 ");
    }
    out_xml(out, sentence);
}

static void
put_line(const struct picture *picture, const char *class, double y,
         const char *text)
{
    struct out *out = picture->out;

    out_format(out, "<text class=\"%s\"", class);
    svg_attribute(out, "x", SVG_MARGIN);
    svg_attribute(out, "y", y);
    out_char(out, '>');
    put_sentence(out, text);
    out_text(out, "</text>\n");
}

static void
put_title(struct picture *picture)
{
    const struct weft_recording *recording = picture->recording;
    const enum recording_verdict verdict = recording_verdict(recording);
    char text[DRAW_LABEL], warning[DRAW_WARNING];
    struct out *out = picture->out;

    out_format(out, "<rect class=\"v%d\" rx=\"4\"", (int)verdict);
    svg_attribute(out, "x", SVG_MARGIN);
    svg_attribute(out, "y", picture->y);
    svg_attribute(out, "width", BADGE);
    out_text(out, " height=\"25\"/>\n");
    svg_text(out,
             (struct svg_place){"badge", SVG_MARGIN + BADGE / 2.0,
                                picture->y + 17.5},
             recording_verdict_name(verdict), 40);
    draw_headline(recording, text);
    svg_text(out,
             (struct svg_place){"h2", SVG_MARGIN + BADGE + 14, picture->y + 18},
             text, 60);
    put_line(picture, "sub", picture->y + 43, recording->sentence);
    draw_warning(recording, warning);
    if (*warning)
        put_line(picture, "warn", picture->y + 61, warning);
    picture->y += title_height(recording);
}

/* Where the recording ends. */
static void
put_end(const struct picture *picture, double from, double to)
{
    out_text(picture->out, "<path class=\"end\" d=\"M");
    svg_number(picture->out, SVG_LEFT + svg_wide(picture));
    out_char(picture->out, ' ');
    svg_number(picture->out, from);
    out_char(picture->out, 'V');
    svg_number(picture->out, to);
    out_text(picture->out, "\"/>\n");
}

static int
put_picture(struct picture *picture)
{
    const double end = picture->y + picture->height;

    out_text(picture->out, "<g>\n");
    put_title(picture);
    const double top = picture->y;

    svg_numbers(picture);
    svg_lanes(picture);
    svg_cpus(picture);
    const int error = svg_curves(picture);

    if (error < 0)
        return error;
    svg_counters(picture);
    put_end(picture, top - 4, picture->y + 5);
    svg_axis(picture);
    out_text(picture->out, "</g>\n");
    picture->y = end;
    return 0;
}

/* The kinds of waits in a worker's tasks. */
static unsigned
waits_of(const struct weft_recording *recording, uint32_t worker)
{
    struct strip_reader reader;
    struct strip strip;
    unsigned seen = 0;

    strips_begin(&reader, recording, worker, recording->wall);
    while (strips_next(&reader, &strip))
        seen |= (strip.lock > 0 ? (unsigned)SVG_LOCKS : 0) |
                (strip.other > 0 ? (unsigned)SVG_WAITS : 0);
    return seen;
}

static unsigned
seen_in(const struct picture *picture)
{
    static const struct {
        unsigned flag, seen;
    } flags[] = {
        {TASK_UNFINISHED, SVG_UNFINISHED},
        {TASK_FAILED, SVG_FAILED},
        {TASK_CRITICAL, SVG_CRITICAL},
    };
    const struct weft_recording *recording = picture->recording;
    unsigned seen = 0;

    for (size_t i = 0; i < sizeof flags / sizeof *flags; i++)
        if (picture->lanes.flags & flags[i].flag)
            seen |= flags[i].seen;
    for (uint32_t i = 0; i < picture->lanes.count; i++)
        seen |= waits_of(recording, picture->lanes.lane[i].worker);
    if (picture->lanes.tasks > DRAW_MERGE_ABOVE)
        seen |= SVG_MERGED;
    if (recording->mark_count > 0)
        seen |= SVG_MARKS;
    if (recording->span_count > 0)
        seen |= SVG_SPANS;
    return seen;
}

static bool
same_program(weft_recording *const *recordings, size_t count)
{
    for (size_t i = 1; i < count; i++)
        if (strcmp(recordings[0]->program, recordings[i]->program) != 0)
            return false;
    return true;
}

static void
put_head(struct out *out, weft_recording *const *recordings, size_t count,
         double height)
{
    out_format(out,
               "<svg xmlns=\"http://www.w3.org/2000/svg\" role=\"img\" "
               "viewBox=\"0 0 %d %.0f\" width=\"%d\" height=\"%.0f\">\n",
               SVG_WIDTH, height, SVG_WIDTH, height);
    svg_title(out, "weft timeline");
    svg_style(out);
    out_text(out, "<rect width=\"100%\" height=\"100%\" fill=\"#fff\"/>\n");
    svg_text(out, (struct svg_place){"h1", SVG_MARGIN, 36}, "weft timeline",
             40);
    for (size_t i = 0; i < (same_program(recordings, count) ? 1 : count); i++)
        svg_text(out,
                 (struct svg_place){"sub", SVG_MARGIN + (double)i * 300, 58},
                 recordings[i]->program, count > 1 ? 44 : 75);
}

static int
put_all(struct picture *pictures, size_t count, unsigned seen, double y)
{
    for (size_t i = 0; i < count; i++) {
        pictures[i].y = y;
        const int error = put_picture(&pictures[i]);

        if (error < 0)
            return error;
        y = pictures[i].y;
    }
    svg_legend(pictures->out, y, seen);
    out_text(pictures->out, "</svg>\n");
    return 0;
}

/* Chooses the lanes and the scale of all. */
static int
prepare(struct picture *pictures, struct out *out,
        weft_recording *const *recordings, size_t count)
{
    uint64_t longest = 1;

    for (size_t i = 0; i < count; i++) {
        const struct window window = draw_window(recordings[i]);

        pictures[i].window = window;
        if (window.to - window.from > longest)
            longest = window.to - window.from;
    }
    for (size_t i = 0; i < count; i++) {
        pictures[i].out = out;
        pictures[i].recording = recordings[i];
        pictures[i].pixel = (double)longest / SVG_PLOT;
        const int error =
            lanes_choose(&pictures[i].lanes, recordings[i], SVG_LANES);

        if (error < 0)
            return error;
        pictures[i].height = picture_height(&pictures[i]);
    }
    return 0;
}

int
draw_svg(struct out *out, weft_recording *const *recordings, size_t count)
{
    struct picture *pictures = calloc(count + 1, sizeof *pictures);
    double height = HEAD + FOOT;
    unsigned seen = 0;

    if (!pictures)
        return -ENOMEM;
    int error = prepare(pictures, out, recordings, count);

    if (error == 0) {
        for (size_t i = 0; i < count; i++) {
            height += pictures[i].height;
            seen |= seen_in(&pictures[i]);
        }
        put_head(out, recordings, count, height + svg_legend_height(seen));
        error = put_all(pictures, count, seen, HEAD);
    }
    for (size_t i = 0; i < count; i++)
        lanes_free(&pictures[i].lanes);
    free(pictures);
    return error;
}
