#include "command.h"

#include <err.h>
#include <string.h>
#include <unistd.h>

struct export
{
    const char *path, *to;
    weft_format format;
    bool chosen;
};

static const struct {
    const char *name;
    weft_format format;
} formats[] = {
    {"perfetto", WEFT_PERFETTO},
    {"chrome", WEFT_CHROME},
    {"csv", WEFT_RECORDS},
};

static void
choose(struct export *export, const char *name, struct argp_state *state)
{
    for (unsigned i = 0; i < sizeof formats / sizeof *formats; i++) {
        if (strcmp(name, formats[i].name) != 0)
            continue;
        export->format = formats[i].format;
        export->chosen = true;
        return;
    }
    argp_error(state, "there is no format '%s', only perfetto, chrome and csv",
               name);
}

static error_t
take(int key, char *value, struct argp_state *state)
{
    struct export *export = state->input;

    switch (key) {
    case 'f':
        choose(export, value, state);
        return 0;
    case 'o':
        export->to = value;
        return 0;
    case ARGP_KEY_ARG:
        if (export->path)
            argp_error(state, "one recording at a time");
        export->path = value;
        return 0;
    case ARGP_KEY_END:
        if (!export->path)
            argp_error(state, "which recording?");
        if (!export->chosen)
            argp_error(state, "--format perfetto, chrome or csv?");
        return 0;
    default:
        return ARGP_ERR_UNKNOWN;
    }
}

int
command_export(int argc, char **argv)
{
    static const struct argp_option options[] = {
        {"format", 'f', "FORMAT", 0,
         "perfetto (for ui.perfetto.dev), chrome (JSON) or csv", 0},
        {"output", 'o', "FILE", 0, "Instead of the standard output", 0},
        {0}};
    static const struct argp argp = {
        options, take,
        "FILE",  "Writes all that was recorded in a format of other programs.",
        NULL,    NULL,
        NULL};
    struct export export = {0};
    struct output output;

    argp_parse(&argp, argc, argv, 0, NULL, &export);
    if (!export.to && export.format == WEFT_PERFETTO && isatty(STDOUT_FILENO))
        errx(EXIT_FAILED, "perfetto is no text for a terminal: -o FILE");
    weft_recording *recording = command_open(export.path);
    output_open(&output, export.to, &export.path, 1);
    const int code = command_write(&recording, 1, export.format, output.fd);

    weft_recording_close(recording);
    return output_close(&output, code);
}
