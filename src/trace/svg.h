/* The parts of the SVG picture. Each part writes itself at picture->y and
 * moves y below itself; its height is known before, from the part's *_height.
 *
 * Lengths are in pixels of a picture that is SVG_WIDTH wide. Style is by class
 * (svg_style.c), text is text, and all that comes from a recording is escaped.
 */
#ifndef TRACE_SVG_H
#define TRACE_SVG_H

#include "trace/draw.h"
#include "trace/out.h"

enum {
    SVG_WIDTH = 1200,
    SVG_MARGIN = 20,
    SVG_LEFT = 150, /* where time 0 is */
    SVG_PLOT = 760, /* from there to the end of the longest recording */
    SVG_BOX = 940,  /* the numbers at the right */
    SVG_LANES = 16, /* at most; the same of CPUs */
    SVG_CPUS = 16,
    SVG_COUNTERS = 4
};

/* What there is, and so stands in the legend. */
enum svg_seen {
    SVG_LOCKS = 1,
    SVG_WAITS = 2,
    SVG_MERGED = 4,
    SVG_MARKS = 8,
    SVG_SPANS = 16,
    SVG_UNFINISHED = 32,
    SVG_FAILED = 64,
    SVG_CRITICAL = 128
};

struct picture {
    struct out *out;
    const struct weft_recording *recording;
    struct draw_lanes lanes;
    struct window window;
    double pixel; /* nanoseconds of one */
    double y;
    double height;
};

/* Where a time lies; what is outside of the window, at its end. */
static inline double
svg_x(const struct picture *picture, uint64_t ns)
{
    const struct window window = picture->window;
    const uint64_t inside = ns < window.from ? window.from
                            : ns > window.to ? window.to
                                             : ns;

    return SVG_LEFT + (double)(inside - window.from) / picture->pixel;
}

static inline bool
svg_outside(const struct picture *picture, uint64_t begin, uint64_t end)
{
    return end <= picture->window.from || begin >= picture->window.to;
}

static inline double
svg_wide(const struct picture *picture)
{
    return svg_x(picture, picture->window.to) - SVG_LEFT;
}

/* ---- svg_out.c */

/* With one decimal at most, and none if it would be 0. */
void svg_number(struct out *out, double value);

/* " name='value'" */
void svg_attribute(struct out *out, const char *name, double value);

/* A box as a part of a path. */
void svg_box(struct out *out, double x, double y, double width, double height);

/* Where a text begins, or as its class says has its middle or end; y is that of
 * the line that it stands on. */
struct svg_place {
    const char *class;
    double x, y;
};

/* A text of at most so many characters; what was cut can be hovered. */
void svg_text(struct out *out, struct svg_place place, const char *text,
              size_t characters);

/* "<title>", "escaped", "</title>" */
void svg_title(struct out *out, const char *text);

/* ---- svg_style.c, svg_legend.c */

void svg_style(struct out *out);
double svg_legend_height(unsigned seen);
void svg_legend(struct out *out, double y, unsigned seen);

/* ---- svg_lanes.c, svg_marks.c: the workers */

double svg_lanes_height(const struct picture *picture);
void svg_lanes(struct picture *picture);

/* Spans in rows from `y` down, and the marks of a worker above `y - 2`. */
enum {
    SVG_SPAN_ROW = 13
};

void svg_spans(const struct picture *picture, const struct draw_lane *lane,
               double y);
void svg_marks(const struct picture *picture, uint32_t worker, double y);

/* ---- svg_cpus.c */

double svg_cpus_height(const struct picture *picture);
void svg_cpus(struct picture *picture);

/* ---- svg_curves.c, svg_counters.c, svg_axis.c */

double svg_curves_height(void);
int svg_curves(struct picture *picture); /* -ENOMEM */
double svg_counters_height(const struct picture *picture);
void svg_counters(struct picture *picture);
double svg_axis_height(void);
void svg_axis(struct picture *picture);

/* ---- svg_numbers.c: the metrics, in a box at the right from picture->y on;
 * moves nothing */

double svg_numbers_height(const struct weft_recording *recording);
void svg_numbers(const struct picture *picture);

#endif
