/* A curve a counter of the program's, from its lowest value or 0 to its
 * highest. */
#include "trace/svg.h"

#include <inttypes.h>
#include <stdio.h>

enum {
    ABOVE = 14,
    HIGH = 30
};

/* The values of one name: [first, end). */
struct counter {
    uint32_t first, end;
    double low, high;
};

/* The counter after that which ends at `from`; false when there is none. */
static bool
next_counter(const struct weft_recording *recording, uint32_t from,
             struct counter *out)
{
    const struct recorded_value *value = &recording->counters[from];

    if (from == recording->counter_count)
        return false;
    *out = (struct counter){.first = from, .end = from};
    for (uint32_t name = value->name;
         out->end < recording->counter_count && value->name == name;
         value++, out->end++) {
        if ((double)value->value < out->low)
            out->low = (double)value->value;
        if ((double)value->value > out->high)
            out->high = (double)value->value;
    }
    if (out->high <= out->low)
        out->high = out->low + 1;
    return true;
}

double
svg_counters_height(const struct picture *picture)
{
    struct counter counter = {0};
    unsigned count = 0;

    while (count < SVG_COUNTERS &&
           next_counter(picture->recording, counter.end, &counter))
        count++;
    return count * (ABOVE + HIGH);
}

static double
height_of(const struct picture *picture, const struct counter *counter,
          int64_t value)
{
    return picture->y + HIGH * (counter->high - (double)value) /
                            (counter->high - counter->low);
}

/* Values that follow one another within half a pixel: the last. */
static void
put_steps(const struct picture *picture, const struct counter *counter)
{
    const struct recorded_value *values = picture->recording->counters;

    for (uint32_t i = counter->first; i < counter->end; i++) {
        const double x = svg_x(picture, values[i].at);
        const double y = height_of(picture, counter, values[i].value);

        if (i > counter->first && i + 1 < counter->end &&
            svg_x(picture, values[i + 1].at) < x + .5)
            continue;
        out_char(picture->out, i > counter->first ? 'H' : 'M');
        svg_number(picture->out, x);
        out_char(picture->out, i > counter->first ? 'V' : ' ');
        svg_number(picture->out, y);
    }
    out_char(picture->out, 'H');
    svg_number(picture->out, SVG_LEFT + svg_wide(picture));
}

static void
put_counter(const struct picture *picture, const struct counter *counter)
{
    const struct weft_recording *recording = picture->recording;
    struct out *out = picture->out;
    char range[DRAW_LABEL];

    svg_text(out, (struct svg_place){"leg", SVG_MARGIN, picture->y + 12},
             recording->names[recording->counters[counter->first].name], 15);
    snprintf(range, sizeof range, "%" PRId64 " to %" PRId64,
             (int64_t)counter->low, (int64_t)counter->high);
    svg_text(out, (struct svg_place){"small", SVG_MARGIN, picture->y + 27},
             range, 20);
    out_text(out, "<path class=\"bg\" d=\"");
    svg_box(out, SVG_LEFT, picture->y, svg_wide(picture), HIGH);
    out_text(out, "\"/>\n<path class=\"cnt\" d=\"");
    put_steps(picture, counter);
    out_text(out, "\"/>\n");
}

void
svg_counters(struct picture *picture)
{
    struct counter counter = {0};

    for (unsigned i = 0;
         i < SVG_COUNTERS &&
         next_counter(picture->recording, counter.end, &counter);
         i++) {
        picture->y += ABOVE;
        put_counter(picture, &counter);
        picture->y += HIGH;
    }
}
