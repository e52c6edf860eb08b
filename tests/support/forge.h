/* Recordings that nobody recorded: written record by record, so that a test
 * knows what must come out. Nothing is checked, so that they can be wrong, too.
 * Times are nanoseconds since the recording began. */
#ifndef SUPPORT_FORGE_H
#define SUPPORT_FORGE_H

#include "registry/recording.h"

#include <stdbool.h>
#include <stdint.h>

#define FORGE_START INT64_C(5000000000) /* on its monotonic clock */

struct forge_writer;

struct forge {
    int fd;
    struct recording_header
        header; /* written by forge_close; change it before */
    struct forge_writer *writers;
    uint32_t count, room;
    uint32_t kernel; /* writer of the runs; UINT32_MAX = none yet */
};

/* Of a task; what is zero is left out. */
struct forge_task {
    const char *name;
    uint64_t begin, end; /* end 0: not reached */
    uint64_t parent;     /* id; 0: there is no RECORD_SPAWN */
    uint64_t spawned, ready;
    unsigned flags; /* enum record_task_flags */
};

/* The file is made anew; two CPUs, times on a CPU measured. */
void forge_open(struct forge *forge, const char *path);

/* Stopped at that time; 0: never, the program was killed. */
void forge_close(struct forge *forge, uint64_t stop);

/* A thread; its number. Its tid is `FORGE_TID + number`. */
enum {
    FORGE_PID = 4000,
    FORGE_TID = 5000
};

uint32_t forge_worker(struct forge *forge, const char *name, unsigned flags);

/* Ids: of a thread outside of tasks; of the task that is written. */
uint64_t forge_thread(const struct forge *forge, uint32_t worker);
uint64_t forge_task(struct forge *forge, uint32_t worker,
                    const struct forge_task *task);

void forge_join(struct forge *forge, uint32_t worker, uint64_t joiner,
                uint64_t joined, uint64_t when);
void forge_after(struct forge *forge, uint32_t worker, uint64_t task,
                 uint64_t on, uint64_t when);
void forge_wait(struct forge *forge, uint32_t worker, unsigned kind,
                const char *name, uint64_t object, uint64_t begin,
                uint64_t end);
void forge_span(struct forge *forge, uint32_t worker, const char *name,
                uint64_t begin, uint64_t end);
void forge_value(struct forge *forge, uint32_t worker, enum record_type type,
                 const char *name, uint64_t when, int64_t value);
void forge_cpu(struct forge *forge, uint32_t worker, uint64_t task,
               uint64_t on_cpu);

/* The worker was on the CPU. */
void forge_run(struct forge *forge, uint32_t worker, unsigned cpu,
               uint64_t begin, uint64_t end, bool preempted);

/* A record as it is, and a name as its bytes are; the name's number. */
void forge_record(struct forge *forge, uint32_t worker,
                  const union record *record);
uint32_t forge_name(struct forge *forge, uint32_t worker, const char *text,
                    uint32_t length);

#endif
