/* Having another program record: a request in its registry. */
#include "base/why.h"
#include "os/os.h"
#include "registry/recorder.h"
#include "registry/room.h"
#include "registry/slot.h"

#include <weft/status.h>
#include <weft/trace.h>

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    MOST_OF_PATH = 440, /* bytes; a number follows */
    PARENT = 4          /* field of /proc/PID/stat */
};

/* How long who asked before may take to read the answer, if it still lives. */
#define LEFT_BEHIND (5 * INT64_C(1000000000))

static int
cannot_attach(int error, int pid)
{
    if (error == -ESRCH)
        return why_set(WEFT_ESRCH, "there is no process %d", pid);
    if (error == -ENOENT)
        return why_set(WEFT_ESRCH, "process %d does not use weft", pid);
    if (error == -EACCES || error == -EPERM)
        return why_set(WEFT_EPERM, "process %d is another user's", pid);
    return why_system(error, "look at its registry");
}

/* A worker that is a copy has it in its memory only; its program, above, has it
 * open. */
static int
open_registry(int pid)
{
    static const char name[] = "weft-registry";
    int fd = os_open_of(pid, name);
    const uint64_t mapped = fd == -ENOENT ? os_mapped_of(pid, name) : 0;

    while (fd == -ENOENT && mapped) {
        pid = (int)os_process_number(pid, PARENT);
        if (pid <= 0 || os_mapped_of(pid, name) != mapped)
            break;
        fd = os_open_of(pid, name);
    }
    return fd;
}

/* The other program's registry, its first page mapped; NULL: *status says why.
 */
static struct registry_header *
attach(int pid, int *status)
{
    void *page = NULL;
    const int fd = open_registry(pid);
    int error = fd;

    if (fd >= 0) {
        error = os_file_size(fd) < OS_PAGE
                    ? -EINVAL
                    : os_map(&page, OS_PAGE, fd, OS_READ | OS_WRITE);
        os_close(fd);
    }
    if (error < 0) {
        *status = cannot_attach(error, pid);
        return NULL;
    }
    struct registry_header *header = page;

    if (header->magic == REGISTRY_MAGIC && header->version == REGISTRY_VERSION)
        return header;
    os_unmap(page, OS_PAGE);
    *status =
        why_set(WEFT_EMISMATCH, "process %d uses another version of weft", pid);
    return NULL;
}

/* Waits until the request is no longer `old`. false: the time is over. */
static bool
wait_for_change(struct registry_control *control, uint32_t old, int64_t until)
{
    while (atomic_load_explicit(&control->request, memory_order_acquire) ==
           old) {
        if (os_now() >= until)
            return false;
        (void)os_futex_wait(&control->request, old, until, true);
    }
    return true;
}

/* Waits for the end of somebody else's request, or until it seems that he was
 * killed over it. */
static int
wait_for_turn(struct registry_control *control, uint32_t old, int64_t until)
{
    const bool his = old == REGISTRY_WRITING || old == REGISTRY_ANSWERED;
    const int64_t patience = os_now() + LEFT_BEHIND;

    if (wait_for_change(control, old,
                        his && patience < until ? patience : until))
        return WEFT_EAGAIN;
    return his && os_now() >= patience
               ? WEFT_OK
               : why_set(WEFT_EBUSY, "somebody else asks the same now");
}

/* Makes the request ours to write. */
static int
take(struct registry_control *control, int64_t until)
{
    int status;

    do {
        uint32_t old =
            atomic_load_explicit(&control->request, memory_order_acquire);

        status = old == REGISTRY_NO_REQUEST
                     ? WEFT_OK
                     : wait_for_turn(control, old, until);
        /* acquire: who asked before has read its answer */
        if (status == WEFT_OK &&
            !atomic_compare_exchange_strong_explicit(
                &control->request, &old, REGISTRY_WRITING, memory_order_acquire,
                memory_order_relaxed))
            status = WEFT_EAGAIN;
    } while (status == WEFT_EAGAIN);
    return status;
}

/* The request is the next one's. */
static void
leave(struct registry_control *control)
{
    /* release: pairs with acquire in take */
    atomic_store_explicit(&control->request, REGISTRY_NO_REQUEST,
                          memory_order_release);
    os_futex_wake(&control->request, INT_MAX, true);
}

/* Nobody has taken it. A mark that is left would cost the program time at each
 * hook; it goes while nobody else can ask. */
static bool
withdraw(struct registry_control *control, uint32_t request)
{
    if (!atomic_compare_exchange_strong_explicit(
            &control->request, &request, REGISTRY_WRITING, memory_order_relaxed,
            memory_order_relaxed))
        return false;
    atomic_fetch_and_explicit(&control->word, ~RECORDER_ASKED,
                              memory_order_relaxed);
    leave(control);
    return true;
}

/* Asks, and returns the answer. */
static int
ask(struct registry_control *control, uint32_t request, int64_t until)
{
    /* release: pairs with the program's acquire of the request */
    atomic_store_explicit(&control->request, request, memory_order_release);
    atomic_fetch_or_explicit(&control->word, RECORDER_ASKED,
                             memory_order_release);
    os_futex_wake(&control->word, INT_MAX, true);
    if (!wait_for_change(control, request, until) && withdraw(control, request))
        return why_set(WEFT_ETIMEDOUT, "the program has not called weft");
    if (!wait_for_change(control, REGISTRY_TAKEN, os_now() + LEFT_BEHIND))
        return why_set(WEFT_ETIMEDOUT, "the program began, but did not answer");
    const int answer =
        atomic_load_explicit(&control->answer, memory_order_relaxed);

    leave(control);
    return answer < 0 ? why_because(answer, "the program") : WEFT_OK;
}

/* The program makes a new file only; it takes the place of an old one with the
 * rights of who asks. */
static int
ask_for_file(struct registry_control *control, const char *path, int64_t until)
{
    char *fresh = control->path;
    int status = take(control, until);

    if (status < 0)
        return status;
    snprintf(fresh, REGISTRY_PATH, "%s.%d", path, os_process_id());
    char made[REGISTRY_PATH];

    memcpy(made, fresh, sizeof made);
    status = ask(control, REGISTRY_START, until);
    if (status < 0)
        return status;
    status = os_file_rename(made, path);
    return status < 0 ? why_system(status, "it records, but the file keeps the "
                                           "process's number in its name")
                      : status;
}

static int
check_path(const char *path)
{
    if (!path || *path != '/' || strlen(path) > MOST_OF_PATH)
        return why_set(WEFT_EINVAL,
                       "the path must be absolute and have at "
                       "most %d bytes",
                       MOST_OF_PATH);
    const int old = os_file_check_old(path);

    if (old == -EEXIST)
        return why_set(WEFT_EINVAL, "'%s' is no plain file", path);
    if (old < 0)
        return why_system(old, path);
    if (room_is_in_use(path))
        return why_set(WEFT_EBUSY, "another program records into '%s'", path);
    return WEFT_OK;
}

int
weft_trace_start_in(int pid, const char *path, weft_time until)
{
    int status = check_path(path);

    if (status < 0)
        return status;
    struct registry_header *header = attach(pid, &status);

    if (!header)
        return status;
    status = ask_for_file(&header->control, path, until.ns);
    os_unmap(header, OS_PAGE);
    return status;
}

int
weft_trace_stop_in(int pid, weft_time until)
{
    int status = WEFT_OK;
    struct registry_header *header = attach(pid, &status);

    if (!header)
        return status;
    const uint32_t word =
        atomic_load_explicit(&header->control.word, memory_order_relaxed);

    if (word & ~RECORDER_ASKED) {
        status = take(&header->control, until.ns);
        if (status == WEFT_OK)
            status = ask(&header->control, REGISTRY_STOP, until.ns);
    }
    os_unmap(header, OS_PAGE);
    return status;
}
