#include "loops.h"

#include <dlfcn.h>
#include <string.h>

/* ISO C has no way from an object pointer to a function. */
static void
find(void *library, const char *name, void *function)
{
    void *const at = dlsym(library, name);

    memcpy(function, &at, sizeof at);
}

void
loops_load(struct loops_way *way, const char *library)
{
    void *const handle =
        *library ? dlopen(library, RTLD_NOW | RTLD_LOCAL | RTLD_DEEPBIND)
                 : NULL;

    if (!handle)
        return;
    find(handle, "openmp_empty", &way->empty);
    find(handle, "openmp_compute", &way->compute);
    find(handle, "openmp_stream", &way->stream);
}
