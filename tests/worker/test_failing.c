/* Each allocation and each call of the system fails once, in turn. Whatever it
 * was for then succeeds all the same, or is refused with a sentence; nothing
 * hangs, nothing is left behind, and the next try succeeds. */
#include "support/sweep.h"

#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum {
    SOURCES = 100
};

/* --- what they run */

static int
sleep_for_ever(weft_call *call)
{
    (void)call;
    atomic_fetch_add(&seen->ran, 1);
    return weft_sleep(WEFT_FOREVER);
}

static int
write_byte(weft_call *call)
{
    const int *fd = call->arg;

    atomic_fetch_add(&seen->ran, 1);
    return write(*fd, "x", 1) == 1 ? 0 : -1;
}

static int
twice_in(weft_kind kind, const weft_worker_options *worker)
{
    weft_job *job = NULL;
    int number = 21, result = 0;
    int status = start(&job, kind,
                       &(weft_task){.fn = twice,
                                    WEFT_ARG(number),
                                    .result_size = sizeof result,
                                    .worker = worker});

    if (status < 0)
        return status;
    status = note(weft_result(job, &result, sizeof result, WEFT_FOREVER));
    child_expect(status < 0 || result == 42);
    return either(status, finish(job));
}

/* --- the scenarios */

static int
a_thread(void)
{
    return twice_in(WEFT_THREAD, NULL);
}

static int
a_thread_of_its_own(void)
{
    const unsigned cpu = 0;

    return twice_in(WEFT_THREAD, &(weft_worker_options){.stack_size = 1 << 18,
                                                        .cpus = &cpu,
                                                        .cpu_count = 1});
}

static int
a_process(void)
{
    return twice_in(WEFT_PROCESS, NULL);
}

static int
a_process_with_options(void)
{
    const unsigned cpu = 0;

    return twice_in(WEFT_PROCESS, &(weft_worker_options){.stack_size = 1 << 18,
                                                         .cpus = &cpu,
                                                         .cpu_count = 1});
}

static int
a_fork(void)
{
    return twice_in(WEFT_PROCESS, &(weft_worker_options){.method = WEFT_FORK});
}

static int
a_stopped_process(void)
{
    weft_job *job = NULL;
    int status = start(
        &job, WEFT_PROCESS,
        &(weft_task){.fn = sleep_for_ever,
                     .worker = &(weft_worker_options){.grace = 20 * WEFT_MS}});

    if (status < 0)
        return status;
    child_expect(weft_stop(job) == 0);
    status = finish(job);
    return status == WEFT_ECANCELED ? 0 : status;
}

static int
a_delay_and_a_timeout(void)
{
    weft_job *late = NULL, *timed = NULL;
    int status = start(&late, WEFT_THREAD,
                       &(weft_task){.fn = nothing, .delay = WEFT_MS});

    if (status == 0)
        status =
            start(&timed, WEFT_THREAD,
                  &(weft_task){.fn = sleep_for_ever, .timeout = 2 * WEFT_MS});
    status = either(status, finish(late));
    const int end = finish(timed);

    return either(status, end == WEFT_ETIMEDOUT ? 0 : end);
}

static int
a_delayed_process(void)
{
    weft_job *job = NULL;
    const int status = start(&job, WEFT_PROCESS,
                             &(weft_task){.fn = nothing, .delay = WEFT_MS});

    return either(status, finish(job));
}

static int
a_scope(void)
{
    weft_scope *scope = NULL;
    weft_job *job;
    int status =
        note(weft_scope_open(&scope, &(weft_scope_options){.name = "pair"}));

    for (int i = 0; i < 2 && status == 0; i++)
        status = start(NULL, i ? WEFT_THREAD : WEFT_PROCESS,
                       &(weft_task){.fn = nothing, .scope = scope});
    for (int i = 0; i < 2 && status == 0; i++)
        status = note(weft_scope_next(scope, &job, WEFT_FOREVER));
    return either(status, note(weft_scope_close(scope, WEFT_FOREVER)));
}

static int
wait_for_byte(weft_job *never, int pipe)
{
    weft_source sources[SOURCES];

    for (int i = 0; i < SOURCES - 1; i++)
        sources[i] = (weft_source){.job = never};
    sources[SOURCES - 1] = (weft_source){.fd = pipe, .events = WEFT_READABLE};
    const int status = note(weft_wait_any(sources, SOURCES, 0, WEFT_FOREVER));

    child_expect(status < 0 || status == SOURCES - 1);
    return status < 0 ? status : 0;
}

static int
any_of_many(void)
{
    weft_job *never = NULL, *writer = NULL;
    int ends[2];

    child_expect(pipe(ends) == 0);
    int status =
        start(&never, WEFT_THREAD,
              &(weft_task){.fn = nothing, .delay = 9999 * WEFT_SECOND});

    if (status == 0)
        status = start(&writer, WEFT_THREAD,
                       &(weft_task){.fn = write_byte, WEFT_ARG(ends[1])});
    if (status == 0)
        status = wait_for_byte(never, ends[0]);
    status = either(status, finish(writer));
    if (never)
        child_expect(weft_stop(never) == 0);
    const int end = finish(never);

    close(ends[0]);
    close(ends[1]);
    return either(status, end == WEFT_ECANCELED ? 0 : end);
}

static int
names_and_lists(void)
{
    static int object;
    weft_worker workers[8];
    char text[WEFT_TEXT];
    int status = note(weft_set_name("failing"));

    status = either(status, note(weft_label(&object, "thing")));
    const size_t count =
        weft_list(WEFT_THREADS | WEFT_PROCESSES | WEFT_SERVICES, workers, 8);

    for (size_t i = 0; i < count && i < 8; i++)
        child_expect(*weft_describe(&workers[i], text, sizeof text));
    return either(status, note(weft_label(&object, NULL)));
}

static int
the_runtime(void)
{
    return note(weft_init(NULL));
}

static void
count_end(void *arg)
{
    (void)arg;
    atomic_fetch_add(&seen->ran, 1);
}

static void *
be_foreign(void *arg)
{
    int *status = arg;
    int ends[2];

    child_expect(pipe(ends) == 0 && write(ends[1], "x", 1) == 1);
    const weft_source source = {.fd = ends[0], .events = WEFT_READABLE};

    *status = note(weft_set_name("foreign"));
    *status = either(*status, note(weft_at_end(count_end, NULL)));
    if (*status == 0)
        atomic_fetch_add(&seen->started, 1);
    *status = either(*status, note(weft_wait_any(&source, 1, 0, WEFT_FOREVER)));
    *status = either(*status, note(weft_sleep(weft_in(WEFT_MS))));
    close(ends[0]);
    close(ends[1]);
    return NULL;
}

static int
a_foreign_thread(void)
{
    int status = 0;
    pthread_t thread;

    weft_self();
    child_expect(pthread_create(&thread, NULL, be_foreign, &status) == 0);
    child_expect(pthread_join(thread, NULL) == 0);
    return status;
}

static int
a_descriptor(void)
{
    weft_job *job = NULL;
    int status = start(&job, WEFT_THREAD, &(weft_task){.fn = nothing});

    if (status < 0)
        return status;
    const int fd = note(weft_fd(job));
    struct pollfd poll_one = {.fd = fd, .events = POLLIN};

    child_expect(fd < 0 || poll(&poll_one, 1, SWEEP_PATIENCE) == 1);
    status = finish(job);
    return fd < 0 ? fd : status;
}

/* A receive that failed has left the message where it was, unless it took it
 * for forged. */
static int
receive(int end, weft_message *message)
{
    const weft_message room = *message;
    const int status = note(
        weft_pipe_receive(end, message, weft_in(SWEEP_PATIENCE / 2 * WEFT_MS)));

    if (status < 0 && status != WEFT_EMISMATCH) {
        child_expect(message->size == room.size);
        child_expect(weft_pipe_receive(end, message, WEFT_FOREVER) == 0);
    }
    return status;
}

static int
send_late(weft_call *call)
{
    const int *end = call->arg;

    atomic_fetch_add(&seen->ran, 1);
    (void)weft_sleep(weft_in(WEFT_MS));
    if (note(weft_pipe_send(*end, &(weft_message){.size = 0}, WEFT_FOREVER)) <
        0)
        child_expect(weft_pipe_send(*end, &(weft_message){.size = 0},
                                    WEFT_FOREVER) == 0);
    return 0;
}

static int
pass(const int ends[2], size_t size, size_t fd_count)
{
    static char bytes[100000], room[sizeof bytes];
    int fds[WEFT_PIPE_FDS];

    for (size_t i = 0; i < fd_count; i++)
        fds[i] = ends[0];
    weft_message message = {bytes, size, fds, fd_count};
    int status = note(weft_pipe_send(ends[0], &message, WEFT_FOREVER));

    if (status < 0)
        return status;
    message = (weft_message){room, sizeof room, fds, WEFT_PIPE_FDS};
    status = receive(ends[1], &message);
    if (status == WEFT_EMISMATCH)
        return status;
    child_expect(message.size == size && message.fd_count == fd_count);
    for (size_t i = 0; i < fd_count; i++)
        close(fds[i]);
    return status;
}

static int
a_pipe(void)
{
    weft_job *job = NULL;
    int ends[2], late = 0;
    int status = note(weft_pipe_open(ends));

    if (status < 0)
        return status;
    status = either(status, pass(ends, 10, 2));
    status = either(status, pass(ends, 100000, 2));
    status = either(status, pass(ends, 100000, WEFT_PIPE_FDS));
    const int started = start(&job, WEFT_THREAD,
                              &(weft_task){.fn = send_late, WEFT_ARG(ends[0])});

    if (started == 0) {
        weft_message none = {0};

        late = receive(ends[1], &none);
        late = either(late, finish(job));
    }
    close(ends[0]);
    close(ends[1]);
    return either(status, either(started, late));
}

static int
take_and_give(weft_call *call)
{
    void *block = weft_shared_alloc(100);

    (void)call;
    atomic_fetch_add(&seen->ran, 1);
    if (!block) /* a worker may be without the heap */
        return weft_fail(call, "%s", weft_why());
    weft_shared_free(block);
    return 0;
}

/* What cannot be had is NULL, and what is had is zero. */
static int
some_blocks(void)
{
    static const size_t sizes[] = {1, 5000, 100000};
    int status = 0;

    for (int i = 0; i < 6; i++) {
        const size_t size = sizes[i % 3];
        char *block = weft_shared_alloc(size);

        if (!block) {
            status = either(status, note(WEFT_ENOMEM));
            continue;
        }
        child_expect(block[0] == 0 && memcmp(block, block + 1, size - 1) == 0);
        memset(block, 1, size);
        weft_shared_free(block);
    }
    child_expect(weft_shared_used() == 0);
    return status;
}

static int
the_heap(void)
{
    weft_job *job = NULL;
    int status = some_blocks();

    status = either(
        status, start(&job, WEFT_PROCESS, &(weft_task){.fn = take_and_give}));
    return either(status, finish(job));
}

static void
pass_on(weft_job *job, void *context)
{
    const weft_outcome *outcome = weft_outcome_of(job);
    weft_job *promise = context;

    if (note(weft_keep(promise, outcome->status, outcome->result,
                       outcome->result_size)) == WEFT_ENOMEM)
        child_expect(weft_keep(promise, WEFT_EFAILED, NULL, 0) == 0);
    weft_release(promise);
}

/* A promise that a function keeps when a job has ended, and one that nobody
 * does. */
static int
a_promise(void)
{
    weft_job *promise = NULL, *lost = NULL, *job = NULL;
    int number = 21, result = 0;
    int status = note(weft_promise(&promise, "answer"));

    if (status < 0)
        return status;
    status = either(status, note(weft_promise(&lost, "lost")));
    weft_release(lost);
    const int started =
        start(&job, WEFT_THREAD,
              &(weft_task){
                  .fn = twice, WEFT_ARG(number), .result_size = sizeof result});
    int asked = started;

    if (started == 0)
        asked = note(weft_on_end(job, pass_on, weft_retain(promise)));
    if (asked < 0) {
        if (started == 0)
            weft_release(promise); /* the one that pass_on did not get */
        child_expect(weft_stop(promise) == 0);
    }
    status = either(status, either(asked, finish(job)));
    const int end = finish(promise);

    return either(status, end);
}

/* What cannot begin fails, or is canceled with what it was to follow. */
static int
a_sequence(void)
{
    static const weft_kind order[] = {WEFT_PROCESS, WEFT_THREAD, WEFT_PROCESS};
    weft_job *jobs[3] = {NULL};
    int number = 21, status = 0;

    for (int i = 0; i < 3 && status == 0; i++)
        status = start(&jobs[i], order[i],
                       &(weft_task){.fn = twice,
                                    .arg = i ? NULL : &number,
                                    .arg_size = i ? 0 : sizeof number,
                                    .after = i ? jobs[i - 1] : NULL,
                                    .delay = i == 2 ? WEFT_MS : 0,
                                    .result_size = sizeof number});
    for (int i = 0; i < 3; i++)
        status = either(status, finish(jobs[i]));
    return status;
}

static const struct sweep_scenario scenarios[] = {
    {"a thread", a_thread},
    {"a thread of its own", a_thread_of_its_own},
    {"a process", a_process},
    {"a process with options", a_process_with_options},
    {"a fork", a_fork},
    {"a stopped process", a_stopped_process},
    {"a delay and a timeout", a_delay_and_a_timeout},
    {"a delayed process", a_delayed_process},
    {"a scope", a_scope},
    {"any of many", any_of_many},
    {"names and lists", names_and_lists},
    {"the runtime", the_runtime},
    {"a foreign thread", a_foreign_thread},
    {"a descriptor", a_descriptor},
    {"a pipe", a_pipe},
    {"the heap", the_heap},
    {"a promise", a_promise},
    {"a sequence", a_sequence},
};

int
main(void)
{
    return sweep_main("failing", scenarios,
                      sizeof scenarios / sizeof *scenarios);
}
