/* Tasks become bars; where there are too many, short ones share one. */
#include "trace/draw.h"

void
bars_begin(struct bar_reader *reader, const struct weft_recording *recording,
           uint32_t worker, uint16_t row, uint64_t grain)
{
    const struct part tasks = recording->workers[worker].tasks;

    *reader = (struct bar_reader){
        .recording = recording,
        .grain = grain,
        .at = tasks.first,
        .end = tasks.first + tasks.count,
        .row = row,
    };
}

static struct bar
bar_of(const struct weft_recording *recording, uint32_t index)
{
    const struct recorded_task *task = &recording->tasks[index];

    return (struct bar){
        .begin = task->begin,
        .end = task->end,
        .busy = task->end - task->begin,
        .cpu = task->cpu,
        .task = index,
        .count = 1,
        .name = {task->name},
        .names = 1,
        .flags = task->flags,
    };
}

static bool
next_task(struct bar_reader *reader, struct bar *out)
{
    for (; reader->at < reader->end; reader->at++) {
        const uint16_t depth = reader->recording->tasks[reader->at].depth;

        if (depth == reader->row ||
            (depth > reader->row && reader->row == DRAW_ROWS - 1)) {
            *out = bar_of(reader->recording, reader->at++);
            return true;
        }
    }
    return false;
}

static bool
may_share(const struct bar *open, const struct bar *next, uint64_t grain)
{
    return open->count > 0 && next->end - next->begin < grain &&
           next->end <= open->begin + 2 * grain &&
           next->begin < open->end + grain &&
           (open->count > 1 || open->end - open->begin < grain);
}

static void
add_name(struct bar *bar, uint32_t name)
{
    for (uint16_t i = 0; i < bar->names; i++)
        if (bar->name[i] == name)
            return;
    if (bar->names < BAR_NAMES)
        bar->name[bar->names++] = name;
}

static void
share(const struct weft_recording *recording, struct bar *bar,
      const struct bar *next)
{
    const struct recorded_task *longest = &recording->tasks[bar->task];

    if (next->end - next->begin > longest->end - longest->begin)
        bar->task = next->task;
    if (next->end > bar->end)
        bar->end = next->end;
    bar->busy += next->busy;
    if (bar->busy > bar->end - bar->begin)
        bar->busy = bar->end - bar->begin;
    bar->cpu += next->cpu;
    bar->count++;
    bar->flags |= next->flags;
    add_name(bar, next->name[0]);
}

bool
bars_next(struct bar_reader *reader, struct bar *out)
{
    struct bar next;

    while (next_task(reader, &next)) {
        if (may_share(&reader->open, &next, reader->grain)) {
            share(reader->recording, &reader->open, &next);
            continue;
        }
        *out = reader->open;
        reader->open = next;
        if (out->count > 0)
            return true;
    }
    *out = reader->open;
    reader->open.count = 0;
    return out->count > 0;
}

/* Whether there are more than `limit` of them. */
static bool
too_many(const struct weft_recording *recording, const struct draw_lanes *lanes,
         uint64_t grain, uint32_t limit)
{
    uint32_t count = 0;

    for (uint32_t i = 0; i < lanes->count; i++)
        for (uint16_t row = 0; row < lanes->lane[i].rows; row++) {
            struct bar_reader reader;
            struct bar bar;

            bars_begin(&reader, recording, lanes->lane[i].worker, row, grain);
            while (bars_next(&reader, &bar))
                if (++count > limit)
                    return true;
        }
    return false;
}

uint64_t
bars_grain(const struct weft_recording *recording,
           const struct draw_lanes *lanes, uint64_t least, uint32_t limit)
{
    uint64_t grain = least > 0 ? least : 1;

    if (lanes->tasks <= DRAW_MERGE_ABOVE)
        return 0;
    while (grain <= recording->wall && too_many(recording, lanes, grain, limit))
        grain *= 2;
    return grain;
}
