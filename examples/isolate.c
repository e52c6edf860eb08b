/* Reads PNG files with a parser that nobody should trust: each file in a
 * process that may only compute. What a bad file does to it costs one line.
 *
 *     isolate [FILE...]
 *
 * Without files it makes some itself, good and bad ones. */
#include <weft/weft.h>

#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

struct picture {
    uint32_t width, height, chunks;
};

/* --- what runs in the sandbox */

static uint32_t number(const unsigned char *at)
{
    return (uint32_t)at[0] << 24 | (uint32_t)at[1] << 16 |
           (uint32_t)at[2] << 8 | at[3];
}

/* It believes every number in the file: a length leads out of its memory, or
 * round in a circle when the sum wraps, and a size takes all memory. */
static void parse(const unsigned char *at, struct picture *out)
{
    out->width = number(at + 16);
    out->height = number(at + 20);
    for (uint32_t i = 0; i < out->height; i++) {
        unsigned char *volatile row = malloc(out->width * 4);
        memset(row, 0, out->width * 4);
    }
    for (at += 8; memcmp(at + 4, "IEND", 4) != 0; at += number(at) + 12)
        out->chunks++;
    out->chunks++;
}

static int read_picture(weft_call *call)
{
    enum {
        MOST = 16 << 20, /* bytes */
        LEAST = 33       /* signature and first chunk */
    };

    static unsigned char bytes[MOST]; /* each process has its own */
    size_t size = 0;
    ssize_t got;

    while ((got = read(call->fds[0], bytes + size, MOST - size)) > 0)
        size += (size_t)got;
    if (got < 0)
        return weft_fail(call, "cannot read: %s", strerror(errno));
    if (size < LEAST || memcmp(bytes, "\x89PNG\r\n\x1a\n", 8) != 0)
        return weft_fail(call, "not a PNG file");
    parse(bytes, call->result);
    return 0;
}

/* What a hostile file might make a parser do. */
static int spy(weft_call *call)
{
    if (open("/etc/passwd", O_RDONLY) < 0)
        return weft_fail(call, "/etc/passwd: %s", strerror(errno));
    return 0;
}

/* --- the program */

static weft_job *start_isolated(weft_fn *fn, const char *name, const int *fds,
                                size_t fd_count)
{
    weft_job *job;

    weft_must(
        weft_start(&job, WEFT_PROCESS,
                   &(weft_task){
                       .fn = fn,
                       .name = name,
                       .result_size = sizeof(struct picture),
                       .timeout = 500 * WEFT_MS,
                       .worker = &(weft_worker_options){.sandbox = WEFT_STRICT,
                                                        .memory = 64 << 20,
                                                        .grace = 100 * WEFT_MS,
                                                        .fds = fds,
                                                        .fd_count = fd_count}}),
        "start");
    return job;
}

/* The program opens the file; the worker could not. */
static bool look(const char *path)
{
    const int fd = open(path, O_RDONLY | O_CLOEXEC);
    struct picture picture;

    if (fd < 0) {
        printf("%s: %s\n", path, strerror(errno));
        return false;
    }
    weft_job *job = start_isolated(read_picture, "PNG", &fd, 1);
    const bool good =
        weft_result(job, &picture, sizeof picture, WEFT_FOREVER) == 0;

    close(fd);
    if (good)
        printf("%s: %u x %u, %u chunks\n", path, picture.width, picture.height,
               picture.chunks);
    else
        printf("%s: %s\n", path, weft_outcome_of(job)->text);
    weft_release(job);
    return good;
}

static void try_to_spy(void)
{
    weft_job *job = start_isolated(spy, "spy", NULL, 0);

    weft_join(job, WEFT_FOREVER);
    printf("%s\n", weft_outcome_of(job)->text);
    weft_release(job);
}

/* --- files to try it on: one picture, and what can be wrong with it */

static const unsigned char one_pixel[] = {
    0x89, 'P', 'N', 'G',  '\r', '\n', 0x1a, '\n', 0,    0, 0, 13,
    'I',  'H', 'D', 'R',  0,    0,    0,    1,    0,    0, 0, 1,
    8,    6,   0,   0,    0,    0x1f, 0x15, 0xc4, 0x89, 0, 0, 0,
    10,   'I', 'D', 'A',  'T',  0x78, 0x9c, 0x63, 0,    1, 0, 0,
    5,    0,   1,   0x0d, 0x0a, 0x2d, 0xb4, 0,    0,    0, 0, 'I',
    'E',  'N', 'D', 0xae, 0x42, 0x60, 0x82};

static const struct {
    const char *name;
    size_t at;
    unsigned char bytes[8];
    size_t count; /* of bytes that are changed */
} samples[] = {
    {"good.png", 0, {0}, 0},
    {"text.png", 0, "no PNG", 6},
    {"length.png", 33, {0x7f, 0xff, 0xff, 0xff}, 4},
    {"circle.png", 33, {0xff, 0xff, 0xff, 0xf4}, 4},
    {"huge.png", 16, {0, 0, 0xea, 0x60, 0, 0, 0xea, 0x60}, 8},
    {"again.png", 0, {0}, 0},
};

static bool write_sample(size_t which)
{
    unsigned char bytes[sizeof one_pixel];
    FILE *file = fopen(samples[which].name, "wb");

    memcpy(bytes, one_pixel, sizeof bytes);
    memcpy(bytes + samples[which].at, samples[which].bytes,
           samples[which].count);
    if (!file)
        return false;
    const bool whole = fwrite(bytes, sizeof bytes, 1, file) == 1;

    return fclose(file) == 0 && whole;
}

static int look_at_samples(void)
{
    char directory[] = "/tmp/isolate-XXXXXX";
    int failed = !mkdtemp(directory) || chdir(directory) < 0;

    for (size_t i = 0; !failed && i < sizeof samples / sizeof *samples; i++) {
        failed = !write_sample(i);
        if (!failed)
            look(samples[i].name);
        unlink(samples[i].name);
    }
    rmdir(directory);
    if (failed)
        perror(directory);
    return failed;
}

int main(int argc, char **argv)
{
    int failed = 0;

    try_to_spy();
    if (argc == 1)
        return look_at_samples();
    for (int i = 1; i < argc; i++)
        failed |= !look(argv[i]);
    return failed;
}
