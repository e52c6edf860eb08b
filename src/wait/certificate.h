/* Death certificates: a word that the kernel itself marks when the thread dies,
 * whatever killed it, within 0.1 ms even when tearing down its memory takes
 * longer. It says that the thread will not touch its locks again; not that its
 * process is gone, and not how it ended. */
#ifndef WAIT_CERTIFICATE_H
#define WAIT_CERTIFICATE_H

#include "registry/self.h"

/* Gives the calling thread one, at its first use of a shared object. Nothing if
 * it has one. WEFT_EAGAIN (no slot), WEFT_ENOMEM, WEFT_ENOSYS. */
int certificate_make(struct self *self);

/* Before the thread's slot goes to another one. */
void certificate_end(struct self *self);

/* Whether the thread of `slot`, in any process, has died with its certificate.
 */
bool certificate_says_dead(const struct slot *slot);

#endif
