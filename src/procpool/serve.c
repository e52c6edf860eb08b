/* The worker's side: takes what is offered, runs it, answers. */
#include "base/why.h"
#include "procpool/caps.h"
#include "procpool/procpool.h"
#include "wait/stop.h"
#include "worker/meter.h"
#include "worker/outcome.h"

#include <weft/status.h>

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdio_ext.h>
#include <stdlib.h>
#include <string.h>

enum {
    LEAST = 64 * 1024, /* bytes of a result's memory */
    HURRY = 127,       /* exit code of a worker that cannot go on */
    KEEP = 1024 * 1024 /* bytes of a result's memory that are kept */
};

/* Everything of the worker that this process is. */
static struct {
    const struct serve_terms *terms;
    struct channel_door *door;
    struct channel_answer *fresh;
    const struct channel_desk *desk;
    const struct channel_function *functions;
    const char *argument; /* CHANNEL_WINDOW bytes */
    int file, bell;
    const int *fds; /* the user's */

    struct {
        uint32_t number;
        weft_fn *fn;
    } known[CHANNEL_FUNCTIONS];

    char *result; /* memory for one; `room` bytes */
    size_t room;
    uint32_t large; /* results that lay in the file's large part */
    struct meter meter;
    struct channel_answer *answer; /* where the next one is written */
    struct channel_answer prepared;
    uint32_t last, kept; /* answers: the last one, and the last in `answers` */
    char message[TEXT_MESSAGE];
} worker;

/* --- setting up */

static int
map_channel(void)
{
    void *at;
    int status = os_map_part(&at, CHANNEL_ANSWERS_AT, worker.file,
                             CHANNEL_DOOR_AT, OS_READ | OS_WRITE);

    if (status < 0)
        return why_system(status, "cannot map the channel");
    worker.door = at;
    worker.fresh = (void *)((char *)at + CHANNEL_FRESH_AT);
    status = os_map_part(&at, CHANNEL_MAPPED - CHANNEL_DESK_AT, worker.file,
                         CHANNEL_DESK_AT, OS_READ);
    if (status < 0)
        return why_system(status, "cannot map the channel");
    const char *start = at;

    worker.desk = at;
    worker.functions =
        (const void *)(start + CHANNEL_FUNCTIONS_AT - CHANNEL_DESK_AT);
    worker.argument = start + CHANNEL_ARGUMENT_AT - CHANNEL_DESK_AT;
    return 0;
}

/* Above all that a task opens: no file of a task that has closed everything
 * gets the number of one of these. */
static int
move_up(int fd)
{
    for (int place = 1 << 16; place > 512; place /= 2) {
        const int up = os_copy_fd(fd, place);

        if (up < 0)
            continue;
        os_close(fd);
        return up;
    }
    return fd;
}

static int
open_channel(weft_call *call)
{
    const size_t own = call->fd_count - 2;

    worker.terms = call->arg;
    worker.file = move_up(call->fds[own]);
    worker.bell = move_up(call->fds[own + 1]);
    worker.fds = own ? call->fds : NULL;
    return map_channel();
}

/* --- answering */

/* Nothing more can be said but by dying. */
static _Noreturn void
give_up(void)
{
    atomic_store(&worker.door->trouble, CHANNEL_CLOSED);
    os_exit_now(HURRY);
}

/* Where no task can reach it. */
static void
keep(unsigned place, const struct channel_answer *answer)
{
    if (os_file_put(worker.file, channel_answer_at(place), answer,
                    channel_used(answer)) < 0)
        give_up();
}

/* Before a task is taken: answers that were not collected. */
static void
keep_all(void)
{
    const uint32_t collected = atomic_load(&worker.desk->collected);

    if ((int32_t)(collected - worker.kept) > 0)
        worker.kept = collected;
    /* What was taken back counts as collected, though it was not answered. */
    while ((int32_t)(worker.last - worker.kept) > 0) {
        const unsigned place = channel_place(++worker.kept);

        if (atomic_load(&worker.fresh[place].number) == worker.kept)
            keep(place, &worker.fresh[place]);
    }
}

/* Somebody looks, or sleeps, or is rung for: see channel.h. */
static void
ring(void)
{
    atomic_fetch_add(&worker.door->done, 1);
    if (atomic_load(&worker.desk->visitors) > 0) {
        if (atomic_load(&worker.desk->sleepers) > 0)
            os_futex_wake(&worker.door->done, 1, true);
    } else if (os_event_ring(worker.bell) < 0) {
        give_up();
    }
}

/* The answer is complete: its number last. */
static void
seal_answer(uint32_t number)
{
    worker.answer->seal = channel_seal(worker.answer, number);
    atomic_store_explicit(&worker.answer->number, number, memory_order_release);
}

static void
tell(uint32_t number)
{
    seal_answer(number);
    worker.last = number;
    ring();
}

static void
say(const char *message)
{
    const size_t size = strlen(message);

    worker.answer->message_size = (uint32_t)size;
    worker.answer->result_size = 0;
    memcpy(worker.answer->bytes, message, size);
}

/* One large result at a time lies in the file: the one before it must have been
 * fetched. */
static void
wait_until_fetched(void)
{
    const _Atomic uint32_t *fetched = &worker.desk->fetched;
    uint32_t seen;

    while ((seen = atomic_load(fetched)) != worker.large)
        (void)os_futex_wait(fetched, seen, OS_NEVER, true);
    worker.large++;
}

static void
put_result(const weft_call *call)
{
    const size_t size = call->result_size;

    worker.answer->result_size = size;
    if (size <= CHANNEL_BYTES) {
        if (size)
            memcpy(worker.answer->bytes, call->result, size);
        return;
    }
    wait_until_fetched();
    const int status =
        size > worker.terms->room
            ? -ENOMEM
            : os_file_put(worker.file, channel_result_at(worker.terms->room),
                          call->result, size);

    if (status == 0)
        return;
    if (status == -EBADF)
        give_up();
    worker.large--;
    worker.answer->end = CHANNEL_LOST;
    worker.answer->code = WEFT_ENOMEM;
    say("there is no memory to hand over its result");
}

static void
fill_answer(const struct job_call *own, int code)
{
    const char *message = own->message;

    worker.answer->end = CHANNEL_RETURNED;
    worker.answer->code = code;
    worker.answer->message_size = 0;
    worker.answer->result_size = 0;
    if (code == 0 && (!message || own->call.result_size > 0))
        put_result(&own->call);
    else if (message)
        say(message);
}

static void
answer_without(uint32_t number, enum channel_end end, int code,
               const char *message)
{
    worker.answer->end = end;
    worker.answer->code = code;
    worker.answer->wall = worker.answer->cpu = 0;
    say(message);
    tell(number);
}

/* --- what a task is given */

static weft_fn *
find_function(uint32_t number)
{
    const unsigned place = number % CHANNEL_FUNCTIONS;

    if (worker.known[place].number != number) {
        worker.known[place].fn =
            image_load(&worker.functions[place].ref, worker.terms->copied);
        worker.known[place].number = number;
    }
    return worker.known[place].fn;
}

/* Its bytes, for who does not find them on the desk or in the window: the whole
 * is mapped meanwhile. NULL: no memory. */
static const void *
map_argument(const struct channel_task *task, size_t size)
{
    void *at = NULL;

    if (size == 0 && task->arg_at)
        return (const void *)(uintptr_t)task->arg_at;
    if (size <= CHANNEL_INLINE)
        return task->arg;
    if (size <= CHANNEL_WINDOW)
        return worker.argument;
    return os_map_part(&at, size, worker.file, CHANNEL_ARGUMENT_AT, OS_READ) < 0
               ? NULL
               : at;
}

static void
unmap_argument(const void *argument, size_t size)
{
    if (size > CHANNEL_WINDOW)
        os_unmap((void *)(uintptr_t)argument, size);
}

/* Zeroed room for a result, never NULL. */
static bool
make_room(size_t size)
{
    const size_t room = size > LEAST ? size : LEAST;
    void *fresh = NULL;

    if (worker.result && size <= worker.room) {
        memset(worker.result, 0, size);
        return true;
    }
    if (!os_memory_is_left(room) ||
        os_map(&fresh, room, -1, OS_READ | OS_WRITE) < 0)
        return false;
    if (worker.result)
        os_unmap(worker.result, worker.room);
    worker.result = fresh;
    worker.room = room;
    return true;
}

static void
drop_room(void)
{
    if (worker.room <= KEEP)
        return;
    os_unmap(worker.result, worker.room);
    worker.result = NULL;
    worker.room = 0;
}

/* --- running */

static struct job_call
make_call(const struct serve_terms *terms, const void *argument,
          size_t arg_size, size_t result_size)
{
    return (struct job_call){
        .call = {.arg = argument,
                 .arg_size = arg_size,
                 .result = result_size ? worker.result : NULL,
                 .result_size = result_size,
                 .fds = worker.fds,
                 .fd_count = terms->fd_count},
        .space = worker.message,
        .start = worker.result,
        .room = worker.room,
    };
}

/* A stop of the task, or of the worker, ends the task's waits. */
static int
call_with_stop(weft_fn *fn, struct job_call *own, const _Atomic uint32_t *asked)
{
    struct self *self = self_get();
    struct stop_cell cell;
    struct stop stop = {
        .asked = asked, .cell = &cell, .remote = true, .outer = self->stop};
    weft_outcome times;
    const int64_t begun = os_now();
    const int64_t cpu = meter_begin(&worker.meter, begun);

    stop_cell_init(&cell);
    self->stop = asked ? &stop : self->stop;
    const int code = fn(&own->call);

    self->stop = stop.outer;
    self->shield = 0;
    meter_end(&worker.meter, begun, cpu, &times);
    worker.answer->wall = times.wall;
    worker.answer->cpu = times.cpu;
    return code;
}

/* What a task has printed is there when its end is known. */
static void
flush(void)
{
    if (__fpending(stdout) > 0)
        (void)fflush(stdout);
}

static void
run(uint32_t number, const struct channel_task *task)
{
    const size_t arg_size = task->arg_size;
    weft_fn *fn = find_function(task->function);
    const void *argument = map_argument(task, arg_size);

    if (!fn) {
        answer_without(number, CHANNEL_LOST, WEFT_ENOTINIMAGE,
                       "its function is not in the worker's image, nor in its "
                       "library as it is now");
    } else if (!argument || !make_room(task->result_size)) {
        answer_without(number, CHANNEL_LOST, WEFT_ENOMEM,
                       "the worker has no memory for its argument and result");
    } else {
        struct job_call own =
            make_call(worker.terms, arg_size || task->arg_at ? argument : NULL,
                      arg_size, task->result_size);

        own.call.attempt = task->attempt;
        struct recorded recorded = task->recorded;

        self_show_task(self_get(), task->label);
        record_begin(&recorded, RECORD_POOLED, task->label);
        const int code = call_with_stop(fn, &own, &task->stop);

        record_end(&recorded, code != 0);
        record_on_cpu(&recorded, worker.answer->cpu, worker.answer->wall);
        flush();
        if (!os_is_open(worker.file)) /* no later answer could be kept */
            give_up();
        fill_answer(&own, code);
        tell(number);
        free(own.owned);
        drop_room();
    }
    if (argument)
        unmap_argument(argument, arg_size);
}

static void
begin(uint32_t number)
{
    const struct channel_task *task =
        &worker.desk->tasks[channel_place(number)];

    if (atomic_load(&task->stop) != 0)
        answer_without(number, CHANNEL_NEVER_BEGAN, 0, "");
    else
        run(number, task);
}

/* Whether it is this worker's: the desk says that it was offered, so what the
 * claim says else than that, or that it was taken back, a task has scribbled
 * there. */
static bool
claim_it(uint32_t number)
{
    const unsigned place = channel_place(number);
    _Atomic uint32_t *claim = &worker.door->claims[place];
    const uint32_t offered = channel_claim(number, CHANNEL_OFFERED);
    uint32_t found = offered;

    while (!atomic_compare_exchange_strong(
        claim, &found, channel_claim(number, CHANNEL_TAKEN))) {
        if (found == channel_claim(number, CHANNEL_RETRACTED) ||
            atomic_load(&worker.desk->tasks[place].retracted) == number ||
            (int32_t)(atomic_load(&worker.desk->collected) - number) >= 0)
            return false;
        atomic_store(claim, offered);
        found = offered;
    }
    return true;
}

static void
take(uint32_t number)
{
    keep_all();
    worker.answer = &worker.fresh[channel_place(number)];
    if (claim_it(number))
        begin(number);
}

/* False: the worker is to go. */
static bool
wait_for_offer(uint32_t seen)
{
    const struct wait_terms terms = {
        .until = OS_NEVER, .shared = true, .kind = SLOT_WAIT_WORK};

    self_show_task(self_get(), "");
    /* Whatever a task has left there: nobody else ever sleeps on it. */
    atomic_store(&worker.door->offers.parked, 0);
    return wait_while(&worker.door->offers, seen, &terms) != WEFT_ECANCELED;
}

static void
work(void)
{
    for (uint32_t number = 1;;) {
        const uint32_t seen = atomic_load(&worker.door->offers.value);
        const uint32_t desk =
            atomic_load(&worker.desk->tasks[channel_place(number)].number);

        if (desk == number)
            take(number++);
        else if ((int32_t)(desk - number) > 0)
            number++; /* retracted, and the place is another's */
        else if (!wait_for_offer(seen))
            return;
    }
}

/* --- the worker's function */

static int
prepare(void)
{
    const struct serve_terms *terms = worker.terms;
    weft_fn *fn = image_load(&terms->prepare, terms->copied);

    if (!fn || !make_room(terms->prepare_room))
        return why_set(WEFT_ENOTINIMAGE,
                       "its function is not in the worker's image");
    struct job_call own =
        make_call(terms, terms->prepare_size ? terms + 1 : NULL,
                  terms->prepare_size, terms->prepare_room);
    worker.answer = &worker.prepared;
    const int code = call_with_stop(fn, &own, NULL);

    flush();
    fill_answer(&own, code);
    seal_answer(1);
    keep(CHANNEL_PREPARED, &worker.prepared);
    ring();
    free(own.owned);
    return code;
}

int
serve(weft_call *call)
{
    int status = open_channel(call);

    if (status < 0)
        return weft_fail(call, "%s", weft_why());
    caps_set(worker.terms->cpus);
    if (worker.terms->prepares && prepare() != 0)
        return 0; /* the pool knows */
    work();
    return 0;
}
