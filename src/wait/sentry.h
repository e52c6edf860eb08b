/* A hidden thread that sleeps on words in place of a thread that polls, and
 * rings its bell when one has changed: nothing can sleep on descriptors and on
 * words at once. A thread gets one at its first need, and keeps it. */
#ifndef WAIT_SENTRY_H
#define WAIT_SENTRY_H

#include "os/os.h"
#include "wait/wait.h"

/* Makes the calling thread's, which rings `bell`. WEFT_ENOMEM, WEFT_EAGAIN. */
int sentry_get(struct self *self, int bell);

/* From now on it watches these words, until it has rung once, or is recalled;
 * after that it touches none of them. Copied. */
void sentry_post(struct self *self, const struct os_wait *words,
                 unsigned count);
void sentry_recall(struct self *self);

/* Before the thread ends. */
void sentry_end(struct self *self);

/* A hidden thread calls look(context, &seen) now, whenever the word, which
 * other processes change too, is no longer `seen`, and once a second; until it
 * says false. The word counts it among its sleepers from now on. WEFT_ENOMEM,
 * WEFT_EAGAIN. */
int sentry_keep(struct wait_word *word,
                bool (*look)(void *context, uint32_t *seen), void *context);

/* How many run in this process. */
int sentry_count(void);
void sentry_forked(void);

#endif
