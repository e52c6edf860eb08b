/* The two kinds of condition behind one face. */
#ifndef SYNC_COND_H
#define SYNC_COND_H

#include "registry/self.h"
#include "wait/wait.h"

#include <weft/cond.h>

/* Among processes: see cond_shared.c. `mutex` is held, and not on return. When
 * it is held again, cond_shared_end. */
int cond_shared_wait(weft_cond *object, weft_mutex *mutex, struct self *self,
                     const struct wait_terms *terms);
void cond_shared_end(struct self *self);
void cond_shared_notify(weft_cond *object, struct self *self, unsigned n);

#endif
