#include "worker/child.h"

#include "base/why.h"
#include "os/trampoline.h"
#include "registry/self.h"
#include "shm/heap.h"
#include "wait/certificate.h"
#include "wait/stop.h"
#include "worker/at_end.h"
#include "worker/context.h"
#include "worker/crash.h"
#include "worker/job.h"
#include "worker/outcome.h"
#include "worker/runtime.h"

#include <weft/status.h>

#include <limits.h>
#include <stdio.h>
#include <stdio_ext.h>
#include <stdlib.h>
#include <string.h>

enum {
    LOST = 127 /* exit code of a worker that could not even begin */
};

/* Everything of the one task that this process is for. */
static struct {
    char *control; /* struct wire_control, argument, strings */
    char *crash;   /* struct wire_crash, report, result */
    struct wire_report *report;
    struct stop stop;
    struct stop_cell cell;
    struct job_call call;
    int handed[WIRE_HANDED];
    weft_fn *fn;
    struct recorded recorded;
    int code;
} child;

static bool within; /* a worker; stays so in what it forks */

bool
child_is_within(void)
{
    return within;
}

static const struct wire_control *
control(void)
{
    return (const struct wire_control *)(const void *)child.control;
}

/* --- what copies of this process start with */

static void
leave(int status, void *unused)
{
    (void)unused;
    runtime_close(true); /* the worker's own jobs */
    fflush(NULL);
    os_exit_now(status);
}

static void
read_nothing(void)
{
    const int null = os_open_null();

    if (null >= 0)
        (void)os_move(null, 0);
    if (null > 2)
        os_close(null);
    __fpurge(stdin);
}

void
child_ready(void)
{
    read_nothing();
    (void)on_exit(leave, NULL);
    os_signals_default();
    crash_catch();
}

void
child_prepare(int program)
{
    if (os_die_with(program) < 0)
        os_exit_now(LOST);
    (void)os_group_lead();
    runtime_forked("weft-ready", program);
    (void)certificate_make(self_get()); /* without a slot there is none */
    policy_enter(self_get());
}

/* --- the memory that it shares with the program */

static void
tell(enum wire_phase phase)
{
    atomic_store(&child.report->phase.value, phase);
    wait_wake(&child.report->phase, INT_MAX, true);
}

/* The start, or, when nobody waits for that any more, the job fails with the
 * sentence. */
static _Noreturn void
refuse(int status)
{
    child.report->code = status;
    strncpy(child.report->message, weft_why(), TEXT_MESSAGE - 1);
    tell(WIRE_REFUSED);
    os_exit_now(LOST);
}

/* As much room for a result that grows as the address space has. */
static size_t
map_room(const struct wire_request *request, int fd, void **at)
{
    const size_t from = wire_first_size(request);
    size_t room = request->result_room;

    for (;;) {
        const size_t size = wire_size(request, room) - from;

        if (os_map_part(at, size, fd, from, 0) == 0) {
            os_keep_out_of_core(*at, size);
            return room;
        }
        if (room <= request->result_size)
            os_exit_now(LOST);
        room =
            room / 16 > request->result_size ? room / 16 : request->result_size;
    }
}

/* What lies before the second part and beyond the result cannot be touched. */
static void
map_second(const struct wire_request *request, int fd)
{
    const size_t size =
        wire_size(request, request->result_size) - wire_crash_at(request);
    void *at;

    child.call.room = map_room(request, fd, &at);
    child.call.open = size - (wire_report_at(request) + WIRE_RESULT_AT -
                              wire_crash_at(request));
    child.crash = (char *)at + OS_PAGE;
    if (os_protect(child.crash, size, OS_READ | OS_WRITE) < 0)
        os_exit_now(LOST);
}

static void
map_share(const struct wire_request *request, int fd)
{
    void *first;

    if (os_map(&first, wire_first_size(request), fd, OS_READ) < 0)
        os_exit_now(LOST);
    map_second(request, fd);
    child.control = first;
    child.report =
        (struct wire_report *)(void *)(child.crash + wire_report_at(request) -
                                       wire_crash_at(request));
    child.call.fixed = true;
    child.call.space = child.report->message;
    child.call.call = (weft_call){
        .arg = request->arg_size ? child.control + WIRE_ARG_AT
                                 : (const void *)(uintptr_t)request->arg_at,
        .arg_size = request->arg_size,
        .result =
            request->result_size ? (char *)child.report + WIRE_RESULT_AT : NULL,
        .result_size = request->result_size,
    };
    child.call.start = (char *)child.report + WIRE_RESULT_AT;
}

/* --- becoming a worker */

/* The user's descriptors become 3 and up, whatever they were; nothing else
 * stays open. Copied above all of them first, since one may lie where another
 * is to be. */
static void
take_handed(unsigned count, const int *fds)
{
    int top = 3 + (int)count;

    for (unsigned i = 0; i < count; i++)
        if (fds[i] >= top)
            top = fds[i] + 1;
    for (unsigned i = 0; i < count; i++) {
        const int status = child.handed[i] = os_copy_fd(fds[i], top);

        if (status < 0)
            refuse(why_system(status, "worker.fds"));
    }
    for (unsigned i = 0; i < count; i++)
        child.handed[i] = os_move(child.handed[i], 3 + (int)i);
    os_close_from(3 + (int)count);
    child.call.call.fds = count ? child.handed : NULL;
    child.call.call.fd_count = count;
}

/* The caller's outputs and directory. */
static void
take_fds(const struct wire_request *request, const int *fds)
{
    static char line[BUFSIZ];

    if ((fds[WIRE_STDOUT] >= 0 && os_move(fds[WIRE_STDOUT], 1) < 0) ||
        (fds[WIRE_STDERR] >= 0 && os_move(fds[WIRE_STDERR], 2) < 0) ||
        (fds[WIRE_HERE] >= 0 && os_go_there(fds[WIRE_HERE]) < 0))
        os_exit_now(LOST); /* rather not at all than in the wrong place */
    for (int fd = 1; fd <= 2; fd++)
        if (request->closed & 1u << fd)
            os_close(fd);
    /* A crash loses little. The buffer is fresh: to one that was in use before
     * the mode comes too late, until it is written out. */
    if (request->captured)
        (void)setvbuf(stdout, line, _IOLBF, sizeof line);
}

/* The program's heap where the program has it, or none: one of its own, with
 * other things at other addresses, would be mistaken for it. */
static void
take_heap(const struct wire_request *request, int fd)
{
    void *base = (void *)(uintptr_t)request->heap_at;
    int status = 0;

    if (request->heap == WEFT_HEAP_NONE)
        heap_leave("this worker was started without the shared heap");
    else if (!base)
        heap_leave("the program had no shared heap when it started this "
                   "worker");
    else if (request->method == WEFT_SPAWN)
        status = heap_join(fd, base);
    else if (heap_base() != base)
        status = why_set(WEFT_ESTALE, "the zygote is older than the shared "
                                      "heap; call weft_init() again");
    if (status == WEFT_ESTALE && request->heap == WEFT_HEAP_DEFAULT &&
        !request->arg_at)
        heap_leave("the worker's zygote is older than the shared heap");
    else if (status < 0)
        refuse(status);
}

/* Known by its name, and to be stopped. */
static void
take_part(const struct wire_request *request)
{
    char kernel[TEXT_KERNEL];

    self_name_process(request->name, request->parent_tid);
    stop_cell_init(&child.cell);
    child.stop = (struct stop){
        .asked = &control()->stop, .cell = &child.cell, .remote = true};
    self_get()->stop = &child.stop;
    text_kernel_name(request->name, kernel);
    os_thread_name(kernel);
    atomic_store(&child.report->first, self_get()->record.id);
    atomic_store(&child.report->slot, self_process()->id);
}

/* The function, in an object that was loaded later if need be. */
static void
find_function(const struct wire_request *request)
{
    child.fn = image_load(&request->fn, request->method != WEFT_SPAWN);
    if (!child.fn)
        refuse(why_set(WEFT_ENOTINIMAGE,
                       "the function of '%s' is not in this program's image, "
                       "nor in '%s' as it is now",
                       request->name, request->fn.path));
}

/* The upper end of a stack of its own, with a page below it that nothing may
 * touch; NULL: the present one will do. */
static void *
make_stack(size_t size)
{
    void *stack = NULL;

    if (size == 0)
        return NULL;
    if (size < OS_STACK_LEAST)
        size = OS_STACK_LEAST;
    size = wire_pages(size) + OS_PAGE;
    const int status = os_map(&stack, size, -1, OS_READ | OS_WRITE);

    if (status < 0)
        refuse(why_system(status, "worker.stack_size"));
    (void)os_protect(stack, OS_PAGE, 0);
    return (char *)stack + size;
}

/* All that can go wrong, in the order that lets the later steps work; returns
 * the stack to run on. */
static void *
set_up(const struct wire_request *request)
{
    int status =
        context_apply(request, child.control + wire_environment_at(request));

    if (status < 0)
        refuse(status);
    find_function(request);
    void *stack = make_stack(request->stack_size);

    if (request->method != WEFT_ZYGOTE) /* which is warm */
        os_crash_warm_up();
    crash_arm((struct wire_crash *)(void *)child.crash, request->memory,
              request->sandbox == WEFT_STRICT);
    status =
        context_restrict(request, child.control + wire_writable_at(request));
    if (status < 0)
        refuse(status);
    return stack;
}

static void
wait_for_go(void)
{
    uint32_t go;

    while ((go = atomic_load(&control()->go)) == WIRE_WAIT)
        (void)os_futex_wait(&control()->go, WIRE_WAIT, OS_NEVER, true);
    if (go != WIRE_GO)
        os_exit_now(LOST);
}

/* --- the function */

static void
run(void *unused)
{
    (void)unused;
    const bool measured = recorder_is_on();
    const int64_t begun = measured ? os_now() : 0;
    const int64_t cpu = measured ? os_cpu_of_thread() : 0;

    record_begin(&child.recorded, RECORD_PROCESS, self_process()->name);
    child.code = child.fn(&child.call.call);
    self_get()->shield = 0;
    at_end_run(self_get());
    record_end(&child.recorded, child.code != 0);
    if (measured)
        record_on_cpu(&child.recorded, os_cpu_of_thread() - cpu,
                      os_now() - begun);
}

void
child_run(const struct wire_request *request, const int *fds)
{
    within = true;
    map_share(request, fds[WIRE_SHARE]);
    take_heap(request, request->method == WEFT_SPAWN
                           ? fds[WIRE_FDS + request->handed + 1]
                           : -1);
    take_fds(request, fds);
    take_part(request);
    child.recorded = request->recorded;
    recorder_look();
    take_handed(request->handed, fds + WIRE_FDS);
    void *stack = set_up(request);

    if (request->confirm)
        tell(WIRE_READY);
    wait_for_go();
    os_signals_set(&request->mask);
    atomic_store(&child.report->phase.value, WIRE_RUNS);
    os_trampoline(run, NULL, stack);
    if (fflush(stdout) != 0 && child.code == 0) {
        child.code = WEFT_EFAILED;
        outcome_keep_message(&child.call, "its output could not be written");
    }
    child.report->result_size = child.call.call.result_size;
    child.report->code = child.code;
    atomic_store(&child.report->phase.value, WIRE_RETURNED);
    exit(child.code != 0);
}
