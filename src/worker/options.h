/* What a worker is asked to be: what can be said of that for every kind. */
#ifndef WORKER_OPTIONS_H
#define WORKER_OPTIONS_H

#include <weft/worker.h>

/* WEFT_EINVAL. NULL is nothing asked. */
int options_check(const weft_worker_options *options);

/* The first option that is set and that only a process can have; NULL: none. */
const char *options_for_processes(const weft_worker_options *options);

/* The tail of a struct that this version does not know must be zero. */
int options_check_words(const uintptr_t *words, size_t count, const char *what);

#endif
