/* What the files that read a recording share. */
#ifndef TRACE_READING_H
#define TRACE_READING_H

#include "trace/ids.h"
#include "trace/names.h"
#include "trace/recording.h"
#include "trace/source.h"

/* A chunk of the file, and whose it is. */
struct reading_chunk {
    uint32_t worker; /* NONE: the kernel's */
    uint32_t sequence;
    uint32_t number;
};

/* A RECORD_CPU. */
struct reading_cpu {
    uint32_t task;
    uint64_t on_cpu;
};

struct reading {
    struct source source;
    struct names names;
    struct ids ids;
    weft_recording *recording;
    struct reading_chunk *chunks; /* by worker, then by sequence */
    uint32_t chunk_count, chunk_room;
    uint32_t *worker_of; /* by the writer's first chunk; NONE = nobody's */
    uint64_t *parents;   /* ids, of each task */
    struct reading_cpu *cpus;
    uint32_t cpu_count, cpu_room;
    uint32_t worker_room, task_room, run_room, wait_room, span_room, mark_room,
        counter_room, join_room, late_room, parent_room;
    uint32_t task;   /* the record before was this task's; NONE = no task's */
    uint64_t latest; /* time that was seen */
    uint64_t bad;    /* records that make no sense */
};

/* Each returns 0, WEFT_ENOMEM or -errno. While they run a task's `cpu` is its
 * id, a run's `worker` its tid, and names are the file's numbers. */

/* Who wrote what: workers, chunks, worker_of. */
int reading_workers(struct reading *reading);

/* All records but those that refer to tasks; then those. */
int reading_records(struct reading *reading);
int reading_references(struct reading *reading);

/* After the records: sorts tasks, finds their parents, so that references can
 * be followed. */
int reading_tasks(struct reading *reading);

/* When each thread was on which CPU; until when workers lived. */
int reading_runs(struct reading *reading);

/* After all that: names, ends that are missing, and everything in its
 * order. */
int reading_finish(struct reading *reading);

/* A task's index or a thread, by its id; NONE: there is none. */
uint32_t reading_node(const struct reading *reading, uint64_t id);

#endif
