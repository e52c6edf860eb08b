/* The file of a recording, chunk by chunk. Its layout is registry/recording.h;
 * nothing in it is trusted. */
#ifndef TRACE_SOURCE_H
#define TRACE_SOURCE_H

#include "registry/recording.h"

#include <stdbool.h>

struct source {
    int fd;
    struct recording_header header; /* as it was read; `claimed` is limited to
                                       what the file has */
    int64_t start;                  /* CLOCK_MONOTONIC, ns: time 0 */
    int64_t end;                    /* latest time that is plausible */
    double scale;                   /* ns a tick */
    bool uncalibrated;              /* the scale is a guess */
    bool cut;                       /* chunks are missing at the end */
    uint32_t count;                 /* records in the chunk that was read */

    union {
        struct recording_chunk head;
        unsigned char bytes[RECORDING_CHUNK];
        uint64_t align;
    } chunk;
};

/* WEFT_EINVAL: no recording; else -errno. Says why. */
int source_open(struct source *source, const char *path);
void source_close(struct source *source);

/* Reads the chunk's head / all of it. 1; 0: it was never written, or is none;
 * -errno. */
int source_head(struct source *source, uint32_t chunk);
int source_chunk(struct source *source, uint32_t chunk);

/* A record of the chunk that was read; index < source->count. */
static inline const union record *
source_record(const struct source *source, uint32_t index)
{
    const void *at = source->chunk.bytes + RECORDING_CHUNK_HEAD +
                     (size_t)index * RECORDING_RECORD;

    return at;
}

/* Nanoseconds since the start, at least 0. false: no time of this recording. */
bool source_time(const struct source *source, uint64_t ticks, uint64_t *out);
bool source_monotonic(const struct source *source, int64_t ns, uint64_t *out);

#endif
