/* What lies before the first task and after the last one is not drawn. */
#include "trace/draw.h"

struct window
draw_window(const struct weft_recording *recording)
{
    if (recording->from < recording->to)
        return (struct window){recording->from, recording->to};
    return (struct window){0, recording->wall > 0 ? recording->wall : 1};
}
