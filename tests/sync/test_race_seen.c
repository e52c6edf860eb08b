/* What ThreadSanitizer says of a program that shares data among threads by
 * weft: nothing where a private object guards or hands them over, and a race
 * where the lock is another one or comes too late. Each program is a fork,
 * which a report ends. Built under ThreadSanitizer only. */
#include "support/worker_support.h"

#include <string.h>

enum {
    TURNS = 500,
    REPORTED = 66 /* ThreadSanitizer's exit code */
};

static int data[TURNS]; /* what must be guarded */
static int sum;

/* One for each turn. */
static weft_event events[TURNS];
static weft_once onces[TURNS];
static weft_queue *queue;

static weft_mutex mutex, other_mutex;
static weft_mutex recursive = {.recursive = true};
static weft_rwlock rwlock, other_rwlock;
static weft_semaphore semaphore = {.limit = 1, .permits = 1};
static weft_semaphore other_semaphore = {.limit = 1, .permits = 1};
static weft_semaphore handed; /* from one to the other */
static weft_barrier barrier = {.parties = 2};
static weft_cond cond;
static int ready; /* turns; under mutex */

typedef void turn_fn(int turn);

/* --- locks: both threads add */

static void
by_mutex(int turn)
{
    weft_mutex_lock(&mutex);
    sum += turn;
    weft_mutex_unlock(&mutex);
}

static void
by_other_mutex(int turn)
{
    weft_mutex_lock(&other_mutex);
    sum += turn;
    weft_mutex_unlock(&other_mutex);
}

static void
by_mutex_until(int turn)
{
    while (weft_mutex_lock_until(&mutex, WEFT_NOW) < 0)
        ;
    sum += turn;
    weft_mutex_unlock(&mutex);
}

static void
by_recursive_mutex(int turn)
{
    weft_mutex_lock(&recursive);
    weft_mutex_lock(&recursive);
    sum += turn;
    weft_mutex_unlock(&recursive);
    weft_mutex_unlock(&recursive);
}

static void
beside_the_mutex(int turn)
{
    weft_mutex_lock(&mutex);
    weft_mutex_unlock(&mutex);
    sum += turn;
}

static void
by_writing(int turn)
{
    weft_rwlock_write(&rwlock);
    sum += turn;
    weft_rwlock_unlock(&rwlock);
}

static void
by_reading(int turn)
{
    weft_rwlock_read(&rwlock);
    child_expect(sum >= 0 && turn >= 0);
    weft_rwlock_unlock(&rwlock);
}

static void
by_writing_another(int turn)
{
    weft_rwlock_write(&other_rwlock);
    sum += turn;
    weft_rwlock_unlock(&other_rwlock);
}

/* Until both are there, which orders nothing. */
static void
wait_for_both(int turn)
{
    static _Atomic int there;

    atomic_fetch_add_explicit(&there, 1, memory_order_relaxed);
    while (atomic_load_explicit(&there, memory_order_relaxed) < 2 * (turn + 1))
        support_spin();
}

static void
by_reading_together(int turn)
{
    weft_rwlock_read(&rwlock);
    wait_for_both(turn);
    child_expect(sum >= 0);
    weft_rwlock_unlock(&rwlock);
}

static void
by_writing_what_is_read(int turn)
{
    weft_rwlock_read(&rwlock);
    wait_for_both(turn);
    sum += turn;
    weft_rwlock_unlock(&rwlock);
}

static void
by_permit(int turn)
{
    child_expect(weft_semaphore_acquire(&semaphore, WEFT_FOREVER) == 0);
    sum += turn;
    child_expect(weft_semaphore_release(&semaphore, 1) == 0);
}

static void
by_other_permit(int turn)
{
    child_expect(weft_semaphore_acquire(&other_semaphore, WEFT_FOREVER) == 0);
    sum += turn;
    child_expect(weft_semaphore_release(&other_semaphore, 1) == 0);
}

/* --- handing over: one writes and tells, the other is told and reads */

static void
tell_by_event(int turn)
{
    data[turn] = 1;
    weft_event_set(&events[turn]);
}

static void
tell_by_event_too_early(int turn)
{
    weft_event_set(&events[turn]);
    data[turn] = 1;
}

static void
wait_for_event(int turn)
{
    child_expect(weft_event_wait(&events[turn], WEFT_FOREVER) == 0);
    data[turn]++;
}

static void
wait_for_any(int turn)
{
    const weft_source sources[] = {{.queue = queue}, {.event = &events[turn]}};

    child_expect(weft_wait_any(sources, 2, 0, WEFT_FOREVER) == 1);
    data[turn]++;
}

static void
look_at_event(int turn)
{
    while (!weft_event_is_set(&events[turn]))
        ;
    data[turn]++;
}

static void
tell_by_queue(int turn)
{
    data[turn] = 1;
    child_expect(weft_queue_put(queue, &turn, WEFT_FOREVER) == 0);
}

static void
tell_by_queue_too_early(int turn)
{
    child_expect(weft_queue_put(queue, &turn, WEFT_FOREVER) == 0);
    data[turn] = 1;
}

static void
get_from_queue(int turn)
{
    int item;

    child_expect(weft_queue_get(queue, &item, WEFT_FOREVER) == 0);
    child_expect(item == turn);
    data[item]++;
}

static void
try_queue(int turn)
{
    int item;

    while (weft_queue_get(queue, &item, WEFT_NOW) < 0)
        ;
    child_expect(item == turn);
    data[item]++;
}

static void
tell_by_permit(int turn)
{
    data[turn] = 1;
    child_expect(weft_semaphore_release(&handed, 1) == 0);
}

static void
tell_by_permit_too_early(int turn)
{
    child_expect(weft_semaphore_release(&handed, 1) == 0);
    data[turn] = 1;
}

static void
wait_for_permit(int turn)
{
    child_expect(weft_semaphore_acquire(&handed, WEFT_FOREVER) == 0);
    data[turn]++;
}

static void
tell_by_cond(int turn)
{
    data[turn] = 1;
    weft_mutex_lock(&mutex);
    ready++;
    weft_mutex_unlock(&mutex);
    weft_cond_notify(&cond, 1);
}

static void
wait_for_cond(int turn)
{
    weft_mutex_lock(&mutex);
    while (ready <= turn)
        child_expect(weft_cond_wait(&cond, &mutex, WEFT_FOREVER) == 0);
    weft_mutex_unlock(&mutex);
    data[turn]++;
}

static void
write_and_meet(int turn)
{
    data[turn] = 1;
    child_expect(weft_barrier_wait(&barrier, WEFT_FOREVER) >= 0);
}

static void
meet_and_read(int turn)
{
    child_expect(weft_barrier_wait(&barrier, WEFT_FOREVER) >= 0);
    data[turn]++;
}

static void
meet_and_write(int turn)
{
    child_expect(weft_barrier_wait(&barrier, WEFT_FOREVER) >= 0);
    data[turn] = 1;
}

static int
make_datum(void *turn)
{
    *(int *)turn = 1;
    return 0;
}

static void
read_after_once(int turn)
{
    child_expect(weft_once_do(&onces[turn], make_datum, &data[turn]) == 0);
    child_expect(data[turn] == 1);
}

static void
read_before_once(int turn)
{
    child_expect(data[turn] <= 1);
    child_expect(weft_once_do(&onces[turn], make_datum, &data[turn]) == 0);
}

/* --- the programs */

static const struct program {
    turn_fn *one, *other;
    size_t capacity; /* of the queue; 0 = it grows */
    weft_order order;
    bool alternate; /* one and other, by what orders nothing, so that a race
                       does not hang on the scheduler */
} right[] =
    {
        {by_mutex, by_mutex, 1, WEFT_FIFO, false},
        {by_mutex, by_mutex, 1, WEFT_FIFO, true},
        {by_mutex, by_mutex_until, 1, WEFT_FIFO, false},
        {by_recursive_mutex, by_recursive_mutex, 1, WEFT_FIFO, false},
        {by_writing, by_writing, 1, WEFT_FIFO, false},
        {by_writing, by_reading, 1, WEFT_FIFO, false},
        {by_writing, by_reading, 1, WEFT_FIFO, true},
        {by_reading_together, by_reading_together, 1, WEFT_FIFO, false},
        {by_permit, by_permit, 1, WEFT_FIFO, false},
        {tell_by_event, wait_for_event, 1, WEFT_FIFO, false},
        {tell_by_event, wait_for_any, 1, WEFT_FIFO, false},
        {tell_by_event, look_at_event, 1, WEFT_FIFO, false},
        {tell_by_queue, get_from_queue, 4, WEFT_FIFO, false},
        {tell_by_queue, try_queue, 4, WEFT_FIFO, false},
        {tell_by_queue, get_from_queue, 0, WEFT_FIFO, false},
        {tell_by_queue, get_from_queue, 1, WEFT_LIFO, false},
        {tell_by_permit, wait_for_permit, 1, WEFT_FIFO, false},
        {tell_by_cond, wait_for_cond, 1, WEFT_FIFO, false},
        {write_and_meet, meet_and_read, 1, WEFT_FIFO, false},
        {read_after_once, read_after_once, 1, WEFT_FIFO, false},
},
  wrong[] = {
      {by_mutex, by_other_mutex, 1, WEFT_FIFO, false},
      {by_mutex, by_recursive_mutex, 1, WEFT_FIFO, false},
      {by_mutex, beside_the_mutex, 1, WEFT_FIFO, true},
      {by_mutex, by_writing, 1, WEFT_FIFO, false},
      {by_writing, by_writing_another, 1, WEFT_FIFO, false},
      {by_reading_together, by_writing_what_is_read, 1, WEFT_FIFO, false},
      {by_permit, by_other_permit, 1, WEFT_FIFO, false},
      {tell_by_event_too_early, wait_for_event, 1, WEFT_FIFO, false},
      {tell_by_event_too_early, wait_for_any, 1, WEFT_FIFO, false},
      {tell_by_queue_too_early, get_from_queue, 4, WEFT_FIFO, false},
      {tell_by_queue_too_early, get_from_queue, 0, WEFT_FIFO, false},
      {tell_by_permit_too_early, wait_for_permit, 1, WEFT_FIFO, false},
      {meet_and_write, meet_and_read, 1, WEFT_FIFO, false},
      {read_after_once, read_before_once, 1, WEFT_FIFO, true},
};

/* Where a thread sits. */
struct seat {
    turn_fn *turn;
    bool alternate;
    int nth;
};

/* Begun together. */
static struct gate gate;

static int
take_turns(weft_call *call)
{
    static _Atomic int step;
    const struct seat *seat = call->arg;

    gate_pass(&gate);
    for (int i = 0; i < TURNS; i++) {
        while (seat->alternate &&
               atomic_load_explicit(&step, memory_order_relaxed) !=
                   2 * i + seat->nth)
            support_spin();
        seat->turn(i);
        if (seat->alternate)
            atomic_fetch_add_explicit(&step, 1, memory_order_relaxed);
    }
    return 0;
}

static void
run(void *memory)
{
    const struct program *program = memory;
    const weft_queue_options options = {.item_size = sizeof(int),
                                        .capacity = program->capacity,
                                        .order = program->order};
    weft_job *jobs[2];

    child_expect(weft_queue_open(&queue, &options) == 0);
    for (int i = 0; i < 2; i++) {
        const struct seat seat = {i ? program->other : program->one,
                                  program->alternate, i};
        const weft_task task = {.fn = take_turns, WEFT_ARG(seat)};

        child_expect(weft_start(&jobs[i], WEFT_THREAD, &task) == 0);
    }
    gate_open(&gate);
    for (int i = 0; i < 2; i++) {
        child_expect(weft_join(jobs[i], WEFT_FOREVER) == 0);
        weft_release(jobs[i]);
    }
    weft_queue_close(queue);
}

static struct ran
run_one(const struct program *program)
{
    struct program copy = *program;
    struct ran ran;

    run_program(&ran, run, &copy);
    return ran;
}

START_TEST(what_is_guarded_is_no_race)
{
    const struct ran ran = run_one(&right[_i]);

    ck_assert_msg(ran.code == 0, "%d: %s", ran.code, ran.err);
    ck_assert_str_eq(ran.err, "");
}

END_TEST

START_TEST(what_is_not_guarded_is_reported)
{
    const struct ran ran = run_one(&wrong[_i]);

    ck_assert_msg(ran.code == REPORTED, "%d: %s", ran.code, ran.err);
    ck_assert_msg(strstr(ran.err, "data race"), "%s", ran.err);
}

END_TEST

int
main(void)
{
    Suite *suite = suite_create("race_seen");
    TCase *tcase = support_case(suite, "right", 10);

    support_add_table(tcase, what_is_guarded_is_no_race, right);
    tcase = support_case(suite, "wrong", 10);
    support_add_table(tcase, what_is_not_guarded_is_reported, wrong);
    return support_run(suite);
}
