/* The time axis. Its ticks are round in the unit that they are written in. */
#include "trace/svg.h"

#include <stdio.h>

enum {
    HIGH = 26,
    TICKS = 8
};

static const struct {
    uint64_t ns;
    const char *name;
} units[] = {
    {1000000000, "s"},
    {1000000, "ms"},
    {1000, "\xc2\xb5s"},
    {1, "ns"},
};

double
svg_axis_height(void)
{
    return HIGH;
}

static void
put_tick(const struct picture *picture, uint64_t at, uint64_t step)
{
    const uint64_t whole = (uint64_t)(SVG_PLOT * picture->pixel + .5);
    size_t unit = 0;
    char text[32];

    /* Down to the unit of which the picture has two. */
    while (units[unit].ns > 1 && whole < 2 * units[unit].ns)
        unit++;
    snprintf(text, sizeof text, "%.*f %s", step < units[unit].ns ? 1 : 0,
             (double)at / (double)units[unit].ns, units[unit].name);
    out_text(picture->out, "<path class=\"axis\" d=\"M");
    svg_number(picture->out, SVG_LEFT + (double)at / picture->pixel);
    out_char(picture->out, ' ');
    svg_number(picture->out, picture->y);
    out_text(picture->out, "v5\"/>");
    svg_text(picture->out,
             (struct svg_place){"tick", SVG_LEFT + (double)at / picture->pixel,
                                picture->y + 18},
             text, 20);
}

void
svg_axis(struct picture *picture)
{
    const uint64_t whole = (uint64_t)(SVG_PLOT * picture->pixel + .5);
    const uint64_t step = draw_step(whole, TICKS);

    out_format(picture->out, "<path class=\"axis\" d=\"M%d ", SVG_LEFT);
    svg_number(picture->out, picture->y);
    out_format(picture->out, "h%d\"/>\n", SVG_PLOT);
    for (uint64_t at = 0; at <= whole; at += step)
        put_tick(picture, at, step);
    picture->y += HIGH;
}
