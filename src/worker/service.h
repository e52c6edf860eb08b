/* The library's own thread, one a process, made at first need: it watches the
 * ends of processes and the clock. Of the program's own functions it calls only
 * those that were given to weft_on_end. It and weft's idle threads do not count
 * where "single-threaded" is asked. */
#ifndef WORKER_SERVICE_H
#define WORKER_SERVICE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct weft_job;

/* Starts it, if it does not run. WEFT_EAGAIN, WEFT_ENOMEM. */
int service_start(void);
bool service_runs(void);

/* Has job_attend called with the job, soon, in the service thread. Signal-safe.
 * The service must have been started. */
void service_attend(struct weft_job *job);

/* The same also if it has been asked for already by who leaves it to the next
 * time that the service wakes. */
void service_hurry(struct weft_job *job);

/* Whether the caller is the service thread. */
bool service_is_here(void);

/* Has process_ready called with the job when the descriptor gets readable. The
 * job must keep a reference for it, to be given back by service_unwatch. */
int service_watch(int fd, struct weft_job *job);

/* Stops looking at it for a while, and looks again. */
void service_pause(int fd, struct weft_job *job, bool pause);

/* Ends it. The service may just be about to handle the job: it gives the
 * reference back itself, when it next wakes. */
void service_unwatch(int fd, struct weft_job *job);

/* Has process_output called with the job while the descriptor is readable, as
 * long as the same job's process is watched too. */
int service_watch_output(int fd, struct weft_job *job);
void service_unwatch_output(int fd);

/* Has `ready` called while the descriptor is readable, until it is unwatched;
 * the service may just be about to call it. The source must stay until a
 * service_call that comes after has returned. */
struct service_source {
    void (*ready)(struct service_source *source);
};

int service_watch_source(int fd, struct service_source *source);
void service_unwatch_source(int fd);

/* Runs fn(context) in the service thread, for what has to be done by a thread
 * that stays, and waits until it is done. From any thread. */
void service_call(void (*fn)(void *context), void *context);

/* Waits until it has ended what it was just doing: no source and no timer that
 * was taken from it before is touched any more. */
void service_settle(void);

/* A moment at which `fire` is called in the service thread. One that is `alone`
 * is part of no job: it must stay as a source must. */
struct timer {
    int64_t at;
    size_t place; /* in the heap, from 1; 0 = not set */
    bool alone;
    void (*fire)(struct timer *timer);
};

/* Sets or moves it. WEFT_ENOMEM. */
int timer_set(struct timer *timer, int64_t at);
void timer_cancel(struct timer *timer);

/* Holds the service still, outside of every lock and of malloc, while the
 * process is copied. */
void service_hold(void);
void service_go_on(void);

/* Ends the thread and closes its descriptors. */
void service_stop(void);
/* `open`: its descriptors are, and must be closed. */
void service_forked(bool open);

#endif
