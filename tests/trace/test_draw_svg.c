/* The picture: it is valid, without script, complete, and small. */
#include "support/picture_support.h"
#include "support/support.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Of one recording, which is freed. Where xmllint is, it has its say. */
static char *
drawn(weft_recording *recording)
{
    char *svg = picture_of(draw_svg, &recording, 1);

    recording_free(recording);
    return svg;
}

static void
check_valid(const char *svg)
{
    char directory[64], command[160];

    ck_assert_uint_eq(picture_count(svg, "<script"), 0);
    ck_assert_uint_eq(picture_count(svg, "nan"), 0);
    ck_assert_uint_eq(picture_count(svg, "inf\""), 0);
    ck_assert_uint_eq(picture_count(svg, "=\"-"), 0);
    ck_assert_ptr_eq(strstr(svg, "<svg xmlns="), svg);
    ck_assert_str_eq(svg + strlen(svg) - 7, "</svg>\n");
    if (!picture_tool("xmllint"))
        return;
    support_directory(directory);
    support_write(directory, "picture.svg", svg);
    snprintf(command, sizeof command, "xmllint --noout --nonet %s/picture.svg",
             directory);
    ck_assert_int_eq(system(command), 0);
    support_remove(directory);
}

START_TEST(nine_tasks_are_nine_bars)
{
    char *svg = drawn(recording_on_one());

    check_valid(svg);
    ck_assert_uint_eq(picture_count(svg, "<rect class=\"b\""), 9);
    ck_assert_uint_eq(picture_count(svg, "\"><title>tile "), 6);
    ck_assert_uint_eq(picture_count(svg, ">CONCURRENT, NOT PARALLEL<"), 1);
    ck_assert_uint_eq(picture_count(svg, ">2 workers, 1 CPU<"), 1);
    ck_assert_uint_eq(picture_count(svg, ">render-0<"), 1);
    ck_assert_uint_eq(picture_count(svg, ">render-1<"), 1);
    ck_assert_uint_eq(picture_count(svg, ">CPU 1<"), 1);
    ck_assert_ptr_nonnull(strstr(svg, "<title>tile 4\n17.0 ms in progress, "
                                      "9.00 ms on a CPU, from 34.0 ms on\n"
                                      "worker render-0</title>"));
    ck_assert_uint_lt(strlen(svg), 30000);
    free(svg);
}

END_TEST

/* Where the n-th end of a recording is drawn. */
static double
end_of(const char *svg, unsigned n)
{
    const char *at = svg;
    double x = 0;

    for (unsigned i = 0; i <= n; i++) {
        at = strstr(at + 1, "<path class=\"end\" d=\"M");
        ck_assert_ptr_nonnull(at);
    }
    ck_assert_int_eq(sscanf(at, "<path class=\"end\" d=\"M%lf", &x), 1);
    return x;
}

START_TEST(two_recordings_have_one_scale)
{
    weft_recording *both[] = {recording_on_one(), recording_on_two()};
    char *svg = picture_of(draw_svg, both, 2);

    check_valid(svg);
    ck_assert_uint_eq(picture_count(svg, "<rect class=\"b\""), 18);
    ck_assert_uint_eq(picture_count(svg, ">CONCURRENT, NOT PARALLEL<"), 1);
    ck_assert_uint_eq(picture_count(svg, ">CONCURRENT AND PARALLEL<"), 1);
    const double first = end_of(svg, 0) - 150, second = end_of(svg, 1) - 150;

    ck_assert_double_eq_tol(first, 760, .1);
    ck_assert_double_eq_tol(second / first, 42.1 / 60.1, .001);
    ck_assert_uint_lt(strlen(svg), 40000);
    free(svg);
    recording_free(both[0]);
    recording_free(both[1]);
}

END_TEST

START_TEST(all_that_there_is_is_shown)
{
    weft_recording *made = recording_rich();
    const uint32_t innermost = recording_name(made, "innermost");
    unsigned count = 0;

    for (uint32_t i = 0; i < made->task_count; i++)
        count += made->tasks[i].name == innermost;
    char *svg = drawn(made);

    check_valid(svg);
    ck_assert_uint_ge(picture_count(svg, "<rect class=\"b u\""), 3);
    ck_assert_uint_ge(picture_count(svg, "did not end\n"), 3);
    ck_assert_uint_ge(picture_count(svg, "ended with a failure</title>") +
                          picture_count(svg, "ended with a failure\n"),
                      4);
    ck_assert_uint_eq(picture_count(svg, "<rect class=\"sp\""), 16);
    ck_assert_uint_eq(picture_count(svg, "<title>span decode: 7.00 ms"), 8);
    ck_assert_uint_eq(picture_count(svg, "<title>checkpoint = "), 6);
    ck_assert_uint_eq(picture_count(svg, ">queue length<"), 1);
    ck_assert_uint_eq(picture_count(svg, "<path class=\"cnt\""), 1);
    ck_assert_uint_eq(picture_count(svg, "<path class=\"lock w\""), 6);
    ck_assert_uint_eq(picture_count(svg, "<title>innermost\n"), count);
    ck_assert_uint_eq(picture_count(svg, ">waiting for a lock<"), 1);
    ck_assert_uint_eq(picture_count(svg, ">task waits for a lock<"), 1);
    ck_assert_uint_eq(picture_count(svg, ">mark<"), 1);
    free(svg);
}

END_TEST

START_TEST(the_legend_says_no_more_than_there_is)
{
    weft_recording *made = recording_on_two();

    /* Outside of the tasks. */
    recording_wait(made, 1, 1000, 2000, true);
    char *svg = drawn(made);

    ck_assert_uint_eq(picture_count(svg, ">idle: no task<"), 1);
    ck_assert_uint_eq(picture_count(svg, ">task waits for a lock<"), 0);
    ck_assert_uint_eq(picture_count(svg, ">did not end<"), 0);
    ck_assert_uint_eq(picture_count(svg, ">mark<"), 0);
    free(svg);
}

END_TEST

static const struct {
    const char *name, *shown;
} forged[] = {
    {"<script>alert(1)</script>", "&lt;script&gt;alert(1)&lt;/script&gt;"},
    {"]]></title></svg>", "]]&gt;&lt;/title&gt;&lt;/svg&gt;"},
    {"a & b &lt;", "a &amp; b &amp;lt;"},
    {"\" onload=\"alert(1)", "&quot; onload=&quot;alert(1)"},
    {"' x='", "&#39; x=&#39;"},
    {"<!-- ", "&lt;!-- "},
    {"%s%n%d", "%s%n%d"},
    {"\xef\xbf\xbf\xef\xbf\xbe", "??"}, /* no characters of XML */
    {"\xf0\x9f\x98\x80 \xe2\x80\xae", "\xf0\x9f\x98\x80 \xe2\x80\xae"},
};

START_TEST(forged_names_are_only_text)
{
    weft_recording *made = recording_new(1);
    const char *name = forged[_i].name;

    made->program = name;
    free((char *)made->workers[0].name);
    made->workers[0].name = strdup(name);
    recording_task(made, 0, name, 0, 100);
    recording_run(made, 0, 0, 0, 100);
    recording_span(made, 0, name, 10, 90);
    recording_mark(made, 0, name, 50, INT64_MIN);
    recording_counter(made, name, 50, INT64_MAX);
    recording_wait(made, 0, 20, 30, true)->name = recording_name(made, name);
    recording_end(made, 100, 1);
    char *svg = drawn(made);

    check_valid(svg);
    ck_assert_uint_ge(picture_count(svg, forged[_i].shown), 5);
    ck_assert_uint_eq(picture_count(svg, "<svg"), 1);
    ck_assert_uint_eq(picture_count(svg, "</svg>"), 1);
    free(svg);
}

END_TEST

START_TEST(a_long_name_is_cut_and_can_be_hovered)
{
    char name[256];
    weft_recording *made = recording_new(1);

    memset(name, 'n', sizeof name - 1);
    name[sizeof name - 1] = '\0';
    free((char *)made->workers[0].name);
    made->workers[0].name = strdup(name);
    recording_task(made, 0, name, 0, 100);
    recording_end(made, 100, 1);
    char *svg = drawn(made);

    check_valid(svg);
    ck_assert_uint_eq(picture_count(svg, name), 1);
    free(svg);
}

END_TEST

START_TEST(no_task_is_a_picture_too)
{
    weft_recording *made = recording_new((unsigned)_i);

    recording_end(made, 100.0 * _i, 2);
    char *svg = drawn(made);

    check_valid(svg);
    ck_assert_uint_eq(picture_count(svg, "<rect class=\"b\""), 0);
    ck_assert_uint_eq(picture_count(svg, ">NOT CONCURRENT<"), 1);
    ck_assert_uint_eq(picture_count(svg, ">0 workers, 2 CPUs<"), 1);
    free(svg);
}

END_TEST

/* Of no length at all; of one nanosecond; of a century. */
static const double lengths[] = {0, .001, 3e15};

START_TEST(one_task_of_any_length)
{
    weft_recording *made = recording_new(1);

    recording_task(made, 0, "only", 0, lengths[_i]);
    recording_run(made, 0, 0, 0, lengths[_i]);
    recording_end(made, lengths[_i], 1);
    char *svg = drawn(made);

    check_valid(svg);
    ck_assert_uint_eq(picture_count(svg, "<title>only\n"), 1);
    ck_assert_uint_eq(picture_count(svg, ">1 worker, 1 CPU<"), 1);
    free(svg);
}

END_TEST

START_TEST(a_thousand_workers_have_sixteen_lanes)
{
    char *svg = drawn(recording_crowd(1000, 5000));

    check_valid(svg);
    ck_assert_uint_eq(picture_count(svg, "<text class=\"name\""), 16 + 1);
    ck_assert_uint_eq(picture_count(svg, ">and 984 more workers,"), 1);
    ck_assert_uint_eq(picture_count(svg, ">1000 workers, 4 CPUs<"), 1);
    ck_assert_uint_lt(strlen(svg), 200000);
    free(svg);
}

END_TEST

/* The tasks that the titles of all bars speak of. */
static unsigned
tasks_in(const char *svg, unsigned *bars)
{
    static const char *const classes[] = {"<rect class=\"b\"",
                                          "<rect class=\"m\""};
    unsigned tasks = 0;

    *bars = 0;
    for (size_t i = 0; i < 2; i++)
        for (const char *at = svg; (at = strstr(at, classes[i])); at++) {
            const char *title = strstr(at, "<title>");
            unsigned count = 1;
            char word[8];

            ck_assert_ptr_nonnull(title);
            if (sscanf(title, "<title>%u %5[tasks]:", &count, word) < 2)
                count = 1;
            tasks += count;
            ++*bars;
        }
    return tasks;
}

START_TEST(many_tasks_are_merged)
{
    weft_recording *made = recording_crowd(4, 200000);
    const uint32_t count = made->task_count;
    char *svg = drawn(made);
    unsigned bars;

    check_valid(svg);
    ck_assert_uint_eq(tasks_in(svg, &bars), count);
    ck_assert_uint_le(bars, 2000);
    ck_assert_uint_gt(bars, 500);
    ck_assert_uint_eq(picture_count(svg, ">short tasks in one: as high"), 1);
    ck_assert_uint_lt(strlen(svg), 500000);
    free(svg);
}

END_TEST

START_TEST(what_is_wrong_is_said)
{
    weft_recording *made = recording_on_one();

    made->estimated = made->cut = made->killed = true;
    made->damage = "it ends <early>";
    made->lost = 12;
    char *svg = drawn(made);

    check_valid(svg);
    ck_assert_ptr_nonnull(
        strstr(svg, ">On-CPU times are estimates. The program did not end the "
                    "recording. Not all of the file could be read: it ends "
                    "&lt;early&gt;. 12 records were lost.<"));
    free(svg);
}

END_TEST

START_TEST(time_begins_with_the_first_task)
{
    weft_recording *made = recording_new(1);

    recording_task(made, 0, "only", 5000, 6000)->ready = 4000000;
    recording_run(made, 0, 0, 1000, 5500);
    recording_mark(made, 0, "early", 1000, 1);
    recording_mark(made, 0, "within", 5500, 1);
    recording_end(made, 60000, 1);
    char *svg = drawn(made);

    check_valid(svg);
    ck_assert_uint_eq(picture_count(svg, "from 1.00 ms on"), 1);
    ck_assert_uint_eq(picture_count(svg, "<title>early"), 0);
    ck_assert_uint_eq(picture_count(svg, "<title>within = 1 at 1.50 ms"), 1);
    ck_assert_uint_eq(picture_count(svg, ">2.0 ms<"), 1);
    free(svg);
}

END_TEST

int
main(void)
{
    Suite *suite = suite_create("trace/draw_svg");
    TCase *tcase = support_case(suite, "picture", 20);

    if (!picture_tool("xmllint"))
        puts("xmllint is not installed: validity is not checked");
    tcase_add_test(tcase, nine_tasks_are_nine_bars);
    tcase_add_test(tcase, two_recordings_have_one_scale);
    tcase_add_test(tcase, all_that_there_is_is_shown);
    tcase_add_test(tcase, the_legend_says_no_more_than_there_is);
    support_add_table(tcase, forged_names_are_only_text, forged);
    tcase_add_test(tcase, a_long_name_is_cut_and_can_be_hovered);
    tcase_add_loop_test(tcase, no_task_is_a_picture_too, 0, 2);
    support_add_table(tcase, one_task_of_any_length, lengths);
    tcase_add_test(tcase, a_thousand_workers_have_sixteen_lanes);
    tcase_add_test(tcase, many_tasks_are_merged);
    tcase_add_test(tcase, what_is_wrong_is_said);
    tcase_add_test(tcase, time_begins_with_the_first_task);
    return support_run(suite);
}
