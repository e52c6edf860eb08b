#include "base/why.h"
#include "trace/metrics.h"
#include "trace/reading.h"

#include <weft/recording.h>

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void
reading_end(struct reading *reading)
{
    ids_end(&reading->ids);
    free(reading->chunks);
    free(reading->worker_of);
    free(reading->parents);
    free(reading->cpus);
}

/* What the header says, made printable and plausible. */
static bool
read_header(struct reading *reading)
{
    weft_recording *r = reading->recording;
    const struct source *source = &reading->source;
    const struct recording_header *header = &source->header;
    uint32_t index;

    if (!names_add(&reading->names, header->command,
                   strnlen(header->command, sizeof header->command), &index))
        return false;
    r->program = reading->names.list[index];
    r->started = source->start;
    r->cpus = header->cpus > 0 && header->cpus <= 1u << 20 ? header->cpus : 1;
    r->lost = header->lost + header->runs_lost;
    r->killed = header->state != RECORDING_STOPPED;
    r->estimated =
        header->on_cpu != RECORDING_CPU_MEASURED || header->runs_from == 0;
    r->cut = source->cut;
    return true;
}

/* How long it was: to the stop, or to the last that was seen. */
static void
find_wall(struct reading *reading)
{
    weft_recording *r = reading->recording;
    const struct recording_header *header = &reading->source.header;
    uint64_t last = 0;

    r->wall = reading->latest;
    for (uint32_t i = 0; i < r->run_count; i++)
        if (r->runs[i].end > r->wall)
            r->wall = r->runs[i].end;
    if (!source_monotonic(&reading->source,
                          r->killed ? header->last[header->latest & 1].ns
                                    : header->stop,
                          &last))
        return;
    if (last > r->wall)
        r->wall = last;
}

/* In one sentence what is missing or wrong, for people. */
static void
note_damage(struct reading *reading)
{
    weft_recording *r = reading->recording;
    const struct recording_header *header = &reading->source.header;
    char *text = r->damage_text;
    const size_t room = sizeof r->damage_text;

    r->cut = r->cut || reading->bad > 0;
    if (reading->source.cut)
        snprintf(text, room, "the file ends early");
    else if (reading->bad > 0)
        snprintf(text, room, "%" PRIu64 " records make no sense", reading->bad);
    else if (header->full)
        snprintf(text, room, "there was no more room: %s",
                 strerrordesc_np((int)header->full)
                     ? strerrordesc_np((int)header->full)
                     : "unknown error");
    else if (reading->source.uncalibrated)
        snprintf(text, room,
                 "it ended before its clock was calibrated: times are ticks");
    else if (r->killed)
        snprintf(text, room,
                 "the program did not end it: killed, or it is "
                 "still recording");
    if (*text)
        r->damage = text;
}

static int
read_all(struct reading *reading)
{
    if (!names_begin(&reading->names) || !read_header(reading))
        return WEFT_ENOMEM;
    int status = reading_workers(reading);

    if (status == WEFT_OK)
        status = reading_records(reading);
    find_wall(reading);
    if (status == WEFT_OK)
        status = reading_tasks(reading);
    if (status == WEFT_OK)
        status = reading_references(reading);
    if (status == WEFT_OK)
        status = reading_runs(reading);
    if (status == WEFT_OK)
        status = reading_finish(reading);
    note_damage(reading);
    return status;
}

/* The texts outlive the reading. */
static int
read_file(weft_recording *recording, const char *path)
{
    struct reading *reading = calloc(1, sizeof *reading);

    if (!reading)
        return why_because(WEFT_ENOMEM, "read a recording");
    reading->recording = recording;
    int status = source_open(&reading->source, path);

    if (status == WEFT_OK) {
        status = read_all(reading);
        source_close(&reading->source);
        if (status < 0)
            status = status == WEFT_ENOMEM
                         ? why_because(WEFT_ENOMEM, "read a recording")
                         : why_system(status, path);
    }
    names_trim(&reading->names);
    recording->texts = reading->names;
    reading_end(reading);
    free(reading);
    return status;
}

int
weft_recording_open(weft_recording **out, const char *path)
{
    if (!out || !path)
        return why_set(WEFT_EINVAL, "recording: %s is NULL",
                       out ? "its path" : "where to put it");
    weft_recording *recording = calloc(1, sizeof *recording);

    if (!recording)
        return why_because(WEFT_ENOMEM, "read a recording");
    int status = read_file(recording, path);

    if (status == WEFT_OK) {
        recording->path = strdup(path);
        if (!recording->path || metrics_measure(recording) < 0)
            status = why_because(WEFT_ENOMEM, "measure a recording");
    }
    if (status < 0) {
        weft_recording_close(recording);
        return status;
    }
    *out = recording;
    return WEFT_OK;
}

void
weft_recording_metrics(const weft_recording *recording, weft_metrics *out)
{
    *out = recording->metrics;
}

void
weft_recording_close(weft_recording *recording)
{
    if (!recording)
        return;
    names_end(&recording->texts);
    free(recording->path);
    free(recording->workers);
    free(recording->tasks);
    free(recording->runs);
    free(recording->cpu);
    free(recording->cpu_runs);
    free(recording->waits);
    free(recording->spans);
    free(recording->marks);
    free(recording->counters);
    free(recording->joins);
    free(recording->lates);
    free(recording->locks);
    free(recording);
}
