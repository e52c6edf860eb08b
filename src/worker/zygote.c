#include "worker/zygote.h"

#include "base/why.h"
#include "registry/label.h"
#include "registry/registry.h"
#include "registry/self.h"
#include "wait/lock.h"
#include "wait/policy.h"
#include "worker/child.h"
#include "worker/runtime.h"
#include "worker/service.h"

#include <weft/status.h>

#include <errno.h>
#include <stdio.h>
#include <string.h>

static struct {
    struct lock lock; /* one request at a time */
    bool made;        /* under lock, as all below */
    int end;          /* of the pair */
    int pidfd;
    int pid;
    struct os_rights rights; /* that it has */
    struct self block;       /* its record and slot */
} zygote = {.end = -1, .pidfd = -1};

/* Once a request is sent the answer must come across, however long it takes:
 * a worker that nobody knows could not be reaped. */
static bool
lacks_memory(int status)
{
    return status == -ENOMEM || status == -ENOBUFS;
}

/* --- in the zygote */

static void
answer(int end, int pid)
{
    const struct wire_reply reply = {.pid = pid};

    int sent;

    do
        sent = os_send(end, &reply, sizeof reply, NULL, 0);
    while (lacks_memory(sent));
    if (sent < 0)
        os_exit_now(1); /* so that the program does not wait for ever */
}

/* One request: a copy of this process goes off to run it. */
static void
serve(int end, const struct wire_request *request, const int fds[WIRE_FDS])
{
    if (!image_find(&request->fn)) {
        answer(end, WEFT_ENOTINIMAGE);
        return;
    }
    const int pid = os_clone(OS_CLONE_PARENT, NULL);

    if (pid == 0)
        child_run(request, fds);
    answer(end, pid);
}

static _Noreturn void
zygote_run(int end, int program)
{
    static struct wire_request request;

    os_signals_block(NULL); /* a ^C is for the program to answer */
    if (os_die_with(program) < 0)
        os_exit_now(0);
    os_signals_default();
    os_thread_name("weft-zygote");
    label_forked();
    registry_forked(true);
    service_forked(false); /* closed with the rest below */
    self_here = NULL;
    if (os_move(end, 3) < 0)
        os_exit_now(1);
    os_close_from(4);
    child_read_nothing();
    child_guard_exit();
    for (;;) {
        int fds[WIRE_FDS];
        unsigned count = WIRE_FDS;
        const int size = os_receive(3, &request, sizeof request, fds, &count);

        if (lacks_memory(size))
            continue;
        if (size <= 0)
            os_exit_now(0); /* the program is gone */
        if (size == sizeof request && request.magic == WIRE_MAGIC &&
            count == WIRE_FDS)
            serve(3, &request, fds);
        else
            answer(3, WEFT_EMISMATCH);
        for (unsigned i = 0; i < count; i++)
            os_close(fds[i]);
    }
}

/* --- in the program */

static void
show(void)
{
    zygote.block = (struct self){.slot = zygote.block.slot, .bell = -1};
    zygote.block.record = (weft_worker){.kind = WEFT_PROCESS,
                                        .name = "weft-zygote",
                                        .state = WEFT_RUNNING,
                                        .pid = zygote.pid,
                                        .tid = zygote.pid,
                                        .parent = os_process_id(),
                                        .service = true};
    self_write(&zygote.block);
}

static void
forget(void)
{
    struct os_exit ignored;

    if (!zygote.made)
        return;
    os_close(zygote.end); /* which ends it, unless somebody has stopped it */
    (void)os_pidfd_signal(zygote.pidfd, SIGKILL);
    (void)os_pidfd_reap(zygote.pidfd, &ignored);
    os_close(zygote.pidfd);
    if (zygote.block.slot)
        registry_release(zygote.block.slot);
    zygote.block.slot = NULL;
    zygote.made = false;
    zygote.end = zygote.pidfd = -1;
}

static int
make(void)
{
    const int program = os_process_id();
    int ends[2] = {-1, -1};
    int status = os_rights(&zygote.rights);

    if (status == 0)
        status = os_pair(ends);
    if (status < 0)
        return why_system(status, "cannot make the zygote");
    fflush(NULL); /* else each worker would write it again */
    status = runtime_clone(OS_CLONE_PIDFD, &zygote.pidfd);
    if (status == 0)
        zygote_run(ends[1], program);
    os_close(ends[1]);
    if (status < 0) {
        os_close(ends[0]);
        return why_system(status, "cannot make the zygote");
    }
    zygote.end = ends[0];
    zygote.pid = status;
    zygote.made = true;
    show();
    return 0;
}

static int
too_late(int threads)
{
    return why_set(WEFT_ETHREADS,
                   "process start needs weft_init() before the first thread; "
                   "now there are %d",
                   threads);
}

/* The service is held first: it takes the lock itself while it begins a delayed
 * process, and until it is held it may still make a thread. */
int
zygote_renew(void)
{
    service_hold();
    const int threads = runtime_threads();
    int status = 0;

    if (threads < 0)
        status = why_system(threads, "cannot count the threads");
    else if (threads > 1 || os_thread_id() != os_process_id())
        status = too_late(threads);
    if (status == 0) {
        lock_take(&zygote.lock);
        forget();
        status = make();
        lock_give(&zygote.lock);
    }
    service_go_on();
    return status;
}

int
zygote_ready(bool named)
{
    lock_take(&zygote.lock);
    const bool made = zygote.made;

    lock_give(&zygote.lock);
    const int status = made ? 0 : zygote_renew();

    if (status == WEFT_ETHREADS && runtime_was_initialised() && !named)
        return why_set(WEFT_ENOTSUP,
                       "weft_init() made no zygote beside other "
                       "threads, and WEFT_SPAWN is not built yet");
    return status;
}

static int
check_rights(void)
{
    struct os_rights now;
    const int status = os_rights(&now);

    if (status < 0)
        return why_system(status, "cannot read the process's rights");
    if (memcmp(&now, &zygote.rights, sizeof now) != 0)
        return why_set(WEFT_ESTALE, "the zygote has other rights than the "
                                    "program has now; call weft_init() again");
    return 0;
}

static int
ask(const struct wire_request *request, const int fds[WIRE_FDS])
{
    struct wire_reply reply = {0};
    unsigned none = 0;
    int size = os_send(zygote.end, request, sizeof *request, fds, WIRE_FDS);

    if (lacks_memory(size))
        return why_system(size, "cannot ask the zygote");
    if (size >= 0)
        do
            size = os_receive(zygote.end, &reply, sizeof reply, NULL, &none);
        while (lacks_memory(size));
    if (size != sizeof reply) {
        const int pid = zygote.pid;

        forget(); /* the next start makes one, if it can */
        return why_set(WEFT_ESTALE,
                       "the zygote (pid %d) is gone; call weft_init() again",
                       pid);
    }
    if (reply.pid == WEFT_ENOTINIMAGE)
        return why_set(WEFT_ENOTINIMAGE,
                       "the function's library was loaded after weft_init(); "
                       "call weft_init() again");
    if (reply.pid == WEFT_EMISMATCH)
        return why_set(WEFT_EMISMATCH, "the zygote is of another build");
    return reply.pid < 0 ? why_system(reply.pid, "cannot copy the zygote")
                         : reply.pid;
}

int
zygote_start(const struct wire_request *request, const int fds[WIRE_FDS])
{
    struct self *self = self_get();

    lock_take(&zygote.lock);
    int status = zygote.made ? check_rights()
                             : why_set(WEFT_ETHREADS, "the zygote was ended");

    if (status == 0) {
        policy_sleeps(self);
        status = ask(request, fds);
        policy_wakes(self);
    }
    lock_give(&zygote.lock);
    return status;
}

void
zygote_stop(void)
{
    lock_take(&zygote.lock);
    forget();
    lock_give(&zygote.lock);
}

void
zygote_forked(bool open)
{
    if (open && zygote.made) {
        os_close(zygote.end);
        os_close(zygote.pidfd);
    }
    memset(&zygote, 0, sizeof zygote);
    zygote.end = zygote.pidfd = -1;
}
