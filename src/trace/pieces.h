/* A worker's time in pieces, by whether it was on a CPU. */
#ifndef TRACE_PIECES_H
#define TRACE_PIECES_H

#include "trace/recording.h"

enum piece {
    PIECE_ON,
    PIECE_RUNNABLE, /* it wanted a CPU and had none */
    PIECE_OFF
};

struct pieces {
    const struct recorded_run *run, *stop;
    bool preempted; /* the run before */
};

static inline void
pieces_begin(struct pieces *pieces, const weft_recording *recording,
             uint32_t worker)
{
    const struct part part = recording->workers[worker].runs;

    *pieces = (struct pieces){NULL, NULL, false};
    if (part.count == 0)
        return;
    pieces->run = recording->runs + part.first;
    pieces->stop = pieces->run + part.count;
}

/* The piece that `at` is in: returns where it ends, at most at `to`. `at` never
 * goes back. */
static inline uint64_t
pieces_at(struct pieces *pieces, uint64_t at, uint64_t to, enum piece *piece)
{
    while (pieces->run != pieces->stop && pieces->run->end <= at)
        pieces->preempted = (pieces->run++)->preempted;
    *piece = pieces->preempted ? PIECE_RUNNABLE : PIECE_OFF;
    if (pieces->run == pieces->stop)
        return to;
    if (at < pieces->run->begin)
        return pieces->run->begin < to ? pieces->run->begin : to;
    *piece = PIECE_ON;
    return pieces->run->end < to ? pieces->run->end : to;
}

#endif
