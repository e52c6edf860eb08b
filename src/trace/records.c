/* All that was recorded, as CSV: a line each, times in nanoseconds. */
#include "registry/recording.h"
#include "trace/out.h"
#include "trace/recording.h"

#include <weft/status.h>

#include <inttypes.h>

static void
field(struct out *out, uint64_t value)
{
    out_unsigned(out, value);
    out_char(out, ',');
}

/* The columns that all lines begin with. */
static void
line(struct out *out, const char *kind, const struct recorded_worker *worker,
     uint64_t begin, uint64_t end)
{
    out_text(out, kind);
    out_char(out, ',');
    out_signed(out, worker->pid);
    out_char(out, ',');
    out_signed(out, worker->tid);
    out_char(out, ',');
    field(out, begin);
    field(out, end);
}

static void
write_tasks(struct out *out, const weft_recording *r)
{
    for (uint32_t i = 0; i < r->task_count; i++) {
        const struct recorded_task *task = &r->tasks[i];

        line(out, "task", &r->workers[task->worker], task->begin, task->end);
        out_csv(out, r->names[task->name]);
        out_char(out, ',');
        field(out, i);
        if (task->parent < RECORDING_THREAD)
            out_unsigned(out, task->parent);
        out_char(out, ',');
        field(out, task->ready);
        field(out, task->cpu);
        out_text(out, task->flags & TASK_UNFINISHED ? "unfinished\n" : "\n");
    }
}

static void
write_waits(struct out *out, const weft_recording *r)
{
    for (uint32_t i = 0; i < r->wait_count; i++) {
        const struct recorded_wait *wait = &r->waits[i];

        line(out, "wait", &r->workers[wait->worker], wait->begin, wait->end);
        out_csv(out, r->names[wait->name]);
        out_text(out, wait->unfinished ? ",,,,,unfinished\n" : ",,,,,\n");
    }
}

static void
write_spans(struct out *out, const weft_recording *r)
{
    for (uint32_t i = 0; i < r->span_count; i++) {
        const struct recorded_span *span = &r->spans[i];

        line(out, "span", &r->workers[span->worker], span->begin, span->end);
        out_csv(out, r->names[span->name]);
        out_text(out, span->unfinished ? ",,,,,unfinished\n" : ",,,,,\n");
    }
}

static void
write_values(struct out *out, const weft_recording *r, const char *kind,
             const struct recorded_value *values, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++) {
        line(out, kind, &r->workers[values[i].worker], values[i].at,
             values[i].at);
        out_csv(out, r->names[values[i].name]);
        out_text(out, ",,,,,");
        out_signed(out, values[i].value);
        out_char(out, '\n');
    }
}

static void
write_runs(struct out *out, const weft_recording *r)
{
    for (uint32_t i = 0; i < r->run_count; i++) {
        const struct recorded_run *run = &r->runs[i];

        line(out, "run", &r->workers[run->worker], run->begin, run->end);
        out_text(out, "\"\",,,,,");
        if (run->cpu != RECORDING_NONE)
            out_unsigned(out, run->cpu);
        out_char(out, '\n');
    }
}

static void
write_joins(struct out *out, const weft_recording *r)
{
    for (uint32_t i = 0; i < r->join_count; i++) {
        const struct recorded_join *join = &r->joins[i];
        const bool thread = join->waiter >= RECORDING_THREAD;
        const uint32_t worker = thread ? join->waiter & ~RECORDING_THREAD
                                       : r->tasks[join->waiter].worker;

        line(out, "join", &r->workers[worker], join->at, join->at);
        out_text(out, "\"\",");
        if (!thread)
            out_unsigned(out, join->waiter);
        out_text(out, ",,,,");
        out_unsigned(out, join->task);
        out_char(out, '\n');
    }
}

int
write_records(struct out *out, const weft_recording *recording)
{
    out_text(out, "kind,pid,tid,begin_ns,end_ns,name,task,parent,ready_ns,"
                  "cpu_ns,value\n");
    write_tasks(out, recording);
    write_waits(out, recording);
    write_spans(out, recording);
    write_values(out, recording, "mark", recording->marks,
                 recording->mark_count);
    write_values(out, recording, "counter", recording->counters,
                 recording->counter_count);
    write_runs(out, recording);
    write_joins(out, recording);
    return WEFT_OK;
}
