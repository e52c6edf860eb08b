/* What things cost as they become many or large: points, and a slope fitted to
 * them by least squares. Points are medians of a few rounds. */
#include "harness.h"

#include <weft/weft.h>

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

enum {
    MOST = 10000,
    POINTS = 6,
    LEAST = 10, /* starts that a point is the mean of */
    LISTS = 5,
    STARTS = 40
};

static const int marks[POINTS] = {10, 100, 1000, 2500, 5000, MOST};
static const double marks_at[POINTS] = {10, 100, 1000, 2500, 5000, MOST};

/* Of each point, what each round found. */
typedef double table[POINTS][BENCH_ROUNDS];

static void
medians(table samples, int count, double out[POINTS])
{
    struct bench_entry entry;

    for (int i = 0; i < count; i++) {
        bench_summarise(&entry, samples[i], bench_rounds(), 0.5);
        out[i] = entry.median;
    }
}

/* --- Threads, alive together: ours wait for one job, which waits for the mutex
 * that their peers wait for. */

static pthread_mutex_t held = PTHREAD_MUTEX_INITIALIZER;
static weft_job *end;
static weft_job *jobs[MOST];
static weft_worker *workers;

static int
wait_for_mutex(weft_call *call)
{
    (void)call;
    pthread_mutex_lock(&held);
    pthread_mutex_unlock(&held);
    return 0;
}

static int
wait_for_end(weft_call *call)
{
    (void)call;
    return weft_join(end, WEFT_FOREVER);
}

static bool
start_one(int i)
{
    return weft_start(&jobs[i], WEFT_THREAD,
                      &(weft_task){.fn = wait_for_end, .name = "waits"}) >= 0;
}

static pthread_t threads[MOST];

static void *
peer_waits(void *arg)
{
    pthread_mutex_lock(&held);
    pthread_mutex_unlock(&held);
    return arg;
}

static bool
start_peer(int i)
{
    return pthread_create(&threads[i], NULL, peer_waits, NULL) == 0;
}

/* How many starts before a mark are its point. */
static int
window_of(int mark)
{
    return mark / 10 > LEAST ? mark / 10 : LEAST;
}

/* Starts MOST threads and returns how many it could. */
static int
ramp(bool (*start)(int), table samples, int round, void (*at_mark)(int, int))
{
    int64_t spent = 0;
    int point = 0;

    for (int i = 0; i < MOST; i++) {
        const int window = window_of(marks[point]);
        const int64_t before = bench_now();

        if (!start(i))
            return i;
        if (i >= marks[point] - window)
            spent += bench_now() - before;
        if (i + 1 < marks[point])
            continue;
        samples[point][round] = (double)spent / window;
        spent = 0;
        if (at_mark)
            at_mark(point, round);
        point++;
    }
    return MOST;
}

static table lists;

static void
list_all(int point, int round)
{
    double samples[LISTS];
    struct bench_entry entry;

    for (int i = 0; i < LISTS; i++) {
        const int64_t before = bench_now();

        (void)weft_list(WEFT_THREADS, workers, MOST + 1);
        samples[i] = (double)(bench_now() - before);
    }
    bench_summarise(&entry, samples, LISTS, 0.5);
    lists[point][round] = entry.median;
}

static int
grow_ours(table samples, int round)
{
    pthread_mutex_lock(&held);
    weft_must(weft_start(&end, WEFT_THREAD,
                         &(weft_task){.fn = wait_for_mutex, .name = "end"}),
              "start");
    const int count = ramp(start_one, samples, round, list_all);

    if (count < MOST)
        bench_note("thread no. %d: %s", count + 1, weft_why());
    pthread_mutex_unlock(&held);
    for (int i = 0; i < count; i++) {
        weft_join(jobs[i], WEFT_FOREVER);
        weft_release(jobs[i]);
    }
    weft_release(end);
    return count;
}

static int
grow_peer(table samples, int round)
{
    pthread_mutex_lock(&held);
    const int count = ramp(start_peer, samples, round, NULL);

    pthread_mutex_unlock(&held);
    for (int i = 0; i < count; i++)
        pthread_join(threads[i], NULL);
    return count;
}

/* How many of the marks were reached by all. */
static int
points_of(int alive)
{
    int points = 0;

    while (points < POINTS && marks[points] <= alive)
        points++;
    return points;
}

static void
grow_threads(void)
{
    static table ours, peer;
    double our_medians[POINTS], peer_medians[POINTS], list_medians[POINTS];
    int alive = MOST;

    workers = calloc(MOST + 1, sizeof *workers);
    for (int round = 0; workers && round < bench_rounds(); round++) {
        (void)bench_wait_for_quiet();
        const int mine = grow_ours(ours, round);
        const int theirs = grow_peer(peer, round);

        alive = mine < alive ? mine : alive;
        alive = theirs < alive ? theirs : alive;
    }
    free(workers);
    const int count = points_of(alive);

    bench_count("threads alive at once", alive, MOST);
    medians(ours, count, our_medians);
    medians(peer, count, peer_medians);
    medians(lists, count, list_medians);
    bench_slope(&(struct bench_points){.name = "thread start (peer: pthread)",
                                       .per = "thread alive",
                                       .count = count,
                                       .at = marks_at,
                                       .ours = our_medians,
                                       .peer = peer_medians});
    bench_slope(&(struct bench_points){.name = "weft_list",
                                       .per = "worker",
                                       .count = count,
                                       .at = marks_at,
                                       .ours = list_medians});
}

/* --- Processes, over the size of their parent */

enum {
    SIZES = 5
};

static const size_t sizes[SIZES] = {0, 64, 256, 1024, 4096}; /* MiB more */
static const double sizes_at[SIZES] = {1, 65, 257, 1025, 4097};

static int
do_nothing(weft_call *call)
{
    (void)call;
    return 0;
}

static bool
run_ours(void)
{
    weft_job *job;

    if (weft_start(&job, WEFT_PROCESS,
                   &(weft_task){.fn = do_nothing, .name = "bench"}) < 0)
        return false;
    weft_join(job, WEFT_FOREVER);
    weft_release(job);
    return true;
}

static bool
run_peer(void)
{
    const pid_t child = fork();

    if (child == 0)
        _exit(0);
    return child > 0 && waitpid(child, NULL, 0) == child;
}

static double
median_of(bool (*run)(void), int count)
{
    double samples[STARTS];
    struct bench_entry entry;

    for (int i = 0; i < count; i++) {
        const int64_t before = bench_now();

        if (!run())
            return -1;
        samples[i] = (double)(bench_now() - before);
    }
    bench_summarise(&entry, samples, count, 0.5);
    return entry.median;
}

static void
grow_parent(void)
{
    double ours[SIZES], peer[SIZES];
    int count = 0;

    for (; count < SIZES; count++) {
        char *memory = sizes[count] ? bench_grow(sizes[count]) : NULL;

        if (sizes[count] && !memory)
            break;
        (void)bench_wait_for_quiet();
        ours[count] = median_of(run_ours, STARTS);
        peer[count] = median_of(run_peer, sizes[count] > 256 ? 8 : STARTS);
        bench_shrink(memory, sizes[count]);
        if (ours[count] < 0) {
            bench_note("process start: %s", weft_why());
            return;
        }
    }
    bench_slope(&(struct bench_points){.name = "process start (peer: fork)",
                                       .per = "MiB of parent",
                                       .count = count,
                                       .at = sizes_at,
                                       .ours = ours,
                                       .peer = peer});
}

int
main(void)
{
    const weft_options options = {.quiet = true};

    bench_open("growth");
    weft_must(weft_init(&options), "init");
    grow_parent();
    grow_threads();
    return bench_close();
}
