/* Ringing a thread that polls descriptors. */
#ifndef WAIT_BELL_H
#define WAIT_BELL_H

#include "wait/stop.h"

/* The calling thread's eventfd, made at first use; < 0: a status. */
int bell_get(struct self *self);

/* From now on a hidden thread of this process sits on the stop word that
 * another process writes, and rings its cell once the word is set. Once per
 * word; if the thread cannot be made, polls are cut into slices (bell_slice).
 */
void bell_mirror(const struct stop *stop);

/* How long a poll may last at most: OS_NEVER where the mirror works. */
int64_t bell_slice(const struct self *self);

/* Whether the hidden thread runs, and holds nothing. */
bool bell_has_thread(void);

void bell_forked(void);

#endif
