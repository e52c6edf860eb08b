/* What a CPU ran, merged. */
#include "trace/draw.h"

void
turns_begin(struct turn_reader *reader, const struct weft_recording *recording,
            uint32_t cpu, uint64_t grain)
{
    const struct part runs = recording->cpu[cpu].runs;

    *reader = (struct turn_reader){
        .recording = recording,
        .grain = grain,
        .at = runs.first,
        .end = runs.first + runs.count,
    };
}

/* Who had most of it, found by keeping one candidate and its lead (Boyer and
 * Moore, "MJRTY", 1981). */
static void
extend(struct turn_reader *reader, const struct recorded_run *run)
{
    struct turn *open = &reader->open;
    const uint64_t time = run->end - run->begin;

    if (run->end > open->end)
        open->end = run->end;
    open->on += time;
    if (run->worker == open->worker)
        reader->lead += time;
    else if (reader->lead >= time)
        reader->lead -= time;
    else {
        open->worker = run->worker;
        reader->lead = time - reader->lead;
    }
}

static bool
may_extend(const struct turn_reader *reader, const struct recorded_run *run)
{
    const struct turn *open = &reader->open;

    return open->begin < open->end &&
           ((run->worker == open->worker && run->begin == open->end &&
             open->on == open->end - open->begin) ||
            (run->end - run->begin < reader->grain &&
             open->end - open->begin < 2 * reader->grain &&
             run->begin < open->end + reader->grain &&
             run->end <= open->begin + 2 * reader->grain));
}

bool
turns_next(struct turn_reader *reader, struct turn *out)
{
    struct turn *open = &reader->open;

    while (reader->at < reader->end) {
        const struct recorded_run *run =
            &reader->recording->runs[reader->recording->cpu_runs[reader->at++]];

        if (may_extend(reader, run)) {
            extend(reader, run);
            continue;
        }
        *out = *open;
        *open = (struct turn){run->begin, run->end, run->end - run->begin,
                              run->worker};
        reader->lead = open->on;
        if (out->begin < out->end)
            return true;
    }
    *out = *open;
    open->end = open->begin;
    return out->begin < out->end;
}

static bool
too_many(const struct weft_recording *recording, uint32_t cpus, uint64_t grain,
         uint32_t limit)
{
    uint32_t count = 0;

    for (uint32_t i = 0; i < cpus; i++) {
        struct turn_reader reader;
        struct turn turn;

        turns_begin(&reader, recording, i, grain);
        while (turns_next(&reader, &turn))
            if (++count > limit)
                return true;
    }
    return false;
}

uint64_t
turns_grain(const struct weft_recording *recording, uint32_t cpus,
            uint64_t least, uint32_t limit)
{
    uint64_t grain = least > 0 ? least : 1;

    while (grain <= recording->wall && too_many(recording, cpus, grain, limit))
        grain *= 2;
    return grain;
}
