/* A lane a CPU, coloured by the worker that it ran. */
#include "trace/svg.h"

#include <stdio.h>

enum {
    LANE = 18,
    GAP = 5,
    BELOW = 6,
    MOST = 3000
};

static uint32_t
shown(const struct picture *picture)
{
    const uint32_t count = picture->recording->cpu_count;

    return count < SVG_CPUS ? count : SVG_CPUS;
}

double
svg_cpus_height(const struct picture *picture)
{
    const uint32_t count = shown(picture);

    return count == 0 ? 0
                      : BELOW + count * (LANE + GAP) +
                            (picture->recording->cpu_count > count ? 18 : 0);
}

/* The turns of workers of one colour. */
static void
put_colour(const struct picture *picture, uint32_t cpu, unsigned colour,
           uint64_t grain)
{
    struct turn_reader reader;
    struct turn turn;
    uint64_t whole = 0;
    char time[DRAW_TIME];
    bool any = false;

    turns_begin(&reader, picture->recording, cpu, grain);
    while (turns_next(&reader, &turn)) {
        if (picture->lanes.colour[turn.worker] != colour ||
            svg_outside(picture, turn.begin, turn.end))
            continue;
        const double x = svg_x(picture, turn.begin);
        const double wide = svg_x(picture, turn.end) - x;
        const double part = (double)turn.on / (double)(turn.end - turn.begin);
        const double high = LANE * (part < 1 ? part : 1);

        if (!any)
            out_format(picture->out,
                       "<g class=\"c%u\"><path class=\"cpu\" d=\"", colour);
        any = true;
        whole += turn.on;
        svg_box(picture->out, x, picture->y + LANE - high,
                wide < .3 ? .3 : wide, high);
    }
    if (!any)
        return;
    draw_time(time, whole);
    out_format(picture->out, "\"><title>CPU %u: %s of this colour",
               picture->recording->cpu[cpu].number, time);
    out_text(picture->out, "</title></path></g>\n");
}

static void
put_cpu(const struct picture *picture, uint32_t cpu, uint64_t grain)
{
    const struct weft_recording *recording = picture->recording;
    char text[32];

    snprintf(text, sizeof text, "CPU %u", recording->cpu[cpu].number);
    svg_text(picture->out,
             (struct svg_place){"leg", SVG_MARGIN + 14, picture->y + 14}, text,
             20);
    out_text(picture->out, "<path class=\"bg\" d=\"");
    svg_box(picture->out, SVG_LEFT, picture->y, svg_wide(picture), LANE);
    out_text(picture->out, "\"/>\n");
    for (unsigned colour = 0; colour <= DRAW_COLOURS; colour++)
        put_colour(picture, cpu, colour, grain);
}

void
svg_cpus(struct picture *picture)
{
    const uint32_t count = shown(picture);

    if (count == 0)
        return;
    const uint64_t grain = turns_grain(picture->recording, count,
                                       (uint64_t)(picture->pixel / 2), MOST);

    picture->y += BELOW;
    for (uint32_t i = 0; i < count; i++) {
        put_cpu(picture, i, grain);
        picture->y += LANE + GAP;
    }
    if (count == picture->recording->cpu_count)
        return;
    char text[DRAW_LABEL];

    snprintf(text, sizeof text, "and %u more CPUs",
             picture->recording->cpu_count - count);
    svg_text(picture->out, (struct svg_place){"sub", SVG_LEFT, picture->y + 10},
             text, 70);
    picture->y += 18;
}
