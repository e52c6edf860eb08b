#include "trace/grow.h"
#include "trace/reading.h"

#include <weft/status.h>

#include <string.h>

/* One record's reader. false: no memory. What makes no sense is counted and
 * left out. */
typedef bool record_reader(struct reading *reading, const union record *record,
                           uint32_t worker);

static bool
nonsense(struct reading *reading)
{
    reading->bad++;
    return true;
}

/* Both times in nanoseconds. An end of 0 is UINT64_MAX for now: it is not known
 * before all was read. So is one after the end of the recording, which another
 * process may have written. */
static bool
read_times(struct reading *reading, uint64_t begin, uint64_t end,
           uint64_t out[2], uint32_t worker)
{
    struct recorded_worker *who = &reading->recording->workers[worker];

    out[1] = UINT64_MAX;
    if (!source_time(&reading->source, begin, &out[0]))
        return false;
    if (end && !source_time(&reading->source, end, &out[1]) && end < begin)
        return false;
    if (out[1] < out[0])
        return false;
    const uint64_t last = out[1] < UINT64_MAX ? out[1] : out[0];

    if (out[0] < who->begin)
        who->begin = out[0];
    if (last > who->end)
        who->end = last;
    if (last > reading->latest)
        reading->latest = last;
    return true;
}

static const uint8_t folded[RECORD_TASK_KIND + 1] = {
    [RECORD_REGION] = TASK_FOLDED, [RECORD_PIECE] = TASK_FOLDED};

static bool
read_task(struct reading *reading, const union record *record, uint32_t worker)
{
    weft_recording *r = reading->recording;
    const struct record_task *from = &record->task;
    uint64_t times[2];

    if (from->id == 0 || record_id_is_thread(from->id) ||
        !read_times(reading, from->begin, from->end, times, worker))
        return nonsense(reading);
    if (!grow(&r->tasks, &reading->task_room, r->task_count,
              sizeof *r->tasks) ||
        !grow(&reading->parents, &reading->parent_room, r->task_count,
              sizeof *reading->parents))
        return false;
    const uint8_t kind = from->head.flags & RECORD_TASK_KIND;

    reading->task = r->task_count;
    reading->parents[r->task_count] = 0;
    r->tasks[r->task_count++] = (struct recorded_task){
        .begin = times[0],
        .end = times[1],
        .ready = times[0],
        .cpu = from->id,
        .name = from->head.name,
        .worker = worker,
        .parent = RECORDING_NONE,
        .kind = kind,
        .flags =
            (uint8_t)(folded[kind] |
                      (times[1] < UINT64_MAX ? 0 : TASK_UNFINISHED) |
                      (from->head.flags & RECORD_FAILED ? TASK_FAILED : 0)),
    };
    r->workers[worker].tasks.count++;
    return true;
}

static bool
read_spawn(struct reading *reading, const union record *record, uint32_t worker)
{
    weft_recording *r = reading->recording;
    const uint32_t index = reading->task;
    uint64_t submitted, ready;

    (void)worker;
    if (index == RECORDING_NONE ||
        !source_time(&reading->source, record->spawn.spawned, &submitted) ||
        !source_time(&reading->source, record->spawn.ready, &ready))
        return nonsense(reading);
    struct recorded_task *task = &r->tasks[index];

    task->ready = ready < task->begin ? ready : task->begin;
    reading->parents[index] = record->spawn.parent;
    if (submitted >= task->ready)
        return true;
    if (!grow(&r->lates, &reading->late_room, r->late_count, sizeof *r->lates))
        return false;
    task->flags |= TASK_LATE;
    r->lates[r->late_count++] = (struct recorded_late){submitted, index};
    return true;
}

static bool
read_wait(struct reading *reading, const union record *record, uint32_t worker)
{
    weft_recording *r = reading->recording;
    const struct record_wait *from = &record->wait;
    uint64_t times[2];

    if (from->head.flags == 0 || from->head.flags >= RECORD_WAIT_KINDS ||
        !read_times(reading, from->begin, from->end, times, worker))
        return nonsense(reading);
    if (!grow(&r->waits, &reading->wait_room, r->wait_count, sizeof *r->waits))
        return false;
    r->waits[r->wait_count++] = (struct recorded_wait){
        .begin = times[0],
        .end = times[1],
        .object = from->object,
        .worker = worker,
        .name = from->head.name,
        .kind = from->head.flags,
        .lock = record_wait_is_for_lock(from->head.flags),
        .unfinished = times[1] == UINT64_MAX,
    };
    r->workers[worker].waits.count++;
    return true;
}

static bool
read_span(struct reading *reading, const union record *record, uint32_t worker)
{
    weft_recording *r = reading->recording;
    const struct record_span *from = &record->span;
    uint64_t times[2];

    if (!read_times(reading, from->begin, from->end, times, worker))
        return nonsense(reading);
    if (!grow(&r->spans, &reading->span_room, r->span_count, sizeof *r->spans))
        return false;
    r->spans[r->span_count++] = (struct recorded_span){
        .begin = times[0],
        .end = times[1],
        .worker = worker,
        .name = from->head.name,
        .unfinished = times[1] == UINT64_MAX,
    };
    r->workers[worker].spans.count++;
    return true;
}

static bool
read_value(struct reading *reading, const union record *record, uint32_t worker)
{
    weft_recording *r = reading->recording;
    const bool mark = record->head.type == RECORD_MARK;
    struct recorded_value **list = mark ? &r->marks : &r->counters;
    uint32_t *count = mark ? &r->mark_count : &r->counter_count;
    uint64_t times[2];

    if (!read_times(reading, record->value.when, record->value.when, times,
                    worker))
        return nonsense(reading);
    if (!grow(list, mark ? &reading->mark_room : &reading->counter_room, *count,
              sizeof **list))
        return false;
    (*list)[(*count)++] = (struct recorded_value){
        .at = times[0],
        .value = record->value.value,
        .worker = worker,
        .name = record->head.name,
    };
    return true;
}

/* Runs are the kernel's word on any thread: whose they are is found later. */
static bool
read_run(struct reading *reading, const union record *record, uint32_t worker)
{
    weft_recording *r = reading->recording;
    const struct record_run *from = &record->run;
    const int64_t until =
        from->end ? from->end : reading->source.header.runs_until;
    uint64_t begin, end;

    if (worker != RECORDING_NONE ||
        !source_monotonic(&reading->source, from->begin, &begin) ||
        !source_monotonic(&reading->source, until, &end) || end < begin)
        return nonsense(reading);
    if (!grow(&r->runs, &reading->run_room, r->run_count, sizeof *r->runs))
        return false;
    r->runs[r->run_count++] = (struct recorded_run){
        .begin = begin,
        .end = end,
        .worker = from->head.name,
        .cpu =
            from->head.cpu == RECORD_NO_CPU ? RECORDING_NONE : from->head.cpu,
        .preempted = from->head.flags & RECORD_PREEMPTED,
    };
    return true;
}

static bool
add_join(struct reading *reading, uint64_t waiter, uint64_t joined,
         uint64_t when)
{
    weft_recording *r = reading->recording;
    struct recorded_join join = {
        .waiter = reading_node(reading, waiter),
        .task = reading_node(reading, joined),
    };

    /* What was begun before the recording, or is a thread, is no task of it. */
    if (join.waiter == RECORDING_NONE || join.waiter == join.task ||
        join.task >= RECORDING_THREAD)
        return true;
    if (!source_time(&reading->source, when, &join.at))
        return nonsense(reading);
    if (!grow(&r->joins, &reading->join_room, r->join_count, sizeof *r->joins))
        return false;
    r->joins[r->join_count++] = join;
    return true;
}

static bool
read_join(struct reading *reading, const union record *record, uint32_t worker)
{
    (void)worker;
    return add_join(reading, record->join.joiner, record->join.joined,
                    record->join.when);
}

static bool
read_after(struct reading *reading, const union record *record, uint32_t worker)
{
    (void)worker;
    return add_join(reading, record->after.task, record->after.on,
                    record->after.when);
}

static bool
read_cpu(struct reading *reading, const union record *record, uint32_t worker)
{
    const uint32_t task = reading_node(reading, record->on_cpu.task);

    (void)worker;
    if (task >= RECORDING_THREAD)
        return true;
    if (!grow(&reading->cpus, &reading->cpu_room, reading->cpu_count,
              sizeof *reading->cpus))
        return false;
    reading->cpus[reading->cpu_count++] =
        (struct reading_cpu){task, record->on_cpu.on_cpu};
    return true;
}

/* Its thread could not say when the task ended, but others saw it. */
static bool
read_died(struct reading *reading, const union record *record, uint32_t worker)
{
    weft_recording *r = reading->recording;
    const uint32_t index = reading_node(reading, record->died.task);
    uint64_t when;

    (void)worker;
    if (index >= RECORDING_THREAD || r->tasks[index].end != UINT64_MAX)
        return true;
    if (!source_time(&reading->source, record->died.when, &when) ||
        when < r->tasks[index].begin)
        return nonsense(reading);
    struct recorded_task *task = &r->tasks[index];

    task->end = when;
    if (record->head.flags & RECORD_FAILED)
        task->flags |= TASK_FAILED;
    if (when > r->workers[task->worker].end)
        r->workers[task->worker].end = when;
    return true;
}

/* Returns how many records the name takes; 0: no memory. */
static uint32_t
read_name(struct reading *reading, uint32_t chunk, uint32_t index, bool define)
{
    const union record *record = source_record(&reading->source, index);
    const uint32_t length = record->head.cpu;
    const uint32_t units = record_name_units(length);
    const uint64_t number =
        ((uint64_t)chunk * RECORDING_CHUNK + RECORDING_CHUNK_HEAD) /
            RECORDING_RECORD +
        index;

    if (length > RECORDING_NAME || units > reading->source.count - index ||
        number > UINT32_MAX) {
        nonsense(reading);
        return 1;
    }
    if (define && !names_define(&reading->names, (uint32_t)number,
                                record->name.text, length))
        return 0;
    return units;
}

static record_reader *const kernel_readers[RECORD_TYPES] = {
    [RECORD_RUN] = read_run,
};

static record_reader *const worker_readers[RECORD_TYPES] = {
    [RECORD_TASK] = read_task,  [RECORD_SPAWN] = read_spawn,
    [RECORD_WAIT] = read_wait,  [RECORD_SPAN] = read_span,
    [RECORD_MARK] = read_value, [RECORD_COUNTER] = read_value,
};

static record_reader *const reference_readers[RECORD_TYPES] = {
    [RECORD_JOIN] = read_join,
    [RECORD_AFTER] = read_after,
    [RECORD_CPU] = read_cpu,
    [RECORD_DIED] = read_died,
};

static bool
read_chunk(struct reading *reading, const struct reading_chunk *chunk,
           record_reader *const *readers)
{
    const bool define = readers == worker_readers;
    uint32_t units;

    reading->task = RECORDING_NONE;
    for (uint32_t i = 0; i < reading->source.count; i += units) {
        const union record *record = source_record(&reading->source, i);
        const uint8_t type = record->head.type;

        units = 1;
        if (type == RECORD_NAME)
            units = read_name(reading, chunk->number, i, define);
        else if (type < RECORD_TYPES && readers[type] &&
                 !readers[type](reading, record, chunk->worker))
            return false;
        if (units == 0)
            return false;
        if (type != RECORD_TASK)
            reading->task = RECORDING_NONE;
    }
    return true;
}

static int
read_all(struct reading *reading, bool references)
{
    for (uint32_t i = 0; i < reading->chunk_count; i++) {
        const struct reading_chunk *chunk = &reading->chunks[i];
        record_reader *const *readers =
            references ? reference_readers : worker_readers;

        if (chunk->worker == RECORDING_NONE) {
            if (references)
                continue;
            readers = kernel_readers;
        }
        const int there = source_chunk(&reading->source, chunk->number);

        if (there < 0)
            return there;
        if (there > 0 && !read_chunk(reading, chunk, readers))
            return WEFT_ENOMEM;
    }
    return WEFT_OK;
}

int
reading_records(struct reading *reading)
{
    return read_all(reading, false);
}

int
reading_references(struct reading *reading)
{
    return read_all(reading, true);
}
