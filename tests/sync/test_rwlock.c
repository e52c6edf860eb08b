/* Read-write locks, among threads and among processes. */
#include "support/actor_support.h"

#include <string.h>

enum {
    LOCKS = 65
};

static struct board {
    weft_rwlock lock, others[LOCKS];
    _Atomic int readers, writers, together;
    volatile int64_t counter; /* under lock */
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
    board->lock.shared = shared;
    for (int i = 0; i < LOCKS; i++)
        board->others[i].shared = shared;
}

static void
set_for(weft_kind kind)
{
    set_shared(kind == WEFT_PROCESS);
}

static int
read_for_good(int64_t unused)
{
    (void)unused;
    return weft_rwlock_read(&board->lock);
}

static int
write_for_good(int64_t unused)
{
    (void)unused;
    return weft_rwlock_write(&board->lock);
}

static int
read_until(int64_t deadline)
{
    return weft_rwlock_read_until(&board->lock, weft_at(deadline));
}

static int
write_until(int64_t deadline)
{
    return weft_rwlock_write_until(&board->lock, weft_at(deadline));
}

static int
unlock(int64_t unused)
{
    (void)unused;
    weft_rwlock_unlock(&board->lock);
    return 0;
}

static int
read_other(int64_t at)
{
    return weft_rwlock_read_until(&board->others[at], WEFT_NOW);
}

static int
unlock_other(int64_t at)
{
    weft_rwlock_unlock(&board->others[at]);
    return 0;
}

/* Nobody holds it or waits for it. */
static void
expect_free(void)
{
    ck_assert_int_eq(write_until(0), 0);
    unlock(0);
    ck_assert_int_eq(read_until(0), 0);
    unlock(0);
}

static int
read_and_write(int64_t times)
{
    for (int64_t i = 0; i < times; i++) {
        const bool writes = i % 4 == 0;

        if ((writes ? weft_rwlock_write(&board->lock)
                    : weft_rwlock_read(&board->lock)) != 0)
            return 1;
        if (writes) {
            if (atomic_fetch_add(&board->writers, 1) != 0 ||
                atomic_load(&board->readers) != 0)
                return 2;
            board->counter = board->counter + 1;
            atomic_fetch_sub(&board->writers, 1);
        } else {
            if (atomic_load(&board->writers) != 0)
                return 3;
            atomic_fetch_add(&board->readers, 1);
            if (atomic_load(&board->writers) != 0)
                return 4;
            atomic_fetch_sub(&board->readers, 1);
        }
        weft_rwlock_unlock(&board->lock);
    }
    return 0;
}

START_TEST(a_writer_is_alone)
{
    struct actor *actors[4];
    const unsigned times = scaled(20000);

    set_for(kinds[_i]);
    for (int i = 0; i < 4; i++)
        actors[i] = actor_start(kinds[_i], "counter");
    for (int i = 0; i < 4; i++)
        actor_begin(actors[i], read_and_write, times);
    for (int i = 0; i < 4; i++)
        ck_assert_int_eq(actor_result(actors[i]), 0);
    ck_assert_int_eq(board->counter, 4 * ((int64_t)(times + 3) / 4));
    expect_free();
    for (int i = 0; i < 4; i++)
        actor_leave(actors[i]);
}

END_TEST

START_TEST(readers_share)
{
    struct actor *readers[3];

    set_for(kinds[_i]);
    for (int i = 0; i < 3; i++) {
        readers[i] = actor_start(kinds[_i], "reader");
        ck_assert_int_eq(actor_do(readers[i], read_until, 0), 0);
    }
    struct actor *writer = actor_start(kinds[_i], "writer");

    actor_begin_waiting(writer, write_for_good, 0);
    for (int i = 0; i < 3; i++) {
        ck_assert(!actor_is_done(writer));
        ck_assert_int_eq(actor_do(readers[i], unlock, 0), 0);
    }
    ck_assert_int_eq(actor_result(writer), 0);
    for (int i = 0; i < 3; i++) {
        ck_assert_int_eq(actor_do(readers[i], read_until, 0), WEFT_ETIMEDOUT);
        ck_assert_int_eq(actor_do(readers[i], write_until, 0), WEFT_ETIMEDOUT);
        actor_begin_waiting(readers[i], read_for_good, 0);
    }
    ck_assert_int_eq(actor_do(writer, unlock, 0), 0);
    for (int i = 0; i < 3; i++)
        ck_assert_int_eq(actor_result(readers[i]), 0); /* all at once */
    for (int i = 0; i < 3; i++) {
        ck_assert_int_eq(actor_do(readers[i], unlock, 0), 0);
        actor_leave(readers[i]);
    }
    expect_free();
    actor_leave(writer);
}

END_TEST

START_TEST(a_waiting_writer_goes_first)
{
    set_for(kinds[_i]);
    struct actor *reader = actor_start(kinds[_i], "reader");
    struct actor *writer = actor_start(kinds[_i], "writer");
    struct actor *late = actor_start(kinds[_i], "late");

    ck_assert_int_eq(actor_do(reader, read_for_good, 0), 0);
    actor_begin_waiting(writer, write_for_good, 0);
    ck_assert_int_eq(actor_do(late, read_until, 0), WEFT_ETIMEDOUT);
    actor_begin_waiting(late, read_for_good, 0);
    /* Who reads may read again, or it would wait for itself. */
    for (int i = 0; i < 3; i++)
        ck_assert_int_eq(actor_do(reader, read_until, 0), 0);
    for (int i = 0; i < 4; i++) {
        ck_assert(!actor_is_done(writer));
        ck_assert_int_eq(actor_do(reader, unlock, 0), 0);
    }
    ck_assert_int_eq(actor_result(writer), 0);
    ck_assert(!actor_is_done(late));
    ck_assert_int_eq(actor_do(writer, unlock, 0), 0);
    ck_assert_int_eq(actor_result(late), 0);
    ck_assert_int_eq(actor_do(late, unlock, 0), 0);
    expect_free();
    actor_leave(reader);
    actor_leave(writer);
    actor_leave(late);
}

END_TEST

START_TEST(a_writer_that_gives_up_lets_readers_in)
{
    set_for(kinds[_i]);
    struct actor *reader = actor_start(kinds[_i], "reader");
    struct actor *writer = actor_start(kinds[_i], "writer");
    struct actor *late = actor_start(kinds[_i], "late");

    ck_assert_int_eq(actor_do(reader, read_for_good, 0), 0);
    actor_begin_waiting(writer, write_until, WEFT_FOREVER.ns);
    actor_begin_waiting(late, read_for_good, 0);
    actor_stop(writer);
    ck_assert_int_eq(actor_result(writer), WEFT_ECANCELED);
    ck_assert_int_eq(actor_result(late), 0);
    actor_begin(writer, write_until, weft_in(20 * WEFT_MS).ns);
    ck_assert_int_eq(actor_result(writer), WEFT_ECANCELED);
    struct actor *other = actor_start(kinds[_i], "other writer");

    ck_assert_int_eq(actor_do(other, write_until, weft_in(20 * WEFT_MS).ns),
                     WEFT_ETIMEDOUT);
    ck_assert_int_eq(actor_do(other, read_until, 0), 0);
    ck_assert_int_eq(actor_do(other, unlock, 0), 0);
    ck_assert_int_eq(actor_do(reader, unlock, 0), 0);
    ck_assert_int_eq(actor_do(late, unlock, 0), 0);
    expect_free();
    actor_leave(reader);
    actor_leave(writer);
    actor_leave(late);
    actor_leave(other);
}

END_TEST

START_TEST(a_stop_does_not_end_it_for_good)
{
    set_for(kinds[_i]);
    struct actor *reader = actor_start(kinds[_i], "reader");
    struct actor *writer = actor_start(kinds[_i], "writer");

    ck_assert_int_eq(write_for_good(0), 0);
    actor_begin_waiting(reader, read_for_good, 0);
    actor_begin_waiting(writer, write_for_good, 0);
    actor_stop(reader);
    actor_stop(writer);
    unlock(0);
    ck_assert_int_eq(actor_result(writer), 0);
    ck_assert(!actor_is_done(reader));
    ck_assert_int_eq(actor_do(writer, unlock, 0), 0);
    ck_assert_int_eq(actor_result(reader), 0);
    ck_assert_int_eq(actor_do(reader, unlock, 0), 0);
    expect_free();
    actor_leave(reader);
    actor_leave(writer);
}

END_TEST

START_TEST(deadlines)
{
    const int64_t past = weft_now().ns;

    set_for(kinds[_i]);
    struct actor *writer = actor_start(kinds[_i], "writer");

    ck_assert_int_eq(weft_label(&board->lock, "table"), 0);
    ck_assert_int_eq(actor_do(writer, write_until, past), 0);
    expect_refused(read_until(0), WEFT_ETIMEDOUT, "'table'");
    expect_refused(write_until(INT64_MIN), WEFT_ETIMEDOUT, "'table'");
    expect_refused(read_until(past), WEFT_ETIMEDOUT, "'table'");
    const int64_t soon = weft_in(20 * WEFT_MS).ns;

    expect_refused(write_until(soon), WEFT_ETIMEDOUT, "'table'");
    ck_assert_int_ge(weft_now().ns, soon);
    ck_assert_int_eq(actor_do(writer, unlock, 0), 0);
    ck_assert_int_eq(read_for_good(0), 0);
    actor_begin_waiting(writer, write_until, weft_in(INT64_MAX).ns);
    unlock(0);
    ck_assert_int_eq(actor_result(writer), 0);
    ck_assert_int_eq(actor_do(writer, unlock, 0), 0);
    expect_free();
    actor_leave(writer);
}

END_TEST

START_TEST(deadlocks_are_found)
{
    set_shared(_i);
    ck_assert_int_eq(weft_label(&board->lock, "table"), 0);
    ck_assert_int_eq(write_for_good(0), 0);
    expect_refused(write_until(WEFT_FOREVER.ns), WEFT_EDEADLK, "'table'");
    expect_refused(read_until(WEFT_FOREVER.ns), WEFT_EDEADLK, "'table'");
    unlock(0);
    ck_assert_int_eq(read_for_good(0), 0);
    ck_assert_int_eq(read_until(0), 0);
    expect_refused(write_until(WEFT_FOREVER.ns), WEFT_EDEADLK, "'table'");
    unlock(0);
    expect_refused(write_until(0), WEFT_EDEADLK, "'table'");
    unlock(0);
    expect_free();
}

END_TEST

/* Immediately where somebody recovers the dead; else by the look that waiters
 * take once a second. */
START_TEST(a_dead_reader_is_forgotten)
{
    set_for(WEFT_PROCESS);
    struct actor *reader = actor_start(WEFT_PROCESS, "reader");
    struct actor *living = actor_start(WEFT_PROCESS, "living");
    struct actor *writer = actor_start(WEFT_PROCESS, "writer");

    for (int i = 0; i < 3; i++)
        ck_assert_int_eq(actor_do(reader, read_for_good, 0), 0);
    ck_assert_int_eq(actor_do(living, read_for_good, 0), 0);
    if (_i == 0)
        actor_kill(reader);
    actor_begin_waiting(writer, write_for_good, 0);
    if (_i == 1)
        actor_kill(reader);
    ck_assert_int_eq(actor_do(living, unlock, 0), 0);
    ck_assert_int_eq(actor_result(writer), 0);
    ck_assert_int_eq(read_until(0), WEFT_ETIMEDOUT);
    ck_assert_int_eq(actor_do(writer, unlock, 0), 0);
    expect_free();
    actor_leave(living);
    actor_leave(writer);
}

END_TEST

/* The living one that reads still does. */
START_TEST(only_the_dead_are_forgotten)
{
    set_for(WEFT_PROCESS);
    struct actor *reader = actor_start(WEFT_PROCESS, "reader");
    struct actor *living = actor_start(WEFT_PROCESS, "living");

    ck_assert_int_eq(actor_do(reader, read_for_good, 0), 0);
    ck_assert_int_eq(actor_do(living, read_for_good, 0), 0);
    ck_assert_int_eq(actor_do(living, read_for_good, 0), 0);
    actor_kill(reader);
    ck_assert_int_eq(write_until(weft_in(patient(1500 * WEFT_MS)).ns),
                     WEFT_ETIMEDOUT);
    ck_assert_int_eq(actor_do(living, unlock, 0), 0);
    ck_assert_int_eq(write_until(0), WEFT_ETIMEDOUT);
    ck_assert_int_eq(actor_do(living, unlock, 0), 0);
    expect_free();
    actor_leave(living);
}

END_TEST

START_TEST(a_dead_writer_is_named_once)
{
    const weft_kind kind = kinds[_i & 1];

    set_for(kind);
    struct actor *writer = actor_start(kind, "compactor");
    struct actor *heir = actor_start(kind, "heir");
    act_fn *const take = _i & 2 ? read_for_good : write_for_good;

    ck_assert_int_eq(actor_do(writer, write_for_good, 0), 0);
    if (_i & 4)
        actor_begin_waiting(heir, take, 0);
    if (kind == WEFT_PROCESS)
        actor_kill(writer);
    else
        actor_leave(writer); /* ends without unlocking */
    if (!(_i & 4))
        actor_begin(heir, take, 0);
    ck_assert_int_eq(actor_result(heir), WEFT_OWNER_DIED);
    ck_assert_msg(strstr(heir->why, "compactor"), "%s", heir->why);
    ck_assert_int_eq(actor_do(heir, unlock, 0), 0);
    ck_assert_int_eq(actor_do(heir, take, 0), 0);
    ck_assert_int_eq(actor_do(heir, unlock, 0), 0);
    expect_free();
    actor_leave(heir);
}

END_TEST

START_TEST(a_dead_waiting_writer_keeps_nobody_out)
{
    set_for(WEFT_PROCESS);
    struct actor *reader = actor_start(WEFT_PROCESS, "reader");
    struct actor *writer = actor_start(WEFT_PROCESS, "writer");
    struct actor *late = actor_start(WEFT_PROCESS, "late");

    ck_assert_int_eq(actor_do(reader, read_for_good, 0), 0);
    actor_begin_waiting(writer, write_for_good, 0);
    actor_begin_waiting(late, read_for_good, 0);
    actor_kill(writer);
    ck_assert_int_eq(actor_result(late), 0);
    ck_assert_int_eq(actor_do(late, unlock, 0), 0);
    ck_assert_int_eq(actor_do(reader, unlock, 0), 0);
    expect_free();
    actor_leave(reader);
    actor_leave(late);
}

END_TEST

/* Among processes: a private lock's readers are not known well enough. */
START_TEST(a_thread_that_ended_reads_no_more)
{
    set_shared(true);
    struct actor *reader = actor_start(WEFT_THREAD, "reader");

    ck_assert_int_eq(actor_do(reader, read_for_good, 0), 0);
    actor_leave(reader);
    ck_assert_int_ge(write_until(weft_in(patient(3 * WEFT_SECOND)).ns), 0);
    unlock(0);
    expect_free();
}

END_TEST

START_TEST(sixty_four_shared_ones)
{
    set_for(WEFT_PROCESS);
    struct actor *actor = actor_start(kinds[_i], "holder");

    for (int i = 0; i < 64; i++)
        ck_assert_int_eq(actor_do(actor, read_other, i), 0);
    ck_assert_int_eq(actor_do(actor, read_other, 64), WEFT_EAGAIN);
    ck_assert_int_eq(actor_do(actor, write_until, 0), WEFT_EAGAIN);
    ck_assert_int_eq(actor_do(actor, read_other, 5), 0); /* is not one more */
    for (int i = 0; i < 64; i++)
        ck_assert_int_eq(actor_do(actor, unlock_other, i), 0);
    ck_assert_int_eq(actor_do(actor, unlock_other, 5), 0);
    actor_leave(actor);
    for (int i = 0; i < 64; i++)
        ck_assert_int_eq(weft_rwlock_write_until(&board->others[i], WEFT_NOW),
                         0);
}

END_TEST

static void
unlock_free(void *unused)
{
    (void)unused;
    child_expect(weft_label(&board->lock, "table") == 0);
    unlock(0);
}

static int
unlock_in_job(weft_call *call)
{
    (void)call;
    unlock(0);
    return 0;
}

/* Held by this thread, unlocked by another. */
static void
unlock_by_another(void *write)
{
    weft_job *job = NULL;

    child_expect(weft_label(&board->lock, "table") == 0);
    child_expect((write ? write_for_good(0) : read_for_good(0)) == 0);
    child_expect(
        weft_start(&job, WEFT_THREAD,
                   &(weft_task){.fn = unlock_in_job, .name = "flusher"}) == 0);
    weft_join(job, WEFT_FOREVER);
}

static void
upgrade(void *unused)
{
    (void)unused;
    child_expect(weft_label(&board->lock, "table") == 0);
    child_expect(read_for_good(0) == 0);
    write_for_good(0);
}

static void
read_nothing(void *unused)
{
    (void)unused;
    weft_rwlock_read(NULL);
}

static void
write_nothing(void *unused)
{
    (void)unused;
    weft_rwlock_write(NULL);
}

static void
unlock_nothing(void *unused)
{
    (void)unused;
    weft_rwlock_unlock(NULL);
}

static void
expect_stop(bool shared, void (*fn)(void *), void *arg, const char *call,
            const char *words)
{
    memset(board, 0, sizeof *board); /* each program has its own */
    set_shared(shared);
    expect_misuse(fn, arg, call, words);
}

START_TEST(misuse_stops_the_program)
{
    expect_stop(_i, unlock_free, NULL, "weft_rwlock_unlock of 'table' by ",
                "does not hold it");
    expect_stop(_i, unlock_by_another, NULL, "weft_rwlock_unlock of 'table'",
                "by 'flusher' at ");
    expect_stop(_i, unlock_by_another, board, "weft_rwlock_unlock of 'table'",
                "by 'flusher' at ");
    expect_stop(_i, upgrade, NULL, "weft_rwlock_write of 'table'",
                "holds 'table' already");
    expect_stop(_i, read_nothing, NULL, "weft_rwlock_read", "NULL");
    expect_stop(_i, write_nothing, NULL, "weft_rwlock_write", "NULL");
    expect_stop(_i, unlock_nothing, NULL, "weft_rwlock_unlock", "NULL");
}

END_TEST

START_TEST(nothing_is_no_lock)
{
    expect_refused(weft_rwlock_read_until(NULL, WEFT_NOW), WEFT_EINVAL, "NULL");
    expect_refused(weft_rwlock_write_until(NULL, WEFT_NOW), WEFT_EINVAL,
                   "NULL");
}

END_TEST

int
main(void)
{
    Suite *suite = suite_create("rwlock");
    TCase *tcase = support_case(suite, "locking", 30);

    tcase_add_checked_fixture(tcase, make, NULL);
    add_for_kinds(tcase, a_writer_is_alone);
    add_for_kinds(tcase, readers_share);
    add_for_kinds(tcase, a_waiting_writer_goes_first);
    add_for_kinds(tcase, a_writer_that_gives_up_lets_readers_in);
    add_for_kinds(tcase, a_stop_does_not_end_it_for_good);
    add_for_kinds(tcase, deadlines);
    tcase_add_loop_test(tcase, deadlocks_are_found, 0, 2);
    tcase = support_case(suite, "deaths", 30);
    tcase_add_checked_fixture(tcase, make, NULL);
    tcase_add_loop_test(tcase, a_dead_reader_is_forgotten, 0, 2);
    tcase_add_test(tcase, only_the_dead_are_forgotten);
    tcase_add_loop_test(tcase, a_dead_writer_is_named_once, 0, 8);
    tcase_add_test(tcase, a_dead_waiting_writer_keeps_nobody_out);
    tcase_add_test(tcase, a_thread_that_ended_reads_no_more);
    tcase = support_case(suite, "limits and misuse", 30);
    tcase_add_checked_fixture(tcase, make, NULL);
    add_for_kinds(tcase, sixty_four_shared_ones);
    tcase_add_loop_test(tcase, misuse_stops_the_program, 0, 2);
    tcase_add_test(tcase, nothing_is_no_lock);
    return support_run(suite);
}
