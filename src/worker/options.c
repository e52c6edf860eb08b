#include "worker/options.h"

#include "base/why.h"

#include <weft/status.h>

int
options_check_words(const uintptr_t *words, size_t count, const char *what)
{
    for (size_t i = 0; i < count; i++)
        if (words[i])
            return why_set(WEFT_EINVAL,
                           "%s holds a field that this version of weft does "
                           "not know",
                           what);
    return 0;
}

int
options_check(const weft_worker_options *options)
{
    if (!options)
        return 0;

    if (!options->cpus != !options->cpu_count)
        return why_set(WEFT_EINVAL, "worker.cpus and cpu_count go together");
    if (options->cpu_count > 1 << 16)
        return why_set(WEFT_EINVAL, "worker.cpu_count is %zu",
                       options->cpu_count);
    if (options->grace < 0)
        return why_set(WEFT_EINVAL, "worker.grace is negative");
    return options_check_words(
        options->reserved, sizeof options->reserved / sizeof *options->reserved,
        "worker options");
}

const char *
options_for_processes(const weft_worker_options *options)
{
    const struct {
        bool set;
        const char *name;
    } fields[] = {
        {options->nice != 0, "nice"},
        {options->method != WEFT_METHOD_DEFAULT, "method"},
        {options->fds || options->fd_count, "fds"},
        {options->env, "env"},
        {options->directory, "directory"},
        {options->memory != 0, "memory"},
        {options->cpu_time != 0, "cpu_time"},
        {options->grace != 0, "grace"},
        {options->sandbox != WEFT_OPEN, "sandbox"},
        {options->heap != WEFT_HEAP_DEFAULT, "heap"},
        {options->writable, "writable"},
        {options->capture != 0, "capture"},
    };

    for (size_t i = 0; i < sizeof fields / sizeof *fields; i++)
        if (fields[i].set)
            return fields[i].name;
    return NULL;
}
