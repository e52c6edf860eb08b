#include "ways.h"

#include "harness.h"

#include <weft/weft.h>

#include <pthread.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#if BENCH_GLIB
#    include <glib.h>
#endif

/* --- ours */

static void *
weft_open(void)
{
    weft_queue *queue;
    const weft_queue_options options = {.item_size = sizeof(uint64_t),
                                        .capacity = WAYS_CAPACITY};

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
    unsigned head, count;          /* under mutex */
    uint64_t cells[WAYS_CAPACITY]; /* under mutex */
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
    while (queue->count == WAYS_CAPACITY)
        pthread_cond_wait(&queue->room, &queue->mutex);
    queue->cells[(queue->head + queue->count) % WAYS_CAPACITY] = item;
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

    queue->head = (queue->head + 1) % WAYS_CAPACITY;
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

/* --- among processes: the ring in memory that they share */

static struct locked *shared_ring;

bool
ways_open(void)
{
    void *memory = mmap(NULL, sizeof *shared_ring, PROT_READ | PROT_WRITE,
                        MAP_SHARED | MAP_ANONYMOUS, -1, 0);

    if (memory == MAP_FAILED)
        return false;
    shared_ring = memory;
    return true;
}

static void *
robust_open(void)
{
    struct locked *queue = shared_ring;
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
    const weft_queue_options options = {.item_size = sizeof(uint64_t),
                                        .capacity = WAYS_CAPACITY,
                                        .shared = true};

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

const struct way ways[] = {
    {"weft", weft_open, weft_put, weft_get, weft_close},
    {"mutex + cond", locked_open, locked_put, locked_get, locked_close},
#if BENCH_GLIB
    {"GAsyncQueue", glib_open, glib_put, glib_get, glib_close},
#endif
};

const int ways_count = sizeof ways / sizeof ways[0];

const struct way ways_between[WAYS_BETWEEN] = {
    {"weft", shared_open, weft_put, weft_get, weft_close},
    {"robust mutex + cond", robust_open, locked_put, locked_get, robust_close},
    {"pipe", pipe_open, pipe_put, pipe_get, pipe_close},
};
