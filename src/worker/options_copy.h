/* Worker options that outlive the caller's. */
#ifndef WORKER_OPTIONS_COPY_H
#define WORKER_OPTIONS_COPY_H

#include <weft/worker.h>

/* `options` points into `memory`, but for the descriptors, in `fds`, which are
 * duplicates of the caller's, with room for two more behind them. */
struct options_copy {
    weft_worker_options options;
    void *memory;
    int *fds;
};

/* Copies what was checked; all-zero before. WEFT_ENOMEM, WEFT_EAGAIN. */
int options_copy(struct options_copy *copy, const weft_worker_options *options);
void options_copy_free(struct options_copy *copy);

#endif
