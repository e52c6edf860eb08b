/* Mutexes, among threads and among processes. */
#include "support/actor_support.h"

#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

enum {
    MANY = 300,
    MOST_SHARED = 64,
    CENTURY_YEARS = 100
};

static struct board {
    weft_mutex mutex, others[MANY];
    _Atomic int inside, seen;
    volatile int64_t counter; /* under mutex */
} * board;

static void
make(void)
{
    actors_make();
    board = support_share(sizeof *board);
}

static void
set_shared(bool shared)
{
    board->mutex.shared = shared;
    for (int i = 0; i < MANY; i++)
        board->others[i].shared = shared;
}

static void
set_for(weft_kind kind)
{
    set_shared(kind == WEFT_PROCESS);
}

static int
lock(int64_t unused)
{
    (void)unused;
    return weft_mutex_lock(&board->mutex);
}

static int
lock_until(int64_t deadline)
{
    return weft_mutex_lock_until(&board->mutex, weft_at(deadline));
}

static int
unlock(int64_t unused)
{
    (void)unused;
    weft_mutex_unlock(&board->mutex);
    return 0;
}

static int
holder_is_me(int64_t unused)
{
    (void)unused;
    return weft_mutex_holder(&board->mutex) == weft_self()->tid;
}

static int
lock_other(int64_t at)
{
    return weft_mutex_lock_until(&board->others[at], WEFT_NOW);
}

static int
unlock_other(int64_t at)
{
    weft_mutex_unlock(&board->others[at]);
    return 0;
}

static const char *
why_of(const struct actor *actor)
{
    return actor->why;
}

static int
count_up(int64_t times)
{
    for (int64_t i = 0; i < times; i++) {
        const int status =
            i % 2 ? weft_mutex_lock(&board->mutex)
                  : weft_mutex_lock_until(&board->mutex, WEFT_FOREVER);

        if (status != 0 || atomic_fetch_add(&board->inside, 1) != 0)
            return 1;
        board->counter = board->counter + 1;
        atomic_fetch_sub(&board->inside, 1);
        weft_mutex_unlock(&board->mutex);
    }
    return 0;
}

START_TEST(one_at_a_time)
{
    struct actor *actors[4];
    const unsigned times = scaled(50000);

    set_for(kinds[_i]);
    for (int i = 0; i < 4; i++)
        actors[i] = actor_start(kinds[_i], "counter");
    for (int i = 0; i < 4; i++)
        actor_begin(actors[i], count_up, times);
    for (int i = 0; i < 4; i++)
        ck_assert_int_eq(actor_result(actors[i]), 0);
    ck_assert_int_eq(board->counter, 4 * (int64_t)times);
    ck_assert_int_eq(weft_mutex_holder(&board->mutex), 0);
    for (int i = 0; i < 4; i++)
        actor_leave(actors[i]);
}

END_TEST

START_TEST(the_holder_is_known)
{
    set_for(kinds[_i]);
    struct actor *actor = actor_start(kinds[_i], "holder");
    weft_worker worker;

    ck_assert_int_eq(weft_mutex_holder(&board->mutex), 0);
    ck_assert_int_eq(actor_do(actor, lock, 0), 0);
    weft_worker_of(actor->job, &worker);
    ck_assert_int_eq(weft_mutex_holder(&board->mutex), worker.tid);
    ck_assert_int_eq(actor_do(actor, holder_is_me, 0), 1);
    ck_assert_int_eq(actor_do(actor, unlock, 0), 0);
    ck_assert_int_eq(weft_mutex_holder(&board->mutex), 0);
    actor_leave(actor);
}

END_TEST

START_TEST(a_deadline_ends_it)
{
    set_for(kinds[_i]);
    struct actor *actor = actor_start(kinds[_i], "holder");
    const int64_t start = weft_now().ns;

    ck_assert_int_eq(weft_label(&board->mutex, "index.lock"), 0);
    ck_assert_int_eq(actor_do(actor, lock, 0), 0);
    expect_refused(lock_until(0), WEFT_ETIMEDOUT, "index.lock");
    expect_refused(lock_until(-5), WEFT_ETIMEDOUT, "index.lock");
    expect_refused(lock_until(INT64_MIN), WEFT_ETIMEDOUT, "index.lock");
    expect_refused(lock_until(start), WEFT_ETIMEDOUT, "index.lock");
    expect_refused(lock_until(weft_in(20 * WEFT_MS).ns), WEFT_ETIMEDOUT,
                   "index.lock");
    ck_assert_int_ge(weft_now().ns, start + 20 * WEFT_MS);
    ck_assert_int_eq(actor_do(actor, holder_is_me, 0), 1);
    ck_assert_int_eq(actor_do(actor, unlock, 0), 0);
    ck_assert_int_eq(lock_until(0), 0);
    unlock(0);
    ck_assert_int_eq(lock_until(start), 0); /* free: needs no wait */
    unlock(0);
    actor_leave(actor);
}

END_TEST

START_TEST(a_century_is_waited_for)
{
    const int64_t ends[] = {
        weft_in((int64_t)CENTURY_YEARS * 365 * 24 * 3600 * WEFT_SECOND).ns,
        weft_in(INT64_MAX).ns, INT64_MAX - 1, WEFT_FOREVER.ns};

    set_for(kinds[_i]);
    struct actor *actor = actor_start(kinds[_i], "waiter");

    for (unsigned i = 0; i < sizeof ends / sizeof *ends; i++) {
        ck_assert_int_eq(lock(0), 0);
        actor_begin_waiting(actor, lock_until, ends[i]);
        unlock(0);
        ck_assert_int_eq(actor_result(actor), 0);
        ck_assert_int_eq(actor_do(actor, unlock, 0), 0);
    }
    actor_leave(actor);
}

END_TEST

START_TEST(a_stop_ends_only_lock_until)
{
    set_for(kinds[_i]);
    struct actor *patient_one = actor_start(kinds[_i], "stubborn");
    struct actor *actor = actor_start(kinds[_i], "waiter");

    ck_assert_int_eq(lock(0), 0);
    actor_begin_waiting(patient_one, lock, 0);
    actor_begin_waiting(actor, lock_until, WEFT_FOREVER.ns);
    actor_stop(actor);
    actor_stop(patient_one);
    ck_assert_int_eq(actor_result(actor), WEFT_ECANCELED);
    ck_assert_msg(strstr(why_of(actor), "stop"), "%s", why_of(actor));
    /* It was asked already. */
    ck_assert_int_eq(actor_do(actor, lock_until, WEFT_FOREVER.ns),
                     WEFT_ECANCELED);
    ck_assert(!actor_is_done(patient_one));
    unlock(0);
    ck_assert_int_eq(actor_result(patient_one), 0);
    ck_assert_int_eq(actor_do(patient_one, unlock, 0), 0);
    /* A stop never refuses what needs no wait. */
    ck_assert_int_eq(actor_do(actor, lock_until, 0), 0);
    ck_assert_int_eq(actor_do(actor, unlock, 0), 0);
    actor_leave(actor);
    actor_leave(patient_one);
}

END_TEST

START_TEST(twice_is_a_deadlock)
{
    set_shared(_i);
    ck_assert_int_eq(weft_label(&board->mutex, "index.lock"), 0);
    ck_assert_int_eq(lock(0), 0);
    expect_refused(lock_until(0), WEFT_EDEADLK, "index.lock");
    expect_refused(lock_until(WEFT_FOREVER.ns), WEFT_EDEADLK, "index.lock");
    unlock(0);
    ck_assert_int_eq(weft_mutex_holder(&board->mutex), 0);
}

END_TEST

START_TEST(a_recursive_one_counts)
{
    set_for(kinds[_i]);
    board->mutex.recursive = true;
    struct actor *actor = actor_start(kinds[_i], "other");

    for (int i = 0; i < 10; i++)
        ck_assert_int_eq(i % 2 ? lock(0) : lock_until(0), 0);
    for (int i = 0; i < 10; i++) {
        ck_assert_int_eq(actor_do(actor, lock_until, 0), WEFT_ETIMEDOUT);
        unlock(0);
    }
    ck_assert_int_eq(actor_do(actor, lock_until, 0), 0);
    ck_assert_int_eq(actor_do(actor, unlock, 0), 0);
    actor_leave(actor);
}

END_TEST

START_TEST(a_recursive_one_has_a_depth)
{
    set_shared(_i);
    board->mutex.recursive = true;
    int failed = 0;

    for (int i = 0; i < 65536; i++)
        failed += lock_until(0) != 0;
    ck_assert_int_eq(failed, 0);
    expect_refused(lock_until(0), WEFT_EOVERFLOW, "65,536");
    for (int i = 0; i < 65535; i++)
        unlock(0);
    ck_assert_int_eq(weft_mutex_holder(&board->mutex), weft_self()->tid);
    unlock(0);
    ck_assert_int_eq(weft_mutex_holder(&board->mutex), 0);
}

END_TEST

START_TEST(a_dead_holder_is_named_once)
{
    struct actor *others[3];

    set_for(WEFT_PROCESS);
    board->mutex.recursive = true;
    struct actor *victim = actor_start(WEFT_PROCESS, "compactor");

    for (int i = 0; i < 3; i++)
        others[i] = actor_start(WEFT_PROCESS, "heir");
    for (int i = 0; i < 3; i++) /* thrice held, and thrice for nobody */
        ck_assert_int_eq(actor_do(victim, lock, 0), 0);
    if (_i == 0)
        actor_kill(victim); /* nobody waits */
    for (int i = 0; i < 3; i++)
        actor_begin(others[i], lock, 0);
    if (_i == 1) {
        for (int i = 0; i < 3; i++)
            eventually(actor_waits(others[i]));
        actor_kill(victim);
    }
    int died = 0;

    for (int left = 3; left > 0; left--) {
        int i = 0;

        eventually(actor_is_done(others[i = (i + 1) % left]));
        const int status = actor_result(others[i]);

        ck_assert_int_eq(status, left == 3 ? WEFT_OWNER_DIED : 0);
        died += status == WEFT_OWNER_DIED;
        if (status == WEFT_OWNER_DIED)
            ck_assert_msg(strstr(why_of(others[i]), "compactor"), "%s",
                          why_of(others[i]));
        ck_assert_int_eq(actor_do(others[i], unlock, 0), 0);
        actor_leave(others[i]);
        others[i] = others[left - 1];
    }
    ck_assert_int_eq(died, 1);
    ck_assert_int_eq(lock_until(0), 0);
    unlock(0);
}

END_TEST

START_TEST(a_thread_that_ended_is_named_once)
{
    set_shared(_i & 1);
    ck_assert_int_eq(weft_label(&board->mutex, "index.lock"), 0);
    struct actor *victim = actor_start(WEFT_THREAD, "compactor");
    struct actor *heir = actor_start(WEFT_THREAD, "heir");

    ck_assert_int_eq(actor_do(victim, lock, 0), 0);
    if (_i & 2)
        actor_begin_waiting(heir, lock, 0);
    actor_leave(victim);
    if (!(_i & 2))
        actor_begin(heir, lock, 0);
    ck_assert_int_eq(actor_result(heir), WEFT_OWNER_DIED);
    ck_assert_msg(strstr(why_of(heir), "compactor") &&
                      strstr(why_of(heir), "index.lock"),
                  "%s", why_of(heir));
    ck_assert_int_eq(actor_do(heir, unlock, 0), 0);
    ck_assert_int_eq(actor_do(heir, lock, 0), 0);
    ck_assert_int_eq(actor_do(heir, unlock, 0), 0);
    ck_assert_int_eq(lock_until(0), 0);
    unlock(0);
    actor_leave(heir);
}

END_TEST

/* Foreign threads too, and nobody who waits is forgotten, whenever they end. */
static void *
lock_and_end(void *unused)
{
    (void)unused;
    child_expect(weft_mutex_lock(&board->mutex) >= 0);
    gate_open(&common->begun);
    return NULL;
}

START_TEST(threads_end_while_others_come)
{
    set_shared(_i);
    for (unsigned i = 0; i < scaled(500); i++) {
        atomic_store(&common->begun.open, 0);
        const pthread_t thread = support_thread(lock_and_end, NULL);

        gate_pass(&common->begun);
        const int64_t begun = weft_now().ns;

        ck_assert_int_eq(lock(0), WEFT_OWNER_DIED);
        ck_assert_int_lt(weft_now().ns - begun, patient(2 * WEFT_SECOND));
        unlock(0);
        support_join(thread);
    }
}

END_TEST

START_TEST(a_waiter_is_killed)
{
    set_for(WEFT_PROCESS);
    struct actor *victim = actor_start(WEFT_PROCESS, "victim");
    struct actor *other = actor_start(WEFT_PROCESS, "other");

    for (int i = 0; i < 3; i++) {
        ck_assert_int_eq(lock(0), 0);
        if (i == 0) {
            actor_begin_waiting(victim, lock, 0);
            actor_kill(victim);
        }
        actor_begin_waiting(other, lock, 0);
        unlock(0);
        ck_assert_int_eq(actor_result(other), 0);
        ck_assert_int_eq(actor_do(other, unlock, 0), 0);
    }
    actor_leave(other);
}

END_TEST

START_TEST(sixty_four_shared_ones)
{
    set_for(WEFT_PROCESS);
    board->others[0].recursive = true;
    struct actor *actor = actor_start(kinds[_i], "holder");

    for (int i = 0; i < MOST_SHARED; i++)
        ck_assert_int_eq(actor_do(actor, lock_other, i), 0);
    for (int round = 0; round < 3; round++) {
        ck_assert_int_eq(actor_do(actor, lock_other, MOST_SHARED), WEFT_EAGAIN);
        ck_assert_msg(strstr(why_of(actor), "64"), "%s", why_of(actor));
        /* What it holds already is not one more. */
        ck_assert_int_eq(actor_do(actor, lock_other, 0), 0);
        ck_assert_int_eq(actor_do(actor, unlock_other, 0), 0);
        ck_assert_int_eq(actor_do(actor, lock_other, 1), WEFT_EDEADLK);
        /* From the middle, the beginning and the end. */
        const int free = round == 0 ? 31 : round == 1 ? 0 : 63;

        ck_assert_int_eq(actor_do(actor, unlock_other, free), 0);
        ck_assert_int_eq(actor_do(actor, lock_other, MOST_SHARED), 0);
        ck_assert_int_eq(actor_do(actor, unlock_other, MOST_SHARED), 0);
        ck_assert_int_eq(actor_do(actor, lock_other, free), 0);
    }
    for (int i = 0; i < MOST_SHARED; i++)
        ck_assert_int_eq(actor_do(actor, unlock_other, i), 0);
    actor_leave(actor);
}

END_TEST

START_TEST(hundreds_of_private_ones)
{
    static const int steps[] = {1, 7, 299};

    set_shared(false);
    for (unsigned s = 0; s < 3; s++) {
        for (int i = 0; i < MANY; i++)
            ck_assert_int_eq(lock_other(i), 0);
        for (int i = 0; i < MANY; i++)
            ck_assert_int_eq(lock_other(i), WEFT_EDEADLK);
        for (int i = 0; i < MANY; i++)
            unlock_other((i * steps[s]) % MANY);
    }
}

END_TEST

/* They do not count as objects that others must know of. */
START_TEST(private_ones_leave_room_for_shared_ones)
{
    set_shared(false);
    board->mutex.shared = true;
    for (int i = 0; i < MANY; i++)
        ck_assert_int_eq(lock_other(i), 0);
    ck_assert_int_eq(lock_until(0), 0);
    unlock(0);
    ck_assert_int_eq(lock_until(0), 0);
    for (int i = 0; i < MANY; i++)
        unlock_other(i);
    unlock(0);
}

END_TEST

static void
hook(const char *sentence)
{
    dprintf(STDERR_FILENO, "hook: %s\n", sentence);
    _exit(7);
}

static void
unlock_free(void *with_hook)
{
    child_expect(
        weft_init(&(weft_options){.no_zygote = true,
                                  .on_misuse = with_hook ? hook : NULL}) == 0);
    child_expect(weft_label(&board->mutex, "index.lock") == 0);
    unlock(0);
}

static int
unlock_in_flush(weft_call *call)
{
    (void)call;
    unlock(0);
    return 0;
}

static void
unlock_by_another(void *unused)
{
    weft_job *job = NULL;

    (void)unused;
    child_expect(weft_label(&board->mutex, "index.lock") == 0);
    child_expect(lock(0) == 0);
    child_expect(weft_start(&job, WEFT_THREAD,
                            &(weft_task){.fn = unlock_in_flush,
                                         .name = "flusher"}) == 0);
    weft_join(job, WEFT_FOREVER);
}

static void
lock_twice(void *unused)
{
    (void)unused;
    child_expect(weft_label(&board->mutex, "index.lock") == 0);
    child_expect(lock(0) == 0);
    lock(0);
}

static void
lock_too_deep(void *unused)
{
    (void)unused;
    board->mutex.recursive = true;
    for (int i = 0; i < 65536; i++)
        child_expect(lock(0) == 0);
    lock(0);
}

static void
lock_too_many(void *unused)
{
    (void)unused;
    for (int i = 0; i < MOST_SHARED; i++)
        child_expect(weft_mutex_lock(&board->others[i]) == 0);
    lock(0);
}

static void
lock_nothing(void *unused)
{
    (void)unused;
    weft_mutex_lock(NULL);
}

static void
unlock_nothing(void *unused)
{
    (void)unused;
    weft_mutex_unlock(NULL);
}

static void
expect_stop(bool shared, void (*fn)(void *), const char *call,
            const char *words)
{
    memset(board, 0, sizeof *board); /* each program has its own */
    set_shared(shared);
    expect_misuse(fn, NULL, call, words);
}

START_TEST(misuse_stops_the_program)
{
    expect_stop(_i, unlock_free, "weft_mutex_unlock", "'index.lock'");
    expect_stop(_i, unlock_by_another, "weft_mutex_unlock of 'index.lock'",
                "by 'flusher' at ");
    expect_stop(_i, lock_twice, "weft_mutex_lock of 'index.lock'",
                "holds 'index.lock' already");
    expect_stop(_i, lock_too_deep, "weft_mutex_lock of ", "65,536");
    if (_i)
        expect_stop(_i, lock_too_many, "weft_mutex_lock of ", "64");
    expect_stop(_i, lock_nothing, "weft_mutex_lock", "NULL");
    expect_stop(_i, unlock_nothing, "weft_mutex_unlock", "NULL");
}

END_TEST

START_TEST(misuse_calls_the_hook)
{
    struct ran ran;

    run_program(&ran, unlock_free, &ran);
    ck_assert_int_eq(ran.code, 7);
    ck_assert(
        stands(ran.err, "hook: weft_mutex_unlock of 'index.lock' by ", 1));
}

END_TEST

START_TEST(nothing_is_no_mutex)
{
    expect_refused(weft_mutex_lock_until(NULL, WEFT_NOW), WEFT_EINVAL, "NULL");
}

END_TEST

int
main(void)
{
    Suite *suite = suite_create("mutex");
    TCase *tcase = support_case(suite, "locking", 30);

    tcase_add_checked_fixture(tcase, make, NULL);
    add_for_kinds(tcase, one_at_a_time);
    add_for_kinds(tcase, the_holder_is_known);
    add_for_kinds(tcase, a_deadline_ends_it);
    add_for_kinds(tcase, a_century_is_waited_for);
    add_for_kinds(tcase, a_stop_ends_only_lock_until);
    tcase_add_loop_test(tcase, twice_is_a_deadlock, 0, 2);
    add_for_kinds(tcase, a_recursive_one_counts);
    tcase_add_loop_test(tcase, a_recursive_one_has_a_depth, 0, 2);
    tcase = support_case(suite, "deaths", 30);
    tcase_add_checked_fixture(tcase, make, NULL);
    tcase_add_loop_test(tcase, a_dead_holder_is_named_once, 0, 2);
    tcase_add_loop_test(tcase, a_thread_that_ended_is_named_once, 0, 4);
    tcase_add_loop_test(tcase, threads_end_while_others_come, 0, 2);
    tcase_add_test(tcase, a_waiter_is_killed);
    tcase = support_case(suite, "limits and misuse", 30);
    tcase_add_checked_fixture(tcase, make, NULL);
    add_for_kinds(tcase, sixty_four_shared_ones);
    tcase_add_test(tcase, hundreds_of_private_ones);
    tcase_add_test(tcase, private_ones_leave_room_for_shared_ones);
    tcase_add_loop_test(tcase, misuse_stops_the_program, 0, 2);
    tcase_add_test(tcase, misuse_calls_the_hook);
    tcase_add_test(tcase, nothing_is_no_mutex);
    return support_run(suite);
}
