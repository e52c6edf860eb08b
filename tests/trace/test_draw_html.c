/* The page, as a reader uses it: looked at in Chromium. */
#include "support/browser_support.h"
#include "support/picture_support.h"
#include "support/support.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    WIDE = 1200,
    HIGH = 800
};

/* Opens the page of up to two recordings, which are freed. */
static void
open_page(struct browser *browser, weft_recording *one, weft_recording *other)
{
    weft_recording *both[] = {one, other};
    char *html = picture_of(draw_html, both, other ? 2 : 1);

    ck_assert_uint_eq(picture_count(html, "http"), 1); /* http-equiv */
    ck_assert_uint_eq(picture_count(html, "</script>"), 2);
    browser_open(browser, html, WIDE, HIGH);
    recording_free(one);
    if (other)
        recording_free(other);
    free(html);
}

#define VIEW_LENGTH "view.to - view.from"
#define TIP         "document.getElementById('tip').textContent"
#define DETAIL      "document.getElementById('detail').textContent"
#define RANGE       "document.getElementById('range').textContent"
#define FOUND       "document.getElementById('found').value"
#define THEME       "document.documentElement.dataset.theme"

/* Where in the window the middle of a bar is; `bar` counts in row 0. */
static void
find_bar(struct browser *browser, unsigned lane, unsigned bar, double *x,
         double *y)
{
    char expression[512];

    snprintf(expression, sizeof expression,
             "(() => { const bar = allLanes[%u].rowsOfBars[0].bars[%u];"
             "return xOf((bar.begin + bar.end) / 2); })()",
             lane, bar);
    *x = browser_number(browser, expression);
    snprintf(expression, sizeof expression,
             "canvas.getBoundingClientRect().top + AXIS - stage.scrollTop + "
             "bandOf(allLanes[%u]).y + 8",
             lane);
    *y = browser_number(browser, expression);
}

START_TEST(a_page_shows_what_was_recorded)
{
    struct browser browser;
    size_t size;

    open_page(&browser, recording_on_one(), recording_on_two());
    ck_assert_str_eq(browser_ask(&browser, "document.title"),
                     "weft timeline: ./render --workers 2");
    const char *cards =
        browser_ask(&browser, "document.getElementById('cards').textContent");

    ck_assert_ptr_nonnull(strstr(cards, "CONCURRENT, NOT PARALLEL"));
    ck_assert_ptr_nonnull(strstr(cards, "CONCURRENT AND PARALLEL"));
    ck_assert_ptr_nonnull(strstr(cards, "work (T1)"));
    ck_assert_ptr_nonnull(strstr(browser_ask(&browser, RANGE), "of 60.1 ms"));
    ck_assert_double_eq_tol(browser_number(&browser, VIEW_LENGTH), 60.1e6, 1);
    /* One scale: the shorter ends where it should. */
    ck_assert_double_eq_tol(browser_number(&browser,
                                           "(xOf(recordings[1].wall) - LEFT) / "
                                           "(xOf(recordings[0].wall) - LEFT)"),
                            42.1 / 60.1, .001);
    ck_assert_double_eq(browser_number(&browser, "performance.getEntriesByType("
                                                 "'resource').length"),
                        0);
    browser_look(&browser, &size);
    ck_assert_uint_gt(size, 20000);
    browser_close(&browser);
}

END_TEST

/* The colour of a pixel of the canvas, as "r,g,b". */
static void
pixel(struct browser *browser, double x, double y, char out[32])
{
    char expression[256];

    snprintf(expression, sizeof expression,
             "pen.getImageData(%.0f, %.0f - canvas.getBoundingClientRect().top,"
             " 1, 1).data.slice(0, 3).join()",
             x, y);
    snprintf(out, 32, "%s", browser_ask(browser, expression));
}

START_TEST(on_a_cpu_is_solid_and_off_is_pale)
{
    struct browser browser;
    char colour[32];
    double x, y;

    open_page(&browser, recording_on_one(), NULL);
    /* In the middle of tile 5 its worker is on the CPU, and 2.6 ms before and
     * 5.2 ms later the other one is. */
    find_bar(&browser, 1, 2, &x, &y);
    const double apart = browser_number(&browser, "xOf(2.6e6) - xOf(0)");

    pixel(&browser, x, y + 28, colour);
    ck_assert_str_eq(colour, "230,159,0");
    pixel(&browser, x - apart, y + 28, colour);
    ck_assert_str_ne(colour, "230,159,0");
    pixel(&browser, x + 2 * apart, y + 28, colour);
    ck_assert_str_ne(colour, "230,159,0");
    browser_close(&browser);
}

END_TEST

START_TEST(pointing_tells_of_a_task)
{
    struct browser browser;
    double x, y;

    open_page(&browser, recording_on_one(), NULL);
    find_bar(&browser, 1, 1, &x, &y);
    browser_point(&browser, x, y);
    ck_assert_str_eq(browser_ask(&browser, TIP),
                     "tile 2\n21.3 ms in progress, 9.30 ms on a CPU\n"
                     "from 15.20 ms to 36.50 ms\nworker render-1");
    ck_assert_str_eq(browser_ask(&browser, "tip.hidden"), "false");
    browser_point(&browser, x, y - 300);
    ck_assert_str_eq(browser_ask(&browser, "tip.hidden"), "true");
    browser_close(&browser);
}

END_TEST

START_TEST(the_wheel_zooms_around_the_pointer)
{
    struct browser browser;
    double x, y;
    size_t size;
    char expression[64];

    open_page(&browser, recording_on_one(), NULL);
    find_bar(&browser, 0, 1, &x, &y);
    snprintf(expression, sizeof expression, "timeAt(%.1f)", x);
    const double before = browser_number(&browser, expression);
    const unsigned look = browser_look(&browser, &size);

    browser_wheel(&browser, x, y, -240);
    ck_assert_double_eq_tol(browser_number(&browser, VIEW_LENGTH),
                            60.1e6 * .5488, 60.1e6 * .001);
    ck_assert_double_eq_tol(browser_number(&browser, expression), before,
                            6e4); /* a pixel */
    ck_assert_uint_ne(browser_look(&browser, &size), look);
    browser_wheel(&browser, x, y, 240);
    browser_wheel(&browser, x, y, 240);
    ck_assert_double_eq_tol(browser_number(&browser, VIEW_LENGTH), 60.1e6, 1);
    browser_close(&browser);
}

END_TEST

START_TEST(dragging_moves)
{
    struct browser browser;

    open_page(&browser, recording_on_one(), NULL);
    browser_key(&browser, "+");
    browser_key(&browser, "+");
    const double from = browser_number(&browser, "view.from");
    const double length = browser_number(&browser, VIEW_LENGTH);
    const double middle =
        browser_number(&browser, "canvas.getBoundingClientRect().top + 100");

    ck_assert_double_eq_tol(length, 60.1e6 * .36, 1);
    browser_drag(&browser, 600, middle, 500);
    ck_assert_double_eq_tol(browser_number(&browser, "view.from"),
                            from + length * 100 / 1030, length * .01);
    for (unsigned i = 0; i < 8; i++)
        browser_key(&browser, "ArrowLeft");
    ck_assert_double_eq(browser_number(&browser, "view.from"), 0);
    browser_key(&browser, "0");
    ck_assert_double_eq_tol(browser_number(&browser, VIEW_LENGTH), 60.1e6, 1);
    browser_close(&browser);
}

END_TEST

START_TEST(a_task_is_found_by_its_name)
{
    struct browser browser;

    open_page(&browser, recording_on_one(), recording_on_two());
    browser_key(&browser, "/");
    browser_type(&browser, "TILE");
    ck_assert_str_eq(browser_ask(&browser, FOUND), "12");
    browser_key(&browser, "Enter");
    ck_assert_str_eq(browser_ask(&browser, FOUND), "1 of 12");
    const char *detail = browser_ask(&browser, DETAIL);

    ck_assert_ptr_eq(strstr(detail, "tile 0"), detail);
    ck_assert_str_eq(browser_ask(&browser, "view.chosen.bar.begin"), "5100000");
    browser_key(&browser, "Enter");
    ck_assert_str_eq(browser_ask(&browser, FOUND), "2 of 12");
    browser_ask(&browser, "document.getElementById('before').click()");
    ck_assert_str_eq(browser_ask(&browser, FOUND), "1 of 12");
    browser_type(&browser, " is none");
    ck_assert_str_eq(browser_ask(&browser, FOUND), "none");
    browser_key(&browser, "Escape");
    ck_assert_str_eq(browser_ask(&browser, FOUND), "");
    browser_close(&browser);
}

END_TEST

START_TEST(keys_go_from_task_to_task)
{
    struct browser browser;
    double x, y;

    open_page(&browser, recording_on_one(), NULL);
    browser_key(&browser, ".");
    ck_assert_ptr_nonnull(strstr(browser_ask(&browser, DETAIL), "load"));
    browser_key(&browser, ".");
    ck_assert_ptr_nonnull(strstr(browser_ask(&browser, DETAIL), "tile 1"));
    browser_key(&browser, "j");
    ck_assert_ptr_nonnull(strstr(browser_ask(&browser, DETAIL), "tile 0"));
    browser_key(&browser, "Enter");
    ck_assert_double_eq_tol(browser_number(&browser, VIEW_LENGTH), 10.1e6 * 1.6,
                            1);
    browser_key(&browser, "Escape");
    ck_assert_str_eq(browser_ask(&browser, DETAIL), "");
    browser_key(&browser, "0");
    find_bar(&browser, 0, 3, &x, &y);
    browser_click(&browser, x, y);
    ck_assert_ptr_nonnull(strstr(browser_ask(&browser, DETAIL), "tile 4"));
    browser_key(&browser, "?");
    ck_assert_str_eq(
        browser_ask(&browser, "document.getElementById('help').open"), "true");
    browser_close(&browser);
}

END_TEST

START_TEST(light_and_dark)
{
    struct browser browser;
    size_t size;

    open_page(&browser, recording_rich(), NULL);
    ck_assert_str_eq(browser_ask(&browser, THEME), "light");
    const unsigned light = browser_look(&browser, &size);

    browser_key(&browser, "t");
    ck_assert_str_eq(browser_ask(&browser, THEME), "dark");
    const unsigned dark = browser_look(&browser, &size);

    ck_assert_uint_ne(light, dark);
    browser_key(&browser, "t");
    ck_assert_uint_eq(browser_look(&browser, &size), light);
    browser_prefer(&browser, "dark");
    ck_assert_str_eq(browser_ask(&browser, THEME), "dark");
    ck_assert_uint_eq(browser_look(&browser, &size), dark);
    browser_close(&browser);
}

END_TEST

START_TEST(forged_names_do_nothing)
{
    static const char name[] = "</script><script>forged = 1</script>"
                               "<img src=x onerror='forged = 1'>";
    weft_recording *made = recording_new(1);
    struct browser browser;
    double x, y;

    made->program = name;
    free((char *)made->workers[0].name);
    made->workers[0].name = strdup(name);
    recording_task(made, 0, name, 0, 100);
    recording_counter(made, name, 50, INT64_MAX);
    recording_end(made, 100, 1);
    open_page(&browser, made, NULL);
    find_bar(&browser, 0, 0, &x, &y);
    browser_point(&browser, x, y);
    const char *tip = browser_ask(&browser, TIP);

    ck_assert_ptr_eq(strstr(tip, name), tip);
    ck_assert_str_eq(browser_ask(&browser, "typeof forged"), "undefined");
    ck_assert_str_eq(
        browser_ask(&browser, "document.querySelectorAll('img').length"), "0");
    browser_close(&browser);
}

END_TEST

START_TEST(nothing_is_a_page_too)
{
    weft_recording *made = recording_new(1);
    struct browser browser;

    recording_end(made, 0, 1);
    open_page(&browser, made, NULL);
    browser_key(&browser, ".");
    browser_key(&browser, "+");
    ck_assert_str_eq(browser_ask(&browser, DETAIL), "");
    browser_close(&browser);
}

END_TEST

/* A million tasks: all of it is there, and a frame takes its time in
 * milliseconds, not in seconds. */
START_TEST(a_crowd_can_be_used)
{
    struct browser browser;
    double x, y;

    open_page(&browser, recording_crowd(16, 1000000), NULL);
    ck_assert_double_eq(
        browser_number(&browser,
                       "allLanes.flatMap(lane => lane.rowsOfBars[0].bars)"
                       ".reduce((sum, bar) => sum + bar.count, 0)"),
        1000000);
    ck_assert_double_le(browser_number(&browser,
                                       "allLanes.reduce((sum, lane) => sum + "
                                       "lane.rowsOfBars[0].bars.length, 0)"),
                        60000);
    browser_key(&browser, "/");
    browser_type(&browser, "long");
    ck_assert_double_ge(browser_number(&browser, "found.length"), 900);
    browser_key(&browser, "Enter");
    ck_assert_ptr_nonnull(strstr(browser_ask(&browser, DETAIL), "long"));
    ck_assert_double_lt(
        browser_number(&browser,
                       "(() => { showAll(); const begin = "
                       "performance.now(); draw(); draw(); draw(); "
                       "return (performance.now() - begin) / 3; })()"),
        (double)patient(500));
    browser_ask(&browser, "stage.scrollTop = 0");
    find_bar(&browser, 0, 100, &x, &y);
    browser_wheel(&browser, x, y, -240);
    browser_point(&browser, x, y);
    ck_assert_ptr_nonnull(strstr(browser_ask(&browser, TIP), "worker render-"));
    browser_close(&browser);
}

END_TEST

int
main(void)
{
    Suite *suite = suite_create("trace/draw_html");
    TCase *tcase = support_case(suite, "page", 60);

    if (!browser_is_installed() || support_is_checked()) {
        puts(support_is_checked() ? "not under a checker: that is a browser"
                                  : "chromium is not installed");
        srunner_free(srunner_create(suite));
        return 77;
    }
    tcase_add_test(tcase, a_page_shows_what_was_recorded);
    tcase_add_test(tcase, on_a_cpu_is_solid_and_off_is_pale);
    tcase_add_test(tcase, pointing_tells_of_a_task);
    tcase_add_test(tcase, the_wheel_zooms_around_the_pointer);
    tcase_add_test(tcase, dragging_moves);
    tcase_add_test(tcase, a_task_is_found_by_its_name);
    tcase_add_test(tcase, keys_go_from_task_to_task);
    tcase_add_test(tcase, light_and_dark);
    tcase_add_test(tcase, forged_names_do_nothing);
    tcase_add_test(tcase, nothing_is_a_page_too);
    tcase_add_test(tcase, a_crowd_can_be_used);
    return support_run(suite);
}
