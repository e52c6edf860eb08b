/* Each file is opened in a session of its own, so that none can hide another
 * and the addresses of one file are all that there is. */
#include "base/symbols.h"
#include "base/text.h"
#include "symbols/binary.h"
#include "symbols/debug.h"

#include <elfutils/libdw.h>
#include <elfutils/libdwfl.h>
#include <string.h>
#include <unistd.h>

/* A file as libdwfl sees it. */
struct session {
    struct binary binary; /* its descriptor is libdwfl's */
    Dwfl *dwfl;
    Dwfl_Module *module;
    GElf_Addr bias; /* where libdwfl thinks the file is */
};

static void
put(char out[SYMBOLS_TEXT], const char *from)
{
    struct text text = text_over(out, SYMBOLS_TEXT);

    text_add(&text, "%s", from);
    text_clean(out);
}

static bool
is_code(const GElf_Sym *symbol)
{
    switch (GELF_ST_TYPE(symbol->st_info)) {
    case STT_FUNC:
    case STT_GNU_IFUNC:
    case STT_NOTYPE: /* a label in assembly */
        return true;
    default:
        return false;
    }
}

static void
name_function(struct symbols_frame *frame, Dwfl_Module *module,
              Dwarf_Addr address)
{
    GElf_Sym symbol;
    GElf_Off into = 0;
    const char *name =
        dwfl_module_addrinfo(module, address, &into, &symbol, NULL, NULL, NULL);

    if (name && is_code(&symbol) &&
        (symbol.st_size == 0 || into < symbol.st_size)) {
        put(frame->function, name);
        /* qsort@@GLIBC_2.2.5 */
        frame->function[strcspn(frame->function, "@")] = '\0';
    }
}

/* The compilation unit of an address. libdw asks .debug_aranges, which clang
 * does not write; then each unit is asked. */
static Dwarf_Die *
find_unit(Dwfl_Module *module, Dwarf_Addr address, Dwarf_Addr *bias)
{
    Dwarf_Die *unit = dwfl_module_addrdie(module, address, bias);

    if (unit)
        return unit;
    while ((unit = dwfl_module_nextcu(module, unit, bias)))
        if (dwarf_haspc(unit, address - *bias) > 0)
            return unit;
    return NULL;
}

static void
name_line(struct symbols_frame *frame, Dwfl_Module *module, Dwarf_Addr address)
{
    Dwarf_Addr bias = 0;
    Dwarf_Die *unit = find_unit(module, address, &bias);
    Dwarf_Line *line = unit ? dwarf_getsrc_die(unit, address - bias) : NULL;
    const char *file = line ? dwarf_linesrc(line, NULL, NULL) : NULL;
    int number = 0;

    if (!file)
        return;
    put(frame->file, text_base_name(file));
    if (dwarf_lineno(line, &number) == 0 && number > 0)
        frame->line = number;
}

static bool
session_open(struct session *session, const char *path)
{
    static const Dwfl_Callbacks callbacks = {.find_debuginfo = debug_find};

    if (!binary_open(&session->binary, path))
        return false;
    session->dwfl = dwfl_begin(&callbacks);
    if (!session->dwfl)
        goto close_file;
    session->module =
        dwfl_report_offline(session->dwfl, path, path, session->binary.fd);
    if (!session->module)
        goto end;
    /* From here on libdwfl closes the file. */
    if (dwfl_report_end(session->dwfl, NULL, NULL) == 0 &&
        dwfl_module_getelf(session->module, &session->bias))
        return true;
    dwfl_end(session->dwfl);
    return false;

end:
    dwfl_end(session->dwfl);
close_file:
    close(session->binary.fd);
    return false;
}

static void
name_frame(struct symbols_frame *frame, const struct session *session)
{
    uint64_t address = 0;

    /* The call may be the last instruction of its function. */
    if (frame->call && frame->offset == 0)
        return;
    if (!binary_address(&session->binary, frame->offset - frame->call,
                        &address))
        return;
    name_function(frame, session->module, address + session->bias);
    name_line(frame, session->module, address + session->bias);
}

static bool
same_file(const struct symbols_frame *one, const struct symbols_frame *other)
{
    return one->path && other->path && strcmp(one->path, other->path) == 0;
}

/* Names all frames of the file of the first. */
static void
name_file(struct symbols_frame *frames, size_t count)
{
    struct session session;

    if (!session_open(&session, frames->path))
        return;
    for (size_t i = 0; i < count; i++)
        if (same_file(frames, &frames[i]))
            name_frame(&frames[i], &session);
    dwfl_end(session.dwfl);
}

static bool
is_first_of_file(const struct symbols_frame *frames, size_t at)
{
    for (size_t i = 0; i < at; i++)
        if (same_file(&frames[i], &frames[at]))
            return false;
    return frames[at].path != NULL;
}

size_t
weft_symbols_explain(struct symbols_frame *frames, size_t count)
{
    size_t named = 0;

    for (size_t i = 0; i < count; i++) {
        frames[i].function[0] = frames[i].file[0] = '\0';
        frames[i].line = 0;
    }
    for (size_t i = 0; i < count; i++)
        if (is_first_of_file(frames, i))
            name_file(&frames[i], count - i);
    for (size_t i = 0; i < count; i++)
        named += frames[i].function[0] != '\0';
    return named;
}
