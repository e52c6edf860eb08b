/* The parent's side: a dead worker's frames in words. What was noted is
 * whatever the worker wrote, so every number and text in it is checked. */
#include "base/symbols.h"
#include "base/text.h"
#include "wait/lock.h"
#include "worker/crash.h"

#include <dlfcn.h>
#include <link.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

enum {
    STACK_TEXT = 8192
};

static struct lock one_at_a_time; /* the library of symbols wants that */

typedef size_t explain_fn(struct symbols_frame *frames, size_t count);

/* Beside libweft first, as in a build that is not installed. */
static explain_fn *
find_library(void)
{
    static const char name[] = "libweft-symbols.so.0";
    char path[4096];
    struct text text = text_over(path, sizeof path);
    Dl_info here;
    void *library = NULL;

    if (dladdr((void *)(uintptr_t)crash_explain, &here) && here.dli_fname &&
        strrchr(here.dli_fname, '/')) {
        const char *slash = strrchr(here.dli_fname, '/');

        text_add(&text, "%.*s/%s", (int)(slash - here.dli_fname),
                 here.dli_fname, name);
        library = dlopen(path, RTLD_NOW | RTLD_LOCAL);
    }
    if (!library)
        library = dlopen(name, RTLD_NOW | RTLD_LOCAL);
    return library
               ? (explain_fn *)(uintptr_t)dlsym(library, "weft_symbols_explain")
               : NULL;
}

static void
name_frames(struct symbols_frame *frames, size_t count)
{
    static explain_fn *explain; /* under the lock */
    static bool looked;

    lock_take(&one_at_a_time);
    if (!looked)
        explain = find_library();
    looked = true;
    if (explain)
        (void)explain(frames, count);
    lock_give(&one_at_a_time);
}

/* A worker may have written any path. Only what the program itself has loaded
 * is opened, however it is called there. */
struct same {
    dev_t device;
    ino_t number;
};

static int
is_loaded_as(struct dl_phdr_info *object, size_t size, void *context)
{
    const struct same *same = context;
    struct stat file;

    (void)size;
    return stat(object->dlpi_name[0] ? object->dlpi_name : "/proc/self/exe",
                &file) == 0 &&
           file.st_dev == same->device && file.st_ino == same->number;
}

static bool
is_loaded_here(const char *path)
{
    struct stat file;

    if (stat(path, &file) < 0)
        return false;
    struct same same = {file.st_dev, file.st_ino};

    return dl_iterate_phdr(is_loaded_as, &same) != 0;
}

/* What libweft-symbols is asked about: the others keep module and offset. */
static void
name_loaded(struct symbols_frame *frames, size_t count)
{
    struct symbols_frame *asked = calloc(count, sizeof *asked);

    if (!asked)
        return;
    for (size_t i = 0; i < count; i++) {
        asked[i] = frames[i];
        if (frames[i].path && !is_loaded_here(frames[i].path))
            asked[i].path = NULL;
    }
    name_frames(asked, count);
    for (size_t i = 0; i < count; i++) {
        const char *path = frames[i].path;

        frames[i] = asked[i];
        frames[i].path = path;
    }
    free(asked);
}

static void
take_frame(const struct wire_crash *crash, unsigned i,
           struct symbols_frame *frame)
{
    const uint32_t file = crash->frames[i].file;

    *frame = (struct symbols_frame){.offset = crash->frames[i].offset,
                                    .call = i > 0};
    if (file > 0 && file <= WIRE_FILES)
        frame->path = crash->paths[file - 1];
}

/* "crash.c:9", "libc.so.6+0x9e4dc", "0x0". */
static void
add_place(struct text *text, const struct symbols_frame *frame,
          uint64_t address)
{
    if (frame->line > 0)
        text_add(text, "%s:%d", frame->file, frame->line);
    else if (frame->path)
        text_add(text, "%s+0x%llx", text_base_name(frame->path),
                 (unsigned long long)frame->offset);
    else
        text_add(text, "0x%llx", (unsigned long long)address);
}

static void
add_frame(struct text *text, unsigned i, const struct symbols_frame *frame,
          uint64_t address)
{
    text_add(text, "#%u ", i);
    if (frame->function[0])
        text_add(text, "%s (", frame->function);
    add_place(text, frame, address);
    text_add(text, frame->function[0] ? ")\n" : "\n");
}

/* The C library, whose debug information may be there too, only dies of what
 * the program gives it. */
static bool
is_of_program(const struct symbols_frame *frame)
{
    return frame->path &&
           strncmp(text_base_name(frame->path), "libc.so", 7) != 0;
}

static unsigned
telling_frame(const struct symbols_frame *frames, unsigned count)
{
    for (unsigned i = 0; i < count; i++)
        if (is_of_program(&frames[i]))
            return i;
    return 0;
}

static void
write_stack(const struct wire_crash *crash, const struct symbols_frame *frames,
            unsigned count, struct crash_text *out)
{
    const unsigned telling = telling_frame(frames, count);
    struct text where = text_over(out->where, sizeof out->where);
    struct text text = text_over(out->stack, STACK_TEXT);

    add_place(&where, &frames[telling], crash->frames[telling].address);
    text_clean(out->where);
    for (unsigned i = 0; i < count; i++)
        add_frame(&text, i, &frames[i], crash->frames[i].address);
}

void
crash_explain(const struct wire_crash *crash, struct crash_text *out)
{
    struct wire_crash *copy = malloc(sizeof *copy);
    struct symbols_frame *frames = NULL;

    *out = (struct crash_text){.stack = NULL};
    if (!copy)
        return;
    *copy = *crash;
    unsigned count = atomic_load(&copy->count);

    count = count < OS_FRAMES ? count : OS_FRAMES;
    for (unsigned i = 0; i < WIRE_FILES; i++) {
        copy->paths[i][WIRE_PATH - 1] = '\0';
        text_clean(copy->paths[i]);
    }
    if (count > 0)
        frames = calloc(count, sizeof *frames);
    if (frames)
        out->stack = malloc(STACK_TEXT);
    if (out->stack) {
        for (unsigned i = 0; i < count; i++)
            take_frame(copy, i, &frames[i]);
        name_loaded(frames, count);
        write_stack(copy, frames, count, out);
    }
    free(frames);
    free(copy);
}
