#include "worker/zygote_run.h"

#include "os/os.h"
#include "registry/label.h"
#include "registry/registry.h"
#include "registry/self.h"
#include "shm/heap.h"
#include "worker/child.h"
#include "worker/groups.h"
#include "worker/service.h"

#include <weft/status.h>

#include <errno.h>

enum {
    END = 3,
    LOOK = 20000000, /* ns between two looks at a program that is stopped */
    LOOK_WITHIN = 200000000, /* ns between two looks of a worker's zygote */
    STOPPING = 10            /* looks until ^Z has stopped it, if it does */
};

static int program_pidfd, stops; /* descriptors */

/* Once a request is sent the answer must come across, however long it takes:
 * a worker that nobody knows could not be reaped. */
static bool
lacks_memory(int status)
{
    return status == -ENOMEM || status == -ENOBUFS;
}

static _Noreturn void
end_with_program(void)
{
    groups_signal(SIGKILL);
    os_exit_now(0);
}

/* The program is dying, or has closed what it does not know. In both cases
 * nothing will be asked any more, and its workers must not outlive it. */
static _Noreturn void
wait_for_death(void)
{
    struct os_poll death = {.fd = program_pidfd, .readable = true};

    os_close(END); /* so that the program does not wait for ever */
    while (os_poll(&death, 1, OS_NEVER) <= 0)
        ;
    end_with_program();
}

static void
answer(const struct zygote_answer *answer, int end)
{
    int sent;

    do
        sent = os_send(END, answer, sizeof *answer, &end, end >= 0);
    while (lacks_memory(sent));
    if (sent < 0)
        wait_for_death();
}

/* --- workers */

/* A copy of this process goes off to run the request. */
static void
serve(const struct wire_request *request, const int *fds)
{
    const int pid = os_clone(OS_CLONE_PARENT, NULL);

    if (pid == 0) {
        child_prepare(request->parent_pid);
        child_run(request, fds);
    }
    answer(&(struct zygote_answer){.pid = pid}, -1);
}

/* The life of a worker made in advance: the request comes later, or never. */
static _Noreturn void
wait_for_request(int end, int program)
{
    static struct wire_request request;
    static int fds[WIRE_FDS_MOST];
    unsigned count = WIRE_FDS_MOST;

    os_close(END); /* or the program would not see the zygote's death */
    os_close(program_pidfd);
    os_close(stops);
    child_prepare(program);
    const int size = os_receive(end, &request, sizeof request, fds, &count);

    if (size != sizeof request || request.magic != WIRE_MAGIC ||
        count != WIRE_FDS + request.handed)
        os_exit_now(0);
    child_run(&request, fds);
}

static void
make_ready(int program)
{
    int ends[2] = {-1, -1};
    int pid = os_pair(ends);

    if (pid == 0)
        pid = os_clone(OS_CLONE_PARENT, NULL);
    if (pid == 0) {
        os_close(ends[0]);
        wait_for_request(ends[1], program);
    }
    /* First: else a request to one that was killed would be taken for it here,
     * and be lost. */
    if (ends[1] >= 0)
        os_close(ends[1]);
    answer(&(struct zygote_answer){.pid = pid, .ready = 1},
           pid < 0 ? -1 : ends[0]);
    if (ends[0] >= 0)
        os_close(ends[0]);
}

static void
grant(const struct zygote_wish *wish, int program)
{
    if (wish->leave)
        os_exit_now(0);
    make_ready(program);
}

static void
receive(int program)
{
    static union {
        struct wire_request request;
        struct zygote_wish wish;
    } asked;

    static int fds[WIRE_FDS_MOST];
    const struct wire_request *request = &asked.request;
    unsigned count = WIRE_FDS_MOST;
    const int size = os_receive(END, &asked, sizeof asked, fds, &count);

    if (lacks_memory(size))
        return;
    if (size <= 0)
        wait_for_death();
    if (size == sizeof asked.wish && asked.wish.magic == WIRE_MAGIC)
        grant(&asked.wish, program);
    else if (size == sizeof *request && request->magic == WIRE_MAGIC &&
             count == WIRE_FDS + request->handed)
        serve(request, fds);
    else
        answer(&(struct zygote_answer){.pid = WEFT_EMISMATCH}, -1);
    for (unsigned i = 0; i < count; i++)
        os_close(fds[i]);
}

/* --- what happens to the program happens to its workers */

/* Whether the program died in that time. */
static bool
dies_within(int64_t time)
{
    struct os_poll death = {.fd = program_pidfd, .readable = true};

    return os_poll(&death, 1, os_now() + time) > 0;
}

/* ^Z was typed. If that stops the program, which may think otherwise, its
 * workers stop, and go on when it does. */
static void
follow_stop(int program)
{
    int looks = 0;

    os_signal_clear(stops);
    while (!os_is_stopped(program))
        if (dies_within(LOOK))
            end_with_program();
        else if (++looks == STOPPING)
            return;
    groups_signal(SIGSTOP);
    while (os_is_stopped(program))
        if (dies_within(LOOK))
            end_with_program();
    groups_signal(SIGCONT);
}

/* As END and the one after it, whichever of the two was where. */
static void
keep_only(int end, int pidfd)
{
    program_pidfd = os_copy_fd(pidfd, (end > pidfd ? end : pidfd) + END);
    if (program_pidfd < 0 || os_move(end, END) < 0 ||
        os_move(program_pidfd, END + 1) < 0)
        os_exit_now(1);
    program_pidfd = END + 1;
    os_close_from(END + 2);
}

static void
become_zygote(int end, int program, int pidfd)
{
    os_signals_block(NULL); /* a ^C is for the program to answer */
    /* A worker is killed with its group; its zygote must still end what the
     * worker has started. */
    if (child_is_within())
        (void)os_group_lead();
    os_thread_name("weft-zygote");
    label_forked();
    registry_forked(true);
    heap_forked(true);
    service_forked(false); /* closed with the rest below */
    self_here = NULL;
    child_ready();
    keep_only(end, pidfd);
    stops = os_signal_open(SIGTSTP);
    if (stops < 0 || os_parent_id() != program)
        os_exit_now(1);
}

void
zygote_run(int end, int program, int pidfd)
{
    become_zygote(end, program, pidfd);
    for (;;) {
        struct os_poll polls[] = {
            {.fd = program_pidfd, .readable = true},
            {.fd = stops, .readable = true},
            {.fd = END, .readable = true},
        };

        /* A worker's zygote is out of reach of the terminal. */
        const int status = os_poll(
            polls, 3, child_is_within() ? os_now() + LOOK_WITHIN : OS_NEVER);

        if (status == -ETIMEDOUT && os_is_stopped(program))
            follow_stop(program);
        if (status <= 0)
            continue;
        if (polls[0].readable)
            end_with_program();
        if (polls[1].readable)
            follow_stop(program);
        if (polls[2].readable)
            receive(program);
    }
}
