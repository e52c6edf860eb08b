/* One pointer of thread-local storage; the buffer is made at a thread's first
 * failure and freed by a key's destructor when the thread ends. */
#include "base/why.h"

#include "base/text.h"

#include <weft/status.h>

#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct why {
    int status;
    char sentence[TEXT_MESSAGE + TEXT_NAME];
};

static _Thread_local struct why *why;
static _Thread_local int why_status; /* the last status, memory or not */
static pthread_once_t key_once = PTHREAD_ONCE_INIT;
static pthread_key_t key; /* read-only after key_once */
static bool key_is_made;  /* read-only after key_once */

static void
forget(void *memory)
{
    why = NULL;
    free(memory);
}

static void
make_key(void)
{
    key_is_made = pthread_key_create(&key, forget) == 0;
}

static struct why *
why_here(void)
{
    if (why)
        return why;
    (void)pthread_once(&key_once, make_key);
    if (!key_is_made)
        return NULL;
    struct why *fresh = calloc(1, sizeof *fresh);

    if (fresh && pthread_setspecific(key, fresh)) {
        free(fresh);
        fresh = NULL;
    }
    why = fresh;
    return fresh;
}

int
why_set(int status, const char *format, ...)
{
    struct why *here = why_here();
    va_list list;

    why_status = status;
    if (!here)
        return status;
    struct text text = text_over(here->sentence, sizeof here->sentence);

    here->status = status;
    va_start(list, format);
    text_add_list(&text, format, list);
    va_end(list);
    return status;
}

int
why_because(int status, const char *doing)
{
    return why_set(status, "%s: %s", doing, weft_status_text(status));
}

static int
status_of(int error)
{
    switch (-error) {
    case EMFILE:
    case ENFILE:
    case ENOSPC:
    case EUSERS:
        return WEFT_EAGAIN;
    case EACCES:
        return WEFT_EPERM;
    default:
        return error;
    }
}

int
why_system(int error, const char *doing)
{
    const char *words = strerrordesc_np(-error);

    return why_set(status_of(error), "%s: %s", doing,
                   words ? words : "unknown error");
}

void
why_end(void)
{
    if (!why)
        return;
    (void)pthread_setspecific(key, NULL);
    forget(why);
}

const char *
weft_why(void)
{
    if (why && why->status == why_status)
        return why->sentence;
    return why_status == WEFT_OK ? "" : weft_status_text(why_status);
}

int
weft_must(int status, const char *doing)
{
    if (status >= 0)
        return status;
    /* The failing call was this thread's last one, unless the status came from
     * elsewhere, and then only its text is true of it. */
    fprintf(stderr, "%s: %s: %s\n", program_invocation_short_name,
            doing ? doing : "weft",
            status == why_status ? weft_why() : weft_status_text(status));
    exit(1);
}
