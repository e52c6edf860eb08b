/* Bounded text, names and UTF-8. */
#include "base/text.h"
#include "support/support.h"

#include <string.h>

#define A10  "aaaaaaaaaa"
#define A50  A10 A10 A10 A10 A10
#define A250 A50 A50 A50 A50 A50

static const char *const good_names[] = {
    "a",
    "flusher",
    "name with spaces",
    A250 "bbbbb",
    " ",
    "~",
    "\xc2\xa0",         /* U+00A0, just above C1 */
    "\xdf\xbf",         /* U+07FF */
    "\xe0\xa0\x80",     /* U+0800, the least of three bytes */
    "\xed\x9f\xbf",     /* U+D7FF, just below the surrogates */
    "\xee\x80\x80",     /* U+E000, just above */
    "\xef\xbf\xbf",     /* U+FFFF */
    "\xf0\x90\x80\x80", /* U+10000 */
    "\xf4\x8f\xbf\xbf", /* U+10FFFF, the last */
    "Stra\xc3\x9f",
};

START_TEST(good_names_have_no_fault)
{
    ck_assert_ptr_null(text_name_fault(good_names[_i]));
}

END_TEST

#define EMPTY   "a name is empty"
#define LONG    "a name is longer than 255 bytes"
#define BYTES   "a name is not UTF-8"
#define CONTROL "a name holds a control character"

static const struct {
    const char *name, *fault;
} bad_names[] = {
    {"", EMPTY},
    {A250 "bbbbbb", LONG},
    {A250 A250 "\n", LONG},
    {"\x01", CONTROL},
    {"a\nb", CONTROL},
    {"\x1f", CONTROL},
    {"\x1b[31m", CONTROL},
    {"a\x7f", CONTROL},
    {"\xc2\x80", CONTROL},
    {"a\xc2\x9fz", CONTROL},
    {"\x80", BYTES},             /* a continuation alone */
    {"\xbf", BYTES},             /* another */
    {"a\xc3", BYTES},            /* ends early */
    {"\xc3q", BYTES},            /* no continuation */
    {"\xe2\x82", BYTES},         /* ends early */
    {"\xe2\x82q", BYTES},        /* the third is none */
    {"\xf0\x9f\x98", BYTES},     /* ends early */
    {"\xf0\x9f\x98q", BYTES},    /* the fourth is none */
    {"\xc0\x80", BYTES},         /* overlong NUL */
    {"\xc0\xaf", BYTES},         /* overlong '/' */
    {"\xc1\xbf", BYTES},         /* overlong U+7F */
    {"\xe0\x80\xaf", BYTES},     /* overlong '/' in three */
    {"\xe0\x9f\xbf", BYTES},     /* overlong U+7FF */
    {"\xf0\x80\x80\xaf", BYTES}, /* overlong '/' in four */
    {"\xf0\x8f\xbf\xbf", BYTES}, /* overlong U+FFFF */
    {"\xed\xa0\x80", BYTES},     /* U+D800, a surrogate */
    {"\xed\xbf\xbf", BYTES},     /* U+DFFF, the last one */
    {"\xf4\x90\x80\x80", BYTES}, /* U+110000 */
    {"\xf5\x80\x80\x80", BYTES},
    {"\xf8\x88\x80\x80\x80", BYTES},     /* five bytes */
    {"\xfc\x84\x80\x80\x80\x80", BYTES}, /* six */
    {"\xfe", BYTES},
    {"\xff", BYTES},
};

START_TEST(bad_names_have_the_fault)
{
    ck_assert_pstr_eq(text_name_fault(bad_names[_i].name), bad_names[_i].fault);
}

END_TEST

/* By the definition: the encoding of each code point is the one good form. */
static size_t
encode(unsigned point, char *out)
{
    size_t length = point < 0x80      ? 1
                    : point < 0x800   ? 2
                    : point < 0x10000 ? 3
                                      : 4;
    static const unsigned char lead[] = {0, 0, 0xc0, 0xe0, 0xf0};

    for (size_t i = length; i-- > 1; point >>= 6)
        out[i] = (char)(0x80 | (point & 0x3f));
    out[0] = (char)(lead[length] | point);
    out[length] = '\0';
    return length;
}

START_TEST(every_code_point_is_judged)
{
    const unsigned step = 100 / scaled(100);

    for (unsigned point = 1; point < 0x110000; point += step) {
        const bool control = point < 0x20 || (point >= 0x7f && point < 0xa0);
        const bool surrogate = point >= 0xd800 && point < 0xe000;
        const char *expected = control ? CONTROL : surrogate ? BYTES : NULL;
        char text[5];

        encode(point, text);
        const char *fault = text_name_fault(text);
        if (fault != expected &&
            (!fault || !expected || strcmp(fault, expected) != 0))
            ck_abort_msg("U+%04X: %s", point, fault ? fault : "no fault");
    }
}

END_TEST

/* a, U+00E9, U+20AC, U+1F600, z: 1 + 2 + 3 + 4 + 1 bytes. */
#define MIXED "a\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80z"

START_TEST(a_cut_is_at_a_border)
{
    static const size_t cuts[] = {0, 1, 1, 3, 3, 3, 6, 6, 6, 6, 10, 11, 11};

    for (size_t room = 0; room < sizeof cuts / sizeof *cuts; room++)
        ck_assert_uint_eq(text_cut(MIXED, strlen(MIXED), room), cuts[room]);
    ck_assert_uint_eq(text_cut("", 0, 10), 0);
    ck_assert_uint_eq(text_cut(MIXED, strlen(MIXED), SIZE_MAX), strlen(MIXED));
}

END_TEST

START_TEST(a_cut_of_any_bytes_stays_inside)
{
    static const char bytes[] = "\x80\xbf\x80\xbf\x80\xff\xc3\xf0\xe2";

    for (size_t room = 0; room < sizeof bytes + 2; room++) {
        const size_t cut = text_cut(bytes, sizeof bytes - 1, room);

        ck_assert_uint_le(cut, room);
        ck_assert_uint_le(cut, sizeof bytes - 1);
    }
}

END_TEST

static const struct {
    const char *name, *kernel;
} kernel_names[] = {
    {"", ""},
    {"decoder", "decoder"},
    {"123456789012345", "123456789012345"},
    {"1234567890123456", "1234567~0123456"},
    {"picture-decoder-12", "picture~oder-12"},
    {"picture-decoder-13", "picture~oder-13"},
    {A250 "12345", "aaaaaaa~aa12345"},
    /* The tail would begin inside U+20AC; the head gets its bytes. */
    {"0123456789\xe2\x82\xac"
     "abcdef",
     "01234567~abcdef"},
    /* The head would end inside U+20AC. */
    {"012345\xe2\x82\xac"
     "89abcdefg",
     "012345~abcdefg"},
    {"\xf0\x9f\x98\x80\xf0\x9f\x98\x80\xf0\x9f\x98\x80\xf0\x9f\x98\x80",
     "\xf0\x9f\x98\x80\xf0\x9f\x98\x80~\xf0\x9f\x98\x80"},
};

START_TEST(the_kernel_gets_start_and_end)
{
    char kernel[TEXT_KERNEL];

    memset(kernel, 'x', sizeof kernel);
    text_kernel_name(kernel_names[_i].name, kernel);
    ck_assert_str_eq(kernel, kernel_names[_i].kernel);
    for (size_t i = strlen(kernel); i < sizeof kernel; i++)
        ck_assert_int_eq(kernel[i], 0);
}

END_TEST

/* Good names of every length, of characters of every length, give good kernel
 * names. */
START_TEST(kernel_names_are_good_names)
{
    for (unsigned shift = 0; shift < 4; shift++)
        for (size_t length = 1; length < TEXT_NAME; length++) {
            char name[TEXT_NAME + 8] = "", kernel[TEXT_KERNEL];

            for (unsigned k = shift; strlen(name) < length; k++)
                encode((unsigned[]){'a', 0xe9, 0x20ac, 0x1f600}[k % 4],
                       name + strlen(name));
            name[text_cut(name, strlen(name), TEXT_NAME - 1)] = '\0';
            text_kernel_name(name, kernel);
            ck_assert_ptr_null(text_name_fault(name));
            ck_assert_ptr_null(text_name_fault(kernel));
        }
}

END_TEST

static const struct {
    const char *before, *after;
} cleaned[] = {
    {"", ""},
    {"plain", "plain"},
    {"a\tb\nc", "a?b?c"},
    {"\x1b[31mred", "?[31mred"},
    {"a\x7f", "a?"},
    {"\xc2\x9b"
     "x",
     "??x"},
    {"Gr\xc3\xb6\xc3\x9f"
     "e",
     "Gr\xc3\xb6\xc3\x9f"
     "e"},
    {"\xc3", "?"},
    {"\xe2\x82", "??"},
    {"\xff"
     "a\x80",
     "?a?"},
    {"\xed\xa0\x80", "???"},
};

START_TEST(cleaned_text_can_be_printed)
{
    char text[32];

    strcpy(text, cleaned[_i].before);
    text_clean(text);
    ck_assert_str_eq(text, cleaned[_i].after);
}

END_TEST

START_TEST(cleaning_makes_any_bytes_a_name)
{
    unsigned random = 1;

    for (unsigned round = 0; round < scaled(20000); round++) {
        char text[16] = "";

        for (size_t i = 0; i < sizeof text - 1; i++) {
            random = random * 1664525 + 1013904223;
            text[i] = (char)(random >> 24);
        }
        text_clean(text);
        if (*text && text_name_fault(text))
            ck_abort_msg("round %u: %s", round, text_name_fault(text));
    }
}

END_TEST

START_TEST(text_grows_to_its_end)
{
    char buffer[8];
    struct text text = text_over(buffer, sizeof buffer);

    ck_assert_str_eq(buffer, "");
    text_add(&text, "%d", 12);
    text_add(&text, "%s", "");
    text_add(&text, "-%s", "34");
    ck_assert_str_eq(buffer, "12-34");
    ck_assert_uint_eq(text.used, 5);
    text_add(&text, "67");
    ck_assert_str_eq(buffer, "12-3467");
    text_add(&text, "8");
    text_add(&text, "%s", A250);
    ck_assert_str_eq(buffer, "12-3467");
    ck_assert_uint_eq(text.used, 7);
}

END_TEST

START_TEST(text_is_cut_at_a_border)
{
    for (size_t size = 1; size < sizeof MIXED + 2; size++) {
        char buffer[sizeof MIXED + 4];
        char guard = 'G';

        memset(buffer, guard, sizeof buffer);
        struct text text = text_over(buffer, size);
        text_add(&text, "%s", MIXED);
        ck_assert_uint_eq(text.used, text_cut(MIXED, strlen(MIXED), size - 1));
        ck_assert_uint_eq(strlen(buffer), text.used);
        ck_assert_int_eq(strncmp(buffer, MIXED, text.used), 0);
        for (size_t i = size; i < sizeof buffer; i++)
            ck_assert_int_eq(buffer[i], guard);
    }
}

END_TEST

START_TEST(no_room_takes_nothing)
{
    char byte = 'x';
    struct text text = text_over(&byte, 0);

    text_add(&text, "more");
    ck_assert_int_eq(byte, 'x');
    ck_assert_uint_eq(text.used, 0);
    text = text_over(NULL, 0);
    text_add(&text, "more");
    text = text_over(&byte, 1);
    text_add(&text, "more");
    ck_assert_int_eq(byte, '\0');
}

END_TEST

START_TEST(a_base_name_is_after_the_last_slash)
{
    ck_assert_str_eq(text_base_name("/usr/bin/weft"), "weft");
    ck_assert_str_eq(text_base_name("weft"), "weft");
    ck_assert_str_eq(text_base_name("./a/"), "");
    ck_assert_str_eq(text_base_name(""), "");
}

END_TEST

int
main(void)
{
    Suite *suite = suite_create("base/text");
    TCase *tcase = support_case(suite, "names", 10);

    support_add_table(tcase, good_names_have_no_fault, good_names);
    support_add_table(tcase, bad_names_have_the_fault, bad_names);
    tcase_add_test(tcase, every_code_point_is_judged);
    support_add_table(tcase, the_kernel_gets_start_and_end, kernel_names);
    tcase_add_test(tcase, kernel_names_are_good_names);
    tcase = support_case(suite, "text", 10);
    tcase_add_test(tcase, a_cut_is_at_a_border);
    tcase_add_test(tcase, a_cut_of_any_bytes_stays_inside);
    support_add_table(tcase, cleaned_text_can_be_printed, cleaned);
    tcase_add_test(tcase, cleaning_makes_any_bytes_a_name);
    tcase_add_test(tcase, text_grows_to_its_end);
    tcase_add_test(tcase, text_is_cut_at_a_border);
    tcase_add_test(tcase, no_room_takes_nothing);
    tcase_add_test(tcase, a_base_name_is_after_the_last_slash);
    return support_run(suite);
}
