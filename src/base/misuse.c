#include "base/misuse.h"

#include <errno.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>

enum {
    SENTENCE = 1024
};

static void (*_Atomic set)(const char *sentence);

void
misuse_set_hook(void (*hook)(const char *sentence))
{
    atomic_store(&set, hook);
}

void
misuse_stop(const char *format, ...)
{
    char sentence[SENTENCE];
    va_list arguments;

    va_start(arguments, format);
    (void)vsnprintf(sentence, sizeof sentence, format, arguments);
    va_end(arguments);
    void (*tell)(const char *) = atomic_load(&set);

    if (tell)
        tell(sentence);
    fprintf(stderr, "%s: %s\n", program_invocation_short_name, sentence);
    abort();
}
