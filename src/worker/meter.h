/* The CPU time of jobs. The clock of a thread's CPU time costs 0.6 us, so it is
 * read only where that is nothing beside what it measures; a thread that had a
 * job or a gap of a few microseconds was on a CPU for all of it. */
#ifndef WORKER_METER_H
#define WORKER_METER_H

#include "os/os.h"

#include <weft/job.h>

/* A thread's; all-zero to begin with. */
struct meter {
    int64_t time_mark, cpu_mark; /* both clocks at the same moment */
};

enum {
    METER_SHORT_JOB = 20000, /* ns */
    METER_SHORT_GAP = 100000
};

/* The thread's CPU time now. */
static inline int64_t
meter_begin(const struct meter *meter, int64_t now)
{
    const int64_t gap = now - meter->time_mark;

    return gap > METER_SHORT_GAP ? os_cpu_of_thread() : meter->cpu_mark + gap;
}

/* Says how long it took since `begun`, when the CPU time was `cpu`. */
static inline void
meter_end(struct meter *meter, int64_t begun, int64_t cpu, weft_outcome *out)
{
    const int64_t now = os_now(), wall = now - begun;

    meter->time_mark = now;
    meter->cpu_mark = wall > METER_SHORT_JOB ? os_cpu_of_thread() : cpu + wall;
    out->wall = wall;
    out->cpu = meter->cpu_mark > cpu ? meter->cpu_mark - cpu : 0;
}

#endif
