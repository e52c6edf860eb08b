/* The waiting policy by itself: shapes in which threads wait for each other,
 * done three ways, quiet and beside busy loops. Plain parking is the same code
 * with spinning switched off; pthread is what a program without weft would
 * write: mutex + condition, pthread_barrier, pthread_create + join.
 *
 * The threads here are pthreads: weft adopts them at their first wait. */
#include "wait/wait.h"

#include "harness.h"
#include "os/os.h"
#include "registry/self.h"
#include "wait/policy.h"

#include <limits.h>
#include <pthread.h>
#include <stdio.h>

enum {
    THREADS = 8,
    JOBS = 64,
    BATCH = 16,
    WORK = 20000, /* ns */
    APART = BENCH_MS
};

enum way {
    PARKING,
    POLICY,
    PTHREAD
};

static enum way way; /* written while no other thread runs */

static void
go_this_way(enum way wanted)
{
    way = wanted;
    policy_park_only(wanted == PARKING);
}

/* A number to wait for a change of, this way or that. */
struct gate {
    _Alignas(128) struct wait_word word;
    pthread_mutex_t mutex;
    pthread_cond_t changed;
    uint32_t value; /* under mutex */
};

static void
gate_reset(struct gate *gate)
{
    *gate = (struct gate){.mutex = PTHREAD_MUTEX_INITIALIZER,
                          .changed = PTHREAD_COND_INITIALIZER};
}

static void
wait_for(struct wait_word *word, uint32_t old)
{
    const struct wait_terms terms = {
        .until = OS_NEVER, .kind = SLOT_WAIT_ANY, .object = word};

    (void)wait_while(word, old, &terms);
}

static void
gate_wait(struct gate *gate, uint32_t old)
{
    if (way != PTHREAD) {
        wait_for(&gate->word, old);
        return;
    }
    pthread_mutex_lock(&gate->mutex);
    while (gate->value == old)
        pthread_cond_wait(&gate->changed, &gate->mutex);
    pthread_mutex_unlock(&gate->mutex);
}

static void
gate_post(struct gate *gate, uint32_t value)
{
    if (way != PTHREAD) {
        wait_post(&gate->word, value, 1);
        return;
    }
    pthread_mutex_lock(&gate->mutex);
    gate->value = value;
    pthread_mutex_unlock(&gate->mutex);
    pthread_cond_signal(&gate->changed);
}

/* Set before the last post, read between a wait and the next post. */
static atomic_bool finished;

/* Adopted threads count as active until they end; what hooks that in is in a
 * layer that is not linked here. */
static void *
leave(void)
{
    if (self_here)
        policy_leave(self_here);
    return NULL;
}

static void
burn(int64_t span)
{
    const int64_t end = os_now() + span;

    while (os_now() < end)
        os_pause();
}

/* --- Ping-pong: two gates, two threads. */

static struct gate ping, pong;

static void *
play(void *unused)
{
    (void)unused;
    for (uint32_t i = 1;; i++) {
        gate_wait(&ping, i - 1);
        if (atomic_load(&finished))
            return leave();
        gate_post(&pong, i);
    }
}

static pthread_t
begin_game(void)
{
    pthread_t thread;

    gate_reset(&ping);
    gate_reset(&pong);
    atomic_store(&finished, false);
    pthread_create(&thread, NULL, play, NULL);
    return thread;
}

static void
end_game(pthread_t thread, uint32_t next)
{
    atomic_store(&finished, true);
    gate_post(&ping, next);
    pthread_join(thread, NULL);
}

static double
ping_pong(int64_t span, int64_t work)
{
    const pthread_t thread = begin_game();
    struct bench_run run = bench_run(span);
    uint32_t i = 1;

    while (bench_goes_on(&run))
        for (int k = 0; k < BATCH; k++, i++) {
            if (work)
                burn(work);
            gate_post(&ping, i);
            gate_wait(&pong, i - 1);
        }
    end_game(thread, i);
    return bench_cost(&run, BATCH);
}

static double
ping_pong_bare(int64_t span)
{
    return ping_pong(span, 0);
}

static double
ping_pong_work(int64_t span)
{
    return ping_pong(span, WORK);
}

/* --- Barrier: a count of who is missing, and a generation. */

static struct {
    struct gate generation;
    _Alignas(128) _Atomic uint32_t missing;
    pthread_barrier_t peer;
    uint32_t parties;
    _Atomic int64_t last; /* the barrier after which all leave; 0 = not yet */
} barrier;

static void
barrier_wait(void)
{
    if (way == PTHREAD) {
        pthread_barrier_wait(&barrier.peer);
        return;
    }
    struct wait_word *word = &barrier.generation.word;
    const uint32_t generation = atomic_load(&word->value);

    if (atomic_fetch_sub(&barrier.missing, 1) > 1) {
        wait_for(word, generation);
        return;
    }
    atomic_store(&barrier.missing, barrier.parties);
    wait_post(word, generation + 1, INT_MAX);
}

static void *
arrive(void *unused)
{
    int64_t passed = 0;

    (void)unused;
    do
        barrier_wait();
    while (++passed != atomic_load(&barrier.last));
    return leave();
}

static double
barrier_of(uint32_t parties, int64_t span)
{
    pthread_t threads[THREADS];
    struct bench_run run = bench_run(span);
    int64_t passed = 0;

    gate_reset(&barrier.generation);
    barrier.parties = parties;
    atomic_store(&barrier.missing, parties);
    pthread_barrier_init(&barrier.peer, NULL, parties);
    atomic_store(&barrier.last, 0);
    for (uint32_t i = 1; i < parties; i++)
        pthread_create(&threads[i], NULL, arrive, NULL);
    for (; bench_goes_on(&run); passed += BATCH)
        for (int k = 0; k < BATCH; k++)
            barrier_wait();
    atomic_store(&barrier.last, passed + 1);
    barrier_wait();
    for (uint32_t i = 1; i < parties; i++)
        pthread_join(threads[i], NULL);
    pthread_barrier_destroy(&barrier.peer);
    return bench_cost(&run, BATCH);
}

static double
barrier_of_2(int64_t span)
{
    return barrier_of(2, span);
}

static double
barrier_of_8(int64_t span)
{
    return barrier_of(8, span);
}

/* --- Thread start: an idle worker takes a job; the starter waits for the job,
 * whose word is new each time and so remembers nothing. */

static struct wait_word jobs[JOBS];

static void *
serve(void *unused)
{
    (void)unused;
    for (uint32_t i = 1;; i++) {
        gate_wait(&ping, i - 1);
        if (atomic_load(&finished))
            return leave();
        wait_post(&jobs[i % JOBS], 1, 1);
    }
}

static void *
do_nothing(void *arg)
{
    return arg;
}

static void
start_and_join(uint32_t i)
{
    struct wait_word *job = &jobs[i % JOBS];
    pthread_t thread;

    if (way == PTHREAD) {
        pthread_create(&thread, NULL, do_nothing, NULL);
        pthread_join(thread, NULL);
        return;
    }
    /* The worker has left this one: it is JOBS jobs old. */
    *job = (struct wait_word){0};
    gate_post(&ping, i);
    wait_for(job, 0);
}

static double
start_hot(int64_t span)
{
    struct bench_run run = bench_run(span);
    pthread_t thread;
    uint32_t i = 1;

    gate_reset(&ping);
    atomic_store(&finished, false);
    pthread_create(&thread, NULL, serve, NULL);
    while (bench_goes_on(&run))
        for (int k = 0; k < BATCH; k++)
            start_and_join(i++);
    end_game(thread, i);
    return bench_cost(&run, BATCH);
}

static void
rest(int64_t span)
{
    if (way == PTHREAD)
        bench_sleep(span);
    else
        (void)wait_sleep(os_now() + span);
}

static double
start_apart(int64_t span)
{
    const int64_t end = os_now() + span;
    int64_t spent = 0;
    pthread_t thread;
    uint32_t i = 1;

    gate_reset(&ping);
    atomic_store(&finished, false);
    pthread_create(&thread, NULL, serve, NULL);
    do {
        rest(APART);
        const int64_t before = os_now();

        start_and_join(i++);
        spent += os_now() - before;
    } while (os_now() < end);
    end_game(thread, i);
    return (double)spent / (i - 1);
}

/* --- Ring: a token goes round; one hop is counted. */

static struct gate ring[THREADS];
static size_t ring_size;

static void *
hand_on(void *own)
{
    struct gate *mine = own;
    struct gate *next = &ring[(size_t)(mine - ring + 1) % ring_size];

    for (uint32_t i = 1;; i++) {
        gate_wait(mine, i - 1);
        const bool last = atomic_load(&finished);

        gate_post(next, i);
        if (last)
            return leave();
    }
}

static void
go_round(uint32_t lap)
{
    gate_post(&ring[1], lap);
    gate_wait(&ring[0], lap - 1);
}

static double
ring_of(size_t size, int64_t span)
{
    pthread_t threads[THREADS];
    struct bench_run run = bench_run(span);
    uint32_t lap = 1;

    ring_size = size;
    atomic_store(&finished, false);
    for (size_t i = 0; i < size; i++)
        gate_reset(&ring[i]);
    for (size_t i = 1; i < size; i++)
        pthread_create(&threads[i], NULL, hand_on, &ring[i]);
    while (bench_goes_on(&run))
        for (int k = 0; k < BATCH; k++)
            go_round(lap++);
    atomic_store(&finished, true);
    go_round(lap);
    for (size_t i = 1; i < size; i++)
        pthread_join(threads[i], NULL);
    return bench_cost(&run, BATCH * (int64_t)size);
}

static double
ring_of_3(int64_t span)
{
    return ring_of(3, span);
}

static double
ring_of_8(int64_t span)
{
    return ring_of(8, span);
}

/* --- The table of shapes */

static const struct shape {
    const char *name;
    double (*run)(int64_t span);
    unsigned threads;
} shapes[] = {
    {"ping-pong", ping_pong_bare, 2},
    {"ping-pong, 20 us work", ping_pong_work, 2},
    {"barrier of 2", barrier_of_2, 2},
    {"barrier of 8", barrier_of_8, 8},
    {"thread start", start_hot, 2},
    {"thread start, 1 ms apart", start_apart, 2},
    {"ring of 3", ring_of_3, 3},
    {"ring of 8", ring_of_8, 8},
};

enum {
    SHAPES = sizeof shapes / sizeof shapes[0]
};

struct how {
    const struct shape *shape;
    enum way way;
};

static double
run_shape(const void *arg, int64_t span)
{
    const struct how *how = arg;

    go_this_way(how->way);
    const double cost = how->shape->run(span);

    go_this_way(POLICY);
    return cost;
}

static void
compare_ways(const struct shape *shape, const char *where, int hogs, int pin)
{
    const struct bench_group group = {
        .title = shape->name, .hogs = hogs, .pin = pin};
    const struct how how[] = {
        {shape, POLICY}, {shape, PARKING}, {shape, PTHREAD}};
    struct bench_entry entries[] = {bench_entry("policy", run_shape, &how[0]),
                                    bench_entry("parking", run_shape, &how[1]),
                                    bench_entry("pthread", run_shape, &how[2])};
    const bool crowded = hogs == 1 || shape->threads > 2 * bench_cpus();
    char name[96];

    if (!bench_measure(&group, entries, 3))
        return;
    snprintf(name, sizeof name, "%s%s / parking", shape->name, where);
    bench_ratio(name, &entries[0], &entries[1],
                (struct bench_promise){1.6, 1.3});
    snprintf(name, sizeof name, "%s%s / pthread", shape->name, where);
    bench_ratio(name, &entries[0], &entries[2],
                (struct bench_promise){crowded ? 1.2 : 0, 0});
}

static void
compare_all(const char *where, int hogs, int pin)
{
    for (int i = 0; i < SHAPES; i++)
        compare_ways(&shapes[i], where, hogs, pin);
}

/* What a container with one CPU gives. */
static void
compare_on_one_cpu(void)
{
    compare_all(", one CPU", 0, 1);
}

int
main(void)
{
    bench_open("wait");
    bench_in_child(compare_on_one_cpu);
    compare_all(", quiet", 0, 0);
    compare_all(", 1 busy loop", 1, 0);
    compare_all(", 2 busy loops", 2, 0);
    return bench_close();
}
