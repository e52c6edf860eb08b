#include "base/text.h"

#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Length of the UTF-8 character at `at`, 0 when it is none. Overlong forms,
 * surrogates and what lies beyond U+10FFFF are none (Unicode 15, table 3-7). */
static size_t
character_length(const unsigned char *at)
{
    static const struct {
        unsigned char first, last, low, high, length;
    } forms[] = {
        {0x00, 0x7f, 0x00, 0x00, 1}, {0xc2, 0xdf, 0x80, 0xbf, 2},
        {0xe0, 0xe0, 0xa0, 0xbf, 3}, {0xe1, 0xec, 0x80, 0xbf, 3},
        {0xed, 0xed, 0x80, 0x9f, 3}, {0xee, 0xef, 0x80, 0xbf, 3},
        {0xf0, 0xf0, 0x90, 0xbf, 4}, {0xf1, 0xf3, 0x80, 0xbf, 4},
        {0xf4, 0xf4, 0x80, 0x8f, 4},
    };

    for (size_t i = 0; i < sizeof forms / sizeof *forms; i++) {
        if (*at < forms[i].first || *at > forms[i].last)
            continue;
        if (forms[i].length > 1 &&
            (at[1] < forms[i].low || at[1] > forms[i].high))
            return 0;
        for (size_t k = 2; k < forms[i].length; k++)
            if ((at[k] & 0xc0) != 0x80)
                return 0;
        return forms[i].length;
    }
    return 0;
}

/* C0 and C1 controls and DEL. */
static bool
is_control(const unsigned char *at)
{
    return *at < 0x20 || *at == 0x7f || (*at == 0xc2 && at[1] < 0xa0);
}

struct text
text_over(char *buffer, size_t size)
{
    if (size > 0)
        *buffer = '\0';
    return (struct text){buffer, size, 0};
}

void
text_add_list(struct text *text, const char *format, va_list list)
{
    if (text->size == 0)
        return;
    const size_t room = text->size - text->used;
    /* NOLINTNEXTLINE(clang-analyzer-valist.Uninitialized): the caller's */
    const int wanted = vsnprintf(text->start + text->used, room, format, list);

    if (wanted < 0) {
        text->start[text->used] = '\0';
        return;
    }
    if ((size_t)wanted < room) {
        text->used += (size_t)wanted;
        return;
    }
    text->used += text_cut(text->start + text->used, room - 1, room - 1);
    text->start[text->used] = '\0';
}

void
text_add(struct text *text, const char *format, ...)
{
    va_list list;

    va_start(list, format);
    text_add_list(text, format, list);
    va_end(list);
}

const char *
text_name_fault(const char *name)
{
    const size_t length = strnlen(name, TEXT_NAME);

    if (length == 0)
        return "a name is empty";
    if (length == TEXT_NAME)
        return "a name is longer than 255 bytes";
    for (const char *at = name; *at;) {
        const unsigned char *byte = (const unsigned char *)at;
        const size_t step = character_length(byte);

        if (step == 0)
            return "a name is not UTF-8";
        if (is_control(byte))
            return "a name holds a control character";
        at += step;
    }
    return NULL;
}

size_t
text_cut(const char *text, size_t length, size_t room)
{
    size_t end = length < room ? length : room;
    size_t back = end;

    /* The last character may be cut: step back to its first byte, and keep it
     * only when all of it is there. */
    while (back > 0 && end - back < 3 &&
           ((unsigned char)text[back - 1] & 0xc0) == 0x80)
        back--;
    if (back == 0)
        return end;
    const unsigned char first = (unsigned char)text[back - 1];
    const size_t need = first < 0xc0   ? 1
                        : first < 0xe0 ? 2
                        : first < 0xf0 ? 3
                                       : 4;

    return end - back + 1 < need ? back - 1 : end;
}

const char *
text_base_name(const char *path)
{
    const char *slash = strrchr(path, '/');

    return slash ? slash + 1 : path;
}

void
text_clean(char *text)
{
    while (*text) {
        const unsigned char *byte = (const unsigned char *)text;
        const size_t step = character_length(byte);

        if (step == 0 || is_control(byte)) {
            /* A C1 control has two bytes: both go. */
            for (size_t i = 0; i < (step ? step : 1); i++)
                *text++ = '?';
            continue;
        }
        text += step;
    }
}

void
text_kernel_name(const char *name, char out[TEXT_KERNEL])
{
    enum {
        KEEP = TEXT_KERNEL - 1,
        TAIL = 7
    };

    const size_t length = strlen(name);

    memset(out, 0, TEXT_KERNEL);
    if (length <= KEEP) {
        memcpy(out, name, length); /* NOLINT: out is zeroed */
        return;
    }
    /* The tail begins at a character's first byte. */
    size_t from = length - TAIL;
    while (from < length && ((unsigned char)name[from] & 0xc0) == 0x80)
        from++;
    const size_t tail = length - from;
    const size_t head = text_cut(name, length, KEEP - 1 - tail);

    memcpy(out, name, head);
    out[head] = '~';
    memcpy(out + head + 1, name + from, tail);
}

bool
text_size(const char *text, size_t most, size_t *out)
{
    static const char units[] = "KMG";
    char *end;

    if (*text < '0' || *text > '9')
        return false;
    errno = 0;
    const unsigned long long number = strtoull(text, &end, 10);
    const char *unit = *end ? strchr(units, *end) : NULL;
    const int shift = unit ? 10 * (int)(unit - units + 1) : 0;

    if (errno || number == 0 || (*end && (!unit || end[1])) ||
        number > most >> shift)
        return false;
    *out = (size_t)number << shift;
    return true;
}
