/* Numbers, boxes and texts of an SVG. */
#include "trace/svg.h"

#include <string.h>

void
svg_number(struct out *out, double value)
{
    const long tenths = (long)(value * 10 + (value < 0 ? -.5 : .5));

    if (tenths < 0)
        out_char(out, '-');
    const unsigned long size = (unsigned long)(tenths < 0 ? -tenths : tenths);

    if (size % 10)
        out_fixed(out, size, 1);
    else
        out_unsigned(out, size / 10);
}

void
svg_attribute(struct out *out, const char *name, double value)
{
    out_char(out, ' ');
    out_text(out, name);
    out_text(out, "=\"");
    svg_number(out, value);
    out_char(out, '"');
}

void
svg_box(struct out *out, double x, double y, double width, double height)
{
    out_char(out, 'M');
    svg_number(out, x);
    out_char(out, ' ');
    svg_number(out, y);
    out_char(out, 'h');
    svg_number(out, width);
    out_char(out, 'v');
    svg_number(out, height);
    out_char(out, 'h');
    svg_number(out, -width);
    out_char(out, 'z');
}

void
svg_text(struct out *out, struct svg_place place, const char *text,
         size_t characters)
{
    char shown[DRAW_LABEL];

    draw_fit(shown, text, characters);
    out_format(out, "<text class=\"%s\"", place.class);
    svg_attribute(out, "x", place.x);
    svg_attribute(out, "y", place.y);
    out_char(out, '>');
    if (strcmp(shown, text) != 0)
        svg_title(out, text);
    out_xml(out, shown);
    out_text(out, "</text>\n");
}

void
svg_title(struct out *out, const char *text)
{
    out_text(out, "<title>");
    out_xml(out, text);
    out_text(out, "</title>");
}
