/* The companion works on the object in a loop all the time; an heir does what
 * it is ordered to do, once. */
#include "fault.h"

#include <limits.h>
#include <linux/futex.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

static weft_job *companion, *heirs[HEIRS];

int64_t
fault_now(void)
{
    return weft_now().ns;
}

void
fault_nap(int64_t ns)
{
    const struct timespec time = {ns / 1000000000, ns % 1000000000};

    nanosleep(&time, NULL);
}

weft_time
fault_soon(int64_t ns)
{
    return weft_at(fault_now() + ns);
}

char
fault_state(int pid)
{
    char path[64], text[512];

    snprintf(path, sizeof path, "/proc/%d/stat", pid);
    FILE *file = fopen(path, "re");
    const char *found =
        file && fgets(text, sizeof text, file) ? strrchr(text, ')') : NULL;

    if (file)
        fclose(file);
    return found ? found[2] : '\0';
}

bool
fault_guarded(struct arena *arena, int status)
{
    if (status == WEFT_OWNER_DIED)
        atomic_store(&arena->b, atomic_load(&arena->a));
    return status >= 0 && atomic_load(&arena->a) == atomic_load(&arena->b);
}

void
fault_change(struct arena *arena)
{
    atomic_store(&arena->a, atomic_load(&arena->a) + 1);
    atomic_store(&arena->b, atomic_load(&arena->b) + 1);
}

/* --- in the helpers; not by weft, which is what is tried */

static int
accompany(weft_call *call)
{
    struct arena *arena = (*(struct helper *const *)call->arg)->arena;

    while (arena->operation) {
        const uint32_t pause = atomic_load(&arena->pause);

        if (pause & 1) {
            atomic_store(&arena->idle, pause);
        } else {
            if (!arena->operation->others(arena))
                atomic_fetch_add(&arena->failed, 1);
            const uint32_t round = atomic_load(&arena->rounds) + 1;

            atomic_store(&arena->times[round % TIMES], fault_now());
            atomic_store(&arena->rounds, round);
        }
        fault_nap(PAUSE);
    }
    return 0;
}

static int
inherit(weft_call *call)
{
    struct helper *helper = *(struct helper *const *)call->arg;

    atomic_store(&helper->pid, getpid());
    for (uint32_t done = 0; helper->arena->operation;) {
        while (atomic_load(&helper->order) == done)
            syscall(SYS_futex, &helper->order, FUTEX_WAIT, done, NULL, NULL, 0);
        atomic_store(&helper->begun, done + 1);
        const bool right = helper->arena->operation->inherit(helper->arena);

        atomic_store(&helper->time, fault_now());
        atomic_store(&helper->right, right);
        atomic_store(&helper->done, ++done);
    }
    return 0;
}

/* --- in the main process */

/* All but the one that the main thread and its victims have to themselves. */
static struct {
    unsigned at[CPU_SETSIZE];
    size_t count;
} cpus;

void
helpers_ready(void)
{
    const unsigned own = (unsigned)sched_getcpu();
    cpu_set_t all;

    if (sched_getaffinity(0, sizeof all, &all) < 0)
        return;
    for (unsigned cpu = 0; cpu < CPU_SETSIZE; cpu++)
        if (CPU_ISSET(cpu, &all) && cpu != own)
            cpus.at[cpus.count++] = cpu;
    CPU_ZERO(&all);
    CPU_SET(own, &all);
    if (sched_setaffinity(0, sizeof all, &all) < 0)
        perror("sched_setaffinity");
}

static weft_job *
start(weft_fn *fn, struct helper *helper, const char *name)
{
    weft_job *job = NULL;

    if (weft_start(
            &job, WEFT_PROCESS,
            &(weft_task){.fn = fn,
                         .name = name,
                         WEFT_ARG(helper),
                         .daemon = true,
                         .worker = &(weft_worker_options){
                             .cpus = cpus.at, .cpu_count = cpus.count}}) < 0)
        printf("a helper was not started: %s\n", weft_why());
    return job;
}

void
helpers_start(struct arena *arena)
{
    const struct operation *operation = arena->operation;

    arena->companion = (struct helper){.arena = arena};
    companion = operation->others
                    ? start(accompany, &arena->companion, "companion")
                    : NULL;
    for (unsigned i = 0; i < HEIRS; i++) {
        arena->heirs[i] = (struct helper){.arena = arena, .index = i};
        heirs[i] = operation->inherit ? start(inherit, &arena->heirs[i], "heir")
                                      : NULL;
    }
}

static void
end(weft_job **job)
{
    if (!*job)
        return;
    (void)weft_kill(*job, 9);
    (void)weft_join(*job, fault_soon(STUCK));
    (void)weft_outcome_of(*job);
    weft_release(*job);
    *job = NULL;
}

void
helpers_end(struct arena *arena)
{
    (void)arena;
    end(&companion);
    for (unsigned i = 0; i < HEIRS; i++)
        end(&heirs[i]);
}

bool
companion_pause(struct arena *arena)
{
    const int64_t begun = fault_now();
    const uint32_t pause = atomic_load(&arena->pause) | 1;

    atomic_store(&arena->pause, pause);
    while (companion && atomic_load(&arena->idle) != pause) {
        if (fault_now() - begun > STUCK)
            return false;
        fault_nap(PAUSE);
    }
    return true;
}

void
companion_resume(struct arena *arena)
{
    atomic_store(&arena->pause, (atomic_load(&arena->pause) | 1) + 1);
}

int64_t
companion_goes_on(struct arena *arena, uint32_t rounds, int64_t start)
{
    while (companion && atomic_load(&arena->rounds) - rounds < 2) {
        if (fault_now() - start > STUCK)
            return -1;
        fault_nap(PAUSE);
    }
    const int64_t time = atomic_load(&arena->times[(rounds + 2) % TIMES]);

    return companion && time > start ? time - start : 0;
}

void
heir_order(struct arena *arena, unsigned heir)
{
    struct helper *helper = &arena->heirs[heir];

    atomic_fetch_add(&helper->order, 1);
    syscall(SYS_futex, &helper->order, FUTEX_WAKE, INT_MAX, NULL, NULL, 0);
}

bool
heir_is_done(struct arena *arena, unsigned heir)
{
    const struct helper *helper = &arena->heirs[heir];

    return atomic_load(&helper->done) == atomic_load(&helper->order);
}

void
heir_order_asleep(struct arena *arena, unsigned heir)
{
    const struct helper *helper = &arena->heirs[heir];
    const int64_t begun = fault_now();

    heir_order(arena, heir);
    while (fault_now() - begun < STUCK) {
        fault_nap(PAUSE);
        if (heir_is_done(arena, heir) ||
            (atomic_load(&helper->begun) == atomic_load(&helper->order) &&
             fault_state(atomic_load(&helper->pid)) == 'S'))
            return;
    }
}

int64_t
heir_await(struct arena *arena, unsigned heir, int64_t start)
{
    const struct helper *helper = &arena->heirs[heir];

    while (!heir_is_done(arena, heir)) {
        if (fault_now() - start > STUCK)
            return -1;
        fault_nap(PAUSE);
    }
    const int64_t time = atomic_load(&helper->time);

    return time > start ? time - start : 0;
}
