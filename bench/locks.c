/* Mutexes and barriers against those of pthread. Built twice: with libweft.so,
 * and with libweft.a linked in.
 *
 * The threads here are pthreads: weft adopts them at their first call. One more
 * sleeps all the time, since a C library may leave out the atomics of its locks
 * while there is a single thread. */
#include "harness.h"

#include <weft/barrier.h>
#include <weft/mutex.h>
#include <weft/time.h>

#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

enum {
    THREADS = 8,
    BATCH = 256,
    MEETINGS = 16, /* a batch */
    SHARES = BENCH_ROUNDS + 1
};

#define LINKED (BENCH_STATIC ? ", static" : "")

/* --- The mutexes; each on a cache line of its own */

struct pair {
    _Alignas(128) weft_mutex weft;
    _Alignas(128) pthread_mutex_t peer;
    _Alignas(128) int64_t counter; /* under the one that is measured */
};

static struct pair plain = {.peer = PTHREAD_MUTEX_INITIALIZER};
static struct pair own[THREADS]; /* one for each thread */
static struct pair *shared;      /* in memory that another process could map */

static void
open_shared(void)
{
    pthread_mutexattr_t attributes;

    shared = mmap(NULL, sizeof *shared, PROT_READ | PROT_WRITE,
                  MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (shared == MAP_FAILED)
        abort();
    shared->weft.shared = true;
    pthread_mutexattr_init(&attributes);
    pthread_mutexattr_setpshared(&attributes, PTHREAD_PROCESS_SHARED);
    pthread_mutexattr_setrobust(&attributes, PTHREAD_MUTEX_ROBUST);
    pthread_mutex_init(&shared->peer, &attributes);
    pthread_mutexattr_destroy(&attributes);
}

static void
open_own(void)
{
    for (int i = 0; i < THREADS; i++)
        pthread_mutex_init(&own[i].peer, NULL);
}

/* --- Uncontended: one thread */

static double
alone_weft(const void *mutex, int64_t span)
{
    struct bench_run run = bench_run(span);
    weft_mutex *it = (weft_mutex *)(uintptr_t)mutex;

    while (bench_goes_on(&run))
        for (int k = 0; k < BATCH; k++) {
            weft_mutex_lock(it);
            weft_mutex_unlock(it);
        }
    return bench_cost(&run, BATCH);
}

static double
alone_pthread(const void *mutex, int64_t span)
{
    struct bench_run run = bench_run(span);
    pthread_mutex_t *it = (pthread_mutex_t *)(uintptr_t)mutex;

    while (bench_goes_on(&run))
        for (int k = 0; k < BATCH; k++) {
            pthread_mutex_lock(it);
            pthread_mutex_unlock(it);
        }
    return bench_cost(&run, BATCH);
}

static void
compare_alone(const char *name, struct bench_entry ours,
              struct bench_entry peer, int hogs, double promise)
{
    /* Beside others it is not pinned: they would only share the CPU. */
    const struct bench_group group = {
        .title = name, .pin = hogs == 0, .hogs = hogs};
    struct bench_entry entries[] = {ours, peer};
    char row[64];

    if (!bench_measure(&group, entries, 2))
        return;
    snprintf(row, sizeof row, "%s%s", name, LINKED);
    bench_ratio(row, &entries[0], &entries[1],
                (struct bench_promise){promise, 0});
}

/* --- Contended: each thread takes it as often as it can */

enum which {
    PLAIN,
    SHARED,
    OWN /* uncontended, in each thread */
};

struct crowd {
    bool weft;
    unsigned threads;
    bool apart; /* one pinned on each CPU */
    enum which which;
};

struct member {
    _Alignas(128) _Atomic int64_t taken;
    const struct crowd *crowd;
    int nth;
};

static atomic_bool finished;
static struct member members[THREADS];

/* Of the least busy thread, in each round. */
static struct {
    double of[SHARES];
    int count;
} shares;

static void
go_apart(const struct crowd *crowd, int nth)
{
    if (crowd->apart)
        bench_pin(nth % (int)bench_cpus());
}

static struct pair *
pair_of(const struct member *member)
{
    switch (member->crowd->which) {
    case SHARED:
        return shared;
    case OWN:
        return &own[member->nth];
    default:
        return &plain;
    }
}

static void
count_one(struct member *member, struct pair *pair)
{
    pair->counter++;
    atomic_store_explicit(
        &member->taken,
        atomic_load_explicit(&member->taken, memory_order_relaxed) + 1,
        memory_order_relaxed);
}

static void *
contend(void *memory)
{
    struct member *member = memory;
    const bool weft = member->crowd->weft;
    struct pair *pair = pair_of(member);

    go_apart(member->crowd, member->nth);
    while (!atomic_load_explicit(&finished, memory_order_relaxed))
        if (weft) {
            weft_mutex_lock(&pair->weft);
            count_one(member, pair);
            weft_mutex_unlock(&pair->weft);
        } else {
            pthread_mutex_lock(&pair->peer);
            count_one(member, pair);
            pthread_mutex_unlock(&pair->peer);
        }
    return NULL;
}

static int64_t
all_taken(const struct crowd *crowd, int64_t *least)
{
    int64_t sum = 0;

    *least = INT64_MAX;
    for (unsigned i = 0; i < crowd->threads; i++) {
        const int64_t taken = atomic_load(&members[i].taken);

        sum += taken;
        *least = taken < *least ? taken : *least;
    }
    return sum;
}

static double
crowded(const void *arg, int64_t span)
{
    const struct crowd *crowd = arg;
    pthread_t threads[THREADS];
    int64_t least;

    atomic_store(&finished, false);
    for (unsigned i = 0; i < crowd->threads; i++) {
        members[i] = (struct member){.crowd = crowd, .nth = (int)i};
        pthread_create(&threads[i], NULL, contend, &members[i]);
    }
    bench_sleep(span / 2);
    const int64_t before = all_taken(crowd, &least);
    const int64_t start = bench_now();

    bench_sleep(span / 2);
    const int64_t after = all_taken(crowd, &least);
    const int64_t end = bench_now();

    atomic_store(&finished, true);
    for (unsigned i = 0; i < crowd->threads; i++)
        pthread_join(threads[i], NULL);
    if (crowd->weft && shares.count < SHARES)
        shares.of[shares.count++] = (double)least / (double)after;
    return (double)(end - start) / (double)(after - before);
}

/* --- Barrier */

static struct {
    _Alignas(128) weft_barrier weft;
    _Alignas(128) pthread_barrier_t peer;
    _Atomic int64_t last; /* the meeting after which all leave; 0 = not yet */
} place;

static void
meet(const struct crowd *crowd)
{
    if (!crowd->weft)
        pthread_barrier_wait(&place.peer);
    else if (weft_barrier_wait(&place.weft, WEFT_FOREVER) < 0)
        abort();
}

static void *
arrive(void *memory)
{
    const struct member *member = memory;
    int64_t passed = 0;

    go_apart(member->crowd, member->nth);
    do
        meet(member->crowd);
    while (++passed != atomic_load(&place.last));
    return NULL;
}

static double
meetings(const void *arg, int64_t span)
{
    const struct crowd *crowd = arg;
    pthread_t threads[THREADS];
    struct bench_run run = bench_run(span);
    int64_t passed = 0;

    place.weft = (weft_barrier){.parties = crowd->threads};
    pthread_barrier_init(&place.peer, NULL, crowd->threads);
    atomic_store(&place.last, 0);
    for (unsigned i = 1; i < crowd->threads; i++) {
        members[i] = (struct member){.crowd = crowd, .nth = (int)i};
        pthread_create(&threads[i], NULL, arrive, &members[i]);
    }
    go_apart(crowd, 0);
    for (; bench_goes_on(&run); passed += MEETINGS)
        for (int k = 0; k < MEETINGS; k++)
            meet(crowd);
    atomic_store(&place.last, passed + 1);
    meet(crowd);
    for (unsigned i = 1; i < crowd->threads; i++)
        pthread_join(threads[i], NULL);
    pthread_barrier_destroy(&place.peer);
    return bench_cost(&run, MEETINGS);
}

/* --- Rows */

struct scene {
    const char *where;
    unsigned threads;
    bool apart;
    int hogs;
    enum which which;
};

static void
tell_share(const char *name)
{
    struct bench_entry least = {0};
    char row[80];

    if (shares.count == 0)
        return;
    bench_summarise(&least, shares.of, shares.count, 0.5);
    snprintf(row, sizeof row, "%s: lesser's %%", name);
    bench_count(row, (int64_t)(100 * least.median), 30);
}

static bool
compare(const char *what, bench_fn *fn, const struct scene *scene,
        double promise)
{
    const struct crowd ours = {true, scene->threads, scene->apart,
                               scene->which},
                       peer = {false, scene->threads, scene->apart,
                               scene->which};
    struct bench_entry entries[] = {bench_entry("weft", fn, &ours),
                                    bench_entry("pthread", fn, &peer)};
    char name[64];
    const struct bench_group group = {.title = name, .hogs = scene->hogs};

    snprintf(name, sizeof name, "%s%s%s", what, scene->where, LINKED);
    shares.count = 0;
    if (!bench_measure(&group, entries, 2))
        return false;
    bench_ratio(name, &entries[0], &entries[1],
                (struct bench_promise){promise, 0});
    if (scene->threads == 2 && scene->hogs == 0 && fn == crowded)
        tell_share(name);
    return true;
}

static void
compare_crowds(void)
{
    const unsigned each = bench_cpus() < THREADS ? bench_cpus() : THREADS;
    const struct scene mutex[] = {
        {" contended by 2, 1 a CPU", 2, true, 0, PLAIN},
        {" contended by 2, 1 busy loop", 2, false, 1, PLAIN},
        {" contended by 8", 8, false, 0, PLAIN},
        {" contended by 8, 1 busy loop", 8, false, 1, PLAIN},
        {", 8 threads with 1 each", 8, false, 0, OWN}};
    const struct scene robust[] = {
        {" contended by 2, 1 a CPU", 2, true, 0, SHARED},
        {" contended by 2, 1 busy loop", 2, false, 1, SHARED},
        {" contended by 8", 8, false, 0, SHARED},
        {" contended by 8, 1 busy loop", 8, false, 1, SHARED}};
    const struct scene barrier[] = {{", 1 thread a CPU", each, true, 0, PLAIN},
                                    {" of 2, 1 busy loop", 2, false, 1, PLAIN},
                                    {" of 8", 8, false, 0, PLAIN},
                                    {" of 8, 1 busy loop", 8, false, 1, PLAIN}};

    for (int i = 0; i < 5; i++)
        compare("mutex", crowded, &mutex[i], i == 0 ? 0.75 : 1.2);
    for (int i = 0; i < 4; i++)
        compare("shared mutex", crowded, &robust[i], 1.2);
    for (int i = 0; i < 4; i++)
        compare("barrier", meetings, &barrier[i], i == 0 ? 0.01 : 1.2);
}

static void
compare_uncontended(void)
{
    const struct bench_entry ours =
                                 bench_entry("weft", alone_weft, &plain.weft),
                             peer = bench_entry("pthread", alone_pthread,
                                                &plain.peer),
                             ours_shared =
                                 bench_entry("weft", alone_weft, &shared->weft),
                             robust = bench_entry("robust", alone_pthread,
                                                  &shared->peer);

    compare_alone("mutex lock + unlock", ours, peer, 0,
                  BENCH_STATIC ? 0.85 : 1.0);
    compare_alone("shared mutex lock + unlock", ours_shared, robust, 0, 0.75);
    compare_alone("mutex lock + unlock, 1 busy loop", ours, peer, 1, 1.2);
    compare_alone("shared mutex lock + unlock, 1 busy loop", ours_shared,
                  robust, 1, 1.2);
}

static void *
sleep_on(void *unused)
{
    pause();
    return unused;
}

int
main(void)
{
    pthread_t sleeper;

    bench_open(BENCH_STATIC ? "locks, libweft.a" : "locks, libweft.so");
    open_shared();
    open_own();
    pthread_create(&sleeper, NULL, sleep_on, NULL);
    compare_uncontended();
    if (!BENCH_STATIC)
        compare_crowds();
    return bench_close();
}
