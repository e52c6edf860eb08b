#include "wait/stop.h"

#include "os/os.h"
#include "wait/bell.h"

#include <weft/task.h>

#include <limits.h>

void
stop_cell_init(struct stop_cell *cell)
{
    atomic_init(&cell->asked, 0);
    atomic_init(&cell->bell, -1);
    atomic_init(&cell->ringing, 0);
}

void
stop_ring(struct stop_cell *cell)
{
    atomic_fetch_add(&cell->ringing, 1);
    const int bell = atomic_load(&cell->bell);

    if (bell >= 0)
        os_event_ring(bell);
    atomic_fetch_sub(&cell->ringing, 1);
}

void
stop_ask(struct stop_cell *cell, uint32_t reason)
{
    atomic_fetch_or(&cell->asked, reason);
    os_futex_wake(&cell->asked, INT_MAX, false);
    stop_ring(cell);
}

void
stop_listen(struct self *self, int bell)
{
    for (struct stop *stop = self->stop; stop; stop = stop->outer) {
        if (stop->borrowed)
            continue;
        atomic_store(&stop->cell->bell, bell);
        if (stop->remote)
            bell_mirror(stop);
    }
}

void
stop_ignore(struct self *self)
{
    for (struct stop *stop = self->stop; stop; stop = stop->outer) {
        if (stop->borrowed)
            continue;
        atomic_store(&stop->cell->bell, -1);
        while (atomic_load(&stop->cell->ringing) > 0)
            os_pause();
    }
}

bool
weft_stopping(void)
{
    return stop_asked(self_get());
}

void
weft_shield(bool on)
{
    struct self *self = self_get();

    if (on)
        self->shield++;
    else if (self->shield > 0)
        self->shield--;
    if (self->slot)
        atomic_store_explicit(&self->slot->hot.shield, self->shield,
                              memory_order_relaxed);
}
