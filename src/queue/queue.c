/* The face of all kinds of queues: checks the arguments, hands them to the
 * kind, and puts failures into words. */
#include "queue/queue.h"

#include "base/why.h"
#include "sync/object.h"

#include <weft/status.h>
#include <weft/worker.h>

#include <stdio.h>
#include <string.h>

enum {
    ITEM_MOST = 64 << 10, /* bytes */
    COUNT_MOST = 1 << 30  /* items; positions are told apart by 31 bits */
};

static const struct queue_kind *const kinds[QUEUE_SORTS] = {
    [QUEUE_RING] = &queue_ring,
    [QUEUE_STORE] = &queue_store,
    [QUEUE_SHARED] = &queue_shared,
};

const struct queue_kind *
queue_kind_of(const weft_queue *queue)
{
    return kinds[queue->sort];
}

size_t
queue_stride(size_t head, size_t item_size)
{
    const size_t unit = _Alignof(max_align_t);

    return (head + item_size + unit - 1) / unit * unit;
}

/* --- opening */

static int
check_order(const weft_queue_options *options)
{
    if (options->order != WEFT_FIFO && options->order != WEFT_LIFO &&
        options->order != WEFT_PRIORITY)
        return why_set(WEFT_EINVAL, "options.order is unknown: %d",
                       (int)options->order);
    if (options->shared && options->order != WEFT_FIFO)
        return why_set(WEFT_ENOTSUP, "options.order: a queue among processes "
                                     "is WEFT_FIFO");
    if (options->order == WEFT_PRIORITY && !options->compare)
        return why_set(WEFT_EINVAL, "options.compare is NULL, but "
                                    "options.order is WEFT_PRIORITY");
    if (options->order != WEFT_PRIORITY && options->compare)
        return why_set(WEFT_EINVAL, "options.compare is only for "
                                    "options.order WEFT_PRIORITY");
    return 0;
}

static int
check_size(const weft_queue_options *options)
{
    const size_t size = options->item_size, count = options->capacity;

    if (size == 0 || size > ITEM_MOST)
        return why_set(WEFT_EINVAL,
                       "options.item_size is %zu, not 1 to %d bytes", size,
                       ITEM_MOST);
    if (options->shared && count == 0)
        return why_set(WEFT_EINVAL, "options.capacity is 0, but only private "
                                    "queues grow, and options.shared is set");
    if (count > COUNT_MOST)
        return why_set(WEFT_EINVAL, "options.capacity is %zu, more than %d",
                       count, COUNT_MOST);
    return 0;
}

static int
check_options(const weft_queue_options *options)
{
    const char *fault = NULL;

    if (!options)
        return why_set(WEFT_EINVAL, "weft_queue_open: options is NULL");
    for (size_t i = 0; i < sizeof options->reserved / sizeof(uintptr_t); i++)
        if (options->reserved[i])
            return why_set(WEFT_EINVAL,
                           "options.reserved[%zu] is not zero: this version "
                           "does not know what it asks for",
                           i);
    if (options->name)
        fault = text_name_fault(options->name);
    if (fault)
        return why_set(WEFT_EINVAL, "options.name: %s", fault);
    const int status = check_size(options);

    return status < 0 ? status : check_order(options);
}

static enum queue_sort
sort_for(const weft_queue_options *options)
{
    if (options->shared)
        return QUEUE_SHARED;
    const bool plain = options->order == WEFT_FIFO && !options->leased;

    return plain && options->capacity > 0 ? QUEUE_RING : QUEUE_STORE;
}

int
weft_queue_open(weft_queue **out, const weft_queue_options *options)
{
    weft_queue *queue;
    int status;

    if (!out)
        return why_set(WEFT_EINVAL, "weft_queue_open: out is NULL");
    status = check_options(options);
    if (status < 0)
        return status;
    const enum queue_sort sort = sort_for(options);

    status = kinds[sort]->open(&queue, options);
    if (status < 0)
        return why_because(status, "weft_queue_open");
    queue->sort = sort;
    queue->item_size = options->item_size;
    queue->name[0] = 0;
    if (options->name) {
        memcpy(queue->name, options->name, strlen(options->name) + 1);
        status = weft_label(queue, options->name);
    }
    if (status < 0) { /* it has said why */
        kinds[sort]->close(queue);
        return status;
    }
    atomic_store(&queue->magic, QUEUE_MAGIC);
    *out = queue;
    return 0;
}

/* --- failures */

struct title {
    char text[TEXT_NAME + 16];
};

static struct title
title_of(const weft_queue *queue)
{
    struct title title;

    if (queue->name[0])
        snprintf(title.text, sizeof title.text, "queue '%s'", queue->name);
    else
        snprintf(title.text, sizeof title.text, "the queue");
    return title;
}

enum doing {
    PUTTING,
    GETTING,
    JOINING
};

static const char *const late[] = {
    [PUTTING] = "was full until the deadline",
    [GETTING] = "was empty until the deadline",
    [JOINING] = "had items that were not done by the deadline",
};

static const char *const stopped[] = {
    [PUTTING] = "asked to stop while waiting for room in",
    [GETTING] = "asked to stop while waiting for an item of",
    [JOINING] = "asked to stop while waiting for the end of all items of",
};

static const char *const closed[] = {
    [PUTTING] = "is shut down",
    [GETTING] = "is shut down and empty",
    [JOINING] = "",
};

/* Says why, and returns the status. */
static int
explain(int status, const weft_queue *queue, enum doing doing)
{
    const struct title title = title_of(queue);

    if (status == WEFT_ETIMEDOUT)
        return why_set(status, "%s %s", title.text, late[doing]);
    if (status == WEFT_ECANCELED)
        return why_set(status, "%s %s", stopped[doing], title.text);
    if (status == WEFT_ECLOSED)
        return why_set(status, "%s %s", title.text, closed[doing]);
    return why_because(status, title.text);
}

static int
is_null(const char *call, const char *what)
{
    return why_set(WEFT_EINVAL, "%s: %s is NULL", call, what);
}

/* --- the calls */

int
weft_queue_put(weft_queue *queue, const void *item, weft_time deadline)
{
    if (!queue || !item)
        return is_null("weft_queue_put", queue ? "item" : "queue");
    const int put = queue_kind_of(queue)->put(queue, item, 1, deadline.ns);

    return put < 0 ? explain(put, queue, PUTTING) : 0;
}

int
weft_queue_get(weft_queue *queue, void *item, weft_time deadline)
{
    if (!queue || !item)
        return is_null("weft_queue_get", queue ? "item" : "queue");
    const int got = queue_kind_of(queue)->get(queue, item, 1, deadline.ns);

    return got < 0 ? explain(got, queue, GETTING) : 0;
}

static int
check_many(const char *call, const weft_queue *queue, const void *items,
           unsigned n)
{
    if (!queue || !items)
        return is_null(call, queue ? "items" : "queue");
    if (n == 0 || n > INT32_MAX)
        return why_set(WEFT_EINVAL, "%s: n is %u, not 1 to %d", call, n,
                       INT32_MAX);
    return 0;
}

int
weft_queue_put_many(weft_queue *queue, const void *items, unsigned n,
                    weft_time deadline)
{
    int status = check_many("weft_queue_put_many", queue, items, n);

    if (status < 0)
        return status;
    status = queue_kind_of(queue)->put(queue, items, n, deadline.ns);
    return status < 0 ? explain(status, queue, PUTTING) : status;
}

int
weft_queue_get_many(weft_queue *queue, void *items, unsigned n,
                    weft_time deadline)
{
    int status = check_many("weft_queue_get_many", queue, items, n);

    if (status < 0)
        return status;
    status = queue_kind_of(queue)->get(queue, items, n, deadline.ns);
    return status < 0 ? explain(status, queue, GETTING) : status;
}

int
weft_queue_done(weft_queue *queue, unsigned n)
{
    if (!queue)
        return is_null("weft_queue_done", "queue");
    const int status = queue_kind_of(queue)->done(queue, n);

    if (status == WEFT_EOVERFLOW)
        return why_set(status, "%s: %u done, more than were got and not done",
                       title_of(queue).text, n);
    return status < 0 ? why_because(status, "weft_queue_done") : 0;
}

int
weft_queue_join(weft_queue *queue, weft_time deadline)
{
    if (!queue)
        return is_null("weft_queue_join", "queue");
    const int status = queue_kind_of(queue)->join(queue, deadline.ns);

    return status < 0 ? explain(status, queue, JOINING) : 0;
}

void
weft_queue_shutdown(weft_queue *queue)
{
    if (queue)
        queue_kind_of(queue)->shutdown(queue);
}

size_t
weft_queue_discard(weft_queue *queue)
{
    return queue ? queue_kind_of(queue)->discard(queue) : 0;
}

size_t
weft_queue_size(const weft_queue *queue)
{
    return queue ? queue_kind_of(queue)->size(queue) : 0;
}

int
weft_queue_fd(weft_queue *queue)
{
    if (!queue)
        return is_null("weft_queue_fd", "queue");
    const int fd = queue_kind_of(queue)->fd(queue);

    return fd < 0 ? why_system(fd, "cannot make a queue's descriptor") : fd;
}

/* --- closing */

void
weft_queue_close(weft_queue *queue)
{
    if (!queue)
        return;
    const struct queue_kind *kind = queue_kind_of(queue);

    if (kind->waiters(queue) > 0)
        object_misused("weft_queue_close", queue, __builtin_return_address(0),
                       "it is waited on");
    if (queue->name[0])
        (void)weft_label(queue, NULL);
    atomic_store(&queue->magic, 0);
    kind->close(queue);
}
