/* From a task's id to its index. Ids of one maker are counted, so sixteen that
 * follow each other share a group: it takes five bytes a task and is walked
 * through in order. */
#ifndef TRACE_IDS_H
#define TRACE_IDS_H

#include <stdbool.h>
#include <stdint.h>

struct id_group;

/* All-zero is empty. */
struct ids {
    struct id_group *groups; /* hashed; a key of 0 is free */
    uint64_t seed;           /* against files made to collide */
    uint32_t size, used;
};

bool ids_add(struct ids *ids, uint64_t id, uint32_t index); /* false: no memory
                                                             */

/* RECORDING_NONE when there is none. */
uint32_t ids_find(const struct ids *ids, uint64_t id);
void ids_end(struct ids *ids);

#endif
