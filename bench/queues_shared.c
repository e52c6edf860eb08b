/* A queue between processes: the caller puts and a worker gets, and four of
 * each beside a caller who only watches. One operation is one item through the
 * queue. The peers' workers are forks, ours are ours. */
#include "harness.h"
#include "ways.h"

#include <weft/weft.h>

#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

enum {
    SIDE_MOST = 4,
    BATCH = 64,
    END = 0 /* an item that ends a consumer */
};

static struct {
    _Atomic int64_t eaten;
    _Atomic int finished; /* producers leave */
} * common;               /* shared */

/* --- workers */

enum part {
    PRODUCER,
    CONSUMER
};

struct role {
    const struct way *way;
    void *queue;
    enum part part;
};

static void
play(const struct role *role)
{
    int64_t eaten = 0;

    if (role->part == PRODUCER) {
        while (!common->finished)
            for (uint64_t i = 1; i <= BATCH; i++)
                role->way->put(role->queue, i);
        return;
    }
    while (role->way->get(role->queue) != END)
        if (++eaten % BATCH == 0)
            common->eaten += BATCH;
}

static int
play_ours(weft_call *call)
{
    play(call->arg);
    return 0;
}

struct worker {
    weft_job *job; /* ours */
    pid_t child;   /* or a peer's */
};

static void
start(struct worker *worker, const struct role *role)
{
    *worker = (struct worker){0};
    if (role->way == &ways_between[0])
        weft_must(weft_start(&worker->job, WEFT_PROCESS,
                             &(weft_task){.fn = play_ours, WEFT_ARG(*role)}),
                  "start");
    else if ((worker->child = fork()) == 0) {
        play(role);
        _exit(0);
    }
}

static void
await(const struct worker *worker)
{
    if (worker->child > 0)
        waitpid(worker->child, NULL, 0);
    if (!worker->job)
        return;
    weft_must(weft_join(worker->job, WEFT_FOREVER), "join");
    weft_release(worker->job);
}

/* --- the caller puts */

static double
feed_one(const struct way *way, void *queue, int64_t span)
{
    const struct role role = {way, queue, CONSUMER};
    struct bench_run run = bench_run(span);
    struct worker worker;

    start(&worker, &role);
    while (bench_goes_on(&run))
        for (uint64_t i = 1; i <= BATCH; i++)
            way->put(queue, i);
    way->put(queue, END);
    await(&worker);
    return bench_cost(&run, BATCH);
}

/* --- the caller watches */

/* ns an item, over the second half of the span. */
static double
watch_them(int64_t span)
{
    bench_sleep(span / 2);
    const int64_t begun = bench_now(), before = common->eaten;

    bench_sleep(span / 2);
    const int64_t eaten = common->eaten - before;

    return (double)(bench_now() - begun) / (double)(eaten > 0 ? eaten : 1);
}

static double
feed_many(const struct way *way, void *queue, int sides, int64_t span)
{
    const struct role consumer = {way, queue, CONSUMER};
    const struct role producer = {way, queue, PRODUCER};
    struct worker consumers[SIDE_MOST], producers[SIDE_MOST];

    common->eaten = 0;
    common->finished = 0;
    for (int i = 0; i < sides; i++) {
        start(&consumers[i], &consumer);
        start(&producers[i], &producer);
    }
    const double cost = watch_them(span);

    common->finished = 1;
    for (int i = 0; i < sides; i++)
        await(&producers[i]);
    for (int i = 0; i < sides; i++)
        way->put(queue, END);
    for (int i = 0; i < sides; i++)
        await(&consumers[i]);
    return cost;
}

/* --- the rows */

struct how {
    const struct way *way;
    int sides; /* so many producers, so many consumers */
};

static double
feed(const void *arg, int64_t span)
{
    const struct how *how = arg;
    void *queue = how->way->open();

    if (!queue)
        return -1;
    const double cost = how->sides == 1
                            ? feed_one(how->way, queue, span)
                            : feed_many(how->way, queue, how->sides, span);

    how->way->close(queue);
    return cost;
}

static const char python[] = "python3 -c 'import multiprocessing as m,time\n"
                             "c=m.get_context(\"fork\")\n"
                             "n=20000\n"
                             "q=c.Queue(64)\n"
                             "def eat():\n"
                             " for i in range(n+1): q.get()\n"
                             "p=c.Process(target=eat);p.start();q.put(0)\n"
                             "t=time.perf_counter_ns()\n"
                             "for i in range(n): q.put(i)\n"
                             "p.join()\n"
                             "print((time.perf_counter_ns()-t)/n)' 2>/dev/null";

static const struct row {
    const char *name;
    int sides, hogs;
    bool with_python;
    struct bench_promise promises[WAYS_BETWEEN + 1]; /* by way; the first is not
                                                        used */
} rows[] = {
    {"1P1C", 1, 0, true, {{0, 0}, {0.6, 0.3}, {0.2, 0.1}, {0.01, 0}}},
    {"4P4C", 4, 0, false, {{0, 0}, {1.2, 0}, {1.2, 0}, {0, 0}}},
    {"1P1C, 1 busy loop", 1, 1, false, {{0, 0}, {1.2, 0}, {1.2, 0}, {0, 0}}},
    {"4P4C, 1 busy loop", 4, 1, false, {{0, 0}, {1.2, 0}, {1.2, 0}, {0, 0}}},
};

static void
compare(const struct row *row)
{
    const int count = WAYS_BETWEEN + row->with_python;
    struct bench_entry entries[WAYS_BETWEEN + 1];
    struct how how[WAYS_BETWEEN];
    char name[96];
    const struct bench_group group = {
        .title = name, .span = 160 * BENCH_MS, .hogs = row->hogs};

    snprintf(name, sizeof name, "between processes, %s", row->name);
    for (int i = 0; i < WAYS_BETWEEN; i++) {
        how[i] = (struct how){&ways_between[i], row->sides};
        entries[i] = bench_entry(ways_between[i].name, feed, &how[i]);
    }
    entries[WAYS_BETWEEN] =
        bench_entry("Python multiprocessing.Queue", bench_command, python);
    if (!bench_measure(&group, entries, count))
        return;
    if (entries[0].rounds == 0)
        bench_note("%s: %s", group.title, weft_why());
    for (int i = 1; i < count; i++) {
        snprintf(name, sizeof name, "queue between processes, %s / %s",
                 row->name, entries[i].name);
        bench_ratio(name, &entries[0], &entries[i], row->promises[i]);
    }
}

int
main(void)
{
    const weft_options options = {.quiet = true};

    bench_open("queues between processes");
    common = mmap(NULL, sizeof *common, PROT_READ | PROT_WRITE,
                  MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (common == MAP_FAILED || !ways_open())
        return 1;
    weft_must(weft_init(&options), "init");
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
        compare(&rows[i]);
    return bench_close();
}
