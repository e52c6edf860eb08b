/* A queue between threads, then one between processes: producers and consumers
 * that do nothing else, so that only the hand-over costs. Ours against what a
 * program without weft would write, a ring under a mutex with two condition
 * variables, and against GLib's GAsyncQueue, which grows. One operation is one
 * item through the queue.
 *
 * The threads here are pthreads for all: weft adopts them at their first wait.
 */
#include "harness.h"

#include <weft/weft.h>

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#if BENCH_GLIB
#    include <glib.h>
#endif

enum {
    CAPACITY = 64,
    SIDE_MOST = 4,
    BATCH = 64,
    END = 0 /* an item that ends a consumer; the others are not 0 */
};

/* A queue of 8-byte items, this way or that. */
struct way {
    const char *name;
    void *(*open)(void);
    void (*put)(void *queue, uint64_t item);
    uint64_t (*get)(void *queue);
    void (*close)(void *queue);
};

/* --- ours */

static void *
weft_open(void)
{
    weft_queue *queue;
    const weft_queue_options options = {.item_size = sizeof(uint64_t),
                                        .capacity = CAPACITY};

    return weft_queue_open(&queue, &options) < 0 ? NULL : queue;
}

static void
weft_put(void *queue, uint64_t item)
{
    if (weft_queue_put(queue, &item, WEFT_FOREVER) < 0)
        abort();
}

static uint64_t
weft_get(void *queue)
{
    uint64_t item;

    if (weft_queue_get(queue, &item, WEFT_FOREVER) < 0)
        abort();
    return item;
}

static void
weft_close(void *queue)
{
    weft_queue_close(queue);
}

/* --- a mutex and two condition variables */

struct locked {
    pthread_mutex_t mutex;
    pthread_cond_t items, room;
    unsigned head, count;     /* under mutex */
    uint64_t cells[CAPACITY]; /* under mutex */
};

static void *
locked_open(void)
{
    struct locked *queue = calloc(1, sizeof *queue);

    if (!queue)
        return NULL;
    pthread_mutex_init(&queue->mutex, NULL);
    pthread_cond_init(&queue->items, NULL);
    pthread_cond_init(&queue->room, NULL);
    return queue;
}

static void
locked_put(void *arg, uint64_t item)
{
    struct locked *queue = arg;

    pthread_mutex_lock(&queue->mutex);
    while (queue->count == CAPACITY)
        pthread_cond_wait(&queue->room, &queue->mutex);
    queue->cells[(queue->head + queue->count) % CAPACITY] = item;
    queue->count++;
    pthread_mutex_unlock(&queue->mutex);
    pthread_cond_signal(&queue->items);
}

static uint64_t
locked_get(void *arg)
{
    struct locked *queue = arg;

    pthread_mutex_lock(&queue->mutex);
    while (queue->count == 0)
        pthread_cond_wait(&queue->items, &queue->mutex);
    const uint64_t item = queue->cells[queue->head];

    queue->head = (queue->head + 1) % CAPACITY;
    queue->count--;
    pthread_mutex_unlock(&queue->mutex);
    pthread_cond_signal(&queue->room);
    return item;
}

static void
locked_close(void *arg)
{
    struct locked *queue = arg;

    pthread_cond_destroy(&queue->room);
    pthread_cond_destroy(&queue->items);
    pthread_mutex_destroy(&queue->mutex);
    free(queue);
}

/* --- GLib's, which takes pointers that are not NULL */

#if BENCH_GLIB
static void *
glib_open(void)
{
    return g_async_queue_new();
}

static void
glib_put(void *queue, uint64_t item)
{
    g_async_queue_push(queue, (void *)(uintptr_t)(item + 1));
}

static uint64_t
glib_get(void *queue)
{
    return (uintptr_t)g_async_queue_pop(queue) - 1;
}

static void
glib_close(void *queue)
{
    g_async_queue_unref(queue);
}
#endif

static const struct way ways[] = {
    {"weft", weft_open, weft_put, weft_get, weft_close},
    {"mutex + cond", locked_open, locked_put, locked_get, locked_close},
#if BENCH_GLIB
    {"GAsyncQueue", glib_open, glib_put, glib_get, glib_close},
#endif
};

enum {
    WAYS = sizeof ways / sizeof ways[0]
};

/* --- producers and consumers */

struct shape {
    const char *name;
    int producers, consumers;
};

static struct {
    const struct way *way;
    void *queue;
    _Atomic int finished; /* producers leave */
    _Atomic int64_t eaten;
} now;

static void *
produce(void *unused)
{
    (void)unused;
    while (!now.finished)
        for (uint64_t i = 1; i <= BATCH; i++)
            now.way->put(now.queue, i);
    return NULL;
}

static void *
consume(void *unused)
{
    int64_t eaten = 0;

    (void)unused;
    while (now.way->get(now.queue) != END)
        if (++eaten % BATCH == 0)
            now.eaten += BATCH;
    return NULL;
}

/* ns an item, over the second half of the span. */
static double
watch_them(int64_t span)
{
    bench_sleep(span / 2);
    const int64_t begun = bench_now(), before = now.eaten;

    bench_sleep(span / 2);
    const int64_t eaten = now.eaten - before;

    return (double)(bench_now() - begun) / (double)(eaten > 0 ? eaten : 1);
}

static double
feed(const struct way *way, const struct shape *shape, int64_t span)
{
    pthread_t producers[SIDE_MOST], consumers[SIDE_MOST];

    now.way = way;
    now.queue = way->open();
    now.finished = 0;
    now.eaten = 0;
    if (!now.queue)
        return -1;
    for (int i = 0; i < shape->consumers; i++)
        pthread_create(&consumers[i], NULL, consume, NULL);
    for (int i = 0; i < shape->producers; i++)
        pthread_create(&producers[i], NULL, produce, NULL);
    const double cost = watch_them(span);

    now.finished = 1;
    for (int i = 0; i < shape->producers; i++)
        pthread_join(producers[i], NULL);
    for (int i = 0; i < shape->consumers; i++)
        way->put(now.queue, END);
    for (int i = 0; i < shape->consumers; i++)
        pthread_join(consumers[i], NULL);
    way->close(now.queue);
    return cost;
}

struct how {
    const struct way *way;
    const struct shape *shape;
};

static double
run_shape(const void *arg, int64_t span)
{
    const struct how *how = arg;

    return feed(how->way, how->shape, span);
}

/* --- the rows */

struct row {
    struct shape shape;
    int hogs;
    struct bench_promise promises[3]; /* by way; the first is not used */
};

static const struct row rows[] = {
    {{"1P1C", 1, 1}, 0, {{0, 0}, {0.35, 0}, {0.2, 0}}},
    {{"2P2C", 2, 2}, 0, {{0, 0}, {0.65, 0.3}, {0, 0}}},
    {{"4P4C", 4, 4}, 0, {{0, 0}, {1.2, 0}, {0, 0}}},
    {{"1P1C, 1 busy loop", 1, 1}, 1, {{0, 0}, {1.2, 0}, {1.2, 0}}},
    {{"2P2C, 1 busy loop", 2, 2}, 1, {{0, 0}, {1.2, 0}, {0, 0}}},
    {{"4P4C, 1 busy loop", 4, 4}, 1, {{0, 0}, {1.2, 0}, {0, 0}}},
};

static void
compare(const struct row *row)
{
    const struct bench_group group = {
        .title = row->shape.name, .span = 160 * BENCH_MS, .hogs = row->hogs};
    const bool one = row->shape.producers == 1;
    const int count = one ? WAYS : 2;
    struct how how[WAYS];
    struct bench_entry entries[WAYS];
    char name[96];

    for (int i = 0; i < count; i++) {
        how[i] = (struct how){&ways[i], &row->shape};
        entries[i] = bench_entry(ways[i].name, run_shape, &how[i]);
    }
    if (!bench_measure(&group, entries, count))
        return;
    for (int i = 1; i < count; i++) {
        snprintf(name, sizeof name, "queue %s / %s", row->shape.name,
                 ways[i].name);
        bench_ratio(name, &entries[0], &entries[i], row->promises[i]);
    }
}

/* --- between processes: the caller puts, one worker gets until END */

static struct {
    struct locked queue;
    _Atomic int64_t eaten;
} * common; /* shared */

static void *
robust_open(void)
{
    struct locked *queue = &common->queue;
    pthread_mutexattr_t mutex;
    pthread_condattr_t cond;

    pthread_mutexattr_init(&mutex);
    pthread_mutexattr_setpshared(&mutex, PTHREAD_PROCESS_SHARED);
    pthread_mutexattr_setrobust(&mutex, PTHREAD_MUTEX_ROBUST);
    pthread_condattr_init(&cond);
    pthread_condattr_setpshared(&cond, PTHREAD_PROCESS_SHARED);
    *queue = (struct locked){.head = 0};
    pthread_mutex_init(&queue->mutex, &mutex);
    pthread_cond_init(&queue->items, &cond);
    pthread_cond_init(&queue->room, &cond);
    return queue;
}

static void
robust_close(void *arg)
{
    struct locked *queue = arg;

    pthread_cond_destroy(&queue->room);
    pthread_cond_destroy(&queue->items);
    pthread_mutex_destroy(&queue->mutex);
}

static void *
shared_open(void)
{
    weft_queue *queue;
    const weft_queue_options options = {
        .item_size = sizeof(uint64_t), .capacity = CAPACITY, .shared = true};

    return weft_queue_open(&queue, &options) < 0 ? NULL : queue;
}

static int ends[2];

static void *
pipe_open(void)
{
    return pipe(ends) < 0 ? NULL : ends;
}

static void
pipe_put(void *arg, uint64_t item)
{
    (void)arg;
    if (write(ends[1], &item, sizeof item) != sizeof item)
        abort();
}

static uint64_t
pipe_get(void *arg)
{
    uint64_t item;

    (void)arg;
    if (read(ends[0], &item, sizeof item) != sizeof item)
        abort();
    return item;
}

static void
pipe_close(void *arg)
{
    (void)arg;
    close(ends[0]);
    close(ends[1]);
}

static const struct way between[] = {
    {"weft", shared_open, weft_put, weft_get, weft_close},
    {"robust mutex + cond", robust_open, locked_put, locked_get, robust_close},
    {"pipe", pipe_open, pipe_put, pipe_get, pipe_close},
};

enum {
    BETWEEN = sizeof between / sizeof between[0]
};

static void
consume_there(const struct way *way, void *queue)
{
    int64_t eaten = 0;

    while (way->get(queue) != END)
        if (++eaten % BATCH == 0)
            common->eaten += BATCH;
}

static int
weft_consumer(weft_call *call)
{
    consume_there(&between[0], *(void *const *)call->arg);
    return 0;
}

static bool
wait_for_consumer(weft_job *job, pid_t child)
{
    if (!job)
        return child > 0 && waitpid(child, NULL, 0) == child;
    const bool ended = weft_join(job, WEFT_FOREVER) == 0;

    weft_release(job);
    return ended;
}

/* The peers' worker is a fork, ours one of ours. */
static double
feed_there(const void *arg, int64_t span)
{
    const struct way *way = arg;
    void *queue = way->open();
    weft_job *job = NULL;
    pid_t child = 0;

    if (!queue)
        return -1;
    common->eaten = 0;
    if (way == &between[0]) {
        if (weft_start(&job, WEFT_PROCESS,
                       &(weft_task){.fn = weft_consumer, WEFT_ARG(queue)}) < 0)
            return -1;
    } else if ((child = fork()) == 0) {
        consume_there(way, queue);
        _exit(0);
    }
    struct bench_run run = bench_run(span);

    while (bench_goes_on(&run))
        for (uint64_t i = 1; i <= BATCH; i++)
            way->put(queue, i);
    way->put(queue, END);
    const bool ended = wait_for_consumer(job, child);

    way->close(queue);
    return ended ? bench_cost(&run, BATCH) : -1;
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

static void
compare_processes(void)
{
    const struct bench_group group = {.title = "between processes, 1P1C",
                                      .span = 160 * BENCH_MS};
    const struct bench_promise promises[] = {
        {0, 0}, {0.6, 0.3}, {0.2, 0.1}, {0.01, 0}};
    struct bench_entry entries[BETWEEN + 1];
    char name[96];

    for (int i = 0; i < BETWEEN; i++)
        entries[i] = bench_entry(between[i].name, feed_there, &between[i]);
    entries[BETWEEN] =
        bench_entry("Python multiprocessing.Queue", bench_command, python);
    if (!bench_measure(&group, entries, BETWEEN + 1))
        return;
    if (entries[0].rounds == 0)
        bench_note("%s: %s", group.title, weft_why());
    for (int i = 1; i <= BETWEEN; i++) {
        snprintf(name, sizeof name, "queue %s / %s", group.title,
                 entries[i].name);
        bench_ratio(name, &entries[0], &entries[i], promises[i]);
    }
}

int
main(void)
{
    bench_open("queues");
    common = mmap(NULL, sizeof *common, PROT_READ | PROT_WRITE,
                  MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (common == MAP_FAILED)
        return 1;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
        compare(&rows[i]);
    compare_processes();
    return bench_close();
}
