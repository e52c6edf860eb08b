/* The one way to wait. */
#include "os/os.h"
#include "registry/record.h"
#include "registry/registry.h"
#include "support/support.h"
#include "wait/wait.h"

#include <weft/status.h>
#include <weft/task.h>
#include <weft/time.h>

#include <errno.h>
#include <limits.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <signal.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#define MS INT64_C(1000000)

static const struct wait_terms for_ever = {.until = OS_NEVER};

/* A thread that waits while its word is 0, stoppable by its cell. */
struct waiter_thread {
    struct wait_word word;
    struct wait_terms terms;
    struct stop_cell cell;
    struct stop stop;
    bool shielded;
    pthread_t thread;
    _Atomic int status;
    _Atomic unsigned id;
};

static void *
wait_for_word(void *memory)
{
    struct waiter_thread *waiter = memory;
    struct self *self = self_get();

    self->stop = &waiter->stop;
    weft_shield(waiter->shielded);
    atomic_store(&waiter->id, self->record.id);
    atomic_store(&waiter->status, wait_while(&waiter->word, 0, &waiter->terms));
    return NULL;
}

/* Starts it and returns when it sleeps. */
static void
start(struct waiter_thread *waiter)
{
    stop_cell_init(&waiter->cell);
    waiter->stop.asked = &waiter->cell.asked;
    waiter->stop.cell = &waiter->cell;
    waiter->status = 77;
    waiter->thread = support_thread(wait_for_word, waiter);
    eventually(atomic_load(&waiter->word.parked) > 0);
}

static int
end(struct waiter_thread *waiter)
{
    support_join(waiter->thread);
    ck_assert_uint_eq(waiter->word.parked, 0);
    return waiter->status;
}

START_TEST(a_changed_word_ends_it_at_once)
{
    struct wait_word word = {.value = 5};
    const struct wait_terms now = {.until = 0};

    ck_assert_int_eq(wait_while(&word, 4, &for_ever), 0);
    ck_assert_int_eq(wait_while(&word, 4, &now), 0);
    ck_assert_int_eq(wait_while(&word, 5, &now), WEFT_ETIMEDOUT);
}

END_TEST

START_TEST(a_post_ends_it)
{
    struct waiter_thread waiter = {.terms = for_ever};

    waiter.terms.kind = (enum slot_wait)_i;
    start(&waiter);
    wait_post(&waiter.word, 1, 1);
    ck_assert_int_eq(end(&waiter), 0);
}

END_TEST

START_TEST(a_wake_for_nothing_does_not)
{
    struct waiter_thread waiter = {.terms = for_ever};

    start(&waiter);
    for (int i = 0; i < 100; i++)
        wait_wake(&waiter.word, INT_MAX, false);
    wait_post(&waiter.word, 0, INT_MAX);
    ck_assert_int_eq(waiter.status, 77);
    wait_post(&waiter.word, 3, 1);
    ck_assert_int_eq(end(&waiter), 0);
}

END_TEST

static const int64_t past[] = {0, -1, INT64_MIN, 1};

START_TEST(a_deadline_of_the_past_ends_it)
{
    struct wait_word word = {0};
    const struct wait_terms terms = {.until = past[_i]};

    ck_assert_int_eq(wait_while(&word, 0, &terms), WEFT_ETIMEDOUT);
    ck_assert_uint_eq(word.parked, 0);
}

END_TEST

START_TEST(a_deadline_ends_it)
{
    struct wait_word word = {0};
    const struct wait_terms terms = {.until = os_now() + 50 * MS,
                                     .stubborn = _i};

    ck_assert_int_eq(wait_while(&word, 0, &terms), WEFT_ETIMEDOUT);
    ck_assert_int_ge(os_now(), terms.until);
    ck_assert_int_lt(os_now(), terms.until + patient(2000 * MS));
}

END_TEST

static const int64_t far[] = {INT64_C(200) * 365 * 86400 * 1000000000,
                              OS_NEVER - 1};

START_TEST(a_far_deadline_does_not)
{
    struct waiter_thread waiter = {.terms.until = far[_i]};

    start(&waiter);
    ck_assert_int_eq(waiter.status, 77);
    wait_post(&waiter.word, 1, 1);
    ck_assert_int_eq(end(&waiter), 0);
}

END_TEST

START_TEST(a_stop_before_ends_it)
{
    struct stop_cell cell;
    struct stop stop = {.asked = &cell.asked, .cell = &cell};
    struct wait_word word = {0};
    const struct wait_terms soon = {.until = os_now() + 10 * MS};

    stop_cell_init(&cell);
    self_get()->stop = &stop;
    stop_ask(&cell, 1);
    ck_assert_int_eq(wait_while(&word, 0, &for_ever), WEFT_ECANCELED);
    ck_assert_int_eq(wait_while(&word, 1, &for_ever), 0);
    ck_assert_int_eq(wait_sleep(OS_NEVER), WEFT_ECANCELED);
    ck_assert_int_eq(wait_sleep(0), 0); /* there is nothing to end */
    weft_shield(true);
    ck_assert_int_eq(wait_while(&word, 0, &soon), WEFT_ETIMEDOUT);
    ck_assert_int_eq(wait_sleep(os_now() + 10 * MS), 0);
}

END_TEST

START_TEST(a_stop_meanwhile_ends_it)
{
    struct waiter_thread waiter = {.terms = for_ever};

    start(&waiter);
    stop_ask(&waiter.cell, 1);
    ck_assert_int_eq(end(&waiter), WEFT_ECANCELED);
}

END_TEST

/* Waits out what a stop would have done, then posts. */
static void
survives_a_stop(struct waiter_thread *waiter)
{
    start(waiter);
    for (int i = 0; i < 100; i++)
        stop_ask(&waiter->cell, 1);
    ck_assert_int_eq(waiter->status, 77);
    wait_post(&waiter->word, 1, 1);
    ck_assert_int_eq(end(waiter), 0);
}

START_TEST(a_shield_keeps_a_stop_off)
{
    survives_a_stop(
        &(struct waiter_thread){.terms = for_ever, .shielded = true});
}

END_TEST

START_TEST(a_stubborn_wait_keeps_a_stop_off)
{
    survives_a_stop(&(struct waiter_thread){
        .terms = {.until = OS_NEVER, .stubborn = true}});
}

END_TEST

START_TEST(a_change_comes_before_a_stop_before_the_deadline)
{
    struct stop_cell cell;
    struct stop stop = {.asked = &cell.asked, .cell = &cell};
    struct wait_word word = {.value = 1};
    const struct wait_terms terms = {.until = 1};

    stop_cell_init(&cell);
    stop_ask(&cell, 1);
    self_get()->stop = &stop;
    ck_assert_int_eq(wait_while(&word, 0, &terms), 0);
    ck_assert_int_eq(wait_while(&word, 1, &terms), WEFT_ECANCELED);
    self_get()->stop = NULL;
    ck_assert_int_eq(wait_while(&word, 1, &terms), WEFT_ETIMEDOUT);
}

END_TEST

enum {
    DEEPEST = 40
};

static const int depths[] = {1, 2, 6, 7, 8, 9, DEEPEST};

/* A task that runs inside another one ends with the outermost. */
START_TEST(the_outermost_stop_ends_it)
{
    struct waiter_thread waiter = {.terms = for_ever};
    struct stop_cell cells[DEEPEST];
    struct stop chain[DEEPEST];
    const int depth = depths[_i];

    for (int i = 0; i < depth; i++) {
        stop_cell_init(&cells[i]);
        chain[i] = (struct stop){.asked = &cells[i].asked,
                                 .cell = &cells[i],
                                 .outer = i ? &chain[i - 1] : NULL};
    }
    waiter.stop.outer = &chain[depth - 1];
    start(&waiter);
    stop_ask(&cells[0], 1);
    eventually(waiter.status != 77);
    ck_assert_int_eq(end(&waiter), WEFT_ECANCELED);
}

END_TEST

START_TEST(sleeping_takes_its_time)
{
    const int64_t until = os_now() + 30 * MS;

    ck_assert_int_eq(weft_sleep(weft_at(until)), 0);
    ck_assert_int_ge(os_now(), until);
    ck_assert_int_eq(weft_sleep(WEFT_NOW), 0);
    ck_assert_int_eq(weft_sleep(weft_at(-5)), 0);
    ck_assert_int_eq(weft_in(OS_NEVER).ns, OS_NEVER);
    ck_assert_int_le(weft_now().ns, os_now());
}

END_TEST

START_TEST(a_wait_is_published)
{
    static int object;
    struct waiter_thread waiter = {.terms = {.until = OS_NEVER - 5,
                                             .kind = SLOT_WAIT_JOIN,
                                             .object = &object,
                                             .owner = self_get()->owner}};
    weft_worker seen;

    start(&waiter);
    const struct slot *slot = registry_slot(waiter.id);

    eventually(atomic_load(&slot->hot.state) == WEFT_WAITING);
    ck_assert(record_read(slot, &seen));
    ck_assert_int_eq(seen.state, WEFT_WAITING);
    ck_assert_int_eq(seen.wait_until.ns, OS_NEVER - 5);
    ck_assert_uint_eq(seen.holder, self_get()->record.id);
    ck_assert_uint_eq(slot->hot.object, (uintptr_t)&object);
    ck_assert_uint_eq(slot->hot.kind, SLOT_WAIT_JOIN);
    ck_assert_uint_eq(slot->hot.sequence, 1);
    ck_assert_int_le(seen.since.ns, os_now());
    wait_post(&waiter.word, 1, 1);
    ck_assert_int_eq(end(&waiter), 0);
}

END_TEST

START_TEST(publishing_ends_with_the_wait)
{
    struct self *self = self_get();
    const struct slot_hot *hot = &self->slot->hot;
    struct wait_terms terms = {.kind = SLOT_WAIT_WORK};

    wait_publish(self, &terms);
    ck_assert_uint_eq(hot->state, WEFT_IDLE);
    wait_withdraw(self);
    ck_assert_uint_eq(hot->state, WEFT_RUNNING);
    terms.kind = SLOT_WAIT_SLEEP;
    wait_publish(self, &terms);
    ck_assert_uint_eq(hot->state, WEFT_WAITING);
    ck_assert_uint_eq(hot->sequence, 2);
    wait_withdraw(self);
    terms.kind = SLOT_WAIT_NONE;
    wait_publish(self, &terms);
    ck_assert_uint_eq(hot->state, WEFT_RUNNING);
    ck_assert_uint_eq(hot->sequence, 2);
    self->slot = NULL;
    wait_publish(self, &terms);
    wait_withdraw(self);
}

END_TEST

/* A ring of threads hands one token round: each waits for its own word and
 * posts the next one's. A lost wake-up is a hang. */
enum {
    RING_MOST = 8
};

static struct {
    struct wait_word words[RING_MOST];
    unsigned threads, rounds;
    _Atomic unsigned next; /* thread to start */
    _Atomic unsigned failed;
} ring;

static void *
hand_on(void *unused)
{
    const unsigned mine = atomic_fetch_add(&ring.next, 1);
    struct wait_word *word = &ring.words[mine];

    (void)unused;
    for (unsigned round = 0; round < ring.rounds; round++) {
        if (wait_while(word, round, &for_ever) != 0)
            atomic_fetch_add(&ring.failed, 1);
        const unsigned next = (mine + 1) % ring.threads;

        wait_post(&ring.words[next], round + (mine + 1 < ring.threads ? 1 : 2),
                  1);
    }
    return NULL;
}

static void
run_ring(unsigned threads, unsigned rounds)
{
    pthread_t running[RING_MOST];

    ring.threads = threads;
    ring.rounds = rounds;
    for (unsigned i = 0; i < threads; i++)
        running[i] = support_thread(hand_on, NULL);
    wait_post(&ring.words[0], 1, 1);
    for (unsigned i = 0; i < threads; i++)
        support_join(running[i]);
    ck_assert_uint_eq(ring.failed, 0);
    for (unsigned i = 0; i < threads; i++)
        ck_assert_uint_eq(ring.words[i].parked, 0);
}

START_TEST(two_threads_never_miss_a_post)
{
    run_ring(2, scaled(1000000));
}

END_TEST

START_TEST(two_threads_that_park_never_miss_a_post)
{
    policy_park_only(true);
    run_ring(2, scaled(30000));
}

END_TEST

static const unsigned ring_sizes[] = {3, 8};

START_TEST(a_ring_never_misses_a_post)
{
    run_ring(ring_sizes[_i], scaled(10000));
}

END_TEST

START_TEST(a_ring_that_parks_never_misses_a_post)
{
    policy_park_only(true);
    run_ring(ring_sizes[_i], scaled(5000));
}

END_TEST

/* Several wait for the same word; one post wakes them all. */
static void *
follow(void *unused)
{
    (void)unused;
    for (uint32_t old = 0; old < ring.rounds;) {
        if (wait_while(&ring.words[0], old, &for_ever) != 0)
            atomic_fetch_add(&ring.failed, 1);
        old = atomic_load(&ring.words[0].value);
    }
    return NULL;
}

START_TEST(a_post_to_all_reaches_all)
{
    pthread_t followers[4];

    policy_park_only(_i);
    ring.rounds = scaled(20000);
    for (int i = 0; i < 4; i++)
        followers[i] = support_thread(follow, NULL);
    for (unsigned round = 1; round <= ring.rounds; round++)
        wait_post(&ring.words[0], round, INT_MAX);
    for (int i = 0; i < 4; i++)
        support_join(followers[i]);
    ck_assert_uint_eq(ring.failed, 0);
}

END_TEST

/* One thread waits again and again; the other stops it at about the moment when
 * it goes to sleep. */
static struct {
    struct stop_cell cell;
    struct wait_word word;
    _Atomic unsigned ready, stopped;
    unsigned rounds, wrong;
} race;

static void *
wait_for_stops(void *unused)
{
    struct stop stop = {.asked = &race.cell.asked, .cell = &race.cell};

    (void)unused;
    self_get()->stop = &stop;
    for (unsigned round = 1; round <= race.rounds; round++) {
        stop_cell_init(&race.cell);
        atomic_store(&race.ready, round);
        race.wrong += wait_while(&race.word, 0, &for_ever) != WEFT_ECANCELED;
        while (atomic_load(&race.stopped) != round)
            support_spin();
    }
    self_get()->stop = NULL;
    return NULL;
}

static void
stop_at_any_moment(unsigned rounds)
{
    race.rounds = rounds;
    const pthread_t thread = support_thread(wait_for_stops, NULL);

    for (unsigned round = 1; round <= rounds; round++) {
        while (atomic_load(&race.ready) != round)
            support_spin();
        for (unsigned i = round * 7919 % 400; i > 0; i--)
            os_pause();
        stop_ask(&race.cell, 1);
        atomic_store(&race.stopped, round);
    }
    support_join(thread);
    ck_assert_uint_eq(race.wrong, 0);
}

START_TEST(a_stop_is_never_missed)
{
    policy_park_only(_i);
    stop_at_any_moment(scaled(_i ? 30000 : 15000));
}

END_TEST

static void *
post_at_any_moment(void *unused)
{
    (void)unused;
    for (unsigned round = 1; round <= race.rounds; round++) {
        while (atomic_load(&race.ready) != round)
            support_spin();
        for (unsigned i = round * 7919 % 200; i > 0; i--)
            os_pause();
        wait_post(&race.word, round, 1);
    }
    return NULL;
}

START_TEST(a_post_at_any_moment_is_heard)
{
    policy_park_only(_i);
    race.rounds = scaled(60000);
    const pthread_t thread = support_thread(post_at_any_moment, NULL);

    for (unsigned round = 1; round <= race.rounds; round++) {
        atomic_store(&race.ready, round);
        race.wrong += wait_while(&race.word, round - 1, &for_ever) != 0;
    }
    support_join(thread);
    ck_assert_uint_eq(race.wrong, 0);
}

END_TEST

/* Deadlines that pass at about the moment of the post: whatever comes first is
 * told, and a change is never told as a deadline. */
START_TEST(a_deadline_and_a_post_race)
{
    race.rounds = scaled(20000);
    const pthread_t thread = support_thread(post_at_any_moment, NULL);

    for (unsigned round = 1; round <= race.rounds; round++) {
        atomic_store(&race.ready, round);
        for (int status = 1; status != 0;) {
            const struct wait_terms terms = {.until = os_now() + 2000};

            status = wait_while(&race.word, round - 1, &terms);
            race.wrong += status != 0 && status != WEFT_ETIMEDOUT;
        }
        race.wrong += atomic_load(&race.word.value) != round;
    }
    support_join(thread);
    ck_assert_uint_eq(race.wrong, 0);
}

END_TEST

/* From now on the system refuses to wait on several words. */
static void
refuse_several_words(unsigned error)
{
    struct sock_filter code[] = {
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_futex_waitv, 0, 1),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | error),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
    };
    const struct sock_fprog program = {sizeof code / sizeof *code, code};
    struct os_wait wait = {&ring.words[0].value, 0, false};

    if (support_is_valgrind())
        return; /* it refuses anyway */
    ck_assert_int_eq(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0), 0);
    ck_assert_int_eq(prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program), 0);
    ck_assert_int_eq(os_futex_wait_any(&wait, 1, 1), -ENOSYS);
}

static const unsigned refusals[] = {ENOSYS, EPERM};

/* How long after being asked a wait ends. */
static int64_t
time_a_stop(void)
{
    struct waiter_thread waiter = {.terms = for_ever};

    start(&waiter);
    const int64_t asked = os_now();

    stop_ask(&waiter.cell, 1);
    ck_assert_int_eq(end(&waiter), WEFT_ECANCELED);
    return os_now() - asked;
}

START_TEST(slices_see_a_stop)
{
    int64_t best = OS_NEVER;

    refuse_several_words(refusals[_i]);
    for (unsigned i = 0; i < scaled(10); i++) {
        const int64_t span = time_a_stop();

        best = span < best ? span : best;
    }
    ck_assert_int_lt(best, patient(100 * MS));
}

END_TEST

START_TEST(slices_see_a_post_and_a_deadline)
{
    struct waiter_thread waiter = {.terms = for_ever};

    refuse_several_words(refusals[_i]);
    start(&waiter);
    wait_post(&waiter.word, 1, 1);
    ck_assert_int_eq(end(&waiter), 0);
    waiter = (struct waiter_thread){.terms.until = os_now() + 35 * MS};
    start(&waiter);
    ck_assert_int_eq(end(&waiter), WEFT_ETIMEDOUT);
    ck_assert_int_ge(os_now(), waiter.terms.until);
}

END_TEST

START_TEST(slices_never_miss_a_stop)
{
    refuse_several_words(ENOSYS);
    policy_park_only(true);
    stop_at_any_moment(scaled(100));
}

END_TEST

static void
nothing(int signal)
{
    (void)signal;
}

START_TEST(a_signal_does_not_end_it)
{
    const struct sigaction action = {.sa_handler = nothing};
    struct waiter_thread waiter = {.terms = for_ever};

    ck_assert_int_eq(sigaction(SIGUSR1, &action, NULL), 0);
    start(&waiter);
    for (int i = 0; i < 100; i++)
        ck_assert_int_eq(pthread_kill(waiter.thread, SIGUSR1), 0);
    ck_assert_int_eq(waiter.status, 77);
    wait_post(&waiter.word, 1, 1);
    ck_assert_int_eq(end(&waiter), 0);
}

END_TEST

/* Processes hand a token to and fro. */
struct shared_pair {
    struct wait_word words[2];
    unsigned rounds;
};

static void
post_shared(struct wait_word *word, uint32_t value)
{
    atomic_store(&word->value, value);
    wait_wake(word, 1, true);
}

static void
answer(void *memory)
{
    struct shared_pair *pair = memory;
    const struct wait_terms terms = {.until = OS_NEVER, .shared = true};

    for (unsigned round = 0; round < pair->rounds; round++) {
        child_expect(wait_while(&pair->words[1], round, &terms) == 0);
        post_shared(&pair->words[0], round + 1);
    }
}

START_TEST(two_processes_never_miss_a_post)
{
    struct shared_pair *pair = support_share(sizeof *pair);
    const struct wait_terms terms = {.until = OS_NEVER, .shared = true};

    pair->rounds = scaled(20000);
    policy_park_only(_i);
    const pid_t pid = support_fork(answer, pair);

    for (unsigned round = 0; round < pair->rounds; round++) {
        post_shared(&pair->words[1], round + 1);
        ck_assert_int_eq(wait_while(&pair->words[0], round, &terms), 0);
    }
    ck_assert_int_eq(support_reap(pid), 0);
}

END_TEST

static void
add_storms(Suite *suite)
{
    TCase *tcase = support_case(suite, "storms", 60);

    tcase_add_test(tcase, two_threads_never_miss_a_post);
    tcase_add_test(tcase, two_threads_that_park_never_miss_a_post);
    support_add_table(tcase, a_ring_never_misses_a_post, ring_sizes);
    support_add_table(tcase, a_ring_that_parks_never_misses_a_post, ring_sizes);
    tcase_add_loop_test(tcase, a_post_to_all_reaches_all, 0, 2);
    tcase_add_loop_test(tcase, a_stop_is_never_missed, 0, 2);
    tcase_add_loop_test(tcase, a_post_at_any_moment_is_heard, 0, 2);
    tcase_add_test(tcase, a_deadline_and_a_post_race);
    tcase_add_loop_test(tcase, two_processes_never_miss_a_post, 0, 2);
}

static void
add_slices(Suite *suite)
{
    TCase *tcase = support_case(suite, "slices", 20);

    support_add_table(tcase, slices_see_a_stop, refusals);
    support_add_table(tcase, slices_see_a_post_and_a_deadline, refusals);
    tcase_add_test(tcase, slices_never_miss_a_stop);
}

int
main(void)
{
    Suite *suite = suite_create("wait/wait");
    TCase *tcase = support_case(suite, "ends", 20);

    tcase_add_test(tcase, a_changed_word_ends_it_at_once);
    tcase_add_loop_test(tcase, a_post_ends_it, SLOT_WAIT_NONE,
                        SLOT_WAIT_WORK + 1);
    tcase_add_test(tcase, a_wake_for_nothing_does_not);
    support_add_table(tcase, a_deadline_of_the_past_ends_it, past);
    tcase_add_loop_test(tcase, a_deadline_ends_it, 0, 2);
    support_add_table(tcase, a_far_deadline_does_not, far);
    tcase_add_test(tcase, a_stop_before_ends_it);
    tcase_add_test(tcase, a_stop_meanwhile_ends_it);
    tcase_add_test(tcase, a_shield_keeps_a_stop_off);
    tcase_add_test(tcase, a_stubborn_wait_keeps_a_stop_off);
    tcase_add_test(tcase, a_change_comes_before_a_stop_before_the_deadline);
    support_add_table(tcase, the_outermost_stop_ends_it, depths);
    tcase_add_test(tcase, a_signal_does_not_end_it);
    tcase_add_test(tcase, sleeping_takes_its_time);
    tcase_add_test(tcase, a_wait_is_published);
    tcase_add_test(tcase, publishing_ends_with_the_wait);
    add_slices(suite);
    add_storms(suite);
    return support_run(suite);
}
