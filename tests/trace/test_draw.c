/* What SVG and page share: merging loses nothing and keeps its rule; words. */
#include "support/picture_support.h"
#include "support/support.h"
#include "trace/draw.h"

#include <string.h>

static const struct {
    uint64_t ns;
    const char *text;
} times[] = {
    {0, "0 ns"},
    {999, "999 ns"},
    {1000, "1.00 \xc2\xb5s"},
    {12345, "12.3 \xc2\xb5s"},
    {60300000, "60.3 ms"},
    {99949999, "99.9 ms"},
    {99990000, "100 ms"},
    {430000000, "430 ms"},
    {1000000000, "1.00 s"},
    {UINT64_MAX, "18446744074 s"},
};

START_TEST(a_time_has_three_digits_and_a_unit)
{
    char text[DRAW_TIME];

    draw_time(text, times[_i].ns);
    ck_assert_str_eq(text, times[_i].text);
}

END_TEST

static const struct {
    uint64_t count;
    const char *text;
} counts[] = {
    {0, "0"},
    {999, "999"},
    {1000, "1,000"},
    {1234567, "1,234,567"},
    {UINT64_MAX, "18,446,744,073,709,551,615"},
};

START_TEST(a_count_is_grouped)
{
    char text[DRAW_COUNT];

    draw_count(text, counts[_i].count);
    ck_assert_str_eq(text, counts[_i].text);
}

END_TEST

#define DOTS "\xe2\x80\xa6"

static const struct {
    const char *text;
    size_t characters;
    const char *fitted;
} fits[] = {
    {"", 5, ""},
    {"abc", 3, "abc"},
    {"abcd", 3, "ab" DOTS},
    {"\xc3\xa4\xc3\xb6\xc3\xbc", 3, "\xc3\xa4\xc3\xb6\xc3\xbc"},
    {"\xc3\xa4\xc3\xb6\xc3\xbcx", 3, "\xc3\xa4\xc3\xb6" DOTS},
    {"abc", 1, DOTS},
    {"abc", 0, ""},
};

START_TEST(a_name_is_cut_between_characters)
{
    char out[DRAW_LABEL];

    draw_fit(out, fits[_i].text, fits[_i].characters);
    ck_assert_str_eq(out, fits[_i].fitted);
}

END_TEST

START_TEST(a_long_name_fits_its_buffer)
{
    char name[512], out[DRAW_LABEL];

    /* Of characters of three bytes, at each offset. */
    for (size_t shift = 0; shift < 3; shift++) {
        memset(name, 'x', shift);
        for (size_t at = shift; at < 500; at += 3)
            memcpy(name + at, "\xe2\x82\xac", 4);
        draw_fit(out, name, 400);
        ck_assert_uint_lt(strlen(out), sizeof out);
        ck_assert_uint_gt(strlen(out), sizeof out - 8);
        ck_assert_uint_eq((strlen(out) - shift) % 3, 0);
    }
}

END_TEST

START_TEST(what_is_wider_is_cut_more)
{
    char out[DRAW_LABEL];

    draw_fit_width(out, "merge", 100, 11);
    ck_assert_str_eq(out, "merge");
    draw_fit_width(out, "a rather long name", 60, 11);
    ck_assert_ptr_nonnull(strstr(out, DOTS));
    ck_assert_int_eq(out[0], 'a');
    draw_fit_width(out, "a rather long name", 11, 11);
    ck_assert_str_eq(out, "");
}

END_TEST

START_TEST(steps_are_round)
{
    ck_assert_uint_eq(draw_step(0, 5), 1);
    ck_assert_uint_eq(draw_step(2, 5), 1);
    ck_assert_uint_eq(draw_step(60300000, 8), 10000000);
    ck_assert_uint_eq(draw_step(1000, 5), 500);
    ck_assert_uint_ge(draw_step(UINT64_MAX, 8), UINT64_MAX / 9);
}

END_TEST

/* ---- merging */

/* Random tasks without a gap or with one, mostly short; each second one has
 * another within it. */
static weft_recording *
some_tasks(unsigned seed, unsigned count)
{
    static const char *const names[] = {"a", "b", "c", "d", "e", "f"};
    weft_recording *made = recording_new(1);
    double at = 0;

    for (unsigned i = 0; i < count; i++) {
        seed = seed * 1664525 + 1013904223;
        const double time = seed >> 29 ? (seed >> 24) % 32 / 4.0 : 100;

        recording_task(made, 0, names[(seed >> 8) % 6], at, at + time);
        if (i % 2 == 0)
            recording_task(made, 0, "inner", at + time / 4, at + time / 2)
                ->depth = 1;
        recording_run(made, 0, i % 3, at + time / 8, at + time);
        if (i % 5 == 0)
            recording_wait(made, 0, at, at + time / 8, i % 2);
        at += time + (seed >> 16) % 8;
    }
    recording_end(made, at, 2);
    return made;
}

struct sums {
    uint64_t tasks, busy, cpu, inner;
};

static void
check_bar(const struct bar *bar, uint64_t grain, uint64_t last)
{
    ck_assert_uint_le(last, bar->begin);
    ck_assert_uint_le(bar->begin, bar->end);
    ck_assert_uint_le(bar->busy, bar->end - bar->begin);
    ck_assert_uint_ge(bar->names, 1);
    ck_assert_uint_le(bar->names, BAR_NAMES);
    if (bar->count > 1)
        ck_assert_uint_le(bar->end - bar->begin, 2 * grain);
}

static struct sums
sum_bars(const weft_recording *recording, uint64_t grain, unsigned *bars)
{
    struct sums sums = {0};

    *bars = 0;
    for (uint16_t row = 0; row < 2; row++) {
        struct bar_reader reader;
        struct bar bar;
        uint64_t last = 0;

        bars_begin(&reader, recording, 0, row, grain);
        while (bars_next(&reader, &bar)) {
            check_bar(&bar, grain, last);
            last = bar.begin;
            sums.tasks += bar.count;
            sums.busy += bar.busy;
            sums.cpu += bar.cpu;
            sums.inner += row * bar.count;
            ++*bars;
        }
    }
    return sums;
}

START_TEST(merging_loses_nothing)
{
    weft_recording *made = some_tasks((unsigned)_i, 1000);
    unsigned bars, before;
    const struct sums exact = sum_bars(made, 0, &before);

    ck_assert_uint_eq(before, made->task_count);
    ck_assert_uint_eq(exact.inner, 500);
    for (uint64_t grain = 1000; grain < 10000000; grain *= 4) {
        const struct sums sums = sum_bars(made, grain, &bars);

        ck_assert_uint_eq(sums.tasks, exact.tasks);
        ck_assert_uint_eq(sums.busy, exact.busy);
        ck_assert_uint_eq(sums.cpu, exact.cpu);
        ck_assert_uint_eq(sums.inner, exact.inner);
        ck_assert_uint_le(bars, before);
        before = bars;
    }
    ck_assert_uint_lt(before, 20);
    recording_free(made);
}

END_TEST

START_TEST(a_long_task_keeps_its_bar)
{
    weft_recording *made = some_tasks(7, 1000);
    struct bar_reader reader;
    struct bar bar;
    unsigned longer = 0, alone = 0;

    for (uint32_t i = 0; i < made->task_count; i++)
        longer += made->tasks[i].end - made->tasks[i].begin >= 90000;
    bars_begin(&reader, made, 0, 0, 90000);
    while (bars_next(&reader, &bar))
        alone += bar.count == 1 && bar.end - bar.begin >= 90000;
    ck_assert_uint_gt(longer, 20);
    ck_assert_uint_eq(alone, longer);
    recording_free(made);
}

END_TEST

/* By the definition: what of the runs and waits lies in outermost tasks. */
static struct strip
cut_by_hand(const weft_recording *recording)
{
    struct strip sum = {0};

    for (uint32_t i = 0; i < recording->task_count; i++) {
        const struct recorded_task *task = &recording->tasks[i];

        if (task->depth > 0)
            continue;
        for (uint32_t k = 0; k < recording->run_count; k++) {
            const struct recorded_run *run = &recording->runs[k];

            if (run->begin < task->end && run->end > task->begin)
                sum.on += (run->end < task->end ? run->end : task->end) -
                          (run->begin > task->begin ? run->begin : task->begin);
        }
        for (uint32_t k = 0; k < recording->wait_count; k++) {
            const struct recorded_wait *wait = &recording->waits[k];

            if (wait->begin < task->end && wait->end > task->begin)
                *(wait->lock ? &sum.lock : &sum.other) +=
                    (wait->end < task->end ? wait->end : task->end) -
                    (wait->begin > task->begin ? wait->begin : task->begin);
        }
    }
    return sum;
}

START_TEST(strips_are_what_tasks_did)
{
    weft_recording *made = some_tasks((unsigned)_i, 400);
    const struct strip whole = cut_by_hand(made);

    ck_assert_uint_gt(whole.on, 0);
    ck_assert_uint_gt(whole.lock, 0);
    ck_assert_uint_gt(whole.other, 0);
    for (uint64_t grain = 0; grain < 10000000; grain = grain * 4 + 500) {
        struct strip_reader reader;
        struct strip strip, sum = {0};

        strips_begin(&reader, made, 0, grain);
        while (strips_next(&reader, &strip)) {
            ck_assert_uint_lt(strip.begin, strip.end);
            ck_assert_uint_le(strip.on + strip.lock + strip.other,
                              strip.end - strip.begin);
            sum.on += strip.on;
            sum.lock += strip.lock;
            sum.other += strip.other;
        }
        ck_assert_uint_eq(sum.on, whole.on);
        ck_assert_uint_eq(sum.lock, whole.lock);
        ck_assert_uint_eq(sum.other, whole.other);
    }
    recording_free(made);
}

END_TEST

START_TEST(turns_are_the_runs_of_a_cpu)
{
    weft_recording *made = some_tasks(3, 400);

    ck_assert_uint_eq(made->cpu_count, 3);
    for (uint64_t grain = 0; grain < 10000000; grain = grain * 4 + 500) {
        uint64_t sum = 0, whole = 0;

        for (uint32_t i = 0; i < made->run_count; i++)
            whole += made->runs[i].end - made->runs[i].begin;
        for (uint32_t cpu = 0; cpu < 3; cpu++) {
            struct turn_reader reader;
            struct turn turn;

            turns_begin(&reader, made, cpu, grain);
            while (turns_next(&reader, &turn)) {
                ck_assert_uint_le(turn.on, turn.end - turn.begin);
                sum += turn.on;
            }
        }
        ck_assert_uint_eq(sum, whole);
    }
    recording_free(made);
}

END_TEST

START_TEST(a_merged_turn_is_his_who_had_most)
{
    weft_recording *made = recording_new(3);
    struct turn_reader reader;
    struct turn turn;

    recording_task(made, 0, "a", 0, 100);
    recording_run(made, 0, 0, 0, 2);
    recording_run(made, 0, 0, 10, 12);
    recording_run(made, 1, 0, 2, 5);
    recording_run(made, 1, 0, 5, 10);
    recording_run(made, 2, 0, 12, 13);
    recording_end(made, 100, 1);
    turns_begin(&reader, made, 0, 20000);
    ck_assert(turns_next(&reader, &turn));
    ck_assert_uint_eq(turn.worker, 1);
    ck_assert_uint_eq(turn.on, 13000);
    ck_assert(!turns_next(&reader, &turn));
    recording_free(made);
}

END_TEST

START_TEST(estimates_fill_the_task)
{
    weft_recording *made = recording_new(1);
    struct strip_reader reader;
    struct strip strip;

    recording_task(made, 0, "a", 0, 100);
    recording_end(made, 100, 1);
    made->estimated = true;
    made->tasks[0].cpu = 25000;
    strips_begin(&reader, made, 0, 0);
    ck_assert(strips_next(&reader, &strip));
    ck_assert_uint_eq(strip.begin, 0);
    ck_assert_uint_eq(strip.end, 100000);
    ck_assert_uint_eq(strip.on, 25000);
    ck_assert(!strips_next(&reader, &strip));
    recording_free(made);
}

END_TEST

START_TEST(the_grain_keeps_the_limit)
{
    weft_recording *made = recording_crowd(4, 100000);
    struct draw_lanes lanes;
    unsigned count = 0;

    ck_assert_int_eq(lanes_choose(&lanes, made, 4), 0);
    const uint64_t grain = bars_grain(made, &lanes, 1000, 1500);

    ck_assert_uint_gt(grain, 1000);
    for (uint32_t i = 0; i < 4; i++) {
        struct bar_reader reader;
        struct bar bar;

        bars_begin(&reader, made, i, 0, grain);
        while (bars_next(&reader, &bar))
            count++;
    }
    ck_assert_uint_le(count, 1500);
    ck_assert_uint_gt(count, 500);
    lanes_free(&lanes);
    recording_free(made);
}

END_TEST

START_TEST(few_tasks_are_not_merged)
{
    weft_recording *made = recording_crowd(4, DRAW_MERGE_ABOVE);
    struct draw_lanes lanes;

    ck_assert_int_eq(lanes_choose(&lanes, made, 4), 0);
    ck_assert_uint_eq(lanes.tasks, DRAW_MERGE_ABOVE);
    ck_assert_uint_eq(bars_grain(made, &lanes, 1000, 100), 0);
    lanes_free(&lanes);
    recording_free(made);
}

END_TEST

START_TEST(the_busiest_get_lanes)
{
    weft_recording *made = recording_new(10);
    struct draw_lanes lanes;

    /* 0 has none; 7, 8 and 9 are the busiest. */
    for (uint32_t i = 1; i < 10; i++)
        recording_task(made, i, "a", 0, i);
    recording_end(made, 10, 2);
    ck_assert_int_eq(lanes_choose(&lanes, made, 3), 0);
    ck_assert_uint_eq(lanes.count, 3);
    ck_assert_uint_eq(lanes.more, 6);
    for (uint32_t i = 0; i < 3; i++) {
        ck_assert_uint_eq(lanes.lane[i].worker, 7 + i);
        ck_assert_uint_eq(lanes.colour[7 + i], i);
    }
    ck_assert_uint_eq(lanes.colour[1], DRAW_COLOURS);
    lanes_free(&lanes);
    recording_free(made);
}

END_TEST

START_TEST(the_programs_own_code_counts)
{
    weft_recording *made = recording_new(3);
    struct draw_lanes lanes;
    struct strip_reader reader;
    struct strip strip;

    recording_task(made, 0, "a", 100, 200);
    recording_run(made, 0, 0, 50, 150);
    recording_run(made, 1, 0, 150, 180);
    recording_run(made, 1, 0, 190, 300);
    recording_run(made, 2, 0, 180, 190);
    made->workers[1].own = true;
    recording_end(made, 400, 1);
    ck_assert_int_eq(lanes_choose(&lanes, made, 10), 0);
    ck_assert_uint_eq(lanes.count, 2);
    ck_assert_uint_eq(lanes.lane[1].worker, 1);
    strips_begin(&reader, made, 1, 0);
    ck_assert(strips_next(&reader, &strip));
    ck_assert_uint_eq(strip.begin, 150000);
    ck_assert_uint_eq(strip.on, 30000);
    ck_assert(strips_next(&reader, &strip));
    ck_assert_uint_eq(strip.end, 200000);
    ck_assert_uint_eq(strip.on, 10000);
    ck_assert(!strips_next(&reader, &strip));
    lanes_free(&lanes);
    recording_free(made);
}

END_TEST

START_TEST(a_lane_has_a_row_a_depth)
{
    weft_recording *made = recording_rich();
    struct draw_lanes lanes;

    ck_assert_int_eq(lanes_choose(&lanes, made, 10), 0);
    ck_assert_uint_eq(lanes.count, 6);
    ck_assert_uint_eq(lanes.lane[0].rows, 1);
    ck_assert_uint_eq(lanes.lane[1].rows, 3);
    ck_assert_uint_eq(lanes.lane[3].span_rows, 2);
    ck_assert_uint_eq(lanes.lane[4].span_rows, 0);
    ck_assert_uint_eq(lanes.flags & TASK_FAILED, TASK_FAILED);
    lanes_free(&lanes);
    recording_free(made);
}

END_TEST

int
main(void)
{
    Suite *suite = suite_create("trace/draw");
    TCase *tcase = support_case(suite, "words", 10);

    support_add_table(tcase, a_time_has_three_digits_and_a_unit, times);
    support_add_table(tcase, a_count_is_grouped, counts);
    support_add_table(tcase, a_name_is_cut_between_characters, fits);
    tcase_add_test(tcase, a_long_name_fits_its_buffer);
    tcase_add_test(tcase, what_is_wider_is_cut_more);
    tcase_add_test(tcase, steps_are_round);

    tcase = support_case(suite, "merging", 20);
    tcase_add_loop_test(tcase, merging_loses_nothing, 0, 5);
    tcase_add_test(tcase, a_long_task_keeps_its_bar);
    tcase_add_loop_test(tcase, strips_are_what_tasks_did, 0, 5);
    tcase_add_test(tcase, turns_are_the_runs_of_a_cpu);
    tcase_add_test(tcase, a_merged_turn_is_his_who_had_most);
    tcase_add_test(tcase, estimates_fill_the_task);
    tcase_add_test(tcase, the_grain_keeps_the_limit);
    tcase_add_test(tcase, few_tasks_are_not_merged);
    tcase_add_test(tcase, the_busiest_get_lanes);
    tcase_add_test(tcase, the_programs_own_code_counts);
    tcase_add_test(tcase, a_lane_has_a_row_a_depth);
    return support_run(suite);
}
