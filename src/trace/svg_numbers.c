/* The metrics in their box. */
#include "trace/svg.h"

enum {
    ROW = 23,
    ABOVE = 14,
    WIDE = SVG_WIDTH - SVG_MARGIN - SVG_BOX
};

double
svg_numbers_height(const struct weft_recording *recording)
{
    struct metric_row rows[METRIC_ROWS];

    return (double)metric_rows(recording, rows) * ROW + ABOVE;
}

void
svg_numbers(const struct picture *picture)
{
    struct metric_row rows[METRIC_ROWS];
    const size_t count = metric_rows(picture->recording, rows);
    struct out *out = picture->out;

    out_text(out, "<rect class=\"box\" rx=\"6\"");
    svg_attribute(out, "x", SVG_BOX);
    svg_attribute(out, "y", picture->y);
    svg_attribute(out, "width", WIDE);
    svg_attribute(out, "height", svg_numbers_height(picture->recording));
    out_text(out, "/>\n");
    for (size_t i = 0; i < count; i++) {
        const double y = picture->y + ABOVE + 10 + (double)i * ROW;

        svg_text(out, (struct svg_place){"sub", SVG_BOX + 12, y}, rows[i].label,
                 40);
        svg_text(out, (struct svg_place){"val", SVG_BOX + WIDE - 12, y},
                 rows[i].value, 40);
    }
}
