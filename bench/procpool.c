/* Calls of functions in a pool of processes, beside a pool over pipes, as a C
 * program without weft would have one, and Python's ProcessPoolExecutor. */
#include "harness.h"

#include <weft/weft.h>

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

enum {
    WINDOW = 64, /* calls that are under way */
    WORKERS_MOST = 8,
    PAGE = 4096,
    MIB = 1 << 20
};

static size_t arg_size;
static uint64_t *arg; /* arg_size bytes */
static int worker_count;

/* What is called: looks at each page of its argument. */
static uint64_t
work(const void *bytes, size_t size)
{
    const char *at = bytes;
    uint64_t sum = 0;

    for (size_t i = 0; i < size; i += PAGE)
        sum += (unsigned char)at[i];
    return sum;
}

/* A pool of `worker_count` workers, of which the calls are answered in any
 * order. Opened anew for each group, so that idle ones of another kind or size
 * do not count. */
struct way {
    const char *name;
    bool (*open)(void);
    void (*begin)(int slot); /* a call, of WINDOW at most */
    int (*finish)(void);     /* one that has begun: its slot */
    void (*close)(void);
};

/* --- weft */

static weft_pool *pool;
static weft_job *jobs[WINDOW];
static int oldest;

static int
call_work(weft_call *call)
{
    *(uint64_t *)call->result = work(call->arg, call->arg_size);
    return 0;
}

static bool
weft_open(void)
{
    oldest = 0;
    return weft_pool_open(
               &pool, WEFT_PROCESS,
               &(weft_pool_options){.workers = (unsigned)worker_count}) == 0;
}

static void
weft_begin(int slot)
{
    weft_must(weft_submit(&jobs[slot], pool,
                          &(weft_task){.fn = call_work,
                                       .name = "call",
                                       .arg = arg,
                                       .arg_size = arg_size,
                                       .result_size = sizeof(uint64_t)}),
              "submit");
}

/* In the order of their beginning, which is that of the slots. */
static int
weft_finish(void)
{
    const int slot = oldest;
    uint64_t result;

    weft_must(weft_result(jobs[slot], &result, sizeof result, WEFT_FOREVER),
              "result");
    weft_release(jobs[slot]);
    oldest = (oldest + 1) % WINDOW;
    return slot;
}

static void
weft_close(void)
{
    weft_pool_close(pool, WEFT_FOREVER);
}

/* --- pipes: a pair a worker, and poll */

struct header {
    uint64_t slot, size;
};

struct answer {
    uint64_t slot, result;
};

static struct worker {
    pid_t pid;
    int to, from, calls; /* that it has */
} workers[WORKERS_MOST];

static bool
read_all(int fd, void *to, size_t size)
{
    for (char *at = to; size > 0;) {
        const ssize_t got = read(fd, at, size);

        if (got <= 0)
            return false;
        at += got;
        size -= (size_t)got;
    }
    return true;
}

static void
write_all(int fd, const void *from, size_t size)
{
    for (const char *at = from; size > 0;) {
        const ssize_t put = write(fd, at, size);

        if (put < 0)
            exit(1);
        at += put;
        size -= (size_t)put;
    }
}

static _Noreturn void
serve(int from, int to)
{
    char *bytes = malloc(16 * (size_t)MIB);
    struct header header;

    while (read_all(from, &header, sizeof header) &&
           read_all(from, bytes, header.size)) {
        const struct answer answer = {header.slot, work(bytes, header.size)};

        write_all(to, &answer, sizeof answer);
    }
    _exit(0);
}

static bool
pipes_open(void)
{
    for (int i = 0; i < worker_count; i++) {
        int there[2], back[2];

        if (pipe2(there, O_CLOEXEC) < 0 || pipe2(back, O_CLOEXEC) < 0)
            return false;
        (void)fcntl(there[1], F_SETPIPE_SZ, MIB);
        const pid_t pid = fork();

        if (pid < 0)
            return false;
        if (pid == 0) {
            close(there[1]);
            close(back[0]);
            for (int k = 0; k < i; k++)
                close(workers[k].to);
            serve(there[0], back[1]);
        }
        close(there[0]);
        close(back[1]);
        workers[i] = (struct worker){pid, there[1], back[0], 0};
    }
    return true;
}

/* By the worker that has the least. */
static void
pipes_begin(int slot)
{
    struct worker *worker = &workers[0];
    char both[sizeof(struct header) + 16];
    const struct header header = {(uint64_t)slot, arg_size};

    for (int i = 1; i < worker_count; i++)
        if (workers[i].calls < worker->calls)
            worker = &workers[i];
    worker->calls++;
    if (arg_size > 16) {
        write_all(worker->to, &header, sizeof header);
        write_all(worker->to, arg, arg_size);
        return;
    }
    memcpy(both, &header, sizeof header); /* one call of the system */
    memcpy(both + sizeof header, arg, arg_size);
    write_all(worker->to, both, sizeof header + arg_size);
}

static int
pipes_finish(void)
{
    struct pollfd fds[WORKERS_MOST];
    struct answer answer;
    static int next;

    for (int i = 0; i < worker_count; i++)
        fds[i] = (struct pollfd){workers[i].from, POLLIN, 0};
    while (poll(fds, (nfds_t)worker_count, -1) < 0 && errno == EINTR)
        continue;
    for (int i = 0; i < worker_count; i++) {
        const int at = (next + i) % worker_count;

        if (!fds[at].revents)
            continue;
        if (!read_all(fds[at].fd, &answer, sizeof answer))
            exit(1);
        workers[at].calls--;
        next = at + 1;
        return (int)answer.slot;
    }
    exit(1);
}

static void
pipes_close(void)
{
    for (int i = 0; i < worker_count; i++) {
        close(workers[i].to);
        close(workers[i].from);
        waitpid(workers[i].pid, NULL, 0);
    }
}

static const struct way ways[] = {
    {"weft", weft_open, weft_begin, weft_finish, weft_close},
    {"C pool over pipes", pipes_open, pipes_begin, pipes_finish, pipes_close},
};

/* --- Python */

#define PYTHON(workers, work, count)                       \
    "python3 -c 'import concurrent.futures as f,os,time\n" \
    "def one(x): return 1\n"                               \
    "with f.ProcessPoolExecutor(" workers ") as e:\n"      \
    " list(e.map(one,range(64)))\n"                        \
    " t=time.perf_counter_ns()\n"                          \
    " " work "\n"                                          \
    " print((time.perf_counter_ns()-t)/" count ")' 2>/dev/null"

static const char python_call[] =
    PYTHON("1", "for i in range(500): e.submit(one,i).result()", "500");
static const char python_map_1[] =
    PYTHON("1", "list(e.map(one,range(2000),chunksize=1))", "2000");
static const char python_map_2[] =
    PYTHON("2", "list(e.map(one,range(2000),chunksize=1))", "2000");

/* --- measuring */

static double
measure_calls(const void *context, int64_t span)
{
    const struct way *way = context;

    if (!way->open())
        return -1;
    struct bench_run run = bench_run(span);

    for (int slot = 0; bench_goes_on(&run); slot = (slot + 1) % WINDOW) {
        way->begin(slot);
        (void)way->finish();
    }
    way->close();
    return bench_cost(&run, 1);
}

static double
measure_window(const void *context, int64_t span)
{
    const struct way *way = context;

    if (!way->open())
        return -1;
    for (int slot = 0; slot < WINDOW; slot++)
        way->begin(slot);
    struct bench_run run = bench_run(span);

    while (bench_goes_on(&run))
        for (int i = 0; i < WINDOW; i++)
            way->begin(way->finish());
    for (int i = 0; i < WINDOW; i++)
        (void)way->finish();
    way->close();
    return bench_cost(&run, WINDOW);
}

static void
prepare(int count, size_t size)
{
    worker_count = count;
    arg_size = size;
}

/* A row with pipes and, unless NULL, with Python. */
struct row {
    const char *name;
    bench_fn *fn;
    int workers;
    size_t size;
    int hogs;
    const char *python;
    struct bench_promise pipes_promise, python_promise;
};

static const struct row rows[] = {
    {"call 16 B -> 8 B",
     measure_calls,
     1,
     16,
     0,
     python_call,
     {0.1, 0.04},
     {1.0 / 300, 0}},
    {"window 64, 1 worker",
     measure_window,
     1,
     16,
     0,
     python_map_1,
     {0.15, 0},
     {1.0 / 200, 1.0 / 500}},
    {"window 64, 2 workers",
     measure_window,
     2,
     16,
     0,
     python_map_2,
     {0.35, 0},
     {1.0 / 200, 1.0 / 500}},
    {"call 1 MiB -> 8 B", measure_calls, 1, MIB, 0, NULL, {0.5, 0}, {0, 0}},
    {"call, beside a busy loop",
     measure_calls,
     1,
     16,
     1,
     NULL,
     {1.2, 0},
     {0, 0}},
    {"window 64, 2 workers, beside a busy loop",
     measure_window,
     2,
     16,
     1,
     NULL,
     {1.2, 0},
     {0, 0}},
    {"window 64, 8 workers", measure_window, 8, 16, 0, NULL, {1.2, 0}, {0, 0}},
};

static void
compare(const struct row *row)
{
    struct bench_entry entries[] = {
        bench_entry(ways[0].name, row->fn, &ways[0]),
        bench_entry(ways[1].name, row->fn, &ways[1]),
        bench_entry("Python ProcessPoolExecutor", bench_command, row->python),
    };
    const struct bench_group group = {
        .title = row->name, .span = 160 * BENCH_MS, .hogs = row->hogs};
    char name[128];

    prepare(row->workers, row->size);
    if (!bench_measure(&group, entries, row->python ? 3 : 2))
        return;
    if (entries[0].rounds == 0)
        bench_note("%s: %s", group.title, weft_why());
    snprintf(name, sizeof name, "process pool, %s / %s", row->name,
             entries[1].name);
    bench_ratio(name, &entries[0], &entries[1], row->pipes_promise);
    if (!row->python)
        return;
    snprintf(name, sizeof name, "process pool, %s / %s", row->name,
             entries[2].name);
    bench_ratio(name, &entries[0], &entries[2], row->python_promise);
}

/* --- growth */

enum {
    POINTS = 6
};

/* One cost of both; whether both were measured. */
static bool
measure_point(const char *title, bench_fn *fn, double *ours, double *peer)
{
    struct bench_entry entries[] = {bench_entry(ways[0].name, fn, &ways[0]),
                                    bench_entry(ways[1].name, fn, &ways[1])};

    if (!bench_measure(&(struct bench_group){.title = title}, entries, 2) ||
        entries[0].rounds == 0 || entries[1].rounds == 0)
        return false;
    *ours = entries[0].median;
    *peer = entries[1].median;
    bench_note("%s: %.0f ns, %s %.0f ns", title, *ours, ways[1].name, *peer);
    return true;
}

static void
grow_size(void)
{
    static const size_t sizes[POINTS] = {16,      4096,    65536,
                                         1 << 18, 1 << 20, 8 << 20};
    double at[POINTS], ours[POINTS], peer[POINTS];
    int count = 0;
    char title[64];

    for (int i = 0; i < POINTS; i++) {
        snprintf(title, sizeof title, "call of %zu B", sizes[i]);
        prepare(1, sizes[i]);
        at[count] = (double)sizes[i] / 1024;
        count +=
            measure_point(title, measure_calls, &ours[count], &peer[count]);
    }
    if (count > 1)
        bench_slope(&(struct bench_points){"process pool, a call", "KiB", count,
                                           at, ours, peer});
}

static void
grow_workers(void)
{
    static const int counts[POINTS] = {1, 2, 3, 4, 6, 8};
    double at[POINTS], ours[POINTS], peer[POINTS];
    int count = 0;
    char title[64];

    for (int i = 0; i < POINTS; i++) {
        snprintf(title, sizeof title, "window 64, %d workers", counts[i]);
        prepare(counts[i], 16);
        at[count] = counts[i];
        count +=
            measure_point(title, measure_window, &ours[count], &peer[count]);
    }
    if (count > 1)
        bench_slope(&(struct bench_points){"process pool, window 64", "worker",
                                           count, at, ours, peer});
}

int
main(void)
{
    const weft_options options = {.quiet = true};

    bench_open("process pool");
    arg = calloc(16, MIB);
    if (!arg)
        return 1;
    memset(arg, 1, 16 * (size_t)MIB);
    weft_must(weft_init(&options), "init");
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
        compare(&rows[i]);
    grow_size();
    grow_workers();
    free(arg);
    return bench_close();
}
