/* What programs say of themselves: spans, marks and counters. */
#include "base/why.h"
#include "os/os.h"
#include "registry/control.h"
#include "registry/recorder.h"
#include "registry/writer.h"

#include <weft/status.h>
#include <weft/trace.h>

int
weft_trace_start(const char *path)
{
    if (!path || !*path)
        return why_set(WEFT_EINVAL, "weft_trace_start: the path is %s",
                       path ? "empty" : "NULL");
    self_get(); /* opens the registry */
    return control_start(path, false);
}

void
weft_trace_stop(void)
{
    control_stop();
}

/* The calling thread's, while something is recorded. */
static struct writer *
enter(void)
{
    control_answer_start();
    recorder_look();
    struct writer *writer = self_get()->writer;

    return writer && writer->session && writer->session == room_session()
               ? writer
               : NULL;
}

weft_span
weft_span_begin(const char *name)
{
    struct writer *writer = recorder_is_on() ? enter() : NULL;
    const uint32_t called = writer ? writer_name(writer, name) : 0;
    union record *record = writer ? writer_take(writer, 1) : NULL;

    if (!record)
        return (weft_span){0};
    record->span.begin = room_ticks();
    record->span.task = writer->task;
    writer_put(record, (struct record_head){.type = RECORD_SPAN,
                                            .cpu = RECORD_NO_CPU,
                                            .name = called});
    return (weft_span){writer_handle(writer, record)};
}

void
weft_span_end(weft_span span)
{
    union record *record = span.at ? writer_find(span.at) : NULL;

    if (record && record->head.type == RECORD_SPAN)
        __atomic_store_n(&record->span.end, room_ticks(), __ATOMIC_RELEASE);
}

static void
put_value(enum record_type type, const char *name, int64_t value)
{
    struct writer *writer = enter();
    const uint32_t called = writer ? writer_name(writer, name) : 0;
    union record *record = writer ? writer_take(writer, 1) : NULL;

    if (!record)
        return;
    record->value.when = room_ticks();
    record->value.value = value;
    record->value.task = writer->task;
    writer_put(record, (struct record_head){.type = (uint8_t)type,
                                            .cpu = RECORD_NO_CPU,
                                            .name = called});
}

void
weft_mark(const char *name, int64_t value)
{
    if (recorder_is_on())
        put_value(RECORD_MARK, name, value);
}

void
weft_counter(const char *name, int64_t value)
{
    if (recorder_is_on())
        put_value(RECORD_COUNTER, name, value);
}
