/* What is to be called when a job has ended. */
#ifndef WORKER_ON_END_H
#define WORKER_ON_END_H

#include "worker/job.h"

/* Has node->fn called once; the node stays where it is until then. False: the
 * job has ended, and nothing will be called. */
bool on_end_add(weft_job *job, struct on_end *node);

/* By who ends the job, just before that is seen: from here on nothing is added.
 * Fills in job->to_call; says whether functions of the program are among it. A
 * second time it does nothing, and says false. */
bool on_end_close(weft_job *job);

/* The job's end can be seen. Calls what is to be called, or leaves that to an
 * outer call of the same thread or to the service thread; then gives back the
 * handle that the caller took for it, and what the runtime held. */
void on_end_tell(weft_job *job);

#endif
