/* libdwfl's own search ends on the network when DEBUGINFOD_URLS is set, and
 * that may take minutes. The half of it that goes by build-id does not; the
 * half that goes by name is done here, for files that have a build-id to
 * recognise their debug information by. */
#include "symbols/debug.h"

#include "symbols/binary.h"

#include <elfutils/libdwelf.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

struct build_id {
    const unsigned char *bytes;
    int length;
};

static bool
has_id(int fd, const struct build_id *id)
{
    Elf *elf = elf_begin(fd, ELF_C_READ, NULL);
    const void *bytes = NULL;
    const bool same = elf && elf_kind(elf) == ELF_K_ELF &&
                      dwelf_elf_gnu_build_id(elf, &bytes) == id->length &&
                      memcmp(bytes, id->bytes, (size_t)id->length) == 0;

    elf_end(elf);
    return same;
}

static int
open_with_id(const char *path, const struct build_id *id)
{
    const int fd = binary_open_file(path);

    if (fd < 0 || has_id(fd, id))
        return fd;
    close(fd);
    return -1;
}

/* The places that gdb knows, too: beside the file, below it, and the same
 * directory under /usr/lib/debug. */
static int
find_by_name(const char *file, const char *link, const struct build_id *id,
             char **found)
{
    static const struct {
        const char *before, *after;
    } places[] = {{"", "/"}, {"", "/.debug/"}, {"/usr/lib/debug", "/"}};

    const char *slash = strrchr(file, '/');
    char path[PATH_MAX];

    if (!slash || strchr(link, '/'))
        return -1;
    for (size_t i = 0; i < sizeof places / sizeof *places; i++) {
        const int length =
            snprintf(path, sizeof path, "%s%.*s%s%s", places[i].before,
                     (int)(slash - file), file, places[i].after, link);

        if (length < 0 || (size_t)length >= sizeof path ||
            strcmp(path, file) == 0)
            continue;
        const int fd = open_with_id(path, id);

        if (fd >= 0) {
            *found = strdup(path);
            return fd;
        }
    }
    return -1;
}

int /* NOLINTNEXTLINE(readability-function-size): libdwfl says which */
debug_find(Dwfl_Module *module, void **userdata, const char *name,
           Dwarf_Addr base, const char *file, const char *link, GElf_Word sum,
           char **found)
{
    struct build_id id = {NULL, 0};
    GElf_Addr at = 0;
    const int fd = dwfl_build_id_find_debuginfo(module, userdata, name, base,
                                                file, link, sum, found);

    if (fd >= 0 || !file || !link)
        return fd;
    id.length = dwfl_module_build_id(module, &id.bytes, &at);
    return id.length > 0 ? find_by_name(file, link, &id, found) : -1;
}
