/* What the pictures of a recording share: which workers get a lane, what is
 * merged where there is too much to draw, and times and numbers in words.
 *
 * The rule of merging: tasks that are both shorter than the grain, lie closer
 * together than it and together last at most two of it become one bar, which
 * knows how many they are, their times and up to four of their names. A longer
 * task always keeps a bar of its own. A grain of 0 merges nothing.
 *
 * All of it only reads the recording. Readers are plain structs on the stack:
 * begin, then next until it says false; nothing to free. */
#ifndef TRACE_DRAW_H
#define TRACE_DRAW_H

#include "trace/recording.h"

enum {
    DRAW_TIME = 24,  /* a time in words, with its end */
    DRAW_COUNT = 28, /* a count in words, with its end */
    DRAW_LABEL = 80, /* a name that was cut, with its end */
    DRAW_ROWS = 4,   /* depths of tasks that are told apart */
    DRAW_COLOURS = 6,
    DRAW_MERGE_ABOVE = 2000, /* tasks; no picture merges fewer */
    BAR_NAMES = 4
};

/* ---- draw_text.c */

/* "60.3 ms": three digits of it and the unit. */
void draw_time(char out[DRAW_TIME], uint64_t ns);

/* "1,234,567" */
void draw_count(char out[DRAW_COUNT], uint64_t count);

/* The start of a text that is at most so many characters long; "..." in one
 * character says that it was cut. */
void draw_fit(char out[DRAW_LABEL], const char *text, size_t characters);

/* The same by the width that it will have, in pixels, in letters of such a
 * size; an estimate, on the safe side. "" where not even two fit. */
void draw_fit_width(char out[DRAW_LABEL], const char *text, double wide,
                    unsigned size);

/* The least of 1, 2, 5, 10, 20, ... that divides `whole` into at most
 * `pieces`. */
uint64_t draw_step(uint64_t whole, unsigned pieces);

/* ---- draw_window.c: when is drawn */

/* From the first submission of a task to the last end, which the metrics are
 * about too; all of the recording where there is none. */
struct window {
    uint64_t from, to; /* from < to */
};

struct window draw_window(const struct weft_recording *recording);

/* ---- draw_lanes.c: who is drawn */

/* A worker that had tasks, or, being the program's own, was on a CPU for more
 * than a hundredth of the time. */
struct draw_lane {
    uint64_t busy; /* time with a task in progress; inner ones count again */
    uint32_t worker;
    uint16_t rows;      /* 1..DRAW_ROWS, by the depth of its tasks */
    uint16_t span_rows; /* 0..2, by the depth of its spans */
};

struct draw_lanes {
    struct draw_lane *lane; /* in the order of the workers */
    uint8_t *colour; /* of each worker of the recording: below DRAW_COLOURS,
                        or that when it has no lane */
    uint32_t count;
    uint32_t more;  /* busy workers that got no lane */
    uint64_t tasks; /* in the lanes that are there */
    unsigned flags; /* enum recorded_task_flags that occur in them */
};

/* The `most` busiest workers that had something to do. -ENOMEM. What it makes
 * is freed by lanes_free, which takes all-zero too. */
int lanes_choose(struct draw_lanes *lanes,
                 const struct weft_recording *recording, uint32_t most);
void lanes_free(struct draw_lanes *lanes);

/* ---- draw_bars.c: the tasks of one worker and one row */

struct bar {
    uint64_t begin, end;
    uint64_t busy;  /* time with a task in progress, at most end - begin */
    uint64_t cpu;   /* on a CPU */
    uint32_t task;  /* the longest of them */
    uint32_t count; /* of tasks */
    uint32_t name[BAR_NAMES];
    uint16_t names; /* how many are there */
    uint16_t flags; /* enum recorded_task_flags of any */
};

struct bar_reader {
    const struct weft_recording *recording;
    uint64_t grain;
    uint32_t at, end; /* tasks not seen yet */
    uint16_t row;     /* tasks of that depth; the last: and deeper ones */
    struct bar open;  /* may still grow; count 0: none */
};

void bars_begin(struct bar_reader *reader,
                const struct weft_recording *recording, uint32_t worker,
                uint16_t row, uint64_t grain);
bool bars_next(struct bar_reader *reader, struct bar *out);

/* The least grain, `least` times a power of two, with which the lanes have at
 * most `limit` bars; 0 when they have at most DRAW_MERGE_ABOVE tasks. */
uint64_t bars_grain(const struct weft_recording *recording,
                    const struct draw_lanes *lanes, uint64_t least,
                    uint32_t limit);

/* ---- draw_strips.c: what a worker's tasks did */

/* Parts of its time that a task was on a CPU, waited for a lock or for anything
 * else; the rest it was off the CPU: mostly it wanted one. Their sum is at most
 * end - begin, but for who spins while he waits. */
struct strip {
    uint64_t begin, end;
    uint64_t on, lock, other;
};

/* Pieces of one kind of interval that lie within tasks; what the program's own
 * code did on a CPU counts outside of them, too. */
struct piece_reader {
    uint32_t at, end;        /* intervals not done yet */
    uint32_t task, task_end; /* tasks not done yet */
    bool whole;              /* of the window, not only within tasks */
    bool waits;              /* or runs */
    bool full;               /* `piece` is there */
    struct strip piece;
};

struct strip_reader {
    const struct weft_recording *recording;
    uint64_t grain;
    struct piece_reader runs, waits;
    struct strip open; /* begin == end: none */
};

void strips_begin(struct strip_reader *reader,
                  const struct weft_recording *recording, uint32_t worker,
                  uint64_t grain);
bool strips_next(struct strip_reader *reader, struct strip *out);
uint64_t strips_grain(const struct weft_recording *recording,
                      const struct draw_lanes *lanes, uint64_t least,
                      uint32_t limit);

/* ---- draw_turns.c: what ran on a CPU */

struct turn {
    uint64_t begin, end;
    uint64_t on;
    uint32_t worker; /* who had most of it */
};

struct turn_reader {
    const struct weft_recording *recording;
    uint64_t grain;
    uint32_t at, end; /* of cpu_runs[] */
    uint64_t lead;    /* how much more of the open one its worker has */
    struct turn open; /* begin == end: none */
};

void turns_begin(struct turn_reader *reader,
                 const struct weft_recording *recording, uint32_t cpu,
                 uint64_t grain);
bool turns_next(struct turn_reader *reader, struct turn *out);
uint64_t turns_grain(const struct weft_recording *recording, uint32_t cpus,
                     uint64_t least, uint32_t limit);

/* ---- draw_metrics.c: the numbers beside a picture */

enum {
    METRIC_ROWS = 14
};

struct metric_row {
    const char *label;
    char value[48];
};

/* Fills in up to METRIC_ROWS, those that say something; how many. */
size_t metric_rows(const struct weft_recording *recording,
                   struct metric_row rows[METRIC_ROWS]);

/* "2 workers, 1 CPU" */
void draw_headline(const struct weft_recording *recording,
                   char out[DRAW_LABEL]);

/* What is wrong with the recording, or "". */
enum {
    DRAW_WARNING = 256
};

void draw_warning(const struct weft_recording *recording,
                  char out[DRAW_WARNING]);

#endif
