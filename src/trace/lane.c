#include "trace/lane.h"

#include "trace/grow.h"

#include <weft/status.h>

void
lane_begin(struct lane *lane, const weft_recording *recording, uint32_t worker,
           bool spans)
{
    const struct recorded_worker *who = &recording->workers[worker];
    const struct part parts[LANE_KINDS] = {
        [LANE_TASK] = who->tasks,
        [LANE_WAIT] = who->waits,
        [LANE_SPAN] = spans ? who->spans : (struct part){0, 0},
    };

    *lane = (struct lane){.recording = recording};
    for (unsigned kind = 0; kind < LANE_KINDS; kind++) {
        lane->next[kind] = parts[kind].first;
        lane->stop[kind] = parts[kind].first + parts[kind].count;
    }
}

void
lane_end(struct lane *lane)
{
    free(lane->stack);
}

static struct lane_item
item_at(const weft_recording *recording, enum lane_kind kind, uint32_t index,
        uint64_t *begin)
{
    uint64_t end;

    switch (kind) {
    case LANE_TASK:
        *begin = recording->tasks[index].begin;
        end = recording->tasks[index].end;
        break;
    case LANE_WAIT:
        *begin = recording->waits[index].begin;
        end = recording->waits[index].end;
        break;
    default:
        *begin = recording->spans[index].begin;
        end = recording->spans[index].end;
    }
    return (struct lane_item){end, kind, index,
                              kind == LANE_TASK ? index : RECORDING_NONE};
}

/* The next that begins, an outer one before an inner one: a task before its
 * spans and waits when both begin at once. UINT64_MAX: none. */
static uint64_t
first_begin(const struct lane *lane, struct lane_item *item)
{
    static const enum lane_kind order[] = {LANE_TASK, LANE_SPAN, LANE_WAIT};

    uint64_t first = UINT64_MAX;

    for (unsigned i = 0; i < LANE_KINDS; i++) {
        const enum lane_kind kind = order[i];
        uint64_t begin;

        if (lane->next[kind] == lane->stop[kind])
            continue;
        const struct lane_item next =
            item_at(lane->recording, kind, lane->next[kind], &begin);

        /* What encloses the other comes first. */
        if (begin < first || (begin == first && next.end > item->end)) {
            first = begin;
            *item = next;
        }
    }
    return first;
}

uint64_t
lane_time(const struct lane *lane)
{
    const struct lane_item *top = lane_top(lane);
    struct lane_item item;
    const uint64_t begin = first_begin(lane, &item);

    return top && top->end <= begin ? top->end : begin;
}

/* Two that overlap without one lying in the other, since the clocks of CPUs
 * differ a little, or the file is forged: they follow each other, or the one
 * lies in the other, whichever changes less. */
static bool
follows(const struct lane_item *item, uint64_t begin,
        const struct lane_item *top)
{
    return item->end > top->end && top->end - begin <= item->end - top->end;
}

int
lane_next(struct lane *lane, struct lane_event *event)
{
    const struct lane_item *top = lane_top(lane);
    struct lane_item item = {0, LANE_TASK, 0, RECORDING_NONE};
    const uint64_t begin = first_begin(lane, &item);

    if (top && (top->end <= begin || follows(&item, begin, top))) {
        *event = (struct lane_event){top->end <= begin ? top->end : begin,
                                     top->kind, false, top->index};
        lane->depth--;
        return 1;
    }
    if (begin == UINT64_MAX)
        return 0;
    if (top && item.end > top->end)
        item.end = top->end;
    if (top && item.kind != LANE_TASK)
        item.task = top->task;
    if (!grow(&lane->stack, &lane->room, lane->depth, sizeof *lane->stack))
        return WEFT_ENOMEM;
    lane->stack[lane->depth++] = item;
    lane->next[item.kind]++;
    *event = (struct lane_event){begin, item.kind, true, item.index};
    return 1;
}

static uint16_t
limited(uint32_t depth)
{
    return depth < UINT16_MAX ? (uint16_t)depth : UINT16_MAX;
}

/* Takes over when an item ends, and within how many of its kind it lies. */
static void
settle_item(weft_recording *recording, const struct lane_event *event,
            uint32_t within)
{
    const uint32_t index = event->index;

    switch (event->kind) {
    case LANE_TASK:
        recording->tasks[index].end = event->at;
        recording->tasks[index].depth = limited(within);
        break;
    case LANE_WAIT:
        recording->waits[index].end = event->at;
        break;
    default:
        recording->spans[index].end = event->at;
        recording->spans[index].depth = limited(within);
    }
}

int
lane_settle(weft_recording *recording, uint32_t worker)
{
    struct lane lane;
    struct lane_event event;
    uint32_t open[LANE_KINDS] = {0};
    int status;

    lane_begin(&lane, recording, worker, true);
    while ((status = lane_next(&lane, &event)) > 0) {
        if (event.begins)
            open[event.kind]++;
        else
            settle_item(recording, &event, --open[event.kind]);
    }
    lane_end(&lane);
    return status;
}
