/* The kernel's note at a thread's death, beside glibc's robust mutexes. */
#include "os/os.h"
#include "support/support.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <unistd.h>

/* A node with its word where the list expects it. */
struct cell {
    _Atomic uint32_t word;
    char unused[20];
    void *previous;
    void *node;
};

_Static_assert(offsetof(struct cell, node) - offsetof(struct cell, word) == 32,
               "the word lies 32 bytes before its node");

struct head {
    void *list;
    long offset;
    void *pending;
};

static struct head *
find_head(void)
{
    struct head *head = NULL;
    size_t size = 0;

    ck_assert_int_eq(syscall(SYS_get_robust_list, 0, &head, &size), 0);
    return head;
}

/* Walks the list as the kernel does; and back, as glibc does. */
static int
walk(void)
{
    const struct head *head = find_head();
    const void *before = &head->list;
    int count = 0;

    ck_assert_ptr_null(head->pending);
    for (uintptr_t at = (uintptr_t)head->list; (void *)at != &head->list;
         at = *(uintptr_t *)at) {
        at &= ~(uintptr_t)1; /* a lock with priority inheritance */
        ck_assert_ptr_eq(((void **)at)[-1], before);
        before = (void *)at;
        ck_assert_int_lt(count++, 1000);
    }
    return count;
}

static void
make_robust(pthread_mutex_t *mutex, int protocol)
{
    pthread_mutexattr_t attributes;

    pthread_mutexattr_init(&attributes);
    pthread_mutexattr_setrobust(&attributes, PTHREAD_MUTEX_ROBUST);
    pthread_mutexattr_setprotocol(&attributes, protocol);
    ck_assert_int_eq(pthread_mutex_init(mutex, &attributes), 0);
    pthread_mutexattr_destroy(&attributes);
}

START_TEST(the_word_lies_where_the_slot_has_it)
{
    long offset = 0;

    ck_assert_int_eq(os_robust_offset(&offset), 0);
    ck_assert_int_eq(offset, -32);
}

END_TEST

enum {
    NODES = 2,
    LOCKS = 2,
    LINKS = NODES + LOCKS
};

static void
take_all(struct cell *cells, pthread_mutex_t *locks)
{
    ck_assert_int_eq(os_robust_link(&cells[0].node), 0);
    ck_assert_int_eq(pthread_mutex_lock(&locks[0]), 0);
    ck_assert_int_eq(os_robust_link(&cells[1].node), 0);
    ck_assert_int_eq(pthread_mutex_lock(&locks[1]), 0);
    ck_assert_int_eq(walk(), LINKS);
}

static void
give(struct cell *cells, pthread_mutex_t *locks, int which)
{
    if (which < NODES)
        os_robust_unlink(&cells[which].node);
    else
        ck_assert_int_eq(pthread_mutex_unlock(&locks[which - NODES]), 0);
}

/* Gives all back in the order that is permutation `number` of them. */
static void
give_all(struct cell *cells, pthread_mutex_t *locks, int number)
{
    int left[LINKS] = {0, 1, 2, 3};

    for (int count = LINKS; count > 0; count--) {
        const int at = number % count;

        give(cells, locks, left[at]);
        left[at] = left[count - 1];
        number /= count;
        ck_assert_int_eq(walk(), count - 1);
    }
}

static const int protocols[] = {PTHREAD_PRIO_NONE, PTHREAD_PRIO_INHERIT};

START_TEST(nodes_and_mutexes_share_the_list)
{
    struct cell cells[NODES] = {{0}};
    pthread_mutex_t locks[LOCKS];

    for (int i = 0; i < LOCKS; i++)
        make_robust(&locks[i], protocols[_i]);
    for (int number = 0; number < 24; number++) {
        take_all(cells, locks);
        give_all(cells, locks, number);
    }
    ck_assert_int_eq(walk(), 0);
}

END_TEST

START_TEST(an_unlinked_node_can_be_linked_again)
{
    struct cell cell = {0};

    for (int i = 0; i < 3; i++) {
        ck_assert_int_eq(os_robust_link(&cell.node), 0);
        ck_assert_int_eq(walk(), 1);
        os_robust_unlink(&cell.node);
        ck_assert_int_eq(walk(), 0);
    }
}

END_TEST

/* A cell that other processes see, and a process that links it. */
struct death {
    struct cell cell;
    pthread_mutex_t robust;
    _Atomic uint32_t linked;
    uint32_t flags;
    int signal;
    bool unlink;
};

static void
link_and_die(void *memory)
{
    struct death *death = memory;

    child_expect(os_robust_link(&death->cell.node) == 0);
    child_expect(pthread_mutex_lock(&death->robust) == 0);
    atomic_store(&death->cell.word, (uint32_t)os_thread_id() | death->flags);
    if (death->unlink)
        os_robust_unlink(&death->cell.node);
    atomic_store(&death->linked, 1);
    if (death->signal)
        raise(death->signal);
}

static struct death *
make_death(void)
{
    struct death *death = support_share(sizeof *death);
    pthread_mutexattr_t attributes;

    pthread_mutexattr_init(&attributes);
    pthread_mutexattr_setrobust(&attributes, PTHREAD_MUTEX_ROBUST);
    pthread_mutexattr_setpshared(&attributes, PTHREAD_PROCESS_SHARED);
    ck_assert_int_eq(pthread_mutex_init(&death->robust, &attributes), 0);
    return death;
}

static const int signals[] = {0, SIGKILL, SIGUSR1};

START_TEST(a_death_is_written_into_the_word)
{
    struct death *death = make_death();

    death->flags = OS_SLEEPERS;
    death->signal = signals[_i];
    support_run_fork(link_and_die, death);
    ck_assert_uint_eq(atomic_load(&death->cell.word), OS_DIED | OS_SLEEPERS);
    ck_assert_int_eq(pthread_mutex_lock(&death->robust), EOWNERDEAD);
}

END_TEST

START_TEST(an_unlinked_word_is_left_alone)
{
    struct death *death = make_death();

    death->unlink = true;
    death->signal = SIGKILL;
    const pid_t pid = support_fork(link_and_die, death);

    support_reap(pid);
    ck_assert_uint_eq(atomic_load(&death->cell.word), (uint32_t)pid);
    ck_assert_int_eq(pthread_mutex_lock(&death->robust), EOWNERDEAD);
}

END_TEST

static void
link_and_stay(void *memory)
{
    link_and_die(memory);
    for (;;)
        pause();
}

static _Atomic int sleeper_id;

static void *
sleep_until_death(void *memory)
{
    struct death *death = memory;
    const uint32_t old = atomic_load(&death->cell.word);

    atomic_store(&sleeper_id, os_thread_id());
    while (atomic_load(&death->cell.word) == old)
        (void)os_futex_wait(&death->cell.word, old, OS_NEVER, true);
    return NULL;
}

START_TEST(a_death_wakes_a_sleeper)
{
    struct death *death = make_death();

    death->flags = OS_SLEEPERS;
    const pid_t pid = support_fork(link_and_stay, death);

    eventually(atomic_load(&death->linked));
    const pthread_t sleeper = support_thread(sleep_until_death, death);

    eventually(sleeper_id != 0 && support_state(sleeper_id) == 'S');
    ck_assert_int_eq(kill(pid, SIGKILL), 0);
    support_join(sleeper);
    ck_assert_uint_eq(atomic_load(&death->cell.word), OS_DIED | OS_SLEEPERS);
    support_reap(pid);
}

END_TEST

static void *
die_as_a_thread(void *memory)
{
    struct cell *cell = memory;

    ck_assert_int_eq(os_robust_link(&cell->node), 0);
    atomic_store(&cell->word, (uint32_t)os_thread_id());
    return NULL;
}

START_TEST(a_threads_death_is_written_too)
{
    static struct cell cell; /* longer-lived than its thread's stack */

    support_join(support_thread(die_as_a_thread, &cell));
    ck_assert_uint_eq(atomic_load(&cell.word), OS_DIED);
}

END_TEST

int
main(void)
{
    Suite *suite = suite_create("os/robust");
    TCase *tcase = support_case(suite, "list", 10);

    tcase_add_test(tcase, the_word_lies_where_the_slot_has_it);
    support_add_table(tcase, nodes_and_mutexes_share_the_list, protocols);
    tcase_add_test(tcase, an_unlinked_node_can_be_linked_again);
    tcase = support_case(suite, "deaths", 10);
    support_add_table(tcase, a_death_is_written_into_the_word, signals);
    tcase_add_test(tcase, an_unlinked_word_is_left_alone);
    tcase_add_test(tcase, a_death_wakes_a_sleeper);
    tcase_add_test(tcase, a_threads_death_is_written_too);
    return support_run(suite);
}
