#include "trace/ids.h"

#include "base/digest.h"
#include "os/os.h"
#include "trace/recording.h"

#include <stdlib.h>

enum {
    SHARE = 4, /* bits of an id that a group leaves to its members */
    MEMBERS = 1 << SHARE
};

struct id_group {
    uint64_t key;              /* the id's upper bits + 1; 0 = free */
    uint32_t members[MEMBERS]; /* index + 1; 0 = none */
};

static struct id_group *
place(const struct ids *ids, uint64_t key)
{
    const uint32_t mask = ids->size - 1;
    uint32_t at = (uint32_t)digest_mix(key ^ ids->seed) & mask;

    while (ids->groups[at].key && ids->groups[at].key != key)
        at = (at + 1) & mask;
    return &ids->groups[at];
}

static bool
enlarge(struct ids *ids)
{
    struct ids bigger = {.seed = ids->seed, .used = ids->used};

    if (ids->size == 0)
        bigger.seed = (uint64_t)os_now();
    if (ids->size > UINT32_MAX / 4)
        return false;
    bigger.size = ids->size ? ids->size * 2 : 64;
    bigger.groups = calloc(bigger.size, sizeof *bigger.groups);
    if (!bigger.groups)
        return false;
    for (uint32_t i = 0; i < ids->size; i++)
        if (ids->groups[i].key)
            *place(&bigger, ids->groups[i].key) = ids->groups[i];
    free(ids->groups);
    *ids = bigger;
    return true;
}

bool
ids_add(struct ids *ids, uint64_t id, uint32_t index)
{
    const uint64_t key = (id >> SHARE) + 1;

    if (ids->used >= ids->size / 4 * 3 && !enlarge(ids))
        return false;
    struct id_group *group = place(ids, key);

    if (!group->key) {
        group->key = key;
        ids->used++;
    }
    group->members[id % MEMBERS] = index + 1;
    return true;
}

uint32_t
ids_find(const struct ids *ids, uint64_t id)
{
    if (ids->size == 0)
        return RECORDING_NONE;
    const struct id_group *group = place(ids, (id >> SHARE) + 1);

    return group->key && group->members[id % MEMBERS]
               ? group->members[id % MEMBERS] - 1
               : RECORDING_NONE;
}

void
ids_end(struct ids *ids)
{
    free(ids->groups);
}
