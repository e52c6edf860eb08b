/* What the program itself said in a lane: spans and marks. Of those that would
 * lie on one another the first is drawn. */
#include "trace/svg.h"

#include <inttypes.h>
#include <stdio.h>

static void
put_span(const struct picture *picture, const struct recorded_span *span,
         double y)
{
    struct out *out = picture->out;
    const char *name = picture->recording->names[span->name];
    const double x = svg_x(picture, span->begin);
    const double wide = svg_x(picture, span->end) - x;
    char text[DRAW_LABEL], time[DRAW_TIME];

    out_text(out, "<rect class=\"sp\"");
    svg_attribute(out, "x", x);
    svg_attribute(out, "y", y);
    svg_attribute(out, "width", wide < 1 ? 1 : wide);
    svg_attribute(out, "height", SVG_SPAN_ROW - 2);
    out_text(out, "><title>span ");
    draw_fit(text, name, 70);
    out_xml(out, text);
    draw_time(time, span->end - span->begin);
    out_format(out, ": %s%s</title></rect>\n", time,
               span->unfinished ? ", did not end" : "");
    if (wide < 14)
        return;
    draw_fit_width(text, name, wide - 6, 9);
    if (*text)
        svg_text(out, (struct svg_place){"in s", x + 4, y + SVG_SPAN_ROW - 4},
                 text, DRAW_LABEL);
}

void
svg_spans(const struct picture *picture, const struct draw_lane *lane, double y)
{
    const struct weft_recording *recording = picture->recording;
    const struct part part = recording->workers[lane->worker].spans;

    for (uint16_t row = 0; row < lane->span_rows; row++) {
        double free = 0;

        for (uint32_t i = part.first; i < part.first + part.count; i++) {
            const struct recorded_span *span = &recording->spans[i];
            const double x = svg_x(picture, span->begin);

            if (span->depth != row || x < free ||
                svg_outside(picture, span->begin, span->end))
                continue;
            put_span(picture, span, y + row * SVG_SPAN_ROW);
            const double end = svg_x(picture, span->end);
            free = end > x + 1 ? end : x + 1;
        }
    }
}

void
svg_marks(const struct picture *picture, uint32_t worker, double y)
{
    enum {
        APART = 3
    };
    const struct weft_recording *recording = picture->recording;
    double free = 0;

    for (uint32_t i = 0; i < recording->mark_count; i++) {
        const struct recorded_value *mark = &recording->marks[i];
        const double x = svg_x(picture, mark->at);
        char text[DRAW_LABEL], time[DRAW_TIME];

        if (mark->worker != worker || x < free ||
            svg_outside(picture, mark->at, mark->at))
            continue;
        out_text(picture->out, "<path class=\"mk\" d=\"M");
        svg_number(picture->out, x - 4);
        out_char(picture->out, ' ');
        svg_number(picture->out, y - 3);
        out_text(picture->out, "h8l-4 7z\"><title>");
        draw_fit(text, recording->names[mark->name], 70);
        out_xml(picture->out, text);
        draw_time(time, mark->at - picture->window.from);
        out_format(picture->out, " = %" PRId64 " at %s</title></path>\n",
                   mark->value, time);
        free = x + APART;
    }
}
