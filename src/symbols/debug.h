/* Where the debug information of a file is, when it is not in the file. */
#ifndef SYMBOLS_DEBUG_H
#define SYMBOLS_DEBUG_H

#include <elfutils/libdwfl.h>

/* The find_debuginfo of Dwfl_Callbacks: a descriptor and its path, or -1. */
int debug_find(Dwfl_Module *module, void **userdata, const char *name,
               Dwarf_Addr base, const char *file, const char *link,
               GElf_Word sum, char **found);

#endif
