/* Compresses files as gzip does, on all CPUs; gunzip restores them. A task a
 * block, each with the 32 KiB before it as its dictionary, so that the result
 * is as small as gzip's; written in order, however they end.
 * Usage: pgz [-1..-9] [--threads N] [--compare] FILE...   writes FILE.gz */
#include "command.h"
#include "speed.h"

#include <signal.h>
#include <zlib.h>

enum {
    BLOCK = 512 << 10,       /* at most: each costs its dictionary anew */
    LEAST_BLOCK = 128 << 10, /* for files that would be a few blocks only */
    SHARES = 8,              /* of a file a worker, at least */
    WINDOW = 32 << 10,
    RAW = -15, /* deflate without a header */
    AHEAD = 4, /* blocks a worker that may wait to be written */
    PATH = 4096
};

struct options {
    int level;
    unsigned threads;
    bool compare;
};

struct block {
    unsigned char before[WINDOW], in[BLOCK], out[BLOCK + BLOCK / 8 + 64];
    size_t known, size, made;
    uLong sum;
    int level;
    bool last;
    weft_job *job;
};

static _Noreturn void usage(const char *program)
{
    fprintf(stderr, "usage: %s [-1..-9] [--threads N] [--compare] FILE...\n",
            program);
    exit(2);
}

/* --- a block, by a worker */

static void stream_end(void *stream)
{
    deflateEnd(stream);
    *(z_stream *)stream = (z_stream){0}; /* another worker's, perhaps */
}

/* A worker's own, for as long as it lives. */
static z_stream *stream_get(int level)
{
    static _Thread_local z_stream stream;

    if (stream.state)
        return deflateReset(&stream) == Z_OK ? &stream : NULL;
    if (deflateInit2(&stream, level, Z_DEFLATED, RAW, 8, Z_DEFAULT_STRATEGY) !=
        Z_OK)
        return NULL;
    return weft_at_end(stream_end, &stream) < 0 ? NULL : &stream;
}

static int compress_block(weft_call *call)
{
    struct block *block = (struct block *)(uintptr_t)call->arg;
    z_stream *stream = stream_get(block->level);

    if (!stream)
        return weft_fail(call, "no memory for a stream");
    if (block->known > 0)
        deflateSetDictionary(stream, block->before, (uInt)block->known);
    stream->next_in = block->in;
    stream->avail_in = (uInt)block->size;
    stream->next_out = block->out;
    stream->avail_out = sizeof block->out;
    const int end = deflate(stream, block->last ? Z_FINISH : Z_SYNC_FLUSH);

    block->made = sizeof block->out - stream->avail_out;
    block->sum = crc32(crc32(0, NULL, 0), block->in, (uInt)block->size);
    if (end != (block->last ? Z_STREAM_END : Z_OK) || stream->avail_in > 0)
        return weft_fail(call, "a block does not fit");
    return 0;
}

/* --- a file, by the caller */

static char partial[PATH]; /* the file that is being written */

/* Ctrl-C leaves nothing half written either. */
static void interrupted(int number)
{
    if (*partial)
        unlink(partial);
    signal(number, SIG_DFL);
    raise(number);
}

/* Nothing half written stays. */
static _Noreturn void fail(const char *what, const char *why)
{
    fprintf(stderr, "pgz: %s: %s\n", what, why);
    if (*partial)
        unlink(partial);
    exit(1);
}

static void write_number(FILE *to, uLong number)
{
    for (int i = 0; i < 4; i++)
        putc((int)(number >> 8 * i & 0xff), to);
}

/* Waits for a block and writes it. */
static void write_block(struct block *block, FILE *to, uLong *sum, uLong *size)
{
    if (weft_result(block->job, NULL, 0, WEFT_FOREVER) < 0)
        fail("compress", weft_why());
    weft_release(block->job);
    block->job = NULL;
    if (fwrite(block->out, 1, block->made, to) != block->made)
        fail("write", strerror(errno));
    *sum = crc32_combine(*sum, block->sum, (z_off_t)block->size);
    *size += block->size;
}

static size_t block_size(FILE *from, unsigned threads)
{
    struct stat status;

    if (fstat(fileno(from), &status) < 0)
        return BLOCK;
    const size_t share = (size_t)status.st_size / threads / SHARES;

    return share < LEAST_BLOCK ? LEAST_BLOCK : share < BLOCK ? share : BLOCK;
}

/* Reads the next block, of `size` bytes, behind `before`. */
static void fill(struct block *block, size_t size, FILE *from,
                 const struct block *before)
{
    block->known = 0;
    if (before) {
        block->known = before->size < WINDOW ? before->size : WINDOW;
        memcpy(block->before, before->in + before->size - block->known,
               block->known);
    }
    block->size = fread(block->in, 1, size, from);
    const int next = getc(from);

    if (ferror(from))
        fail("read", strerror(errno));
    block->last = next == EOF;
    if (!block->last)
        ungetc(next, from);
}

static void compress_all(weft_pool *pool, unsigned threads, int level,
                         FILE *from, FILE *to)
{
    static const unsigned char header[] = {31, 139, 8, 0, 0, 0, 0, 0, 0, 3};
    const unsigned count = AHEAD * threads;
    const size_t each = block_size(from, threads);
    struct block *blocks = calloc(count, sizeof *blocks);
    uLong sum = crc32(0, NULL, 0), size = 0;
    unsigned long begun = 0, written = 0;

    if (!blocks)
        fail("blocks", strerror(errno));
    fwrite(header, 1, sizeof header, to);
    for (bool last = false; !last; begun++) {
        struct block *block = &blocks[begun % count];

        if (begun >= count)
            write_block(block, to, &sum, &size), written++;
        fill(block, each, from, begun ? &blocks[(begun - 1) % count] : NULL);
        block->level = level;
        last = block->last;
        if (weft_submit(&block->job, pool,
                        &(weft_task){.fn = compress_block,
                                     .name = "block",
                                     .arg = block}) < 0)
            fail("submit", weft_why());
    }
    for (; written < begun; written++)
        write_block(&blocks[written % count], to, &sum, &size);
    write_number(to, sum);
    write_number(to, size);
    free(blocks);
}

/* A new file beside the result, with the rights of the input. */
static FILE *partial_open(const char *result, FILE *from)
{
    const char *slash = strrchr(result, '/');
    const int folder = slash ? (int)(slash + 1 - result) : 0;
    struct stat status;

    if (snprintf(partial, sizeof partial, "%.*s.pgz-XXXXXX", folder, result) >=
        PATH) {
        *partial = '\0';
        fail(result, strerror(ENAMETOOLONG));
    }
    const int fd = mkostemp(partial, O_CLOEXEC);
    FILE *file = fd < 0 ? NULL : fdopen(fd, "wb");

    if (fd < 0)
        *partial = '\0';
    if (!file || fstat(fileno(from), &status) < 0 ||
        fchmod(fd, status.st_mode & 0777) < 0)
        fail(result, strerror(errno));
    return file;
}

static double compress_file(const char *path, const struct options *options,
                            unsigned threads, const char *result)
{
    const weft_time begun = weft_now();
    const char *why;
    FILE *from = file_open(path, &why);
    weft_pool *pool;

    if (!from)
        fail(path, why);
    if (weft_pool_open(
            &pool, WEFT_THREAD,
            &(weft_pool_options){.workers = threads, .name = "pgz"}) < 0)
        fail("open a pool", weft_why());
    FILE *to = partial_open(result, from);

    compress_all(pool, threads, options->level, from, to);
    if (fclose(to) != 0 || rename(partial, result) < 0)
        fail(result, strerror(errno));
    *partial = '\0';
    fclose(from);
    weft_pool_close(pool, WEFT_FOREVER);
    return seconds_since(begun);
}

static long size_of(const char *path)
{
    FILE *file = fopen(path, "rb");
    long size = -1;

    if (file && fseek(file, 0, SEEK_END) == 0)
        size = ftell(file);
    if (file)
        fclose(file);
    return size;
}

static void do_file(const char *path, const struct options *options)
{
    char result[PATH];

    if (snprintf(result, sizeof result, "%s.gz", path) >= PATH)
        fail(path, strerror(ENAMETOOLONG));
    const double alone =
        options->compare ? compress_file(path, options, 1, result) : 0;
    const double took = compress_file(path, options, options->threads, result);

    fprintf(stderr, "%s: %ld -> %ld bytes, %.3f s with %u workers", path,
            size_of(path), size_of(result), took, options->threads);
    if (options->compare)
        fprintf(stderr, "; with one %.3f s: %.2f times as fast", alone,
                alone / took);
    fputc('\n', stderr);
}

int main(int argc, char **argv)
{
    struct options options = {.level = 6, .threads = weft_cpu_count()};
    int i = 1;

    for (; i < argc && argv[i][0] == '-'; i++) {
        if (argv[i][1] >= '1' && argv[i][1] <= '9' && !argv[i][2])
            options.level = argv[i][1] - '0';
        else if (strcmp(argv[i], "--compare") == 0)
            options.compare = true;
        else if (strcmp(argv[i], "--threads") != 0 || i + 1 == argc ||
                 !number_in(argv[++i], 1, MOST_WORKERS, &options.threads))
            usage(argv[0]);
    }
    if (i == argc)
        usage(argv[0]);
    signal(SIGINT, interrupted);
    signal(SIGTERM, interrupted);
    for (; i < argc; i++)
        do_file(argv[i], &options);
    return 0;
}
