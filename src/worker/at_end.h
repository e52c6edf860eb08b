/* Functions that run when the calling worker ends. */
#ifndef WORKER_AT_END_H
#define WORKER_AT_END_H

#include "registry/self.h"

/* Runs and forgets them, last given first; those too that they add. */
void at_end_run(struct self *self);

#endif
