#include "picture_support.h"

#include "support.h"
#include "trace/metrics.h"
#include "trace/out.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

/* One more element at the end of an array, zeroed. */
static void *
grow(void *array, uint32_t *count, size_t size)
{
    char *start;

    memcpy(&start, array, sizeof start);
    /* At each power of two. */
    if ((*count & (*count - 1)) == 0) {
        start = realloc(start, (*count > 0 ? *count * 2 : 1) * size);
        ck_assert_ptr_nonnull(start);
        memcpy(array, &start, sizeof start);
    }
    void *made = start + *count * size;

    memset(made, 0, size);
    (*count)++;
    return made;
}

#define GROW(recording, array, number) \
    grow(&(recording)->array, &(recording)->number, sizeof *(recording)->array)

static uint64_t
from_us(double us)
{
    return (uint64_t)(us * 1000 + .5);
}

static void
count_in(struct part *part, uint32_t count)
{
    if (part->count == 0)
        part->first = count - 1;
    part->count++;
    ck_assert_uint_eq(part->first + part->count, count);
}

weft_recording *
recording_new(unsigned workers)
{
    weft_recording *recording = calloc(1, sizeof *recording);

    ck_assert_ptr_nonnull(recording);
    recording->program = "./render --workers 2";
    recording_name(recording, "");
    for (unsigned i = 0; i < workers; i++) {
        struct recorded_worker *worker = GROW(recording, workers, worker_count);
        char name[32];

        snprintf(name, sizeof name, "render-%u", i);
        worker->name = strdup(name);
        worker->process = "render";
        worker->pid = 4240;
        worker->tid = 4241 + (int32_t)i;
    }
    return recording;
}

void
recording_free(weft_recording *recording)
{
    for (uint32_t i = 0; i < recording->name_count; i++)
        free((char *)recording->names[i]);
    for (uint32_t i = 0; i < recording->worker_count; i++)
        free((char *)recording->workers[i].name);
    free(recording->names);
    free(recording->workers);
    free(recording->tasks);
    free(recording->runs);
    free(recording->cpu);
    free(recording->cpu_runs);
    free(recording->waits);
    free(recording->spans);
    free(recording->marks);
    free(recording->counters);
    free(recording->locks);
    free(recording);
}

uint32_t
recording_name(weft_recording *recording, const char *name)
{
    for (uint32_t i = 0; i < recording->name_count; i++)
        if (strcmp(recording->names[i], name) == 0)
            return i;
    const char **made = GROW(recording, names, name_count);

    *made = strdup(name);
    return recording->name_count - 1;
}

struct recorded_task *
recording_task(weft_recording *recording, uint32_t worker, const char *name,
               double begin, double end)
{
    struct recorded_task *task = GROW(recording, tasks, task_count);

    count_in(&recording->workers[worker].tasks, recording->task_count);
    task->begin = task->ready = from_us(begin);
    task->end = from_us(end);
    task->name = recording_name(recording, name);
    task->worker = worker;
    task->parent = RECORDING_NONE;
    return task;
}

void
recording_run(weft_recording *recording, uint32_t worker, uint32_t cpu,
              double begin, double end)
{
    struct recorded_run *run = GROW(recording, runs, run_count);

    count_in(&recording->workers[worker].runs, recording->run_count);
    *run = (struct recorded_run){
        .begin = from_us(begin),
        .end = from_us(end),
        .worker = worker,
        .cpu = cpu,
    };
}

struct recorded_wait *
recording_wait(weft_recording *recording, uint32_t worker, double begin,
               double end, bool lock)
{
    struct recorded_wait *wait = GROW(recording, waits, wait_count);

    count_in(&recording->workers[worker].waits, recording->wait_count);
    wait->begin = from_us(begin);
    wait->end = from_us(end);
    wait->worker = worker;
    wait->lock = lock;
    wait->object = 1;
    wait->name = recording_name(recording, "the lock");
    return wait;
}

void
recording_span(weft_recording *recording, uint32_t worker, const char *name,
               double begin, double end)
{
    struct recorded_span *span = GROW(recording, spans, span_count);

    count_in(&recording->workers[worker].spans, recording->span_count);
    span->begin = from_us(begin);
    span->end = from_us(end);
    span->worker = worker;
    span->name = recording_name(recording, name);
}

void
recording_mark(weft_recording *recording, uint32_t worker, const char *name,
               double at, int64_t value)
{
    struct recorded_value *mark = GROW(recording, marks, mark_count);

    *mark = (struct recorded_value){from_us(at), value, worker,
                                    recording_name(recording, name)};
}

void
recording_counter(weft_recording *recording, const char *name, double at,
                  int64_t value)
{
    struct recorded_value *counter = GROW(recording, counters, counter_count);

    *counter = (struct recorded_value){from_us(at), value, 0,
                                       recording_name(recording, name)};
}

/* Few CPUs: each is looked for in all runs. They are in order by worker. */
static const weft_recording *sorted;

static int
by_begin(const void *left, const void *right)
{
    const uint64_t one = sorted->runs[*(const uint32_t *)left].begin;
    const uint64_t other = sorted->runs[*(const uint32_t *)right].begin;

    return one < other ? -1 : one > other;
}

static void
sort_cpus(weft_recording *recording)
{
    uint32_t at = 0;

    recording->cpu_runs =
        calloc(recording->run_count + 1, sizeof *recording->cpu_runs);
    sorted = recording;
    for (uint32_t number = 0; at < recording->run_count; number++) {
        const uint32_t first = at;

        for (uint32_t i = 0; i < recording->run_count; i++)
            if (recording->runs[i].cpu == number)
                recording->cpu_runs[at++] = i;
        if (at == first)
            continue;
        struct recorded_cpu *cpu = GROW(recording, cpu, cpu_count);

        cpu->number = number;
        cpu->runs = (struct part){first, at - first};
        qsort(recording->cpu_runs + first, at - first, sizeof at, by_begin);
    }
}

void
recording_end(weft_recording *recording, double wall, unsigned cpus)
{
    recording->wall = from_us(wall);
    recording->cpus = cpus;
    recording->from = UINT64_MAX;
    for (uint32_t i = 0; i < recording->worker_count; i++)
        recording->workers[i].end = recording->wall;
    for (uint32_t i = 0; i < recording->task_count; i++) {
        const struct recorded_task *task = &recording->tasks[i];

        if (task->ready < recording->from)
            recording->from = task->ready;
        if (task->end > recording->to)
            recording->to = task->end;
    }
    if (recording->task_count == 0)
        recording->from = 0;
    sort_cpus(recording);
    ck_assert_int_eq(metrics_measure(recording), 0);
}

weft_recording *
recording_on_one(void)
{
    static const double turns[][3] = {
        {0, 100, 4100},    {0, 4200, 5200},   {0, 8100, 12100},
        {0, 16100, 20100}, {0, 24100, 28100}, {0, 32100, 36100},
        {0, 40100, 44100}, {0, 48100, 51100}, {0, 54300, 57800},
        {1, 5200, 8100},   {1, 12100, 16100}, {1, 20100, 24100},
        {1, 28100, 32100}, {1, 36100, 40100}, {1, 44100, 48100},
        {1, 51100, 54200}, {1, 57800, 60200},
    };
    weft_recording *made = recording_new(2);

    recording_task(made, 0, "load", 100, 5200);
    recording_task(made, 0, "tile 1", 8100, 19700);
    recording_task(made, 0, "tile 3", 19700, 34100);
    recording_task(made, 0, "tile 4", 34100, 51100);
    recording_task(made, 0, "merge", 54300, 57800);
    recording_task(made, 1, "tile 0", 5200, 15300);
    recording_task(made, 1, "tile 2", 15300, 36600);
    recording_task(made, 1, "tile 5", 36600, 54200);
    recording_task(made, 1, "save", 57800, 60200);
    for (size_t i = 0; i < sizeof turns / sizeof *turns; i++)
        recording_run(made, (uint32_t)turns[i][0], 1, turns[i][1], turns[i][2]);
    recording_end(made, 60300, 1);
    return made;
}

weft_recording *
recording_on_two(void)
{
    weft_recording *made = recording_new(2);

    recording_task(made, 0, "load", 100, 5900);
    recording_task(made, 0, "tile 0", 5900, 12700);
    recording_task(made, 0, "tile 2", 12700, 23200);
    recording_task(made, 0, "tile 4", 23200, 31900);
    recording_task(made, 1, "tile 1", 9000, 18100);
    recording_task(made, 1, "tile 3", 18100, 25300);
    recording_task(made, 1, "tile 5", 25300, 36000);
    recording_task(made, 1, "merge", 36000, 39700);
    recording_task(made, 1, "save", 39700, 42200);
    recording_run(made, 0, 0, 100, 12800);
    recording_run(made, 0, 0, 13000, 31900);
    recording_run(made, 1, 1, 9000, 42200);
    recording_end(made, 42300, 2);
    return made;
}

static void
add_rich_worker(weft_recording *made, uint32_t worker)
{
    double at = worker * 1500;

    for (unsigned i = 0; at < 90000; i++) {
        const double time = 3000 + 1000 * ((worker * 7 + i * 13) % 11);
        struct recorded_task *task = recording_task(
            made, worker, i % 3 ? "request" : "parse", at, at + time);

        if (i % 9 == 3)
            task->flags |= TASK_FAILED;
        if (at + time > 96000)
            task->flags |= TASK_UNFINISHED;
        if (worker == 1 && i % 2 == 0) {
            recording_task(made, 1, "inner", at + 500, at + time * .7)->depth =
                1;
            recording_task(made, 1, "innermost", at + 700, at + time * .4)
                ->depth = 2;
        }
        recording_run(made, worker, worker % 2, at, at + time * .6);
        recording_wait(made, worker, at + time * .6, at + time * .8,
                       i % 2 == 0);
        at += time + 1000 * ((worker + i) % 4);
    }
}

weft_recording *
recording_rich(void)
{
    weft_recording *made = recording_new(7);

    for (uint32_t worker = 0; worker < 6; worker++)
        add_rich_worker(made, worker);
    for (unsigned i = 0; i < 8; i++) {
        recording_span(made, 3, "decode", 5000 + i * 10000, 12000 + i * 10000);
        recording_span(made, 3, "huffman", 6000 + i * 10000, 9000 + i * 10000);
        made->spans[made->span_count - 1].depth = 1;
    }
    for (unsigned i = 0; i < 6; i++)
        recording_mark(made, 4, "checkpoint", 10000 + i * 15000, i);
    for (unsigned i = 0; i < 200; i++)
        recording_counter(made, "queue length", i * 500, i % 40);
    recording_end(made, 110000, 2);
    return made;
}

weft_recording *
recording_crowd(unsigned workers, unsigned tasks)
{
    static const char *const names[] = {"map", "map", "reduce", "split"};
    weft_recording *made = recording_new(workers);
    const unsigned each = tasks / workers;
    unsigned random = 1;

    for (uint32_t worker = 0; worker < workers; worker++) {
        double at = 0;

        for (unsigned i = 0; i < each; i++) {
            random = random * 1664525 + 1013904223;
            const bool is_long = i % 1000 == 500;
            const double time = is_long ? 500 : .5 + (random >> 24) / 256.0;

            recording_task(made, worker, is_long ? "long" : names[i % 4], at,
                           at + time);
            if (i % 100 == 0)
                recording_run(made, worker, worker % 4, at, at + 50);
            at += time + (random >> 16) % 4 * .25;
        }
    }
    recording_end(made, (double)made->tasks[made->task_count - 1].end / 1000,
                  4);
    return made;
}

char *
picture_of(picture_drawer *draw, weft_recording *const *recordings,
           size_t count)
{
    const int fd = memfd_create("picture", MFD_CLOEXEC);
    struct out *out = out_open(fd);
    struct stat about;

    ck_assert_int_ge(fd, 0);
    ck_assert_ptr_nonnull(out);
    ck_assert_int_eq(draw(out, recordings, count), 0);
    ck_assert_int_eq(out_close(out), 0);
    ck_assert_int_eq(fstat(fd, &about), 0);
    char *text = malloc((size_t)about.st_size + 1);

    ck_assert_ptr_nonnull(text);
    ck_assert_int_eq(pread(fd, text, (size_t)about.st_size, 0), about.st_size);
    text[about.st_size] = '\0';
    ck_assert_uint_eq(strlen(text), (size_t)about.st_size);
    close(fd);
    return text;
}

unsigned
picture_count(const char *text, const char *part)
{
    unsigned count = 0;

    while ((text = strstr(text, part))) {
        text += strlen(part);
        count++;
    }
    return count;
}

bool
picture_tool(const char *name)
{
    char command[128];

    snprintf(command, sizeof command, "command -v %s >/dev/null 2>&1", name);
    return system(command) == 0;
}
