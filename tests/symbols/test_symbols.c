/* Naming the frames of a stack. */
#include "base/symbols.h"
#include "subject.h"
#include "support/support.h"

#include <limits.h>
#include <setjmp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum {
    SUBJECT_LINE = 21
};

/* A place in memory as a frame: the file that is mapped there. */
struct place {
    char path[PATH_MAX];
    struct symbols_frame frame;
};

static void
find(struct place *place, const void *address, bool call)
{
    FILE *maps = fopen("/proc/self/maps", "re");
    const unsigned long at = (unsigned long)address;
    char line[PATH_MAX + 128];
    bool found = false;

    ck_assert_ptr_nonnull(maps);
    while (!found && fgets(line, sizeof line, maps)) {
        unsigned long start, end, offset;

        *place->path = '\0';
        if (sscanf(line, "%lx-%lx %*s %lx %*s %*s %4095[^\n]", &start, &end,
                   &offset, place->path) < 3 ||
            at < start || at >= end)
            continue;
        found = true;
        place->frame = (struct symbols_frame){
            .path = place->path, .offset = at - start + offset, .call = call};
    }
    fclose(maps);
    ck_assert_msg(found && *place->path == '/', "no file at %p", address);
}

/* What is left from before must not be taken for an answer. */
static void
soil(struct symbols_frame *frame)
{
    strcpy(frame->function, "old");
    strcpy(frame->file, "old");
    frame->line = 77;
}

static void
expect_unknown(struct symbols_frame frame)
{
    soil(&frame);
    ck_assert_uint_eq(weft_symbols_explain(&frame, 1), 0);
    ck_assert_str_eq(frame.function, "");
    ck_assert_str_eq(frame.file, "");
    ck_assert_int_eq(frame.line, 0);
}

static void
expect_named(struct symbols_frame frame, const char *function, const char *file,
             int line)
{
    soil(&frame);
    ck_assert_uint_eq(weft_symbols_explain(&frame, 1), 1);
    ck_assert_str_eq(frame.function, function);
    ck_assert_str_eq(frame.file, file);
    ck_assert_int_eq(frame.line, line);
}

static __attribute__((noinline)) int
own_function(void)
{
    __asm__ volatile("" : : : "memory");
    return __LINE__;
}

START_TEST(an_own_function)
{
    struct place place;

    find(&place, (const void *)(uintptr_t)own_function, false);
    soil(&place.frame);
    ck_assert_uint_eq(weft_symbols_explain(&place.frame, 1), 1);
    ck_assert_str_eq(place.frame.function, "own_function");
    ck_assert_str_eq(place.frame.file, "test_symbols.c");
    ck_assert_int_ge(place.frame.line, own_function() - 4);
    ck_assert_int_le(place.frame.line, own_function() + 1);
}

END_TEST

static jmp_buf back;
static void *returns_to;
static int last_line;

static _Noreturn __attribute__((noinline)) void
leave(void)
{
    returns_to = __builtin_return_address(0);
    longjmp(back, 1);
}

static _Noreturn __attribute__((noinline)) void
ends_in_a_call(void)
{
    last_line = __LINE__ + 1;
    leave();
}

/* The return address lies behind the function. */
START_TEST(a_call_that_never_returns)
{
    struct place place;

    if (setjmp(back) == 0)
        ends_in_a_call();
    find(&place, returns_to, true);
    expect_named(place.frame, "ends_in_a_call", "test_symbols.c", last_line);
}

END_TEST

START_TEST(a_function_of_libc)
{
    struct place place;
    void *(*volatile function)(size_t) = malloc;

    if (support_is_checked())
        return; /* it has a malloc of its own */
    find(&place, (const void *)(uintptr_t)function, false);
    ck_assert_uint_eq(weft_symbols_explain(&place.frame, 1), 1);
    ck_assert_ptr_nonnull(strstr(place.frame.function, "malloc"));
}

END_TEST

START_TEST(a_shared_library)
{
    struct place place;

    find(&place, subject_whole(), true);
    expect_named(place.frame, "subject_whole", "subject.c", SUBJECT_LINE);
    find(&place, subject_whole_within(), true);
    ck_assert_uint_eq(weft_symbols_explain(&place.frame, 1), 1);
    ck_assert_str_eq(place.frame.function, "hidden");
}

END_TEST

START_TEST(a_stripped_library)
{
    struct place place;

    find(&place, subject_stripped(), true);
    expect_named(place.frame, "subject_stripped", "", 0);
    find(&place, subject_stripped_within(), true);
    expect_unknown(place.frame); /* rather than a neighbour's name */
}

END_TEST

static void
run(const char *format, const char *one, const char *two, const char *three)
{
    char command[4 * PATH_MAX];

    snprintf(command, sizeof command, format, one, two, three);
    ck_assert_int_eq(system(command), 0);
}

/* What a packager does: the debug information beside the program. */
START_TEST(debug_information_apart)
{
    struct place place;
    char directory[64], debug[96], stripped[96], same[96];

    if (system("command -v objcopy >/dev/null") != 0)
        return;
    find(&place, subject_whole(), true);
    support_directory(directory);
    snprintf(debug, sizeof debug, "%s/.debug/subject", directory);
    snprintf(stripped, sizeof stripped, "%s/subject", directory);
    snprintf(same, sizeof same, "%s/other", directory);
    support_write(directory, ".debug/subject", "");
    run("objcopy --only-keep-debug '%s' %s", place.path, debug, "");
    run("objcopy -S --add-gnu-debuglink=%s '%s' %s", debug, place.path,
        stripped);
    place.frame.path = stripped;
    expect_named(place.frame, "subject_whole", "subject.c", SUBJECT_LINE);

    /* Of another build. */
    find(&place, subject_stripped(), true);
    run("objcopy -S --add-gnu-debuglink=%s '%s' %s", debug, place.path, same);
    place.frame.path = same;
    expect_named(place.frame, "subject_stripped", "", 0);
    support_remove(directory);
}

END_TEST

START_TEST(many_frames_at_once)
{
    struct place own, whole, stripped;

    find(&own, (const void *)(uintptr_t)own_function, false);
    find(&whole, subject_whole(), true);
    find(&stripped, subject_stripped(), true);
    struct symbols_frame frames[] = {own.frame,      whole.frame,
                                     {.path = NULL}, whole.frame,
                                     stripped.frame, own.frame};

    ck_assert_uint_eq(weft_symbols_explain(frames, 6), 5);
    ck_assert_str_eq(frames[0].function, "own_function");
    ck_assert_str_eq(frames[1].function, "subject_whole");
    ck_assert_str_eq(frames[2].function, "");
    ck_assert_str_eq(frames[3].function, "subject_whole");
    ck_assert_int_eq(frames[3].line, SUBJECT_LINE);
    ck_assert_str_eq(frames[4].function, "subject_stripped");
    ck_assert_str_eq(frames[5].function, "own_function");
    ck_assert_uint_eq(weft_symbols_explain(NULL, 0), 0);
}

END_TEST

START_TEST(no_descriptor_stays_open)
{
    struct place place;

    find(&place, subject_whole(), true);
    const int before = support_fds();

    expect_named(place.frame, "subject_whole", "subject.c", SUBJECT_LINE);
    place.frame.path = "/etc/passwd";
    expect_unknown(place.frame);
    ck_assert_int_eq(support_fds(), before);
}

END_TEST

START_TEST(files_that_are_none)
{
    char directory[64], pipe[96], text[96];

    support_directory(directory);
    snprintf(pipe, sizeof pipe, "%s/pipe", directory);
    snprintf(text, sizeof text, "%s/text", directory);
    ck_assert_int_eq(mkfifo(pipe, 0600), 0);
    support_write(directory, "text", "#!/bin/sh\nexit 0\n");
    const char *const paths[] = {NULL, "",   "/none/such", "[vdso]",   "/",
                                 pipe, text, "/dev/null",  "/dev/zero"};

    for (size_t i = 0; i < sizeof paths / sizeof *paths; i++) {
        expect_unknown((struct symbols_frame){.path = paths[i], .offset = 16});
        expect_unknown((struct symbols_frame){.path = paths[i], .call = true});
    }
    support_remove(directory);
}

END_TEST

START_TEST(offsets_that_are_no_code)
{
    static const uint64_t offsets[] = {
        0, 1, 63, 1 << 30, INT64_MAX, INT64_MAX + UINT64_C(1), UINT64_MAX};
    struct place place;

    find(&place, subject_whole(), true);
    for (size_t i = 0; i < sizeof offsets / sizeof *offsets; i++)
        for (int call = 0; call < 2; call++) {
            place.frame.offset = offsets[i];
            place.frame.call = call;
            expect_unknown(place.frame);
        }
}

END_TEST

/* The whole file in memory. */
static char *
load(const char *path, size_t *size)
{
    FILE *file = fopen(path, "re");
    struct stat status;

    ck_assert_ptr_nonnull(file);
    ck_assert_int_eq(fstat(fileno(file), &status), 0);
    *size = (size_t)status.st_size;
    char *bytes = malloc(*size);

    ck_assert_uint_eq(fread(bytes, 1, *size, file), *size);
    fclose(file);
    return bytes;
}

static void
store(const char *path, const char *bytes, size_t size)
{
    FILE *file = fopen(path, "we");

    ck_assert_ptr_nonnull(file);
    ck_assert_uint_eq(fwrite(bytes, 1, size, file), size);
    fclose(file);
}

/* A damaged copy of the subject, and a frame in it. */
struct damaged {
    struct place place;
    char directory[64], path[96];
    char *bytes;
    size_t size;
};

static void
damaged_open(struct damaged *damaged)
{
    find(&damaged->place, subject_whole(), true);
    damaged->bytes = load(damaged->place.path, &damaged->size);
    support_directory(damaged->directory);
    snprintf(damaged->path, sizeof damaged->path, "%s/copy",
             damaged->directory);
    damaged->place.frame.path = damaged->path;
}

static void
damaged_close(struct damaged *damaged)
{
    support_remove(damaged->directory);
    free(damaged->bytes);
}

START_TEST(truncated_files)
{
    struct damaged damaged;
    size_t step;

    damaged_open(&damaged);
    struct symbols_frame *frame = &damaged.place.frame;

    step = damaged.size / scaled(500) + 1;
    for (size_t size = 0; size < damaged.size; size += size < 64 ? 1 : step) {
        store(damaged.path, damaged.bytes, size);
        weft_symbols_explain(frame, 1);
        ck_assert(*frame->function == '\0' ||
                  strcmp(frame->function, "subject_whole") == 0);
    }
    store(damaged.path, damaged.bytes, damaged.size);
    expect_named(*frame, "subject_whole", "subject.c", SUBJECT_LINE);
    damaged_close(&damaged);
}

END_TEST

static bool
is_clean(const char *text)
{
    const size_t length = strnlen(text, SYMBOLS_TEXT);

    for (size_t i = 0; i < length; i++)
        if ((unsigned char)text[i] < ' ' || text[i] == 0x7f)
            return false;
    return length < SYMBOLS_TEXT;
}

/* Bytes that are wrong, near the start and the end more often, where the
 * headers are. */
START_TEST(forged_files)
{
    struct damaged damaged;

    damaged_open(&damaged);
    struct symbols_frame *frame = &damaged.place.frame;

    srand(1);
    for (unsigned i = 0; i < scaled(500); i++) {
        char kept[8];
        size_t at[8];

        for (int k = 0; k < 8; k++) {
            at[k] = (size_t)rand() % damaged.size;
            if (i % 4 == 1)
                at[k] %= 1024;
            if (i % 4 == 2)
                at[k] = damaged.size - 1 - at[k] % 2560;
            kept[k] = damaged.bytes[at[k]];
            damaged.bytes[at[k]] =
                (char)(rand() % 2 ? rand() : 0x7f + rand() % 2);
        }
        store(damaged.path, damaged.bytes, damaged.size);
        weft_symbols_explain(frame, 1);
        ck_assert(is_clean(frame->function) && is_clean(frame->file));
        ck_assert_int_ge(frame->line, 0);
        for (int k = 7; k >= 0; k--)
            damaged.bytes[at[k]] = kept[k];
    }
    damaged_close(&damaged);
}

END_TEST

int
main(void)
{
    Suite *suite = suite_create("symbols/symbols");
    TCase *tcase = support_case(suite, "names", 20);

    tcase_add_test(tcase, an_own_function);
    tcase_add_test(tcase, a_call_that_never_returns);
    tcase_add_test(tcase, a_function_of_libc);
    tcase_add_test(tcase, a_shared_library);
    tcase_add_test(tcase, a_stripped_library);
    tcase_add_test(tcase, debug_information_apart);
    tcase_add_test(tcase, many_frames_at_once);
    tcase_add_test(tcase, no_descriptor_stays_open);
    tcase = support_case(suite, "unknown", 60);
    tcase_add_test(tcase, files_that_are_none);
    tcase_add_test(tcase, offsets_that_are_no_code);
    tcase_add_test(tcase, truncated_files);
    tcase_add_test(tcase, forged_files);
    return support_run(suite);
}
