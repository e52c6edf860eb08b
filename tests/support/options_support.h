/* What the tests of a process worker's options share: they hold for each way to
 * copy the program, methods[_i]. */
#ifndef SUPPORT_OPTIONS_SUPPORT_H
#define SUPPORT_OPTIONS_SUPPORT_H

#include "support/worker_support.h"

enum {
    MIB = 1 << 20
};

extern const weft_method methods[2];

#define add_for_methods(tcase, test) support_add_table(tcase, test, methods)

/* Makes `common`, and leaves no core files: a checked fixture. */
void options_ready(void);

#define start_with(function, ...)                             \
    must_start(WEFT_PROCESS,                                  \
               &(weft_task){.fn = (function),                 \
                            .worker = &(weft_worker_options){ \
                                .method = methods[_i], __VA_ARGS__}})

#define run_with(function, ...)                             \
    must_run(WEFT_PROCESS,                                  \
             &(weft_task){.fn = (function),                 \
                          .worker = &(weft_worker_options){ \
                              .method = methods[_i], __VA_ARGS__}})

#define run_plainly(function) run_with(function, .nice = 0)

/* Starts do_nothing; what weft_start returned. */
int try_options(const weft_worker_options *options);

#define start_refused(code, word, ...)                                       \
    expect_refused(try_options(&(weft_worker_options){.method = methods[_i], \
                                                      __VA_ARGS__}),         \
                   code, word)

/* Takes up to `most` bytes from malloc, in parts; how much it gets. */
size_t take_all(size_t most);

/* Functions to run, which end in SIGSEGV: without and with all memory taken. */
weft_fn crash;
weft_fn take_all_and_crash;

/* Waits for such an end, and releases the job. */
void expect_crash(weft_job *job, bool out_of_memory);

#endif
