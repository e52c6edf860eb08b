#include "support/forge.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum {
    NAMES = 16 /* that a writer remembers; defined again when forgotten */
};

struct forge_writer {
    uint32_t first, chunk, tasks;

    struct {
        const char *text;
        uint32_t number;
    } names[NAMES];

    unsigned next_name;

    union {
        struct recording_chunk head;
        unsigned char bytes[RECORDING_CHUNK];
        uint64_t align;
    } * buffer;
};

static void
must(bool held, const char *what)
{
    if (held)
        return;
    perror(what);
    abort();
}

static uint64_t
ticks(uint64_t time)
{
    return time + (uint64_t)FORGE_START;
}

void
forge_open(struct forge *forge, const char *path)
{
    const struct recording_point start = {ticks(0), FORGE_START};

    *forge = (struct forge){.kernel = UINT32_MAX};
    forge->fd = open(path, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    must(forge->fd >= 0, path);
    forge->header = (struct recording_header){
        .magic = RECORDING_MAGIC,
        .version = RECORDING_VERSION,
        .byte_order = RECORDING_BYTE_ORDER,
        .header_size = RECORDING_HEADER,
        .chunk_size = RECORDING_CHUNK,
        .chunk_head = RECORDING_CHUNK_HEAD,
        .record_size = RECORDING_RECORD,
        .clock = RECORDING_MONOTONIC,
        .session = 1,
        .pid = FORGE_PID,
        .cpus = 2,
        .cpus_of_system = 2,
        .state = RECORDING_RUNS,
        .on_cpu = RECORDING_CPU_MEASURED,
        .start = FORGE_START,
        .room = UINT64_C(1) << 40,
        .first = start,
        .last = {start, start},
        .runs_from = FORGE_START,
        .runs_until = INT64_MAX,
        .claimed = 1,
        .command = "forged",
    };
}

static void
write_chunk(struct forge *forge, const struct forge_writer *writer)
{
    const size_t size = RECORDING_CHUNK_HEAD +
                        (size_t)writer->buffer->head.used * RECORDING_RECORD;

    must(pwrite(forge->fd, writer->buffer->bytes, size,
                (off_t)writer->chunk * RECORDING_CHUNK) == (ssize_t)size,
         "write a chunk");
}

/* The writer's next chunk: what names it knows are in those before. */
static void
claim(struct forge *forge, struct forge_writer *writer)
{
    writer->chunk = forge->header.claimed++;
    writer->buffer->head.used = 0;
    memset(writer->buffer->bytes + RECORDING_CHUNK_HEAD, 0,
           RECORDING_CHUNK - RECORDING_CHUNK_HEAD);
}

static uint32_t
add_writer(struct forge *forge, const struct recording_chunk *head)
{
    if (forge->count == forge->room) {
        forge->room = forge->room ? forge->room * 2 : 16;
        forge->writers =
            realloc(forge->writers, forge->room * sizeof *forge->writers);
        must(forge->writers, "writers");
    }
    struct forge_writer *writer = &forge->writers[forge->count];

    *writer = (struct forge_writer){.first = forge->header.claimed};
    writer->buffer = calloc(1, sizeof *writer->buffer);
    must(writer->buffer, "a chunk");
    writer->buffer->head = *head;
    writer->buffer->head.magic = RECORDING_CHUNK_MAGIC;
    writer->buffer->head.first = writer->first;
    claim(forge, writer);
    return forge->count++;
}

uint32_t
forge_worker(struct forge *forge, const char *name, unsigned flags)
{
    struct recording_chunk head = {
        .kind = RECORDING_WORKER,
        .pid = FORGE_PID,
        .tid = FORGE_TID + (int32_t)forge->count,
        .flags = flags,
        .process = "forged",
    };

    snprintf(head.name, sizeof head.name, "%s", name);
    return add_writer(forge, &head);
}

/* Room for so many records that must lie together; where they are. */
static unsigned char *
room_for(struct forge *forge, struct forge_writer *writer, uint32_t units)
{
    struct recording_chunk *head = &writer->buffer->head;

    if (head->used + units > RECORDING_PER_CHUNK) {
        write_chunk(forge, writer);
        claim(forge, writer);
        head->sequence++;
    }
    unsigned char *at = writer->buffer->bytes + RECORDING_CHUNK_HEAD +
                        (size_t)head->used * RECORDING_RECORD;

    head->used += units;
    return at;
}

void
forge_record(struct forge *forge, uint32_t worker, const union record *record)
{
    memcpy(room_for(forge, &forge->writers[worker], 1), record, sizeof *record);
}

uint32_t
forge_name(struct forge *forge, uint32_t worker, const char *text,
           uint32_t length)
{
    struct forge_writer *writer = &forge->writers[worker];
    const struct record_head head = {.type = RECORD_NAME,
                                     .cpu = (uint16_t)length};
    unsigned char *at = room_for(forge, writer, record_name_units(length));

    memcpy(at, &head, sizeof head);
    memcpy(at + sizeof head, text, length);
    return (writer->chunk * RECORDING_CHUNK +
            (uint32_t)(at - writer->buffer->bytes)) /
           RECORDING_RECORD;
}

static uint32_t
name_of(struct forge *forge, uint32_t worker, const char *text)
{
    struct forge_writer *writer = &forge->writers[worker];

    if (!text)
        return 0;
    for (unsigned i = 0; i < NAMES; i++)
        if (writer->names[i].text && strcmp(writer->names[i].text, text) == 0)
            return writer->names[i].number;
    const uint32_t number =
        forge_name(forge, worker, text, (uint32_t)strlen(text));
    const unsigned slot = writer->next_name++ % NAMES;

    free((void *)writer->names[slot].text);
    writer->names[slot].text = strdup(text);
    must(writer->names[slot].text, "a name");
    writer->names[slot].number = number;
    return number;
}

uint64_t
forge_thread(const struct forge *forge, uint32_t worker)
{
    return record_id(forge->header.session, forge->writers[worker].first, 0);
}

uint64_t
forge_task(struct forge *forge, uint32_t worker, const struct forge_task *task)
{
    struct forge_writer *writer = &forge->writers[worker];
    const uint32_t name = name_of(forge, worker, task->name);
    unsigned char *at = room_for(forge, writer, task->parent ? 2 : 1);
    const struct record_task record = {
        .head = {RECORD_TASK, (uint8_t)task->flags, RECORD_NO_CPU, name},
        .id = record_id(forge->header.session, writer->first, ++writer->tasks),
        .begin = ticks(task->begin),
        .end = task->end ? ticks(task->end) : 0,
    };
    const struct record_spawn spawn = {
        .head = {RECORD_SPAWN, 0, 0, 0},
        .parent = task->parent,
        .spawned = ticks(task->spawned),
        .ready = ticks(task->ready ? task->ready : task->spawned),
    };

    memcpy(at, &record, sizeof record);
    if (task->parent)
        memcpy(at + sizeof record, &spawn, sizeof spawn);
    return record.id;
}

void
forge_join(struct forge *forge, uint32_t worker, uint64_t joiner,
           uint64_t joined, uint64_t when)
{
    const struct record_join join = {
        {RECORD_JOIN, 0, 0, 0}, joiner, joined, ticks(when)};

    forge_record(forge, worker, &(union record){.join = join});
}

void
forge_after(struct forge *forge, uint32_t worker, uint64_t task, uint64_t on,
            uint64_t when)
{
    const struct record_after after = {
        {RECORD_AFTER, 0, 0, 0}, task, on, ticks(when)};

    forge_record(forge, worker, &(union record){.after = after});
}

void
forge_wait(struct forge *forge, uint32_t worker, unsigned kind,
           const char *name, uint64_t object, uint64_t begin, uint64_t end)
{
    const uint32_t number = name_of(forge, worker, name);
    const struct record_wait wait = {{RECORD_WAIT, (uint8_t)kind, 0, number},
                                     ticks(begin),
                                     end ? ticks(end) : 0,
                                     object};

    forge_record(forge, worker, &(union record){.wait = wait});
}

void
forge_span(struct forge *forge, uint32_t worker, const char *name,
           uint64_t begin, uint64_t end)
{
    const uint32_t number = name_of(forge, worker, name);
    const struct record_span span = {{RECORD_SPAN, 0, 0, number},
                                     ticks(begin),
                                     end ? ticks(end) : 0,
                                     forge_thread(forge, worker)};

    forge_record(forge, worker, &(union record){.span = span});
}

void
forge_value(struct forge *forge, uint32_t worker, enum record_type type,
            const char *name, uint64_t when, int64_t value)
{
    const uint32_t number = name_of(forge, worker, name);
    const struct record_value record = {{(uint8_t)type, 0, 0, number},
                                        ticks(when),
                                        value,
                                        forge_thread(forge, worker)};

    forge_record(forge, worker, &(union record){.value = record});
}

void
forge_cpu(struct forge *forge, uint32_t worker, uint64_t task, uint64_t on_cpu)
{
    const struct record_cpu cpu = {{RECORD_CPU, 0, 0, 0}, task, on_cpu, 0};

    forge_record(forge, worker, &(union record){.on_cpu = cpu});
}

void
forge_run(struct forge *forge, uint32_t worker, unsigned cpu, uint64_t begin,
          uint64_t end, bool preempted)
{
    const struct record_run run = {
        {RECORD_RUN, preempted ? RECORD_PREEMPTED : 0, (uint16_t)cpu,
         FORGE_TID + worker},
        FORGE_START + (int64_t)begin,
        end ? FORGE_START + (int64_t)end : 0,
        FORGE_PID,
    };

    if (forge->kernel == UINT32_MAX)
        forge->kernel =
            add_writer(forge, &(struct recording_chunk){
                                  .kind = RECORDING_KERNEL, .pid = FORGE_PID});
    forge_record(forge, forge->kernel, &(union record){.run = run});
}

void
forge_close(struct forge *forge, uint64_t stop)
{
    const off_t size = (off_t)forge->header.claimed * RECORDING_CHUNK;

    for (uint32_t i = 0; i < forge->count; i++) {
        write_chunk(forge, &forge->writers[i]);
        free(forge->writers[i].buffer);
        for (unsigned k = 0; k < NAMES; k++)
            free((void *)forge->writers[i].names[k].text);
    }
    if (stop) {
        forge->header.state = RECORDING_STOPPED;
        forge->header.stop = FORGE_START + (int64_t)stop;
    }
    must(pwrite(forge->fd, &forge->header, sizeof forge->header, 0) ==
                 (ssize_t)sizeof forge->header &&
             ftruncate(forge->fd, size) == 0 && close(forge->fd) == 0,
         "write the header");
    free(forge->writers);
}
