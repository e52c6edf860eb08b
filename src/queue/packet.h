/* What the two halves of the message pipe share: sending in pipe.c, receiving
 * in pipe_receive.c. */
#ifndef QUEUE_PACKET_H
#define QUEUE_PACKET_H

#include <weft/pipe.h>

#include <stdint.h>

enum {
    PACKET_NAP = 1000000 /* ns, at most, for what no descriptor tells */
};

/* How a try ended, if it did not fail, which is below 0. */
enum packet_outcome {
    PACKET_DONE,
    PACKET_NOT_YET, /* no message there, or no room */
    PACKET_NO_TURN,
    PACKET_TOO_MANY_FDS /* on their way to receivers */
};

#define PACKET_MAGIC UINT64_C(0x3165706970746677) /* "wftpipe1" */

enum {
    PACKET_IN_FILE = 1,  /* the bytes are in a file, the first descriptor */
    PACKET_FDS_APART = 2 /* the descriptors did not fit beside it: they are in a
                            packet of their own, in an end of another pair, the
                            second one */
};

/* A packet begins with it. */
struct packet_header {
    uint64_t magic;
    uint64_t size;
    uint32_t fd_count; /* of the message */
    uint32_t flags;
};

/* 0, or a failure, explained. */
int packet_check(int end, const weft_message *message, const char *call);

/* Until the end can be read or written; WEFT_ETIMEDOUT, WEFT_ECANCELED. */
int packet_wait(int end, bool writable, int64_t until);

/* The same for a moment. */
int packet_nap(int64_t span, int64_t until);

/* Says why a wait failed, and returns the status. */
int packet_explain(int status, int end, const char *late, const char *stopped);

#endif
