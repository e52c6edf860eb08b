#include "worker/zygote.h"

#include "base/why.h"
#include "registry/registry.h"
#include "registry/self.h"
#include "wait/lock.h"
#include "wait/policy.h"
#include "worker/context.h"
#include "worker/groups.h"
#include "worker/runtime.h"
#include "worker/service.h"
#include "worker/zygote_run.h"

#include <weft/status.h>

#include <errno.h>
#include <stdio.h>
#include <string.h>

enum {
    READY_MOST = 2,                /* workers made in advance */
    OFTEN = 100 * (int)WEFT_MS,    /* ns between starts that are worth it */
    PATIENCE = 200 * (int)WEFT_MS, /* ns until its end is not waited for */
};

/* A worker made in advance, and the way to it. */
struct ready {
    int pid, end;
};

static struct {
    struct lock lock; /* one request at a time */
    bool made;        /* under lock, as all below */
    int end;          /* of the pair */
    int pidfd;
    int pid;
    struct os_rights rights;        /* that it has */
    struct image_count image;       /* the same */
    struct self block;              /* its record and slot */
    struct ready ready[READY_MOST]; /* that are at hand */
    unsigned ready_count, wished;   /* at hand; asked for and not yet there */
    int64_t last;                   /* time of the last start */
    bool often;                     /* it came soon after the one before */
} zygote = {.end = -1, .pidfd = -1};

/* Once a request is sent the answer must come across, however long it takes:
 * a worker that nobody knows could not be reaped. */
static bool
lacks_memory(int status)
{
    return status == -ENOMEM || status == -ENOBUFS;
}

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

/* A worker made in advance that is not needed: at the end of its socket it
 * leaves. */
static void
dismiss(const struct ready *ready)
{
    os_close(ready->end);
    registry_condemn(ready->pid);
    os_child_end(ready->pid);
    registry_reclaim(ready->pid);
}

/* Takes the next answer. False: the zygote has died. */
static bool
take_answer(struct zygote_answer *out, int *end)
{
    unsigned count = 1;
    int size;

    *end = -1;
    do
        size = os_receive(zygote.end, out, sizeof *out, end, &count);
    while (lacks_memory(size));
    return size == sizeof *out;
}

/* One that was wished for is there, or could not be made. */
static void
keep_ready(const struct zygote_answer *answer, int end)
{
    zygote.wished -= zygote.wished > 0;
    if (answer->pid < 0 || end < 0)
        return;
    if (zygote.ready_count < READY_MOST)
        zygote.ready[zygote.ready_count++] = (struct ready){answer->pid, end};
    else
        dismiss(&(struct ready){answer->pid, end});
}

static bool
has_answer(void)
{
    struct os_poll poll = {.fd = zygote.end, .readable = true};
    int status;

    do
        status = os_poll(&poll, 1, 1);
    while (status == -EINTR || lacks_memory(status));
    return status > 0;
}

/* Its own end, at which it sees that nothing more will be asked, or, if
 * somebody has stopped it, ours. */
static void
end_zygote(void)
{
    struct os_poll gone = {.fd = zygote.pidfd, .readable = true};
    const struct zygote_wish farewell = {.magic = WIRE_MAGIC, .leave = 1};
    struct os_exit ignored;

    (void)os_send(zygote.end, &farewell, sizeof farewell, NULL, 0);
    os_end_writes(zygote.end);
    /* Killed early it would leave copies that nobody knows. */
    const int64_t until = os_now() + PATIENCE;
    int status;

    while ((status = os_poll(&gone, 1, until)) < 0 && os_now() < until)
        (void)wait_sleep(os_now() + 1000000);
    if (status <= 0)
        (void)os_pidfd_signal(zygote.pidfd, SIGKILL);
    (void)os_pidfd_reap(zygote.pidfd, &ignored);
}

static void
forget(void)
{
    struct zygote_answer answer;
    int end;

    if (!zygote.made)
        return;
    end_zygote();
    /* What it has said is there. Its end of the socket may not be over yet: a
     * copy that it has just made has that, too, and may never run. */
    while (has_answer() && take_answer(&answer, &end))
        keep_ready(&answer, end);
    while (zygote.ready_count > 0)
        dismiss(&zygote.ready[--zygote.ready_count]);
    os_close(zygote.end);
    os_close(zygote.pidfd);
    if (zygote.block.slot)
        registry_release(zygote.block.slot);
    zygote.block.slot = NULL;
    zygote.made = false;
    zygote.wished = 0;
    zygote.end = zygote.pidfd = -1;
}

/* What the two have in common. */
struct way {
    int ends[2]; /* of a pair: the program's and the zygote's */
    int program; /* a pidfd */
};

static void
close_way(const struct way *way)
{
    os_close(way->ends[1]);
    os_close(way->program);
}

static int
open_way(struct way *way)
{
    int status = os_rights(&zygote.rights);

    way->program = status < 0 ? status : os_pidfd_open(os_process_id());
    if (way->program < 0)
        return why_system(way->program, "cannot make the zygote");
    status = os_pair(way->ends);
    if (status < 0) {
        os_close(way->program);
        return why_system(status, "cannot make the zygote");
    }
    status = context_note(&zygote.rights);
    if (status < 0) {
        os_close(way->ends[0]);
        close_way(way);
    }
    return status;
}

/* The copy. */
static int
clone_program(const struct way *way)
{
    const int program = os_process_id();

    groups_open();
    os_crash_warm_up();
    image_count(&zygote.image);
    fflush(NULL); /* else each worker would write it again */
    groups_share(true);
    /* A debugger takes a child without an exit signal for a thread. */
    const int pid = runtime_clone(
        OS_CLONE_PIDFD | (zygote.rights.traced ? OS_CLONE_SIGCHLD : 0),
        &zygote.pidfd);

    groups_share(false);
    if (pid == 0)
        zygote_run(way->ends[1], program, way->program);
    return pid;
}

static int
make(void)
{
    struct way way = {.ends = {-1, -1}, .program = -1};
    int status = open_way(&way);

    if (status < 0)
        return status;
    status = clone_program(&way);
    close_way(&way);
    if (status < 0) {
        os_close(way.ends[0]);
        return why_system(status, "cannot make the zygote");
    }
    zygote.end = way.ends[0];
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
zygote_ready(void)
{
    lock_take(&zygote.lock);
    const bool made = zygote.made;

    lock_give(&zygote.lock);
    return made ? 0 : zygote_renew();
}

bool
zygote_has_image(const struct image_ref *ref)
{
    lock_take(&zygote.lock);
    const bool has =
        zygote.image.adds == ref->adds && zygote.image.subs == ref->subs;

    lock_give(&zygote.lock);
    return has;
}

static int
check_rights(const struct os_rights *now)
{
    if (!zygote.made)
        return why_set(WEFT_ETHREADS, "the zygote was ended");
    if (now->digest != zygote.rights.digest)
        return why_set(WEFT_ESTALE, "the zygote has other rights than the "
                                    "program has now; call weft_init() again");
    return 0;
}

/* --- a request */

static int
is_gone(void)
{
    const int pid = zygote.pid;

    forget(); /* the next start makes one, if it can */
    return why_set(WEFT_ESTALE,
                   "the zygote (pid %d) is gone; call weft_init() again", pid);
}

/* Has the zygote copy itself for it. */
static int
ask(const struct wire_request *request, const int *fds)
{
    struct zygote_answer answer;
    int end = -1;
    const int sent = os_send(zygote.end, request, sizeof *request, fds,
                             WIRE_FDS + request->handed);

    if (lacks_memory(sent) || sent == -EBADF || sent == -ETOOMANYREFS)
        return why_system(sent, "cannot ask the zygote");
    for (;;) {
        if (sent < 0 || !take_answer(&answer, &end))
            return is_gone();
        if (!answer.ready)
            break;
        keep_ready(&answer, end);
    }
    if (answer.pid == WEFT_EMISMATCH)
        return why_set(WEFT_EMISMATCH, "the zygote is of another build");
    return answer.pid < 0 ? why_system(answer.pid, "cannot copy the zygote")
                          : answer.pid;
}

/* Gives it to a worker that was made in advance: its pid, or 0 when there is
 * none. One that is just being made is sooner there than another would be. */
static int
hand_over(const struct wire_request *request, const int *fds)
{
    struct zygote_answer answer;
    int end = -1;

    while (zygote.wished > 0 && (zygote.ready_count == 0 || has_answer()))
        if (!take_answer(&answer, &end))
            return 0; /* which ask will find */
        else
            keep_ready(&answer, end);
    while (zygote.ready_count > 0) {
        const struct ready ready = zygote.ready[--zygote.ready_count];
        const int sent = os_send(ready.end, request, sizeof *request, fds,
                                 WIRE_FDS + request->handed);

        if (sent > 0) {
            os_close(ready.end);
            return ready.pid;
        }
        dismiss(&ready); /* somebody has killed it */
    }
    return 0;
}

int
zygote_start(const struct wire_request *request, const int *fds,
             const struct os_rights *rights)
{
    struct self *self = self_get();

    lock_take(&zygote.lock);
    int status = check_rights(rights);

    if (status == 0) {
        policy_sleeps(self);
        status = hand_over(request, fds);
        if (status == 0)
            status = ask(request, fds);
        zygote.often = os_now() - zygote.last < OFTEN;
        zygote.last = os_now();
        policy_wakes(self);
    }
    lock_give(&zygote.lock);
    return status;
}

/* Who starts processes often gets the next ones in advance. They are made when
 * one has ended, since making one slows down those that run. */
void
zygote_wish(void)
{
    const struct zygote_wish one_more = {.magic = WIRE_MAGIC};

    lock_take(&zygote.lock);
    while (zygote.made && zygote.often &&
           zygote.ready_count + zygote.wished < READY_MOST &&
           os_send(zygote.end, &one_more, sizeof one_more, NULL, 0) > 0)
        zygote.wished++;
    lock_give(&zygote.lock);
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
    groups_forked();
    os_rights_forked(open);
    if (open && zygote.made) {
        os_close(zygote.end);
        os_close(zygote.pidfd);
        for (unsigned i = 0; i < zygote.ready_count; i++)
            os_close(zygote.ready[i].end);
    }
    memset(&zygote, 0, sizeof zygote);
    zygote.end = zygote.pidfd = -1;
}
