/* The recorder's own thread: notes which thread has which CPU, how the clocks
 * stand, and whether the recording is to end. */
#ifndef REGISTRY_RUNS_H
#define REGISTRY_RUNS_H

#include <stdbool.h>
#include <stdint.h>

/* Begins to watch, of a session whose file this process has made. */
void runs_open(uint32_t session);

/* Starts the thread. Error: as os_thread_start; nothing is watched. */
int runs_start(void);

/* Has the thread end the recording and itself, and waits for that. By any
 * thread but itself. */
void runs_stop(void);

/* Has it look at once. */
void runs_wake(void);

bool runs_has_thread(void);
void runs_forked(void);

#endif
