/* What a worker prints, kept by its parent: the last so many bytes. */
#ifndef WORKER_CAPTURE_H
#define WORKER_CAPTURE_H

#include <stdbool.h>
#include <stddef.h>

struct capture {
    int from, to; /* ends of the pipe; `to` until the worker has it */
    char *bytes;  /* a ring of `room` bytes, and one more */
    size_t room, seen;
};

/* Readies it for `room` bytes. WEFT_ENOMEM, WEFT_EAGAIN. */
int capture_open(struct capture *capture, size_t room);

/* Takes what has been printed, a pipe's full at most; whether more may come.
 * Never waits. */
bool capture_read(struct capture *capture);

/* What there is so far, as a copy to be freed, and begins anew; NULL: nothing,
 * or no memory. */
char *capture_take(struct capture *capture);

/* Ends it; the text, printable, which stays until capture_free. */
const char *capture_close(struct capture *capture);
void capture_free(struct capture *capture);

#endif
