/* Throws broken recordings at the reader: each is one that was forged with a
 * little of everything, a few bytes of it changed, cut, or made up altogether.
 * What is opened is written in every format. Fails only by crashing, so it is
 * worth most under a sanitizer.
 *
 * Usage: recording COUNT [SEED]; WEFT_TEST_SCALE percent of COUNT are tried. */
#include "support/forge.h"

#include <weft/recording.h>

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

enum {
    SAMPLES = 8, /* different recordings to start from */
    WORKERS = 3, /* threads in each */
    USED = 64,   /* records in a chunk that are worth changing */
    CHANGES = 8, /* at most, in one input */
    EVERY = 16   /* how many inputs are written in all formats: one of */
};

static uint64_t state;

static uint64_t
next(void)
{
    state ^= state << 13;
    state ^= state >> 7;
    state ^= state << 17;
    return state;
}

static uint64_t
below(uint64_t limit)
{
    return next() % limit;
}

/* --- samples */

static void
forge_thing(struct forge *forge, uint32_t worker, uint64_t at)
{
    const uint64_t end = below(8) ? at + 1 + below(50) : 0;
    const uint64_t id =
        record_id(1, 1 + (uint32_t)below(WORKERS + 1), (uint32_t)below(12));

    switch (below(9)) {
    case 0:
        forge_wait(forge, worker, 1 + (unsigned)below(18),
                   below(2) ? "lock" : NULL, below(4), at, end);
        break;
    case 1:
        forge_span(forge, worker, "span", at, end);
        break;
    case 2:
        forge_value(forge, worker, RECORD_MARK, "mark", at, (int64_t)next());
        break;
    case 3:
        forge_value(forge, worker, RECORD_COUNTER, "counter", at,
                    (int64_t)next());
        break;
    case 4:
        forge_run(forge, worker, (unsigned)below(3), at, at + below(30),
                  below(2));
        break;
    case 5:
        forge_join(forge, worker, id, record_id(1, 1, (uint32_t)below(12)), at);
        break;
    case 6:
        forge_after(forge, worker, id, record_id(1, 2, (uint32_t)below(12)),
                    at);
        break;
    case 7:
        forge_cpu(forge, worker, id, below(100));
        break;
    default:
        forge_task(forge, worker,
                   &(struct forge_task){.name = below(2) ? "task" : "other",
                                        .begin = at,
                                        .end = end,
                                        .parent = below(4) ? id : 0,
                                        .spawned = at - below(at),
                                        .flags = (unsigned)below(32)});
    }
}

static void
forge_sample(const char *path)
{
    struct forge forge;

    forge_open(&forge, path);
    for (uint32_t w = 0; w < WORKERS; w++)
        forge_worker(&forge, "worker",
                     w == 0 ? RECORDING_MAIN : (unsigned)below(16));
    if (below(2))
        forge.header.on_cpu = RECORDING_CPU_ESTIMATED;
    for (uint64_t at = 10; at < 400; at += 10 * below(3))
        forge_thing(&forge, (uint32_t)below(WORKERS), at++);
    forge_close(&forge, below(4) ? 500 : 0);
}

/* --- inputs */

struct input {
    unsigned char *bytes;
    size_t size;
};

/* Where something is: in the header, in a chunk's head or its records. */
static size_t
somewhere(const struct input *input)
{
    const size_t chunk = below(input->size / RECORDING_CHUNK + 1);
    const size_t within =
        chunk == 0 ? below(1024)
                   : below(RECORDING_CHUNK_HEAD + USED * RECORDING_RECORD);
    const size_t at = chunk * RECORDING_CHUNK + within;

    return at < input->size ? at : 0;
}

static void
change(struct input *input)
{
    static const uint64_t telling[] = {0,
                                       1,
                                       UINT64_MAX,
                                       INT64_MAX,
                                       (uint64_t)INT64_MAX + 1,
                                       UINT32_MAX,
                                       255,
                                       256,
                                       65535,
                                       4096,
                                       (uint64_t)FORGE_START,
                                       (uint64_t)FORGE_START + 500};
    const size_t at = somewhere(input);
    const uint64_t value =
        telling[below(sizeof telling / sizeof *telling)] + below(3) - 1;
    size_t size = (size_t)1 << below(4);

    if (size > input->size - at)
        size = input->size - at;
    switch (below(4)) {
    case 0:
        input->bytes[at] ^= (unsigned char)(1u << below(8));
        break;
    case 1:
        memcpy(input->bytes + at, &value, size);
        break;
    case 2:
        /* A record over another one. */
        memmove(input->bytes + at / 32 * 32,
                input->bytes + somewhere(input) / 32 * 32,
                at / 32 * 32 + 32 <= input->size ? 32 : 0);
        break;
    default:
        for (size_t i = 0; i < size; i++)
            input->bytes[at + i] = (unsigned char)next();
    }
}

/* What matters of the chunk that begins at `at`: what lies behind its records
 * is never looked at. */
static size_t
used_at(const struct input *input, size_t at)
{
    const size_t most = at == 0
                            ? sizeof(struct recording_header)
                            : RECORDING_CHUNK_HEAD + USED * RECORDING_RECORD;

    return input->size - at < most ? input->size - at : most;
}

static void
copy(const struct input *from, struct input *to)
{
    to->size = from->size;
    for (size_t at = 0; at < from->size; at += RECORDING_CHUNK)
        memcpy(to->bytes + at, from->bytes + at, used_at(from, at));
}

static void
write_all(int fd, const struct input *input, size_t size)
{
    if (ftruncate(fd, (off_t)size) < 0)
        abort();
    for (size_t at = 0; at < size; at += RECORDING_CHUNK) {
        const size_t used = used_at(input, at);
        const size_t length = size - at < used ? size - at : used;

        if (pwrite(fd, input->bytes + at, length, (off_t)at) != (ssize_t)length)
            abort();
    }
}

static void
use(const char *path, bool write_it, int null)
{
    weft_recording *r;
    weft_metrics m;

    if (weft_recording_open(&r, path) < 0)
        return;
    weft_recording_metrics(r, &m);
    for (int format = 0; write_it && format <= WEFT_RECORDS; format++)
        (void)!weft_recording_write(&r, 1, (weft_format)format, null);
    weft_recording_close(r);
}

static struct input
load(const char *path)
{
    const int fd = open(path, O_RDONLY | O_CLOEXEC);
    struct input input = {NULL, (size_t)lseek(fd, 0, SEEK_END)};

    input.bytes = malloc(input.size);
    if (!input.bytes ||
        pread(fd, input.bytes, input.size, 0) != (ssize_t)input.size)
        abort();
    close(fd);
    return input;
}

static void
run(const struct input *sample, struct input *input, int fd, const char *path,
    int null)
{
    copy(sample, input);
    for (uint64_t n = 1 + below(CHANGES); n > 0; n--)
        change(input);
    write_all(fd, input, below(8) ? input->size : somewhere(input) + below(64));
    use(path, below(EVERY) == 0, null);
}

static uint64_t
scaled(uint64_t count)
{
    const char *scale = getenv("WEFT_TEST_SCALE");

    return scale ? count * strtoull(scale, NULL, 10) / 100 : count;
}

int
main(int argc, char **argv)
{
    const uint64_t count =
        scaled(argc > 1 ? strtoull(argv[1], NULL, 0) : 100000);
    const int fd = memfd_create("fuzz", MFD_CLOEXEC);
    const int null = open("/dev/null", O_WRONLY | O_CLOEXEC);
    struct input samples[SAMPLES], input = {NULL, 0};
    const time_t began = time(NULL);
    char path[64];

    state = argc > 2 ? strtoull(argv[2], NULL, 0) : 88172645463325252u;
    snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
    for (unsigned i = 0; i < SAMPLES; i++) {
        forge_sample(path);
        samples[i] = load(path);
        if (samples[i].size > input.size)
            input.size = samples[i].size;
    }
    input.bytes = calloc(1, input.size);
    if (fd < 0 || null < 0 || !input.bytes)
        abort();
    for (uint64_t i = 0; i < count; i++)
        run(&samples[below(SAMPLES)], &input, fd, path, null);
    printf("%llu inputs, %lld s\n", (unsigned long long)count,
           (long long)(time(NULL) - began));
    for (unsigned i = 0; i < SAMPLES; i++)
        free(samples[i].bytes);
    free(input.bytes);
    return 0;
}
