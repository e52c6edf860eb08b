/* A message is one packet of a pair of sockets, so that the kernel keeps it
 * whole and in order, whoever is killed when. It begins with a header. The
 * bytes of a large one are in a file in memory that travels with it, sealed so
 * that its sender cannot change it any more. So sending is one call of the
 * system; for receiving see pipe_receive.c. */
#include "base/why.h"
#include "os/os.h"
#include "queue/packet.h"
#include "wait/any.h"

#include <weft/pipe.h>

#include <errno.h>
#include <string.h>

enum {
    INSIDE_MOST = 64 << 10 /* bytes in a packet; a file costs more than copying
                              so many twice */
};

int
weft_pipe_open(int ends[2])
{
    int made[2];

    if (!ends)
        return why_set(WEFT_EINVAL, "weft_pipe_open: ends is NULL");
    const int status = os_pair(made);

    if (status < 0)
        return why_system(status, "cannot make a pipe");
    memcpy(ends, made, sizeof made);
    return 0;
}

/* --- checking */

int
packet_check(int end, const weft_message *message, const char *call)
{
    if (!message)
        return why_set(WEFT_EINVAL, "%s: message is NULL", call);
    if (!message->data && message->size > 0)
        return why_set(WEFT_EINVAL, "%s: data is NULL, but size is %zu", call,
                       message->size);
    if (!message->fds && message->fd_count > 0)
        return why_set(WEFT_EINVAL, "%s: fds is NULL, but fd_count is %zu",
                       call, message->fd_count);
    const int status = os_pair_check(end);

    if (status == -EBADF || status == -ENOTSOCK)
        return why_set(WEFT_EINVAL, "%s: descriptor %d is %s", call, end,
                       status == -EBADF ? "not open" : "no end of a pipe");
    return status < 0 ? why_system(status, call) : 0;
}

/* --- waiting */

int
packet_wait(int end, bool writable, int64_t until)
{
    const struct wait_terms terms = {.until = until,
                                     .kind = SLOT_WAIT_PIPE,
                                     .object = (const void *)(uintptr_t)end};
    struct any_source source = {
        .fd = end, .readable = !writable, .writable = writable};

    if (until <= 0)
        return WEFT_ETIMEDOUT; /* a try needs neither bell nor memory */
    const int status = any_wait(&source, 1, 0, &terms);

    return status < 0 ? status : 0;
}

/* For what no descriptor tells the end of. */
int
packet_nap(int64_t span, int64_t until)
{
    const int64_t now = os_now();

    if (now >= until)
        return WEFT_ETIMEDOUT;
    return wait_sleep(span < until - now ? now + span : until);
}

int
packet_explain(int status, int end, const char *late, const char *stopped)
{
    if (status == WEFT_ETIMEDOUT)
        why_set(status, "%s descriptor %d by the deadline", late, end);
    else if (status == WEFT_ECANCELED)
        why_set(status, "asked to stop while %s descriptor %d", stopped, end);
    return status;
}

/* --- sending */

/* A message made ready for its way; descriptors of its own are closed after. */
struct parcel {
    struct packet_header header;
    const weft_message *message;
    int fds[OS_FDS];
    unsigned fd_count;
    int own[2]; /* file, and end with the descriptors; -1: none */
};

static void
unpack(struct parcel *parcel)
{
    for (int i = 0; i < 2; i++)
        if (parcel->own[i] >= 0)
            os_close(parcel->own[i]);
}

static void
pack(struct parcel *parcel, const weft_message *message)
{
    parcel->message = message;
    parcel->own[0] = parcel->own[1] = -1;
    parcel->header =
        (struct packet_header){.magic = PACKET_MAGIC,
                               .size = message->size,
                               .fd_count = (uint32_t)message->fd_count};
    parcel->fd_count = (unsigned)message->fd_count;
    if (parcel->fd_count > 0)
        memcpy(parcel->fds, message->fds, parcel->fd_count * sizeof(int));
}

/* Puts the descriptors into a pair of their own, and the end of it among those
 * of the parcel. */
static int
pack_fds_apart(struct parcel *parcel)
{
    char nothing = 0;
    const struct os_packet packet = {.head = &nothing,
                                     .head_size = 1,
                                     .fds = parcel->fds,
                                     .fd_count = parcel->fd_count};
    int ends[2];
    int status = os_pair(ends);

    if (status < 0)
        return status;
    status = os_packet_send(ends[0], &packet);
    os_close(ends[0]);
    if (status < 0) {
        os_close(ends[1]);
        return status;
    }
    parcel->own[1] = ends[1];
    parcel->fds[0] = ends[1];
    parcel->fd_count = 1;
    parcel->header.flags |= PACKET_FDS_APART;
    return 0;
}

/* Puts the bytes into a file. */
static int
pack_file(struct parcel *parcel)
{
    const weft_message *message = parcel->message;

    if (!os_memory_is_left(message->size))
        return -ENOMEM;
    if (parcel->fd_count == OS_FDS) {
        const int status = pack_fds_apart(parcel);

        if (status < 0)
            return status;
    }
    const int file =
        os_memfd_frozen("weft-message", message->data, message->size);

    if (file < 0)
        return file;
    memmove(parcel->fds + 1, parcel->fds, parcel->fd_count * sizeof(int));
    parcel->own[0] = file;
    parcel->fds[0] = file;
    parcel->fd_count++;
    parcel->header.flags |= PACKET_IN_FILE;
    return 0;
}

static int
hand_over(int end, struct parcel *parcel)
{
    const bool in_file = parcel->header.flags & PACKET_IN_FILE;
    const struct os_packet packet = {.head = &parcel->header,
                                     .head_size = sizeof parcel->header,
                                     .body = parcel->message->data,
                                     .body_size =
                                         in_file ? 0 : parcel->message->size,
                                     .fds = parcel->fds,
                                     .fd_count = parcel->fd_count};

    return os_packet_send(end, &packet);
}

static int
send_failed(int error)
{
    switch (error) {
    case -EPIPE:
    case -ECONNRESET:
        return why_because(WEFT_EPIPE, "cannot send");
    case -EBADF:
        return why_set(WEFT_EINVAL, "a descriptor of the message is not open");
    case -ENOBUFS:
        return why_because(WEFT_ENOMEM, "cannot send");
    default:
        return why_system(error, "cannot send");
    }
}

/* One try: an outcome, or a failure, explained. */
static int
try_send(int end, struct parcel *parcel)
{
    const bool in_file = parcel->header.flags & PACKET_IN_FILE;
    int status = -EMSGSIZE;

    if (in_file || parcel->message->size <= INSIDE_MOST)
        status = hand_over(end, parcel);
    /* Also where the system's buffers are smaller than usual. */
    if (status == -EMSGSIZE && !in_file) {
        status = pack_file(parcel);
        if (status == 0)
            status = hand_over(end, parcel);
    }
    if (status >= 0)
        return PACKET_DONE;
    if (status == -EAGAIN)
        return PACKET_NOT_YET;
    return status == -ETOOMANYREFS ? PACKET_TOO_MANY_FDS : send_failed(status);
}

int
weft_pipe_send(int end, const weft_message *message, weft_time deadline)
{
    struct parcel parcel;
    int status = packet_check(end, message, "weft_pipe_send");

    if (status < 0)
        return status;
    if (message->fd_count > WEFT_PIPE_FDS)
        return why_set(WEFT_EINVAL,
                       "weft_pipe_send: %zu descriptors, and one message takes "
                       "%d",
                       message->fd_count, WEFT_PIPE_FDS);
    pack(&parcel, message);
    while ((status = try_send(end, &parcel)) > PACKET_DONE) {
        status = status == PACKET_TOO_MANY_FDS
                     ? packet_nap(PACKET_NAP, deadline.ns)
                     : packet_wait(end, true, deadline.ns);
        if (status < 0)
            break;
    }
    unpack(&parcel);
    return packet_explain(status, end, "no room in", "waiting for room in");
}
