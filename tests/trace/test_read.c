/* Recordings in whatever state: what can be read is read, and no more. */
#include "support/forge.h"
#include "support/support.h"
#include "trace/recording.h"

#include <weft/status.h>

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static char directory[64], path[96];
static struct forge forge;
static uint32_t boss, one;
static weft_recording *recording;

static void
setup(void)
{
    support_directory(directory);
    snprintf(path, sizeof path, "%s/read.weft", directory);
    forge_open(&forge, path);
    boss = forge_worker(&forge, "main", RECORDING_MAIN);
    one = forge_worker(&forge, "one", 0);
}

static void
teardown(void)
{
    weft_recording_close(recording);
    recording = NULL;
    support_remove(directory);
}

static void
read_it(uint64_t stop)
{
    forge_close(&forge, stop);
    ck_assert_int_eq(weft_recording_open(&recording, path), 0);
}

static uint64_t
task(uint32_t worker, const char *name, uint64_t begin, uint64_t end)
{
    return forge_task(&forge, worker,
                      &(struct forge_task){.name = name,
                                           .begin = begin,
                                           .end = end,
                                           .parent = forge_thread(&forge, boss),
                                           .spawned = begin});
}

static const char *
name_of(uint32_t name)
{
    return recording->names[name];
}

/* --- what is there */

START_TEST(all_that_was_recorded_is_there)
{
    const uint64_t id = task(one, "first", 100, 500);

    forge_span(&forge, one, "part", 150, 250);
    forge_wait(&forge, one, RECORD_WAIT_GET, "jobs", 0x10, 300, 400);
    forge_value(&forge, one, RECORD_MARK, "here", 410, -3);
    forge_value(&forge, one, RECORD_COUNTER, "level", 420, INT64_MIN);
    forge_run(&forge, one, 1, 100, 200, true);
    forge_run(&forge, one, 0, 300, 500, false);
    forge_join(&forge, boss, forge_thread(&forge, boss), id, 510);
    read_it(1000);
    ck_assert_uint_eq(recording->worker_count, 2);
    ck_assert_str_eq(recording->workers[0].name, "main");
    ck_assert(recording->workers[0].main && recording->workers[0].own);
    ck_assert_int_eq(recording->workers[1].tid, FORGE_TID + (int)one);
    ck_assert_uint_eq(recording->workers[1].tasks.count, 1);
    ck_assert_str_eq(name_of(recording->tasks[0].name), "first");
    ck_assert_uint_eq(recording->tasks[0].parent, 0 | RECORDING_THREAD);
    ck_assert_str_eq(name_of(recording->spans[0].name), "part");
    ck_assert_str_eq(name_of(recording->waits[0].name), "jobs");
    ck_assert(!recording->waits[0].lock);
    ck_assert_int_eq(recording->marks[0].value, -3);
    ck_assert_int_eq(recording->counters[0].value, INT64_MIN);
    ck_assert_uint_eq(recording->counters[0].at, 420);
    ck_assert_uint_eq(recording->run_count, 2);
    ck_assert_uint_eq(recording->cpu_count, 2);
    ck_assert_uint_eq(recording->cpu[0].number, 0);
    ck_assert_uint_eq(recording->runs[recording->cpu_runs[0]].begin, 300);
    ck_assert_uint_eq(recording->join_count, 1);
    ck_assert_uint_eq(recording->joins[0].waiter, 0 | RECORDING_THREAD);
    ck_assert_uint_eq(recording->wall, 1000);
    ck_assert_str_eq(recording->program, "forged");
    ck_assert(!recording->cut && !recording->killed && !recording->damage);
}

END_TEST

/* Several chunks a thread, not in the order of the file. */
START_TEST(chunks_are_put_in_order)
{
    enum {
        MANY = 5000
    };

    for (unsigned i = 0; i < MANY; i++) {
        task(one, "a", i * 10 + 1, i * 10 + 9);
        task(boss, "b", i * 10 + 2, i * 10 + 8);
    }
    read_it(MANY * 10);
    ck_assert_uint_eq(recording->task_count, 2 * MANY);
    for (uint32_t i = 1; i < MANY; i++)
        ck_assert_uint_lt(recording->tasks[MANY + i - 1].begin,
                          recording->tasks[MANY + i].begin);
    ck_assert(!recording->cut);
}

END_TEST

START_TEST(the_clock_of_the_cpu_is_converted)
{
    forge.header.clock = RECORDING_TSC; /* three ticks a nanosecond */
    forge.header.first.ticks = (uint64_t)FORGE_START;
    forge.header.last[1].ticks = (uint64_t)FORGE_START + 3000000;
    forge.header.last[1].ns = FORGE_START + 1000000;
    forge.header.latest = 1;
    task(one, "task", 3000, 9000);
    forge_run(&forge, one, 0, 1000, 3000, false);
    read_it(1000000);
    ck_assert_uint_eq(recording->tasks[0].begin, 1000);
    ck_assert_uint_eq(recording->tasks[0].end, 3000);
    ck_assert_uint_eq(recording->tasks[0].cpu, 2000);
}

END_TEST

/* --- what never ended */

START_TEST(a_killed_programs_tasks_end_when_it_was_last_seen)
{
    task(one, "cut off", 100, 0);
    forge_wait(&forge, one, RECORD_WAIT_EVENT, NULL, 1, 200, 0);
    forge_span(&forge, one, "part", 150, 0);
    forge_value(&forge, boss, RECORD_MARK, "last", 900, 0);
    read_it(0);
    ck_assert(recording->killed && recording->damage);
    ck_assert_uint_eq(recording->wall, 900);
    ck_assert_uint_eq(recording->tasks[0].end, 900);
    ck_assert(recording->tasks[0].flags & TASK_UNFINISHED);
    ck_assert(recording->waits[0].unfinished && recording->spans[0].unfinished);
    ck_assert_uint_eq(recording->waits[0].end, 900);
}

END_TEST

START_TEST(a_killed_processs_tasks_end_when_it_was_last_seen)
{
    const uint32_t worker =
        forge_worker(&forge, "process", RECORDING_MAIN | RECORDING_PROCESS);

    task(worker, "cut off", 100, 0);
    forge_value(&forge, worker, RECORD_MARK, "last", 300, 0);
    const uint64_t told = task(one, "told", 100, 0);

    forge_record(
        &forge, boss,
        &(union record){.died = {.head = {RECORD_DIED, RECORD_FAILED, 0, 0},
                                 .task = told,
                                 .when = (uint64_t)FORGE_START + 700}});
    read_it(1000);
    ck_assert_uint_eq(recording->tasks[0].end, 700);
    ck_assert(recording->tasks[0].flags & TASK_FAILED);
    ck_assert_uint_eq(recording->tasks[1].end, 300);
}

END_TEST

/* By another process, which does not know of the stop. */
START_TEST(an_end_long_after_the_stop_was_not_reached)
{
    const uint64_t late = 90000000000;

    task(one, "goes on", 100, late);
    forge_wait(&forge, one, RECORD_WAIT_EVENT, NULL, 1, 200, late);
    forge_span(&forge, one, "part", 150, late);
    read_it(1000);
    ck_assert(!recording->cut && !recording->damage);
    ck_assert_uint_eq(recording->tasks[0].end, 1000);
    ck_assert(recording->tasks[0].flags & TASK_UNFINISHED);
    ck_assert(recording->waits[0].unfinished && recording->spans[0].unfinished);
}

END_TEST

/* --- clocks that differ a little, and times that lie */

START_TEST(what_overlaps_is_put_right)
{
    task(one, "before", 100, 510);
    task(one, "after", 500, 900); /* not within it */
    task(one, "outer", 1000, 2000);
    task(one, "inner", 1100, 2005); /* not behind it */
    read_it(3000);
    ck_assert_uint_eq(recording->tasks[0].end, 500);
    ck_assert_uint_eq(recording->tasks[1].depth, 0);
    ck_assert_uint_eq(recording->tasks[1].end, 900);
    ck_assert_uint_eq(recording->tasks[3].depth, 1);
    ck_assert_uint_eq(recording->tasks[3].end, 2000);
}

END_TEST

START_TEST(times_out_of_order_are_sorted)
{
    const uint32_t two = forge_worker(&forge, "two", 0);

    task(one, "c", 900, 950);
    const uint64_t late =
        forge_task(&forge, one,
                   &(struct forge_task){"a", 100, 200,
                                        forge_thread(&forge, boss), 50, 90, 0});

    task(one, "b", 300, 400);
    task(two, "e", 500, 600);
    forge_task(&forge, two,
               &(struct forge_task){"d", 100, 200, forge_thread(&forge, boss),
                                    60, 90, 0});
    forge_join(&forge, boss, forge_thread(&forge, boss), late, 210);
    read_it(1000);
    ck_assert_str_eq(name_of(recording->tasks[0].name), "a");
    ck_assert_str_eq(name_of(recording->tasks[2].name), "c");
    ck_assert_str_eq(name_of(recording->tasks[3].name), "d");
    ck_assert_uint_eq(recording->joins[0].task, 0);
    ck_assert_uint_eq(recording->lates[0].task, 0);
    ck_assert_uint_eq(recording->lates[1].task, 3);
}

END_TEST

START_TEST(times_that_cannot_be_are_left_out)
{
    task(one, "good", 100, 200);
    task(one, "later than the stop", 90000000000, 90000000100);
    task(one, "ends before it begins", 400, 300);
    forge_wait(&forge, one, 99, NULL, 1, 200, 300);
    forge_record(&forge, one, &(union record){.head = {RECORD_SPAWN, 0, 0, 0}});
    read_it(1000);
    ck_assert_uint_eq(recording->task_count, 1);
    ck_assert(recording->cut);
    /* The spawns of the two tasks too. */
    ck_assert_str_eq(recording->damage, "6 records make no sense");
}

END_TEST

/* --- names */

static const struct {
    const char *bytes;
    uint32_t length;
    const char *shown;
} names[] = {
    {"plain", 5, "plain"},    {"\x1b[31mred", 8, "?[31mred"},
    {"a\nb", 3, "a?b"},       {"nul\0in", 6, "nul?in"},
    {"\xff\xfe", 2, "??"},    {"Stra\xc3\x9f", 6, "Stra\xc3\x9f"},
    {"cut \xc3", 5, "cut ?"}, {"", 0, ""},
};

START_TEST(names_are_made_printable)
{
    const uint32_t number =
        forge_name(&forge, one, names[_i].bytes, names[_i].length);

    forge_record(&forge, one,
                 &(union record){.span = {{RECORD_SPAN, 0, 0, number},
                                          (uint64_t)FORGE_START + 1,
                                          (uint64_t)FORGE_START + 2,
                                          0}});
    read_it(100);
    ck_assert_str_eq(name_of(recording->spans[0].name), names[_i].shown);
}

END_TEST

START_TEST(a_name_beyond_its_chunk_is_none)
{
    forge_record(&forge, one,
                 &(union record){.head = {RECORD_NAME, 0, 255, 0}});
    task(one, "good", 100, 200);
    forge_record(&forge, one,
                 &(union record){.head = {RECORD_NAME, 0, 9999, 0}});
    read_it(1000);
    ck_assert(recording->cut);
}

END_TEST

/* --- what is no recording */

static void
expect_refused(const char *file, int status, const char *why)
{
    weft_recording *out = NULL;

    ck_assert_int_eq(weft_recording_open(&out, file), status);
    ck_assert_ptr_null(out);
    if (!strstr(weft_why(), why))
        ck_abort_msg("says: %s", weft_why());
}

START_TEST(no_recording_is_refused_with_a_sentence)
{
    forge_close(&forge, 100);
    expect_refused("/nowhere/at.all", -ENOENT, "/nowhere/at.all");
    expect_refused("/", -EISDIR, "/");
    expect_refused("/dev/null", WEFT_EINVAL, "it ends too early");
    expect_refused("/dev/zero", WEFT_EINVAL, "does not begin as one");
    expect_refused(NULL, WEFT_EINVAL, "NULL");
    ck_assert_int_eq(weft_recording_open(NULL, path), WEFT_EINVAL);
}

END_TEST

static const struct {
    size_t offset;
    uint32_t value;
    const char *why;
} headers[] = {
    {offsetof(struct recording_header, magic), 7, "does not begin as one"},
    {offsetof(struct recording_header, version), 2, "another version"},
    {offsetof(struct recording_header, byte_order), 0x04030201, "no sense"},
    {offsetof(struct recording_header, chunk_size), 65537, "no sense"},
    {offsetof(struct recording_header, chunk_head), 0, "no sense"},
    {offsetof(struct recording_header, record_size), 0, "no sense"},
    {offsetof(struct recording_header, clock), 9, "clock"},
};

START_TEST(headers_are_checked)
{
    memcpy((char *)&forge.header + headers[_i].offset, &headers[_i].value,
           sizeof headers[_i].value);
    forge_close(&forge, 100);
    expect_refused(path, WEFT_EINVAL, headers[_i].why);
}

END_TEST

/* A recording of a little of everything. */
static void
forge_everything(void)
{
    const uint64_t id = task(one, "first", 100, 500);

    task(boss, "second", 100, 0);
    forge_span(&forge, one, "part", 150, 250);
    forge_wait(&forge, one, RECORD_WAIT_MUTEX, "table", 0x10, 300, 400);
    forge_value(&forge, one, RECORD_MARK, "here", 410, -3);
    forge_value(&forge, one, RECORD_COUNTER, "level", 420, 5);
    forge_run(&forge, one, 1, 100, 200, true);
    forge_run(&forge, one, 0, 300, 500, false);
    forge_join(&forge, boss, forge_thread(&forge, boss), id, 510);
    forge_after(&forge, boss, id + 1, id, 510);
    forge_cpu(&forge, one, id, 300);
}

/* Everything is done with it that can be. */
static void
use(weft_recording *r, int null)
{
    static const weft_format formats[] = {WEFT_TEXT_FORMAT, WEFT_JSON,
                                          WEFT_CSV,         WEFT_PERFETTO,
                                          WEFT_CHROME,      WEFT_RECORDS};

    for (unsigned i = 0; i < sizeof formats / sizeof *formats; i++)
        ck_assert_int_eq(weft_recording_write(&r, 1, formats[i], null), 0);
    weft_recording_close(r);
}

/* From its end to its begin, at every byte that means something. */
START_TEST(a_file_may_be_cut_anywhere)
{
    const int null = open("/dev/null", O_WRONLY | O_CLOEXEC);
    struct stat file;
    unsigned opened = 0;

    forge_everything();
    forge_close(&forge, 1000);
    ck_assert_int_eq(stat(path, &file), 0);
    for (off_t size = file.st_size; size >= 0; size--) {
        weft_recording *r = NULL;
        const off_t within = size % RECORDING_CHUNK;

        /* Between records and the chunk's end there is nothing. */
        if (size > RECORDING_CHUNK && within > 1024)
            size -= within - 1024;
        if (size < RECORDING_CHUNK && size > 4096)
            size = 4096;
        ck_assert_int_eq(truncate(path, size), 0);
        const int status = weft_recording_open(&r, path);

        if (status < 0) {
            ck_assert_int_eq(status, WEFT_EINVAL);
            ck_assert_int_lt(size, sizeof(struct recording_header));
            continue;
        }
        opened++;
        ck_assert(r->cut == (size < file.st_size));
        use(r, null);
    }
    ck_assert_uint_gt(opened, 3 * 512);
}

END_TEST

/* Each byte that was written, changed in several ways. */
/* As long as the clock goes, and more tasks than are drawn one by one. */
START_TEST(a_time_without_end_is_limited)
{
    enum {
        TASKS = 2500
    };

    const int fd = open("/dev/null", O_WRONLY | O_CLOEXEC);

    forge.header.first = (struct recording_point){0, INT64_MIN};
    for (unsigned i = 0; i < TASKS; i++)
        task(one, "deep", 1000 + i, UINT64_MAX / 2 + TASKS - i);
    forge_run(&forge, one, 0, 1000, INT64_MAX / 2, false);
    read_it((uint64_t)(INT64_MAX - FORGE_START));
    ck_assert_uint_eq(recording->task_count, TASKS);
    ck_assert_uint_le(recording->wall, INT64_MAX / 4);
    ck_assert_int_ge(recording->metrics.wall, 0);
    ck_assert_int_ge(recording->metrics.work, 0);
    ck_assert_int_ge(recording->metrics.task_time, 0);
    ck_assert_int_eq(weft_recording_write(&recording, 1, WEFT_SVG, fd), 0);
    ck_assert_int_eq(weft_recording_write(&recording, 1, WEFT_HTML, fd), 0);
    close(fd);
}

END_TEST

START_TEST(any_byte_may_be_wrong)
{
    static const unsigned char changes[] = {0x01, 0x80, 0xff};
    const int null = open("/dev/null", O_WRONLY | O_CLOEXEC);
    const unsigned step = 100 / (scaled(100) < 100 ? scaled(100) : 100);
    uint64_t at = 0;

    forge_everything();
    const uint32_t chunks = forge.header.claimed;

    forge_close(&forge, 1000);
    const int fd = open(path, O_RDWR | O_CLOEXEC);

    for (; at < (uint64_t)chunks * RECORDING_CHUNK; at += step) {
        unsigned char was, is;
        weft_recording *r;

        if (at % RECORDING_CHUNK > 1024 + 256) {
            at += RECORDING_CHUNK - at % RECORDING_CHUNK - step;
            continue;
        }
        ck_assert_int_eq(pread(fd, &was, 1, (off_t)at), 1);
        for (unsigned i = 0; i < sizeof changes; i++) {
            is = was ^ changes[i];
            ck_assert_int_eq(pwrite(fd, &is, 1, (off_t)at), 1);
            if (weft_recording_open(&r, path) == 0)
                use(r, null);
        }
        ck_assert_int_eq(pwrite(fd, &was, 1, (off_t)at), 1);
    }
    ck_assert_int_eq(close(fd), 0);
}

END_TEST

int
main(void)
{
    Suite *suite = suite_create("read");
    TCase *tcase = support_case(suite, "read", 30);
    TCase *damage = support_case(suite, "damage", 60);

    tcase_add_checked_fixture(tcase, setup, teardown);
    tcase_add_test(tcase, all_that_was_recorded_is_there);
    tcase_add_test(tcase, chunks_are_put_in_order);
    tcase_add_test(tcase, the_clock_of_the_cpu_is_converted);
    tcase_add_test(tcase, a_killed_programs_tasks_end_when_it_was_last_seen);
    tcase_add_test(tcase, a_killed_processs_tasks_end_when_it_was_last_seen);
    tcase_add_test(tcase, an_end_long_after_the_stop_was_not_reached);
    tcase_add_test(tcase, what_overlaps_is_put_right);
    tcase_add_test(tcase, times_out_of_order_are_sorted);
    tcase_add_test(tcase, times_that_cannot_be_are_left_out);
    support_add_table(tcase, names_are_made_printable, names);
    tcase_add_test(tcase, a_name_beyond_its_chunk_is_none);
    tcase_add_test(tcase, no_recording_is_refused_with_a_sentence);
    support_add_table(tcase, headers_are_checked, headers);
    tcase_add_checked_fixture(damage, setup, teardown);
    tcase_add_test(damage, a_file_may_be_cut_anywhere);
    tcase_add_test(damage, a_time_without_end_is_limited);
    tcase_add_test(damage, any_byte_may_be_wrong);
    return support_run(suite);
}
