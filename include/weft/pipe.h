/* Whole messages of any size, and descriptors, between two ends. An end is a
 * plain file descriptor: poll it, hand it over (.fds), close() it. */
#ifndef WEFT_PIPE_H
#define WEFT_PIPE_H

#include <weft/status.h>
#include <weft/time.h>

enum {
    WEFT_PIPE_FDS = 253 /* descriptors in one message */
};

typedef struct weft_message {
    void *data;      /* send: the bytes; receive: room for them */
    size_t size;     /* send: how many; receive: the room, then how many came */
    int *fds;        /* the same for descriptors; NULL, 0 = none */
    size_t fd_count; /* at most WEFT_PIPE_FDS */
} weft_message;

WEFT_BEGIN

/* Makes two ends, each for both directions, close-on-exec, numbered above 2.
 * What one sends the other receives, in order. `ends` is written only on
 * success. WEFT_EINVAL (NULL), WEFT_EAGAIN (no descriptor left), WEFT_ENOMEM.
 */
WEFT_API WEFT_MUST_CHECK int weft_pipe_open(int ends[2]);

/* Sends the message whole, or not at all; a message of 0 bytes is one too. What
 * it says is copied when the call returns, descriptors are duplicated: both
 * stay yours. Waits while the pipe is full, until the deadline; WEFT_NOW does
 * not. Any number of threads and processes may send over one end at once; never
 * raises SIGPIPE. Not from a signal handler.
 *
 * About 200 KiB fit into a pipe in each direction, or 250 messages. Up to 64
 * KiB of a message go through it; the bytes of larger ones lie in a file in
 * memory until they are received, and so hardly count.
 *
 * WEFT_EPIPE: nobody has the other end. WEFT_ETIMEDOUT, WEFT_ECANCELED.
 * WEFT_EINVAL: NULL, a size without data, `end` is no end of a pipe, more than
 * WEFT_PIPE_FDS descriptors or one that is not open. WEFT_ENOMEM. WEFT_EAGAIN:
 * no descriptor left. -EFBIG: larger than RLIMIT_FSIZE. WEFT_EPERM: under
 * WEFT_STRICT, which allows no call of this header. */
WEFT_API WEFT_MUST_CHECK int weft_pipe_send(int end,
                                            const weft_message *message,
                                            weft_time deadline);

/* Receives one whole message, and says in message->size and fd_count what came.
 * Waits until one is there, until the deadline; with WEFT_NOW, no longer than
 * another receiver of the same end takes, and 10 ms at most. Received
 * descriptors are yours to close; they are close-on-exec. Any number of threads
 * and processes may receive from one end at once. Not from a signal handler.
 *
 * After a failure nothing was received: the message is still the next one, and
 * size, fd_count and what they count are as before. Except:
 * WEFT_EMSGSIZE: does not fit; size and fd_count say the room that it needs.
 * WEFT_EMISMATCH: what came is not from this library, or was made up; it is
 * thrown away.
 *
 * WEFT_EPIPE: nobody has the other end, and all it sent has been received.
 * WEFT_ETIMEDOUT, WEFT_ECANCELED. WEFT_EINVAL: NULL, a size without data, `end`
 * is no end of a pipe. WEFT_EAGAIN: the process may not have so many
 * descriptors. WEFT_ENOMEM. WEFT_EPERM: see weft_pipe_send.
 *
 * While processes share an end, do not close one of several descriptors of it
 * that a process has, when another thread receives from it there: the system
 * then lets the others in between, and a message that does not fit may be lost
 * (WEFT_EMISMATCH). */
WEFT_API WEFT_MUST_CHECK int weft_pipe_receive(int end, weft_message *message,
                                               weft_time deadline);

WEFT_END
#endif
