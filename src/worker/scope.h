/* Scopes from inside. */
#ifndef WORKER_SCOPE_H
#define WORKER_SCOPE_H

#include "worker/job.h"

/* The job belongs to the scope from now on, which holds a reference.
 * WEFT_ECANCELED: it is stopping. */
int scope_add(weft_scope *scope, weft_job *job);

/* The job that was added last has failed to begin, and never was. */
void scope_take_back(weft_scope *scope, weft_job *job);

/* The job has ended. */
void scope_ended(weft_scope *scope, weft_job *job);

#endif
