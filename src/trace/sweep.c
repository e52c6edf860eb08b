/* One walk through all that happened, in the order of time, which is also an
 * order in which causes come before effects: a task's submission before its
 * begin, its end before who waited for it goes on. On the way each task, and
 * the code of each thread outside of tasks, has the longest chain of time on a
 * CPU that leads up to now; a submission hands it on, and a join takes the
 * larger one (He, Leiserson, Leiserson: The Cilkview scalability analyzer, SPAA
 * 2010). */
#include "trace/lane.h"
#include "trace/metrics.h"
#include "trace/pieces.h"
#include "trace/sort.h"

#include <weft/status.h>

#include <stdlib.h>

struct walker {
    struct lane lane;
    struct pieces pieces;
    uint64_t next;    /* when something happens there */
    uint64_t flushed; /* until then its time is accounted for */
    bool active;      /* the program's code outside of tasks runs or wants to */
};

/* A node is a task, by its index, or a thread, behind all tasks. */
struct sweep {
    weft_recording *recording;
    struct walker *walkers; /* by worker */
    uint32_t *heap;         /* workers, the one with the earliest next first */
    uint64_t *chain;        /* of each node: longest chain up to now */
    uint32_t *via; /* of each node: the task whose end was the last to lengthen
                      its chain; NONE: it goes back to its submission */
    uint32_t *start_via; /* of each task: via of its parent at the submission */
    uint32_t *order;     /* tasks by submission, without the late ones */
    float *rate; /* of each task, where that is estimated: on a CPU / time */
    uint32_t ordered, next_order, next_join, next_late;
    uint64_t now, in_progress, most;
    double area; /* of tasks in progress over time */
    uint64_t work, cpu_wait, task_time;
};

static uint32_t
node_of(const struct sweep *s, uint32_t node)
{
    return node < RECORDING_THREAD
               ? node
               : s->recording->task_count + (node & ~RECORDING_THREAD);
}

static uint32_t
worker_of(const struct sweep *s, uint32_t node)
{
    return node < RECORDING_THREAD ? s->recording->tasks[node].worker
                                   : node & ~RECORDING_THREAD;
}

/* --- time on a CPU */

static void
add(struct sweep *s, uint32_t worker, const struct lane_item *top, uint64_t on,
    uint64_t wanted)
{
    weft_recording *r = s->recording;

    s->work += on;
    s->cpu_wait += wanted;
    if (top) {
        s->chain[top->index] += on;
        r->tasks[top->index].cpu += on;
    } else {
        s->chain[r->task_count + worker] += on;
        s->task_time += on + wanted;
    }
}

static void
add_measured(struct sweep *s, uint32_t worker, const struct lane_item *top,
             uint64_t from, uint64_t to)
{
    uint64_t sums[3] = {0};

    while (from < to) {
        enum piece piece;
        const uint64_t end =
            pieces_at(&s->walkers[worker].pieces, from, to, &piece);

        sums[piece] += end - from;
        from = end;
    }
    add(s, worker, top, sums[PIECE_ON], sums[PIECE_RUNNABLE]);
}

static void
add_estimated(struct sweep *s, uint32_t worker, const struct lane_item *top,
              uint64_t time)
{
    const uint64_t on = (uint64_t)((double)time * (double)s->rate[top->index]);
    const bool known = s->recording->tasks[top->index].flags & TASK_ESTIMATED;

    add(s, worker, top, on, known && on < time ? time - on : 0);
}

/* Accounts for the worker's time up to `to`: it belongs to the innermost task.
 * In a wait nothing is done, though it may spin. */
static void
flush(struct sweep *s, uint32_t worker, uint64_t to)
{
    const weft_recording *r = s->recording;
    struct walker *walker = &s->walkers[worker];
    const struct lane_item *top = lane_top(&walker->lane);
    uint64_t from = walker->flushed;

    if (to <= from)
        return;
    walker->flushed = to;
    if (top && top->task != RECORDING_NONE)
        s->task_time += to - from;
    if (top && top->kind != LANE_TASK)
        return;
    if (r->estimated) {
        if (top)
            add_estimated(s, worker, top, to - from);
        return;
    }
    if (!top) {
        if (!r->workers[worker].own)
            return;
        from = from > r->from ? from : r->from;
        to = to < r->to ? to : r->to;
    }
    add_measured(s, worker, top, from, to);
}

/* --- the next worker to whom something happens */

static void
find_next(struct sweep *s, uint32_t worker)
{
    const weft_recording *r = s->recording;
    struct walker *walker = &s->walkers[worker];
    uint64_t next = lane_time(&walker->lane);

    /* The program's own code is in progress while it runs or wants to. */
    if (r->workers[worker].own && !lane_top(&walker->lane) && !r->estimated) {
        const uint64_t at = walker->flushed;
        enum piece piece;
        uint64_t edge = at < r->from ? r->from
                        : at < r->to ? r->to
                                     : UINT64_MAX;

        edge = pieces_at(&walker->pieces, at, edge, &piece);
        next = edge < next ? edge : next;
    }
    walker->next = next;
}

static void
sink(struct sweep *s, uint32_t at)
{
    const uint32_t count = s->recording->worker_count;
    uint32_t *heap = s->heap;

    for (;;) {
        uint32_t least = at;

        for (uint32_t child = 2 * at + 1; child <= 2 * at + 2; child++)
            if (child < count &&
                s->walkers[heap[child]].next < s->walkers[heap[least]].next)
                least = child;
        if (least == at)
            return;
        const uint32_t swap = heap[at];

        heap[at] = heap[least];
        heap[least] = swap;
        at = least;
    }
}

/* Whether the code of a thread outside of tasks counts as in progress now. */
static bool
is_active(struct sweep *s, uint32_t worker)
{
    const weft_recording *r = s->recording;
    struct walker *walker = &s->walkers[worker];
    enum piece piece;

    if (!r->workers[worker].own || lane_top(&walker->lane) || r->estimated ||
        s->now < r->from || s->now >= r->to)
        return false;
    pieces_at(&walker->pieces, s->now, UINT64_MAX, &piece);
    return piece != PIECE_OFF;
}

/* What happens first of all that happens in workers. */
static int
step_worker(struct sweep *s)
{
    const uint32_t worker = s->heap[0];
    struct walker *walker = &s->walkers[worker];
    struct lane_event event;
    int status = 0;

    s->area += (double)s->in_progress * (double)(walker->next - s->now);
    s->now = walker->next;
    flush(s, worker, s->now);
    if (lane_time(&walker->lane) == s->now) {
        status = lane_next(&walker->lane, &event);
        if (status > 0 && event.kind == LANE_TASK)
            s->in_progress += event.begins ? 1 : (uint64_t)-1;
    }
    /* What code outside of tasks begins itself takes its place. */
    s->in_progress -= walker->active;
    walker->active = is_active(s, worker);
    s->in_progress += walker->active;
    if (s->in_progress > s->most)
        s->most = s->in_progress;
    find_next(s, worker);
    sink(s, 0);
    return status < 0 ? status : WEFT_OK;
}

/* --- submissions and joins */

static void
step_spawn(struct sweep *s, uint32_t task, uint64_t at)
{
    const uint32_t parent = s->recording->tasks[task].parent;

    if (parent == RECORDING_NONE)
        return;
    flush(s, worker_of(s, parent), at);
    const uint64_t chain = s->chain[node_of(s, parent)];

    s->start_via[task] = s->via[node_of(s, parent)];
    if (chain > s->chain[task])
        s->chain[task] = chain;
}

static void
step_join(struct sweep *s, const struct recorded_join *join)
{
    const uint32_t waiter = node_of(s, join->waiter);

    flush(s, worker_of(s, join->waiter), join->at);
    if (s->chain[join->task] <= s->chain[waiter])
        return;
    s->chain[waiter] = s->chain[join->task];
    s->via[waiter] = join->task;
}

/* When the next of each kind is; UINT64_MAX: there is none. */
struct upcoming {
    uint64_t worker, join, late, spawn;
};

static struct upcoming
look_ahead(const struct sweep *s)
{
    const weft_recording *r = s->recording;
    struct upcoming next = {s->walkers[s->heap[0]].next, UINT64_MAX, UINT64_MAX,
                            UINT64_MAX};

    if (s->next_join < r->join_count)
        next.join = r->joins[s->next_join].at;
    if (s->next_late < r->late_count)
        next.late = r->lates[s->next_late].submitted;
    if (s->next_order < s->ordered)
        next.spawn = r->tasks[s->order[s->next_order]].ready;
    return next;
}

/* At the same time workers come first: an end before the join that needed it,
 * a begin before what it submits. */
static int
step_all(struct sweep *s)
{
    const weft_recording *r = s->recording;
    int status = WEFT_OK;

    while (status == WEFT_OK) {
        const struct upcoming next = look_ahead(s);
        const uint64_t other = next.late < next.spawn ? next.late : next.spawn;

        if (next.worker <= next.join && next.worker <= other) {
            if (next.worker == UINT64_MAX)
                break;
            status = step_worker(s);
        } else if (next.join <= other) {
            step_join(s, &r->joins[s->next_join++]);
        } else if (next.late <= next.spawn) {
            step_spawn(s, r->lates[s->next_late++].task, next.late);
        } else {
            step_spawn(s, s->order[s->next_order++], next.spawn);
        }
    }
    return status;
}

/* --- before and after */

static uint64_t
key_ready(const void *item, const void *context)
{
    const struct recorded_task *tasks = context;
    const uint32_t *index = item;

    return tasks[*index].ready;
}

static bool
order_spawns(struct sweep *s)
{
    const weft_recording *r = s->recording;

    s->order = malloc(((size_t)r->task_count + 1) * sizeof *s->order);
    if (!s->order)
        return false;
    for (uint32_t i = 0; i < r->task_count; i++)
        if (r->tasks[i].parent != RECORDING_NONE &&
            !(r->tasks[i].flags & TASK_LATE))
            s->order[s->ordered++] = i;
    return sort_by(s->order, s->ordered, sizeof *s->order, key_ready, r->tasks);
}

/* The metrics are about the time in which there was something to do. */
static void
find_window(weft_recording *r)
{
    r->from = r->task_count ? UINT64_MAX : 0;
    r->to = r->task_count ? 0 : r->wall;
    for (uint32_t i = 0; i < r->task_count; i++) {
        if (r->tasks[i].ready < r->from)
            r->from = r->tasks[i].ready;
        if (r->tasks[i].end > r->to)
            r->to = r->tasks[i].end;
    }
    if (r->late_count > 0 && r->lates[0].submitted < r->from)
        r->from = r->lates[0].submitted;
}

/* Marks the tasks of the longest chain, from its end to its begin. */
static uint64_t
mark_critical(struct sweep *s)
{
    weft_recording *r = s->recording;
    const uint32_t nodes = r->task_count + r->worker_count;
    uint32_t node = 0;

    for (uint32_t i = 1; i < nodes; i++)
        if (s->chain[i] > s->chain[node])
            node = i;
    const uint64_t span = s->chain[node];
    uint32_t via = s->via[node];

    if (span == 0)
        return 0;
    /* Each step goes back in time, unless the file is forged. */
    for (uint64_t left = 2 * (uint64_t)nodes; left > 0; left--) {
        if (node < r->task_count)
            r->tasks[node].flags |= TASK_CRITICAL;
        if (via != RECORDING_NONE) {
            node = via;
            via = s->via[node];
        } else if (node < r->task_count &&
                   r->tasks[node].parent != RECORDING_NONE) {
            via = s->start_via[node];
            node = node_of(s, r->tasks[node].parent);
        } else {
            break;
        }
    }
    return span;
}

static bool
sweep_begin(struct sweep *s)
{
    const weft_recording *r = s->recording;
    const size_t nodes = (size_t)r->task_count + r->worker_count + 1;

    if (r->estimated) {
        s->rate = calloc(nodes, sizeof *s->rate);
        if (!s->rate || metrics_estimate(s->recording, s->rate) < 0)
            return false;
    }
    s->walkers = calloc((size_t)r->worker_count + 1, sizeof *s->walkers);
    s->heap = calloc((size_t)r->worker_count + 1, sizeof *s->heap);
    s->chain = calloc(nodes, sizeof *s->chain);
    if (!s->walkers || !s->heap || !s->chain || !order_spawns(s))
        return false;
    s->via = malloc(nodes * sizeof *s->via);
    s->start_via = malloc(nodes * sizeof *s->start_via);
    if (!s->via || !s->start_via)
        return false;
    for (size_t i = 0; i < nodes; i++)
        s->via[i] = s->start_via[i] = RECORDING_NONE;
    for (uint32_t w = 0; w < r->worker_count; w++) {
        lane_begin(&s->walkers[w].lane, r, w, false);
        pieces_begin(&s->walkers[w].pieces, r, w);
        find_next(s, w);
        if (r->workers[w].own && r->from < s->walkers[w].next)
            s->walkers[w].next = r->from;
        s->heap[w] = w;
    }
    for (uint32_t w = r->worker_count; w-- > 0;)
        sink(s, w);
    return true;
}

static void
sweep_end(struct sweep *s)
{
    for (uint32_t w = 0; s->walkers && w < s->recording->worker_count; w++)
        lane_end(&s->walkers[w].lane);
    free(s->walkers);
    free(s->heap);
    free(s->chain);
    free(s->via);
    free(s->start_via);
    free(s->order);
    free(s->rate);
}

int
metrics_sweep(weft_recording *recording)
{
    struct sweep s = {.recording = recording};
    weft_metrics *m = &recording->metrics;
    int status = WEFT_ENOMEM;

    find_window(recording);
    if (recording->worker_count == 0)
        return WEFT_OK;
    if (sweep_begin(&s))
        status = step_all(&s);
    if (status == WEFT_OK) {
        const uint64_t wall = recording->to - recording->from;

        m->span = (weft_duration)mark_critical(&s);
        m->work = (weft_duration)s.work;
        m->cpu_wait = (weft_duration)s.cpu_wait;
        m->task_time = (weft_duration)s.task_time;
        m->concurrency_max = (unsigned)s.most;
        m->concurrency = wall ? s.area / (double)wall : 0;
        m->parallelism = wall ? (double)s.work / (double)wall : 0;
    }
    sweep_end(&s);
    return status;
}
