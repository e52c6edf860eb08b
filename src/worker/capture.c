#include "worker/capture.h"

#include "base/text.h"
#include "base/why.h"
#include "os/os.h"

#include <weft/status.h>

#include <stdlib.h>
#include <string.h>

enum {
    AT_ONCE = 1 << 20 /* bytes: as many as a pipe can hold; who prints all the
                         time does not keep his reader from everything else */
};

int
capture_open(struct capture *capture, size_t room)
{
    int ends[2];

    capture->bytes = os_memory_is_left(room) ? malloc(room + 1) : NULL;
    if (!capture->bytes)
        return why_because(WEFT_ENOMEM, "worker.capture");
    const int status = os_pipe(ends);

    if (status < 0)
        return why_system(status, "worker.capture");
    capture->from = ends[0];
    capture->to = ends[1];
    capture->room = room;
    return 0;
}

static void
keep(struct capture *capture, const char *bytes, size_t size)
{
    for (size_t i = 0; i < size;) {
        const size_t place = capture->seen % capture->room;
        size_t part = capture->room - place;

        if (part > size - i)
            part = size - i;
        memcpy(capture->bytes + place, bytes + i, part);
        capture->seen += part;
        i += part;
    }
}

bool
capture_read(struct capture *capture)
{
    char bytes[4096];
    int got = 0;

    for (size_t all = 0; capture->from >= 0 && all < AT_ONCE;
         all += (size_t)got) {
        got = os_read_some(capture->from, bytes, sizeof bytes);
        if (got <= 0)
            return got < 0;
        keep(capture, bytes, (size_t)got);
    }
    return capture->from >= 0;
}

static void
reverse(char *from, char *to)
{
    while (from < to) {
        const char byte = *from;

        *from++ = *--to;
        *to = byte;
    }
}

/* The ring becomes a line: rotated by three reversals. */
static void
straighten(struct capture *capture)
{
    char *const start = capture->bytes, *const end = start + capture->room;
    char *const middle = start + capture->seen % capture->room;

    reverse(start, middle);
    reverse(middle, end);
    reverse(start, end);
}

static void
close_end(int *end)
{
    if (*end >= 0)
        os_close(*end);
    *end = -1;
}

static const char *
finish(struct capture *capture)
{
    if (capture->seen > capture->room) {
        straighten(capture);
        capture->seen = capture->room;
    }
    const size_t length = capture->seen;

    for (size_t i = 0; i < length; i++)
        if (capture->bytes[i] == '\0')
            capture->bytes[i] = '?';
    capture->bytes[length] = '\0';
    return capture->bytes;
}

char *
capture_take(struct capture *capture)
{
    (void)capture_read(capture);
    if (capture->seen == 0)
        return NULL;
    char *text = strdup(finish(capture));

    capture->seen = 0;
    return text;
}

const char *
capture_close(struct capture *capture)
{
    (void)capture_read(capture);
    close_end(&capture->from);
    close_end(&capture->to);
    return finish(capture);
}

void
capture_free(struct capture *capture)
{
    close_end(&capture->from);
    close_end(&capture->to);
    free(capture->bytes);
    capture->bytes = NULL;
}
