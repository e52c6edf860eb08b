/* The pool itself: its options, its size, its counts, its end. */
#include "support/pool_support.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* --- opening */

START_TEST(it_opens_with_defaults)
{
    weft_pool *pool = pool_must_open(NULL);
    const weft_pool_counts counts = counts_of(pool);

    ck_assert_uint_eq(counts.workers, 0);
    expect_end(submit(pool, .fn = do_nothing), WEFT_OK);
    ck_assert_uint_ge(counts_of(pool).workers, 1);
    pool_drain(pool);
}

END_TEST

START_TEST(nothing_starts_before_the_first_task)
{
    const int before = busy_threads();
    weft_pool *pool = open_pool(.workers = 4);

    ck_assert_int_eq(busy_threads(), before);
    pool_drain(pool);
    ck_assert_int_eq(busy_threads(), before);
}

END_TEST

static const struct {
    weft_kind kind;
    weft_pool_options options;
    int status;
    const char *word;
} wrong[] = {
    {(weft_kind)9, {.workers = 1}, WEFT_EINVAL, "kind 9"},
    {WEFT_PROCESS,
     {.worker = {.method = WEFT_FORK}},
     WEFT_ENOTSUP,
     "WEFT_FORK"},
    {WEFT_CLUSTER, {.workers = 1}, WEFT_ENOTSUP, "not built yet"},
    {WEFT_THREAD, {.workers = 5000}, WEFT_EINVAL, "5000"},
    {WEFT_THREAD, {.name = ""}, WEFT_EINVAL, "name"},
    {WEFT_THREAD, {.name = "a\nb"}, WEFT_EINVAL, "name"},
    {WEFT_THREAD, {.name = "\xff"}, WEFT_EINVAL, "name"},
    {WEFT_THREAD, {.idle = -1}, WEFT_EINVAL, "idle"},
    {WEFT_THREAD, {.engine = "mpi"}, WEFT_EINVAL, "engine"},
    {WEFT_THREAD,
     {.prepare = &(weft_task){.name = "x"}},
     WEFT_EINVAL,
     "prepare"},
    {WEFT_THREAD,
     {.prepare = &(weft_task){.fn = do_nothing, .name = ""}},
     WEFT_EINVAL,
     "name"},
    {WEFT_THREAD, {.max_tasks = 3}, WEFT_ENOTSUP, "max_tasks"},
    {WEFT_THREAD, {.recycle = 3}, WEFT_ENOTSUP, "recycle"},
    {WEFT_THREAD, {.worker = {.nice = 3}}, WEFT_ENOTSUP, "nice"},
    {WEFT_THREAD, {.worker = {.memory = 3}}, WEFT_ENOTSUP, "memory"},
    {WEFT_THREAD, {.worker = {.capture = 3}}, WEFT_ENOTSUP, "capture"},
    {WEFT_THREAD, {.worker = {.reserved = {1}}}, WEFT_EINVAL, "worker"},
};

START_TEST(wrong_options_are_refused_by_name)
{
    weft_pool *pool = NULL;

    expect_refused(weft_pool_open(&pool, wrong[_i].kind, &wrong[_i].options),
                   wrong[_i].status, wrong[_i].word);
    ck_assert_ptr_null(pool);
}

END_TEST

START_TEST(reserved_words_and_no_room_are_refused)
{
    weft_pool *pool = NULL;
    char name[300];

    for (int i = 0; i < 8; i++) {
        weft_pool_options options = {.workers = 1};

        options.reserved[i] = 1;
        expect_refused(weft_pool_open(&pool, WEFT_THREAD, &options),
                       WEFT_EINVAL, "pool options");
    }
    memset(name, 'x', sizeof name);
    name[250] = '\0';
    expect_refused(
        weft_pool_open(&pool, WEFT_THREAD, &(weft_pool_options){.name = name}),
        WEFT_EINVAL, "number");
    expect_refused(weft_pool_open(NULL, WEFT_THREAD, NULL), WEFT_EINVAL, "out");
    ck_assert_ptr_null(pool);
    ck_assert_int_eq(weft_pool_close(NULL, WEFT_FOREVER), 0);
}

END_TEST

static int
tell_name(weft_call *call)
{
    strncpy(call->result,
            pool_kind == WEFT_THREAD ? weft_self()->name : weft_process()->name,
            call->result_size - 1);
    return 0;
}

START_TEST(its_workers_have_names)
{
    weft_pool *pool = open_pool(.workers = 1, .name = "sieve");
    weft_job *job =
        submit(pool, .fn = tell_name, .name = "task", .result_size = 64);
    char name[64];

    ck_assert_int_eq(weft_result(job, name, sizeof name, WEFT_FOREVER), 0);
    ck_assert_str_eq(name, "sieve-0");
    weft_release(job);
    pool_drain(pool);
}

END_TEST

START_TEST(its_workers_are_listed)
{
    weft_pool *pool = open_pool(.workers = 1, .name = "listed");

    weft_job *job = keep_busy(pool);
    weft_worker workers[64], worker;
    const size_t count = weft_list(
        pool_kind == WEFT_THREAD ? WEFT_THREADS : WEFT_PROCESSES, workers, 64);
    bool found = false;

    for (size_t i = 0; i < count && i < 64; i++)
        found |= strcmp(workers[i].name, "listed-0") == 0;
    ck_assert(found);
    weft_worker_of(job, &worker);
    ck_assert_str_eq(worker.name, "listed-0");
    let_go(job);
    pool_drain(pool);
}

END_TEST

static int
tell_cpus(weft_call *call)
{
    *(int *)call->result =
        (int)sysconf(_SC_NPROCESSORS_ONLN) > 0 ? (int)weft_cpu_count() : 0;
    return 0;
}

static int
use_stack(weft_call *call)
{
    volatile char much[6 << 20];

    (void)call;
    much[0] = 1;
    for (size_t i = 0; i < sizeof much; i += 4096)
        much[i] = 1;
    return much[0] - 1;
}

START_TEST(worker_options_have_an_effect)
{
    static const unsigned cpus[] = {0};
    weft_pool *pool = open_pool(.workers = 1, .worker = {.stack_size = 8 << 20,
                                                         .cpus = cpus,
                                                         .cpu_count = 1});
    weft_job *job = submit(pool, .fn = tell_cpus, .result_size = sizeof(int));
    int count = 0;

    expect_end(submit(pool, .fn = use_stack), WEFT_OK);
    ck_assert_int_eq(weft_result(job, &count, sizeof count, WEFT_FOREVER), 0);
    ck_assert_int_ge(count, 1);
    weft_release(job);
    pool_drain(pool);
}

END_TEST

START_TEST(the_environment_sets_the_size)
{
    ck_assert_int_eq(setenv("WEFT_CPUS", "1", 1), 0);
    weft_pool *pool = pool_must_open(NULL);
    weft_job *busy = keep_busy(pool);
    weft_job *job = submit(pool, .fn = do_nothing);

    ck_assert_uint_eq(counts_of(pool).workers, 1);
    ck_assert(weft_is_alive(job));
    let_go(busy);
    expect_end(job, WEFT_OK);
    pool_drain(pool);
}

END_TEST

/* --- preparing */

static int
prepare(weft_call *call)
{
    const int *more = call->arg;

    weft_set_name("prepared");
    atomic_fetch_add(&common->count, *more);
    return 0;
}

START_TEST(each_worker_is_prepared_once)
{
    int more = 10;
    const weft_task first = {.fn = prepare, WEFT_ARG(more)};
    weft_pool *pool = open_pool(.workers = 2, .prepare = &first);
    weft_job *jobs[2];

    more = 1000; /* it has been copied */
    jobs[0] = submit(pool, .fn = wait_for_go);
    jobs[1] = submit(pool, .fn = wait_for_go);
    eventually(counts_of(pool).running == 2);
    eventually(atomic_load(&common->count) == 20);
    let_go(jobs[0]);
    expect_end(jobs[1], WEFT_OK);
    for (int i = 0; i < 100; i++)
        expect_end(submit(pool, .fn = do_nothing), WEFT_OK);
    ck_assert_int_eq(atomic_load(&common->count), 20);
    pool_drain(pool);
}

END_TEST

START_TEST(a_preparation_that_fails_refuses_all)
{
    const weft_task first = {.fn = do_fail, .name = "load"};
    weft_pool *pool = open_pool(.workers = (unsigned)_i, .prepare = &first);
    weft_job *jobs[8];
    int count = 0, status;

    while (count < 8 &&
           (status = weft_submit(&jobs[count], pool,
                                 &(weft_task){.fn = do_nothing})) == 0)
        count++;
    ck_assert_int_gt(count, 0);
    for (int i = 0; i < count; i++) {
        must_join(jobs[i]);
        ck_assert_ptr_nonnull(
            strstr(outcome(jobs[i])->message, "it is broken"));
        expect_end(jobs[i], WEFT_EFAILED);
    }
    expect_refused(weft_submit(&jobs[0], pool, &(weft_task){.fn = do_nothing}),
                   WEFT_EFAILED, "it is broken");
    pool_drain(pool);
}

END_TEST

/* Many submit just when the preparation fails: nobody is forgotten. */
static void *
submit_some(void *arg)
{
    for (;;) {
        weft_job *job = NULL;

        if (weft_submit(&job, arg, &(weft_task){.fn = do_nothing}) < 0)
            return NULL;
        child_expect(weft_join(job, WEFT_FOREVER) == 0);
        child_expect(weft_outcome_of(job)->status == WEFT_EFAILED);
        weft_release(job);
    }
}

START_TEST(no_task_is_forgotten_when_preparations_fail)
{
    const weft_task first = {.fn = do_fail, .name = "load"};

    const unsigned rounds = scaled(pool_kind == WEFT_THREAD ? 200 : 40);

    for (unsigned i = 0; i < rounds; i++) {
        weft_pool *pool = open_pool(.workers = 1 + i % 3, .prepare = &first);
        pthread_t threads[3];

        for (int k = 0; k < 3; k++)
            threads[k] = support_thread(submit_some, pool);
        for (int k = 0; k < 3; k++)
            support_join(threads[k]);
        pool_drain(pool);
    }
}

END_TEST

/* --- size */

START_TEST(it_grows_at_once)
{
    weft_pool *pool = open_pool(.workers = 1);
    weft_job *busy = keep_busy(pool);
    weft_job *job = submit(pool, .fn = do_nothing);

    ck_assert(weft_is_alive(job));
    ck_assert_int_eq(weft_pool_resize(pool, 2), 0);
    expect_end(job, WEFT_OK);
    let_go(busy);
    pool_drain(pool);
}

END_TEST

START_TEST(it_shrinks_as_tasks_end)
{
    weft_pool *pool = open_pool(.workers = 4);
    weft_job *jobs[4];

    for (int i = 0; i < 4; i++)
        jobs[i] = submit(pool, .fn = wait_for_go);
    eventually(counts_of(pool).running == 4);
    ck_assert_int_eq(weft_pool_resize(pool, 1), 0);
    ck_assert_uint_eq(counts_of(pool).workers, 4);
    gate_open(&common->go);
    for (int i = 0; i < 4; i++)
        expect_end(jobs[i], WEFT_OK);
    eventually(counts_of(pool).workers <= 1);
    expect_end(submit(pool, .fn = do_nothing), WEFT_OK);
    pool_drain(pool);
}

END_TEST

START_TEST(wrong_sizes_are_refused)
{
    weft_pool *pool = open_pool(.workers = 1);

    expect_refused(weft_pool_resize(pool, 0), WEFT_EINVAL, "at least one");
    expect_refused(weft_pool_resize(pool, 5000), WEFT_EINVAL, "5000");
    expect_refused(weft_pool_resize(NULL, 1), WEFT_EINVAL, "NULL");
    pool_drain(pool);
}

END_TEST

START_TEST(it_changes_size_under_load)
{
    weft_pool *pool = open_pool(.workers = 1);
    weft_scope *scope = NULL;

    ck_assert_int_eq(weft_scope_open(&scope, NULL), 0);
    for (unsigned i = 0; i < scaled(20000); i++) {
        ck_assert_int_eq(
            weft_submit(NULL, pool,
                        &(weft_task){.fn = do_nothing, .scope = scope}),
            0);
        if (i % 16 == 0)
            ck_assert_int_eq(weft_pool_resize(pool, 1 + i / 16 % 5), 0);
    }
    ck_assert_int_eq(weft_scope_close(scope, WEFT_FOREVER), 0);
    pool_drain(pool);
}

END_TEST

START_TEST(idle_workers_go)
{
    weft_pool *pool = open_pool(.workers = 2, .idle = WEFT_MS);

    for (int i = 0; i < 3; i++) {
        expect_end(submit(pool, .fn = do_nothing), WEFT_OK);
        eventually(counts_of(pool).workers == 0);
    }
    pool_drain(pool);
}

END_TEST

/* Tasks come just when a worker would go. */
START_TEST(no_task_is_lost_to_one_that_goes)
{
    weft_pool *pool = open_pool(.workers = 2, .idle = 20 * WEFT_US);

    const unsigned rounds = scaled(pool_kind == WEFT_THREAD ? 3000 : 300);

    for (unsigned i = 0; i < rounds; i++) {
        const weft_time until = weft_in((i % 40) * WEFT_US);

        expect_end(submit(pool, .fn = do_nothing), WEFT_OK);
        while (weft_now().ns < until.ns)
            support_spin();
    }
    pool_drain(pool);
}

END_TEST

START_TEST(counts_belong_together)
{
    weft_pool *pool = open_pool(.workers = 1);
    weft_job *busy = keep_busy(pool);
    weft_job *failing = submit(pool, .fn = do_fail);
    weft_job *good = submit(pool, .fn = do_nothing);
    weft_pool_counts counts = counts_of(pool);

    ck_assert_uint_eq(counts.workers, 1);
    ck_assert_uint_eq(counts.idle, 0);
    ck_assert_uint_eq(counts.waiting, 2);
    ck_assert_uint_eq(counts.running, 1);
    let_go(busy);
    expect_end(failing, WEFT_EFAILED);
    expect_end(good, WEFT_OK);
    counts = counts_of(pool);
    ck_assert_uint_eq(counts.succeeded, 2);
    ck_assert_uint_eq(counts.failed, 1);
    ck_assert_uint_eq(counts.died, 0);
    ck_assert_uint_eq(counts.waiting + counts.running, 0);
    eventually(counts_of(pool).idle == 1);
    weft_pool_count(NULL, &counts);
    ck_assert_uint_eq(counts.succeeded, 0);
    weft_pool_count(pool, NULL);
    pool_drain(pool);
}

END_TEST

/* --- a serial pool */

START_TEST(a_serial_pool_runs_tasks_at_once)
{
    weft_pool *pool = NULL;
    int seven = 7, twice = 0;

    ck_assert_int_eq(weft_pool_open(&pool, WEFT_SERIAL, NULL), 0);
    weft_job *job = submit(pool, .fn = double_it, WEFT_ARG(seven),
                           .result_size = sizeof twice);

    ck_assert(!weft_is_alive(job));
    ck_assert_int_eq(weft_result(job, &twice, sizeof twice, WEFT_NOW), 0);
    ck_assert_int_eq(twice, 14);
    weft_release(job);
    expect_end(submit(pool, .fn = do_fail), WEFT_EFAILED);
    ck_assert_uint_eq(counts_of(pool).succeeded, 1);
    ck_assert_uint_eq(counts_of(pool).failed, 1);
    expect_refused(weft_pool_resize(pool, 2), WEFT_ENOTSUP, "serial");
    pool_drain(pool);
}

END_TEST

/* What holds for threads and processes. */
static void
add_for_both(TCase *tcase)
{
    tcase_add_test(tcase, it_opens_with_defaults);
    tcase_add_test(tcase, its_workers_have_names);
    tcase_add_test(tcase, its_workers_are_listed);
    tcase_add_test(tcase, the_environment_sets_the_size);
    tcase_add_test(tcase, each_worker_is_prepared_once);
    tcase_add_loop_test(tcase, a_preparation_that_fails_refuses_all, 1, 5);
    tcase_add_test(tcase, no_task_is_forgotten_when_preparations_fail);
    tcase_add_test(tcase, it_grows_at_once);
    tcase_add_test(tcase, it_shrinks_as_tasks_end);
    tcase_add_test(tcase, wrong_sizes_are_refused);
    tcase_add_test(tcase, it_changes_size_under_load);
    tcase_add_test(tcase, idle_workers_go);
    tcase_add_test(tcase, no_task_is_lost_to_one_that_goes);
    tcase_add_test(tcase, counts_belong_together);
}

static Suite *
make(void)
{
    Suite *suite = suite_create("pool");
    TCase *tcase = support_case(suite, "opening", 10);

    tcase_add_checked_fixture(tcase, pools_of_threads, NULL);
    tcase_add_test(tcase, nothing_starts_before_the_first_task);
    support_add_table(tcase, wrong_options_are_refused_by_name, wrong);
    tcase_add_test(tcase, reserved_words_and_no_room_are_refused);
    if (!support_is_valgrind()) /* a large frame looks like another stack */
        tcase_add_test(tcase, worker_options_have_an_effect);
    tcase_add_test(tcase, a_serial_pool_runs_tasks_at_once);
    add_for_both(tcase);
    if (support_is_valgrind()) /* it has no process workers */
        return suite;

    tcase = support_case(suite, "processes", 20);
    tcase_add_checked_fixture(tcase, pools_of_processes, NULL);
    add_for_both(tcase);
    return suite;
}

int
main(void)
{
    return support_run(make());
}
