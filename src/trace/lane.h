/* What happened in one worker, in the order of time: tasks, waits and spans
 * lie within each other. */
#ifndef TRACE_LANE_H
#define TRACE_LANE_H

#include "trace/recording.h"

enum lane_kind {
    LANE_TASK,
    LANE_WAIT,
    LANE_SPAN,
    LANE_KINDS
};

struct lane_event {
    uint64_t at;
    enum lane_kind kind;
    bool begins;    /* else it ends */
    uint32_t index; /* of tasks[], waits[], spans[] */
};

/* What has begun and not ended. */
struct lane_item {
    uint64_t end;
    enum lane_kind kind;
    uint32_t index;
    uint32_t task; /* itself, or the task that it lies within; NONE: no task */
};

struct lane {
    const weft_recording *recording;
    uint32_t next[LANE_KINDS], stop[LANE_KINDS];
    struct lane_item *stack;
    uint32_t depth, room;
};

/* `spans`: whether they matter; tasks and waits always do. */
void lane_begin(struct lane *lane, const weft_recording *recording,
                uint32_t worker, bool spans);
void lane_end(struct lane *lane);

/* When the next event is; UINT64_MAX: there is none. */
uint64_t lane_time(const struct lane *lane);

/* Goes on to the next event. 1; 0: there is none; WEFT_ENOMEM. */
int lane_next(struct lane *lane, struct lane_event *event);

/* The innermost that has begun; NULL: none. */
static inline const struct lane_item *
lane_top(const struct lane *lane)
{
    return lane->depth ? &lane->stack[lane->depth - 1] : NULL;
}

/* Once after reading: sets ends so that of two that overlap one lies within the
 * other, and depths. 0 or WEFT_ENOMEM. */
int lane_settle(weft_recording *recording, uint32_t worker);

#endif
