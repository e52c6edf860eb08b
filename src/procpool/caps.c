#include "procpool/caps.h"

#include <dlfcn.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

/* A library reads its variable when it is loaded; one that is loaded already
 * must be told by a call. */
static const struct cap {
    const char *variable, *call; /* void (int), or NULL */
} caps[] = {
    {"WEFT_CPUS", NULL},
    {"OMP_NUM_THREADS", "omp_set_num_threads"},
    {"OPENBLAS_NUM_THREADS", "openblas_set_num_threads"},
    {"MKL_NUM_THREADS", "MKL_Set_Num_Threads"},
    {"BLIS_NUM_THREADS", "bli_thread_set_num_threads"},
    {"GOTO_NUM_THREADS", NULL},
    {"VECLIB_MAXIMUM_THREADS", NULL},
    {"NUMEXPR_NUM_THREADS", NULL},
};

void
caps_set(unsigned cpus)
{
    char number[16];

    snprintf(number, sizeof number, "%u", cpus);
    for (size_t i = 0; i < sizeof caps / sizeof *caps; i++) {
        const struct cap *cap = &caps[i];

        /* NOLINTNEXTLINE(concurrency-mt-unsafe): the worker has one thread */
        if (getenv(cap->variable) || setenv(cap->variable, number, 0) < 0)
            continue;
        void *call = cap->call ? dlsym(RTLD_DEFAULT, cap->call) : NULL;

        if (call)
            ((void (*)(int))(uintptr_t)call)((int)cpus);
    }
}
