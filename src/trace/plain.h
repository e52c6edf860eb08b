/* A program may have any locale; what is written here is for programs, too, and
 * has a point in its numbers. */
#ifndef TRACE_PLAIN_H
#define TRACE_PLAIN_H

#include <locale.h>

/* The calling thread has the locale "C" from here to the end, which is given
 * what it had before. */
static inline locale_t
plain_begin(void)
{
    /* None that has to be freed: libc keeps one of its own. */
    return uselocale(newlocale(LC_ALL_MASK, "C", (locale_t)0));
}

static inline void
plain_end(locale_t before)
{
    uselocale(before);
}

#endif
