#include "command.h"

#include <unistd.h>

struct report {
    weft_format format;
    const char *path;
};

enum {
    OPTION_JSON = 1000,
    OPTION_CSV
};

static error_t
take(int key, char *value, struct argp_state *state)
{
    struct report *report = state->input;

    switch (key) {
    case OPTION_JSON:
        report->format = WEFT_JSON;
        return 0;
    case OPTION_CSV:
        report->format = WEFT_CSV;
        return 0;
    case ARGP_KEY_ARG:
        if (report->path)
            argp_error(state, "one recording at a time");
        report->path = value;
        return 0;
    case ARGP_KEY_NO_ARGS:
        argp_error(state, "which recording?");
        return 0;
    default:
        return ARGP_ERR_UNKNOWN;
    }
}

int
command_report(int argc, char **argv)
{
    static const struct argp_option options[] = {
        {"json", OPTION_JSON, NULL, 0, "The figures as JSON", 0},
        {"csv", OPTION_CSV, NULL, 0, "The figures as CSV, a line each", 0},
        {0}};
    static const struct argp argp = {
        options,
        take,
        "FILE",
        "Says whether the recorded program was concurrent, whether it was "
        "parallel, and what kept it from being more so. weft-timeline(7) "
        "explains the figures.",
        NULL,
        NULL,
        NULL};
    struct report report = {WEFT_TEXT_FORMAT, NULL};

    argp_parse(&argp, argc, argv, 0, NULL, &report);
    weft_recording *recording = command_open(report.path);
    const int code = command_write(&recording, 1, report.format, STDOUT_FILENO);

    weft_recording_close(recording);
    return code;
}
