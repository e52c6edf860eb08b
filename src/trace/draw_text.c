/* Times and names as people read them. */
#include "base/text.h"
#include "trace/draw.h"

#include <inttypes.h>
#include <string.h>

static const struct {
    uint64_t ns;
    const char *name;
} units[] = {
    {1000000000, "s"},
    {1000000, "ms"},
    {1000, "\xc2\xb5s"},
    {1, "ns"},
};

enum {
    UNITS = sizeof units / sizeof *units
};

void
draw_time(char out[DRAW_TIME], uint64_t ns)
{
    struct text text = text_over(out, DRAW_TIME);
    size_t unit = 0;

    while (unit < UNITS - 1 && ns < units[unit].ns)
        unit++;
    const double value = (double)ns / (double)units[unit].ns;
    const int decimals = units[unit].ns == 1 || value >= 99.95 ? 0
                         : value >= 9.995                      ? 1
                                                               : 2;

    text_add(&text, "%.*f %s", decimals, value, units[unit].name);
}

void
draw_count(char out[DRAW_COUNT], uint64_t count)
{
    char digits[DRAW_TIME];
    struct text text = text_over(digits, sizeof digits);
    struct text grouped = text_over(out, DRAW_COUNT);

    text_add(&text, "%" PRIu64, count);
    for (size_t i = 0; i < text.used; i++)
        text_add(&grouped, "%s%c", i > 0 && (text.used - i) % 3 == 0 ? "," : "",
                 digits[i]);
}

static bool
begins_character(char byte)
{
    return ((unsigned char)byte & 0xc0) != 0x80;
}

void
draw_fit(char out[DRAW_LABEL], const char *text, size_t characters)
{
    static const char more[] = "\xe2\x80\xa6";
    size_t seen = 0, kept = 0, at = 0;

    /* `kept` bytes leave room for the sign that it was cut. */
    for (; at < DRAW_LABEL - sizeof more && text[at]; at++) {
        if (!begins_character(text[at]))
            continue;
        if (seen + 1 <= characters)
            kept = at;
        if (++seen > characters)
            break;
    }
    const bool cut = text[at] != '\0';
    const size_t length = cut ? kept : at;

    memcpy(out, text, length);
    memcpy(out + length, more, cut && characters > 0 ? sizeof more : 0);
    out[length + (cut && characters > 0 ? sizeof more - 1 : 0)] = '\0';
}

/* Of a letter of DejaVu Sans or Verdana whose size is 1. */
static double
letter_width(char letter)
{
    if (strchr("fijlrtI.,:;'|!()[]/ ", letter))
        return .4;
    if (strchr("sczvxyk", letter))
        return .58;
    return strchr("mwMW%@&", letter)        ? .95
           : letter >= 'A' && letter <= 'Z' ? .72
                                            : .63;
}

static double
text_width(const char *text)
{
    double wide = 0;

    for (; *text; text++)
        if (begins_character(*text))
            wide += letter_width(*text);
    return wide;
}

void
draw_fit_width(char out[DRAW_LABEL], const char *text, double wide,
               unsigned size)
{
    size_t characters = DRAW_LABEL;

    do
        draw_fit(out, text, characters--);
    while (characters > 0 && text_width(out) * size > wide);
    if (characters < 2 && strcmp(out, text) != 0)
        *out = '\0';
}

uint64_t
draw_step(uint64_t whole, unsigned pieces)
{
    static const uint64_t factors[] = {1, 2, 5};

    for (uint64_t ten = 1; ten <= UINT64_MAX / 50; ten *= 10)
        for (size_t i = 0; i < sizeof factors / sizeof *factors; i++)
            if (whole / (ten * factors[i]) < pieces)
                return ten * factors[i];
    return UINT64_MAX;
}
