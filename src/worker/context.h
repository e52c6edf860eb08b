/* What a process worker takes over from its caller, or is given in its place.
 */
#ifndef WORKER_CONTEXT_H
#define WORKER_CONTEXT_H

#include "worker/wire.h"

/* Notes the present context as what copies of this process start with. By the
 * main thread, before it is copied. */
int context_note(const struct os_rights *rights);

/* In the program: writes the caller's context, and what the options change of
 * it, into the request, whose method is known; *environment is what must be
 * sent of it, to be freed, or NULL when a worker has it already, which is not
 * known of one that is made `later`. *rights are the caller's. Says in
 * request->confirm whether the worker may fail to take it over. */
int context_capture(struct wire_request *request,
                    const weft_worker_options *options, bool later,
                    char **environment, struct os_rights *rights);

/* A copy of the environment, and of such a list, as os_environment writes it;
 * to be freed. NULL: no memory. */
char *context_environment(size_t *size);
char *context_pack(const char *const *strings, size_t *size);

/* In the worker, in its working directory: takes all of it over. Returns what
 * went wrong, with a sentence. */
int context_apply(const struct wire_request *request, char *environment);

/* After it: what it may no longer do from here on. */
int context_restrict(const struct wire_request *request, char *writable);

#endif
