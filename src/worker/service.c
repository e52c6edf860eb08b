#include "worker/service.h"

#include "base/why.h"
#include "os/os.h"
#include "registry/self.h"
#include "wait/lock.h"
#include "wait/wait.h"
#include "worker/job.h"
#include "worker/process.h"

#include <weft/status.h>

#include <limits.h>
#include <stdlib.h>
#include <string.h>

enum {
    EVENTS = 64,
    WAITING_MOST = 64, /* ended jobs that wait for the service to wake anyway */
    STACK = 128 << 10
};

static struct {
    struct lock starting;
    atomic_bool runs;
    atomic_bool leave;
    struct wait_word here; /* 1 once the thread works, 0 once it has left */
    struct lock still;     /* held by the thread while it works */
    _Atomic(struct self *) self; /* the thread's */
    int watch, clock, bell;
    _Atomic(struct weft_job *) attended; /* a stack; pushed from anywhere, taken
                                            whole by the thread */
    _Atomic unsigned waiting;            /* pushed without ringing */
    struct lock calling;
    void (*fn)(void *context); /* to be called; under calling, as the next */
    void *context;
    _Atomic bool called;   /* fn is to be called */
    struct wait_word done; /* counts calls */
    struct lock timers;
    struct timer **heap; /* under timers; heap[1] is the earliest */
    size_t count, room;  /* under timers */
} service = {.watch = -1, .clock = -1, .bell = -1};

/* What an event belongs to: one of these, or a job. */
static _Alignas(4) char clock_tag;
static _Alignas(4) char bell_tag;

/* --- timers: a binary heap */

static void
heap_put(size_t place, struct timer *timer)
{
    service.heap[place] = timer;
    timer->place = place;
}

static void
heap_up(size_t place, struct timer *timer)
{
    while (place > 1 && service.heap[place / 2]->at > timer->at) {
        heap_put(place, service.heap[place / 2]);
        place /= 2;
    }
    heap_put(place, timer);
}

static void
heap_down(size_t place, struct timer *timer)
{
    for (;;) {
        size_t child = 2 * place;

        if (child > service.count)
            break;
        if (child < service.count &&
            service.heap[child + 1]->at < service.heap[child]->at)
            child++;
        if (service.heap[child]->at >= timer->at)
            break;
        heap_put(place, service.heap[child]);
        place = child;
    }
    heap_put(place, timer);
}

static void
heap_remove(struct timer *timer)
{
    const size_t place = timer->place;
    struct timer *last = service.heap[service.count--];

    timer->place = 0;
    if (last == timer)
        return;
    heap_up(place, last);
    heap_down(last->place, last);
}

static int
heap_grow(void)
{
    if (service.count + 1 < service.room)
        return 0;
    const size_t room = service.room ? 2 * service.room : 16;
    struct timer **heap = realloc(service.heap, room * sizeof(struct timer *));

    if (!heap)
        return why_because(WEFT_ENOMEM, "cannot set a timer");
    service.heap = heap;
    service.room = room;
    return 0;
}

static void
set_clock(void)
{
    const struct timer *first =
        service.heap && service.count ? service.heap[1] : NULL;

    (void)os_timer_set(service.clock, first ? first->at : OS_NEVER);
}

int
timer_set(struct timer *timer, int64_t at)
{
    lock_take(&service.timers);
    if (timer->place)
        heap_remove(timer);
    const int status = heap_grow();

    if (status == 0) {
        timer->at = at;
        heap_up(++service.count, timer);
        if (timer->place == 1)
            set_clock();
    }
    lock_give(&service.timers);
    return status;
}

void
timer_cancel(struct timer *timer)
{
    lock_take(&service.timers);
    if (timer->place)
        heap_remove(timer);
    lock_give(&service.timers);
}

/* A job whose timer is taken keeps its life through the reference that is added
 * under the lock: job_end cancels under it too. */
static weft_job *
job_of(struct timer *timer)
{
    return timer->alone ? NULL : job_keep(list_entry(timer, weft_job, timer));
}

static void
fire_due(void)
{
    os_event_clear(service.clock);
    for (;;) {
        lock_take(&service.timers);
        struct timer *due = service.count ? service.heap[1] : NULL;

        if (!due || due->at > os_now()) {
            set_clock();
            lock_give(&service.timers);
            return;
        }
        heap_remove(due);
        weft_job *job = job_of(due);

        lock_give(&service.timers);
        due->fire(due);
        if (job)
            job_drop(job);
    }
}

/* --- the thread */

static void
attend_all(void)
{
    struct weft_job *job = atomic_exchange(&service.attended, NULL);

    while (job) {
        struct weft_job *next = job->next_attended;

        atomic_store(&job->attended, 0);
        job_attend(job);
        job_drop(job);
        job = next;
    }
}

/* A job's output and a source are told from a job's end by the lowest bits of
 * the pointer. */
enum tag {
    TAG_OUTPUT = 1,
    TAG_SOURCE = 2,
    TAGS = 3
};

static void *
tagged(void *pointer, enum tag tag)
{
    return (char *)pointer + tag;
}

static void
handle_tagged(char *context, unsigned tag)
{
    void *pointer = context - tag;

    if (tag == TAG_OUTPUT) {
        process_output(pointer);
    } else {
        struct service_source *source = pointer;

        source->ready(source);
    }
}

static void
handle(void *context)
{
    if (context == &clock_tag)
        fire_due();
    else if (context == &bell_tag)
        os_event_clear(service.bell);
    else if ((uintptr_t)context & TAGS)
        handle_tagged(context, (uintptr_t)context & TAGS);
    else
        process_ready(context);
}

static void
call_if_asked(void)
{
    if (!atomic_exchange(&service.called, false))
        return;
    service.fn(service.context);
    wait_post(&service.done, atomic_load(&service.done.value) + 1, INT_MAX);
}

static void
close_all(void)
{
    const int fds[] = {service.watch, service.clock, service.bell};

    for (size_t i = 0; i < sizeof fds / sizeof *fds; i++)
        if (fds[i] >= 0)
            os_close(fds[i]);
    service.watch = service.clock = service.bell = -1;
}

static void
serve(void *memory)
{
    struct self self = {.bell = -1};
    void *contexts[EVENTS];

    (void)memory;
    self.record = (weft_worker){
        .name = "weft-service", .state = WEFT_RUNNING, .service = true};
    self_write(&self);
    self_take(&self);
    atomic_store(&service.self, &self);
    os_thread_name("weft-service");
    /* Outside of `still` nothing of `service` is touched from here on. */
    const int watch = service.watch;

    wait_post(&service.here, 1, INT_MAX);
    for (bool leave = false; !leave;) {
        const int count = os_watch_wait(watch, contexts, EVENTS);

        lock_take(&service.still);
        for (int i = 0; i < count; i++)
            handle(contexts[i]);
        call_if_asked();
        attend_all();
        /* After the bell was cleared: who asks after that has rung again. */
        leave = atomic_load(&service.leave);
        lock_give(&service.still);
    }
    atomic_store(&service.self, NULL);
    self_end(&self);
    why_end();
    wait_post(&service.here, 0, INT_MAX);
}

static int
open_all(void)
{
    service.watch = os_watch_open();
    service.clock = os_timer_open();
    service.bell = os_event_open();
    int status = service.watch < 0   ? service.watch
                 : service.clock < 0 ? service.clock
                 : service.bell < 0  ? service.bell
                                     : 0;

    if (status == 0)
        status = os_watch_add(service.watch, service.clock, &clock_tag);
    if (status == 0)
        status = os_watch_add(service.watch, service.bell, &bell_tag);
    return status;
}

static int
start(void)
{
    const struct os_thread_options options = {.stack_size = STACK,
                                              .quiet = true};
    const struct wait_terms terms = {.until = OS_NEVER, .stubborn = true};
    int status = open_all();

    if (status == 0) {
        atomic_store(&service.leave, false);
        status = os_thread_start(serve, NULL, &options);
    }
    if (status < 0) {
        close_all();
        return why_system(status, "cannot start the service thread");
    }
    /* A thread that is being born may hold malloc's lock: no copy of the
     * process may be made before it works. */
    (void)wait_while(&service.here, 0, &terms);
    atomic_store(&service.runs, true);
    return 0;
}

int
service_start(void)
{
    int status = 0;

    if (atomic_load(&service.runs))
        return 0;
    lock_take(&service.starting);
    if (!atomic_load(&service.runs))
        status = start();
    lock_give(&service.starting);
    return status;
}

bool
service_runs(void)
{
    return atomic_load(&service.runs);
}

/* Pushes the job with a reference; false: it is there already. */
static bool
push(struct weft_job *job)
{
    if (atomic_exchange(&job->attended, 1))
        return false;
    job_keep(job);
    job->next_attended = atomic_load(&service.attended);
    while (!atomic_compare_exchange_weak(&service.attended, &job->next_attended,
                                         job))
        ;
    return true;
}

void
service_attend(struct weft_job *job)
{
    if (push(job))
        os_event_ring(service.bell);
}

void
service_hurry(struct weft_job *job)
{
    (void)push(job);
    os_event_ring(service.bell);
}

int
service_watch(int fd, struct weft_job *job)
{
    const int status = os_watch_add(service.watch, fd, job);

    return status < 0 ? why_system(status, "cannot watch a process") : 0;
}

void
service_pause(int fd, struct weft_job *job, bool pause)
{
    /* Watching for nothing would not do: an end is a hang-up, which epoll
     * reports always. */
    if (pause)
        (void)os_watch_remove(service.watch, fd);
    else
        (void)os_watch_add(service.watch, fd, job);
}

void
service_unwatch(int fd, struct weft_job *job)
{
    (void)os_watch_remove(service.watch, fd);
    /* Whatever events the service holds it handles before what is attended. */
    if (push(job) && atomic_fetch_add(&service.waiting, 1) % WAITING_MOST == 0)
        os_event_ring(service.bell);
    job_drop(job);
}

int
service_watch_output(int fd, struct weft_job *job)
{
    const int status = os_watch_add(service.watch, fd, tagged(job, TAG_OUTPUT));

    return status < 0 ? why_system(status, "cannot watch a process's output")
                      : 0;
}

void
service_unwatch_output(int fd)
{
    (void)os_watch_remove(service.watch, fd);
}

int
service_watch_source(int fd, struct service_source *source)
{
    const int status =
        os_watch_add(service.watch, fd, tagged(source, TAG_SOURCE));

    return status < 0 ? why_system(status, "cannot watch a descriptor") : 0;
}

void
service_unwatch_source(int fd)
{
    (void)os_watch_remove(service.watch, fd);
}

/* In the thread itself, which a hook of the program may be running in, nothing
 * needs to be held. */
bool
service_is_here(void)
{
    return self_here && self_here == atomic_load(&service.self);
}

void
service_call(void (*fn)(void *context), void *context)
{
    const struct wait_terms terms = {.until = OS_NEVER, .stubborn = true};

    if (service_is_here()) {
        fn(context);
        return;
    }
    lock_take(&service.calling);
    const uint32_t before = atomic_load(&service.done.value);

    service.fn = fn;
    service.context = context;
    atomic_store(&service.called, true);
    os_event_ring(service.bell);
    (void)wait_while(&service.done, before, &terms);
    lock_give(&service.calling);
}

static void
nothing(void *unused)
{
    (void)unused;
}

void
service_settle(void)
{
    if (service_runs())
        service_call(nothing, NULL);
}

void
service_hold(void)
{
    if (!service_is_here())
        lock_take(&service.still);
}

void
service_go_on(void)
{
    if (!service_is_here())
        lock_give(&service.still);
}

void
service_stop(void)
{
    const struct wait_terms terms = {.until = OS_NEVER, .stubborn = true};

    lock_take(&service.starting);
    if (atomic_load(&service.runs)) {
        atomic_store(&service.leave, true);
        os_event_ring(service.bell);
        (void)wait_while(&service.here, 1, &terms);
        close_all();
        atomic_store(&service.runs, false);
        attend_all(); /* what was pushed too late: ended jobs */
    }
    free(service.heap);
    service.heap = NULL;
    service.count = service.room = 0;
    lock_give(&service.starting);
}

void
service_forked(bool open)
{
    if (open)
        close_all();
    free(service.heap);
    memset(&service, 0, sizeof service);
    service.watch = service.clock = service.bell = -1;
}
