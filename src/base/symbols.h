/* Names the frames of a stack: function, source file, line. A library of its
 * own, libweft-symbols, so that libweft needs no libdw: it opens this one with
 * dlopen when there is something to explain.
 *
 * Whatever a file holds, the answer is at worst "unknown". Debug information
 * that is kept apart from the program is looked for on this machine only. A
 * file that somebody shortens meanwhile can kill the caller with SIGBUS, for
 * libdw maps files. */
#ifndef BASE_SYMBOLS_H
#define BASE_SYMBOLS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
    SYMBOLS_TEXT = 128
};

struct symbols_frame {
    /* in */
    const char *path; /* the ELF file that holds the code; NULL = unknown */
    uint64_t offset;  /* in the file, of the instruction */
    bool call;        /* a return address: the call lies before it */

    /* out: "" and 0 when unknown; cut to fit, control characters replaced */
    char function[SYMBOLS_TEXT]; /* as the linker knows it */
    char file[SYMBOLS_TEXT];     /* base name of the source file */
    int line;
};

/* Names `count` frames and returns how many it could name at least by function.
 * Any thread, but one at a time: the caller sees to it. Allocates, opens files,
 * and may take a second for a file with much debug information. */
size_t weft_symbols_explain(struct symbols_frame *frames, size_t count);

#endif
