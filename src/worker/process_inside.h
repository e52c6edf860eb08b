/* A job that a process runs, from inside. */
#ifndef WORKER_PROCESS_INSIDE_H
#define WORKER_PROCESS_INSIDE_H

#include "worker/capture.h"
#include "worker/crash.h"
#include "worker/job.h"
#include "worker/wire.h"

#include <weft/worker.h>

/* How far a stop has gone. */
enum stage {
    NOT_ASKED,
    ASKED,
    TERMINATED,
    KILLED
};

/* Who looks at the pidfd, and so who ends the job: the service, or a joiner who
 * would otherwise have to wait for the service to be woken first. SERVICE ->
 * JOINER and back by a joiner, either -> OVER by who saw the end, all by
 * compare-and-swap. Only who made it OVER closes the descriptor. */
enum watcher {
    WATCHED_BY_SERVICE,
    WATCHED_BY_JOINER,
    WATCH_OVER
};

struct process {
    _Atomic int watcher;   /* enum watcher */
    _Atomic int pidfd;     /* -1 before and after; closed under job->lock */
    int share_fd, here_fd; /* until the start */
    int *handed;           /* the same; request.handed of them */
    char *environment;     /* the same: what a worker executed anew sees */
    size_t environment_size;
    char *share; /* the mapped file; NULL once the result is copied, under
                    job->lock */
    size_t size; /* of the mapping */
    char *copy;  /* of the result */
    struct wire_crash *crash; /* a copy, of a worker that noted one */
    struct crash_text told;   /* what it means, once it was asked for */
    struct capture capture;   /* under job->lock once it runs */
    int place;                /* in groups.h */
    enum stage stage;         /* under job->lock */
    weft_method method;       /* never DEFAULT */
    bool late;                /* it begins after a delay */
    bool cleaned;             /* in the service thread */
    struct os_rights rights;  /* of the program when it begins */
    struct wire_request request;
};

static inline struct process *
process_of(const weft_job *job)
{
    return job->worker;
}

static inline struct wire_control *
process_control(const struct process *process)
{
    return (struct wire_control *)(void *)process->share;
}

static inline struct wire_report *
process_report(const struct process *process)
{
    return (struct wire_report *)(void *)(process->share +
                                          wire_report_at(&process->request));
}

/* Makes the worker: its pid, or why there is none. */
int process_make(struct process *process);

/* After WIRE_READY or WIRE_REFUSED: how it went. Waits for it, or for the
 * worker's death. */
int process_confirm(weft_job *job);

/* The argument of a job that has not begun, known only now. */
int process_give(weft_job *job, const void *arg, size_t size);

/* Gives back what only the start needs. */
void process_close_early(struct process *process);

#endif
