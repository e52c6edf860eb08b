/* An ELF file of this kind of machine: opening it with care, and where its
 * bytes lie in memory. */
#ifndef SYMBOLS_BINARY_H
#define SYMBOLS_BINARY_H

#include <elf.h>
#include <stdbool.h>
#include <stdint.h>

enum {
    BINARY_PARTS = 64 /* program headers; linkers make about a dozen */
};

struct binary {
    int fd;
    unsigned parts;
    Elf64_Phdr part[BINARY_PARTS];
};

/* A descriptor of the regular file, or -1. A named pipe does not block it. */
int binary_open_file(const char *path);

/* Opens a program or a shared library; false for everything else, and then
 * there is nothing to close. The caller owns binary->fd. */
bool binary_open(struct binary *binary, const char *path);

/* The address that the file itself gives to its byte at `offset`, if that is
 * code. */
bool binary_address(const struct binary *binary, uint64_t offset,
                    uint64_t *address);

#endif
