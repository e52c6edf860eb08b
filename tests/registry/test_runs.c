/* What becomes of the kernel's switches, which a test makes up here. */
#include "os/os.h"
#include "support/recording_support.h"
#include "support/worker_support.h"

#include <stdatomic.h>

enum {
    MOST = 8,
    PID = 4000
};

static struct recording_file file;
static struct os_switch made[MOST];
static unsigned count;
static atomic_bool there;

/* --- in the place of os/switches.c */

int
os_switches_open(struct os_switches **out)
{
    *out = (struct os_switches *)made;
    return 0;
}

void
os_switches_close(struct os_switches *all)
{
    (void)all;
}

void
os_switches_forked(struct os_switches *all)
{
    (void)all;
}

void
os_switches_read(struct os_switches *all,
                 void (*each)(const struct os_switch *one, void *context),
                 void *context, uint64_t *lost)
{
    (void)all;
    (void)lost;
    if (atomic_exchange(&there, false))
        for (unsigned i = 0; i < count; i++)
            each(&made[i], context);
}

/* --- the tests */

static int64_t start;

static void
set_up(void)
{
    common_make();
    recording_path(&file);
    count = 0;
    ck_assert_int_eq(weft_trace_start(file.path), 0);
    start = os_now();
}

static void
tear_down(void)
{
    recording_gone(&file);
}

static void
got(int tid, unsigned cpu, int64_t after)
{
    made[count++] = (struct os_switch){start + after, PID, tid, cpu, true, 0};
}

static void
lost(int tid, unsigned cpu, int64_t after)
{
    made[count++] = (struct os_switch){start + after, PID, tid, cpu, false, 0};
}

static void
stop_and_read(void)
{
    atomic_store(&there, true);
    weft_trace_stop();
    recording_read(&file);
}

static void
expect_run(unsigned n, unsigned tid, int64_t begin, int64_t end)
{
    const union record *run = recording_find(&file, RECORD_RUN, NULL, n);

    ck_assert_ptr_nonnull(run);
    ck_assert_uint_eq(run->head.name, tid);
    ck_assert_int_eq(run->run.begin - start, begin);
    ck_assert_int_eq(run->run.end - start, end);
}

START_TEST(who_had_a_cpu_when_the_watch_began_had_it_since)
{
    lost(1, 0, 100);
    got(2, 0, 200);
    lost(2, 0, 300);
    stop_and_read();
    expect_run(0, 1, file.header->runs_from - start, 100);
    expect_run(1, 2, 200, 300);
    ck_assert_uint_eq(recording_count(&file, RECORD_RUN, NULL), 2);
}

END_TEST

START_TEST(a_lost_beginning_is_not_before_what_was_seen)
{
    got(1, 0, 100);
    lost(1, 0, 200);
    lost(2, 0, 300); /* its beginning went unseen */
    got(1, 0, 400);
    lost(2, 0, 500); /* this, and the end of the other */
    got(1, 1, 600);
    lost(1, 1, 700);
    stop_and_read();
    expect_run(0, 1, 100, 200);
    expect_run(1, 2, 200, 300);
    expect_run(2, 1, 400, 400);
    expect_run(3, 2, 400, 500);
    expect_run(4, 1, 600, 700);
    ck_assert_uint_eq(recording_count(&file, RECORD_RUN, NULL), 5);
}

END_TEST

int
main(void)
{
    Suite *suite = suite_create("registry/runs");
    TCase *tcase = support_case(suite, "runs", 20);

    tcase_add_checked_fixture(tcase, set_up, tear_down);
    tcase_add_test(tcase, who_had_a_cpu_when_the_watch_began_had_it_since);
    tcase_add_test(tcase, a_lost_beginning_is_not_before_what_was_seen);
    return support_run(suite);
}
