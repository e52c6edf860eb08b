/* Being on a CPU and waiting, cut to the time in tasks and merged. */
#include "trace/draw.h"

/* Where on-CPU times are estimates there are no runs, but each task says for
 * how long it ran: then its whole time is a strip that is as full as that. */
static struct strip
interval(const struct weft_recording *recording,
         const struct piece_reader *reader)
{
    if (reader->waits) {
        const struct recorded_wait *wait = &recording->waits[reader->at];
        const uint64_t time = wait->end - wait->begin;

        return (struct strip){wait->begin, wait->end, 0, wait->lock ? time : 0,
                              wait->lock ? 0 : time};
    }
    const struct recorded_run *run = &recording->runs[reader->at];

    return (struct strip){run->begin, run->end, run->end - run->begin, 0, 0};
}

static void
cut(struct strip *strip, uint64_t begin, uint64_t end)
{
    strip->begin = begin;
    strip->end = end;
    /* An interval is wholly of one kind. */
    strip->on = strip->on ? end - begin : 0;
    strip->lock = strip->lock ? end - begin : 0;
    strip->other = strip->other ? end - begin : 0;
}

/* The next piece of an interval that lies within the window. */
static void
fetch_whole(const struct weft_recording *recording, struct piece_reader *reader)
{
    const struct window window = draw_window(recording);

    reader->full = false;
    for (; reader->at < reader->end && !reader->full; reader->at++) {
        struct strip strip = interval(recording, reader);
        const uint64_t begin =
            window.from > strip.begin ? window.from : strip.begin;
        const uint64_t end = window.to < strip.end ? window.to : strip.end;

        if (begin >= end)
            continue;
        cut(&strip, begin, end);
        reader->piece = strip;
        reader->full = true;
    }
}

/* The next piece of an interval that lies within an outermost task. */
static void
fetch(const struct weft_recording *recording, struct piece_reader *reader)
{
    if (reader->whole) {
        fetch_whole(recording, reader);
        return;
    }
    reader->full = false;
    while (reader->at < reader->end && reader->task < reader->task_end) {
        const struct recorded_task *task = &recording->tasks[reader->task];
        struct strip strip = interval(recording, reader);

        if (task->depth > 0) {
            reader->task++;
            continue;
        }
        const uint64_t begin =
            task->begin > strip.begin ? task->begin : strip.begin;
        const uint64_t end = task->end < strip.end ? task->end : strip.end;

        if (strip.end <= task->end)
            reader->at++;
        else
            reader->task++;
        if (begin < end) {
            cut(&strip, begin, end);
            reader->piece = strip;
            reader->full = true;
            return;
        }
    }
}

static struct piece_reader
pieces_of(const struct weft_recording *recording,
          const struct recorded_worker *worker, bool waits)
{
    const struct part intervals = waits ? worker->waits : worker->runs;
    struct piece_reader reader = {
        .at = intervals.first,
        .end = intervals.first + intervals.count,
        .task = worker->tasks.first,
        .task_end = worker->tasks.first + worker->tasks.count,
        .whole = worker->own && !waits,
        .waits = waits,
    };

    fetch(recording, &reader);
    return reader;
}

/* Estimated: the tasks themselves. */
static void
fetch_task(const struct weft_recording *recording, struct piece_reader *reader)
{
    reader->full = false;
    while (reader->task < reader->task_end && !reader->full) {
        const struct recorded_task *task = &recording->tasks[reader->task++];
        const uint64_t time = task->end - task->begin;

        reader->piece = (struct strip){
            task->begin, task->end, task->cpu < time ? task->cpu : time, 0, 0};
        reader->full = time > 0;
    }
}

void
strips_begin(struct strip_reader *reader,
             const struct weft_recording *recording, uint32_t worker,
             uint64_t grain)
{
    const struct recorded_worker *who = &recording->workers[worker];

    *reader = (struct strip_reader){
        .recording = recording,
        .grain = grain,
        .runs = pieces_of(recording, who, false),
        .waits = pieces_of(recording, who, true),
    };
    if (recording->estimated)
        fetch_task(recording, &reader->runs);
}

static bool
next_piece(struct strip_reader *reader, struct strip *out)
{
    struct piece_reader *runs = &reader->runs, *waits = &reader->waits;

    if (runs->full &&
        (!waits->full || runs->piece.begin <= waits->piece.begin)) {
        *out = runs->piece;
        if (reader->recording->estimated)
            fetch_task(reader->recording, runs);
        else
            fetch(reader->recording, runs);
        return true;
    }
    if (!waits->full)
        return false;
    *out = waits->piece;
    fetch(reader->recording, waits);
    return true;
}

static bool
is_mixed(const struct strip *strip)
{
    return strip->on + strip->lock + strip->other != strip->end - strip->begin;
}

/* Of one kind and without a gap. */
static bool
goes_on(const struct strip *open, const struct strip *next)
{
    return next->begin == open->end && !is_mixed(open) && !is_mixed(next) &&
           !open->on == !next->on && !open->lock == !next->lock &&
           !open->other == !next->other;
}

static bool
may_share(const struct strip *open, const struct strip *next, uint64_t grain)
{
    return open->begin < open->end &&
           (goes_on(open, next) || (next->end - next->begin < grain &&
                                    open->end - open->begin < 2 * grain &&
                                    next->begin < open->end + grain &&
                                    next->end <= open->begin + 2 * grain));
}

bool
strips_next(struct strip_reader *reader, struct strip *out)
{
    struct strip *open = &reader->open;
    struct strip next;

    while (next_piece(reader, &next)) {
        if (may_share(open, &next, reader->grain)) {
            if (next.end > open->end)
                open->end = next.end;
            open->on += next.on;
            open->lock += next.lock;
            open->other += next.other;
            continue;
        }
        *out = *open;
        *open = next;
        if (out->begin < out->end)
            return true;
    }
    *out = *open;
    open->end = open->begin;
    return out->begin < out->end;
}

static bool
too_many(const struct weft_recording *recording, const struct draw_lanes *lanes,
         uint64_t grain, uint32_t limit)
{
    uint32_t count = 0;

    for (uint32_t i = 0; i < lanes->count; i++) {
        struct strip_reader reader;
        struct strip strip;

        strips_begin(&reader, recording, lanes->lane[i].worker, grain);
        while (strips_next(&reader, &strip))
            if (++count > limit)
                return true;
    }
    return false;
}

uint64_t
strips_grain(const struct weft_recording *recording,
             const struct draw_lanes *lanes, uint64_t least, uint32_t limit)
{
    uint64_t grain = least > 0 ? least : 1;

    while (grain <= recording->wall && too_many(recording, lanes, grain, limit))
        grain *= 2;
    return grain;
}
