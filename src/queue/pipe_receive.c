/* Receiving is two calls of the system: peek, which tells the size and takes
 * over the descriptors, and take, which cannot fail any more. In between nobody
 * else may take, or a message that fits here could be exchanged for one that
 * does not. So receivers of an end take turns: threads by a word, processes by
 * the kernel's lock on the end, which no death leaves behind. A turn is a few
 * system calls, and for a large message its copy, so whoever does not get it
 * sleeps for a moment; nobody waits for a turn while there is nothing to be
 * received.
 *
 * In what comes nothing is trusted. */
#include "base/why.h"
#include "os/os.h"
#include "queue/packet.h"
#include "wait/wait.h"

#include <weft/pipe.h>

#include <errno.h>
#include <string.h>

enum {
    TURNS = 64,
    SPINS = 6,               /* times, before it sleeps for a turn */
    NAP_LEAST = 20000,       /* ns, doubled up to PACKET_NAP */
    TURN_PATIENCE = 10000000 /* ns, of a receiver that does not want to wait */
};

/* Which process receives from the ends that share a word; 0 = none. A copy of
 * the process may find its parent's number there, which means nothing. */
static _Atomic int turns[TURNS];

static _Atomic int *
turn_of(int end)
{
    return &turns[os_pair_id(end) % TURNS];
}

/* PACKET_DONE, PACKET_NO_TURN, or -errno. */
static int
turn_take(_Atomic int *turn, int end)
{
    const int own = os_process_id();
    int holder = atomic_load_explicit(turn, memory_order_relaxed);

    /* acquire: pairs with release in turn_give */
    if (holder == own ||
        !atomic_compare_exchange_strong_explicit(
            turn, &holder, own, memory_order_acquire, memory_order_relaxed))
        return PACKET_NO_TURN;
    const int status = os_pair_lock(end);

    if (status < 0)
        atomic_store_explicit(turn, 0, memory_order_release);
    return status == -EAGAIN ? PACKET_NO_TURN : status;
}

static void
turn_give(_Atomic int *turn, int end)
{
    os_pair_unlock(end);
    atomic_store_explicit(turn, 0, memory_order_release);
}

/* A packet that was looked at, with its descriptors. */
struct arrival {
    struct packet_header header;
    size_t length;
    int fds[OS_FDS];
    unsigned fd_count;
    unsigned first; /* of the message's own */
    int apart[OS_FDS];
    unsigned apart_count;
    bool cut; /* not all descriptors could be taken over */
};

static void
close_all(const int *fds, unsigned count)
{
    for (unsigned i = 0; i < count; i++)
        os_close(fds[i]);
}

static int
peek(int end, struct arrival *arrival)
{
    struct os_packet packet = {.head = &arrival->header,
                               .head_size = sizeof arrival->header,
                               .fds = arrival->fds,
                               .fd_count = OS_FDS};
    int length = os_packet_peek(end, &packet);

    if (length == -ECONNRESET) {
        packet.fd_count = OS_FDS;
        length = os_packet_peek(end, &packet);
    }
    if (length < 0)
        return length;
    arrival->length = (size_t)length;
    arrival->fd_count = packet.fd_count;
    arrival->cut = packet.cut;
    return 0;
}

/* What is wrong with the header and what came beside it; NULL: nothing. */
static const char *
fault_of(const struct arrival *arrival)
{
    const struct packet_header *header = &arrival->header;
    const bool in_file = header->flags & PACKET_IN_FILE;
    const bool apart = header->flags & PACKET_FDS_APART;

    if (arrival->length < sizeof *header || header->magic != PACKET_MAGIC ||
        header->flags & ~(uint32_t)(PACKET_IN_FILE | PACKET_FDS_APART) ||
        (apart && !in_file))
        return "it does not begin as a message does";
    if (arrival->length != sizeof *header + (in_file ? 0 : header->size))
        return "its size is wrong";
    if (header->fd_count > OS_FDS)
        return "it has too many descriptors";
    const unsigned coming = in_file + (apart ? 1 : header->fd_count);

    if (arrival->cut ? arrival->fd_count >= coming
                     : arrival->fd_count != coming)
        return "the number of its descriptors is wrong";
    return NULL;
}

/* Takes over the descriptors that came in a packet of their own. */
static const char *
open_apart(struct arrival *arrival)
{
    char nothing;
    struct os_packet packet = {.head = &nothing,
                               .head_size = 1,
                               .fds = arrival->apart,
                               .fd_count = OS_FDS};

    const int length = os_pair_check(arrival->fds[1]) < 0
                           ? -1
                           : os_packet_peek(arrival->fds[1], &packet);

    arrival->apart_count = length < 0 ? 0 : packet.fd_count;
    if (length != 1)
        return "its descriptors are missing";
    arrival->cut = packet.cut;
    if (!packet.cut && packet.fd_count != arrival->header.fd_count)
        return "the number of its descriptors is wrong";
    return NULL;
}

static const char *
open_arrival(struct arrival *arrival)
{
    const char *fault = fault_of(arrival);

    arrival->first = 0;
    arrival->apart_count = 0;
    if (fault || arrival->cut || !(arrival->header.flags & PACKET_IN_FILE))
        return fault;
    const int64_t size = os_memfd_frozen_size(arrival->fds[0]);

    if (size < 0 || (uint64_t)size != arrival->header.size)
        return size < 0 ? "its bytes could still change" : "its size is wrong";
    arrival->first = 1;
    return arrival->header.flags & PACKET_FDS_APART ? open_apart(arrival)
                                                    : NULL;
}

static void
throw_away(int end)
{
    struct os_packet packet = {.fd_count = 0};

    (void)os_packet_take(end, &packet);
}

/* Takes the message that was looked at; what has no place in a packet is there
 * already. */
static int
take(int end, const struct arrival *arrival, const weft_message *message)
{
    const bool in_file = arrival->header.flags & PACKET_IN_FILE;
    struct packet_header header;
    struct os_packet packet = {.head = &header,
                               .head_size = sizeof header,
                               .body = message->data,
                               .body_size = in_file ? 0 : arrival->header.size};
    const int length = os_packet_take(end, &packet);

    if (length == -EAGAIN)
        return PACKET_NOT_YET; /* somebody reads it as a plain descriptor */
    if (length < 0)
        return why_system(length, "cannot receive");
    if ((size_t)length != arrival->length ||
        memcmp(&header, &arrival->header, sizeof header) != 0)
        return why_set(WEFT_EMISMATCH,
                       "a message was lost: who received from descriptor %d "
                       "closed another one of this end",
                       end);
    return PACKET_DONE;
}

/* The message is good: takes it if it fits. */
static int
accept_arrival(int end, struct arrival *arrival, weft_message *message)
{
    const struct packet_header *header = &arrival->header;
    int status = 0;

    if (arrival->cut)
        return why_set(WEFT_EAGAIN, "cannot receive %u descriptors: %s",
                       (unsigned)header->fd_count,
                       "this process has too many open");
    if (header->size > message->size || header->fd_count > message->fd_count) {
        why_set(WEFT_EMSGSIZE,
                "a message of %llu bytes and %u descriptors does not fit into "
                "%zu and %zu",
                (unsigned long long)header->size, (unsigned)header->fd_count,
                message->size, message->fd_count);
        message->size = (size_t)header->size;
        message->fd_count = header->fd_count;
        return WEFT_EMSGSIZE;
    }
    if (header->flags & PACKET_IN_FILE)
        status = os_file_get(arrival->fds[0], 0, message->data,
                             (size_t)header->size);
    return status < 0 ? why_system(status, "cannot receive")
                      : take(end, arrival, message);
}

/* The message has been taken: gives out what else belongs to it. */
static void
give_out(struct arrival *arrival, weft_message *message)
{
    const bool apart = arrival->header.flags & PACKET_FDS_APART;
    const int *fds = apart ? arrival->apart : arrival->fds + arrival->first;

    message->size = (size_t)arrival->header.size;
    message->fd_count = arrival->header.fd_count;
    if (message->fd_count > 0)
        memcpy(message->fds, fds, message->fd_count * sizeof *fds);
    if (apart)
        arrival->apart_count = 0;
    else
        arrival->fd_count = arrival->first;
}

/* During a turn. Descriptors are closed last: one of them may be of this very
 * end, and closing that gives the turn back. */
static int
receive(int end, weft_message *message)
{
    struct arrival arrival;
    int status = peek(end, &arrival);

    if (status == -EAGAIN)
        return PACKET_NOT_YET;
    if (status < 0)
        return why_system(status, "cannot receive");
    if (arrival.length == 0 && arrival.fd_count == 0 && os_pair_is_over(end))
        return why_because(WEFT_EPIPE, "nothing to receive");
    const char *fault = open_arrival(&arrival);

    if (fault) {
        throw_away(end);
        status = why_set(WEFT_EMISMATCH,
                         "what came over descriptor %d is no message and was "
                         "thrown away: %s",
                         end, fault);
    } else {
        status = accept_arrival(end, &arrival, message);
    }
    if (status == PACKET_DONE)
        give_out(&arrival, message);
    close_all(arrival.fds, arrival.fd_count);
    close_all(arrival.apart, arrival.apart_count);
    return status;
}

/* One try: an outcome, or a failure, explained. */
static int
try_receive(_Atomic int *turn, int end, weft_message *message)
{
    const int status = turn_take(turn, end);

    if (status < 0)
        return why_system(status, "cannot receive");
    if (status != PACKET_DONE)
        return status;
    const int received = receive(end, message);

    turn_give(turn, end);
    return received;
}

/* Waits a moment for a turn, longer each time. */
static int
wait_for_turn(unsigned tries, int64_t until)
{
    const unsigned doubled = tries - SPINS;

    if (tries >= SPINS)
        return packet_nap(doubled < 5 ? NAP_LEAST << doubled : PACKET_NAP,
                          until);
    for (unsigned i = 0; i < 16U << tries; i++)
        os_pause();
    return os_now() >= until ? WEFT_ETIMEDOUT : 0;
}

int
weft_pipe_receive(int end, weft_message *message, weft_time deadline)
{
    const int64_t until = deadline.ns;
    unsigned tries = 0;
    int status = packet_check(end, message, "weft_pipe_receive");

    if (status < 0)
        return status;
    _Atomic int *turn = turn_of(end);
    const int64_t patience = until > 0 ? until : os_now() + TURN_PATIENCE;

    while ((status = try_receive(turn, end, message)) > PACKET_DONE) {
        if (status == PACKET_NO_TURN) {
            status = wait_for_turn(tries++, patience);
        } else {
            status = packet_wait(end, false, until);
            tries = 0;
        }
        if (status < 0)
            break;
    }
    return packet_explain(status, end, "nothing came over", "waiting for");
}
