#include "worker/runtime.h"

#include "base/misuse.h"
#include "base/why.h"
#include "os/os.h"
#include "queue/outlet.h"
#include "registry/recorder.h"
#include "registry/registry.h"
#include "shm/heap.h"
#include "sync/recover.h"
#include "wait/bell.h"
#include "wait/certificate.h"
#include "wait/sentry.h"
#include "worker/at_end.h"
#include "worker/outcome.h"
#include "worker/process.h"
#include "worker/spawn.h"
#include "worker/thread.h"
#include "worker/zygote.h"

#include <weft/status.h>
#include <weft/trace.h>

#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    NAME_AFTER = 1000 /* ms that the exit waits before it names stragglers */
};

static struct {
    struct lock lock;
    struct list jobs;   /* that live; under lock */
    atomic_bool closed; /* changed under lock */
    weft_options options;
    atomic_bool initialised; /* weft_init was called */
    struct lock opening;
    atomic_bool open;
    _Atomic int hidden; /* threads that runtime_hide_thread was told of */
} runtime;

static void
nothing(void)
{
}

void (*runtime_resting)(void) = nothing;
void (*runtime_copied)(void) = nothing;

/* An adopted or a weft thread's block goes. */
static void
thread_ends(struct self *self)
{
    at_end_run(self);
    job_memory_leave(self);
    recover_self(self);
    sentry_end(self);
    certificate_end(self);
    policy_leave(self);
}

/* The program called fork(). */
static void
copied(void)
{
    runtime_forked(NULL, 0);
}

/* The kernel kills process workers when the thread that their zygote was made
 * by ends. So a main thread that calls pthread_exit stays until there are none,
 * and until the library's own threads, which would keep the program, are gone.
 */
static void
main_ends(void)
{
    runtime_close(false);
    if (recorder_has_thread())
        weft_trace_stop();
}

__attribute__((constructor)) static void
set_hooks(void)
{
    self_ending = thread_ends;
    self_copied = copied;
    self_main_ending = main_ends;
}

static void
at_exit(void)
{
    runtime_close(true);
}

static bool
wants_quiet(void)
{
    const char *quiet = secure_getenv("WEFT_QUIET");

    return quiet && *quiet && strcmp(quiet, "0") != 0;
}

static void
open_runtime(void)
{
    static bool hooked;

    list_init(&runtime.jobs);
    if (wants_quiet())
        runtime.options.quiet = true;
    self_get();
    if (!hooked)
        hooked = atexit(at_exit) == 0;
}

void
runtime_open(void)
{
    if (atomic_load_explicit(&runtime.open, memory_order_acquire))
        return;
    lock_take(&runtime.opening);
    if (!atomic_load_explicit(&runtime.open, memory_order_relaxed)) {
        open_runtime();
        atomic_store_explicit(&runtime.open, true, memory_order_release);
    }
    lock_give(&runtime.opening);
}

int
runtime_add(weft_job *job)
{
    lock_take(&runtime.lock);
    const bool closed = atomic_load(&runtime.closed);

    if (!closed)
        list_append(&runtime.jobs, &job_keep(job)->live);
    lock_give(&runtime.lock);
    return closed ? why_set(WEFT_ECLOSED, "the program is ending") : 0;
}

bool
runtime_is_closed(void)
{
    return atomic_load(&runtime.closed);
}

void
runtime_remove(weft_job *job)
{
    lock_take(&runtime.lock);
    list_remove(&job->live);
    lock_give(&runtime.lock);
}

void
runtime_foreach(void (*fn)(weft_job *job, void *context), void *context)
{
    lock_take(&runtime.lock);
    list_foreach (at, &runtime.jobs)
        fn(list_entry(at, weft_job, live), context);
    lock_give(&runtime.lock);
}

void
runtime_unobserved(weft_job *job)
{
    if (runtime.options.on_failure)
        runtime.options.on_failure(job);
    else if (!runtime.options.quiet)
        fprintf(stderr, "weft: %s\n", weft_outcome_of(job)->text);
}

bool
runtime_was_initialised(void)
{
    return atomic_load(&runtime.initialised);
}

bool
runtime_wants_zygote(void)
{
    return !runtime.options.no_zygote;
}

void
runtime_hide_thread(int change)
{
    atomic_fetch_add(&runtime.hidden, change);
}

int
runtime_threads(void)
{
    /* ns: for threads that were joined to be gone; for those of weft that have
     * ended a job, and are sure to lie down, to have done so. */
    enum {
        PATIENCE = 20 * 1000000,
        LONGER = 1000 * 1000000
    };

    const int64_t begun = os_now();

    for (;;) {
        const int idle = thread_idle_count();
        const int settling = thread_cached_count() - idle;
        const int count = os_threads_beside(
            idle + service_runs() + bell_has_thread() + sentry_count() +
            recorder_has_thread() + atomic_load(&runtime.hidden));

        if (count <= 1 ||
            os_now() - begun >= (count - settling <= 1 ? LONGER : PATIENCE))
            return count;
        /* A thread that was joined may take a moment to be gone. */
        (void)wait_sleep(os_now() + 100000);
    }
}

/* --- the end */

/* What the caller itself holds up cannot be waited for: a job that it runs, or
 * one whose end it is telling. */
static bool
waits_for_me(const weft_job *job)
{
    return job->daemon || job_is_mine(job) ||
           atomic_load(&job->teller) == self_get();
}

/* A job to wait for, with a reference. A job that waits follows the one that it
 * waits for, which was started before it and so is found first. */
static weft_job *
find(bool pending)
{
    weft_job *found = NULL;

    lock_take(&runtime.lock);
    list_foreach (at, &runtime.jobs) {
        weft_job *job = list_entry(at, weft_job, live);

        if (job_is_pending(job) == pending && !waits_for_me(job)) {
            found = job_keep(job);
            break;
        }
    }
    lock_give(&runtime.lock);
    return found;
}

/* Nothing runs any more that could bring about the end of those that are left:
 * so that is now. */
static weft_job *
find_last(void)
{
    weft_job *job = find(true);

    if (job)
        job_ask(job, JOB_STOP_ASKED);
    return job;
}

struct stragglers {
    struct text text;
    unsigned count;
};

static void
name_one(weft_job *job, void *context)
{
    struct stragglers *all = context;

    if (waits_for_me(job) || job_is_pending(job))
        return;
    text_add(&all->text, "%s%s '%s' (%d)", all->count++ ? ", " : "",
             outcome_kind_word(job->kind), job->name, atomic_load(&job->tid));
}

static void
name_stragglers(void)
{
    char space[4096];
    struct stragglers all = {.text = text_over(space, sizeof space)};

    if (runtime.options.quiet)
        return;
    runtime_foreach(name_one, &all);
    if (all.count)
        fprintf(stderr, "weft: waiting at the end for %s\n", space);
}

static bool
runtime_has(weft_job *job)
{
    lock_take(&runtime.lock);
    const bool has = !list_empty(&job->live);

    lock_give(&runtime.lock);
    return has;
}

static void
join_all(void)
{
    const int64_t late = os_now() + NAME_AFTER * WEFT_MS;
    bool named = false;

    for (;;) {
        weft_job *job = find(false);

        if (!job)
            job = find_last();
        if (!job)
            return;
        if (!named && job_wait(job, late, true) < 0) {
            name_stragglers();
            named = true;
        }
        (void)job_wait(job, OS_NEVER, true);
        if (runtime_has(job)) /* its end is being told, or its failure */
            (void)wait_sleep(os_now() + 100000);
        job_drop(job);
    }
}

static void
kill_daemon(weft_job *job, void *context)
{
    (void)context;
    if (!job->daemon)
        return;
    job_see(job);                 /* its end is what was wanted */
    if (job->of == &process_kind) /* a pool's task dies with its worker */
        (void)job->of->kill(job, SIGKILL);
}

void
runtime_close(bool for_good)
{
    if (!atomic_load(&runtime.open))
        return;
    join_all();
    if (for_good) {
        lock_take(&runtime.lock);
        atomic_store(&runtime.closed, true);
        lock_give(&runtime.lock);
        join_all(); /* what began meanwhile */
    }
    runtime_foreach(kill_daemon, NULL);
    if (!for_good)
        runtime_resting();
    at_end_run(self_get());
    thread_drop_idle();
    zygote_stop();
    lock_take(&runtime.lock);
    const bool empty = list_empty(&runtime.jobs);

    lock_give(&runtime.lock);
    if (empty)
        service_stop();
    job_memory_free();
}

int
runtime_clone(unsigned flags, int *pidfd)
{
    lock_take(&runtime.lock);
    thread_hold();
    const int pid = os_clone(flags, pidfd);

    if (pid != 0) {
        thread_go_on();
        lock_give(&runtime.lock);
    }
    return pid;
}

void
runtime_forked(const char *name, int parent)
{
    const weft_options options = runtime.options;

    policy_forked();
    bell_forked();
    sentry_forked();
    outlet_forked();
    service_forked(name == NULL);
    thread_forked();
    zygote_forked(name == NULL);
    memset(&runtime, 0, sizeof runtime);
    runtime.options = options;
    list_init(&runtime.jobs);
    heap_forked(name != NULL);
    if (self_here)
        self_here->ending = NULL;
    runtime_copied();
    if (!name)
        return;
    self_forked(name, parent);
    atomic_store(&runtime.open, true);
}

/* --- public */

static int
check_options(const weft_options *options)
{
    for (size_t i = 0; i < sizeof options->reserved / sizeof(uintptr_t); i++)
        if (options->reserved[i])
            return why_set(WEFT_EINVAL, "weft_init: options hold a field that "
                                        "this version of weft does not know");
    if (!options->argc != !options->argv)
        return why_set(WEFT_EINVAL, "options.argc and argv go together");
    return 0;
}

/* The heap first, so that the zygote has it. Without one everything else works,
 * and who needs it is told; but a size that is none is a mistake. */
static int
make_ready(void)
{
    const int heap = heap_open(runtime.options.shared_size);
    const int made = runtime.options.no_zygote ? 0 : zygote_renew();

    if (made < 0 && made != WEFT_ETHREADS) /* said again when it matters */
        return made;
    return heap == WEFT_EINVAL ? heap_open(runtime.options.shared_size) : 0;
}

int
weft_init(const weft_options *options)
{
    runtime_open();
    const int status = options ? check_options(options) : 0;

    if (status < 0)
        return status;
    if (options) {
        runtime.options = *options;
        misuse_set_hook(options->on_misuse);
        runtime.options.quiet = options->quiet || wants_quiet();
    }
    if (options && options->argv)
        spawn_hook();
    atomic_store(&runtime.initialised, true);
    return make_ready();
}

void
weft_fini(void)
{
    runtime_close(false);
}

const char *
weft_version(void)
{
    return WEFT_VERSION;
}
