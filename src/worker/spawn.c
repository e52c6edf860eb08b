#include "worker/spawn.h"

#include "base/why.h"
#include "os/os.h"
#include "registry/registry.h"
#include "shm/heap.h"
#include "worker/child.h"
#include "worker/service.h"

#include <weft/status.h>

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define VARIABLE "WEFT_WORKER"

enum {
    END = 3,   /* the socket, in the worker */
    LOST = 127 /* exit code of what cannot be one */
};

spawn_main_fn *spawn_real_main;
static atomic_bool by_init; /* weft_init has the arguments */

/* --- in the worker */

/* Whether a program that is ours has started this process to be its worker:
 * then it does not come back. Anything else, such as a variable that was left
 * over, is no request, and the program runs as usual. */
static void
take_over(void)
{
    static struct wire_request request;
    static int fds[WIRE_SPAWN_FDS];
    struct os_poll sent = {.fd = END, .readable = true};
    unsigned count = WIRE_SPAWN_FDS;
    /* NOLINTNEXTLINE(concurrency-mt-unsafe): before main */
    const char *parent = getenv(VARIABLE);

    if (!parent || strtol(parent, NULL, 10) != os_parent_id())
        return;
    if (os_gains_by_exec())
        os_exit_now(LOST); /* neither a worker nor, by mistake, the program */
    unsetenv(VARIABLE);    /* NOLINT(concurrency-mt-unsafe): before main */
    if (os_poll(&sent, 1, 1) <= 0) /* ours was sent before this process began */
        return;
    const int size = os_receive(END, &request, sizeof request, fds, &count);

    if (size != sizeof request || request.magic != WIRE_MAGIC ||
        request.parent_pid != os_parent_id() || request.handed > WIRE_HANDED ||
        count < WIRE_FDS + request.handed)
        return;
    child_ready();
    for (unsigned i = count; i < WIRE_FDS + request.handed + 2; i++)
        fds[i] = -1;
    if (count > WIRE_FDS + request.handed)
        (void)registry_join(fds[WIRE_FDS + request.handed]);
    child_prepare(request.parent_pid);
    child_run(&request, fds);
}

int
spawn_main(int argc, char **argv, char **environment)
{
    take_over();
    return spawn_real_main(argc, argv, environment);
}

void
spawn_hook(void)
{
    atomic_store(&by_init, true);
    take_over();
}

/* --- in the program */

int
spawn_is_possible(void)
{
    if (os_gains_by_exec())
        return why_set(WEFT_ENOTSUP, "WEFT_SPAWN: the program runs with other "
                                     "rights than its user");
    if (!spawn_real_main && !atomic_load(&by_init))
        return why_set(WEFT_ENOTSUP,
                       "WEFT_SPAWN: weft was loaded too late to be in the "
                       "program's start; give argc and argv to weft_init()");
    return 0;
}

struct spawn {
    const struct wire_request *request;
    const int *fds;
    char *environment;
    size_t size;
    int status;
};

/* The request waits in the socket for whoever the program becomes. */
static int
send_request(const struct spawn *spawn, int end)
{
    const unsigned count = WIRE_FDS + spawn->request->handed;
    int fds[WIRE_SPAWN_FDS];
    const int registry = registry_fd();
    const int heap = spawn->request->heap_at ? heap_fd() : -1;
    const unsigned more = registry < 0 ? 0 : heap < 0 ? 1 : 2;

    memcpy(fds, spawn->fds, count * sizeof *fds);
    fds[count] = registry;
    fds[count + 1] = heap;
    const int sent =
        os_send(end, spawn->request, sizeof *spawn->request, fds, count + more);

    return sent < 0 ? sent : 0;
}

static void
spawn_now(void *context)
{
    struct spawn *spawn = context;
    char variable[64];
    int ends[2];

    snprintf(variable, sizeof variable, "%s=%d", VARIABLE, os_process_id());
    spawn->status = os_pair(ends);
    if (spawn->status < 0)
        return;
    spawn->status = send_request(spawn, ends[0]);
    if (spawn->status == 0)
        spawn->status = os_spawn(program_invocation_name, ends[1], variable,
                                 spawn->environment, spawn->size);
    os_close(ends[0]);
    os_close(ends[1]);
}

int
spawn_start(const struct wire_request *request, const int *fds,
            char *environment, /* NOLINT(readability-non-const-parameter) */
            size_t size)
{
    struct spawn spawn = {request, fds, environment, size, 0};

    service_call(spawn_now, &spawn);
    return spawn.status < 0
               ? why_system(spawn.status, "cannot execute the program anew")
               : spawn.status;
}
