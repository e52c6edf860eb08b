/* Buffered output to a descriptor, for all formats. The first error is kept
 * and everything after it goes nowhere, so that writers need not look. */
#ifndef TRACE_OUT_H
#define TRACE_OUT_H

#include <stddef.h>
#include <stdint.h>

enum {
    OUT_ROOM = 65536
};

struct out {
    int fd;
    int error; /* 0 or -errno */
    size_t used;
    char buffer[OUT_ROOM];
};

/* A fresh one on the heap; the descriptor stays the caller's. NULL: no memory.
 */
struct out *out_open(int fd);

/* Writes what is left and frees it. 0 or the first error, -errno. */
int out_close(struct out *out);

void out_bytes(struct out *out, const void *bytes, size_t size);
void out_char(struct out *out, char c);
void out_text(struct out *out, const char *text);
void out_format(struct out *out, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

/* Fast ones, for what is written a million times. */
void out_unsigned(struct out *out, uint64_t value);
void out_signed(struct out *out, int64_t value);

/* value / 10^decimals, with that many decimals: (12345, 3) is 12.345. */
void out_fixed(struct out *out, uint64_t value, unsigned decimals);

/* With what is special in XML (text and attributes), in a JSON string or in a
 * CSV field escaped; json and csv write the quotes too. */
void out_xml(struct out *out, const char *text);
void out_json(struct out *out, const char *text);
void out_csv(struct out *out, const char *text);

#endif
