/* What the C library's start-up code calls in every program, before its
 * constructors: only `main` is changed here, so that they have run when the
 * library takes over. In the shared library alone: a program that is linked
 * statically has no other such function to go on with. */
#include "worker/spawn.h"

#include <dlfcn.h>
#include <stdlib.h>

typedef int start_fn(spawn_main_fn *main, int argc, char **argv,
                     void (*init)(void), void (*fini)(void),
                     void (*loader)(void), void *stack);

/* NOLINTBEGIN(bugprone-reserved-identifier, readability-identifier-naming,
 * readability-function-size): the C library's own */
__attribute__((visibility("default"))) start_fn __libc_start_main;

int
__libc_start_main(spawn_main_fn *main, int argc, char **argv,
                  void (*init)(void), void (*fini)(void), void (*loader)(void),
                  void *stack)
{
    start_fn *real = NULL;

    *(void **)&real = dlsym(RTLD_NEXT, "__libc_start_main");
    if (!real)
        abort();
    spawn_real_main = main;
    return real(spawn_main, argc, argv, init, fini, loader, stack);
}

/* NOLINTEND(bugprone-reserved-identifier, readability-identifier-naming,
 * readability-function-size) */
