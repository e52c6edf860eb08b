/* Which workers are drawn: those that had something to do, and of too many the
 * busiest. */
#include "trace/draw.h"

#include <errno.h>
#include <stdlib.h>

enum {
    SPAN_ROWS = 2
};

static uint16_t
span_rows(const struct weft_recording *recording, struct part spans)
{
    uint16_t rows = 0;

    for (uint32_t i = 0; i < spans.count && rows < SPAN_ROWS; i++) {
        const uint16_t depth = recording->spans[spans.first + i].depth;

        if (depth >= rows)
            rows = depth < SPAN_ROWS ? (uint16_t)(depth + 1) : SPAN_ROWS;
    }
    return rows;
}

static struct draw_lane
measure(const struct weft_recording *recording, uint32_t worker,
        unsigned *flags)
{
    const struct recorded_worker *who = &recording->workers[worker];
    const struct recorded_task *task = recording->tasks + who->tasks.first;
    struct draw_lane lane = {.worker = worker, .rows = 1};

    for (uint32_t i = 0; i < who->tasks.count; i++, task++) {
        lane.busy += task->end - task->begin;
        *flags |= task->flags;
        if (task->depth >= lane.rows && lane.rows < DRAW_ROWS)
            lane.rows = task->depth < DRAW_ROWS ? (uint16_t)(task->depth + 1)
                                                : DRAW_ROWS;
    }
    lane.span_rows = span_rows(recording, who->spans);
    return lane;
}

/* On a CPU within the window. */
static uint64_t
time_on_cpu(const struct weft_recording *recording,
            const struct recorded_worker *worker)
{
    const struct window window = draw_window(recording);
    const struct part runs = worker->runs;
    uint64_t sum = 0;

    for (uint32_t i = runs.first; i < runs.first + runs.count; i++) {
        const struct recorded_run *run = &recording->runs[i];
        const uint64_t from =
            run->begin > window.from ? run->begin : window.from;
        const uint64_t to = run->end < window.to ? run->end : window.to;

        sum += from < to ? to - from : 0;
    }
    return sum;
}

static bool
has_a_lane(const struct weft_recording *recording,
           const struct recorded_worker *worker)
{
    const struct window window = draw_window(recording);

    return worker->tasks.count > 0 ||
           (worker->own &&
            time_on_cpu(recording, worker) > (window.to - window.from) / 100);
}

static int
busiest_first(const void *left, const void *right)
{
    const struct draw_lane *one = left, *other = right;

    if (one->busy != other->busy)
        return one->busy < other->busy ? 1 : -1;
    return one->worker < other->worker ? -1 : one->worker > other->worker;
}

static int
by_worker(const void *left, const void *right)
{
    const struct draw_lane *one = left, *other = right;

    return one->worker < other->worker ? -1 : one->worker > other->worker;
}

static void
keep_busiest(struct draw_lanes *lanes, uint32_t most)
{
    if (lanes->count <= most)
        return;
    qsort(lanes->lane, lanes->count, sizeof *lanes->lane, busiest_first);
    qsort(lanes->lane, most, sizeof *lanes->lane, by_worker);
    lanes->more = lanes->count - most;
    lanes->count = most;
}

int
lanes_choose(struct draw_lanes *lanes, const struct weft_recording *recording,
             uint32_t most)
{
    const uint32_t workers = recording->worker_count;

    *lanes = (struct draw_lanes){0};
    lanes->lane = calloc((size_t)workers + 1, sizeof *lanes->lane);
    lanes->colour = malloc((size_t)workers + 1);
    if (!lanes->lane || !lanes->colour) {
        lanes_free(lanes);
        return -ENOMEM;
    }
    for (uint32_t i = 0; i < workers; i++) {
        lanes->colour[i] = DRAW_COLOURS;
        if (has_a_lane(recording, &recording->workers[i]))
            lanes->lane[lanes->count++] = measure(recording, i, &lanes->flags);
    }
    keep_busiest(lanes, most);
    for (uint32_t i = 0; i < lanes->count; i++) {
        const uint32_t worker = lanes->lane[i].worker;

        lanes->colour[worker] = (uint8_t)(i % DRAW_COLOURS);
        lanes->tasks += recording->workers[worker].tasks.count;
    }
    return 0;
}

void
lanes_free(struct draw_lanes *lanes)
{
    free(lanes->lane);
    free(lanes->colour);
    *lanes = (struct draw_lanes){0};
}
