#include "worker/image.h"

#include "base/why.h"

#include <weft/status.h>

#include <dlfcn.h>
#include <elf.h>
#include <link.h>
#include <stdio.h>
#include <string.h>

static bool
holds(const struct dl_phdr_info *object, uint64_t address)
{
    for (int i = 0; i < object->dlpi_phnum; i++) {
        const ElfW(Phdr) *part = &object->dlpi_phdr[i];
        const uint64_t start = object->dlpi_addr + part->p_vaddr;

        if (part->p_type == PT_LOAD && (part->p_flags & PF_X) &&
            address >= start && address - start < part->p_memsz)
            return true;
    }
    return false;
}

static unsigned
find_id(const char *at, size_t size, unsigned char *out)
{
    while (size >= sizeof(ElfW(Nhdr))) {
        ElfW(Nhdr) note;

        memcpy(&note, at, sizeof note);
        const size_t name = (note.n_namesz + 3u) & ~(size_t)3;
        const size_t description = (note.n_descsz + 3u) & ~(size_t)3;
        const size_t whole = sizeof note + name + description;

        if (whole > size)
            return 0;
        if (note.n_type == NT_GNU_BUILD_ID && note.n_namesz == 4 &&
            memcmp(at + sizeof note, "GNU", 4) == 0 &&
            note.n_descsz <= IMAGE_ID) {
            memcpy(out, at + sizeof note + name, note.n_descsz);
            return note.n_descsz;
        }
        at += whole;
        size -= whole;
    }
    return 0;
}

static unsigned
read_id(const struct dl_phdr_info *object, unsigned char *out)
{
    unsigned size = 0;

    for (int i = 0; i < object->dlpi_phnum && size == 0; i++) {
        const ElfW(Phdr) *part = &object->dlpi_phdr[i];

        if (part->p_type == PT_NOTE)
            size = find_id(
                (const char *)(uintptr_t)(object->dlpi_addr + part->p_vaddr),
                part->p_memsz, out);
    }
    return size;
}

static int
refer(struct dl_phdr_info *object, size_t size, void *context)
{
    struct image_ref *ref = context;

    (void)size;
    ref->adds = object->dlpi_adds;
    ref->subs = object->dlpi_subs;
    if (!holds(object, ref->address))
        return 0;
    ref->offset = ref->address - object->dlpi_addr;
    ref->id_size = read_id(object, ref->id);
    struct text path = text_over(ref->path, sizeof ref->path);

    text_add(&path, "%s", object->dlpi_name);
    return 1;
}

int
image_refer(weft_fn *fn, struct image_ref *out)
{
    memset(out, 0, sizeof *out);
    out->address = (uintptr_t)fn;
    if (dl_iterate_phdr(refer, out) == 0)
        return why_set(WEFT_ENOTINIMAGE,
                       "the function at %p lies in no loaded program or "
                       "library",
                       (void *)(uintptr_t)fn);
    return 0;
}

static int
count(struct dl_phdr_info *object, size_t size, void *context)
{
    (void)size;
    *(struct image_count *)context =
        (struct image_count){object->dlpi_adds, object->dlpi_subs};
    return 1;
}

void
image_count(struct image_count *out)
{
    dl_iterate_phdr(count, out);
}

struct search {
    const struct image_ref *ref;
    bool copy;
    uint64_t found;
};

/* The program itself may have no id. */
static bool
is_same(const struct dl_phdr_info *object, const struct image_ref *ref)
{
    const bool program = !ref->path[0] && !object->dlpi_name[0];
    unsigned char id[IMAGE_ID];

    return (program || ref->id_size > 0) &&
           read_id(object, id) == ref->id_size &&
           memcmp(id, ref->id, ref->id_size) == 0;
}

static int
search_object(struct dl_phdr_info *object, size_t size, void *context)
{
    struct search *search = context;
    const struct image_ref *ref = search->ref;

    (void)size;
    if (search->copy && object->dlpi_adds == ref->adds &&
        object->dlpi_subs == ref->subs) {
        search->found = ref->address; /* nothing came or went since */
        return 1;
    }
    if (!is_same(object, ref))
        return 0;
    const uint64_t address = object->dlpi_addr + ref->offset;

    if (holds(object, address))
        search->found = address;
    return search->found != 0;
}

weft_fn *
image_find(const struct image_ref *ref, bool copy)
{
    struct search search = {.ref = ref, .copy = copy};

    dl_iterate_phdr(search_object, &search);
    return (weft_fn *)(uintptr_t)search.found;
}

weft_fn *
image_load(const struct image_ref *ref, bool copy)
{
    weft_fn *fn = image_find(ref, copy);

    if (!fn && ref->path[0] && dlopen(ref->path, RTLD_NOW | RTLD_LOCAL))
        fn = image_find(ref, false);
    return fn;
}

const char *
image_function_name(weft_fn *fn, char space[TEXT_NAME])
{
    struct text text = text_over(space, TEXT_NAME);
    Dl_info info;

    if (!dladdr((void *)(uintptr_t)fn, &info)) {
        text_add(&text, "function at %p", (void *)(uintptr_t)fn);
    } else if (info.dli_sname && info.dli_saddr == (void *)(uintptr_t)fn) {
        text_add(&text, "%s", info.dli_sname);
    } else {
        text_add(&text, "%s+0x%zx", text_base_name(info.dli_fname),
                 (size_t)((uintptr_t)fn - (uintptr_t)info.dli_fbase));
    }
    text_clean(space);
    return space;
}
