#include "worker/context.h"

#include "base/digest.h"
#include "base/why.h"

#include <weft/status.h>

#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>

enum {
    ENVIRONMENT_MOST = 64 << 20 /* bytes */
};

/* What copies of this process start with. */
static struct {
    struct os_context context;
    uint64_t environment; /* a digest */
    bool made;
} noted;

/* A copy of the environment, to be freed; *size its bytes. NULL: no memory, or
 * it never stood still. */
char *
context_environment(size_t *size)
{
    size_t room = 4096;

    for (;;) {
        char *strings = malloc(room);
        const long used = strings ? os_environment(strings, room) : -ENOMEM;

        if (used >= 0 && (size_t)used <= room) {
            if (used == 0)
                *strings = '\0';
            *size = (size_t)used;
            return strings;
        }
        free(strings);
        if (used < 0 || used > ENVIRONMENT_MOST)
            return NULL;
        room = (size_t)used + 4096;
    }
}

int
context_note(const struct os_rights *rights)
{
    size_t size = 0;
    char *strings = context_environment(&size);
    const int status = os_context_get(&noted.context);

    os_environment_note();

    noted.context.umask = rights->umask;
    noted.environment = strings ? digest_bytes(DIGEST_START, strings, size) : 0;
    noted.made = strings && status == 0;
    free(strings);
    return status < 0 ? why_system(status, "cannot read the limits")
           : noted.made
               ? 0
               : why_because(WEFT_ENOMEM, "cannot copy the environment");
}

/* --- in the program */

char *
context_pack(const char *const *strings, size_t *size)
{
    size_t whole = 0;

    for (const char *const *at = strings; *at; at++)
        whole += strlen(*at) + 1;
    char *block = malloc(whole + 1), *end = block;

    for (const char *const *at = strings; block && *at; at++)
        end = stpcpy(end, *at) + 1;
    if (block)
        *end = '\0';
    *size = whole;
    return block;
}

/* Whether workers that are made in this way have the environment already. */
static bool
has_environment(weft_method method, const char *strings, size_t size)
{
    return method == WEFT_FORK ||
           (method == WEFT_ZYGOTE && noted.made &&
            digest_bytes(DIGEST_START, strings, size) == noted.environment);
}

static int
capture_environment(struct wire_request *request,
                    const weft_worker_options *options, bool later,
                    char **environment)
{
    const char *const *given = options ? options->env : NULL;
    size_t size = 0;
    char *strings =
        given ? context_pack(given, &size) : context_environment(&size);

    if (!strings)
        return why_because(WEFT_ENOMEM, "cannot copy the environment");
    if (!given && !later && has_environment(request->method, strings, size)) {
        free(strings);
        return 0;
    }
    *environment = strings;
    request->environment_size = size ? size : 1;
    return 0;
}

static void
take_options(struct wire_request *request, const weft_worker_options *options)
{
    request->stack_size = options->stack_size;
    request->cpu_count = (uint32_t)options->cpu_count;
    for (size_t i = 0; i < options->cpu_count; i++)
        request->cpus[i] = (uint16_t)options->cpus[i];
    request->nice = options->nice;
    request->memory = options->memory;
    request->cpu_time = options->cpu_time;
    request->sandbox = options->sandbox;
    request->captured = options->capture > 0;
    request->confirm = options->nice || options->memory || options->cpu_time ||
                       options->cpu_count || options->sandbox != WEFT_OPEN;
}

int
context_capture(struct wire_request *request,
                const weft_worker_options *options, bool later,
                char **environment, struct os_rights *rights)
{
    int status = os_rights(rights);

    if (status == 0)
        status = os_context_get(&request->context);
    if (status < 0)
        return why_system(status, "cannot read what a worker takes over");
    request->context.umask = rights->umask;
    request->rights = rights->digest;
    if (options)
        take_options(request, options);
    if (request->method == WEFT_SPAWN ||
        (request->method == WEFT_ZYGOTE &&
         memcmp(&request->context, &noted.context, sizeof noted.context) != 0))
        request->confirm = true;
    return capture_environment(request, options, later, environment);
}

/* --- in the worker */

static int
restrict_cpus(const struct wire_request *request)
{
    unsigned cpus[WIRE_CPUS];

    if (request->cpu_count == 0)
        return 0;
    for (unsigned i = 0; i < request->cpu_count; i++)
        cpus[i] = request->cpus[i];
    return os_cpu_restrict(cpus, request->cpu_count);
}

/* What this process differs in. A fork is its caller's copy in everything. */
static int
take_limits(const struct wire_request *request)
{
    struct os_rights rights = {.digest = request->rights};
    int status = 0;

    if (request->method == WEFT_FORK)
        return 0;
    if (!noted.made) {
        status = os_rights(&rights);
        status = status < 0 ? why_system(status, "cannot read its own rights")
                            : context_note(&rights);
        os_rights_forked(true); /* the function has the handed ones alone */
    }
    if (status < 0)
        return status;
    /* Executing a program gives and takes rights. */
    if (request->method == WEFT_SPAWN && rights.digest != request->rights)
        return why_set(WEFT_ESTALE, "the program executed anew would have "
                                    "other rights than its caller");
    status = os_context_apply(&request->context, &noted.context);
    return status < 0
               ? why_system(status, "a worker cannot have its caller's limits")
               : 0;
}

static int
take_environment(const struct wire_request *request, char *environment)
{
    int status = 0;

    /* One byte stands for no strings at all. */
    if (request->environment_size > 0)
        status = os_environment_set(environment, request->environment_size > 1
                                                     ? request->environment_size
                                                     : 0);
    return status < 0 ? why_system(status, "worker.env") : 0;
}

int
context_apply(const struct wire_request *request, char *environment)
{
    int status = take_limits(request);

    if (status == 0)
        status = take_environment(request, environment);
    if (status < 0)
        return status;
    status = restrict_cpus(request);
    if (status < 0)
        return why_system(status, "worker.cpus");
    if (request->nice)
        status = os_nice(request->context.nice + request->nice);
    return status < 0 ? why_system(status, "worker.nice") : 0;
}

/* The paths in the block, NULL-ended, to be freed. */
static const char **
unpack(char *strings, size_t size)
{
    size_t count = 0;

    for (size_t i = 0; i < size; i++)
        count += strings[i] == '\0';
    const char **paths = calloc(count + 1, sizeof *paths);

    for (size_t i = 0; paths && i < count; i++, strings += strlen(strings) + 1)
        paths[i] = strings;
    return paths;
}

static int
limit_writes(const struct wire_request *request, char *writable)
{
    const char **paths = unpack(writable, request->writable_size);
    char space[TEXT_NAME] = "worker.sandbox: WEFT_LIMITED";
    unsigned which = UINT_MAX; /* until a path is at fault */

    if (!paths)
        return why_because(WEFT_ENOMEM, "worker.writable");
    const int status = os_limit_writes(paths, &which);

    if (status < 0 && which != UINT_MAX) {
        struct text text = text_over(space, sizeof space);

        text_add(&text, "worker.writable: '%.200s'", paths[which]);
    }
    free(paths);
    return status < 0 ? why_system(status, space) : 0;
}

int
context_restrict(const struct wire_request *request, char *writable)
{
    int status = 0;

    if (request->memory)
        status = os_limit_memory(request->memory);
    if (status < 0)
        return why_system(status, "worker.memory");
    if (request->cpu_time)
        status = os_limit_cpu(request->cpu_time);
    if (status < 0)
        return why_system(status, "worker.cpu_time");
    if (request->sandbox == WEFT_LIMITED)
        return limit_writes(request, writable);
    if (request->sandbox == WEFT_STRICT)
        status = os_compute_only();
    return status < 0 ? why_system(status, "worker.sandbox: WEFT_STRICT") : 0;
}
