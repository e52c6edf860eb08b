#include "wait/bell.h"

#include "base/why.h"
#include "os/os.h"

#include <weft/status.h>

enum {
    STACK = 64 << 10,
    SLICE = 10000000 /* ns */
};

/* A process has one stop word that is not its own: its parent's. */
static _Atomic(const struct stop *) mirrored;
static atomic_bool mirrors; /* the thread has been born */

static void
mirror(void *memory)
{
    const struct stop *stop = memory;

    atomic_store(&mirrors, true);
    while (atomic_load(stop->asked) == 0)
        (void)os_futex_wait(stop->asked, 0, OS_NEVER, true);
    stop_ring(stop->cell);
    atomic_store(&mirrors, false);
}

void
bell_mirror(const struct stop *stop)
{
    const struct os_thread_options options = {.stack_size = STACK,
                                              .quiet = true};
    const struct stop *none = NULL;

    if (!atomic_compare_exchange_strong(&mirrored, &none, stop))
        return;
    if (os_thread_start(mirror, (void *)(uintptr_t)stop, &options) < 0)
        atomic_store(&mirrored, NULL);
}

int64_t
bell_slice(const struct self *self)
{
    for (const struct stop *stop = self->stop; stop; stop = stop->outer)
        if (stop->borrowed || (stop->remote && atomic_load(&mirrored) != stop))
            return os_now() + SLICE;
    return OS_NEVER;
}

int
bell_get(struct self *self)
{
    if (self_is_shared(self))
        return why_because(WEFT_ENOMEM, "cannot adopt this thread");
    if (self->bell < 0) {
        const int fd = os_event_open();

        if (fd < 0)
            return why_system(fd, "cannot make a descriptor to be rung by");
        self->bell = fd;
    }
    return self->bell;
}

bool
bell_has_thread(void)
{
    return atomic_load(&mirrors);
}

void
bell_forked(void)
{
    atomic_store(&mirrored, NULL);
    atomic_store(&mirrors, false);
}
