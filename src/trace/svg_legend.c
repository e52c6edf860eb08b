/* The legend: what is in the picture, and nothing else. */
#include "trace/svg.h"

enum {
    COLUMNS = 4,
    COLUMN = 290,
    ROW = 24
};

/* Samples are 26 by 14 pixels, from 0, 0 on. */
static const struct {
    unsigned seen; /* 0: always there */
    const char *sample, *text;
} entries[] = {
    {0, "<g class=\"c0\"><path class=\"on\" d=\"M0 0h26v14h-26z\"/></g>",
     "on a CPU"},
    {0, "<g class=\"c0\"><path class=\"b\" d=\"M.5.5h25v13h-25z\"/></g>",
     "task in progress, not on a CPU"},
    {SVG_CRITICAL, "<path class=\"k\" d=\"M1 1h24v12h-24z\"/>",
     "on the critical path"},
    {0, "<path class=\"idle\" d=\"M0 0h26v14h-26z\"/>", "idle: no task"},
    {SVG_LOCKS, "<path class=\"lock\" d=\"M0 0h26v14h-26z\"/>",
     "task waits for a lock"},
    {SVG_WAITS, "<path class=\"wait\" d=\"M0 0h26v14h-26z\"/>",
     "task waits for something else"},
    {0, "<path class=\"got\" d=\"M0 0h26v14h-26z\"/>",
     "parallelism: tasks on a CPU"},
    {0,
     "<path class=\"not\" d=\"M0 0h26v14h-26z\"/>"
     "<path class=\"prog\" d=\"M0 1h26\"/>",
     "concurrency that got no CPU"},
    {SVG_MERGED,
     "<g class=\"c0\"><path class=\"m\" d=\"M0 4h13v10h-13zM13 0h13v14h-13z\"/>"
     "<path class=\"on\" d=\"M0 10h13v4h-13zM13 8h13v6h-13z\"/></g>",
     "short tasks in one: as high as busy"},
    {SVG_UNFINISHED,
     "<g class=\"c0\"><path class=\"b u\" d=\"M.5.5h25v13h-25z\"/></g>",
     "did not end"},
    {SVG_FAILED, "<path class=\"x\" d=\"M0 0h3v14h-3z\"/>",
     "ended with a failure"},
    {SVG_SPANS, "<path class=\"sp\" d=\"M0 1h26v11h-26z\"/>",
     "span that the program named"},
    {SVG_MARKS, "<path class=\"mk\" d=\"M8 3h10l-5 8z\"/>", "mark"},
};

enum {
    ENTRIES = sizeof entries / sizeof *entries
};

static bool
is_there(size_t entry, unsigned seen)
{
    return entries[entry].seen == 0 || (entries[entry].seen & seen);
}

double
svg_legend_height(unsigned seen)
{
    unsigned count = 0;

    for (size_t i = 0; i < ENTRIES; i++)
        count += is_there(i, seen);
    const unsigned rows = (count + COLUMNS - 1) / COLUMNS;

    return rows * ROW;
}

void
svg_legend(struct out *out, double y, unsigned seen)
{
    unsigned at = 0;

    for (size_t i = 0; i < ENTRIES; i++) {
        if (!is_there(i, seen))
            continue;
        const double x = SVG_MARGIN + at % COLUMNS * COLUMN;
        const unsigned row = at / COLUMNS;
        const double top = y + row * ROW;

        out_text(out, "<g transform=\"translate(");
        svg_number(out, x);
        out_char(out, ' ');
        svg_number(out, top);
        out_text(out, ")\">");
        out_text(out, entries[i].sample);
        out_text(out, "</g>");
        svg_text(out, (struct svg_place){"leg", x + 34, top + 12},
                 entries[i].text, 60);
        at++;
    }
}
