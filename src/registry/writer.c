#include "registry/writer.h"

#include "base/text.h"
#include "os/os.h"
#include "registry/runs.h"
#include "registry/stock.h"

#include <string.h>

enum {
    UNITS = RECORDING_CHUNK / RECORDING_RECORD /* a chunk's head counted */
};

/* --- room */

static void
write_text(char *out, size_t room, const char *text)
{
    struct text to = text_over(out, room);

    text_add(&to, "%s", text);
}

static void
describe(struct recording_chunk *chunk, const struct writer *writer)
{
    const weft_worker *who = writer->who, *process = writer->process;

    chunk->tid = os_thread_id();
    chunk->pid = os_process_id();
    if (!who)
        return;
    chunk->slot = who->id;
    chunk->flags = (who->main ? RECORDING_MAIN : 0) |
                   (process->main ? 0 : RECORDING_PROCESS) |
                   (who->adopted ? RECORDING_ADOPTED : 0) |
                   (who->service ? RECORDING_SERVICE : 0);
    write_text(chunk->name, sizeof chunk->name, who->name);
    write_text(chunk->process, sizeof chunk->process, process->name);
}

/* Has memory for more of the chunk: little at first, since a thread may not
 * have much to say. */
static bool
fill(struct writer *writer)
{
    char *begin = (char *)writer->chunk, *from = (char *)writer->filled;
    const size_t had = (size_t)(from - begin);
    const size_t more = had                     ? had
                        : writer->sequence == 0 ? (size_t)OS_PAGE
                                                : (size_t)RECORDING_CHUNK;

    if (!room_fill(writer->session, from, more))
        return false;
    writer->filled = (union record *)(void *)(from + more);
    return true;
}

/* A chunk that was made in advance, for threads that need many. */
static uint32_t
take_ready(struct writer *writer)
{
    bool low = false;
    const uint32_t number =
        writer->sequence > 0 ? stock_take(writer->session, &low) : 0;

    if (low)
        runs_wake();
    return number;
}

static bool
claim(struct writer *writer)
{
    const uint32_t ready = take_ready(writer);
    const uint32_t number = ready ? ready : room_claim(writer->session);
    struct recording_chunk *chunk =
        number ? room_chunk(writer->session, number) : NULL;

    if (!chunk)
        return false;
    writer->chunk = chunk;
    writer->filled = writer->at = (union record *)(void *)chunk;
    writer->end = writer->at;
    if (ready)
        writer->filled += UNITS;
    else if (!fill(writer))
        return false;
    writer->number = number;
    if (writer->sequence == 0)
        writer->first = number;
    writer->at = (union record *)(void *)(chunk + 1);
    writer->end = (union record *)(void *)chunk + UNITS;
    chunk->kind = writer->kind;
    chunk->first = writer->first;
    chunk->sequence = writer->sequence++;
    describe(chunk, writer);
    /* release: the rest of it */
    __atomic_store_n(&chunk->magic, RECORDING_CHUNK_MAGIC, __ATOMIC_RELEASE);
    return true;
}

bool
writer_more(struct writer *writer, unsigned count)
{
    while (writer->filled - writer->at < (long)count) {
        const bool fits = writer->end - writer->at >= (long)count;

        if (fits ? fill(writer) : claim(writer))
            continue;
        if (!fits) /* nothing of a chunk that is not there */
            writer->filled = writer->at = writer->end;
        room_lost(writer->session, count);
        return false;
    }
    return true;
}

bool
writer_begin(struct writer *writer, uint32_t session)
{
    writer->session = session;
    writer->sequence = writer->count = 0;
    writer->wait = 0;
    writer->at = writer->filled = writer->end = NULL;
    memset(writer->names, 0, sizeof writer->names);
    if (!claim(writer)) {
        writer->at = writer->filled = writer->end = NULL;
        room_lost(session, 1);
        writer->session = 0;
        return false;
    }
    writer->task = record_id(session, writer->first, 0);
    return true;
}

/* --- names */

static uint64_t
mix(uint64_t hash, uint64_t word)
{
    hash = (hash ^ word) * UINT64_C(0x9e3779b97f4a7c15);
    return hash ^ hash >> 29;
}

static uint64_t
hash_of(const char *text, size_t length)
{
    uint64_t hash = length, word = 0;

    for (; length >= 8; length -= 8, text += 8) {
        memcpy(&word, text, 8);
        hash = mix(hash, word);
    }
    word = 0;
    memcpy(&word, text, length);
    return mix(mix(hash, word), 1);
}

static uint32_t
define(struct writer *writer, const char *text, size_t length)
{
    union record *record =
        writer_take(writer, record_name_units((uint32_t)length));

    if (!record)
        return 0;
    memcpy(record->name.text, text, length);
    writer_put(record, (struct record_head){.type = RECORD_NAME,
                                            .cpu = (uint16_t)length});
    return (uint32_t)(writer_handle(writer, record) << 8 >> 8);
}

uint32_t
writer_name(struct writer *writer, const char *name)
{
    size_t length = name ? strnlen(name, RECORDING_NAME + 1) : 0;

    if (length == 0)
        return 0;
    if (length > RECORDING_NAME)
        length = text_cut(name, length, RECORDING_NAME);
    const uint64_t hash = hash_of(name, length);
    const unsigned place = (unsigned)(hash >> 40) % WRITER_NAMES;

    if (writer->names[place].name == 0 || writer->names[place].hash != hash) {
        writer->names[place].name = define(writer, name, length);
        writer->names[place].hash = hash;
    }
    return writer->names[place].name;
}
