#include "trace/names.h"

#include "base/digest.h"
#include "base/text.h"
#include "os/os.h"
#include "trace/grow.h"

#include <stdlib.h>
#include <string.h>

enum {
    BLOCK = 1 << 16
};

struct name_block {
    struct name_block *next;
    size_t used;
    char text[BLOCK];
};

/* A copy that stays where it is. */
static char *
keep(struct names *names, const char *text, size_t length)
{
    struct name_block *block = names->block;

    if (!block || length + 1 > BLOCK - block->used) {
        block = malloc(sizeof *block);
        if (!block)
            return NULL;
        block->next = names->block;
        block->used = 0;
        names->block = block;
    }
    char *at = block->text + block->used;

    memcpy(at, text, length + 1);
    block->used += length + 1;
    return at;
}

/* Where the text is in the table, or would be. */
static uint32_t *
place(const struct names *names, const char *text, size_t length)
{
    const uint32_t mask = names->table_size - 1;
    uint32_t at = (uint32_t)digest_seeded(names->seed, text, length) & mask;

    while (names->table[at] &&
           strcmp(names->list[names->table[at] - 1], text) != 0)
        at = (at + 1) & mask;
    return &names->table[at];
}

static bool
enlarge(struct names *names)
{
    uint32_t *old = names->table;
    const uint32_t size = names->table_size ? names->table_size * 2 : 64;
    uint32_t *table = calloc(size, sizeof *table);

    if (!table)
        return false;
    names->table = table;
    names->table_size = size;
    for (uint32_t i = 0; i < names->count; i++)
        *place(names, names->list[i], strlen(names->list[i])) = i + 1;
    free(old);
    return true;
}

/* `text` is printable and ends. */
static bool
add(struct names *names, const char *text, uint32_t *index)
{
    const size_t length = strlen(text);

    if (names->count >= names->table_size / 2 && !enlarge(names))
        return false;
    uint32_t *at = place(names, text, length);

    if (!*at) {
        if (!grow(&names->list, &names->room, names->count,
                  sizeof *names->list))
            return false;
        const char *copy = keep(names, text, length);

        if (!copy)
            return false;
        names->list[names->count++] = copy;
        *at = names->count;
    }
    *index = *at - 1;
    return true;
}

bool
names_begin(struct names *names)
{
    uint32_t empty;

    names->seed = (uint64_t)os_now();
    return add(names, "", &empty);
}

void
names_trim(struct names *names)
{
    free(names->table);
    free(names->definitions);
    names->table = NULL;
    names->definitions = NULL;
}

void
names_end(struct names *names)
{
    names_trim(names);
    free((void *)names->list);
    while (names->block) {
        struct name_block *next = names->block->next;

        free(names->block);
        names->block = next;
    }
}

bool
names_add(struct names *names, const char *text, size_t length, uint32_t *index)
{
    char copy[TEXT_NAME];

    if (length > sizeof copy - 1)
        length = sizeof copy - 1;
    for (size_t i = 0; i < length; i++) {
        copy[i] = text[i];
        if (!copy[i])
            copy[i] = '?';
    }
    copy[length] = '\0';
    text_clean(copy);
    return add(names, copy, index);
}

bool
names_define(struct names *names, uint32_t number, const char *text,
             size_t length)
{
    struct name_definition *definition;

    if (!grow(&names->definitions, &names->definition_room,
              names->definition_count, sizeof *names->definitions))
        return false;
    definition = &names->definitions[names->definition_count];
    definition->number = number;
    if (!names_add(names, text, length, &definition->index))
        return false;
    names->definition_count++;
    return true;
}

static int
by_number(const void *a, const void *b)
{
    const struct name_definition *x = a, *y = b;

    return (x->number > y->number) - (x->number < y->number);
}

void
names_seal(struct names *names)
{
    if (names->definition_count > 0)
        qsort(names->definitions, names->definition_count,
              sizeof *names->definitions, by_number);
}

uint32_t
names_find(const struct names *names, uint32_t number)
{
    const struct name_definition key = {number, 0};
    const struct name_definition *found =
        number == 0 || names->definition_count == 0
            ? NULL
            : bsearch(&key, names->definitions, names->definition_count,
                      sizeof key, by_number);

    return found ? found->index : 0;
}
