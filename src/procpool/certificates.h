/* Sees by the certificates of their main threads that workers are dying, long
 * before a process with much memory has ended: then it is given no more, what
 * it had not begun goes elsewhere, and another takes its place. How it has died
 * its process says.
 *
 * A hidden thread of the pool sleeps on the certificates, as long as there are
 * workers, and rings the bell of who dies. It watches 127 at most; without it,
 * and for further workers, all this comes with the end of the process. */
#ifndef PROCPOOL_CERTIFICATES_H
#define PROCPOOL_CERTIFICATES_H

#include "procpool/procpool.h"

/* The worker has given its first answer: it is watched from now on. Under the
 * lock. */
void certificates_watch(struct seat *seat);

/* A worker is gone for good. Under the lock. */
void certificates_forget(struct seat *seat);

/* If the bell was rung for the worker's death: as said above. Under the lock.
 */
void certificates_heed(struct seat *seat);

#endif
