#include "trace/out.h"

#include "os/os.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void
flush(struct out *out)
{
    if (out->error == 0)
        out->error = os_write_all(out->fd, out->buffer, out->used);
    out->used = 0;
}

struct out *
out_open(int fd)
{
    struct out *out = malloc(sizeof *out);

    if (!out)
        return NULL;
    out->fd = fd;
    out->error = 0;
    out->used = 0;
    return out;
}

int
out_close(struct out *out)
{
    flush(out);
    const int error = out->error;

    free(out);
    return error;
}

void
out_bytes(struct out *out, const void *bytes, size_t size)
{
    if (size > OUT_ROOM - out->used)
        flush(out);
    if (size > OUT_ROOM) {
        if (out->error == 0)
            out->error = os_write_all(out->fd, bytes, size);
        return;
    }
    memcpy(out->buffer + out->used, bytes, size);
    out->used += size;
}

void
out_char(struct out *out, char c)
{
    if (out->used == OUT_ROOM)
        flush(out);
    out->buffer[out->used++] = c;
}

void
out_text(struct out *out, const char *text)
{
    out_bytes(out, text, strlen(text));
}

void
out_format(struct out *out, const char *format, ...)
{
    va_list list;

    /* Once where the room is, and again if there was too little of it. */
    for (int attempt = 0; attempt < 2; attempt++) {
        const size_t room = OUT_ROOM - out->used;

        va_start(list, format);
        const int wanted =
            vsnprintf(out->buffer + out->used, room, format, list);
        va_end(list);

        if (wanted < 0)
            return;
        if ((size_t)wanted < room) {
            out->used += (size_t)wanted;
            return;
        }
        flush(out);
    }
}

enum {
    DIGITS = 20
}; /* of the largest number */

/* The digits end where `end` begins; returns the first. */
static char *
digits_before(char *end, uint64_t value)
{
    do
        *--end = (char)('0' + value % 10);
    while (value /= 10);
    return end;
}

void
out_unsigned(struct out *out, uint64_t value)
{
    char digits[DIGITS];
    const char *first = digits_before(digits + DIGITS, value);

    out_bytes(out, first, (size_t)(digits + DIGITS - first));
}

void
out_signed(struct out *out, int64_t value)
{
    if (value < 0)
        out_char(out, '-');
    out_unsigned(out, value < 0 ? 0 - (uint64_t)value : (uint64_t)value);
}

void
out_fixed(struct out *out, uint64_t value, unsigned decimals)
{
    char digits[2 * DIGITS];
    char *end = digits + sizeof digits;
    char *first = digits_before(end, value);

    while ((size_t)(end - first) <= decimals)
        *--first = '0';
    out_bytes(out, first, (size_t)(end - first) - decimals);
    if (decimals == 0)
        return;
    out_char(out, '.');
    out_bytes(out, end - decimals, decimals);
}

/* Writes `text` with each character of which `instead` knows better replaced.
 */
static void
out_escaped(struct out *out, const char *text, size_t length,
            const char *(*instead)(char c))
{
    const char *from = text, *end = text + length;

    for (; text < end; text++) {
        const char *other = instead(*text);

        if (!other)
            continue;
        out_bytes(out, from, (size_t)(text - from));
        out_text(out, other);
        from = text + 1;
    }
    out_bytes(out, from, (size_t)(text - from));
}

static const char *
instead_xml(char c)
{
    switch (c) {
    case '&':
        return "&amp;";
    case '<':
        return "&lt;";
    case '>':
        return "&gt;";
    case '"':
        return "&quot;";
    case '\'':
        return "&#39;";
    default:
        return NULL;
    }
}

/* '<' too, so that no text ends the script element that it may stand in. */
static const char *
instead_json(char c)
{
    switch (c) {
    case '"':
        return "\\\"";
    case '\\':
        return "\\\\";
    case '<':
        return "\\u003c";
    default:
        return NULL;
    }
}

static const char *
instead_csv(char c)
{
    return c == '"' ? "\"\"" : NULL;
}

/* The first of the two characters that XML has not, U+FFFE and U+FFFF; or
 * NULL. */
static const char *
find_none(const char *text)
{
    while ((text = strstr(text, "\xef\xbf")) && (unsigned char)text[2] < 0xbe)
        text += 2;
    return text;
}

void
out_xml(struct out *out, const char *text)
{
    for (const char *none; (none = find_none(text)); text = none + 3) {
        out_escaped(out, text, (size_t)(none - text), instead_xml);
        out_char(out, '?');
    }
    out_escaped(out, text, strlen(text), instead_xml);
}

void
out_json(struct out *out, const char *text)
{
    out_char(out, '"');
    out_escaped(out, text, strlen(text), instead_json);
    out_char(out, '"');
}

void
out_csv(struct out *out, const char *text)
{
    out_char(out, '"');
    out_escaped(out, text, strlen(text), instead_csv);
    out_char(out, '"');
}
