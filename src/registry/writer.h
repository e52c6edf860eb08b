/* Writing records: a thread's place in the recording. */
#ifndef REGISTRY_WRITER_H
#define REGISTRY_WRITER_H

#include "registry/recording.h"
#include "registry/room.h"

#include <weft/worker.h>

#include <stdbool.h>

enum {
    WRITER_NAMES = 64
};

/* All of it is its thread's. */
struct writer {
    uint32_t session;                 /* that all of it is of; 0 = none */
    uint32_t first, sequence, number; /* of chunks: number of the first one and
                                         the present one */
    uint32_t count;                   /* of ids that it has given */
    enum recording_chunk_kind kind;
    const weft_worker *who; /* it is, and its process; NULL = no worker */
    const weft_worker *process;
    struct recording_chunk *chunk;
    union record *at, *filled, *end; /* in the chunk */
    uint64_t task; /* that its thread runs, or the thread itself */
    uint64_t wait; /* open record; 0 = none */

    struct {
        uint64_t hash;
        uint32_t name; /* 0 = empty */
    } names[WRITER_NAMES];
};

/* Begins in that session; who and process as above. False: there is no room. */
bool writer_begin(struct writer *writer, uint32_t session);

/* Slow path of writer_take. */
bool writer_more(struct writer *writer, unsigned count);

/* `count` zero records in a row, to be written from the back. NULL: no room,
 * which was counted. */
static inline union record *
writer_take(struct writer *writer, unsigned count)
{
    if (__builtin_expect(writer->filled - writer->at < (long)count, 0) &&
        !writer_more(writer, count))
        return NULL;
    union record *record = writer->at;

    writer->at += count;
    __atomic_store_n(
        &writer->chunk->used,
        (uint32_t)(writer->at - (union record *)(void *)(writer->chunk + 1)),
        __ATOMIC_RELAXED);
    return record;
}

/* Makes the record one that is read: after its words. */
static inline void
writer_put(union record *record, struct record_head head)
{
    union {
        struct record_head head;
        uint64_t word;
    } as = {head};

    /* release: pairs with whoever reads the file */
    __atomic_store_n((uint64_t *)(void *)record, as.word, __ATOMIC_RELEASE);
}

/* Of a record that is to be completed later: so that it can be found when its
 * session still lasts. Never 0. */
static inline uint64_t
writer_handle(const struct writer *writer, const union record *record)
{
    const uint64_t number =
        (uint64_t)writer->number * (RECORDING_CHUNK / RECORDING_RECORD) +
        (uint64_t)(record - (const union record *)(const void *)writer->chunk);

    return (uint64_t)writer->session << 56 | number;
}

static inline uint32_t
writer_session_of(uint64_t handle_or_id)
{
    return (uint32_t)(handle_or_id >> 56);
}

/* NULL: its session is over. */
static inline union record *
writer_find(uint64_t handle)
{
    return room_record(writer_session_of(handle), handle << 8 >> 8);
}

/* The number of a name's record; 0: NULL, "", or no room. */
uint32_t writer_name(struct writer *writer, const char *name);

#endif
