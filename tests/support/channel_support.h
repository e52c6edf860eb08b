/* A worker of a process pool played by the test: the real one is held in its
 * first task, and the test does with its channel what a worker could do. */
#ifndef SUPPORT_CHANNEL_SUPPORT_H
#define SUPPORT_CHANNEL_SUPPORT_H

#include "procpool/procpool.h"
#include "support/worker_support.h"

/* The pool that is tried, of one worker; that worker's seat; the task that
 * holds it, number 1, which ends when common->go is opened. Tasks that are
 * submitted then are offered behind it at once, with the numbers 2, 3 ... */
extern weft_pool *face;
extern struct process_pool *pool;
extern struct seat *seat;
extern weft_job *held;

void hold_worker(void);

weft_pool *open_processes(const weft_pool_options *options);
weft_job *give(const weft_task *task);

/* The state of the task's claim; CHANNEL_RETRACTED + 1 if it is none of it. */
unsigned claim_of(uint32_t number);

/* As the worker: takes the task; false: it was retracted. */
bool play_take(uint32_t number);

/* The same: gives the answer, `number` and all, counts and rings. */
void play_answer(uint32_t number, struct channel_answer answer);

/* The same, but nobody is told. */
void play_answer_quietly(uint32_t number, struct channel_answer answer);

/* Whether the task was told to stop. */
bool is_told(uint32_t number);

/* Has it die, and waits until the pool knows: `held` has ended then. */
void kill_worker(void);

/* A task: counts in common->count. */
weft_fn count_it;

/* Closes the pool at once, whatever its worker does. */
void end_pool(void);

#endif
