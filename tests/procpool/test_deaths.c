/* Whatever a task does to its worker, that task alone fails, its outcome says
 * exactly why, all others are right, and the pool is whole again. */
#include "support/options_support.h"
#include "support/pool_support.h"

#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

enum {
    BESIDE = 8, /* good tasks on each side of the bad one */
    ROUNDS = 10,
    HANGS = 100, /* ms that one may take; a busy machine begins it by then */
    MANY = 1000
};

static const unsigned sizes[] = {1, 2, 8};

enum {
    SIZES = sizeof sizes / sizeof *sizes
};

static weft_pool *
open_for_accidents(unsigned workers)
{
    return open_pool(.workers = workers, .name = "risky",
                     .worker = {.memory = support_is_checked() ? 0 : 64 * MIB,
                                .grace = 20 * WEFT_MS});
}

/* --- the accidents */

static int
call_abort(weft_call *call)
{
    (void)call;
    abort();
}

static int
call_exit(weft_call *call)
{
    (void)call;
    exit(3);
}

static int
call_exit_well(weft_call *call)
{
    (void)call;
    exit(0);
}

static int
call_exit_at_once(weft_call *call)
{
    (void)call;
    _exit(4);
}

static int
kill_itself(weft_call *call)
{
    (void)call;
    return kill(getpid(), SIGKILL);
}

static int
stop_itself(weft_call *call)
{
    (void)call;
    return raise(SIGSTOP);
}

static int
loop(weft_call *call)
{
    (void)call;
    for (volatile bool on = true; on;)
        ;
    return 0;
}

static int
loop_deafly(weft_call *call)
{
    sigset_t all;

    sigfillset(&all);
    sigprocmask(SIG_BLOCK, &all, NULL);
    return loop(call);
}

static int
close_all(weft_call *call)
{
    close_range(0, ~0u, 0);
    *(int *)call->result = 1;
    return 0;
}

static int
close_all_and_abort(weft_call *call)
{
    close_range(0, ~0u, 0);
    return call_abort(call);
}

/* The heads of this block and the next. */
static int
scribble_heap(weft_call *call)
{
    volatile char *block = malloc(64);

    for (int i = -16; i < 96; i++)
        block[i] = 0x41;
    free((void *)(uintptr_t)block);
    return call_abort(call);
}

static int
dig(const volatile char *above, long depth)
{
    volatile char here[1000];

    here[0] = *above;
    return depth == 0 ? here[0] : dig(here, depth - 1) + here[0];
}

static int
overflow(weft_call *call)
{
    (void)call;
    return dig("", 1L << 40);
}

static const struct accident {
    const char *name;
    weft_fn *fn;
    int status, signal, exit_code;
    const char *words; /* in the text */
    bool hangs, out_of_memory;
} accidents[] = {
    {"segfault", crash, WEFT_EDIED, SIGSEGV, -1, "SIGSEGV", false, false},
    {"abort", call_abort, WEFT_EDIED, SIGABRT, -1, "SIGABRT", false, false},
    {"exit", call_exit, WEFT_EDIED, 0, 3, "exit(3)", false, false},
    {"exit 0", call_exit_well, WEFT_EDIED, 0, 0, "exit(0)", false, false},
    {"_exit", call_exit_at_once, WEFT_EDIED, 0, 4, "exit(4)", false, false},
    {"kill", kill_itself, WEFT_EDIED, SIGKILL, -1, "unknown", false, false},
    {"loop", loop, WEFT_ETIMEDOUT, SIGTERM, -1, "timeout", true, false},
    {"deaf loop", loop_deafly, WEFT_ETIMEDOUT, SIGKILL, -1, "timeout", true,
     false},
    {"memory", take_all_and_crash, WEFT_EDIED, SIGSEGV, -1, "out of memory",
     false, true},
    {"close and abort", close_all_and_abort, WEFT_EDIED, SIGABRT, -1, "SIGABRT",
     false, false},
    {"heap", scribble_heap, WEFT_EDIED, SIGABRT, -1, "SIGABRT", false, false},
    {"stack", overflow, WEFT_EDIED, SIGSEGV, -1, "SIGSEGV", false, false},
    {"stop", stop_itself, WEFT_ETIMEDOUT, SIGKILL, -1, "timeout", true, false},
};

enum {
    ACCIDENTS = sizeof accidents / sizeof *accidents
};

static weft_job *
submit_accident(weft_pool *pool, const struct accident *accident)
{
    return submit(pool, .fn = accident->fn, .name = accident->name,
                  .result_size = sizeof(int),
                  .timeout = accident->hangs ? HANGS * WEFT_MS : 0);
}

static void
expect_accident(weft_job *job, const struct accident *accident)
{
    must_join(job);
    const weft_outcome *end = outcome(job);

    ck_assert_msg(end->status == accident->status &&
                      end->signal == accident->signal &&
                      end->exit_code == accident->exit_code &&
                      end->out_of_memory == accident->out_of_memory,
                  "%s: status %d, signal %d, exit code %d: %s", accident->name,
                  end->status, end->signal, end->exit_code, end->text);
    ck_assert_msg(strstr(end->text, accident->words) != NULL, "%s", end->text);
    ck_assert_int_gt(end->pid, 0);
    ck_assert_ptr_null(end->result);
    ck_assert_int_eq(end->attempts, 0);
    weft_release(job);
}

/* A checker has other ideas of memory, or needs what is closed. */
static bool
is_beyond_checkers(const struct accident *accident)
{
    return support_is_checked() &&
           (accident->fn == take_all_and_crash ||
            accident->fn == scribble_heap || accident->fn == overflow ||
            accident->fn == call_exit || accident->fn == call_exit_well ||
            accident->fn == close_all_and_abort);
}

START_TEST(an_accident_costs_one_task)
{
    const struct accident *accident = &accidents[_i / SIZES];
    const unsigned workers = sizes[_i % SIZES];
    weft_job *before[BESIDE], *after[BESIDE];

    if (is_beyond_checkers(accident))
        return;
    weft_pool *pool = open_for_accidents(workers);
    const unsigned rounds = scaled(ROUNDS);

    for (unsigned i = 0; i < rounds; i++) {
        submit_doubles(pool, before, 0, BESIDE);
        weft_job *job = submit_accident(pool, accident);

        submit_doubles(pool, after, BESIDE, BESIDE);
        expect_accident(job, accident);
        expect_doubles(before, 0, BESIDE);
        expect_doubles(after, BESIDE, BESIDE);
        expect_full(pool, workers);
    }
    const weft_pool_counts counts = counts_of(pool);

    ck_assert_uint_eq(counts.succeeded, rounds * (2 * BESIDE + workers));
    ck_assert_uint_eq(counts.failed + counts.died, rounds);
    pool_drain(pool);
}

END_TEST

/* Its worker cannot go on, and it is told why. */
START_TEST(who_closes_everything_harms_nobody)
{
    const unsigned workers = sizes[_i];
    weft_pool *pool = open_for_accidents(workers);
    weft_job *beside[BESIDE];

    for (unsigned i = 0; i < scaled(ROUNDS); i++) {
        weft_job *job =
            submit(pool, .fn = close_all, .result_size = sizeof(int));

        submit_doubles(pool, beside, 0, BESIDE);
        must_join(job);
        ck_assert_int_eq(outcome(job)->status, WEFT_EFAILED);
        ck_assert_ptr_nonnull(strstr(outcome(job)->text, "closed"));
        weft_release(job);
        expect_doubles(beside, 0, BESIDE);
        expect_full(pool, workers);
    }
    pool_drain(pool);
}

END_TEST

/* All at once, and all different. */
START_TEST(accidents_come_together)
{
    weft_pool *pool = open_for_accidents(sizes[_i]);
    weft_job *jobs[ACCIDENTS], *beside[ACCIDENTS];

    for (unsigned i = 0; i < scaled(ROUNDS) / 4 + 1; i++) {
        for (int k = 0; k < ACCIDENTS; k++) {
            jobs[k] = is_beyond_checkers(&accidents[k])
                          ? NULL
                          : submit_accident(pool, &accidents[k]);
            submit_doubles(pool, &beside[k], k, 1);
        }
        for (int k = 0; k < ACCIDENTS; k++) {
            if (jobs[k])
                expect_accident(jobs[k], &accidents[k]);
            expect_doubles(&beside[k], k, 1);
        }
        expect_full(pool, sizes[_i]);
    }
    pool_drain(pool);
}

END_TEST

static int
crash_at_500(weft_call *call)
{
    return *(const int *)call->arg == MANY / 2 ? crash(call) : double_it(call);
}

START_TEST(one_of_a_thousand_crashes)
{
    static weft_job *jobs[MANY];
    weft_pool *pool = open_for_accidents(sizes[_i]);

    for (unsigned k = 0; k < scaled(ROUNDS); k++) {
        for (int i = 0; i < MANY; i++)
            jobs[i] = submit(pool, .fn = crash_at_500, .name = "one of many",
                             WEFT_ARG(i), .result_size = sizeof(int));
        expect_doubles(jobs, 0, MANY / 2);
        expect_crash(jobs[MANY / 2], false);
        expect_doubles(jobs + MANY / 2 + 1, MANY / 2 + 1, MANY / 2 - 1);
        expect_full(pool, sizes[_i]);
    }
    const weft_pool_counts counts = counts_of(pool);

    ck_assert_uint_eq(counts.died, scaled(ROUNDS));
    ck_assert_uint_eq(counts.failed, 0);
    pool_drain(pool);
}

END_TEST

/* --- killed from outside */

START_TEST(a_kill_is_told)
{
    weft_pool *pool = open_for_accidents(sizes[_i]);
    weft_job *beside[BESIDE];

    for (unsigned i = 0; i < scaled(ROUNDS); i++) {
        memset(common, 0, sizeof *common);
        weft_job *job = submit(pool, .fn = loop_for_ever, .name = "victim");

        submit_doubles(pool, beside, 0, BESIDE);
        gate_pass(&common->begun);
        ck_assert_int_eq(weft_kill(job, SIGKILL), 0);
        must_join(job);
        ck_assert_int_eq(outcome(job)->signal, SIGKILL);
        ck_assert_ptr_null(strstr(outcome(job)->text, "unknown"));
        ck_assert_int_eq(weft_kill(job, SIGKILL), WEFT_ESRCH);
        expect_end(job, WEFT_EDIED);
        expect_doubles(beside, 0, BESIDE);
        expect_full(pool, sizes[_i]);
    }
    pool_drain(pool);
}

END_TEST

/* Kills workers that are idle, in the middle of a task or between two. What a
 * task ends as is what happened to it. */
START_TEST(workers_are_killed_at_any_moment)
{
    enum {
        WINDOW = 32
    };

    weft_pool *pool = open_for_accidents(sizes[_i]);
    weft_job *jobs[WINDOW];
    unsigned died = 0, seed = 4711;

    for (unsigned i = 0; i < scaled(40 * ROUNDS); i++) {
        weft_worker workers[64];

        submit_doubles(pool, jobs, 0, WINDOW);
        const size_t count = weft_list(WEFT_PROCESSES, workers, 64);
        const size_t at = (size_t)rand_r(&seed) % 64;

        if (at < count && !workers[at].service)
            (void)kill(workers[at].pid, SIGKILL);
        for (int k = 0; k < WINDOW; k++) {
            must_join(jobs[k]);
            const weft_outcome *end = outcome(jobs[k]);

            if (end->status == WEFT_EDIED) {
                ck_assert_int_eq(end->signal, SIGKILL);
                died++;
            } else {
                ck_assert_msg(end->status == WEFT_OK, "%s", end->text);
                ck_assert_int_eq(*(const int *)end->result, 2 * k);
            }
            weft_release(jobs[k]);
        }
    }
    expect_full(pool, sizes[_i]);
    ck_assert_uint_eq(counts_of(pool).died, died);
    pool_drain(pool);
}

END_TEST

int
main(void)
{
    Suite *suite = suite_create("deaths in a pool of processes");
    TCase *tcase = support_case(suite, "deaths", 60);

    tcase_add_checked_fixture(tcase, pools_of_processes, NULL);
    tcase_add_loop_test(tcase, an_accident_costs_one_task, 0,
                        ACCIDENTS * SIZES);
    support_add_table(tcase, who_closes_everything_harms_nobody, sizes);
    support_add_table(tcase, accidents_come_together, sizes);
    support_add_table(tcase, one_of_a_thousand_crashes, sizes);
    support_add_table(tcase, a_kill_is_told, sizes);
    support_add_table(tcase, workers_are_killed_at_any_moment, sizes);
    return support_run(suite);
}
