/* Finds the addresses of names, each with a deadline. getaddrinfo cannot be
 * interrupted, and a name server that does not answer holds it for half a
 * minute; in a worker process it can be killed. Names are given as arguments or
 * one a line.
 *
 *     resolve [--processes N] [--deadline SECONDS] [NAME...] */
#include "command.h"

#include <weft/weft.h>

#include <netdb.h>
#include <sys/socket.h>

enum {
    WORKERS = 8, /* they only wait */
    TEXT = 4096
};

struct options {
    unsigned workers;
    weft_duration deadline;
    char **names;
    int count;
};

/* --- in a worker: a name in, its addresses as a text out */

static int resolve(weft_call *call)
{
    const struct addrinfo hints = {.ai_socktype = SOCK_STREAM};
    struct addrinfo *found;
    char *text = call->result;
    const int error = getaddrinfo(call->arg, NULL, &hints, &found);

    if (error != 0)
        return weft_fail(call, "%s", gai_strerror(error));
    for (const struct addrinfo *at = found; at; at = at->ai_next) {
        char address[NI_MAXHOST] = "";
        const size_t used = strlen(text);

        if (getnameinfo(at->ai_addr, at->ai_addrlen, address, sizeof address,
                        NULL, 0, NI_NUMERICHOST) == 0)
            snprintf(text + used, TEXT - used, " %s", address);
    }
    freeaddrinfo(found);
    return 0;
}

/* --- in the program */

static bool submit(weft_pool *pool, weft_scope *scope, const char *name,
                   const struct options *options)
{
    if (weft_submit(NULL, pool,
                    &(weft_task){.fn = resolve,
                                 .name = name,
                                 .arg = name,
                                 .arg_size = strlen(name) + 1,
                                 .result_size = TEXT,
                                 .timeout = options->deadline,
                                 .scope = scope}) == 0)
        return true;
    printf("%s: %s\n", name, weft_why());
    return false;
}

/* Whether all names were taken. */
static bool submit_all(weft_pool *pool, weft_scope *scope,
                       const struct options *options)
{
    static const char blanks[] = " \t\r\n";
    char *line = NULL;
    size_t room = 0;
    bool all = true;

    for (int i = 0; i < options->count; i++)
        all &= submit(pool, scope, options->names[i], options);
    while (options->count == 0 && getline(&line, &room, stdin) >= 0) {
        char *name = line + strspn(line, blanks);

        name[strcspn(name, blanks)] = '\0';
        if (*name)
            all &= submit(pool, scope, name, options);
    }
    free(line);
    if (!ferror(stdin))
        return all;
    perror("standard input");
    return false;
}

static bool print(weft_job *job)
{
    const weft_outcome *end = weft_outcome_of(job);

    switch (end->status) {
    case WEFT_OK:
        printf("%s:%s\n", weft_name(job), (const char *)end->result);
        return true;
    case WEFT_EFAILED:
        printf("%s: %s\n", weft_name(job), end->message);
        return false;
    default: /* timed out, died */
        printf("%s: %s\n", weft_name(job), end->text);
        return false;
    }
}

static _Noreturn void usage(const char *program)
{
    fprintf(stderr,
            "usage: %s [--processes N] [--deadline SECONDS] [NAME...]\n",
            program);
    exit(2);
}

static struct options options_read(int argc, char **argv)
{
    struct options options = {WORKERS, 2 * WEFT_SECOND, NULL, 0};
    int i = 1;

    for (; i + 1 < argc && strncmp(argv[i], "--", 2) == 0; i += 2) {
        const char *word = argv[i + 1];
        bool good = false;

        if (strcmp(argv[i], "--deadline") == 0)
            good = seconds_in(word, &options.deadline);
        else if (strcmp(argv[i], "--processes") == 0)
            good = number_in(word, 1, MOST_WORKERS, &options.workers);
        if (!good)
            usage(argv[0]);
    }
    if (i < argc && *argv[i] == '-')
        usage(argv[0]);
    options.names = argv + i;
    options.count = argc - i;
    return options;
}

int main(int argc, char **argv)
{
    const struct options options = options_read(argc, argv);
    weft_pool *pool;
    weft_scope *scope;
    weft_job *job;
    bool all;

    weft_must(
        weft_pool_open(&pool, WEFT_PROCESS,
                       &(weft_pool_options){.workers = options.workers,
                                            .name = "resolver",
                                            .worker = {.grace = 50 * WEFT_MS}}),
        "open a pool");
    weft_must(
        weft_scope_open(&scope, &(weft_scope_options){.keep_going = true}),
        "open a scope");
    all = submit_all(pool, scope, &options);
    while (weft_scope_next(scope, &job, WEFT_FOREVER) == 0)
        all &= print(job);
    weft_scope_close(scope, WEFT_FOREVER);
    weft_pool_close(pool, WEFT_FOREVER);
    return finish(!all);
}
