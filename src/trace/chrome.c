/* Chrome's JSON, which ui.perfetto.dev, speedscope and others read: complete
 * events ("X"), instants, counters; a process and a thread each. Times are
 * microseconds with three decimals.
 * https://docs.google.com/document/d/1CvAClvFfyA5R-PhYUmn5OOQtYMH4h6I0nSsKchNAySU
 */
#include "trace/out.h"
#include "trace/recording.h"

#include <weft/status.h>

/* Opens an event; the name comes first. */
static void
event(struct out *out, const char *name, const char *phase,
      const struct recorded_worker *worker, uint64_t at)
{
    out_text(out, ",\n{\"name\":");
    out_json(out, name);
    out_text(out, ",\"ph\":\"");
    out_text(out, phase);
    out_text(out, "\",\"pid\":");
    out_signed(out, worker->pid);
    out_text(out, ",\"tid\":");
    out_signed(out, worker->tid);
    out_text(out, ",\"ts\":");
    out_fixed(out, at, 3);
}

static void
slice(struct out *out, const char *name, const char *category,
      const struct recorded_worker *worker, const uint64_t times[2])
{
    event(out, name, "X", worker, times[0]);
    out_text(out, ",\"dur\":");
    out_fixed(out, times[1] - times[0], 3);
    out_text(out, ",\"cat\":\"");
    out_text(out, category);
    out_char(out, '"');
}

static void
write_names(struct out *out, const weft_recording *r)
{
    for (uint32_t w = 0; w < r->worker_count; w++) {
        const struct recorded_worker *worker = &r->workers[w];

        if (w == 0 || worker->pid != r->workers[w - 1].pid) {
            event(out, "process_name", "M", worker, 0);
            out_text(out, ",\"args\":{\"name\":");
            out_json(out, worker->process);
            out_text(out, "}}");
        }
        event(out, "thread_name", "M", worker, 0);
        out_text(out, ",\"args\":{\"name\":");
        out_json(out, worker->name);
        out_text(out, "}}");
    }
}

static void
write_slices(struct out *out, const weft_recording *r)
{
    for (uint32_t i = 0; i < r->task_count; i++) {
        const struct recorded_task *task = &r->tasks[i];
        const uint64_t times[2] = {task->begin, task->end};

        slice(out, r->names[task->name], "task", &r->workers[task->worker],
              times);
        out_text(out, ",\"args\":{\"cpu_us\":");
        out_fixed(out, task->cpu, 3);
        out_text(out, ",\"queued_us\":");
        out_fixed(out, task->begin - task->ready, 3);
        out_text(out, task->flags & TASK_UNFINISHED ? ",\"unfinished\":true}}"
                                                    : "}}");
    }
    for (uint32_t i = 0; i < r->span_count; i++) {
        const struct recorded_span *span = &r->spans[i];
        const uint64_t times[2] = {span->begin, span->end};

        slice(out, r->names[span->name], "span", &r->workers[span->worker],
              times);
        out_char(out, '}');
    }
    for (uint32_t i = 0; i < r->wait_count; i++) {
        const struct recorded_wait *wait = &r->waits[i];
        const uint64_t times[2] = {wait->begin, wait->end};

        slice(out, r->names[wait->name], wait->lock ? "lock" : "wait",
              &r->workers[wait->worker], times);
        out_char(out, '}');
    }
}

static void
write_values(struct out *out, const weft_recording *r)
{
    for (uint32_t i = 0; i < r->mark_count; i++) {
        const struct recorded_value *mark = &r->marks[i];

        event(out, r->names[mark->name], "i", &r->workers[mark->worker],
              mark->at);
        out_text(out, ",\"s\":\"t\",\"args\":{\"value\":");
        out_signed(out, mark->value);
        out_text(out, "}}");
    }
    for (uint32_t i = 0; i < r->counter_count; i++) {
        const struct recorded_value *counter = &r->counters[i];

        event(out, r->names[counter->name], "C", &r->workers[counter->worker],
              counter->at);
        out_text(out, ",\"args\":{\"value\":");
        out_signed(out, counter->value);
        out_text(out, "}}");
    }
}

int
write_chrome(struct out *out, const weft_recording *recording)
{
    out_text(out, "{\"displayTimeUnit\":\"ns\",\"otherData\":{\"verdict\":");
    out_json(out, recording->sentence);
    /* An event that says nothing, so that each other one follows a comma. */
    out_text(out, "},\"traceEvents\":[\n{\"name\":\"weft\",\"ph\":\"M\","
                  "\"pid\":0,\"tid\":0,\"ts\":0,\"args\":{}}");
    write_names(out, recording);
    write_slices(out, recording);
    write_values(out, recording);
    out_text(out, "\n]}\n");
    return WEFT_OK;
}
