/* A task for each element of an array, without the jobs: of a job a function
 * sees its call alone. */
#include "base/why.h"
#include "pool/loop.h"
#include "worker/task.h"

#include <weft/status.h>

#include <stdlib.h>
#include <string.h>

enum {
    ALIGNED = 16, /* what a call promises */
    SMALL = 512   /* bytes of argument and result on the stack */
};

struct map {
    struct loop loop;
    const weft_task *task;
    const char *args;
    char *results;
};

/* --- running */

static void
fail(struct map *map, size_t index, int code, const char *message)
{
    if (message && message[0])
        loop_fail(&map->loop, WEFT_EFAILED, "item %zu: %s", index, message);
    else
        loop_fail(&map->loop, WEFT_EFAILED, "item %zu returned %d", index,
                  code);
}

static int
keep_result(struct map *map, size_t index, const weft_call *call)
{
    const size_t size = map->task->result_size;

    if (call->result_size != size) {
        loop_fail(&map->loop, WEFT_EMSGSIZE,
                  "item %zu: its result has %zu bytes, not %zu", index,
                  call->result_size, size);
        return WEFT_EMSGSIZE;
    }
    if (size > 0)
        memcpy(map->results + index * size, call->result, size);
    return 0;
}

/* With room for the argument, and behind it for the result. */
static int
run(struct map *map, size_t index, char *arg, char *result)
{
    const weft_task *task = map->task;
    char message[TEXT_MESSAGE];
    struct job_call own = {
        .call = {.arg = map->args,
                 .arg_size = task->arg_size,
                 .result = task->result_size ? result : NULL,
                 .result_size = task->result_size},
        .space = message,
        .start = result,
        .room = task->result_size,
    };

    if (task->arg_size)
        own.call.arg =
            memcpy(arg, map->args + index * task->arg_size, task->arg_size);
    memset(result, 0, task->result_size);
    const int code = task->fn(&own.call);
    int status = code ? WEFT_EFAILED : keep_result(map, index, &own.call);

    if (code)
        fail(map, index, code, own.message);
    free(own.owned);
    return status;
}

static int
run_items(struct map *map, size_t begin, size_t end, char *arg, char *result)
{
    struct self *self = self_get();
    const unsigned shield = self->shield;
    int status = 0;

    for (size_t i = begin; i < end && status == 0; i++) {
        if (!loop_goes_on(&map->loop))
            return 0; /* the loop knows why */
        status = run(map, i, arg, result);
        self->shield = shield;
    }
    return status;
}

static int
run_part(void *map_, void *none, size_t begin, size_t end)
{
    struct map *map = map_;
    const weft_task *task = map->task;
    const size_t front = (task->arg_size + ALIGNED - 1) / ALIGNED * ALIGNED;
    const size_t size = front + task->result_size;
    _Alignas(ALIGNED) char small[SMALL];
    char *place = size <= SMALL ? small : malloc(size);

    (void)none;
    if (!place) {
        loop_fail(&map->loop, WEFT_ENOMEM, "no memory for a call of %zu bytes",
                  size);
        return WEFT_ENOMEM;
    }
    const int status = run_items(map, begin, end, place, place + front);

    if (place != small)
        free(place);
    return status;
}

/* --- checking */

/* What a job has and an element has not. */
static int
check_fields(const weft_task *task)
{
    const struct {
        bool set;
        const char *name;
    } fields[] = {
        {task->arg, "arg"},           {task->scope, "scope"},
        {task->after, "after"},       {task->delay, "delay"},
        {task->timeout, "timeout"},   {task->submit_by.ns, "submit_by"},
        {task->retries, "retries"},   {task->daemon, "daemon"},
        {task->blocking, "blocking"},
    };

    for (size_t i = 0; i < sizeof fields / sizeof *fields; i++)
        if (fields[i].set)
            return why_set(WEFT_EINVAL,
                           "weft_map: task.%s is not for a map's elements",
                           fields[i].name);
    return 0;
}

static int
check(const weft_pool *pool, const struct map *map, size_t count)
{
    const weft_task *task = map->task;
    weft_task whole = *task;
    int status = check_fields(task);
    size_t bytes;

    if (status < 0)
        return status;
    if ((task->arg_size && !map->args) || (task->result_size && !map->results))
        return why_set(WEFT_EINVAL, "weft_map: %s is NULL",
                       task->arg_size && !map->args ? "args" : "results");
    whole.arg = map->args;
    status = task_check(pool->kind, &whole, true);
    if (status == 0 &&
        (__builtin_mul_overflow(count, task->arg_size, &bytes) ||
         __builtin_mul_overflow(count, task->result_size, &bytes)))
        status = why_set(WEFT_EINVAL,
                         "weft_map: %zu elements are beyond all "
                         "memory",
                         count);
    return status;
}

int
weft_map(weft_pool *pool, const weft_task *task, const void *args,
         void *results, size_t count)
{
    struct map map;
    int status = 0;

    if (!task)
        return why_set(WEFT_EINVAL, "weft_map: task is NULL");
    pool = loop_pool(pool, "weft_map", &status);
    if (!pool)
        return status;
    map.task = task;
    map.args = args;
    map.results = results;
    status = check(pool, &map, count ? count : 1);
    if (status < 0 || count == 0)
        return status;
    loop_begin(&map.loop, "weft_map", count, loop_grain(pool, count));
    map.loop.body = run_part;
    map.loop.context = &map;
    return loop_enter(pool, &map.loop);
}
