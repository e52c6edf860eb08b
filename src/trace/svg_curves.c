/* Tasks on a CPU under tasks in progress: between them lies concurrency that
 * got no CPU. Each point is the mean over half a pixel. */
#include "trace/svg.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

enum {
    ABOVE = 10,
    HIGH = 84,
    A_PIXEL = 2
};

struct curves {
    const struct picture *picture;
    struct recorded_load *load;
    size_t count;
    double top; /* the value at the upper end */
};

double
svg_curves_height(void)
{
    return ABOVE + HIGH;
}

static double
height_of(const struct curves *curves, double value)
{
    return curves->picture->y + HIGH * (1 - value / curves->top);
}

static double
value_at(const struct curves *curves, size_t at, bool parallel)
{
    const struct recorded_load *load = &curves->load[at];

    return parallel ? load->parallelism : load->concurrency;
}

/* The steps of a curve as the rest of a path that begins at the bottom left;
 * it ends at the right, at the last value. */
static void
put_steps(const struct curves *curves, bool parallel)
{
    struct out *out = curves->picture->out;
    double last = height_of(curves, 0);

    for (size_t i = 0; i < curves->count; i++) {
        const double y = height_of(curves, value_at(curves, i, parallel));

        if (y - last < .1 && last - y < .1)
            continue;
        out_char(out, 'H');
        svg_number(out, SVG_LEFT + (double)i / A_PIXEL);
        out_char(out, 'V');
        svg_number(out, y);
        last = y;
    }
    out_char(out, 'H');
    svg_number(out, SVG_LEFT + svg_wide(curves->picture));
}

static void
put_curve(const struct curves *curves, const char *class, bool parallel,
          bool area)
{
    struct out *out = curves->picture->out;
    const double bottom = height_of(curves, 0);

    out_format(out, "<path class=\"%s\" d=\"M%d ", class, SVG_LEFT);
    svg_number(out, bottom);
    put_steps(curves, parallel);
    out_char(out, 'V');
    svg_number(out, bottom);
    out_text(out, area ? "z\"/>\n" : "\"/>\n");
}

static void
put_scale(const struct curves *curves)
{
    struct out *out = curves->picture->out;
    const uint64_t step = draw_step((uint64_t)curves->top, 5);

    for (uint64_t value = 0; (double)value <= curves->top; value += step) {
        const double y = height_of(curves, (double)value);
        char text[24];

        out_format(out, "<path class=\"grid\" d=\"M%d ", SVG_LEFT);
        svg_number(out, y);
        out_format(out, "h%d\"/>", SVG_PLOT);
        snprintf(text, sizeof text, "%llu", (unsigned long long)value);
        svg_text(out, (struct svg_place){"small num", SVG_LEFT - 8, y + 4},
                 text, 20);
    }
}

static void
put_names(const struct picture *picture)
{
    struct out *out = picture->out;
    const double x = SVG_MARGIN, y = picture->y;

    svg_text(out, (struct svg_place){"name", x, y + 14}, "concurrency", 20);
    svg_text(out, (struct svg_place){"small", x, y + 29}, "tasks in progress",
             20);
    svg_text(out, (struct svg_place){"name par", x, y + 54}, "parallelism", 20);
    svg_text(out, (struct svg_place){"small par", x, y + 69}, "tasks on a CPU",
             20);
}

static double
highest(const struct curves *curves)
{
    double most = 1;

    for (size_t i = 0; i < curves->count; i++) {
        const struct recorded_load *load = &curves->load[i];

        if (load->concurrency > most)
            most = load->concurrency;
        if (load->parallelism > most)
            most = load->parallelism;
    }
    /* Up to a whole number, but not for what rounding added. */
    return (double)(uint64_t)(most + .99);
}

int
svg_curves(struct picture *picture)
{
    const struct weft_recording *recording = picture->recording;
    struct curves curves = {.picture = picture};

    picture->y += ABOVE;
    curves.count = (size_t)(svg_wide(picture) * A_PIXEL) + 1;
    curves.load = calloc(curves.count, sizeof *curves.load);
    if (!curves.load)
        return -ENOMEM;
    const uint64_t from = picture->window.from;
    const uint64_t length =
        (uint64_t)((double)curves.count / A_PIXEL * picture->pixel);
    const int error = recording_load(recording, from, from + length + 1,
                                     curves.load, curves.count);

    if (error < 0) {
        free(curves.load);
        return error;
    }
    curves.top = highest(&curves);
    put_names(picture);
    put_scale(&curves);
    put_curve(&curves, "not", false, true);
    put_curve(&curves, "got", true, true);
    put_curve(&curves, "prog", false, false);
    free(curves.load);
    picture->y += HIGH;
    return 0;
}
