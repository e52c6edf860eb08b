/* Stop words: how a worker is asked to stop, and how it finds out.
 *
 *   word            who changes it            legal            illegal
 *   cell.asked      any stopper: fetch_or     may be set late  never cleared
 *   cell.bell       the worker: its eventfd   -1 while it does to stand when
 *                   before it polls, -1 after not poll         the fd is closed
 *   cell.ringing    stoppers: +1 … -1 around  –                to outlive the
 *                   using `bell`                               stopper's use
 *
 * Stopper: asked |= reason; wake sleepers on asked; bell? ring it. Worker: bell
 * = fd; look at asked; poll. Both sequentially consistent, so one sees the
 * other. The worker waits for `ringing` to be 0 before the descriptor may be
 * closed. */
#ifndef WAIT_STOP_H
#define WAIT_STOP_H

#include "registry/self.h"

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

struct stop_cell {
    _Atomic uint32_t asked; /* 0, or reasons, which the caller gives meaning */
    _Atomic int bell;
    _Atomic int ringing;
};

/* One who may be stopped, as its own thread sees it: a chain, since a task that
 * runs inside another one ends with that. */
struct stop {
    const _Atomic uint32_t *asked;
    struct stop_cell *cell; /* whose bell the stopper rings */
    bool remote;            /* `asked` is written by another process */
    bool borrowed;          /* another thread's, who works for it too: it has
                               no cell, and who polls looks at it in slices */
    struct stop *outer;
};

void stop_cell_init(struct stop_cell *cell);

/* Asks. Signal-safe. */
void stop_ask(struct stop_cell *cell, uint32_t reason);

/* Rings the bell without asking. Signal-safe. */
void stop_ring(struct stop_cell *cell);

/* Whether one of the chain was asked to stop. */
static inline bool
stop_any_asked(const struct stop *stop)
{
    for (; stop; stop = stop->outer)
        if (atomic_load_explicit(stop->asked, memory_order_acquire) != 0)
            return true;
    return false;
}

/* Whether the thread was asked to stop. */
static inline bool
stop_asked(const struct self *self)
{
    return stop_any_asked(self->stop);
}

/* Whether a stop ends the thread's waits now. */
static inline bool
stop_pending(const struct self *self)
{
    return self->stop && self->shield == 0 && stop_asked(self);
}

/* The thread is about to poll `bell`, and has ended. */
void stop_listen(struct self *self, int bell);
void stop_ignore(struct self *self);

#endif
