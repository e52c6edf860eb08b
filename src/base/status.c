#include <weft/status.h>

#include <stddef.h>

static const struct {
    int code;
    const char *text;
} texts[] = {

#define WEFT_STATUS_TEXT(name, code, text) {code, text},
    WEFT_STATUS_MAP(WEFT_STATUS_TEXT)
#undef WEFT_STATUS_TEXT
};

const char *
weft_status_text(int status)
{
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++)
        if (texts[i].code == status)
            return texts[i].text;
    return "unknown status";
}
