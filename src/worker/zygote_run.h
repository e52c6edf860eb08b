/* The zygote from inside. */
#ifndef WORKER_ZYGOTE_RUN_H
#define WORKER_ZYGOTE_RUN_H

#include <stdint.h>

/* What the program may ask besides a request. The end of the socket alone is no
 * farewell: it also comes before a killed program's death can be seen. */
struct zygote_wish {
    uint32_t magic;
    uint32_t leave; /* 0: for a worker made in advance, which is answered with
                       its end of a socket; 1: no more is wanted */
};

struct zygote_answer {
    int32_t pid;   /* or a status */
    int32_t ready; /* 1: a worker made in advance, and the program's end of its
                      socket comes along; 0: the one that runs a request */
};

/* Serves the program at `end`, whose death `pidfd` tells, until it dies. */
_Noreturn void zygote_run(int end, int program, int pidfd);

#endif
