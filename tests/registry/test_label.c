/* Names for objects. */
#include "os/os.h"
#include "registry/label.h"
#include "registry/registry.h"
#include "registry/self.h"
#include "support/support.h"

#include <weft/status.h>
#include <weft/worker.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void
has_label(const void *object, const char *expected)
{
    char found[TEXT_NAME] = "";

    ck_assert(label_find(object, found));
    ck_assert_str_eq(found, expected);
}

static bool
has_none(const void *object)
{
    char found[TEXT_NAME];

    return !label_find(object, found);
}

START_TEST(a_label_is_found)
{
    int one = 0, other = 0;

    ck_assert(has_none(&one));
    ck_assert_int_eq(weft_label(&one, "one"), 0);
    ck_assert_int_eq(weft_label(&other, "the other one"), 0);
    has_label(&one, "one");
    has_label(&other, "the other one");
}

END_TEST

START_TEST(a_label_can_be_changed)
{
    int object = 0;
    char name[TEXT_NAME];

    memset(name, 'x', sizeof name - 1);
    name[sizeof name - 1] = '\0';
    ck_assert_int_eq(weft_label(&object, "short"), 0);
    ck_assert_int_eq(weft_label(&object, name), 0);
    has_label(&object, name);
    ck_assert_int_eq(weft_label(&object, "short again"), 0);
    has_label(&object, "short again");
}

END_TEST

START_TEST(a_label_can_be_taken_away)
{
    int object = 0;

    ck_assert_int_eq(weft_label(&object, NULL), 0); /* it has none yet */
    ck_assert_int_eq(weft_label(&object, "there"), 0);
    ck_assert_int_eq(weft_label(&object, NULL), 0);
    ck_assert(has_none(&object));
    ck_assert_int_eq(weft_label(&object, NULL), 0);
    ck_assert_int_eq(weft_label(&object, "again"), 0);
    has_label(&object, "again");
}

END_TEST

START_TEST(bad_labels_are_refused)
{
    static const char *const bad[] = {"", "a\nb", "\xff", "\xc2\x85"};
    char name[TEXT_NAME + 1];
    int object = 0;

    memset(name, 'x', sizeof name - 1);
    name[sizeof name - 1] = '\0';
    ck_assert_int_eq(weft_label(&object, name), WEFT_EINVAL);
    ck_assert_str_eq(weft_why(), "weft_label: a name is longer than 255 bytes");
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        ck_assert_int_eq(weft_label(&object, bad[i]), WEFT_EINVAL);
    ck_assert_int_eq(weft_label(NULL, "x"), WEFT_EINVAL);
    ck_assert_str_eq(weft_why(), "weft_label: object is NULL");
    ck_assert(has_none(&object));
    ck_assert(has_none(NULL));
}

END_TEST

START_TEST(without_a_registry_there_are_no_labels)
{
    int object = 0;

    ck_assert_int_eq(setenv("WEFT_REGISTRY", "/no/such/directory/file", 1), 0);
    ck_assert_int_eq(weft_label(&object, "x"), WEFT_ENOMEM);
    ck_assert_str_eq(weft_why(), "weft_label: there is no registry");
    ck_assert(has_none(&object));
}

END_TEST

static const void *
object_at(size_t i)
{
    return (const void *)(uintptr_t)(0x10000 + i * 48);
}

static void
label_range(unsigned from, unsigned to)
{
    for (unsigned i = from; i < to; i++) {
        char name[32];

        snprintf(name, sizeof name, "object %u", i);
        const int status = weft_label(object_at(i), name);
        if (status < 0)
            ck_abort_msg("object %u: %s", i, weft_why());
    }
}

START_TEST(all_labels_can_be_used)
{
    const unsigned count =
        scaled(LABEL_MOST) < LABEL_MOST ? scaled(LABEL_MOST) : LABEL_MOST;

    label_range(0, count);
    for (unsigned i = 0; i < count; i++) {
        char name[32], found[TEXT_NAME];

        snprintf(name, sizeof name, "object %u", i);
        if (!label_find(object_at(i), found) || strcmp(name, found) != 0)
            ck_abort_msg("object %u has another label", i);
    }
    if (count < LABEL_MOST)
        return;
    ck_assert_int_eq(weft_label(object_at(count), "one more"), WEFT_EAGAIN);
    ck_assert_str_eq(weft_why(), "all 65536 labels are taken");
    ck_assert_int_eq(weft_label(object_at(0), "changed"), 0);
    has_label(object_at(0), "changed");
}

END_TEST

/* One at a time, of ever new objects, as a program labels its requests. */
START_TEST(labels_taken_away_serve_others)
{
    for (unsigned i = 0; i < scaled(3 * LABEL_MOST); i++) {
        if (weft_label(object_at(i), "passes") < 0)
            ck_abort_msg("object %u: %s", i, weft_why());
        if (weft_label(object_at(i), NULL) < 0)
            ck_abort_msg("object %u: %s", i, weft_why());
    }
}

END_TEST

enum {
    WRITERS = 4,
    OBJECTS = 64
};

static char objects[OBJECTS];
static atomic_bool stop;
static _Atomic unsigned wrong;

/* Names of one letter each, so that a torn one is seen. */
static void *
write_labels(void *number)
{
    const int letter = 'a' + *(const int *)number;
    char name[201] = "";

    memset(name, letter, sizeof name - 1);
    for (unsigned i = 0; i < scaled(200000); i++) {
        const char *object = &objects[(i * 7 + (unsigned)letter) % OBJECTS];

        if (weft_label(object, i % 5 ? name : NULL) < 0)
            wrong++;
    }
    return NULL;
}

static void *
read_labels(void *unused)
{
    char name[TEXT_NAME];

    (void)unused;
    for (unsigned i = 0; !atomic_load(&stop); i++) {
        if (!label_find(&objects[i % OBJECTS], name))
            continue;
        if (strlen(name) != 200 || strspn(name, (char[]){name[0], 0}) != 200)
            wrong++;
    }
    return NULL;
}

START_TEST(labels_can_be_written_at_once)
{
    pthread_t writers[WRITERS];
    int numbers[WRITERS];

    self_open();
    const pthread_t reader = support_thread(read_labels, NULL);

    for (int i = 0; i < WRITERS; i++) {
        numbers[i] = i;
        writers[i] = support_thread(write_labels, &numbers[i]);
    }
    for (int i = 0; i < WRITERS; i++)
        support_join(writers[i]);
    atomic_store(&stop, true);
    support_join(reader);
    ck_assert_uint_eq(wrong, 0);
}

END_TEST

static void *
label_own(void *number)
{
    const int mine = *(const int *)number;
    char name[32];

    for (unsigned i = 0; i < scaled(8000); i++) {
        snprintf(name, sizeof name, "object %u", i * WRITERS + (unsigned)mine);
        if (weft_label(object_at(i * WRITERS + (unsigned)mine), name) < 0)
            wrong++;
    }
    return NULL;
}

START_TEST(no_label_is_lost_to_another_writer)
{
    pthread_t writers[WRITERS];
    int numbers[WRITERS];

    for (int i = 0; i < WRITERS; i++) {
        numbers[i] = i;
        writers[i] = support_thread(label_own, &numbers[i]);
    }
    for (int i = 0; i < WRITERS; i++)
        support_join(writers[i]);
    ck_assert_uint_eq(wrong, 0);
    for (unsigned i = 0; i < scaled(8000) * WRITERS; i++) {
        char name[32], found[TEXT_NAME] = "";

        snprintf(name, sizeof name, "object %u", i);
        if (!label_find(object_at(i), found) || strcmp(name, found) != 0)
            ck_abort_msg("object %u: '%s'", i, found);
    }
}

END_TEST

static void
label_in_worker(int parent)
{
    self_forked("Worker", parent);
    child_expect(has_none(object_at(1)));
    child_expect(weft_label(object_at(1), "the worker's") == 0);
    os_exit_now(0);
}

START_TEST(a_worker_has_its_own_labels)
{
    const int parent = weft_self()->tid;

    ck_assert_int_eq(weft_label(object_at(1), "the parent's"), 0);
    const int pid = os_clone(0, NULL);

    if (pid == 0)
        label_in_worker(parent);
    ck_assert_int_eq(support_reap(pid), 0);
    has_label(object_at(1), "the parent's");
    /* Each has a page of labels of its own. */
    ck_assert_uint_eq(registry_label_owners()[0], (uint32_t)os_process_id());
    ck_assert_uint_eq(registry_label_owners()[1], (uint32_t)pid);
}

END_TEST

int
main(void)
{
    Suite *suite = suite_create("registry/label");
    TCase *tcase = support_case(suite, "labels", 20);

    tcase_add_test(tcase, a_label_is_found);
    tcase_add_test(tcase, a_label_can_be_changed);
    tcase_add_test(tcase, a_label_can_be_taken_away);
    tcase_add_test(tcase, bad_labels_are_refused);
    tcase_add_test(tcase, without_a_registry_there_are_no_labels);
    tcase_add_test(tcase, all_labels_can_be_used);
    tcase_add_test(tcase, labels_taken_away_serve_others);
    tcase_add_test(tcase, labels_can_be_written_at_once);
    tcase_add_test(tcase, no_label_is_lost_to_another_writer);
    tcase_add_test(tcase, a_worker_has_its_own_labels);
    return support_run(suite);
}
