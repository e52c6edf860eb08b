/* The texts of a recording, each once. */
#ifndef TRACE_NAMES_H
#define TRACE_NAMES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct name_block;

/* All-zero is empty, but nothing can be found in it before names_begin. */
struct names {
    const char **list; /* by index; 0 is "" */
    uint32_t count, room;
    uint32_t *table; /* index + 1 by the text's digest; 0 = free */
    uint32_t table_size;
    uint64_t seed; /* against files made to collide */

    struct name_definition {
        uint32_t number, index;
    } * definitions; /* by number once they are sealed */

    uint32_t definition_count, definition_room;
    struct name_block *block; /* where the texts lie */
};

/* false: no memory; names_end is still due. */
bool names_begin(struct names *names);
void names_end(struct names *names);

/* The index of the text, whose bytes may be any: they are made printable. */
bool names_add(struct names *names, const char *text, size_t length,
               uint32_t *index);

/* From now on `number` stands for the text. */
bool names_define(struct names *names, uint32_t number, const char *text,
                  size_t length);

/* After the last definition. */
void names_seal(struct names *names);

/* 0 when there is no such number. */
uint32_t names_find(const struct names *names, uint32_t number);

/* Frees what only reading needs; the list and its texts stay. */
void names_trim(struct names *names);

#endif
