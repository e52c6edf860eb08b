/* What the kernel says of threads on CPUs, or would have said. */
#include "trace/reading.h"
#include "trace/sort.h"

#include <weft/status.h>

#include <stdlib.h>
#include <string.h>

static uint64_t
key_tid(const void *item, const void *context)
{
    const struct recorded_worker *workers = context;
    const uint32_t *index = item;

    return (uint32_t)workers[*index].tid;
}

static uint64_t
key_begin(const void *item, const void *context)
{
    const struct recorded_worker *workers = context;
    const uint32_t *index = item;

    return workers[*index].begin;
}

static uint64_t
key_run_begin(const void *item, const void *context)
{
    const struct recorded_run *run = item;

    (void)context;
    return run->begin;
}

static uint64_t
key_run_worker(const void *item, const void *context)
{
    const struct recorded_run *run = item;

    (void)context;
    return run->worker;
}

static uint64_t
key_run_cpu(const void *item, const void *context)
{
    const struct recorded_run *runs = context;
    const uint32_t *index = item;

    return runs[*index].cpu;
}

static uint64_t
key_run_at(const void *item, const void *context)
{
    const struct recorded_run *runs = context;
    const uint32_t *index = item;

    return runs[*index].begin;
}

/* Thread ids are used again: the worker is the last that had begun. `order` is
 * by tid, then by begin. */
static uint32_t
who_ran(const weft_recording *r, const uint32_t *order,
        const struct recorded_run *run)
{
    uint32_t low = 0, high = r->worker_count;

    while (low < high) {
        const uint32_t middle = low + (high - low) / 2;
        const struct recorded_worker *worker = &r->workers[order[middle]];
        const uint32_t tid = (uint32_t)worker->tid;

        if (tid < run->worker ||
            (tid == run->worker && worker->begin <= run->end))
            low = middle + 1;
        else
            high = middle;
    }
    if (low > 0 && (uint32_t)r->workers[order[low - 1]].tid == run->worker)
        return order[low - 1];
    if (low < r->worker_count &&
        (uint32_t)r->workers[order[low]].tid == run->worker)
        return order[low];
    return RECORDING_NONE;
}

/* Gives each run its worker; those of other threads are left out. */
static bool
match(struct reading *reading)
{
    weft_recording *r = reading->recording;
    uint32_t *order = malloc((r->worker_count + 1) * sizeof *order);
    uint32_t kept = 0;
    bool done = false;

    if (!order)
        return false;
    for (uint32_t w = 0; w < r->worker_count; w++)
        order[w] = w;
    if (!sort_by(order, r->worker_count, sizeof *order, key_begin,
                 r->workers) ||
        !sort_by(order, r->worker_count, sizeof *order, key_tid, r->workers))
        goto free_order;
    for (uint32_t i = 0; i < r->run_count; i++) {
        const uint32_t worker = who_ran(r, order, &r->runs[i]);

        if (worker == RECORDING_NONE)
            continue;
        r->runs[kept] = r->runs[i];
        r->runs[kept++].worker = worker;
    }
    r->run_count = kept;
    done = sort_by(r->runs, kept, sizeof *r->runs, key_run_begin, NULL) &&
           sort_by(r->runs, kept, sizeof *r->runs, key_run_worker, NULL);
free_order:
    free(order);
    return done;
}

/* A worker is seen while it runs, too. One of the program itself with something
 * unfinished lived to the end. */
static void
extend_workers(weft_recording *r)
{
    for (uint32_t i = 0; i < r->run_count; i++) {
        struct recorded_worker *worker = &r->workers[r->runs[i].worker];

        if (r->runs[i].end > worker->end)
            worker->end = r->runs[i].end;
    }
    for (uint32_t i = 0; i < r->task_count; i++) {
        struct recorded_worker *worker = &r->workers[r->tasks[i].worker];

        if (r->tasks[i].end == UINT64_MAX && !worker->worker_process)
            worker->end = r->wall;
    }
    for (uint32_t w = 0; w < r->worker_count; w++)
        if (r->workers[w].begin == UINT64_MAX)
            r->workers[w].begin = r->workers[w].end;
}

/* Appends what lies after the run before, if anything. */
static void
append(struct recorded_run *to, struct part *part, struct recorded_run run)
{
    if (part->count > 0 && run.begin < to[part->first + part->count - 1].end)
        run.begin = to[part->first + part->count - 1].end;
    if (run.begin < run.end)
        to[part->first + part->count++] = run;
}

/* Where the kernel was not listening yet, or any more, and of threads of which
 * it had nothing to tell, a thread counts as being on a CPU. */
static void
complete(const struct reading *reading, struct recorded_run *to, uint32_t w,
         struct part from)
{
    weft_recording *r = reading->recording;
    struct recorded_worker *worker = &r->workers[w];
    const struct recording_header *header = &reading->source.header;
    struct recorded_run whole = {worker->begin, worker->end, w, RECORDING_NONE,
                                 false};
    uint64_t since, until;

    if (from.count == 0) {
        append(to, &worker->runs, whole);
        return;
    }
    if (!source_monotonic(&reading->source, header->runs_from, &since))
        since = 0;
    if (!source_monotonic(&reading->source, header->runs_until, &until))
        until = UINT64_MAX;
    if (since < whole.end)
        whole.end = since;
    append(to, &worker->runs, whole);
    for (uint32_t i = 0; i < from.count; i++)
        append(to, &worker->runs, r->runs[from.first + i]);
    whole.begin = until;
    whole.end = worker->end;
    append(to, &worker->runs, whole);
}

static bool
complete_all(struct reading *reading)
{
    weft_recording *r = reading->recording;
    const size_t most = (size_t)r->run_count + 2 * (size_t)r->worker_count + 1;
    struct recorded_run *runs = malloc(most * sizeof *runs);
    struct part from = {0, 0};
    uint32_t count = 0;

    if (!runs)
        return false;
    for (uint32_t w = 0; w < r->worker_count; w++) {
        from.count = 0;
        while (from.first + from.count < r->run_count &&
               r->runs[from.first + from.count].worker == w)
            from.count++;
        r->workers[w].runs = (struct part){count, 0};
        complete(reading, runs, w, from);
        count += r->workers[w].runs.count;
        from.first += from.count;
    }
    free(r->runs);
    r->runs = runs;
    r->run_count = count;
    return true;
}

static bool
list_cpus(weft_recording *r)
{
    uint32_t known = 0;

    r->cpu_runs = malloc(((size_t)r->run_count + 1) * sizeof *r->cpu_runs);
    if (!r->cpu_runs)
        return false;
    for (uint32_t i = 0; i < r->run_count; i++)
        if (r->runs[i].cpu != RECORDING_NONE)
            r->cpu_runs[known++] = i;
    if (!sort_by(r->cpu_runs, known, sizeof *r->cpu_runs, key_run_at,
                 r->runs) ||
        !sort_by(r->cpu_runs, known, sizeof *r->cpu_runs, key_run_cpu, r->runs))
        return false;
    r->cpu = calloc((size_t)known + 1, sizeof *r->cpu);
    if (!r->cpu)
        return false;
    for (uint32_t i = 0; i < known; i++) {
        const uint32_t number = r->runs[r->cpu_runs[i]].cpu;

        if (r->cpu_count == 0 || r->cpu[r->cpu_count - 1].number != number)
            r->cpu[r->cpu_count++] =
                (struct recorded_cpu){number, {.first = i}};
        r->cpu[r->cpu_count - 1].runs.count++;
    }
    return true;
}

int
reading_runs(struct reading *reading)
{
    weft_recording *r = reading->recording;

    if (!match(reading))
        return WEFT_ENOMEM;
    extend_workers(r);
    if (r->estimated) {
        r->run_count = 0;
        return WEFT_OK;
    }
    return complete_all(reading) && list_cpus(r) ? WEFT_OK : WEFT_ENOMEM;
}
