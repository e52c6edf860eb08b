/* Recordings as one page, of one file. */
#include "trace/html.h"

#include <string.h>

/* Writes `frame` up to the line "@NAME@" and returns what follows it. */
static const char *
put_until(struct out *out, const char *frame, const char *place)
{
    const char *at = strstr(frame, place);

    if (!at) {
        out_text(out, frame);
        return frame + strlen(frame);
    }
    out_bytes(out, frame, (size_t)(at - frame));
    return at + strlen(place);
}

static int
put_data(struct out *out, weft_recording *const *recordings, size_t count)
{
    int error = 0;

    out_text(out, "{\"recordings\":[\n");
    for (size_t i = 0; i < count && error == 0; i++) {
        out_text(out, i > 0 ? ",\n" : "");
        error = html_data(out, recordings[i]);
    }
    out_text(out, "]}");
    return error;
}

int
draw_html(struct out *out, weft_recording *const *recordings, size_t count)
{
    const char *rest = put_until(out, view_html, "@STYLE@");

    out_text(out, view_css);
    rest = put_until(out, rest, "@DATA@");
    const int error = put_data(out, recordings, count);

    rest = put_until(out, rest, "@SCRIPT@");
    out_text(out, view_js);
    out_text(out, rest);
    return error;
}
