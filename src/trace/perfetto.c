/* Perfetto's protobuf, encoded by hand: TrackEvents on one track a thread, one
 * a CPU and one a counter, names interned. The numbers are those of the public
 * schema (protos/perfetto/trace in the Perfetto project); the wire format is
 * https://protobuf.dev/programming-guides/encoding. */
#include "base/text.h"
#include "trace/lane.h"
#include "trace/out.h"

#include <weft/status.h>

#include <stdbool.h>
#include <string.h>

enum {
    TRACE_PACKET = 1,

    PACKET_TIMESTAMP = 8,
    PACKET_SEQUENCE = 10,
    PACKET_TRACK_EVENT = 11,
    PACKET_INTERNED = 12,
    PACKET_SEQUENCE_FLAGS = 13,
    PACKET_TRACK = 60,

    INTERNED_EVENT_NAMES = 2,
    INTERNED_ANNOTATION_NAMES = 3,
    NAME_IID = 1,
    NAME_TEXT = 2,

    TRACK_UUID = 1,
    TRACK_NAME = 2,
    TRACK_PROCESS = 3,
    TRACK_THREAD = 4,
    TRACK_PARENT = 5,
    TRACK_COUNTER = 8,
    PROCESS_PID = 1,
    PROCESS_NAME = 6,
    THREAD_PID = 1,
    THREAD_TID = 2,
    THREAD_NAME = 5,

    EVENT_ANNOTATION = 4,
    EVENT_TYPE = 9,
    EVENT_NAME_IID = 10,
    EVENT_TRACK = 11,
    EVENT_COUNTER_VALUE = 30,
    ANNOTATION_NAME_IID = 1,
    ANNOTATION_INT = 4,

    TYPE_BEGIN = 1,
    TYPE_END = 2,
    TYPE_INSTANT = 3,
    TYPE_COUNTER = 4,

    STATE_CLEARED = 1,
    STATE_NEEDED = 2,

    SEQUENCE = 1
};

/* Names of annotations. */
enum {
    ANNOTATION_CPU = 1, /* ns on a CPU */
    ANNOTATION_QUEUED,
    ANNOTATION_VALUE
};

/* Tracks: each kind has its own upper bits. */
enum track {
    OF_PROCESS = 1,
    OF_THREAD,
    OF_CPU,
    OF_COUNTER
};

static uint64_t
track(enum track kind, uint32_t number)
{
    return (uint64_t)kind << 32 | number;
}

/* A message being put together; none here is longer. */
struct message {
    size_t used;
    unsigned char bytes[1024];
};

static void
put_varint(struct message *m, uint64_t value)
{
    for (; value > 0x7f; value >>= 7)
        m->bytes[m->used++] = (unsigned char)(value | 0x80);
    m->bytes[m->used++] = (unsigned char)value;
}

static void
put_number(struct message *m, unsigned field, uint64_t value)
{
    put_varint(m, field << 3);
    put_varint(m, value);
}

static void
put_bytes(struct message *m, unsigned field, const void *bytes, size_t size)
{
    put_varint(m, field << 3 | 2);
    put_varint(m, size);
    memcpy(m->bytes + m->used, bytes, size);
    m->used += size;
}

static void
put_text(struct message *m, unsigned field, const char *text)
{
    put_bytes(m, field, text, strlen(text));
}

static void
put_message(struct message *m, unsigned field, const struct message *inner)
{
    put_bytes(m, field, inner->bytes, inner->used);
}

static void
write_packet(struct out *out, struct message *packet, unsigned flags)
{
    struct message head = {0};

    put_number(packet, PACKET_SEQUENCE, SEQUENCE);
    put_number(packet, PACKET_SEQUENCE_FLAGS, flags);
    put_varint(&head, TRACE_PACKET << 3 | 2);
    put_varint(&head, packet->used);
    out_bytes(out, head.bytes, head.used);
    out_bytes(out, packet->bytes, packet->used);
}

static void
write_name(struct out *out, unsigned field, uint64_t iid, const char *text,
           unsigned flags)
{
    struct message packet = {0}, interned = {0}, name = {0};

    put_number(&name, NAME_IID, iid);
    put_text(&name, NAME_TEXT, text);
    put_message(&interned, field, &name);
    put_message(&packet, PACKET_INTERNED, &interned);
    write_packet(out, &packet, flags);
}

/* Event names: iid is the index + 1, since 0 is none. A run on a CPU has the
 * worker's name: they come after those. */
static void
write_names(struct out *out, const weft_recording *r)
{
    write_name(out, INTERNED_ANNOTATION_NAMES, ANNOTATION_CPU, "cpu_ns",
               STATE_CLEARED);
    write_name(out, INTERNED_ANNOTATION_NAMES, ANNOTATION_QUEUED, "queued_ns",
               STATE_NEEDED);
    write_name(out, INTERNED_ANNOTATION_NAMES, ANNOTATION_VALUE, "value",
               STATE_NEEDED);
    for (uint32_t i = 0; i < r->name_count; i++)
        write_name(out, INTERNED_EVENT_NAMES, (uint64_t)i + 1, r->names[i],
                   STATE_NEEDED);
    for (uint32_t w = 0; w < r->worker_count; w++)
        write_name(out, INTERNED_EVENT_NAMES, (uint64_t)r->name_count + w + 1,
                   r->workers[w].name, STATE_NEEDED);
}

/* A track, as a descriptor that has its uuid and more. */
static struct message
track_of(uint64_t uuid)
{
    struct message descriptor = {0};

    put_number(&descriptor, TRACK_UUID, uuid);
    return descriptor;
}

static void
write_track(struct out *out, const struct message *descriptor)
{
    struct message packet = {0};

    put_message(&packet, PACKET_TRACK, descriptor);
    write_packet(out, &packet, STATE_NEEDED);
}

static void
write_worker_tracks(struct out *out, const weft_recording *r)
{
    uint32_t process = 0;

    for (uint32_t w = 0; w < r->worker_count; w++) {
        const struct recorded_worker *worker = &r->workers[w];
        struct message descriptor = {0}, inner = {0};

        if (w == 0 || worker->pid != r->workers[w - 1].pid) {
            process = w;
            put_number(&inner, PROCESS_PID, (uint64_t)worker->pid);
            put_text(&inner, PROCESS_NAME, worker->process);
            descriptor = track_of(track(OF_PROCESS, process));
            put_message(&descriptor, TRACK_PROCESS, &inner);
            write_track(out, &descriptor);
        }
        inner = (struct message){0};
        put_number(&inner, THREAD_PID, (uint64_t)worker->pid);
        put_number(&inner, THREAD_TID, (uint64_t)worker->tid);
        put_text(&inner, THREAD_NAME, worker->name);
        descriptor = track_of(track(OF_THREAD, w));
        put_message(&descriptor, TRACK_THREAD, &inner);
        put_number(&descriptor, TRACK_PARENT, track(OF_PROCESS, process));
        write_track(out, &descriptor);
    }
}

static void
write_other_tracks(struct out *out, const weft_recording *r)
{
    for (uint32_t i = 0; i < r->cpu_count; i++) {
        char name[TEXT_KERNEL];
        struct text text = text_over(name, sizeof name);

        text_add(&text, "CPU %u", r->cpu[i].number);
        struct message descriptor = track_of(track(OF_CPU, i));

        put_text(&descriptor, TRACK_NAME, name);
        write_track(out, &descriptor);
    }
    for (uint32_t i = 0; i < r->counter_count; i++) {
        const struct message none = {0};
        const uint32_t name = r->counters[i].name;
        struct message descriptor = track_of(track(OF_COUNTER, name));

        if (i > 0 && name == r->counters[i - 1].name)
            continue;
        put_text(&descriptor, TRACK_NAME, r->names[name]);
        put_message(&descriptor, TRACK_COUNTER, &none);
        write_track(out, &descriptor);
    }
}

static void
annotate(struct message *event, unsigned name, uint64_t value)
{
    struct message annotation = {0};

    put_number(&annotation, ANNOTATION_NAME_IID, name);
    put_number(&annotation, ANNOTATION_INT, value);
    put_message(event, EVENT_ANNOTATION, &annotation);
}

static struct message
event_of(unsigned type, uint64_t uuid)
{
    struct message event;

    event.used = 0;
    put_number(&event, EVENT_TYPE, type);
    put_number(&event, EVENT_TRACK, uuid);
    return event;
}

static void
write_event(struct out *out, const weft_recording *r, uint64_t at,
            const struct message *event)
{
    struct message packet;

    packet.used = 0;
    put_number(&packet, PACKET_TIMESTAMP, (uint64_t)r->started + at);
    put_message(&packet, PACKET_TRACK_EVENT, event);
    write_packet(out, &packet, STATE_NEEDED);
}

static void
write_lane_event(struct out *out, const weft_recording *r, uint32_t worker,
                 const struct lane_event *at)
{
    struct message event =
        event_of(at->begins ? TYPE_BEGIN : TYPE_END, track(OF_THREAD, worker));
    uint64_t name;

    if (at->begins) {
        name = at->kind == LANE_TASK   ? r->tasks[at->index].name
               : at->kind == LANE_WAIT ? r->waits[at->index].name
                                       : r->spans[at->index].name;
        put_number(&event, EVENT_NAME_IID, name + 1);
        if (at->kind == LANE_TASK) {
            const struct recorded_task *task = &r->tasks[at->index];

            annotate(&event, ANNOTATION_CPU, task->cpu);
            annotate(&event, ANNOTATION_QUEUED, task->begin - task->ready);
        }
    }
    write_event(out, r, at->at, &event);
}

static int
write_lane(struct out *out, const weft_recording *r, uint32_t worker)
{
    struct lane lane;
    struct lane_event event;
    int status;

    lane_begin(&lane, r, worker, true);
    while ((status = lane_next(&lane, &event)) > 0)
        write_lane_event(out, r, worker, &event);
    lane_end(&lane);
    return status;
}

static void
write_values(struct out *out, const weft_recording *r)
{
    for (uint32_t i = 0; i < r->mark_count; i++) {
        const struct recorded_value *mark = &r->marks[i];
        struct message event =
            event_of(TYPE_INSTANT, track(OF_THREAD, mark->worker));

        put_number(&event, EVENT_NAME_IID, (uint64_t)mark->name + 1);
        annotate(&event, ANNOTATION_VALUE, (uint64_t)mark->value);
        write_event(out, r, mark->at, &event);
    }
    for (uint32_t i = 0; i < r->counter_count; i++) {
        const struct recorded_value *counter = &r->counters[i];
        struct message event =
            event_of(TYPE_COUNTER, track(OF_COUNTER, counter->name));

        put_number(&event, EVENT_COUNTER_VALUE, (uint64_t)counter->value);
        write_event(out, r, counter->at, &event);
    }
}

static void
write_runs(struct out *out, const weft_recording *r)
{
    for (uint32_t i = 0; i < r->cpu_count; i++) {
        const struct part part = r->cpu[i].runs;

        for (uint32_t k = part.first; k < part.first + part.count; k++) {
            const struct recorded_run *run = &r->runs[r->cpu_runs[k]];
            struct message begin = event_of(TYPE_BEGIN, track(OF_CPU, i));
            const struct message end = event_of(TYPE_END, track(OF_CPU, i));

            put_number(&begin, EVENT_NAME_IID,
                       (uint64_t)r->name_count + run->worker + 1);
            write_event(out, r, run->begin, &begin);
            write_event(out, r, run->end, &end);
        }
    }
}

int
write_perfetto(struct out *out, const weft_recording *recording)
{
    int status = WEFT_OK;

    write_names(out, recording);
    write_worker_tracks(out, recording);
    write_other_tracks(out, recording);
    for (uint32_t w = 0; w < recording->worker_count && status == WEFT_OK; w++)
        status = write_lane(out, recording, w);
    write_values(out, recording);
    write_runs(out, recording);
    return status;
}
