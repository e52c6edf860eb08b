#include "worker/options_copy.h"

#include "base/why.h"
#include "os/os.h"

#include <weft/status.h>

#include <stdlib.h>
#include <string.h>

/* Bytes that are counted first and taken then: twice the same walk. */
struct taking {
    char *at; /* NULL: only counting */
    size_t size;
};

static void *
take(struct taking *taking, const void *bytes, size_t size)
{
    const size_t aligned = (size + 15) & ~(size_t)15;
    char *at = taking->at;

    taking->size += aligned;
    if (!at)
        return NULL;
    memcpy(at, bytes, size);
    taking->at += aligned;
    return at;
}

static const char *
take_string(struct taking *taking, const char *string)
{
    return string ? take(taking, string, strlen(string) + 1) : NULL;
}

static const char *const *
take_strings(struct taking *taking, const char *const *strings)
{
    size_t count = 0;

    if (!strings)
        return NULL;
    while (strings[count])
        count++;
    const char **list = take(taking, strings, (count + 1) * sizeof *list);

    for (size_t i = 0; i < count; i++) {
        const char *string = take_string(taking, strings[i]);

        if (list)
            list[i] = string;
    }
    return list;
}

static void
walk(struct taking *taking, const weft_worker_options *from,
     weft_worker_options *to)
{
    *to = *from;
    if (from->cpus)
        to->cpus =
            take(taking, from->cpus, from->cpu_count * sizeof *from->cpus);
    to->env = take_strings(taking, from->env);
    to->writable = take_strings(taking, from->writable);
    to->directory = take_string(taking, from->directory);
}

static int
copy_fds(struct options_copy *copy)
{
    weft_worker_options *options = &copy->options;
    const int *from = options->fds;
    const size_t count = options->fd_count;

    options->fd_count = 0;
    copy->fds = calloc(count + 2, sizeof *copy->fds);
    if (!copy->fds)
        return why_because(WEFT_ENOMEM, "worker.fds");
    options->fds = count ? copy->fds : NULL;
    for (size_t i = 0; i < count; i++) {
        copy->fds[i] = os_copy_fd(from[i], 3);
        if (copy->fds[i] < 0)
            return why_system(copy->fds[i], "worker.fds");
        options->fd_count++;
    }
    return 0;
}

int
options_copy(struct options_copy *copy, const weft_worker_options *options)
{
    struct taking taking = {0};

    walk(&taking, options, &copy->options);
    copy->memory = taking.at = malloc(taking.size ? taking.size : 1);
    if (!taking.at) {
        copy->options = (weft_worker_options){0};
        return why_because(WEFT_ENOMEM, "cannot copy worker options");
    }
    walk(&taking, options, &copy->options);
    const int status = copy_fds(copy);

    if (status < 0)
        options_copy_free(copy);
    return status;
}

void
options_copy_free(struct options_copy *copy)
{
    for (size_t i = 0; copy->fds && i < copy->options.fd_count; i++)
        os_close(copy->fds[i]);
    free(copy->fds);
    free(copy->memory);
    *copy = (struct options_copy){0};
}
