/* Starting and joining processes from parents of several sizes, and noticing
 * that one has died. */
#include "harness.h"

#include <weft/weft.h>

#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

enum {
    MIB = 1 << 20,
    PAGE = 4096,
    LOOK = 20000,     /* ns */
    KILLS = 200,      /* of small workers */
    LARGE_KILLS = 100 /* of those that hold a GiB */
};

extern char **environ;

/* --- The ways to run an empty process to its end */

static int
do_nothing(weft_call *call)
{
    (void)call;
    return 0;
}

static bool
once_weft(void)
{
    weft_job *job;

    if (weft_start(&job, WEFT_PROCESS,
                   &(weft_task){.fn = do_nothing, .name = "bench"}) < 0)
        return false;
    const int status = weft_join(job, WEFT_FOREVER);

    weft_release(job);
    return status == 0;
}

static bool
reap(pid_t child)
{
    return child > 0 && waitpid(child, NULL, 0) == child;
}

static bool
once_fork(void)
{
    const pid_t child = fork();

    if (child == 0)
        _exit(0);
    return reap(child);
}

static bool
once_vfork(void)
{
    const pid_t child = vfork();

    if (child == 0)
        _exit(0);
    return reap(child);
}

static bool
once_spawn(void)
{
    static char name[] = "true";
    char *const arguments[] = {name, NULL};
    pid_t child;

    return posix_spawn(&child, "/bin/true", NULL, NULL, arguments, environ) ==
               0 &&
           reap(child);
}

struct way {
    const char *name;
    bool (*once)(void);
};

static double
run_way(const void *arg, int64_t span)
{
    const struct way *way = arg;
    struct bench_run run = bench_run(span);

    while (bench_goes_on(&run))
        if (!way->once())
            return -1;
    return bench_cost(&run, 1);
}

static const struct way weft = {"weft", once_weft};
static const struct way peers[] = {
    {"fork", once_fork},
    {"vfork", once_vfork},
    {"posix_spawn", once_spawn},
};

enum {
    PEERS = sizeof peers / sizeof peers[0]
};

#define PYTHON(method, count)                             \
    "python3 -c 'import multiprocessing as m,os,time\n"   \
    "c=m.get_context(\"" method "\")\n"                   \
    "def once():\n"                                       \
    " p=c.Process(target=os.getpid);p.start();p.join()\n" \
    "once();once()\n"                                     \
    "t=time.perf_counter_ns()\n"                          \
    "for i in range(" count "): once()\n"                 \
    "print((time.perf_counter_ns()-t)/" count ")' 2>/dev/null"

static const char python_fork[] = PYTHON("fork", "60");
static const char python_forkserver[] = PYTHON("forkserver", "12");

/* --- Parents of several sizes */

static void
compare_small(double *median)
{
    const struct bench_group group = {.title = "process start + join, 1 MiB"};
    const struct bench_promise promises[PEERS + 2] = {
        {1.5, 1.2}, {0, 0}, {0, 0}, {0.1, 0}, {0.02, 0}};
    struct bench_entry entries[PEERS + 3];
    int count = 0;
    char name[96];

    entries[count++] = bench_entry("weft", run_way, &weft);
    for (int i = 0; i < PEERS; i++)
        entries[count++] = bench_entry(peers[i].name, run_way, &peers[i]);
    entries[count++] = bench_entry("Python fork", bench_command, python_fork);
    entries[count++] =
        bench_entry("Python forkserver", bench_command, python_forkserver);
    if (!bench_measure(&group, entries, count))
        return;
    if (entries[0].rounds == 0)
        bench_note("%s: %s", group.title, weft_why());
    for (int i = 1; i < count; i++) {
        snprintf(name, sizeof name, "%s / %s", group.title, entries[i].name);
        bench_ratio(name, &entries[0], &entries[i], promises[i - 1]);
    }
    *median = entries[0].median;
}

static void
compare_large(size_t mib, struct bench_promise promise, double small)
{
    char title[64], name[96];
    const struct bench_group group = {.title = title};
    struct bench_entry entries[] = {bench_entry("weft", run_way, &weft),
                                    bench_entry("fork", run_way, &peers[0])};
    const struct bench_entry first = {.name = "1 MiB",
                                      .median = small,
                                      .least = small,
                                      .most = small,
                                      .rounds = small > 0};

    snprintf(title, sizeof title, "process start + join, %zu GiB", mib / 1024);
    char *memory = bench_grow(mib);

    if (memory && bench_measure(&group, entries, 2)) {
        snprintf(name, sizeof name, "%s / fork", title);
        bench_ratio(name, &entries[0], &entries[1], promise);
        snprintf(name, sizeof name, "%s / itself at 1 MiB", title);
        bench_ratio(name, &entries[0], &first, (struct bench_promise){1.3, 0});
    }
    bench_shrink(memory, mib);
}

/* --- Death noticed: from kill until weft_worker_of says so, by the
 * certificate, and until weft_join returns, which waits for the exact outcome
 */

static _Atomic pid_t *ready; /* shared: the worker's pid, once it is ready */

static int
hold_and_wait(weft_call *call)
{
    const size_t size = *(const size_t *)call->arg * MIB;
    char *memory = size ? malloc(size) : NULL;

    for (size_t at = 0; memory && at < size; at += PAGE)
        memory[at] = 1;
    *ready = getpid();
    while (pause() < 0)
        continue;
    return 0;
}

/* What is waited for after the kill. It sleeps between two looks: a loop that
 * does not would keep the CPU that the worker needs to die. */
static void
until_seen(weft_job *job)
{
    weft_worker worker;

    while (weft_worker_of(job, &worker), worker.state != WEFT_ENDED)
        bench_sleep(LOOK);
}

static void
until_joined(weft_job *job)
{
    weft_must(weft_join(job, WEFT_FOREVER), "join");
}

/* ns, or < 0. */
static double
notice_once(size_t mib, void (*wait)(weft_job *job))
{
    weft_job *job;

    *ready = 0;
    if (weft_start(&job, WEFT_PROCESS,
                   &(weft_task){.fn = hold_and_wait,
                                .name = "victim",
                                WEFT_ARG(mib)}) < 0)
        return -1;
    while (*ready == 0 && weft_is_alive(job))
        bench_sleep(BENCH_MS / 5);
    bench_sleep(BENCH_MS); /* until it sleeps */
    const int64_t before = bench_now();

    kill(*ready, SIGKILL);
    wait(job);
    const double span = (double)(bench_now() - before);

    until_joined(job);
    const weft_outcome *outcome = weft_outcome_of(job);
    const bool right = outcome && outcome->signal == SIGKILL;

    weft_release(job);
    return right ? span : -1;
}

static void
notice(const char *what, size_t mib, int kills, void (*wait)(weft_job *job),
       double promise)
{
    static double samples[KILLS];
    const struct bench_group group = {.title = what};
    struct bench_entry entry = bench_entry(what, NULL, NULL);
    char name[96];
    int count = 0;

    if (!bench_measure(&group, NULL, 0))
        return;
    if (mib > 0 && !bench_has_memory(mib)) {
        bench_note("%s: left out, too little memory", what);
        return;
    }
    for (int i = 0; i < kills; i++) {
        const double span = notice_once(mib, wait);

        if (span >= 0)
            samples[count++] = span;
    }
    bench_count(what, count, kills);
    if (count == 0)
        return;
    snprintf(name, sizeof name, "%s, p50", what);
    bench_summarise(&entry, samples, count, 0.5);
    bench_limit(name, &entry, 0);
    snprintf(name, sizeof name, "%s, p99", what);
    bench_summarise(&entry, samples, count, 0.99);
    bench_limit(name, &entry, promise);
}

int
main(void)
{
    const weft_options options = {.quiet = true};
    double small = 0;

    bench_open("processes");
    ready = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS,
                 -1, 0);
    weft_must(weft_init(&options), "init");
    compare_small(&small);
    compare_large(1024, (struct bench_promise){1.0 / 100, 1.0 / 350}, small);
    compare_large(8192, (struct bench_promise){1.0 / 1000, 1.0 / 2500}, small);
    const int kills = bench_is_quick() ? 20 : KILLS;
    const int large = bench_is_quick() ? 2 : LARGE_KILLS;

    notice("death noticed, small worker", 0, kills, until_seen, BENCH_MS);
    notice("death noticed, worker of 1 GiB", 1024, large, until_seen, BENCH_MS);
    notice("killed until joined, small worker", 0, kills, until_joined, 0);
    notice("killed until joined, worker of 1 GiB", 1024, large, until_joined,
           0);
    return bench_close();
}
