/* Starting and joining threads, against what else starts threads here. */
#include "harness.h"

#include <weft/weft.h>

#include <pthread.h>
#include <stdio.h>

#if BENCH_GLIB
#    include <glib.h>
#endif
#if BENCH_UV
#    include <uv.h>
#endif

enum {
    BATCH = 8,
    MANY = 1000,
    LOOKS = 1000 /* a batch, of what takes nanoseconds */
};

/* --- The ways to start a thread and to join it: start returns a handle, or
 * NULL when it cannot. */

struct starter {
    const char *name;
    void *(*start)(void);
    void (*join)(void *handle);
};

static int
do_nothing(weft_call *call)
{
    (void)call;
    return 0;
}

static void *
start_task(const weft_task *task)
{
    weft_job *job = NULL;

    if (weft_start(&job, WEFT_THREAD, task) < 0)
        return NULL;
    return job;
}

static void *
weft_begin(void)
{
    return start_task(&(weft_task){.fn = do_nothing, .name = "bench"});
}

/* Never a cached thread: what the first start of a program costs. */
static void *
weft_begin_cold(void)
{
    return start_task(
        &(weft_task){.fn = do_nothing,
                     .name = "bench",
                     .worker = &(weft_worker_options){.fresh = true}});
}

static void
weft_end(void *job)
{
    weft_join(job, WEFT_FOREVER);
    weft_release(job);
}

static void *
return_it(void *arg)
{
    return arg;
}

static void *
pthread_begin(void)
{
    pthread_t thread;

    return pthread_create(&thread, NULL, return_it, NULL) == 0 ? (void *)thread
                                                               : NULL;
}

static void
pthread_end(void *thread)
{
    pthread_join((pthread_t)thread, NULL);
}

#if BENCH_GLIB
static void *
glib_begin(void)
{
    return g_thread_new("bench", return_it, NULL);
}

static void
glib_end(void *thread)
{
    g_thread_join(thread);
}
#endif

#if BENCH_UV
static void
ignore(void *arg)
{
    (void)arg;
}

static void *
uv_begin(void)
{
    uv_thread_t thread;

    return uv_thread_create(&thread, ignore, NULL) == 0 ? (void *)thread : NULL;
}

static void
uv_end(void *thread)
{
    uv_thread_t id = (uv_thread_t)thread;

    uv_thread_join(&id);
}
#endif

static const struct starter weft = {"weft", weft_begin, weft_end};
static const struct starter cold = {"weft", weft_begin_cold, weft_end};
static const struct starter peers[] = {
    {"pthread", pthread_begin, pthread_end},
#if BENCH_GLIB
    {"GLib", glib_begin, glib_end},
#endif
#if BENCH_UV
    {"libuv", uv_begin, uv_end},
#endif
};

enum {
    PEERS = sizeof peers / sizeof peers[0]
};

static const char python[] =
    "python3 -c 'import threading,time\n"
    "def once():\n"
    " t=threading.Thread(target=int);t.start();t.join()\n"
    "for i in range(200): once()\n"
    "t=time.perf_counter_ns()\n"
    "for i in range(1000): once()\n"
    "print((time.perf_counter_ns()-t)/1000)' 2>/dev/null";

/* --- What is done with them */

static double
back_to_back(const void *arg, int64_t span)
{
    const struct starter *starter = arg;
    struct bench_run run = bench_run(span);

    while (bench_goes_on(&run))
        for (int i = 0; i < BATCH; i++) {
            void *thread = starter->start();

            if (!thread)
                return -1;
            starter->join(thread);
        }
    return bench_cost(&run, BATCH);
}

static double
apart(const void *arg, int64_t span)
{
    const struct starter *starter = arg;
    const int64_t end = bench_now() + span;
    int64_t spent = 0, count = 0;

    do {
        (void)weft_sleep(weft_in(WEFT_MS));
        const int64_t before = bench_now();
        void *thread = starter->start();

        if (!thread)
            return -1;
        starter->join(thread);
        spent += bench_now() - before;
        count++;
    } while (bench_now() < end);
    return (double)spent / (double)count;
}

/* Per thread, of many started and then joined. */
static double
many(const void *arg, int64_t span)
{
    static void *threads[MANY];
    const struct starter *starter = arg;
    struct bench_run run = bench_run(span);

    while (bench_goes_on(&run)) {
        int count = 0;

        while (count < MANY && (threads[count] = starter->start()))
            count++;
        for (int i = 0; i < count; i++)
            starter->join(threads[i]);
        if (count < MANY)
            return -1;
    }
    return bench_cost(&run, MANY);
}

struct row {
    const char *name;
    bench_fn *fn;
    const struct starter *ours;
    struct bench_promise promise; /* against pthread */
    int hogs;
    bool python;
};

static void
compare_peers(const struct row *row)
{
    const struct bench_group group = {.title = row->name, .hogs = row->hogs};
    struct bench_entry entries[PEERS + 2];
    int count = 0;
    char name[96];

    entries[count++] = bench_entry("weft", row->fn, row->ours);
    for (int i = 0; i < PEERS; i++)
        entries[count++] = bench_entry(peers[i].name, row->fn, &peers[i]);
    if (row->python)
        entries[count++] = bench_entry("Python", bench_command, python);
    if (!bench_measure(&group, entries, count))
        return;
    if (entries[0].rounds == 0)
        bench_note("%s: %s", row->name, weft_why());
    for (int i = 1; i < count; i++) {
        snprintf(name, sizeof name, "%s / %s", row->name, entries[i].name);
        bench_ratio(name, &entries[0], &entries[i],
                    i == 1 ? row->promise : (struct bench_promise){0});
    }
}

static void
compare_starts(void)
{
    static const struct row rows[] = {
        {"thread start + join", back_to_back, &weft, {0.05, 0}, 0, true},
        {"thread start + join, cold", back_to_back, &cold, {1, 0}, 0, false},
        {"thread start + join, 1 ms apart", apart, &weft, {0, 0}, 0, false},
        {"1000 starts, then joins", many, &weft, {0, 0}, 0, false},
        {"thread start, 1 busy loop", back_to_back, &weft, {1.2, 0}, 1, false},
        {"... 1 ms apart, 1 busy loop", apart, &weft, {1.2, 0}, 1, false},
    };

    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
        compare_peers(&rows[i]);
}

/* --- What only looks, and must not enter the kernel */

static weft_job *running;

static double
look_alive(const void *arg, int64_t span)
{
    struct bench_run run = bench_run(span);
    int64_t alive = 0;

    (void)arg;
    while (bench_goes_on(&run))
        for (int i = 0; i < LOOKS; i++)
            alive += weft_is_alive(running);
    return alive > 0 ? bench_cost(&run, LOOKS) : -1;
}

static double
look_at_name(const void *arg, int64_t span)
{
    struct bench_run run = bench_run(span);
    const char *volatile name;

    (void)arg;
    while (bench_goes_on(&run))
        for (int i = 0; i < LOOKS; i++)
            name = weft_name(running);
    return name ? bench_cost(&run, LOOKS) : -1;
}

static double
look_at_self(const void *arg, int64_t span)
{
    struct bench_run run = bench_run(span);
    const weft_worker *volatile self;

    (void)arg;
    while (bench_goes_on(&run))
        for (int i = 0; i < LOOKS; i++)
            self = weft_self();
    return self ? bench_cost(&run, LOOKS) : -1;
}

static double
look_stopping(const void *arg, int64_t span)
{
    struct bench_run run = bench_run(span);
    int64_t stopping = 0;

    (void)arg;
    while (bench_goes_on(&run))
        for (int i = 0; i < LOOKS; i++)
            stopping += weft_stopping();
    return stopping == 0 ? bench_cost(&run, LOOKS) : -1;
}

static pthread_mutex_t end = PTHREAD_MUTEX_INITIALIZER;

static int
wait_for_end(weft_call *call)
{
    (void)call;
    pthread_mutex_lock(&end);
    pthread_mutex_unlock(&end);
    return 0;
}

static void
look(void)
{
    const struct bench_group group = {.title = "looks"};
    struct bench_entry entries[] = {
        bench_entry("is_alive", look_alive, NULL),
        bench_entry("name", look_at_name, NULL),
        bench_entry("self", look_at_self, NULL),
        bench_entry("stopping", look_stopping, NULL),
    };

    pthread_mutex_lock(&end);
    running = start_task(&(weft_task){.fn = wait_for_end, .name = "waits"});
    if (running && bench_measure(&group, entries, 4)) {
        bench_limit("weft_is_alive", &entries[0], 5);
        bench_limit("weft_name", &entries[1], 5);
        bench_limit("weft_self", &entries[2], 5);
        bench_limit("weft_stopping", &entries[3], 2);
    }
    pthread_mutex_unlock(&end);
    if (running)
        weft_end(running);
}

int
main(void)
{
    bench_open("threads");
    compare_starts();
    look();
    return bench_close();
}
