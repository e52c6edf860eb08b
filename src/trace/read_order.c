/* What was read in its final order, with its indexes and ends. */
#include "trace/lane.h"
#include "trace/reading.h"
#include "trace/sort.h"

#include <weft/status.h>

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static uint64_t
task_begin(const void *item, const void *context)
{
    const struct recorded_task *tasks = context;
    const uint32_t *index = item;

    return tasks[*index].begin;
}

/* `now` has the new index of each task of the part. The late ones are in the
 * order of tasks as they were read; *at is the first that is not yet moved. */
static void
move_lates(weft_recording *r, struct part part, const uint32_t *now,
           uint32_t *at)
{
    while (*at < r->late_count && r->lates[*at].task < part.first)
        ++*at;
    for (; *at < r->late_count && r->lates[*at].task - part.first < part.count;
         ++*at)
        r->lates[*at].task = now[r->lates[*at].task - part.first];
}

/* Permutes the tasks of a worker, and what belongs to them. */
static bool
reorder(struct reading *reading, struct part part, uint32_t *late)
{
    weft_recording *r = reading->recording;
    struct recorded_task *tasks = malloc(part.count * sizeof *tasks);
    uint64_t *parents = malloc(part.count * sizeof *parents);
    uint32_t *order = malloc(part.count * sizeof *order);
    uint32_t *now = malloc(part.count * sizeof *now);
    bool done = false;

    if (!tasks || !parents || !order || !now)
        goto free_them;
    for (uint32_t i = 0; i < part.count; i++)
        order[i] = part.first + i;
    if (!sort_by(order, part.count, sizeof *order, task_begin, r->tasks))
        goto free_them;
    for (uint32_t i = 0; i < part.count; i++) {
        tasks[i] = r->tasks[order[i]];
        parents[i] = reading->parents[order[i]];
        now[order[i] - part.first] = part.first + i;
    }
    memcpy(r->tasks + part.first, tasks, part.count * sizeof *tasks);
    memcpy(reading->parents + part.first, parents,
           part.count * sizeof *parents);
    move_lates(r, part, now, late);
    done = true;
free_them:
    free(tasks);
    free(parents);
    free(order);
    free(now);
    return done;
}

static bool
in_order(const struct recorded_task *tasks, struct part part)
{
    for (uint32_t i = 1; i < part.count; i++)
        if (tasks[part.first + i].begin < tasks[part.first + i - 1].begin)
            return false;
    return true;
}

/* Chunks were read worker by worker, so that its things lie together. */
static void
find_parts(weft_recording *r)
{
    struct part at = {0, 0}, wait = {0, 0}, span = {0, 0};

    for (uint32_t w = 0; w < r->worker_count; w++) {
        struct recorded_worker *worker = &r->workers[w];

        worker->tasks.first = at.first;
        worker->waits.first = wait.first;
        worker->spans.first = span.first;
        at.first += worker->tasks.count;
        wait.first += worker->waits.count;
        span.first += worker->spans.count;
    }
}

int
reading_tasks(struct reading *reading)
{
    weft_recording *r = reading->recording;
    uint32_t late = 0;

    find_parts(r);
    for (uint32_t w = 0; w < r->worker_count; w++) {
        const struct part part = r->workers[w].tasks;

        if (!in_order(r->tasks, part) && !reorder(reading, part, &late))
            return WEFT_ENOMEM;
    }
    for (uint32_t i = 0; i < r->task_count; i++)
        if (!ids_add(&reading->ids, r->tasks[i].cpu, i))
            return WEFT_ENOMEM;
    for (uint32_t i = 0; i < r->task_count; i++) {
        const uint32_t parent = reading_node(reading, reading->parents[i]);

        r->tasks[i].parent = parent == i ? RECORDING_NONE : parent;
    }
    free(reading->parents);
    reading->parents = NULL;
    return WEFT_OK;
}

uint32_t
reading_node(const struct reading *reading, uint64_t id)
{
    if (!record_id_is_thread(id))
        return ids_find(&reading->ids, id);
    const uint32_t chunk = record_id_chunk(id);
    const uint32_t worker = chunk < reading->source.header.claimed
                                ? reading->worker_of[chunk]
                                : RECORDING_NONE;

    return worker == RECORDING_NONE ? RECORDING_NONE
                                    : worker | RECORDING_THREAD;
}

/* What had not ended goes on to the last that was seen: of the program, or of
 * its process, which may have been killed long before. */
static void
find_ends(struct reading *reading)
{
    weft_recording *r = reading->recording;

    for (uint32_t i = 0; i < r->task_count; i++)
        if (r->tasks[i].end == UINT64_MAX)
            r->tasks[i].end = r->workers[r->tasks[i].worker].end;
    for (uint32_t i = 0; i < r->wait_count; i++)
        if (r->waits[i].end == UINT64_MAX)
            r->waits[i].end = r->workers[r->waits[i].worker].end;
    for (uint32_t i = 0; i < r->span_count; i++)
        if (r->spans[i].end == UINT64_MAX)
            r->spans[i].end = r->workers[r->spans[i].worker].end;
}

/* Names that objects have which the program gave none. */
static int
wait_name(struct reading *reading, struct recorded_wait *wait)
{
    char text[64];
    uint32_t index = names_find(&reading->names, wait->name);

    if (index == 0) {
        const char *kind = recording_wait_name(wait->kind);
        const int length = wait->kind >= RECORD_WAIT_PIPE && wait->object
                               ? snprintf(text, sizeof text, "%s %#" PRIx64,
                                          kind, wait->object)
                               : snprintf(text, sizeof text, "%s", kind);

        if (!names_add(&reading->names, text, (size_t)length, &index))
            return WEFT_ENOMEM;
    }
    wait->name = index;
    return WEFT_OK;
}

static int
find_names(struct reading *reading)
{
    weft_recording *r = reading->recording;
    const struct names *names = &reading->names;

    names_seal(&reading->names);
    for (uint32_t i = 0; i < r->task_count; i++)
        r->tasks[i].name = names_find(names, r->tasks[i].name);
    for (uint32_t i = 0; i < r->span_count; i++)
        r->spans[i].name = names_find(names, r->spans[i].name);
    for (uint32_t i = 0; i < r->mark_count; i++)
        r->marks[i].name = names_find(names, r->marks[i].name);
    for (uint32_t i = 0; i < r->counter_count; i++)
        r->counters[i].name = names_find(names, r->counters[i].name);
    for (uint32_t i = 0; i < r->wait_count; i++)
        if (wait_name(reading, &r->waits[i]) < 0)
            return WEFT_ENOMEM;
    r->names = reading->names.list;
    r->name_count = reading->names.count;
    return WEFT_OK;
}

static uint64_t
key_wait(const void *item, const void *context)
{
    const struct recorded_wait *wait = item;

    (void)context;
    return wait->begin;
}

static uint64_t
key_span(const void *item, const void *context)
{
    const struct recorded_span *span = item;

    (void)context;
    return span->begin;
}

static uint64_t
key_value(const void *item, const void *context)
{
    const struct recorded_value *value = item;

    (void)context;
    return value->at;
}

static uint64_t
key_value_name(const void *item, const void *context)
{
    const struct recorded_value *value = item;

    (void)context;
    return value->name;
}

static uint64_t
key_join(const void *item, const void *context)
{
    const struct recorded_join *join = item;

    (void)context;
    return join->at;
}

static uint64_t
key_late(const void *item, const void *context)
{
    const struct recorded_late *late = item;

    (void)context;
    return late->submitted;
}

/* Whoever needed a task's end went on after it, whatever the clocks say. */
static void
limit_joins(weft_recording *r)
{
    for (uint32_t i = 0; i < r->join_count; i++)
        if (r->joins[i].at < r->tasks[r->joins[i].task].end)
            r->joins[i].at = r->tasks[r->joins[i].task].end;
}

static bool
sort_things(weft_recording *r)
{
    for (uint32_t w = 0; w < r->worker_count; w++) {
        const struct part waits = r->workers[w].waits,
                          spans = r->workers[w].spans;

        if (waits.count > 0 && !sort_by(r->waits + waits.first, waits.count,
                                        sizeof *r->waits, key_wait, NULL))
            return false;
        if (spans.count > 0 && !sort_by(r->spans + spans.first, spans.count,
                                        sizeof *r->spans, key_span, NULL))
            return false;
    }
    return sort_by(r->marks, r->mark_count, sizeof *r->marks, key_value,
                   NULL) &&
           sort_by(r->counters, r->counter_count, sizeof *r->counters,
                   key_value, NULL) &&
           sort_by(r->counters, r->counter_count, sizeof *r->counters,
                   key_value_name, NULL) &&
           sort_by(r->lates, r->late_count, sizeof *r->lates, key_late, NULL);
}

/* The ids are not needed any more: `cpu` is what its name says. */
static void
set_cpu(struct reading *reading)
{
    weft_recording *r = reading->recording;

    for (uint32_t i = 0; i < r->task_count; i++)
        r->tasks[i].cpu = 0;
    for (uint32_t i = 0; i < reading->cpu_count; i++) {
        struct recorded_task *task = &r->tasks[reading->cpus[i].task];

        task->cpu = reading->cpus[i].on_cpu;
        task->flags |= TASK_ESTIMATED;
    }
}

int
reading_finish(struct reading *reading)
{
    weft_recording *r = reading->recording;

    set_cpu(reading);
    if (find_names(reading) < 0)
        return WEFT_ENOMEM;
    find_ends(reading);
    if (!sort_things(r))
        return WEFT_ENOMEM;
    for (uint32_t w = 0; w < r->worker_count; w++)
        if (lane_settle(r, w) < 0)
            return WEFT_ENOMEM;
    limit_joins(r);
    return sort_by(r->joins, r->join_count, sizeof *r->joins, key_join, NULL)
               ? WEFT_OK
               : WEFT_ENOMEM;
}
