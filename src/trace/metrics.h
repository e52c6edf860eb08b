/* What a recording says about the program; weft-timeline(7) defines it. */
#ifndef TRACE_METRICS_H
#define TRACE_METRICS_H

#include "trace/recording.h"

/* Completes a recording that was read: its metrics, locks, times on a CPU and
 * the critical path. 0 or WEFT_ENOMEM. */
int metrics_measure(weft_recording *recording);

/* Two parts of it. sweep: all that comes of tasks and their order. */
int metrics_sweep(weft_recording *recording);
int metrics_locks(weft_recording *recording);

/* Of each task, where times on a CPU are estimated, the part of its own time
 * that it was on one: by what its thread's CPU clock said, or 1. 0 or
 * WEFT_ENOMEM. */
int metrics_estimate(weft_recording *recording, float *rates);

/* Puts the metrics into the recording's sentence. */
void metrics_say(weft_recording *recording);

/* How much faster than on one CPU the same work can be on `cpus`, by the bounds
 * of any greedy schedule: it takes at least max(T1/P, Too), and at most
 * (T1 - Too)/P + Too (Graham 1969; Brent 1974). */
struct forecast {
    double low, high;
};

struct forecast metrics_forecast(const weft_metrics *metrics, unsigned cpus);

/* work / span; 0 when nothing was on a CPU. */
double metrics_available(const weft_metrics *metrics);

/* A part of the task time, 0 to 1. */
double metrics_share(const weft_metrics *metrics, weft_duration part);

#endif
