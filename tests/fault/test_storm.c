/* Three workers put blocks of the shared heap on a stack and three take them
 * off, each within a semaphore and a mutex and with a condition, and all of
 * them are killed at random all the time. Nothing is torn, nobody is stuck, and
 * in the end all permits are there. WEFT_STORM=seconds. */
#include "fault.h"
#include "shm/heap.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    SIDES = 2, /* putting, taking */
    EACH = 3,
    PERMITS = 4,
    ROOM = 8,
    LIFE_MOST = 1500000, /* ns, once it works */
    SECONDS = 4,
    SOAK_SECONDS = 20
};

struct storm {
    struct arena arena;      /* mutex, cond, semaphore, a and b */
    char *_Atomic at[ROOM];  /* under the mutex, as below */
    _Atomic unsigned height; /* changed by one store, which is the truth */
    _Atomic unsigned wrong;
    _Atomic unsigned done[SIDES], own[SIDES * EACH];
};

struct role {
    struct storm *storm;
    unsigned index;
};

/* What is seen from outside. */
struct seen {
    unsigned kills, done[SIDES];
    int64_t since[SIDES], longest;
};

/* --- the workers */

static void
expect(struct storm *storm, bool right)
{
    if (!right)
        atomic_fetch_add(&storm->wrong, 1);
}

static void
lock(struct storm *storm)
{
    expect(storm,
           fault_guarded(&storm->arena, weft_mutex_lock(&storm->arena.mutex)));
}

/* Until the stack is neither full nor empty, for whom it matters. */
static void
wait_for(struct storm *storm, unsigned forbidden)
{
    struct arena *arena = &storm->arena;

    while (atomic_load(&storm->height) == forbidden) {
        const int status =
            weft_cond_wait(&arena->cond, &arena->mutex, fault_soon(100 * MS));

        if (status == WEFT_OWNER_DIED)
            (void)fault_guarded(arena, status);
    }
}

static void
unlock(struct storm *storm)
{
    fault_change(&storm->arena);
    weft_cond_notify(&storm->arena.cond, WEFT_EVERYONE);
    weft_mutex_unlock(&storm->arena.mutex);
}

static void
put(struct storm *storm, unsigned seed)
{
    const size_t size = 64 + seed % (seed % 16 ? 2000 : 200000);
    char *block = weft_shared_alloc(size);

    expect(storm, block && !*block);
    if (!block)
        return;
    memcpy(block, (void *)&block, sizeof(void *));
    lock(storm);
    wait_for(storm, ROOM);
    const unsigned height = atomic_load(&storm->height);

    atomic_store(&storm->at[height], block);
    atomic_store(&storm->height, height + 1);
    unlock(storm);
}

static void
take(struct storm *storm)
{
    char *marked;

    lock(storm);
    wait_for(storm, 0);
    const unsigned height = atomic_load(&storm->height);
    char *block = atomic_load(&storm->at[height - 1]);

    atomic_store(&storm->height, height - 1);
    unlock(storm);
    memcpy(&marked, block, sizeof marked);
    expect(storm, marked == block);
    memset(block, 0, 16); /* whoever had it too would see that */
    weft_shared_free(block);
}

static int
work(weft_call *call)
{
    const struct role *role = call->arg;
    struct storm *storm = role->storm;
    unsigned seed = (unsigned)fault_now();

    while (atomic_load(&storm->height) <= ROOM) {
        expect(storm, weft_semaphore_acquire(&storm->arena.semaphore,
                                             fault_soon(STUCK)) == 0);
        if (role->index % SIDES)
            take(storm);
        else
            put(storm, (unsigned)rand_r(&seed));
        weft_semaphore_release(&storm->arena.semaphore, 1);
        atomic_fetch_add(&storm->done[role->index % SIDES], 1);
        atomic_fetch_add(&storm->own[role->index], 1);
    }
    expect(storm, false);
    return 0;
}

/* --- who kills them */

static weft_job *
start(struct storm *storm, unsigned index)
{
    const struct role role = {storm, index};
    weft_job *job = NULL;

    atomic_store(&storm->own[index], 0);
    if (weft_start(&job, WEFT_PROCESS,
                   &(weft_task){.fn = work, WEFT_ARG(role)}) < 0) {
        printf("a worker was not started: %s\n", weft_why());
        exit(1);
    }
    return job;
}

static bool
end(weft_job *job)
{
    (void)weft_kill(job, 9);
    const bool joined = weft_join(job, fault_soon(STUCK)) == 0;

    (void)weft_outcome_of(job);
    weft_release(job);
    return joined;
}

/* How long neither side has done anything. */
static bool
look(const struct storm *storm, struct seen *seen)
{
    const int64_t now = fault_now();

    for (unsigned side = 0; side < SIDES; side++) {
        const unsigned done = atomic_load(&storm->done[side]);
        const int64_t pause = now - seen->since[side];

        if (done == seen->done[side] && pause <= STUCK)
            continue;
        if (pause > seen->longest)
            seen->longest = pause;
        if (done == seen->done[side])
            return false;
        seen->done[side] = done;
        seen->since[side] = now;
    }
    return true;
}

/* A worker does something, then has a little longer to live. */
static bool
live(struct storm *storm, struct seen *seen, unsigned index, int64_t life)
{
    int64_t until = 0;

    while (until == 0 || fault_now() < until) {
        if (!look(storm, seen))
            return false;
        if (until == 0 && atomic_load(&storm->own[index]) > 0)
            until = fault_now() + life;
        fault_nap(PAUSE);
    }
    return true;
}

static const char *
rage(struct storm *storm, struct seen *seen, weft_job **jobs, int64_t until)
{
    unsigned seed = 7;

    while (fault_now() < until) {
        const unsigned index = (unsigned)rand_r(&seed) % (SIDES * EACH);

        if (!live(storm, seen, index, rand_r(&seed) % LIFE_MOST))
            return "somebody is stuck";
        if (!end(jobs[index]))
            return "a worker cannot be joined";
        jobs[index] = start(storm, index);
        if (++seen->kills % 16 == 0 && heap_fault())
            return heap_fault();
    }
    return NULL;
}

/* All are dead. */
static const char *
look_at_rest(struct storm *storm)
{
    struct arena *arena = &storm->arena;
    const unsigned permits = weft_semaphore_permits(&arena->semaphore);
    const int status = weft_mutex_lock_until(&arena->mutex, fault_soon(STUCK));

    if (status < 0)
        return "the mutex cannot be had";
    if (!fault_guarded(arena, status))
        return "what the mutex guards is torn";
    for (unsigned i = 0; i < atomic_load(&storm->height); i++)
        weft_shared_free(atomic_load(&storm->at[i]));
    weft_mutex_unlock(&arena->mutex);
    if (permits != PERMITS)
        return "not all permits are back";
    if (atomic_load(&storm->wrong) > 0)
        return "somebody saw something wrong";
    return heap_fault();
}

static int64_t
seconds(void)
{
    const char *storm = getenv("WEFT_STORM"),
               *scale = getenv("WEFT_TEST_SCALE");

    if (storm && atoi(storm) > 0)
        return atoi(storm);
    return scale && atoi(scale) > 100 ? SOAK_SECONDS : SECONDS;
}

int
main(void)
{
    weft_job *jobs[SIDES * EACH];
    const int64_t now = fault_now(), until = now + seconds() * 1000 * MS;
    struct seen seen = {.since = {now, now}};

    (void)weft_init(&(weft_options){.quiet = true});
    struct storm *storm = weft_shared_alloc(sizeof *storm);

    if (!storm)
        return 1;
    storm->arena.semaphore.limit = storm->arena.semaphore.permits = PERMITS;
    for (unsigned i = 0; i < SIDES * EACH; i++)
        jobs[i] = start(storm, i);
    const char *fault = rage(storm, &seen, jobs, until);

    for (unsigned i = 0; i < SIDES * EACH; i++)
        if (!end(jobs[i]) && !fault)
            fault = "a worker cannot be joined";
    if (!fault)
        fault = look_at_rest(storm);
    printf("storm: %u kills, %u put, %u taken, longest pause %.1f ms: %s\n",
           seen.kills, seen.done[0], seen.done[1], (double)seen.longest / MS,
           fault ? fault : "all is right");
    return fault != NULL;
}
