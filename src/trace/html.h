/* The page: one file that needs no network. view.html is its frame; style,
 * data and scripts are put in where it says so.
 *
 * The data is one JSON object; arrays of numbers are flat, and times in them
 * count from the begin of the entry before (the first: from 0):
 *   bars    begin, length, cpu, delay, flags, name          for one task
 *           begin, length, cpu, busy, flags | BAR_MERGED, count, n, n names
 *   strips  begin, length, kind 0 on a CPU, 1 lock, 2 other
 *           begin, length, 3, on, lock, other               mixed
 *   turns   begin, length, on a CPU, lane or -1
 *   spans   begin, length, depth, name, unfinished
 *   marks   begin, value, name
 * A page holds at most HTML_BARS bars and HTML_STRIPS strips a recording, by
 * the rule of merging in draw.h; so its size has a limit too. */
#ifndef TRACE_HTML_H
#define TRACE_HTML_H

#include "trace/draw.h"
#include "trace/out.h"

enum {
    HTML_LANES = 400,
    HTML_BARS = 60000,
    HTML_STRIPS = 60000,
    HTML_POINTS = 20000, /* spans, marks, values of counters, each */
    HTML_LOADS = 2048,   /* pieces of the curves, where lanes are missing */
    BAR_MERGED = 256
};

/* The recording as an object of JSON. -ENOMEM. */
int html_data(struct out *out, const struct weft_recording *recording);

/* The files view*.*, made into text when the library is built. */
extern const char view_html[], view_css[], view_js[];

#endif
