#include "trace/source.h"

#include "base/why.h"
#include "os/os.h"

#include <weft/status.h>

#include <string.h>

#define SECOND INT64_C(1000000000)

/* 73 years. Sums and multiples of times fit 64 bits. */
#define LONGEST (INT64_MAX / 4)

static const char *
header_fault(const struct recording_header *header)
{
    if (header->magic != RECORDING_MAGIC)
        return header->magic == __builtin_bswap64(RECORDING_MAGIC)
                   ? "it was made on a machine of the other byte order"
                   : "it does not begin as one";
    if (header->version != RECORDING_VERSION)
        return "it was made by another version of weft";
    if (header->byte_order != RECORDING_BYTE_ORDER ||
        header->header_size != RECORDING_HEADER ||
        header->chunk_size != RECORDING_CHUNK ||
        header->chunk_head != RECORDING_CHUNK_HEAD ||
        header->record_size != RECORDING_RECORD)
        return "its header makes no sense";
    if (header->clock != RECORDING_TSC && header->clock != RECORDING_MONOTONIC)
        return "its clock is unknown";
    return NULL;
}

/* Not before source->start. */
static int64_t
find_end(const struct source *source)
{
    const struct recording_header *header = &source->header;
    const int64_t last = header->last[header->latest & 1].ns;
    int64_t end = source->start;

    if (header->state == RECORDING_STOPPED && header->stop > end)
        return header->stop;
    /* The clocks are noted ten times a second, if the program gets to it. */
    if (last > end)
        end = last;
    if (header->runs_until > end)
        end = header->runs_until;
    return end > INT64_MAX - 10 * SECOND ? INT64_MAX : end + 10 * SECOND;
}

/* What is said of the clocks may be forged: all that follows bears any scale
 * and any start. */
static void
calibrate(struct source *source)
{
    const struct recording_header *header = &source->header;
    const struct recording_point *a = &header->first;
    const struct recording_point *b = &header->last[header->latest & 1];

    source->scale = 1;
    if (header->clock == RECORDING_TSC) {
        source->uncalibrated = b->ticks <= a->ticks || b->ns <= a->ns;
        if (!source->uncalibrated)
            source->scale = (double)((uint64_t)b->ns - (uint64_t)a->ns) /
                            (double)(b->ticks - a->ticks);
    }
    source->start = a->ns;
    source->end = find_end(source);
    if ((uint64_t)source->end - (uint64_t)source->start > LONGEST)
        source->end = source->start + LONGEST;
}

static void
limit_chunks(struct source *source, uint64_t size)
{
    struct recording_header *header = &source->header;
    const uint64_t there = (size + RECORDING_CHUNK - 1) / RECORDING_CHUNK;
    uint64_t room = header->room / RECORDING_CHUNK;

    if (header->claimed < room)
        room = header->claimed;
    source->cut = size < room * RECORDING_CHUNK;
    if (header->claimed > there)
        header->claimed = (uint32_t)there;
    /* Chunks are 24 bits in a task's id. */
    if (header->claimed > 1u << 24)
        header->claimed = 1u << 24;
}

static int
open_file(struct source *source, const char *path)
{
    const int64_t size = os_file_size(source->fd);

    if (size < 0)
        return why_system((int)size, path);
    const int64_t got =
        os_read_at(source->fd, &source->header, sizeof source->header, 0);

    if (got < 0)
        return why_system((int)got, path);
    if ((size_t)got < sizeof source->header)
        return why_set(WEFT_EINVAL,
                       "%s is no recording of weft: it ends too early", path);
    const char *fault = header_fault(&source->header);

    if (fault)
        return why_set(WEFT_EINVAL, "%s is no recording of weft: %s", path,
                       fault);
    limit_chunks(source, (uint64_t)size);
    calibrate(source);
    return WEFT_OK;
}

int
source_open(struct source *source, const char *path)
{
    memset(source, 0, offsetof(struct source, chunk));
    source->fd = os_open_read(path);
    if (source->fd < 0)
        return why_system(source->fd, path);
    const int status = open_file(source, path);

    if (status < 0)
        os_close(source->fd);
    return status;
}

void
source_close(struct source *source)
{
    os_close(source->fd);
}

/* The head in source->chunk is one, and count is what it says. */
static bool
accept_head(struct source *source, uint32_t chunk)
{
    const struct recording_chunk *head = &source->chunk.head;

    source->count = 0;
    if (head->magic != RECORDING_CHUNK_MAGIC || head->first == 0 ||
        head->first > chunk ||
        (head->kind != RECORDING_WORKER && head->kind != RECORDING_KERNEL))
        return false;
    source->count =
        head->used < RECORDING_PER_CHUNK ? head->used : RECORDING_PER_CHUNK;
    return true;
}

int
source_head(struct source *source, uint32_t chunk)
{
    const uint64_t at = (uint64_t)chunk * RECORDING_CHUNK;
    const int64_t got =
        os_read_at(source->fd, source->chunk.bytes, RECORDING_CHUNK_HEAD, at);

    if (got < 0)
        return (int)got;
    return got == RECORDING_CHUNK_HEAD && accept_head(source, chunk);
}

int
source_chunk(struct source *source, uint32_t chunk)
{
    const int there = source_head(source, chunk);

    if (there <= 0)
        return there;
    const int64_t got =
        os_read_at(source->fd, source->chunk.bytes + RECORDING_CHUNK_HEAD,
                   (size_t)source->count * RECORDING_RECORD,
                   (uint64_t)chunk * RECORDING_CHUNK + RECORDING_CHUNK_HEAD);

    if (got < 0)
        return (int)got;
    source->count = (uint32_t)(got / RECORDING_RECORD);
    return 1;
}

/* Clocks of two CPUs differ a little, and a record may be finished while the
 * recording is stopped: what is only just outside is moved to the edge. */
static bool
limit_time(const struct source *source, double since, uint64_t *out)
{
    const double last = (double)source->end - (double)source->start;

    if (!(since > -1e9 && since < last + 1e9))
        return false;
    since = since < last ? since : last;
    *out = since > 0 ? (uint64_t)since : 0;
    return true;
}

bool
source_time(const struct source *source, uint64_t ticks, uint64_t *out)
{
    const double since = ticks >= source->header.first.ticks
                             ? (double)(ticks - source->header.first.ticks)
                             : -(double)(source->header.first.ticks - ticks);

    return limit_time(source, since * source->scale, out);
}

bool
source_monotonic(const struct source *source, int64_t ns, uint64_t *out)
{
    return limit_time(source, (double)ns - (double)source->start, out);
}
