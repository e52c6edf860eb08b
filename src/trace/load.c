/* How much went on in each of many equal pieces of time. */
#include "trace/lane.h"
#include "trace/pieces.h"

#include <weft/status.h>

#include <stdlib.h>
#include <string.h>

/* What is in progress all through a piece is added as a difference between it
 * and its neighbour, so that a long stretch costs no more than a short one. */
struct bins {
    uint64_t from, to;
    size_t count;
    double width;
    double *edge;  /* the part of pieces at the ends of a stretch */
    double *slope; /* + 1 where a stretch begins to fill pieces, - 1 behind */
};

static void
bins_add(struct bins *bins, uint64_t begin, uint64_t end, double weight)
{
    if (begin < bins->from)
        begin = bins->from;
    if (end > bins->to)
        end = bins->to;
    if (begin >= end || weight <= 0)
        return;
    const double a = (double)(begin - bins->from) / bins->width;
    const double b = (double)(end - bins->from) / bins->width;
    size_t first = (size_t)a, last = (size_t)b;

    if (first >= bins->count)
        first = bins->count - 1;
    if (last >= bins->count)
        last = bins->count - 1;
    if (first == last) {
        bins->edge[first] += (b - a) * weight;
        return;
    }
    bins->edge[first] += ((double)first + 1 - a) * weight;
    bins->edge[last] += (b - (double)last) * weight;
    bins->slope[first + 1] += weight;
    bins->slope[last] -= weight;
}

static bool
bins_begin(struct bins *bins, uint64_t from, uint64_t to, size_t count)
{
    *bins = (struct bins){
        .from = from,
        .to = to,
        .count = count,
        .width = (double)(to - from) / (double)count,
        .edge = calloc(count + 1, sizeof(double)),
        .slope = calloc(count + 1, sizeof(double)),
    };
    return bins->edge && bins->slope;
}

static void
bins_end(struct bins *bins)
{
    free(bins->edge);
    free(bins->slope);
}

/* A stretch of a worker's time in which the task, or else its code outside of
 * tasks, is innermost. */
struct stretch {
    uint64_t from, to;
    uint32_t task; /* NONE: outside */
};

static void
add_stretch(struct pieces *pieces, const struct stretch *stretch,
            struct bins bins[2])
{
    uint64_t at = stretch->from;

    while (at < stretch->to) {
        enum piece piece;
        const uint64_t end = pieces_at(pieces, at, stretch->to, &piece);

        if (piece == PIECE_ON)
            bins_add(&bins[1], at, end, 1);
        if (piece != PIECE_OFF && stretch->task == RECORDING_NONE)
            bins_add(&bins[0], at, end, 1);
        at = end;
    }
}

/* When in its time an estimated task was on a CPU is not known: all the time,
 * as much. */
static void
add_estimate(const struct recorded_task *task, struct bins bins[2])
{
    const uint64_t time = task->end - task->begin;

    if (time > 0)
        bins_add(&bins[1], task->begin, task->end,
                 task->cpu < time ? (double)task->cpu / (double)time : 1);
}

static void
add_task(const weft_recording *r, const struct recorded_task *task,
         struct bins bins[2])
{
    bins_add(&bins[0], task->begin, task->end, 1);
    if (r->estimated)
        add_estimate(task, bins);
}

/* One worker's walk. */
struct walk {
    const weft_recording *recording;
    uint32_t worker;
    struct lane lane;
    struct pieces pieces;
    uint64_t at; /* accounted for until then */
};

/* Until `to`, what is on top of the lane has been innermost. */
static void
add_time(struct walk *walk, uint64_t to, struct bins bins[2])
{
    const weft_recording *r = walk->recording;
    const struct lane_item *top = lane_top(&walk->lane);
    struct stretch stretch = {walk->at, to, RECORDING_NONE};

    walk->at = to;
    if (r->estimated)
        return;
    if (top) {
        if (top->kind != LANE_TASK)
            return;
        stretch.task = top->index;
    } else {
        if (!r->workers[walk->worker].own)
            return;
        if (stretch.from < r->from)
            stretch.from = r->from;
        if (stretch.to > r->to)
            stretch.to = r->to;
    }
    add_stretch(&walk->pieces, &stretch, bins);
}

static int
add_worker(const weft_recording *r, uint32_t worker, struct bins bins[2])
{
    struct walk walk = {.recording = r, .worker = worker};
    struct lane_event event;
    int status = WEFT_OK;
    uint64_t next;

    lane_begin(&walk.lane, r, worker, false);
    pieces_begin(&walk.pieces, r, worker);
    while ((next = lane_time(&walk.lane)) < UINT64_MAX) {
        add_time(&walk, next, bins);
        status = lane_next(&walk.lane, &event);
        if (status < 0)
            break;
        if (event.kind == LANE_TASK && event.begins)
            add_task(r, &r->tasks[event.index], bins);
    }
    if (status >= 0)
        add_time(&walk, r->to, bins);
    lane_end(&walk.lane);
    return status < 0 ? status : WEFT_OK;
}

static void
sum_up(const struct bins bins[2], struct recorded_load *out)
{
    double level[2] = {0, 0};

    for (size_t i = 0; i < bins[0].count; i++) {
        for (int k = 0; k < 2; k++)
            level[k] += bins[k].slope[i];
        out[i] = (struct recorded_load){
            .concurrency = (float)(level[0] + bins[0].edge[i]),
            .parallelism = (float)(level[1] + bins[1].edge[i]),
        };
    }
}

int
recording_load(const weft_recording *recording, uint64_t from, uint64_t to,
               struct recorded_load *out, size_t count)
{
    struct bins bins[2] = {{0}, {0}};
    int status = WEFT_ENOMEM;

    memset(out, 0, count * sizeof *out);
    if (from >= to || count == 0)
        return WEFT_OK;
    if (bins_begin(&bins[0], from, to, count) &&
        bins_begin(&bins[1], from, to, count))
        status = WEFT_OK;
    for (uint32_t w = 0; w < recording->worker_count && status == WEFT_OK; w++)
        status = add_worker(recording, w, bins);
    if (status == WEFT_OK)
        sum_up(bins, out);
    bins_end(&bins[0]);
    bins_end(&bins[1]);
    return status;
}
