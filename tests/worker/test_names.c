/* Names: what is allowed, and what the kernel shows of them. */
#include "support/worker_support.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define KIND kinds[_i % 2]

/* What /proc shows for a thread of any process. */
static void
read_comm(int tid, char comm[64])
{
    char path[64];

    snprintf(path, sizeof path, "/proc/%d/comm", tid);
    FILE *file = fopen(path, "re");

    ck_assert_ptr_nonnull(file);
    ck_assert_ptr_nonnull(fgets(comm, 64, file));
    comm[strcspn(comm, "\n")] = '\0';
    fclose(file);
}

static bool
is_utf8(const char *text)
{
    return weft_set_name(text) == 0; /* that is what it checks */
}

/* --- lengths */

static const size_t good_lengths[] = {1, 2, 14, 15, 16, 17, 63, 64, 254, 255};

static int
tell_name(weft_call *call)
{
    const weft_worker *self = *(const weft_kind *)call->arg == WEFT_PROCESS
                                  ? weft_process()
                                  : weft_self();

    memcpy(call->result, self->name, call->result_size);
    return 0;
}

START_TEST(a_name_of_allowed_length_is_kept_whole)
{
    const weft_kind kind = KIND;
    const size_t length = good_lengths[_i / 2];
    char name[256] = "", seen[256];

    for (size_t i = 0; i < length; i++)
        name[i] = (char)('a' + i % 26);
    weft_job *job = must_run(kind, &(weft_task){.fn = tell_name,
                                                .name = name,
                                                WEFT_ARG(kind),
                                                .result_size = sizeof seen});

    ck_assert_str_eq(weft_name(job), name);
    ck_assert_int_eq(weft_result(job, seen, sizeof seen, WEFT_NOW), 0);
    ck_assert_str_eq(seen, name);
    ck_assert_ptr_nonnull(strstr(outcome(job)->text, name));
    weft_release(job);
}

END_TEST

START_TEST(a_thread_renames_itself_to_any_length)
{
    char name[258] = "", text[WEFT_TEXT];

    for (size_t i = 0; i < 255; i++) {
        name[i] = (char)('a' + i % 26);
        ck_assert_int_eq(weft_set_name(name), 0);
        ck_assert_str_eq(weft_self()->name, name);
        ck_assert_ptr_nonnull(
            strstr(weft_describe(weft_self(), text, sizeof text), name));
    }
    name[255] = 'x';
    expect_refused(weft_set_name(name), WEFT_EINVAL, "255");
    ck_assert_uint_eq(strlen(weft_self()->name), 255);
}

END_TEST

/* --- refused */

static const char *const bad[] = {
    "",
    "\n",
    "a\nb",
    "tab\t",
    "\x1b[31m",
    "\x7f",
    "\xc2\x80",
    "a\302\237b",
    "\xff",
    "\xc3",
    "\xc3(",
    "\xc0\x80",
    "\xed\xa0\x80",
    "\xf4\x90\x80\x80",
    "\xe2\x82",
    "\x80",
};

START_TEST(a_bad_name_is_refused_everywhere)
{
    weft_job *job = NULL;

    ck_assert_int_eq(weft_set_name("good"), 0);
    expect_refused(weft_set_name(bad[_i]), WEFT_EINVAL, "name");
    ck_assert_str_eq(weft_self()->name, "good");
    for (int i = 0; i < 2; i++)
        expect_refused(
            weft_start(&job, kinds[i],
                       &(weft_task){.fn = do_nothing, .name = bad[_i]}),
            WEFT_EINVAL, "name");
    ck_assert_ptr_null(job);
}

END_TEST

START_TEST(a_name_that_is_too_long_or_none_is_refused)
{
    char name[1000];
    weft_job *job = NULL;

    for (size_t length = 256; length < sizeof name; length += 371) {
        memset(name, 'n', length);
        name[length] = '\0';
        for (int i = 0; i < 2; i++)
            expect_refused(
                weft_start(&job, kinds[i],
                           &(weft_task){.fn = do_nothing, .name = name}),
                WEFT_EINVAL, "name");
        ck_assert_int_eq(weft_set_name(name), WEFT_EINVAL);
    }
    ck_assert_int_eq(weft_set_name(NULL), WEFT_EINVAL);
}

END_TEST

/* --- what the kernel shows */

static const char *const shown[] = {
    "x",
    "exactly15 bytes",
    "sixteen bytes ok",
    "a rather long name of a worker",
    "\u00e9\u00e9\u00e9\u00e9\u00e9\u00e9\u00e9\u00e9\u00e9\u00e9\u00e9",
    "a\u20ac\u20ac\u20ac\u20ac\u20ac\u20ac\u20ac\u20ac\u20ac",
    "\U0001f9f5\U0001f9f5\U0001f9f5\U0001f9f5\U0001f9f5\U0001f9f5",
    "ab\U0001f9f5\U0001f9f5\U0001f9f5\U0001f9f5\U0001f9f5 end",
};

#define SHOWN (int)(sizeof shown / sizeof *shown)

static weft_job *
start_named(weft_kind kind, const char *name, char comm[64])
{
    weft_worker worker;
    weft_job *job =
        must_start(kind, &(weft_task){.fn = wait_for_go, .name = name});

    gate_pass(&common->begun);
    memset(&common->begun, 0, sizeof common->begun);
    weft_worker_of(job, &worker);
    ck_assert_int_gt(worker.tid, 0);
    read_comm(worker.tid, comm);
    return job;
}

START_TEST(the_kernel_shows_what_fits)
{
    const char *name = shown[_i / 2];
    char comm[64];
    weft_job *job = start_named(KIND, name, comm);

    ck_assert_uint_le(strlen(comm), 15);
    ck_assert_uint_gt(strlen(comm), 0);
    ck_assert(is_utf8(comm));
    ck_assert_int_eq(*comm, *name);
    if (strlen(name) <= 15)
        ck_assert_str_eq(comm, name);
    else
        ck_assert_int_eq(comm[strlen(comm) - 1], name[strlen(name) - 1]);
    gate_open(&common->go);
    expect_end(job, WEFT_OK);
}

END_TEST

static const char *const twins[][2] = {
    {"decoder-12", "decoder-13"},
    {"picture decoder number 12", "picture decoder number 13"},
    {"a name that is long enough, 0", "a name that is long enough, 1"},
    {"left thing with the same end", "wide thing with the same end"},
};

START_TEST(long_names_that_differ_stay_different)
{
    char first[64], second[64];
    const char *const *twin = twins[_i / 2];

    ck_assert_int_eq(weft_init(NULL), 0);
    weft_job *one = start_named(KIND, twin[0], first);
    weft_job *other = start_named(KIND, twin[1], second);

    ck_assert_str_ne(first, second);
    gate_open(&common->go);
    expect_end(one, WEFT_OK);
    expect_end(other, WEFT_OK);
}

END_TEST

static int
rename_and_wait(weft_call *call)
{
    if (weft_set_name("another name for this one") < 0)
        return 1;
    return wait_for_go(call);
}

START_TEST(a_worker_that_renames_itself_is_seen_so)
{
    char comm[64];
    weft_worker all[4], worker;
    weft_job *job = must_start(
        WEFT_THREAD, &(weft_task){.fn = rename_and_wait, .name = "given"});

    gate_pass(&common->begun);
    ck_assert_str_eq(weft_name(job), "given");
    ck_assert_uint_eq(weft_list(WEFT_THREADS, all, 4), 2);
    ck_assert_str_eq(all[1].name, "another name for this one");
    weft_worker_of(job, &worker);
    ck_assert_int_eq(worker.tid, all[1].tid);
    read_comm(all[1].tid, comm);
    ck_assert_str_eq(comm, "another~his one");
    gate_open(&common->go);
    expect_end(job, WEFT_OK);
}

END_TEST

START_TEST(the_main_thread_keeps_its_kernel_name_unless_named)
{
    char before[64], after[64];

    read_comm(gettid(), before);
    ck_assert_str_eq(weft_self()->name, "MainThread");
    read_comm(gettid(), after);
    ck_assert_str_eq(before, after);
    ck_assert_int_eq(weft_set_name("chief"), 0);
    read_comm(gettid(), after);
    ck_assert_str_eq(after, "chief");
}

END_TEST

static void *
name_adopted(void *arg)
{
    char name[32];

    (void)arg;
    snprintf(name, sizeof name, "Dummy-%d", gettid());
    ck_assert_str_eq(weft_self()->name, name);
    ck_assert(weft_self()->adopted);
    ck_assert_int_eq(weft_set_name("foreigner"), 0);
    ck_assert_str_eq(weft_self()->name, "foreigner");
    return NULL;
}

START_TEST(a_foreign_thread_is_a_dummy_until_named)
{
    support_join(support_thread(name_adopted, NULL));
}

END_TEST

/* Readers see one name or the other, never half of each. */
static int
swap_names(weft_call *call)
{
    char names[2][256];

    for (int i = 0; i < 2; i++) {
        memset(names[i], 'a' + i, 255);
        names[i][255] = '\0';
    }
    gate_open(&common->begun);
    for (unsigned i = 0; !weft_stopping(); i++)
        if (weft_set_name(names[i % 2]) < 0)
            return 1;
    (void)call;
    return 0;
}

START_TEST(names_do_not_tear)
{
    weft_job *job =
        must_start(WEFT_THREAD, &(weft_task){.fn = swap_names, .name = "a"});

    gate_pass(&common->begun);
    for (unsigned i = 0; i < scaled(20000); i++) {
        weft_worker all[4];
        const size_t count = weft_list(WEFT_THREADS, all, 4);

        if (count < 2 || all[1].tid == 0)
            continue;
        const char *name = all[1].name;

        if (name[strspn(name, (char[]){*name, '\0'})] != '\0')
            ck_abort_msg("torn: %s", name);
    }
    weft_stop(job);
    expect_end(job, WEFT_OK);
}

END_TEST

int
main(void)
{
    Suite *suite = suite_create("names");
    TCase *tcase = support_case(suite, "names", 15);

    tcase_add_checked_fixture(tcase, common_make, NULL);
    tcase_add_loop_test(tcase, a_name_of_allowed_length_is_kept_whole, 0,
                        2 * 10);
    tcase_add_test(tcase, a_thread_renames_itself_to_any_length);
    support_add_table(tcase, a_bad_name_is_refused_everywhere, bad);
    tcase_add_test(tcase, a_name_that_is_too_long_or_none_is_refused);
    tcase_add_loop_test(tcase, the_kernel_shows_what_fits, 0, 2 * SHOWN);
    tcase_add_loop_test(tcase, long_names_that_differ_stay_different, 0, 8);
    tcase_add_test(tcase, a_worker_that_renames_itself_is_seen_so);
    tcase_add_test(tcase, the_main_thread_keeps_its_kernel_name_unless_named);
    tcase_add_test(tcase, a_foreign_thread_is_a_dummy_until_named);
    tcase_add_test(tcase, names_do_not_tear);
    return support_run(suite);
}
