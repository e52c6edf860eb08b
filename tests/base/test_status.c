/* The texts of status codes. */
#include "support/support.h"

#include <weft/status.h>

#include <errno.h>
#include <string.h>

START_TEST(every_code_has_its_text)
{
#define EXPECT(name, code, text)           \
    ck_assert_int_eq(WEFT_##name, (code)); \
    ck_assert_str_eq(weft_status_text(code), (text));
    WEFT_STATUS_MAP(EXPECT)
#undef EXPECT
}

END_TEST

START_TEST(other_codes_are_unknown)
{
    static const int codes[] = {2, -2, -999, -1000, -1007, INT32_MIN};

    for (size_t i = 0; i < sizeof codes / sizeof *codes; i++)
        ck_assert_str_eq(weft_status_text(codes[i]), "unknown status");
}

END_TEST

START_TEST(no_two_codes_share_code_or_text)
{
    static const struct {
        int code;
        const char *text;
    } all[] = {

#define ENTRY(name, code, text) {code, text},
        WEFT_STATUS_MAP(ENTRY)
#undef ENTRY
    };

    for (size_t i = 0; i < sizeof all / sizeof *all; i++)
        for (size_t k = 0; k < i; k++) {
            ck_assert_int_ne(all[i].code, all[k].code);
            ck_assert_str_ne(all[i].text, all[k].text);
        }
}

END_TEST

START_TEST(codes_are_the_systems_own)
{
    ck_assert_int_eq(WEFT_EPERM, -EPERM);
    ck_assert_int_eq(WEFT_ESRCH, -ESRCH);
    ck_assert_int_eq(WEFT_EAGAIN, -EAGAIN);
    ck_assert_int_eq(WEFT_ENOMEM, -ENOMEM);
    ck_assert_int_eq(WEFT_EBUSY, -EBUSY);
    ck_assert_int_eq(WEFT_EINVAL, -EINVAL);
    ck_assert_int_eq(WEFT_EPIPE, -EPIPE);
    ck_assert_int_eq(WEFT_EDEADLK, -EDEADLK);
    ck_assert_int_eq(WEFT_ENOSYS, -ENOSYS);
    ck_assert_int_eq(WEFT_ENODATA, -ENODATA);
    ck_assert_int_eq(WEFT_EOVERFLOW, -EOVERFLOW);
    ck_assert_int_eq(WEFT_EMSGSIZE, -EMSGSIZE);
    ck_assert_int_eq(WEFT_ENOTSUP, -ENOTSUP);
    ck_assert_int_eq(WEFT_ETIMEDOUT, -ETIMEDOUT);
    ck_assert_int_eq(WEFT_ESTALE, -ESTALE);
    ck_assert_int_eq(WEFT_ECANCELED, -ECANCELED);
}

END_TEST

int
main(void)
{
    Suite *suite = suite_create("base/status");
    TCase *tcase = support_case(suite, "texts", 5);

    tcase_add_test(tcase, every_code_has_its_text);
    tcase_add_test(tcase, other_codes_are_unknown);
    tcase_add_test(tcase, no_two_codes_share_code_or_text);
    tcase_add_test(tcase, codes_are_the_systems_own);
    return support_run(suite);
}
