/* What a recording says of concurrency, parallelism, waiting and locks. */
#include "support/forge.h"
#include "support/support.h"
#include "trace/recording.h"

#include <fcntl.h>
#include <locale.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static char directory[64], path[96];
static struct forge forge;
static uint32_t boss, one, two;
static weft_recording *recording;
static weft_metrics m;

/* Main and two workers; main has nothing to do unless a test says so. */
static void
setup(void)
{
    support_directory(directory);
    snprintf(path, sizeof path, "%s/metrics.weft", directory);
    forge_open(&forge, path);
    boss = forge_worker(&forge, "main", RECORDING_MAIN);
    one = forge_worker(&forge, "one", 0);
    two = forge_worker(&forge, "two", 0);
}

static void
measure(uint64_t stop)
{
    forge_close(&forge, stop);
    ck_assert_int_eq(weft_recording_open(&recording, path), 0);
    weft_recording_metrics(recording, &m);
}

static void
teardown(void)
{
    weft_recording_close(recording);
    recording = NULL;
    support_remove(directory);
}

static uint64_t
task(uint32_t worker, uint64_t begin, uint64_t end)
{
    return forge_task(&forge, worker,
                      &(struct forge_task){.name = "task",
                                           .begin = begin,
                                           .end = end,
                                           .parent = forge_thread(&forge, boss),
                                           .spawned = begin});
}

#define near(a, b) ck_assert_double_eq_tol(a, b, 1e-9)

/* --- verdicts */

START_TEST(two_on_two_cpus)
{
    task(one, 0, 1000);
    task(two, 0, 1000);
    measure(1000);
    near(m.concurrency, 2);
    near(m.parallelism, 2);
    ck_assert_uint_eq(m.concurrency_max, 2);
    ck_assert_int_eq(m.cpu_wait, 0);
    ck_assert_str_eq(weft_recording_verdict(recording),
                     "concurrent: yes (2.00)  parallel: yes (2.00 of 2 CPUs)  "
                     "available 2.00  0% of task time waited for a CPU");
    ck_assert_str_eq(recording_verdict_name(recording_verdict(recording)),
                     "CONCURRENT AND PARALLEL");
}

END_TEST

/* They take turns of 100 ns. */
START_TEST(two_on_one_cpu)
{
    task(one, 0, 1000);
    task(two, 0, 1000);
    for (uint64_t at = 0; at < 1000; at += 100)
        forge_run(&forge, at / 100 % 2 ? two : one, 0, at, at + 100, true);
    forge.header.cpus = 1;
    measure(1000);
    near(m.concurrency, 2);
    near(m.parallelism, 1);
    ck_assert_int_eq(m.work, 1000);
    ck_assert_int_eq(m.span, 500);
    /* Two waits until it begins to run; one has run out of turns at 900. */
    ck_assert_int_eq(m.cpu_wait, 900);
    ck_assert_int_eq(m.task_time, 2000);
    ck_assert_str_eq(weft_recording_verdict(recording),
                     "concurrent: yes (2.00)  parallel: no (1.00 of 1 CPU)  "
                     "available 2.00  45% of task time waited for a CPU");
    ck_assert_str_eq(recording_verdict_name(recording_verdict(recording)),
                     "CONCURRENT, NOT PARALLEL");
}

END_TEST

START_TEST(two_that_sleep)
{
    for (uint32_t w = one; w <= two; w++) {
        task(w, 0, 1000);
        forge_wait(&forge, w, RECORD_WAIT_SLEEP, NULL, 0, 10, 990);
        forge_run(&forge, w, w, 0, 10, false);
        forge_run(&forge, w, w, 990, 1000, false);
    }
    measure(1000);
    near(m.concurrency, 2);
    near(m.parallelism, 0.04);
    ck_assert_int_eq(m.cpu_wait, 0);
    ck_assert_int_eq(recording_verdict(recording), VERDICT_NOT_PARALLEL);
}

END_TEST

/* Main waits for it: that is not in progress. */
START_TEST(one_thread)
{
    const uint64_t id = task(one, 100, 1000);

    forge_wait(&forge, boss, RECORD_WAIT_JOIN, NULL, 1, 150, 1000);
    forge_join(&forge, boss, forge_thread(&forge, boss), id, 1000);
    forge_run(&forge, boss, 0, 0, 150, false);
    forge_run(&forge, boss, 0, 1000, 1100, false);
    measure(1100);
    near(m.concurrency, 950.0 / 900);
    ck_assert_int_eq(recording_verdict(recording), VERDICT_NOT_CONCURRENT);
    ck_assert_str_eq(recording_verdict_name(VERDICT_NOT_CONCURRENT),
                     "NOT CONCURRENT");
}

END_TEST

/* What main does itself meanwhile counts, too, while it runs or wants to. */
START_TEST(main_beside_a_thread)
{
    task(one, 0, 1000);
    forge_run(&forge, boss, 0, 0, 400, true);
    forge_run(&forge, boss, 0, 500, 800, false); /* then it waits elsewhere */
    measure(1000);
    ck_assert_int_eq(m.work, 1000 + 700);
    ck_assert_int_eq(m.cpu_wait, 100);
    ck_assert_int_eq(m.task_time, 1000 + 800);
    near(m.concurrency, 1.8);
    near(m.parallelism, 1.7);
    ck_assert_uint_eq(m.concurrency_max, 2);
    ck_assert_int_eq(m.span, 1000);
}

END_TEST

/* What the library does between two tasks is nobody's work. */
START_TEST(main_within_its_own_task_is_one)
{
    forge_run(&forge, boss, 0, 0, 1000, false);
    task(boss, 200, 400); /* serial, or a region */
    task(boss, 400, 600);
    task(boss, 800, 1000);
    measure(1000);
    ck_assert_uint_eq(m.concurrency_max, 1);
    near(m.concurrency, 1);
}

END_TEST

START_TEST(a_worker_without_a_task_is_no_work)
{
    forge_wait(&forge, two, RECORD_WAIT_WORK, NULL, 0, 0, 10);
    task(one, 0, 1000);
    forge_run(&forge, two, 1, 0, 900, false);
    measure(1000);
    ck_assert_int_eq(m.work, 1000);
    near(m.concurrency, 1);
}

END_TEST

START_TEST(nothing_was_recorded)
{
    measure(1000);
    ck_assert_uint_eq(m.tasks, 0);
    near(m.concurrency, 0);
    ck_assert_int_eq(recording_verdict(recording), VERDICT_NOT_CONCURRENT);
    ck_assert_ptr_nonnull(
        strstr(weft_recording_verdict(recording), "concurrent: no (0.00)"));
}

END_TEST

/* --- time */

/* Spinning in a wait is no work, and neither is wanting a CPU for it. */
START_TEST(waits_are_no_work)
{
    task(one, 0, 1000);
    forge_wait(&forge, one, RECORD_WAIT_EVENT, NULL, 7, 200, 700);
    forge_run(&forge, one, 0, 0, 400, true);
    forge_run(&forge, one, 0, 600, 1000, false);
    measure(1000);
    ck_assert_int_eq(m.work, 500);
    ck_assert_int_eq(m.cpu_wait, 0);
    ck_assert_int_eq(m.task_time, 1000);
    ck_assert_int_eq(m.lock_wait, 0);
}

END_TEST

/* A worker that waits runs another task: each has its own time, and both are in
 * progress. */
START_TEST(helping_is_the_inner_tasks_time)
{
    const uint64_t outer = task(one, 0, 1000);

    (void)outer;
    forge_wait(&forge, one, RECORD_WAIT_JOIN, NULL, 1, 100, 900);
    task(one, 200, 700);
    measure(1000);
    ck_assert_int_eq(m.work, 200 + 500);
    ck_assert_int_eq(m.task_time, 1000);
    near(m.concurrency, 1.5);
    near(m.parallelism, 0.7);
    ck_assert_uint_eq(recording->tasks[0].cpu, 200);
    ck_assert_uint_eq(recording->tasks[1].cpu, 500);
    ck_assert_uint_eq(recording->tasks[1].depth, 1);
}

END_TEST

START_TEST(queue_delay_is_from_ready_to_begin)
{
    forge_task(&forge, one,
               &(struct forge_task){.begin = 500,
                                    .end = 600,
                                    .parent = forge_thread(&forge, boss),
                                    .spawned = 100,
                                    .ready = 350});
    forge_task(&forge, two,
               &(struct forge_task){.begin = 500,
                                    .end = 700,
                                    .parent = forge_thread(&forge, boss),
                                    .spawned = 450});
    measure(1000);
    ck_assert_int_eq(m.queue_wait, 150 + 50);
    ck_assert_int_eq(m.wall, 700 - 100); /* from the submission */
}

END_TEST

/* A task's chain begins where its submitter was at the submission, not where it
 * was when the task was ready at last. */
START_TEST(a_late_task_follows_its_submission)
{
    const uint64_t first = task(one, 0, 1000);

    forge_task(&forge, two,
               &(struct forge_task){.begin = 900,
                                    .end = 1200,
                                    .parent = first,
                                    .spawned = 100,
                                    .ready = 900});
    measure(1200);
    ck_assert_int_eq(m.work, 1300);
    ck_assert_int_eq(m.span, 1000);
}

END_TEST

START_TEST(estimates_come_from_the_threads_clock)
{
    forge.header.on_cpu = RECORDING_CPU_ESTIMATED;
    const uint64_t outer = task(one, 0, 1000000);
    const uint64_t inner = task(one, 200000, 600000);

    forge_cpu(&forge, one, inner, 100000);
    forge_cpu(&forge, one, outer, 400000);
    task(two, 0, 50000); /* too short to be asked for */
    measure(1000000);
    ck_assert(m.estimated);
    ck_assert_int_le(llabs(m.work - 450000), 10);
    ck_assert_int_le(llabs(m.cpu_wait - 600000), 10);
    ck_assert_uint_eq(recording->run_count, 0);
    ck_assert_int_le(llabs((int64_t)recording->tasks[1].cpu - 100000), 10);
}

END_TEST

/* --- in words */

/* A locale whose numbers have a comma. false: it cannot be made here. */
static bool
take_locale_with_comma(void)
{
    char command[256];

    snprintf(command, sizeof command,
             "localedef -i de_DE -f UTF-8 --no-archive %s/de_DE.UTF-8 2>&1",
             directory);
    return system(command) == 0 && setenv("LOCPATH", directory, 1) == 0 &&
           setlocale(LC_ALL, "de_DE.UTF-8") &&
           strcmp(localeconv()->decimal_point, ",") == 0;
}

static void
expect_in_file(const char *file, const char *part)
{
    char text[4096];
    FILE *from = fopen(file, "re");

    ck_assert_ptr_nonnull(from);
    text[fread(text, 1, sizeof text - 1, from)] = '\0';
    fclose(from);
    ck_assert_msg(strstr(text, part), "no '%s' in %s", part, text);
}

START_TEST(numbers_have_a_point_in_any_locale)
{
    char file[128];

    if (!take_locale_with_comma())
        return;
    task(one, 0, 1000);
    measure(1000);
    ck_assert_ptr_nonnull(strstr(weft_recording_verdict(recording), "(1.00)"));
    snprintf(file, sizeof file, "%s/figures", directory);
    const int fd = open(file, O_RDWR | O_CREAT | O_CLOEXEC, 0600);

    ck_assert_int_eq(weft_recording_write(&recording, 1, WEFT_JSON, fd), 0);
    ck_assert_int_eq(weft_recording_write(&recording, 1, WEFT_CSV, fd), 0);
    close(fd);
    expect_in_file(file, "\"concurrency\": 1.000000,");
    expect_in_file(file, "\nconcurrency,1.000000\n");
    ck_assert_str_eq(localeconv()->decimal_point, ",");
}

END_TEST

/* --- locks */

START_TEST(the_lock_that_serialises_is_named)
{
    task(one, 0, 1000);
    task(two, 0, 1000);
    forge_wait(&forge, one, RECORD_WAIT_MUTEX, "table", 0x40, 100, 400);
    forge_wait(&forge, two, RECORD_WAIT_MUTEX, "table", 0x40, 300, 600);
    forge_wait(&forge, two, RECORD_WAIT_READ, NULL, 0x80, 700, 750);
    forge_wait(&forge, one, RECORD_WAIT_SEMAPHORE, "permits", 0xc0, 700, 900);
    measure(1000);
    ck_assert_str_eq(m.lock, "table");
    ck_assert_int_eq(m.lock_wait, 300 + 300 + 50);
    ck_assert_int_eq(m.lock_busy, 500);
    ck_assert_uint_eq(recording->lock_count, 2);
    ck_assert_uint_eq(recording->locks[0].waits, 2);
    ck_assert_str_eq(recording->names[recording->locks[1].name],
                     "rwlock, to read 0x80");
    ck_assert_uint_eq(recording->locks[1].busy, 50);
}

END_TEST

/* --- the longest chain, the load */

START_TEST(the_critical_path_is_marked)
{
    const uint64_t me = forge_thread(&forge, boss);
    const uint64_t a = task(one, 0, 500);
    const uint64_t b = task(one, 500, 700);
    const uint64_t c = task(two, 500, 1200);
    const uint64_t d = task(one, 1200, 1500);

    forge_after(&forge, one, b, a, 500);
    forge_after(&forge, two, c, a, 500);
    forge_after(&forge, one, d, b, 1200);
    forge_after(&forge, one, d, c, 1200);
    forge_join(&forge, boss, me, d, 1500);
    measure(1500);
    ck_assert_int_eq(m.span, 1500);
    for (uint32_t i = 0; i < recording->task_count; i++) {
        const bool is_b = recording->tasks[i].end == 700;

        ck_assert_int_eq(recording->tasks[i].flags & TASK_CRITICAL,
                         is_b ? 0 : TASK_CRITICAL);
    }
}

END_TEST

static const size_t bins[] = {1, 2, 7, 100, 5000};

/* However time is divided, the sums are those of the metrics. */
static void
check_load(size_t count, double tolerance)
{
    struct recorded_load *load = calloc(count, sizeof *load);
    double n = 0, r = 0;

    ck_assert_int_eq(
        recording_load(recording, recording->from, recording->to, load, count),
        0);
    for (size_t i = 0; i < count; i++) {
        n += (double)load[i].concurrency;
        r += (double)load[i].parallelism;
        ck_assert_float_le(load[i].parallelism, load[i].concurrency + 1e-3f);
    }
    ck_assert_double_eq_tol(n / (double)count, m.concurrency, tolerance);
    ck_assert_double_eq_tol(r / (double)count, m.parallelism, tolerance);
    free(load);
}

START_TEST(the_load_adds_up)
{
    task(one, 0, 1000);
    task(one, 200, 300);
    task(two, 100, 850);
    forge_wait(&forge, two, RECORD_WAIT_EVENT, NULL, 1, 400, 500);
    forge_run(&forge, one, 0, 0, 450, true);
    forge_run(&forge, one, 0, 600, 990, false);
    forge_run(&forge, boss, 1, 50, 150, false);
    measure(1000);
    check_load(bins[_i], 1e-4);
}

END_TEST

START_TEST(an_estimated_load_adds_up)
{
    forge.header.on_cpu = RECORDING_CPU_ESTIMATED;
    const uint64_t outer = task(one, 0, 1000000);
    const uint64_t inner = task(one, 200000, 600000);
    const uint64_t waits = task(two, 100000, 850000);

    forge_wait(&forge, two, RECORD_WAIT_EVENT, NULL, 1, 400000, 700000);
    forge_cpu(&forge, one, inner, 300000);
    forge_cpu(&forge, one, outer, 700000);
    forge_cpu(&forge, two, waits, 400000);
    measure(1000000);
    ck_assert_int_le(llabs(m.work - 1100000), 10);
    check_load(bins[_i], 1e-4);
}

END_TEST

int
main(void)
{
    Suite *suite = suite_create("metrics");
    TCase *tcase = support_case(suite, "metrics", 20);

    tcase_add_checked_fixture(tcase, setup, teardown);
    tcase_add_test(tcase, two_on_two_cpus);
    tcase_add_test(tcase, two_on_one_cpu);
    tcase_add_test(tcase, two_that_sleep);
    tcase_add_test(tcase, one_thread);
    tcase_add_test(tcase, main_beside_a_thread);
    tcase_add_test(tcase, main_within_its_own_task_is_one);
    tcase_add_test(tcase, a_worker_without_a_task_is_no_work);
    tcase_add_test(tcase, nothing_was_recorded);
    tcase_add_test(tcase, waits_are_no_work);
    tcase_add_test(tcase, helping_is_the_inner_tasks_time);
    tcase_add_test(tcase, queue_delay_is_from_ready_to_begin);
    tcase_add_test(tcase, a_late_task_follows_its_submission);
    tcase_add_test(tcase, estimates_come_from_the_threads_clock);
    tcase_add_test(tcase, numbers_have_a_point_in_any_locale);
    tcase_add_test(tcase, the_lock_that_serialises_is_named);
    tcase_add_test(tcase, the_critical_path_is_marked);
    support_add_table(tcase, the_load_adds_up, bins);
    support_add_table(tcase, an_estimated_load_adds_up, bins);
    return support_run(suite);
}
