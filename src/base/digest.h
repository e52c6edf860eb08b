/* Telling whether bytes are the same as before: FNV-1a, 64 bits. Not against an
 * adversary: which texts have the same digest depends on 8 bits of the start.
 */
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

/* A number in which each bit depends on all bits of x: the finaliser of
 * SplitMix64 (Steele, Lea, Flood 2014). */
static inline uint64_t
digest_mix(uint64_t x)
{
    x = (x ^ x >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
    x = (x ^ x >> 27) * UINT64_C(0x94d049bb133111eb);
    return x ^ x >> 31;
}

/* For a table of bytes that somebody may have chosen to collide, but for
 * another seed. */
static inline uint64_t
digest_seeded(uint64_t seed, const void *bytes, size_t size)
{
    const char *at = bytes;
    uint64_t sum = seed, word;

    for (; size >= sizeof word; size -= sizeof word, at += sizeof word) {
        memcpy(&word, at, sizeof word);
        sum = digest_mix(sum ^ word);
    }
    word = 0;
    memcpy(&word, at, size);
    return digest_mix(sum ^ word);
}

#endif
