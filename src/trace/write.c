#include "base/why.h"
#include "trace/out.h"
#include "trace/plain.h"
#include "trace/recording.h"

typedef int write_one(struct out *out, const weft_recording *recording);
typedef int write_many(struct out *out, weft_recording *const *recordings,
                       size_t count);

/* Either for one recording or for several. */
static const struct {
    const char *name;
    write_one *one;
    write_many *many;
} formats[] = {
    [WEFT_TEXT_FORMAT] = {"text", write_text, NULL},
    [WEFT_JSON] = {"JSON", write_json, NULL},
    [WEFT_CSV] = {"CSV", write_csv, NULL},
    [WEFT_SVG] = {"SVG", NULL, draw_svg},
    [WEFT_HTML] = {"HTML", NULL, draw_html},
    [WEFT_PERFETTO] = {"Perfetto", write_perfetto, NULL},
    [WEFT_CHROME] = {"Chrome", write_chrome, NULL},
    [WEFT_RECORDS] = {"CSV of records", write_records, NULL},
};

int
weft_recording_write(weft_recording *const *recordings, size_t count,
                     weft_format format, int fd)
{
    if ((unsigned)format >= sizeof formats / sizeof *formats)
        return why_set(WEFT_EINVAL, "there is no format %d", (int)format);
    if (count == 0 || !recordings)
        return why_set(WEFT_EINVAL, "there is no recording to write");
    if (count > 1 && !formats[format].many)
        return why_set(WEFT_ENOTSUP, "%s takes one recording at a time",
                       formats[format].name);
    struct out *out = out_open(fd);

    if (!out)
        return why_because(WEFT_ENOMEM, "write a recording");
    const locale_t locale = plain_begin();
    const int status = formats[format].many
                           ? formats[format].many(out, recordings, count)
                           : formats[format].one(out, recordings[0]);

    plain_end(locale);
    const int written = out_close(out);

    if (status < 0)
        return why_because(status, "write a recording");
    return written < 0 ? why_system(written, "write a recording") : WEFT_OK;
}
