/* The service thread: its timers, in order and to be taken back, and its end at
 * any moment. */
#include "support/worker_support.h"
#include "worker/job.h"
#include "worker/service.h"
#include "worker/task.h"
#include "worker/thread.h"

#include <string.h>

/* --- the end */

static void
spin_until(int64_t then)
{
    while (weft_now().ns < then)
        ;
}

/* Rung for a job, and asked to leave while it wakes. */
START_TEST(leaves_however_late_it_was_rung)
{
    const unsigned rounds = scaled(20000);
    weft_job *job = must_run(WEFT_THREAD, &(weft_task){.fn = do_nothing});

    for (unsigned i = 0; i < rounds; i++) {
        ck_assert_int_eq(service_start(), 0);
        service_attend(job);
        spin_until(weft_now().ns + i * 97 % 40000);
        service_stop();
        ck_assert(!service_runs());
    }
    weft_release(job);
}

END_TEST

/* --- timers */

enum {
    MANY = 200
};

static struct {
    struct timer *fired[MANY];
    _Atomic int count;
} seen;

/* The service counts references of the job that a timer lies in. */
static void
note(struct timer *timer)
{
    const int place = atomic_load(&seen.count);

    seen.fired[place] = timer;
    atomic_store(&seen.count, place + 1);
}

static weft_job *
job_with_timer(void)
{
    weft_job *job =
        job_new(&(struct task_way){.kind = WEFT_THREAD, .of = &thread_kind},
                &(weft_task){.fn = do_nothing}, "with a timer");

    ck_assert_ptr_nonnull(job);
    job->timer.fire = note;
    return job;
}

START_TEST(timers_fire_in_order_of_time)
{
    weft_job *jobs[MANY];
    const int64_t base = weft_in(patient(50 * WEFT_MS)).ns;

    weft_init(NULL);
    ck_assert_int_eq(service_start(), 0);
    for (int i = 0; i < MANY; i++) {
        jobs[i] = job_with_timer();
        /* 7 and MANY have no common divisor: every place comes once. */
        ck_assert_int_eq(
            timer_set(&jobs[i]->timer, base + (i * 7 % MANY) * 20000), 0);
    }
    for (int i = 0; i < MANY; i += 3)
        timer_cancel(&jobs[i]->timer);
    int left = MANY - (MANY + 2) / 3;

    eventually(atomic_load(&seen.count) >= left);
    ck_assert_int_eq(atomic_load(&seen.count), left);
    for (int i = 1; i < left; i++)
        ck_assert(seen.fired[i - 1]->at < seen.fired[i]->at);
    for (int i = 0; i < MANY; i++)
        weft_release(jobs[i]);
}

END_TEST

START_TEST(a_timer_set_again_fires_once_and_then)
{
    weft_job *job = job_with_timer();

    weft_init(NULL);
    ck_assert_int_eq(service_start(), 0);
    const int64_t at = weft_in(20 * WEFT_MS).ns;

    ck_assert_int_eq(timer_set(&job->timer, weft_in(100 * WEFT_SECOND).ns), 0);
    ck_assert_int_eq(timer_set(&job->timer, at), 0);
    eventually(atomic_load(&seen.count) == 1);
    ck_assert(weft_now().ns >= at);
    timer_cancel(&job->timer); /* nothing is left to cancel */
    weft_release(job);
}

END_TEST

int
main(void)
{
    Suite *suite = suite_create("service");
    TCase *end = support_case(suite, "end", 60);
    TCase *timers = support_case(suite, "timers", 30);

    tcase_add_test(end, leaves_however_late_it_was_rung);
    tcase_add_test(timers, timers_fire_in_order_of_time);
    tcase_add_test(timers, a_timer_set_again_fires_once_and_then);
    return support_run(suite);
}
