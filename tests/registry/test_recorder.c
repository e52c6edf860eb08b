/* What is recorded of each kind of task and wait. */
#include "registry/recorder.h"
#include "support/recording_support.h"
#include "support/worker_support.h"

#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <string.h>
#include <unistd.h>

static struct recording_file file;

static void
set_up(void)
{
    common_make();
    recording_path(&file);
    ck_assert_int_eq(weft_init(NULL), 0);
    ck_assert_int_eq(weft_trace_start(file.path), 0);
}

static void
tear_down(void)
{
    recording_gone(&file);
}

static void
stop_and_read(void)
{
    weft_trace_stop();
    recording_read(&file);
    ck_assert_uint_eq(file.header->state, RECORDING_STOPPED);
    ck_assert_uint_eq(file.header->lost, 0);
}

static int
return_it(weft_call *call)
{
    return call->arg ? *(const int *)call->arg : 0;
}

/* A task that has run: its record, with an end. */
static const union record *
task_named(const char *name, unsigned kind)
{
    const union record *task = recording_find(&file, RECORD_TASK, name, 0);

    ck_assert_msg(task, "no task %s", name);
    ck_assert_uint_eq(task->head.flags & RECORD_TASK_KIND, kind);
    ck_assert_uint_gt(task->task.end, 0);
    ck_assert_uint_le(recording_spawn_of(task)->ready, task->task.begin);
    return task;
}

static void
run(weft_kind kind, const char *name, int value)
{
    weft_job *job = must_start(
        kind, &(weft_task){.fn = return_it, .name = name, WEFT_ARG(value)});

    must_join(job);
    (void)weft_outcome_of(job);
    weft_release(job);
}

/* The thread that the id stands for. */
static int
thread_of(uint64_t id)
{
    const struct recording_chunk *chunk =
        (const void *)(file.bytes +
                       (size_t)record_id_chunk(id) * RECORDING_CHUNK);

    ck_assert(record_id_is_thread(id));
    return chunk->tid;
}

START_TEST(a_task_of_each_kind_is_there)
{
    static const struct {
        weft_kind kind;
        unsigned recorded;
    } all[] = {{WEFT_THREAD, RECORD_THREAD},
               {WEFT_PROCESS, RECORD_PROCESS},
               {WEFT_SERIAL, RECORD_SERIAL}};

    run(all[_i].kind, "good", 0);
    run(all[_i].kind, "bad", 1);
    stop_and_read();
    const union record *good = task_named("good", all[_i].recorded);
    const union record *bad = task_named("bad", all[_i].recorded);

    ck_assert(!(good->head.flags & RECORD_FAILED));
    ck_assert(bad->head.flags & RECORD_FAILED);
    ck_assert_int_eq(thread_of(recording_spawn_of(good)->parent), getpid());
    ck_assert(recording_has_join(&file, good->task.id));
    ck_assert(recording_has_join(&file, bad->task.id));
    ck_assert_uint_eq(recording_count(&file, RECORD_TASK, NULL), 2);
    ck_assert((recording_chunk_of(&file, good)->pid == getpid()) ==
              (all[_i].kind != WEFT_PROCESS));
}

END_TEST

static int
start_two(weft_call *call)
{
    (void)call;
    run(WEFT_THREAD, "inner", 0);
    run(WEFT_SERIAL, "nested", 0);
    return 0;
}

START_TEST(a_task_is_the_parent_of_what_it_starts)
{
    expect_end(
        must_start(WEFT_THREAD, &(weft_task){.fn = start_two, .name = "outer"}),
        WEFT_OK);
    stop_and_read();
    const union record *outer = task_named("outer", RECORD_THREAD);
    const union record *inner = task_named("inner", RECORD_THREAD);
    const union record *nested = task_named("nested", RECORD_SERIAL);

    ck_assert_uint_eq(recording_spawn_of(inner)->parent, outer->task.id);
    ck_assert_uint_eq(recording_spawn_of(nested)->parent, outer->task.id);
    ck_assert_uint_ge(nested->task.begin, outer->task.begin);
    ck_assert_uint_le(nested->task.end, outer->task.end);
    ck_assert_ptr_eq(recording_chunk_of(&file, nested),
                     recording_chunk_of(&file, outer));
}

END_TEST

static int
die(weft_call *call)
{
    (void)call;
    raise(SIGKILL);
    return 0;
}

START_TEST(a_process_that_dies_leaves_its_task)
{
    weft_job *job =
        must_start(WEFT_PROCESS, &(weft_task){.fn = die, .name = "victim"});

    expect_end(job, WEFT_EDIED);
    /* The service thread says so, a moment later than the joiner goes on. */
    weft_fini();
    stop_and_read();
    const union record *task = recording_find(&file, RECORD_TASK, "victim", 0);
    const union record *died = recording_find(&file, RECORD_DIED, NULL, 0);

    ck_assert_ptr_nonnull(task);
    ck_assert_ptr_nonnull(died);
    ck_assert_uint_eq(task->task.end, 0);
    ck_assert_uint_eq(died->died.task, task->task.id);
    ck_assert_uint_gt(died->died.when, task->task.begin);
    ck_assert(died->head.flags & RECORD_FAILED);
}

END_TEST

START_TEST(what_comes_after_another_says_so)
{
    weft_job *first =
        must_start(WEFT_THREAD, &(weft_task){.fn = return_it, .name = "first"});
    weft_job *second = must_start(
        WEFT_THREAD,
        &(weft_task){.fn = return_it, .name = "second", .after = first});

    expect_end(second, WEFT_OK);
    expect_end(first, WEFT_OK);
    stop_and_read();
    const union record *after = recording_find(&file, RECORD_AFTER, NULL, 0);
    const union record *one = task_named("first", RECORD_THREAD);
    const union record *other = task_named("second", RECORD_THREAD);

    ck_assert_ptr_nonnull(after);
    ck_assert_uint_eq(after->after.task, other->task.id);
    ck_assert_uint_eq(after->after.on, one->task.id);
    ck_assert_uint_ge(after->after.when, one->task.end);
    ck_assert_uint_ge(recording_spawn_of(other)->ready, one->task.end);
}

END_TEST

START_TEST(a_delay_is_no_delay_in_the_queue)
{
    weft_job *job = must_start(
        WEFT_THREAD,
        &(weft_task){.fn = return_it, .name = "late", .delay = 20 * WEFT_MS});

    expect_end(job, WEFT_OK);
    stop_and_read();
    const struct record_spawn *spawn =
        recording_spawn_of(task_named("late", RECORD_THREAD));

    ck_assert_int_ge(recording_ns(file.header, spawn->ready) -
                         recording_ns(file.header, spawn->spawned),
                     19 * WEFT_MS);
}

END_TEST

/* --- pools */

START_TEST(a_pools_tasks_are_there_and_its_threads_are_not)
{
    weft_pool *pool;
    weft_job *job;

    ck_assert_int_eq(
        weft_pool_open(&pool, WEFT_THREAD, &(weft_pool_options){.workers = 2}),
        0);
    for (int i = 0; i < 3; i++) {
        ck_assert_int_eq(
            weft_submit(&job, pool,
                        &(weft_task){.fn = return_it, .name = "pooled"}),
            0);
        expect_end(job, WEFT_OK);
    }
    ck_assert_int_eq(
        weft_submit(
            &job, pool,
            &(weft_task){.fn = return_it, .name = "pooled", .blocking = true}),
        0);
    expect_end(job, WEFT_OK);
    ck_assert_int_eq(weft_pool_close(pool, WEFT_FOREVER), 0);
    stop_and_read();
    (void)task_named("pooled", RECORD_POOLED);
    ck_assert_uint_eq(recording_count(&file, RECORD_TASK, "pooled"), 4);
    ck_assert_uint_eq(recording_count(&file, RECORD_TASK, NULL), 4);
}

END_TEST

START_TEST(a_process_pools_tasks_are_there_and_its_workers_are_not)
{
    weft_pool *pool;
    weft_job *job;

    ck_assert_int_eq(
        weft_pool_open(&pool, WEFT_PROCESS, &(weft_pool_options){.workers = 1}),
        0);
    for (int i = 0; i < 3; i++) {
        ck_assert_int_eq(
            weft_submit(&job, pool,
                        &(weft_task){.fn = return_it, .name = "pooled"}),
            0);
        expect_end(job, WEFT_OK);
    }
    ck_assert_int_eq(weft_pool_close(pool, WEFT_FOREVER), 0);
    stop_and_read();
    const union record *task = task_named("pooled", RECORD_POOLED);

    ck_assert_int_ne(recording_chunk_of(&file, task)->pid, getpid());
    ck_assert(recording_has_join(&file, task->task.id));
    ck_assert_uint_eq(recording_count(&file, RECORD_TASK, NULL), 3);
}

END_TEST

struct forked {
    struct gate stolen, go;
    int tid;
};

static void
be_stolen(weft_lane *lane, void *frame)
{
    struct forked *forked = frame;

    (void)lane;
    forked->tid = gettid();
    gate_open(&forked->stolen);
    gate_pass(&forked->go);
}

static void
fork_one(weft_lane *lane, void *frame)
{
    struct forked *forked = frame;
    weft_lane *inner = weft_fork(lane, be_stolen, frame);

    (void)inner;
    gate_pass(&forked->stolen);
    gate_open(&forked->go);
    weft_sync(lane);
}

START_TEST(a_region_is_a_task_and_a_stolen_fork_is_another)
{
    weft_pool *pool;
    struct forked forked = {0};

    ck_assert_int_eq(
        weft_pool_open(&pool, WEFT_THREAD, &(weft_pool_options){.workers = 2}),
        0);
    ck_assert_int_eq(weft_enter(pool, fork_one, &forked, WEFT_FOREVER), 0);
    ck_assert_int_eq(weft_pool_close(pool, WEFT_FOREVER), 0);
    stop_and_read();
    ck_assert_uint_eq(recording_count(&file, RECORD_TASK, NULL), 2);
    const union record *a = recording_find(&file, RECORD_TASK, NULL, 0);
    const union record *b = recording_find(&file, RECORD_TASK, NULL, 1);
    const bool first = a->head.flags == RECORD_REGION;
    const union record *region = first ? a : b, *piece = first ? b : a;

    ck_assert_uint_eq(region->head.flags, RECORD_REGION);
    ck_assert_uint_eq(piece->head.flags, RECORD_PIECE);
    ck_assert_uint_eq(recording_spawn_of(piece)->parent, region->task.id);
    ck_assert_int_eq(recording_chunk_of(&file, piece)->tid, forked.tid);
    ck_assert_int_ne(forked.tid, getpid());
    const union record *join = recording_find(&file, RECORD_JOIN, NULL, 0);

    ck_assert_ptr_nonnull(join);
    ck_assert_uint_eq(join->join.joiner, region->task.id);
    ck_assert_uint_eq(join->join.joined, piece->task.id);
    ck_assert_uint_ge(join->join.when, piece->task.end);
}

END_TEST

static int
nothing(void *context, size_t begin, size_t end)
{
    (void)context;
    (void)begin;
    (void)end;
    return 0;
}

START_TEST(a_loop_goes_by_the_name_of_the_call)
{
    ck_assert_int_eq(weft_for(NULL, 1000, 1, nothing, NULL), 0);
    stop_and_read();
    (void)task_named("weft_for", RECORD_REGION);
}

END_TEST

/* --- waits */

static weft_mutex mutex;
static struct gate held;

static int
hold(weft_call *call)
{
    (void)call;
    weft_mutex_lock(&mutex);
    gate_open(&held);
    (void)weft_sleep(weft_in(30 * WEFT_MS));
    weft_mutex_unlock(&mutex);
    return 0;
}

START_TEST(a_wait_for_a_lock_says_which_and_who_has_it)
{
    ck_assert_int_eq(weft_label(&mutex, "the books"), 0);
    weft_job *job =
        must_start(WEFT_THREAD, &(weft_task){.fn = hold, .name = "holder"});

    gate_pass(&held);
    weft_mutex_lock(&mutex);
    weft_mutex_unlock(&mutex);
    expect_end(job, WEFT_OK);
    stop_and_read();
    const union record *wait =
        recording_find(&file, RECORD_WAIT, "the books", 0);
    const union record *holder = task_named("holder", RECORD_THREAD);

    ck_assert_ptr_nonnull(wait);
    ck_assert_uint_eq(wait->head.flags, RECORD_WAIT_MUTEX);
    ck_assert_uint_eq(wait->wait.object, (uintptr_t)&mutex);
    ck_assert_uint_gt(wait->wait.end, wait->wait.begin);
    ck_assert_uint_eq(wait->head.cpu, recording_chunk_of(&file, holder)->slot);
    ck_assert_int_eq(recording_chunk_of(&file, wait)->tid, getpid());
}

END_TEST

/* --- time on a CPU */

static volatile long sink;

static int
burn(weft_call *call)
{
    const struct weft_time until = weft_in(50 * WEFT_MS);

    (void)call;
    while (weft_now().ns < until.ns)
        sink++;
    return 0;
}

/* By the kernel's switches. */
static int64_t
measured(int tid, int64_t begin, int64_t end)
{
    const union record *run;
    int64_t sum = 0;
    unsigned n = 0;

    for (; (run = recording_find(&file, RECORD_RUN, NULL, n)); n++) {
        const int64_t from = run->run.begin > begin ? run->run.begin : begin;
        const int64_t to = run->run.end < end ? run->run.end : end;

        if (run->head.name == (uint32_t)tid && to > from)
            sum += to - from;
    }
    return sum;
}

START_TEST(time_on_a_cpu_is_measured_or_estimated)
{
    weft_job *job =
        must_start(WEFT_THREAD, &(weft_task){.fn = burn, .name = "busy"});

    must_join(job);
    const int64_t cpu = weft_outcome_of(job)->cpu;

    weft_release(job);
    stop_and_read();
    const union record *task = task_named("busy", RECORD_THREAD);
    const union record *on_cpu = recording_find(&file, RECORD_CPU, NULL, 0);

    ck_assert_ptr_nonnull(on_cpu);
    ck_assert_uint_eq(on_cpu->on_cpu.task, task->task.id);
    ck_assert_int_eq((int64_t)on_cpu->on_cpu.on_cpu, cpu);
    if (file.header->on_cpu == RECORDING_CPU_ESTIMATED)
        return;
    ck_assert_uint_eq(file.header->on_cpu, RECORDING_CPU_MEASURED);
    const int64_t begin = recording_ns(file.header, task->task.begin);
    const int64_t end = recording_ns(file.header, task->task.end);
    const int64_t sum =
        measured(recording_chunk_of(&file, task)->tid, begin, end);

    /* The kernel's two accounts differ by interrupts and stolen time. */
    ck_assert_int_ge(sum, cpu / 2);
    ck_assert_int_le(sum, end - begin);
}

END_TEST

/* Moves one of them. */
static void
take_cpu(cpu_set_t *from, cpu_set_t *to)
{
    unsigned cpu = 0;

    while (!CPU_ISSET(cpu, from))
        cpu++;
    CPU_CLR(cpu, from);
    CPU_ZERO(to);
    CPU_SET(cpu, to);
}

static void *
mark_and_go(void *tid)
{
    *(pid_t *)tid = gettid();
    weft_mark("about to end", 1);
    return NULL;
}

/* Nobody of the program needs the CPU after it. */
START_TEST(a_thread_that_has_ended_is_on_no_cpu)
{
    const int64_t idle = 300 * WEFT_MS;
    cpu_set_t cpus, first, second;
    pthread_attr_t attributes;
    pthread_t thread;
    pid_t tid = 0;

    ck_assert_int_eq(sched_getaffinity(0, sizeof cpus, &cpus), 0);
    if (CPU_COUNT(&cpus) < 2)
        return;
    take_cpu(&cpus, &first);
    take_cpu(&cpus, &second);
    ck_assert_int_eq(sched_setaffinity(0, sizeof first, &first), 0);
    ck_assert_int_eq(pthread_attr_init(&attributes), 0);
    ck_assert_int_eq(
        pthread_attr_setaffinity_np(&attributes, sizeof second, &second), 0);
    ck_assert_int_eq(pthread_create(&thread, &attributes, mark_and_go, &tid),
                     0);
    ck_assert_int_eq(pthread_join(thread, NULL), 0);
    pthread_attr_destroy(&attributes);
    const int64_t from = weft_now().ns;

    ck_assert_int_eq(weft_sleep(weft_in(idle)), 0);
    stop_and_read();
    if (file.header->on_cpu == RECORDING_CPU_MEASURED)
        ck_assert_int_lt(measured(tid, from, from + idle), idle / 2);
}

END_TEST

int
main(void)
{
    Suite *suite = suite_create("registry/recorder");
    TCase *tasks = support_case(suite, "tasks", 20);
    TCase *waits = support_case(suite, "waits", 20);

    tcase_add_checked_fixture(tasks, set_up, tear_down);
    tcase_add_checked_fixture(waits, set_up, tear_down);
    tcase_add_loop_test(tasks, a_task_of_each_kind_is_there, 0, 3);
    tcase_add_test(tasks, a_task_is_the_parent_of_what_it_starts);
    tcase_add_test(tasks, a_process_that_dies_leaves_its_task);
    tcase_add_test(tasks, what_comes_after_another_says_so);
    tcase_add_test(tasks, a_delay_is_no_delay_in_the_queue);
    tcase_add_test(tasks, a_pools_tasks_are_there_and_its_threads_are_not);
    tcase_add_test(tasks,
                   a_process_pools_tasks_are_there_and_its_workers_are_not);
    tcase_add_test(tasks, a_region_is_a_task_and_a_stolen_fork_is_another);
    tcase_add_test(tasks, a_loop_goes_by_the_name_of_the_call);
    tcase_add_test(waits, a_wait_for_a_lock_says_which_and_who_has_it);
    tcase_add_test(waits, time_on_a_cpu_is_measured_or_estimated);
    tcase_add_test(waits, a_thread_that_has_ended_is_on_no_cpu);
    return support_run(suite);
}
