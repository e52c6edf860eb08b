/* The worker's side: runs in a signal handler, and so calls nothing but the
 * system. */
#include "worker/crash.h"

#include "os/os.h"

#include <string.h>

enum {
    NEAR = 16,        /* a limit is hit when less than one part in so many, */
    LEAST = 256 << 10 /* or so little that malloc finds no room, is left */
};

static struct {
    struct wire_crash *out; /* NULL: this process is no worker */
    int pid;                /* not its own children, which copy all this */
    uint64_t limit;         /* of private memory, in all; 0 = none */
    uint64_t near;          /* so little left is as good as nothing */
    int maps, statm;        /* -1: to be opened */
} armed = {.maps = -1, .statm = -1};

static uint32_t
file_number(struct wire_crash *out, const char *path)
{
    for (uint32_t i = 0; i < out->files; i++)
        if (strncmp(out->paths[i], path, WIRE_PATH - 1) == 0)
            return i + 1;
    if (out->files == WIRE_FILES)
        return 0;
    strncpy(out->paths[out->files], path, WIRE_PATH - 1);
    return ++out->files;
}

static void
note_place(void *context, unsigned which, const char *path, uint64_t offset)
{
    struct wire_crash *out = context;

    out->frames[which].offset = offset;
    out->frames[which].file = file_number(out, path);
}

static bool
memory_is_full(void)
{
    return armed.limit &&
           os_memory_private(armed.statm) > armed.limit - armed.near;
}

static void
note(const struct os_crash *crash)
{
    struct wire_crash *out = armed.out;

    if (!out || armed.pid != os_process_id())
        return;
    out->signal = crash->signal;
    out->code = crash->code;
    out->address = crash->address;
    out->memory_is_full = memory_is_full();
    for (unsigned i = 0; i < crash->count; i++) {
        out->frames[i].address = crash->frames[i];
        out->frames[i].file = 0;
    }
    atomic_store_explicit(&out->count, crash->count, memory_order_release);
    if (armed.maps < 0)
        armed.maps = os_maps_open();
    if (armed.maps >= 0)
        os_maps_places(armed.maps, crash->frames, crash->count, note_place,
                       out);
}

void
crash_catch(void)
{
    os_crash_catch(note);
}

void
crash_arm(struct wire_crash *crash, uint64_t limit, bool closed)
{
    armed.out = crash;
    const uint64_t used = os_memory_private(-1);

    armed.pid = os_process_id();
    armed.limit = limit && limit < OS_NO_LIMIT - used ? used + limit : 0;
    armed.near = limit / NEAR;
    if (armed.near < LEAST)
        armed.near = limit / 2 < LEAST ? limit / 2 : LEAST;
    armed.maps = closed ? os_maps_open() : -1;
    armed.statm = closed && limit ? os_memory_open(0) : -1;
}
