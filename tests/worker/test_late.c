/* Functions in libraries that were loaded after the zygote was made. */
#include "support/worker_support.h"
#include "worker/late.h"

#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

static char directory[64];

static void
make_directory(void)
{
    support_directory(directory);
}

static void
remove_directory(void)
{
    support_remove(directory);
}

struct library {
    void *handle;
    weft_fn *fn;
};

static struct library
load(const char *path)
{
    struct library library = {.handle = dlopen(path, RTLD_NOW)};

    ck_assert_msg(library.handle != NULL, "%s", dlerror());
    *(void **)&library.fn = dlsym(library.handle, "late_value");
    ck_assert(library.fn != NULL);
    return library;
}

static void
unload(struct library library)
{
    ck_assert_int_eq(dlclose(library.handle), 0);
}

/* What lies here in the program lies elsewhere in a worker. */
static void
shift_addresses(void)
{
    ck_assert_ptr_ne(
        mmap(NULL, 16 << 20, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0),
        MAP_FAILED);
}

static int
value_of(weft_fn *fn)
{
    int value = 0;
    weft_job *job = must_start(
        WEFT_PROCESS, &(weft_task){.fn = fn, .result_size = sizeof value});

    must_join(job);
    ck_assert_msg(outcome(job)->status == 0, "%s", outcome(job)->text);
    ck_assert_int_eq(weft_result(job, &value, sizeof value, WEFT_FOREVER), 0);
    weft_release(job);
    return value;
}

/* The function's worker cannot have it. */
static void
expect_not_in_image(weft_fn *fn, const char *word)
{
    weft_job *job = NULL;

    expect_refused(weft_start(&job, WEFT_PROCESS, &(weft_task){.fn = fn}),
                   WEFT_ENOTINIMAGE, word);
    ck_assert_ptr_null(job);
}

static void
expect_nothing_left(void)
{
    weft_fini();
    ck_assert_int_eq(waitpid(-1, NULL, WNOHANG | __WALL), -1);
    ck_assert_int_eq(errno, ECHILD);
}

START_TEST(a_library_loaded_after_init_is_found)
{
    ck_assert_int_eq(weft_init(NULL), 0);
    const struct library one = load(LATE_ONE);

    for (int i = 0; i < 5; i++)
        ck_assert_int_eq(value_of(one.fn), 1);
}

END_TEST

START_TEST(a_library_may_lie_elsewhere_in_the_worker)
{
    ck_assert_int_eq(weft_init(NULL), 0);
    shift_addresses();
    const struct library one = load(LATE_ONE);

    for (int i = 0; i < 5; i++)
        ck_assert_int_eq(value_of(one.fn), 1);
    shift_addresses();
    const struct library two = load(LATE_TWO);

    for (int i = 0; i < 5; i++) {
        ck_assert_int_eq(value_of(two.fn), 2);
        ck_assert_int_eq(value_of(one.fn), 1);
    }
}

END_TEST

START_TEST(the_program_s_own_functions_stay_known)
{
    ck_assert_int_eq(weft_init(NULL), 0);
    const struct library one = load(LATE_ONE);

    expect_end(must_start(WEFT_PROCESS, &(weft_task){.fn = do_nothing}),
               WEFT_OK);
    unload(one);
    expect_end(must_start(WEFT_PROCESS, &(weft_task){.fn = do_nothing}),
               WEFT_OK);
}

END_TEST

/* Right or refused, never the one that was there before. */
static void
expect_two_or_nothing(weft_fn *fn)
{
    int value = 0;
    weft_job *job = NULL;
    const int status =
        weft_start(&job, WEFT_PROCESS,
                   &(weft_task){.fn = fn, .result_size = sizeof value});

    ck_assert_msg(status == 0 || status == WEFT_ENOTINIMAGE, "%d: %s", status,
                  weft_why());
    if (status < 0)
        return;
    ck_assert_int_eq(weft_result(job, &value, sizeof value, WEFT_FOREVER), 0);
    ck_assert_int_eq(value, 2);
    weft_release(job);
}

static const bool loaded_before[] = {true, false};

START_TEST(another_library_at_the_same_address_is_told_apart)
{
    struct library one, two;

    if (loaded_before[_i])
        one = load(LATE_ONE);
    ck_assert_int_eq(weft_init(NULL), 0);
    if (!loaded_before[_i])
        one = load(LATE_ONE);
    ck_assert_int_eq(value_of(one.fn), 1);
    for (int i = 0; i < 3; i++) {
        weft_fn *const before = one.fn;

        unload(one);
        two = load(LATE_TWO);
        if (!support_is_checked()) /* which lay things out as they like */
            ck_assert(two.fn == before);
        expect_two_or_nothing(two.fn);
        unload(two);
        one = load(LATE_ONE);
        ck_assert_int_eq(value_of(one.fn), 1);
    }
}

END_TEST

START_TEST(another_library_without_an_id_is_told_apart)
{
    const struct library one = load(LATE_ONE);

    ck_assert_int_eq(weft_init(NULL), 0);
    ck_assert_int_eq(value_of(one.fn), 1);
    unload(one);
    const struct library two = load(LATE_BARE);

    expect_two_or_nothing(two.fn);
    unload(two);
}

END_TEST

static void
copy_file(const char *from, const char *to)
{
    char command[2 * PATH_MAX];

    snprintf(command, sizeof command, "cp '%s' '%s'", from, to);
    ck_assert_int_eq(system(command), 0);
}

START_TEST(a_library_whose_file_is_gone_is_refused)
{
    char path[PATH_MAX];

    snprintf(path, sizeof path, "%s/late.so", directory);
    ck_assert_int_eq(weft_init(NULL), 0);
    copy_file(LATE_ONE, path);
    const struct library one = load(path);

    ck_assert_int_eq(value_of(one.fn), 1);
    ck_assert_int_eq(unlink(path), 0);
    for (int i = 0; i < 5; i++)
        expect_not_in_image(one.fn, path);
    ck_assert_uint_eq(weft_list(WEFT_PROCESSES, NULL, 0), 0);
    copy_file(LATE_TWO, path); /* another one in its place */
    for (int i = 0; i < 5; i++)
        expect_not_in_image(one.fn, path);
    expect_end(must_start(WEFT_PROCESS, &(weft_task){.fn = do_nothing}),
               WEFT_OK);
    expect_nothing_left();
}

END_TEST

START_TEST(a_new_zygote_has_what_was_loaded)
{
    char path[PATH_MAX];

    snprintf(path, sizeof path, "%s/late.so", directory);
    copy_file(LATE_ONE, path);
    ck_assert_int_eq(weft_init(NULL), 0);
    const struct library one = load(path);

    ck_assert_int_eq(unlink(path), 0);
    expect_not_in_image(one.fn, path);
    ck_assert_int_eq(weft_init(NULL), 0);
    ck_assert_int_eq(value_of(one.fn), 1);
}

END_TEST

START_TEST(a_function_outside_any_image_is_refused)
{
    void *code = mmap(NULL, 4096, PROT_READ | PROT_WRITE | PROT_EXEC,
                      MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    weft_fn *fn;

    if (code == MAP_FAILED)
        return; /* a hardened system has no such code */
    memcpy(&fn, &code, sizeof fn);
    expect_not_in_image(fn, "in no loaded");
    ck_assert_int_eq(weft_init(NULL), 0);
    expect_not_in_image(fn, "in no loaded");
    expect_nothing_left();
}

END_TEST

int
main(void)
{
    Suite *suite = suite_create("late");
    TCase *tcase = support_case(suite, "late", 10);

    tcase_add_checked_fixture(tcase, make_directory, remove_directory);
    tcase_add_test(tcase, a_library_loaded_after_init_is_found);
    tcase_add_test(tcase, a_library_may_lie_elsewhere_in_the_worker);
    tcase_add_test(tcase, the_program_s_own_functions_stay_known);
    support_add_table(tcase, another_library_at_the_same_address_is_told_apart,
                      loaded_before);
    tcase_add_test(tcase, another_library_without_an_id_is_told_apart);
    tcase_add_test(tcase, a_library_whose_file_is_gone_is_refused);
    tcase_add_test(tcase, a_new_zygote_has_what_was_loaded);
    tcase_add_test(tcase, a_function_outside_any_image_is_refused);
    return support_run(suite);
}
