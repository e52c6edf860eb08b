/* Makes pictures for thumbs: JPEG and PNG files, a fifth of them damaged, each
 * in a way that its name tells.
 *
 *     pictures FOLDER COUNT */
/* jpeglib.h needs what is above it. */
/* clang-format off */
#include <stdio.h>
#include <jpeglib.h>
/* clang-format on */
#include <png.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <zlib.h>

enum {
    RGB = 3,
    CMYK = 4,
    LARGEST = 400, /* pixels a side */
    ONE_BAD_IN = 5,
    SIDE = 3000, /* of the one that takes for ever */
    SCANS = 5000 /* and its scans */
};

struct file {
    unsigned char *bytes;
    size_t size;
};

static void check(bool good, const char *what)
{
    if (good)
        return;
    fprintf(stderr, "pictures: %s\n", what);
    exit(1);
}

/* --- good pictures */

/* Colours that run from corner to corner, others in each picture. */
static void paint(unsigned char *pixels, unsigned width, unsigned height,
                  unsigned seed)
{
    for (unsigned y = 0; y < height; y++)
        for (unsigned x = 0; x < width; x++) {
            unsigned char *at = pixels + ((size_t)y * width + x) * RGB;

            at[0] = (unsigned char)(x * 255 / width);
            at[1] = (unsigned char)(y * 255 / height);
            at[2] = (unsigned char)(seed * 37);
        }
}

static struct file make_png(const unsigned char *pixels, unsigned width,
                            unsigned height)
{
    png_image image = {.version = PNG_IMAGE_VERSION,
                       .width = width,
                       .height = height,
                       .format = PNG_FORMAT_RGB,
                       .flags = PNG_IMAGE_FLAG_FAST};
    png_alloc_size_t size = PNG_IMAGE_PNG_SIZE_MAX(image);
    struct file file = {malloc(size), 0};

    check(file.bytes, "no memory");
    check(png_image_write_to_memory(&image, file.bytes, &size, 0, pixels, 0,
                                    NULL),
          image.message);
    file.size = size;
    return file;
}

static struct file make_jpeg(const unsigned char *pixels, unsigned width,
                             unsigned height, int colours, bool progressive)
{
    struct jpeg_compress_struct jpeg;
    struct jpeg_error_mgr errors;
    struct file file = {NULL, 0};
    unsigned long size = 0;

    jpeg.err = jpeg_std_error(&errors);
    jpeg_create_compress(&jpeg);
    jpeg_mem_dest(&jpeg, &file.bytes, &size);
    jpeg.image_width = width;
    jpeg.image_height = height;
    jpeg.input_components = colours;
    jpeg.in_color_space = colours == RGB ? JCS_RGB : JCS_CMYK;
    jpeg_set_defaults(&jpeg);
    if (progressive)
        jpeg_simple_progression(&jpeg);
    jpeg_start_compress(&jpeg, TRUE);
    while (jpeg.next_scanline < height) {
        /* It only reads the row. */
        JSAMPROW row = (JSAMPROW)(uintptr_t)pixels +
                       (size_t)jpeg.next_scanline * width * (unsigned)colours;

        jpeg_write_scanlines(&jpeg, &row, 1);
    }
    jpeg_finish_compress(&jpeg);
    jpeg_destroy_compress(&jpeg);
    file.size = size;
    return file;
}

static struct file make(bool jpeg, bool progressive, unsigned seed)
{
    const unsigned width = 1 + seed * 7919 % LARGEST;
    const unsigned height = 1 + seed * 104729 % LARGEST;
    unsigned char *pixels = malloc((size_t)width * height * RGB);

    check(pixels, "no memory");
    paint(pixels, width, height, seed);
    const struct file file =
        jpeg ? make_jpeg(pixels, width, height, RGB, progressive)
             : make_png(pixels, width, height);

    free(pixels);
    return file;
}

/* --- what can be wrong with one */

static void empty(struct file *file)
{
    file->size = 0;
}

static void cut(struct file *file)
{
    file->size = file->size * 2 / 3;
}

static void text(struct file *file)
{
    memcpy(file->bytes, "no picture at all", 17);
}

static void number_write(unsigned char *at, unsigned long number, int size)
{
    for (int i = 0; i < size; i++)
        at[i] = (unsigned char)(number >> 8 * (size - 1 - i));
}

/* Where the bytes stand; they must be there. */
static unsigned char *find(const struct file *file, const char *bytes,
                           size_t size)
{
    unsigned char *at = memmem(file->bytes, file->size, bytes, size);

    check(at, "a marker is missing");
    return at;
}

/* 20,000 by 20,000, says its header, and the checksum agrees. */
static void png_huge(struct file *file)
{
    unsigned char *header = file->bytes + 12;

    number_write(header + 4, 20000, 4);
    number_write(header + 8, 20000, 4);
    number_write(header + 17, crc32(0, header, 17), 4);
}

static void png_flip(struct file *file)
{
    find(file, "IDAT", 4)[9] ^= 4;
}

static void jpeg_huge(struct file *file)
{
    unsigned char *header = find(file, "\xff\xc0", 2);

    number_write(header + 5, 60000, 2);
    number_write(header + 7, 60000, 2);
}

/* The tables are gone. */
static void jpeg_header(struct file *file)
{
    find(file, "\xff\xdb", 2)[1] = 0xe7;
    find(file, "\xff\xdb", 2)[1] = 0xe7;
}

/* Nothing is wrong with it but that thumbs makes none of it. */
static void jpeg_cmyk(struct file *file)
{
    static const unsigned char pixels[16 * 16 * CMYK];

    free(file->bytes);
    *file = make_jpeg(pixels, 16, 16, CMYK, false);
}

static const struct damage {
    const char *name;
    bool jpeg;
    void (*apply)(struct file *file);
} damages[] = {
    {"empty", false, empty},      {"empty", true, empty},
    {"cut", false, cut},          {"cut", true, cut},
    {"text", false, text},        {"text", true, text},
    {"huge", false, png_huge},    {"huge", true, jpeg_huge},
    {"flipped", false, png_flip}, {"header", true, jpeg_header},
    {"cmyk", true, jpeg_cmyk},
};

/* A small file that takes very long: one colour in scan after scan, each for
 * the whole picture. */
static struct file make_endless(void)
{
    unsigned char *pixels = calloc((size_t)SIDE * SIDE, RGB);

    check(pixels, "no memory");
    const struct file once = make_jpeg(pixels, SIDE, SIDE, RGB, true);
    const unsigned char *last = once.bytes;
    const size_t ending = 2; /* bytes */

    for (const unsigned char *at = last; at; last = at ? at : last)
        at = memmem(last + 1, (size_t)(once.bytes + once.size - last - 1),
                    "\xff\xda", 2);
    const size_t before = (size_t)(last - once.bytes);
    const size_t scan = once.size - ending - before;
    struct file all = {malloc(once.size + SCANS * scan), before};

    check(all.bytes, "no memory");
    memcpy(all.bytes, once.bytes, before);
    for (int i = 0; i < SCANS; i++, all.size += scan)
        memcpy(all.bytes + all.size, last, scan);
    memcpy(all.bytes + all.size, last + scan, ending);
    all.size += ending;
    free(once.bytes);
    free(pixels);
    return all;
}

/* --- the folder */

static void write_file(const char *folder, unsigned number, const char *name,
                       bool jpeg, struct file file)
{
    char path[4096];

    snprintf(path, sizeof path, "%s/%06u-%s.%s", folder, number, name,
             jpeg ? "jpg" : "png");
    FILE *to = fopen(path, "wb");

    check(to, path);
    check(fwrite(file.bytes, 1, file.size, to) == file.size, path);
    check(fclose(to) == 0, path);
    free(file.bytes);
}

static void write_picture(const char *folder, unsigned number)
{
    const unsigned count = sizeof damages / sizeof *damages;
    const struct damage *damage = &damages[number / ONE_BAD_IN % count];
    const bool good = number % ONE_BAD_IN > 0;
    const bool jpeg = good ? number % 2 > 0 : damage->jpeg;
    struct file file = make(jpeg, good && number % 3 == 0, number);

    if (!good)
        damage->apply(&file);
    write_file(folder, number, good ? "good" : damage->name, jpeg, file);
}

int main(int argc, char **argv)
{
    const unsigned long count = argc == 3 ? strtoul(argv[2], NULL, 10) : 0;

    if (count == 0) {
        fprintf(stderr, "usage: %s FOLDER COUNT\n", argv[0]);
        return 2;
    }
    for (unsigned i = 0; i + 1 < count; i++)
        write_picture(argv[1], i);
    write_file(argv[1], (unsigned)count - 1, "endless", true, make_endless());
    return 0;
}
