/* Queues of 8-byte items, ours first and then its peers: a ring under a mutex
 * with two condition variables, what a program without weft would write;
 * GLib's GAsyncQueue, which grows; among processes the ring with a robust
 * mutex, and a pipe. */
#ifndef BENCH_WAYS_H
#define BENCH_WAYS_H

#include <stdbool.h>
#include <stdint.h>

enum {
    WAYS_CAPACITY = 64,
    WAYS_MOST = 3,
    WAYS_BETWEEN = 3
};

/* They wait where there is no room or no item. Items are not 0, but that 0 may
 * stand for an end. */
struct way {
    const char *name;
    void *(*open)(void); /* NULL: it cannot be had */
    void (*put)(void *queue, uint64_t item);
    uint64_t (*get)(void *queue);
    void (*close)(void *queue);
};

extern const struct way ways[]; /* among threads */
extern const int ways_count;
extern const struct way ways_between[WAYS_BETWEEN]; /* among processes; one of
                                                       each at a time */

/* Before the first of those among processes, and their first process. */
bool ways_open(void);

#endif
