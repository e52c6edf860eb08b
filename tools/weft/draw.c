#include "command.h"

#include <err.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum {
    MOST = 16 /* recordings in a picture */
};

struct draw {
    const char *paths[MOST];
    size_t count;
    const char *to;
    weft_format format;
    bool png;
};

static const struct {
    const char *ending;
    weft_format format;
    bool png;
} endings[] = {
    {".svg", WEFT_SVG, false},
    {".html", WEFT_HTML, false},
    {".htm", WEFT_HTML, false},
    {".png", WEFT_SVG, true},
};

static void
choose(struct draw *draw, struct argp_state *state)
{
    const size_t length = strlen(draw->to);

    for (unsigned i = 0; i < sizeof endings / sizeof *endings; i++) {
        const size_t own = strlen(endings[i].ending);

        if (length <= own ||
            strcmp(draw->to + length - own, endings[i].ending) != 0)
            continue;
        draw->format = endings[i].format;
        draw->png = endings[i].png;
        return;
    }
    argp_error(state, "'%s' ends in none of .svg, .html and .png", draw->to);
}

static error_t
take(int key, char *value, struct argp_state *state)
{
    struct draw *draw = state->input;

    switch (key) {
    case 'o':
        draw->to = value;
        return 0;
    case ARGP_KEY_ARG:
        if (draw->count == MOST)
            argp_error(state, "at most %d recordings", MOST);
        draw->paths[draw->count++] = value;
        return 0;
    case ARGP_KEY_END:
        if (draw->count == 0)
            argp_error(state, "which recording?");
        if (!draw->to)
            argp_error(state, "-o FILE.svg, .html or .png?");
        choose(draw, state);
        return 0;
    default:
        return ARGP_ERR_UNKNOWN;
    }
}

static void
say_missing(int error)
{
    if (error == ENOENT)
        warnx("a PNG takes rsvg-convert, which is not installed (on Debian: "
              "librsvg2-bin); -o FILE.svg needs nothing");
    else
        warnx("rsvg-convert: %s", strerror(error));
}

/* Pipes the SVG through rsvg-convert. */
static int
draw_png(weft_recording *const *recordings, const struct draw *draw,
         const struct output *output)
{
    char *to = output->fresh ? output->fresh : (char *)draw->to;
    char *argv[] = {"rsvg-convert", "--format", "png", "--output", to, NULL};
    int ends[2];

    /* The end that is written to stays here, or it would never end. */
    if (pipe2(ends, O_CLOEXEC) < 0)
        err(EXIT_FAILED, "pipe");
    signal(SIGPIPE, SIG_IGN);
    const int pid = command_spawn(argv, ends[0]);

    close(ends[0]);
    if (pid < 0) {
        say_missing(-pid);
        close(ends[1]);
        return EXIT_FAILED;
    }
    const int code = command_write(recordings, draw->count, WEFT_SVG, ends[1]);
    const int ended = command_wait(pid);

    if (output->fd != STDOUT_FILENO)
        close(output->fd); /* a pipe's reader waits for what is drawn */
    return ended == 0 ? code : EXIT_FAILED;
}

int
command_draw(int argc, char **argv)
{
    static const struct argp_option options[] = {
        {"output", 'o', "FILE", 0,
         "The picture: FILE.svg, FILE.html to move about in, or FILE.png", 0},
        {0}};
    static const struct argp argp = {
        options,
        take,
        "FILE [FILE...]",
        "Draws recordings; several on one time scale, to be compared.",
        NULL,
        NULL,
        NULL};
    struct draw draw = {0};
    weft_recording *recordings[MOST];
    struct output output;
    int code;

    argp_parse(&argp, argc, argv, 0, NULL, &draw);
    for (size_t i = 0; i < draw.count; i++)
        recordings[i] = command_open(draw.paths[i]);
    output_open(&output, draw.to, draw.paths, draw.count);
    if (draw.png)
        code = draw_png(recordings, &draw, &output);
    else
        code = command_write(recordings, draw.count, draw.format, output.fd);
    for (size_t i = 0; i < draw.count; i++)
        weft_recording_close(recordings[i]);
    return output_close(&output, code);
}
