#include "worker/child.h"

#include "os/trampoline.h"
#include "registry/self.h"
#include "wait/certificate.h"
#include "wait/stop.h"
#include "worker/at_end.h"
#include "worker/job.h"
#include "worker/outcome.h"
#include "worker/runtime.h"

#include <stdio.h>
#include <stdio_ext.h>
#include <stdlib.h>
#include <string.h>

enum {
    LOST = 127 /* exit code of a worker that could not even begin */
};

/* Everything of the one task that this process is for. */
static struct {
    const struct wire_control *control;
    struct wire_report *report;
    struct stop stop;
    struct stop_cell cell;
    struct job_call call;
    weft_fn *fn;
    int code;
} child;

static void
leave(int status, void *unused)
{
    (void)unused;
    runtime_close(true); /* the worker's own jobs */
    fflush(NULL);
    os_exit_now(status);
}

void
child_guard_exit(void)
{
    (void)on_exit(leave, NULL);
}

static void
map_share(const struct wire_request *request, int fd)
{
    const size_t report_at = wire_report_at(request->arg_size);
    const size_t size = wire_size(request->arg_size, request->result_size);
    void *control, *report;

    if (os_map(&control, report_at, fd, OS_READ) < 0 ||
        os_map_part(&report, size - report_at, fd, report_at,
                    OS_READ | OS_WRITE) < 0)
        os_exit_now(LOST);
    child.control = control;
    child.report = report;
    child.call.space = child.report->message;
    child.call.call = (weft_call){
        .arg = request->arg_size ? (const char *)control + WIRE_ARG_AT : NULL,
        .arg_size = request->arg_size,
        .result = request->result_size ? (char *)report + WIRE_RESULT_AT : NULL,
        .result_size = request->result_size,
    };
}

void
child_read_nothing(void)
{
    const int null = os_open_null();

    if (null >= 0)
        (void)os_move(null, 0);
    if (null > 2)
        os_close(null);
    __fpurge(stdin);
}

/* The caller's outputs and directory; nothing else open. */
static void
take_fds(const int fds[WIRE_FDS], uint32_t closed)
{
    if ((fds[WIRE_STDOUT] >= 0 && os_move(fds[WIRE_STDOUT], 1) < 0) ||
        (fds[WIRE_STDERR] >= 0 && os_move(fds[WIRE_STDERR], 2) < 0) ||
        (fds[WIRE_HERE] >= 0 && os_go_there(fds[WIRE_HERE]) < 0))
        os_exit_now(LOST); /* rather not at all than in the wrong place */
    for (int fd = 1; fd <= 2; fd++)
        if (closed & 1u << fd)
            os_close(fd);
    os_close_from(3);
}

static void
restrict_cpus(const struct wire_request *request)
{
    unsigned cpus[WIRE_CPUS];

    if (request->cpu_count == 0)
        return;
    for (unsigned i = 0; i < request->cpu_count; i++)
        cpus[i] = request->cpus[i];
    (void)os_cpu_restrict(cpus, request->cpu_count); /* checked by the caller */
}

/* Becomes a worker: seen in the registry, certified, to be stopped. */
static void
take_part(const struct wire_request *request)
{
    char kernel[TEXT_KERNEL];

    runtime_forked(request->name, request->parent_tid);
    struct self *self = self_get();

    stop_cell_init(&child.cell);
    child.stop = (struct stop){
        .asked = &child.control->stop, .cell = &child.cell, .remote = true};
    self->stop = &child.stop;
    (void)certificate_make(self); /* without a slot there is none */
    policy_enter(self);
    text_kernel_name(request->name, kernel);
    os_thread_name(kernel);
    atomic_store(&child.report->slot, self_process()->id);
}

static void
wait_for_go(void)
{
    uint32_t go;

    while ((go = atomic_load(&child.control->go)) == WIRE_WAIT)
        (void)os_futex_wait(&child.control->go, WIRE_WAIT, OS_NEVER, true);
    if (go != WIRE_GO)
        os_exit_now(LOST);
}

static void
run(void *unused)
{
    (void)unused;
    child.code = child.fn(&child.call.call);
    self_get()->shield = 0;
    at_end_run(self_get());
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
    if (os_map(&stack, size, -1, OS_READ | OS_WRITE) < 0)
        os_exit_now(LOST);
    (void)os_protect(stack, OS_PAGE, 0);
    return (char *)stack + size;
}

void
child_run(const struct wire_request *request, const int fds[WIRE_FDS])
{
    if (os_die_with(request->parent_pid) < 0)
        os_exit_now(LOST);
    (void)os_group_lead();
    map_share(request, fds[WIRE_SHARE]);
    take_fds(fds, request->closed);
    restrict_cpus(request);
    take_part(request);
    child.fn = image_find(&request->fn);
    if (!child.fn)
        os_exit_now(LOST); /* the caller has looked for it too */
    void *stack = make_stack(request->stack_size);

    wait_for_go();
    os_signals_set(&request->mask);
    atomic_store(&child.report->phase, WIRE_RUNS);
    os_trampoline(run, NULL, stack);
    if (fflush(stdout) != 0 && child.code == 0) {
        child.code = WEFT_EFAILED;
        outcome_keep_message(&child.call, "its output could not be written");
    }
    child.report->code = child.code;
    atomic_store(&child.report->phase, WIRE_RETURNED);
    exit(child.code != 0);
}
