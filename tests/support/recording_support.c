#include "support/recording_support.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

void
recording_path(struct recording_file *file)
{
    char directory[64];

    memset(file, 0, sizeof *file);
    support_directory(directory);
    snprintf(file->path, sizeof file->path, "%s/recording", directory);
}

void
recording_gone(struct recording_file *file)
{
    char *end = strrchr(file->path, '/');

    if (file->bytes)
        munmap(file->bytes, file->size);
    *end = '\0';
    support_remove(file->path);
}

static const struct recording_chunk *
chunk_at(const struct recording_file *file, size_t number)
{
    const size_t end = (number + 1) * RECORDING_CHUNK;
    const struct recording_chunk *chunk =
        (const void *)(file->bytes + number * RECORDING_CHUNK);

    return number < file->header->claimed && end <= file->size &&
                   chunk->magic == RECORDING_CHUNK_MAGIC
               ? chunk
               : NULL;
}

static const union record *
records_of(const struct recording_chunk *chunk)
{
    return (const union record *)(const void *)(chunk + 1);
}

/* Text and length of a name. */
static const char *
name_at(const struct recording_file *file, uint32_t name, size_t *length)
{
    const union record *record =
        (const void *)(file->bytes + (size_t)name * RECORDING_RECORD);

    *length = 0;
    if (name == 0)
        return "";
    ck_assert_uint_lt((size_t)name * RECORDING_RECORD, file->size);
    ck_assert_uint_eq(record->head.type, RECORD_NAME);
    ck_assert_uint_le(record->head.cpu, RECORDING_NAME);
    *length = record->head.cpu;
    return record->name.text;
}

static bool
is_named(const struct recording_file *file, const union record *record,
         const char *name)
{
    size_t length;
    const char *text;

    if (!name)
        return true;
    text = name_at(file, record->head.name, &length);
    return length == strlen(name) && memcmp(text, name, length) == 0;
}

static unsigned
units_of(const union record *record)
{
    return record->head.type == RECORD_NAME
               ? record_name_units(record->head.cpu)
               : 1;
}

static void
check_id(const struct recording_file *file, uint64_t id)
{
    ck_assert_uint_eq(id >> 56, file->header->session);
    ck_assert_uint_gt(record_id_chunk(id), 0);
    ck_assert_uint_lt(record_id_chunk(id), file->header->claimed);
}

static void
check_record(const struct recording_file *file, const union record *record)
{
    size_t length;

    ck_assert_uint_lt(record->head.type, RECORD_TYPES);
    if (record->head.type != RECORD_RUN && record->head.type != RECORD_NAME)
        name_at(file, record->head.name, &length);
    switch (record->head.type) {
    case RECORD_TASK:
        check_id(file, record->task.id);
        ck_assert(record->task.end == 0 ||
                  record->task.end >= record->task.begin);
        break;
    case RECORD_SPAWN:
        check_id(file, record->spawn.parent);
        ck_assert_uint_ge(record->spawn.ready, record->spawn.spawned);
        ck_assert_uint_eq(record[-1].head.type, RECORD_TASK);
        break;
    case RECORD_JOIN:
        check_id(file, record->join.joiner);
        check_id(file, record->join.joined);
        break;
    case RECORD_WAIT:
        ck_assert_uint_lt(record->head.flags, RECORD_WAIT_KINDS);
        ck_assert(record->wait.end == 0 ||
                  record->wait.end >= record->wait.begin);
        break;
    case RECORD_RUN:
        ck_assert(record->run.end == 0 || record->run.end >= record->run.begin);
        break;
    default:
        break;
    }
}

static void
check_chunk(const struct recording_file *file,
            const struct recording_chunk *chunk)
{
    const union record *records = records_of(chunk);

    ck_assert_uint_le(chunk->used, RECORDING_PER_CHUNK);
    ck_assert(chunk->kind == RECORDING_WORKER ||
              chunk->kind == RECORDING_KERNEL);
    for (unsigned i = 0; i < chunk->used; i += units_of(&records[i]))
        check_record(file, &records[i]);
}

void
recording_read(struct recording_file *file)
{
    struct stat stat;
    const int fd = open(file->path, O_RDONLY | O_CLOEXEC);

    ck_assert_int_ge(fd, 0);
    ck_assert_int_eq(fstat(fd, &stat), 0);
    ck_assert_int_ge(stat.st_size, RECORDING_CHUNK);
    if (file->bytes)
        munmap(file->bytes, file->size);
    file->size = (size_t)stat.st_size;
    file->bytes = mmap(NULL, file->size, PROT_READ, MAP_SHARED, fd, 0);
    ck_assert_ptr_ne(file->bytes, MAP_FAILED);
    close(fd);
    file->header = (const void *)file->bytes;
    ck_assert_uint_eq(file->header->magic, RECORDING_MAGIC);
    ck_assert_uint_eq(file->header->byte_order, RECORDING_BYTE_ORDER);
    for (size_t i = 1; i < file->size / RECORDING_CHUNK; i++)
        if (chunk_at(file, i))
            check_chunk(file, chunk_at(file, i));
}

/* The n-th one; or, without, how many there are. */
static const union record *
look(const struct recording_file *file, enum record_type type, const char *name,
     unsigned n, unsigned *count)
{
    *count = 0;
    for (size_t c = 1; c < file->size / RECORDING_CHUNK; c++) {
        const struct recording_chunk *chunk = chunk_at(file, c);
        const union record *records = chunk ? records_of(chunk) : NULL;

        for (unsigned i = 0; chunk && i < chunk->used;
             i += units_of(&records[i]))
            if (records[i].head.type == type &&
                is_named(file, &records[i], name) && (*count)++ == n)
                return &records[i];
    }
    return NULL;
}

const union record *
recording_find(const struct recording_file *file, enum record_type type,
               const char *name, unsigned n)
{
    unsigned count;

    return look(file, type, name, n, &count);
}

unsigned
recording_count(const struct recording_file *file, enum record_type type,
                const char *name)
{
    unsigned count;

    (void)look(file, type, name, UINT32_MAX, &count);
    return count;
}

const struct recording_chunk *
recording_chunk_of(const struct recording_file *file,
                   const union record *record)
{
    const size_t at = (size_t)((const char *)record - file->bytes);

    return (const void *)(file->bytes + at / RECORDING_CHUNK * RECORDING_CHUNK);
}

const struct record_spawn *
recording_spawn_of(const union record *task)
{
    ck_assert_uint_eq(task[1].head.type, RECORD_SPAWN);
    return &task[1].spawn;
}

bool
recording_has_join(const struct recording_file *file, uint64_t joined)
{
    const union record *join;

    for (unsigned n = 0; (join = recording_find(file, RECORD_JOIN, NULL, n));
         n++)
        if (join->join.joined == joined)
            return true;
    return false;
}
