/* Bounded text: appending to a buffer that never overflows and always ends, and
 * the rules for names. */
#ifndef BASE_TEXT_H
#define BASE_TEXT_H

#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>

/* A buffer being filled. What does not fit is cut at a character's border. */
struct text {
    char *start;
    size_t size; /* of the buffer; 0 = nothing can be written */
    size_t used; /* bytes written, without the end */
};

enum {
    TEXT_NAME = 256,    /* a full name with its end */
    TEXT_KERNEL = 16,   /* what the kernel keeps of it */
    TEXT_MESSAGE = 1024 /* a failure's message with its end */
};

struct text text_over(char *buffer, size_t size);
void text_add(struct text *text, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
void text_add_list(struct text *text, const char *format, va_list list)
    __attribute__((format(printf, 2, 0)));

/* NULL when `name` may name something, else the rule it breaks: 1..255 bytes
 * of UTF-8 without control characters. */
const char *text_name_fault(const char *name);

/* Bytes of the longest start of `text` that is at most `room` bytes long and
 * does not cut a UTF-8 character. */
size_t text_cut(const char *text, size_t length, size_t room);

/* A size: a number above 0, and K, M or G behind it, that is at most `most`.
 * False: something else. */
bool text_size(const char *text, size_t most, size_t *out);

/* The part of a path after its last slash. */
const char *text_base_name(const char *path);

/* Makes `text` printable in place: control characters become '?', and so do
 * bytes that are not UTF-8. */
void text_clean(char *text);

/* What the kernel is given of a name: whole when it has up to 15 bytes, else
 * its start, '~' and its end, so that decoder-12 and decoder-13 differ. */
void text_kernel_name(const char *name, char out[TEXT_KERNEL]);

#endif
