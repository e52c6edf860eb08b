#include "trace/grow.h"
#include "trace/reading.h"

#include <weft/status.h>

#include <stdlib.h>
#include <string.h>

/* A worker while the chunks' heads are read. */
struct writer {
    uint32_t first;    /* its first chunk */
    uint32_t process;  /* first chunk of anybody in its process */
    uint32_t sequence; /* of the chunk that its name is from */
    struct recorded_worker worker;
};

struct writers {
    struct writer *list;
    uint32_t count, room;
};

/* The text of a fixed field, which may lack its end; NULL: no memory. */
static const char *
field_text(struct reading *reading, const char *field, size_t size)
{
    uint32_t index;

    if (!names_add(&reading->names, field, strnlen(field, size), &index))
        return NULL;
    return reading->names.list[index];
}

static bool
describe(struct reading *reading, struct writer *writer)
{
    const struct recording_chunk *head = &reading->source.chunk.head;
    struct recorded_worker *worker = &writer->worker;

    worker->name = field_text(reading, head->name, sizeof head->name);
    worker->process = field_text(reading, head->process, sizeof head->process);
    if (!worker->name || !worker->process)
        return false;
    writer->sequence = head->sequence;
    worker->pid = head->pid;
    worker->tid = head->tid;
    worker->main = head->flags & RECORDING_MAIN;
    worker->worker_process = head->flags & RECORDING_PROCESS;
    worker->own = !(head->flags & RECORDING_SERVICE) &&
                  (head->flags & RECORDING_ADOPTED ||
                   (worker->main && !worker->worker_process));
    return true;
}

/* The writer of the chunk whose head was read, a new one if need be. */
static struct writer *
writer_of(struct reading *reading, struct writers *writers)
{
    const struct recording_chunk *head = &reading->source.chunk.head;
    uint32_t *index = &reading->worker_of[head->first];

    if (*index == RECORDING_NONE) {
        if (!grow(&writers->list, &writers->room, writers->count,
                  sizeof *writers->list))
            return NULL;
        *index = writers->count++;
        writers->list[*index] = (struct writer){
            .first = head->first,
            .process = head->first,
            .worker = {.begin = UINT64_MAX},
        };
        return describe(reading, &writers->list[*index])
                   ? &writers->list[*index]
                   : NULL;
    }
    struct writer *writer = &writers->list[*index];

    /* The latest name is the one to show. */
    if (head->sequence > writer->sequence && !describe(reading, writer))
        return NULL;
    return writer;
}

static bool
add_chunk(struct reading *reading, struct writers *writers, uint32_t number)
{
    const struct recording_chunk *head = &reading->source.chunk.head;
    const bool kernel = head->kind == RECORDING_KERNEL;

    if (!grow(&reading->chunks, &reading->chunk_room, reading->chunk_count,
              sizeof *reading->chunks))
        return false;
    if (!kernel && !writer_of(reading, writers))
        return false;
    reading->chunks[reading->chunk_count++] = (struct reading_chunk){
        .worker = kernel ? RECORDING_NONE : reading->worker_of[head->first],
        .sequence = head->sequence,
        .number = number,
    };
    return true;
}

static int
read_heads(struct reading *reading, struct writers *writers)
{
    for (uint32_t n = 1; n < reading->source.header.claimed; n++) {
        const int status = source_head(&reading->source, n);

        if (status < 0)
            return status;
        if (status > 0 && !add_chunk(reading, writers, n))
            return WEFT_ENOMEM;
    }
    return WEFT_OK;
}

static int
by_pid(const void *a, const void *b)
{
    const struct writer *x = a, *y = b;

    if (x->worker.pid != y->worker.pid)
        return x->worker.pid < y->worker.pid ? -1 : 1;
    return x->first < y->first ? -1 : x->first > y->first;
}

static int
by_process(const void *a, const void *b)
{
    const struct writer *x = a, *y = b;

    if (x->process != y->process)
        return x->process < y->process ? -1 : 1;
    return x->first < y->first ? -1 : x->first > y->first;
}

/* The program's own threads come first, then each process's, in the order in
 * which they first recorded something. */
static void
sort_writers(const struct reading *reading, struct writers *writers)
{
    struct writer *list = writers->list;

    if (writers->count == 0)
        return;
    qsort(list, writers->count, sizeof *list, by_pid);
    for (uint32_t i = 0; i < writers->count; i++) {
        const bool same = i > 0 && list[i].worker.pid == list[i - 1].worker.pid;

        if (list[i].worker.pid == reading->source.header.pid)
            list[i].process = 0;
        else
            list[i].process = same ? list[i - 1].process : list[i].first;
    }
    qsort(list, writers->count, sizeof *list, by_process);
}

static int
by_worker(const void *a, const void *b)
{
    const struct reading_chunk *x = a, *y = b;

    if (x->worker != y->worker)
        return x->worker < y->worker ? -1 : 1;
    if (x->sequence != y->sequence)
        return x->sequence < y->sequence ? -1 : 1;
    return x->number < y->number ? -1 : x->number > y->number;
}

/* Puts the workers where they are to stay, and the chunks behind each other. */
static int
settle(struct reading *reading, struct writers *writers)
{
    weft_recording *r = reading->recording;
    uint32_t *now = malloc((writers->count + 1) * sizeof *now);

    r->workers = malloc((writers->count + 1) * sizeof *r->workers);
    if (!r->workers || !now) {
        free(now);
        return WEFT_ENOMEM;
    }
    /* Where the writer that was number i is now. */
    for (uint32_t i = 0; i < writers->count; i++)
        now[reading->worker_of[writers->list[i].first]] = i;
    for (uint32_t i = 0; i < writers->count; i++) {
        r->workers[i] = writers->list[i].worker;
        reading->worker_of[writers->list[i].first] = i;
    }
    r->worker_count = writers->count;
    for (uint32_t i = 0; i < reading->chunk_count; i++)
        if (reading->chunks[i].worker != RECORDING_NONE)
            reading->chunks[i].worker = now[reading->chunks[i].worker];
    free(now);
    if (reading->chunk_count > 0)
        qsort(reading->chunks, reading->chunk_count, sizeof *reading->chunks,
              by_worker);
    return WEFT_OK;
}

int
reading_workers(struct reading *reading)
{
    const size_t claimed = (size_t)reading->source.header.claimed + 1;
    struct writers writers = {NULL, 0, 0};

    reading->worker_of = malloc(claimed * sizeof *reading->worker_of);
    if (!reading->worker_of)
        return WEFT_ENOMEM;
    memset(reading->worker_of, 0xff, claimed * sizeof *reading->worker_of);
    int status = read_heads(reading, &writers);

    if (status == WEFT_OK) {
        sort_writers(reading, &writers);
        status = settle(reading, &writers);
    }
    free(writers.list);
    return status;
}
