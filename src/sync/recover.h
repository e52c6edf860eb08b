/* Making right what a dead thread was doing with shared objects, and giving
 * back what it held. Each kind of object says how, and must bear to be asked
 * twice: whoever recovers may be killed too. */
#ifndef SYNC_RECOVER_H
#define SYNC_RECOVER_H

#include "registry/self.h"

#include <stdbool.h>
#include <stdint.h>

/* The thread of the slot has died in a call on the object (`ticket` is the
 * call's), or holding it. Changes the object so that others go on, and wakes
 * who must look again. */
typedef void recover_fn(void *object, const struct slot *dead, uint32_t ticket);

/* `word`: how far in the object its sleepers' word lies; fn NULL: it is enough
 * to wake them. */
void recover_teach(unsigned kind, recover_fn *fn, size_t word);

/* All slots of the process, which is condemned (registry.h) and not yet
 * reclaimed. One that did not have the shared heap could reach nothing that is
 * made right here: what it says of that it has scribbled, and only its name is
 * kept. */
void recover_process(int pid, bool heap);

/* The calling thread gives up what it holds: at its end, and at the end of a
 * job that it ran, which it may outlive. Others then find its locks left by
 * somebody who is gone. */
void recover_self(struct self *self);

#endif
