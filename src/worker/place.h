/* The place of a pool's worker: how many tasks run at a time. Who sleeps where
 * it cannot help leaves it to another one meanwhile. */
#ifndef WORKER_PLACE_H
#define WORKER_PLACE_H

#include "worker/job.h"

/* In a worker before a wait for jobs. `late`: one of them may come to the pool
 * during it. True: it has left its place, to be taken again after the wait. */
bool place_leave(bool late);
void place_take(void);

/* Whether it is a pool's job that comes there late. */
static inline bool
place_is_late(const weft_job *job)
{
    return job->late && job->of->help;
}

/* Set once, by a layer above. */
extern bool (*place_leaving)(bool late);
extern void (*place_taking)(void);

#endif
