/* Each text once, whatever the texts are. */
#include "support/support.h"
#include "trace/names.h"

#include <stdio.h>
#include <string.h>

static struct names names;

static void
setup(void)
{
    memset(&names, 0, sizeof names);
    ck_assert(names_begin(&names));
}

static void
teardown(void)
{
    names_end(&names);
}

static uint32_t
index_of(const char *text)
{
    uint32_t index = 0;

    ck_assert(names_add(&names, text, strlen(text), &index));
    ck_assert_str_eq(names.list[index], text);
    return index;
}

START_TEST(each_text_is_there_once)
{
    char text[16];

    for (uint32_t round = 0; round < 2; round++)
        for (uint32_t i = 0; i < 1000; i++) {
            snprintf(text, sizeof text, "name %u", i);
            ck_assert_uint_eq(index_of(text), i + 1);
        }
    ck_assert_uint_eq(names.count, 1001);
    ck_assert_uint_eq(index_of(""), 0);
}

END_TEST

/* Whichever one takes of each pair, and of the last one again and again, the
 * FNV-1a of it all has the same lower 51 bits. */
static const char *const same[][2] = {{"vammjvjjag", "paavppadvd"},
                                      {"vsgjavmdja", "pddvdspjga"},
                                      {"jgjpddpdja", "jamddavgga"}};

START_TEST(texts_made_to_collide_take_no_longer)
{
    enum {
        PARTS = 16,
        LENGTH = 10
    };

    for (unsigned i = 0; i < 1u << PARTS; i++) {
        char text[PARTS * LENGTH + 1] = "";

        for (unsigned k = 0; k < PARTS; k++)
            memcpy(text + (size_t)k * LENGTH, same[k < 2 ? k : 2][i >> k & 1],
                   LENGTH);
        index_of(text);
    }
    ck_assert_uint_eq(names.count, (1u << PARTS) + 1);
}

END_TEST

int
main(void)
{
    Suite *suite = suite_create("trace/names");
    TCase *tcase = support_case(suite, "names", 20);

    tcase_add_checked_fixture(tcase, setup, teardown);
    tcase_add_test(tcase, each_text_is_there_once);
    tcase_add_test(tcase, texts_made_to_collide_take_no_longer);
    return support_run(suite);
}
