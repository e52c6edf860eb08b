/* Telling whether bytes are the same as before: FNV-1a, 64 bits. Not against an
 * adversary. */
#ifndef BASE_DIGEST_H
#define BASE_DIGEST_H

#include <stddef.h>
#include <stdint.h>
#include <string.h>

#define DIGEST_START UINT64_C(0xcbf29ce484222325)

/* Goes on from `sum`. */
static inline uint64_t
digest_bytes(uint64_t sum, const void *bytes, size_t size)
{
    const unsigned char *at = bytes;

    for (size_t i = 0; i < size; i++)
        sum = (sum ^ at[i]) * UINT64_C(0x100000001b3);
    return sum;
}

/* The same by words of 8 bytes, the last one filled up with zeros: another sum,
 * and 8 times as fast. */
static inline uint64_t
digest_words(uint64_t sum, const void *bytes, size_t size)
{
    const char *at = bytes;
    uint64_t word;

    for (; size >= sizeof word; size -= sizeof word, at += sizeof word) {
        memcpy(&word, at, sizeof word);
        sum = (sum ^ word) * UINT64_C(0x100000001b3);
    }
    word = 0;
    memcpy(&word, at, size);
    return (sum ^ word) * UINT64_C(0x100000001b3);
}

#endif
