/* A recording, read as plainly as can be, and checked to be well formed. */
#ifndef SUPPORT_RECORDING_SUPPORT_H
#define SUPPORT_RECORDING_SUPPORT_H

#include "registry/recording.h"
#include "support/support.h"

struct recording_file {
    char path[96];
    char *bytes;
    size_t size;
    const struct recording_header *header;
};

/* A path for a recording of the test's own, below a fresh directory; removed
 * by recording_gone. */
void recording_path(struct recording_file *file);
void recording_gone(struct recording_file *file);

/* Maps what is there, and checks all of it: each record, each name, each id. */
void recording_read(struct recording_file *file);

/* The n-th record, from 0, of that type and name (NULL: any), in the order of
 * the file; NULL: there are fewer. */
const union record *recording_find(const struct recording_file *file,
                                   enum record_type type, const char *name,
                                   unsigned n);
unsigned recording_count(const struct recording_file *file,
                         enum record_type type, const char *name);

/* The chunk that a record lies in. */
const struct recording_chunk *recording_chunk_of(
    const struct recording_file *file, const union record *record);

/* The spawn of a task. */
const struct record_spawn *recording_spawn_of(const union record *task);

/* Whether somebody joined it. */
bool recording_has_join(const struct recording_file *file, uint64_t joined);

#endif
