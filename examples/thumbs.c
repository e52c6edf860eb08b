/* Thumbnails of a folder of JPEG and PNG files, decoded in worker processes
 * that may only compute. What a damaged file does to its decoder costs one
 * line: libpng says what is wrong, libjpeg by default prints it and exits; a
 * picture of 20,000 by 20,000 finds no memory, and one with 5,000 scans no end.
 *
 *     thumbs [--processes N] [--threads N] FOLDER RESULTS
 *
 * With --threads the same runs in threads, and the first damaged JPEG file ends
 * the program. */
#include "command.h"
#include "progress.h"
#include "speed.h"

#include <dirent.h>
#include <jpeglib.h>
#include <png.h>
#include <strings.h>
#include <sys/resource.h>

enum {
    SIDE = 128, /* of a thumbnail, at most */
    RGB = 3,
    AHEAD = 4 /* files a worker that are read but not decoded */
};

#define MEMORY (256u << 20) /* of a worker */
#define TIME   (3 * WEFT_SECOND)
#define PATH   (4096 + 512) /* a folder's, and a name in it */

struct options {
    weft_kind kind;
    unsigned workers;
    const char *from, *to;
};

struct picture {
    unsigned width, height;
    unsigned char *pixels; /* RGB */
};

/* --- in a worker */

static int picture_make(weft_call *call, struct picture *picture,
                        unsigned width, unsigned height)
{
    picture->width = width;
    picture->height = height;
    picture->pixels = malloc((size_t)width * height * RGB);
    return picture->pixels
               ? 0
               : weft_fail(call, "no memory for %u x %u", width, height);
}

static int png_decode(weft_call *call, struct picture *picture)
{
    png_image image = {.version = PNG_IMAGE_VERSION};
    const png_color white = {255, 255, 255};

    if (!png_image_begin_read_from_memory(&image, call->arg, call->arg_size))
        return weft_fail(call, "%s", image.message);
    image.format = PNG_FORMAT_RGB;
    if (picture_make(call, picture, image.width, image.height) < 0)
        png_image_free(&image);
    else if (!png_image_finish_read(&image, &white, picture->pixels, 0, NULL))
        (void)weft_fail(call, "%s", image.message);
    else
        return 0;
    return WEFT_EFAILED;
}

/* The largest scale at which it is still larger than a thumbnail: libjpeg has
 * less to do then. */
static unsigned jpeg_scale(unsigned width, unsigned height)
{
    unsigned scale = 8;

    while (scale > 1 && (width > height ? width : height) / scale < SIDE)
        scale /= 2;
    return scale;
}

/* Without a handler of ours, jpeg_* prints what is wrong and calls exit. */
static int jpeg_decode(weft_call *call, struct picture *picture)
{
    struct jpeg_decompress_struct jpeg;
    struct jpeg_error_mgr errors;
    int status;

    jpeg.err = jpeg_std_error(&errors);
    jpeg_create_decompress(&jpeg);
    jpeg_mem_src(&jpeg, call->arg, call->arg_size);
    jpeg_read_header(&jpeg, TRUE);
    if (jpeg.num_components > RGB) {
        jpeg_destroy_decompress(&jpeg);
        return weft_fail(call, "its colours are CMYK, not RGB");
    }
    jpeg.scale_denom = jpeg_scale(jpeg.image_width, jpeg.image_height);
    jpeg.out_color_space = JCS_RGB;
    jpeg_start_decompress(&jpeg);
    status = picture_make(call, picture, jpeg.output_width, jpeg.output_height);
    while (status == 0 && jpeg.output_scanline < jpeg.output_height) {
        JSAMPROW row = picture->pixels +
                       (size_t)jpeg.output_scanline * picture->width * RGB;

        jpeg_read_scanlines(&jpeg, &row, 1);
        if (errors.num_warnings > 0) /* it would go on, with grey */
            errors.error_exit((j_common_ptr)&jpeg);
    }
    jpeg_destroy_decompress(&jpeg);
    return status;
}

/* The mean of a part of the picture. */
static void mean(const struct picture *picture, unsigned left, unsigned right,
                 unsigned top, unsigned bottom, unsigned char *out)
{
    const unsigned long count = (unsigned long)(right - left) * (bottom - top);
    unsigned long sums[RGB] = {0};

    for (unsigned y = top; y < bottom; y++)
        for (unsigned x = left; x < right; x++)
            for (unsigned i = 0; i < RGB; i++)
                sums[i] +=
                    picture->pixels[((size_t)y * picture->width + x) * RGB + i];
    for (unsigned i = 0; i < RGB; i++)
        out[i] = (unsigned char)(sums[i] / count);
}

static unsigned scaled(unsigned length, unsigned longest)
{
    const unsigned side =
        longest > SIDE ? (unsigned)((unsigned long)length * SIDE / longest)
                       : length;

    return side > 0 ? side : 1;
}

static void shrink(const struct picture *picture, struct picture *small)
{
    const unsigned width = picture->width, height = picture->height;
    const unsigned longest = width > height ? width : height;

    small->width = scaled(width, longest);
    small->height = scaled(height, longest);
    for (unsigned long y = 0; y < small->height; y++)
        for (unsigned long x = 0; x < small->width; x++)
            mean(picture, (unsigned)(x * width / small->width),
                 (unsigned)((x + 1) * width / small->width),
                 (unsigned)(y * height / small->height),
                 (unsigned)((y + 1) * height / small->height),
                 small->pixels + (y * small->width + x) * RGB);
}

/* The result is a PNG file, whose size is known when it is made. */
static int png_encode(weft_call *call, const struct picture *picture)
{
    png_image image = {.version = PNG_IMAGE_VERSION,
                       .width = picture->width,
                       .height = picture->height,
                       .format = PNG_FORMAT_RGB};
    png_alloc_size_t size = PNG_IMAGE_PNG_SIZE_MAX(image);
    void *room = weft_result_resize(call, size);

    if (!room)
        return weft_fail(call, "no memory for the thumbnail");
    if (!png_image_write_to_memory(&image, room, &size, 0, picture->pixels, 0,
                                   NULL))
        return weft_fail(call, "%s", image.message);
    (void)weft_result_resize(call, size);
    return 0;
}

/* A file's bytes in, a thumbnail's bytes out. */
static int make_thumbnail(weft_call *call)
{
    unsigned char pixels[SIDE * SIDE * RGB];
    struct picture picture = {.pixels = NULL}, small = {.pixels = pixels};
    const bool is_png = call->arg_size > 8 && png_sig_cmp(call->arg, 0, 8) == 0;
    int status =
        is_png ? png_decode(call, &picture) : jpeg_decode(call, &picture);

    if (status == 0) {
        shrink(&picture, &small);
        status = png_encode(call, &small);
    }
    free(picture.pixels);
    return status;
}

/* --- in the program */

static bool has_ending(const char *name, const char *ending)
{
    const size_t size = strlen(name), tail = strlen(ending);

    return size > tail && strcasecmp(name + size - tail, ending) == 0;
}

static int is_picture(const struct dirent *entry)
{
    return has_ending(entry->d_name, ".jpg") ||
           has_ending(entry->d_name, ".jpeg") ||
           has_ending(entry->d_name, ".png");
}

/* A name may hold anything: no terminal shall obey it. */
static void complain(const char *name, const char *why)
{
    progress_hide();
    for (; *name; name++)
        putchar(iscntrl((unsigned char)*name) ? '?' : *name);
    printf(": %s\n", why);
}

/* All of a file, which the caller frees; or why not. */
static void *read_all(const char *path, size_t *size, const char **why)
{
    FILE *file = file_open(path, why);
    char *bytes = NULL;

    if (!file)
        return NULL;
    const long end = fseek(file, 0, SEEK_END) == 0 ? ftell(file) : -1;

    rewind(file);
    if (end >= 0 && (bytes = malloc((size_t)end + 1)))
        *size = fread(bytes, 1, (size_t)end, file);
    if (!bytes || ferror(file))
        *why = strerror(errno);
    else if (*size == 0)
        *why = "empty";
    fclose(file);
    return bytes;
}

/* The job's name is the file's number: a file's own need not be text. */
static bool submit(weft_pool *pool, weft_scope *scope, const char *folder,
                   struct dirent **files, int number)
{
    const char *name = files[number]->d_name, *why;
    char path[PATH], digits[16];
    size_t size = 0;

    snprintf(path, sizeof path, "%s/%s", folder, name);
    snprintf(digits, sizeof digits, "%d", number);
    void *bytes = read_all(path, &size, &why);

    if (!why && weft_submit(NULL, pool,
                            &(weft_task){.fn = make_thumbnail,
                                         .name = digits,
                                         .arg = bytes,
                                         .arg_size = size,
                                         .timeout = TIME,
                                         .scope = scope}) < 0)
        why = weft_why();
    if (why)
        complain(name, why);
    free(bytes);
    return !why;
}

static bool write_result(const char *folder, const char *name,
                         const weft_outcome *end)
{
    char path[PATH];

    snprintf(path, sizeof path, "%s/%s.png", folder, name);
    FILE *file = fopen(path, "wb");
    const bool whole = file && fwrite(end->result, 1, end->result_size, file) ==
                                   end->result_size;

    if ((!file || fclose(file) == 0) && whole)
        return true;
    complain(path, strerror(errno));
    if (file)
        unlink(path);
    return false;
}

/* Takes one that has ended; whether it is a thumbnail now. */
static bool take(weft_scope *scope, const char *folder, struct dirent **files)
{
    weft_job *job;
    char why[1024];

    weft_must(weft_scope_next(scope, &job, WEFT_FOREVER), "wait");
    const weft_outcome *end = weft_outcome_of(job);
    const char *name = files[strtoul(weft_name(job), NULL, 10)]->d_name;

    if (end->status == WEFT_OK)
        return write_result(folder, name, end);
    /* What libjpeg printed says more than that it called exit. */
    snprintf(why, sizeof why, "%s%s%.*s", end->text, *end->output ? ": " : "",
             (int)strcspn(end->output, "\n"), end->output);
    complain(name, why);
    return false;
}

static int make_all(const struct options *options, struct dirent **files,
                    int count)
{
    const bool processes = options->kind == WEFT_PROCESS;
    const weft_pool_options how = {
        .workers = options->workers,
        .name = "decoder",
        .worker = {.sandbox = processes ? WEFT_STRICT : WEFT_OPEN,
                   .grace = processes ? 100 * WEFT_MS : 0,
                   .memory = processes ? MEMORY : 0,
                   .capture = processes ? 1024 : 0}};
    weft_pool *pool;
    weft_scope *scope;
    const int ahead = AHEAD * (int)options->workers;
    int made = 0;

    weft_must(weft_pool_open(&pool, options->kind, &how), "open a pool");
    weft_must(
        weft_scope_open(&scope, &(weft_scope_options){.keep_going = true}),
        "open a scope");
    for (int begun = 0, under_way = 0; begun < count || under_way > 0;) {
        if (begun < count && under_way < ahead) {
            under_way += submit(pool, scope, options->from, files, begun++);
        } else {
            made += take(scope, options->to, files);
            under_way--;
        }
        progress_show(begun - under_way, count);
    }
    weft_scope_close(scope, WEFT_FOREVER);
    weft_pool_close(pool, WEFT_FOREVER);
    return made;
}

static _Noreturn void usage(const char *program)
{
    fprintf(stderr, "usage: %s [--processes N] [--threads N] FOLDER RESULTS\n",
            program);
    exit(2);
}

static struct options options_read(int argc, char **argv)
{
    struct options options = {WEFT_PROCESS, weft_cpu_count(), NULL, NULL};
    int i = 1;

    for (; i + 1 < argc && strncmp(argv[i], "--", 2) == 0; i += 2) {
        if (strcmp(argv[i], "--threads") == 0)
            options.kind = WEFT_THREAD;
        else if (strcmp(argv[i], "--processes") != 0)
            usage(argv[0]);
        if (!number_in(argv[i + 1], 1, MOST_WORKERS, &options.workers))
            usage(argv[0]);
    }
    if (argc - i != 2)
        usage(argv[0]);
    options.from = argv[i];
    options.to = argv[i + 1];
    return options;
}

/* A result may have the name of a source, so it lies elsewhere. */
static bool folders_fit(const struct options *options)
{
    struct stat from, to;

    if (stat(options->from, &from) < 0) {
        perror(options->from);
        return false;
    }
    if (stat(options->to, &to) < 0) {
        perror(options->to);
        return false;
    }
    if (S_ISDIR(to.st_mode) &&
        (from.st_dev != to.st_dev || from.st_ino != to.st_ino))
        return true;
    fprintf(stderr, "%s: not another folder\n", options->to);
    return false;
}

int main(int argc, char **argv)
{
    const struct options options = options_read(argc, argv);
    const weft_time begun = weft_now();
    struct dirent **files;
    struct rusage used;

    if (!folders_fit(&options))
        return 1;
    const int count = scandir(options.from, &files, is_picture, alphasort);

    if (count < 0) {
        perror(options.from);
        return 1;
    }
    const int made = make_all(&options, files, count);

    getrusage(RUSAGE_SELF, &used);
    printf("%d of %d thumbnails, %.3f s, %ld KiB of memory at most\n", made,
           count, seconds_since(begun), used.ru_maxrss);
    for (int i = 0; i < count; i++)
        free(files[i]);
    free(files);
    return finish(made < count);
}
