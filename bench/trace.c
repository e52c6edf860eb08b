/* What a task costs more: the recorder's hooks by themselves, in a loop that
 * does nothing else, off and on. The time is the thread's own: what the
 * recorder's thread does beside it is not in it. */
#include "harness.h"
#include "os/os.h"
#include "registry/recorder.h"

#include <weft/trace.h>

#include <stdio.h>
#include <unistd.h>

enum {
    TASKS = 1024 /* a batch */
};

static char path[64];
static struct recorded tasks[TASKS];

static inline void
touch(struct recorded *task)
{
    __asm__ volatile("" ::"r"(task) : "memory");
}

static void
loop_only(void)
{
    for (int i = 0; i < TASKS; i++)
        touch(&tasks[i]);
}

static void
task_each(void)
{
    for (int i = 0; i < TASKS; i++) {
        record_submit(&tasks[i]);
        record_begin(&tasks[i], RECORD_POOLED, "task");
        touch(&tasks[i]);
        record_end(&tasks[i], false);
    }
}

static void
joined_task_each(void)
{
    for (int i = 0; i < TASKS; i++) {
        record_submit(&tasks[i]);
        record_begin(&tasks[i], RECORD_POOLED, "task");
        touch(&tasks[i]);
        record_end(&tasks[i], false);
        record_join(&tasks[i]);
    }
}

static void
span_each(void)
{
    for (int i = 0; i < TASKS; i++)
        weft_span_end(weft_span_begin("span"));
}

static void
mark_each(void)
{
    for (int i = 0; i < TASKS; i++)
        weft_mark("mark", i);
}

struct way {
    void (*batch)(void);
    bool on;
};

/* ns a task of the calling thread's CPU time. */
static double
run(const void *way_, int64_t span)
{
    const struct way *way = way_;
    int64_t batches = 0;

    if (way->on && weft_trace_start(path) < 0)
        return -1;
    const int64_t until = bench_now() + span / 2;

    way->batch(); /* the first records make the file's first chunk */
    const int64_t begun = os_cpu_of_thread();

    do
        way->batch();
    while (++batches % 64 || bench_now() < until);
    const int64_t took = os_cpu_of_thread() - begun;

    weft_trace_stop();
    return (double)took / (double)(batches * TASKS);
}

/* What remains without the loop around it. */
static struct bench_entry
without(const struct bench_entry *entry, const struct bench_entry *loop)
{
    struct bench_entry rest = *entry;

    rest.median -= loop->median;
    rest.least -= loop->median;
    rest.most -= loop->median;
    return rest;
}

static void
tell(const char *name, const struct bench_entry *entry,
     const struct bench_entry *loop, double limit)
{
    const struct bench_entry rest = without(entry, loop);

    bench_limit(name, &rest, limit);
}

int
main(void)
{
    static const struct way loop = {loop_only, false}, off = {task_each, false},
                            on = {task_each, true},
                            joined = {joined_task_each, true},
                            span = {span_each, true}, mark = {mark_each, true};
    const struct bench_group group = {.title = "tracing"};
    struct bench_entry entries[] = {
        bench_entry("loop", run, &loop), bench_entry("off", run, &off),
        bench_entry("on", run, &on),     bench_entry("joined", run, &joined),
        bench_entry("span", run, &span), bench_entry("mark", run, &mark)};

    bench_open("trace");
    (void)self_get();
    (void)snprintf(path, sizeof path, "/tmp/weft-bench-%d", os_process_id());
    if (bench_measure(&group, entries, 6)) {
        tell("tracing off, a task", &entries[1], &entries[0], 1);
        tell("tracing on, a task", &entries[2], &entries[0], 45);
        tell("... that is joined", &entries[3], &entries[0], 0);
        tell("... a span", &entries[4], &entries[0], 0);
        tell("... a mark", &entries[5], &entries[0], 0);
    }
    (void)unlink(path);
    return bench_close();
}
