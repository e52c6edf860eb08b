/* A thread runs one job after another. Between two it lies on the idle stack,
 * cleans up after the last one, and spins or sleeps by the waiting policy, with
 * all signals blocked; it ends when no job came for a while. Who takes it from
 * the stack owns it: it writes the block and the slot for the next job, then
 * posts `go`.
 *
 *   go   job number; +1 by who took the thread from the stack (release), read
 * by the thread (acquire). Illegal: a change while the thread is on the stack
 */
#include "worker/thread.h"

#include "base/why.h"
#include "os/os.h"
#include "registry/record.h"
#include "registry/registry.h"
#include "sync/recover.h"
#include "wait/certificate.h"
#include "worker/at_end.h"
#include "worker/meter.h"
#include "worker/on_end.h"
#include "worker/options.h"

#include <weft/status.h>

#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>

#define KEEP (5 * WEFT_SECOND) /* an idle thread, so long */

struct thread {
    struct self self;
    struct wait_word go;
    _Atomic int posting; /* how many are still inside wait_post(&go) */
    struct stop stop;
    weft_job *job;            /* written before `go` changes */
    struct list link;         /* in the idle stack; under idle.lock */
    bool leave;               /* written before `go` changes */
    bool single;              /* one job only: made with options of its own */
    char kernel[TEXT_KERNEL]; /* its name there */
    struct meter meter;
    struct os_thread_state state;
    struct os_thread_options options;
    unsigned cpus[]; /* for options.cpus */
};

static struct {
    struct lock lock;
    struct list first;        /* under lock; linked once it is used */
    _Atomic int waiting;      /* idle threads that hold nothing */
    _Atomic int cached;       /* threads without a job, waiting or about to */
    struct wait_word leaving; /* threads asked to end that have not yet */
} idle;

static struct list *
idle_stack(void)
{
    if (!idle.first.next)
        list_init(&idle.first);
    return &idle.first;
}

static void
idle_take_out(struct thread *thread)
{
    list_remove(&thread->link);
    atomic_fetch_sub_explicit(&idle.cached, 1, memory_order_relaxed);
}

static struct thread *
idle_pop(void)
{
    struct thread *thread = NULL;

    lock_take(&idle.lock);
    struct list *stack = idle_stack();

    if (!list_empty(stack)) {
        thread = list_entry(stack->previous, struct thread, link);
        idle_take_out(thread);
    }
    lock_give(&idle.lock);
    return thread;
}

static void
idle_push(struct thread *thread)
{
    lock_take(&idle.lock);
    list_append(idle_stack(), &thread->link);
    atomic_fetch_add_explicit(&idle.cached, 1, memory_order_relaxed);
    lock_give(&idle.lock);
}

/* The thread itself, tired of waiting. False: somebody has just taken it. */
static bool
idle_remove(struct thread *thread)
{
    lock_take(&idle.lock);
    const bool found = !list_empty(&thread->link);

    if (found)
        idle_take_out(thread);
    lock_give(&idle.lock);
    return found;
}

/* Says in block and slot what the thread is now. By its owner. */
static void
present(struct thread *thread, weft_job *job)
{
    weft_worker *record = &thread->self.record;

    record->kind = WEFT_THREAD;
    record->state = WEFT_STARTING;
    record->parent = job->parent;
    record->daemon = job->daemon;
    memcpy(record->name, job->name, strlen(job->name) + 1);
    self_write(&thread->self);
    atomic_store_explicit(&job->slot, record->id, memory_order_relaxed);
}

static void
name_in_kernel(struct thread *thread, const char *name)
{
    char kernel[TEXT_KERNEL];

    text_kernel_name(name, kernel);
    if (memcmp(kernel, thread->kernel, sizeof kernel) == 0)
        return;
    memcpy(thread->kernel, kernel, sizeof kernel);
    os_thread_name(kernel);
}

static void
run_function(struct thread *thread, weft_job *job)
{
    struct self *self = &thread->self;

    name_in_kernel(thread, job->name);
    self->record.state = WEFT_RUNNING;
    if (self->slot)
        atomic_store_explicit(&self->slot->hot.state, WEFT_RUNNING,
                              memory_order_relaxed);
    self->job = job;
    thread->stop = (struct stop){.asked = &job->stop.asked, .cell = &job->stop};
    self->stop = &thread->stop;
    atomic_store_explicit(&job->tid, self->record.tid, memory_order_relaxed);
    os_signals_set(&job->mask);

    const int64_t cpu = meter_begin(&thread->meter, job->begun);

    record_begin(&job->recorded, RECORD_THREAD, job->name);
    const int code = job->fn(&job->call.call);

    self->shield = 0;
    at_end_run(self);
    record_end(&job->recorded, code != 0);
    recover_self(self);
    self->stop = NULL;
    self->job = NULL;
    job_returned(job, code);
    meter_end(&thread->meter, job->begun, cpu, &job->outcome);
    record_on_cpu(&job->recorded, job->outcome.cpu, job->outcome.wall);
}

/* What the job was seen as is over before the job counts as ended. */
static void
hide(struct self *self)
{
    self->record.state = WEFT_IDLE;
    if (self->slot)
        atomic_store_explicit(&self->slot->hot.state, WEFT_IDLE,
                              memory_order_release);
}

/* Runs the job. */
static void
run_job(struct thread *thread)
{
    weft_job *job = thread->job;

    thread->job = NULL;
    if (!job_is_canceled(job)) {
        job_begun(job, os_now());
        run_function(thread, job);
    }
    /* On the stack first, so that the joiner's next start finds it there, and
     * the job that is to begin after this one. But a failure may be reported,
     * and what the program has called then, or by weft_on_end, is not to hold
     * up a job that only this thread could run. */
    const bool calls = on_end_close(job);
    const bool first =
        !thread->single && !calls && job->outcome.status == WEFT_OK;

    hide(&thread->self);
    if (first)
        idle_push(thread);
    job_end(job);
    if (!first && !thread->single)
        idle_push(thread);
}

/* Undoes what the job may have changed of the thread: six system calls' time
 * that nobody waits for. False: it cannot be undone. */
static bool
clean_up(struct thread *thread)
{
    why_end(); /* its key would count as somebody else's */
    os_signals_block(NULL);
    os_thread_name(thread->kernel);
    return os_thread_restore(&thread->state);
}

/* Waits for the next job; false: the thread is to end. */
static bool
wait_for_job(struct thread *thread, uint32_t seen)
{
    struct wait_terms terms = {.stubborn = true, .kind = SLOT_WAIT_WORK};
    int status;

    do {
        terms.until = os_now() + KEEP;
        atomic_fetch_add(&idle.waiting, 1);
        status = wait_while(&thread->go, seen, &terms);
        atomic_fetch_sub(&idle.waiting, 1);
    } while (status < 0 && !idle_remove(thread));
    return status == 0 && !thread->leave;
}

static void thread_main(void *memory);

static struct thread *
thread_new(const struct os_thread_options *options)
{
    const size_t cpus = options ? options->cpu_count : 0;
    struct thread *thread =
        calloc(1, sizeof *thread + cpus * sizeof *thread->cpus);

    if (!thread)
        return NULL;
    thread->self.bell = -1;
    list_init(&thread->link);
    atomic_init(&thread->go.value, 1);
    if (options) {
        thread->single = true;
        thread->options = *options;
        if (options->cpus) {
            memcpy(thread->cpus, options->cpus, cpus * sizeof *thread->cpus);
            thread->options.cpus = thread->cpus;
        }
    }
    thread->options.quiet = true; /* until the job's own mask is set */
    return thread;
}

static void
thread_discard(struct thread *thread)
{
    if (thread->self.slot)
        registry_release(thread->self.slot);
    free(thread);
}

/* Lets a thread that was taken from the stack go on. It may end and free itself
 * as soon as it sees `go`, but not before `posting` is 0 again. That counts: it
 * may have run this job and be given the next one before the first poster is
 * through. */
static void
post(struct thread *thread)
{
    atomic_fetch_add_explicit(&thread->posting, 1, memory_order_relaxed);
    wait_post(&thread->go, atomic_load(&thread->go.value) + 1, 1);
    /* release: pairs with acquire in thread_main */
    atomic_fetch_sub_explicit(&thread->posting, 1, memory_order_release);
}

static int
give_to_new(weft_job *job, struct thread *thread)
{
    if (!thread)
        return why_because(WEFT_ENOMEM, "cannot make a thread");
    thread->job = job;
    job->worker = NULL; /* from here on it is the thread's own */
    present(thread, job);
    int status = os_thread_start(thread_main, thread, &thread->options);

    if (status == -EAGAIN && thread_cached_count() > 0) {
        thread_drop_idle(); /* they count against the user's limit */
        status = os_thread_start(thread_main, thread, &thread->options);
    }

    if (status < 0) {
        thread_discard(thread);
        return status == -EINVAL
                   ? why_set(WEFT_EINVAL,
                             "worker.cpus names no CPU that may be used")
                   : why_system(status, "cannot make a thread");
    }
    return 0;
}

static void
give_to_idle(weft_job *job, struct thread *thread)
{
    thread->job = job;
    present(thread, job);
    post(thread);
}

/* Whether the thread has a next job to run. One that cannot be cleaned runs
 * none: if it was given one meanwhile, a fresh thread gets that; without the
 * means to make one it is better run here than not at all. */
static bool
next_job(struct thread *thread, uint32_t seen)
{
    if (thread->single)
        return false;
    const bool clean = clean_up(thread);

    if (!clean && idle_remove(thread))
        return false;
    if (!wait_for_job(thread, seen))
        return false;
    return clean || give_to_new(thread->job, thread_new(NULL)) < 0;
}

static void
thread_main(void *memory)
{
    struct thread *thread = memory;
    uint32_t seen = 1; /* it was born with a job */

    self_take(&thread->self);
    policy_enter(&thread->self);
    os_thread_remember(&thread->state);
    do
        run_job(thread);
    while (next_job(thread, seen++));
    certificate_end(&thread->self);
    self_end(&thread->self);
    why_end();
    const bool told = thread->leave;

    while (atomic_load_explicit(&thread->posting, memory_order_acquire) > 0)
        os_pause();
    free(thread);
    if (told) {
        atomic_fetch_sub(&idle.leaving.value, 1);
        wait_wake(&idle.leaving, INT_MAX, false);
    }
}

static int
thread_begin(weft_job *job)
{
    struct thread *own = job->worker; /* prepared with options */
    struct thread *thread = own ? NULL : idle_pop();

    if (!thread)
        return give_to_new(job, own ? own : thread_new(NULL));
    give_to_idle(job, thread);
    return 0;
}

static bool
thread_begin_at_once(weft_job *job)
{
    struct thread *thread = job->worker ? NULL : idle_pop();

    if (thread)
        give_to_idle(job, thread);
    return thread;
}

static void
thread_free(weft_job *job)
{
    if (job->worker) /* never begun: the thread prepared for it never ran */
        thread_discard(job->worker);
}

const struct job_kind thread_kind = {
    .begin = thread_begin,
    .begin_at_once = thread_begin_at_once,
    .free = thread_free,
};

int
thread_check(const weft_task *task)
{
    const weft_worker_options *options = task->worker;

    if (!options)
        return 0;
    const char *field = options_for_processes(options);

    return field ? why_set(WEFT_ENOTSUP, "worker.%s is not for threads", field)
                 : 0;
}

int
thread_prepare(weft_job *job, const weft_task *task)
{
    const weft_worker_options *options = task->worker;

    if (!options || (!options->stack_size && !options->cpus && !options->fresh))
        return 0;
    job->worker = thread_new(&(struct os_thread_options){
        .stack_size = options->stack_size,
        .cpus = options->cpus,
        .cpu_count = options->cpu_count,
    });
    return job->worker ? 0 : why_because(WEFT_ENOMEM, "cannot make a thread");
}

int
thread_idle_count(void)
{
    return atomic_load(&idle.waiting);
}

int
thread_cached_count(void)
{
    return atomic_load(&idle.cached);
}

void
thread_hold(void)
{
    lock_take(&idle.lock);
}

void
thread_go_on(void)
{
    lock_give(&idle.lock);
}

void
thread_drop_idle(void)
{
    const struct wait_terms terms = {.until = OS_NEVER, .stubborn = true};
    struct thread *thread;

    while ((thread = idle_pop())) {
        thread->leave = true;
        atomic_fetch_add(&idle.leaving.value, 1);
        post(thread);
    }
    for (;;) {
        const uint32_t leaving = atomic_load(&idle.leaving.value);

        if (leaving == 0)
            return;
        (void)wait_while(&idle.leaving, leaving, &terms);
    }
}

void
thread_forked(void)
{
    memset(&idle, 0, sizeof idle);
}
