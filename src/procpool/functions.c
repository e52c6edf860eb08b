#include "procpool/functions.h"

#include "base/why.h"

#include <weft/status.h>

#include <stdlib.h>
#include <string.h>

/* After a dlclose and dlopen the same address may be another function. The
 * latest first: older ones may have been unloaded. */
static uint32_t
look(const struct functions *functions, weft_fn *fn)
{
    struct image_count now;

    image_count(&now);
    for (uint32_t i = functions->count; i > 0; i--) {
        const struct function *at = &functions->all[i - 1];

        if (at->fn == fn)
            return at->ref.adds == now.adds && at->ref.subs == now.subs ? i : 0;
    }
    return 0;
}

static bool
grow(struct functions *functions)
{
    if (functions->count < functions->room)
        return true;
    const uint32_t room = functions->room ? 2 * functions->room : 4;
    struct function *all = realloc(functions->all, room * sizeof *all);

    if (!all)
        return false;
    functions->all = all;
    functions->room = room;
    return true;
}

/* Objects that came or went since need not concern it. */
static bool
is_same(const struct image_ref *a, const struct image_ref *b)
{
    return a->id_size > 0 && a->id_size == b->id_size &&
           memcmp(a->id, b->id, a->id_size) == 0 && a->offset == b->offset &&
           a->address == b->address && strcmp(a->path, b->path) == 0;
}

int
functions_find(struct functions *functions, weft_fn *fn, uint32_t *number)
{
    *number = look(functions, fn);
    if (*number)
        return 0;
    if (!grow(functions))
        return why_because(WEFT_ENOMEM, "cannot note a function");
    struct function *last = &functions->all[functions->count];
    const int status = image_refer(fn, &last->ref);

    if (status < 0)
        return status;
    last->fn = fn;
    for (uint32_t i = functions->count; i > 0; i--) {
        struct function *at = &functions->all[i - 1];

        if (at->fn == fn && is_same(&at->ref, &last->ref)) {
            at->ref.adds = last->ref.adds;
            at->ref.subs = last->ref.subs;
            *number = i;
            return 0;
        }
    }
    *number = ++functions->count;
    return 0;
}

const struct image_ref *
functions_ref(const struct functions *functions, uint32_t number)
{
    return &functions->all[number - 1].ref;
}

void
functions_free(struct functions *functions)
{
    free(functions->all);
}
