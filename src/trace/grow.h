/* Arrays that grow while they are read into. */
#ifndef TRACE_GROW_H
#define TRACE_GROW_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

/* Makes room for one more element than `count`; false: no memory, or more than
 * an index may be. *room is how many there is room for. What was not written to
 * takes no memory, and moving a large one does not copy it. */
static inline bool
grow(void *array, uint32_t *room, uint32_t count, size_t size)
{
    void **at = array;

    if (count < *room)
        return true;
    const uint32_t more = *room ? *room * 2 : 64;

    if (more > UINT32_MAX / 4)
        return false;
    void *bigger = realloc(*at, more * size);

    if (!bigger)
        return false;
    *at = bigger;
    *room = more;
    return true;
}

#endif
