/* Ringing a thread that polls, and the stop words of other processes. */
#include "os/os.h"
#include "support/support.h"
#include "wait/any.h"
#include "wait/bell.h"

#include <weft/status.h>

#include <errno.h>
#include <sys/resource.h>
#include <unistd.h>

START_TEST(a_thread_has_one_bell)
{
    struct self *self = self_get();
    const int bell = bell_get(self);

    ck_assert_int_ge(bell, 0);
    ck_assert_int_eq(self->bell, bell);
    ck_assert_int_eq(bell_get(self), bell);
}

END_TEST

static void *
get_bell(void *bell)
{
    *(int *)bell = bell_get(self_get());
    return NULL;
}

START_TEST(an_ended_threads_bell_is_closed)
{
    int bells[2];

    bell_get(self_get());
    const int fds = support_fds();

    support_join(support_thread(get_bell, &bells[0]));
    support_join(support_thread(get_bell, &bells[1]));
    ck_assert_int_eq(bells[0], bells[1]);
    ck_assert_int_eq(support_fds(), fds);
}

END_TEST

START_TEST(a_bell_that_cannot_be_says_why)
{
    struct rlimit limit;
    rlim_t before;

    self_get();
    ck_assert_int_eq(getrlimit(RLIMIT_NOFILE, &limit), 0);
    before = limit.rlim_cur;
    limit.rlim_cur = 0;
    ck_assert_int_eq(setrlimit(RLIMIT_NOFILE, &limit), 0);
    ck_assert_int_eq(bell_get(self_get()), WEFT_EAGAIN);
    ck_assert_str_eq(weft_why(), "cannot make a descriptor to be rung by: "
                                 "Too many open files");
    ck_assert_int_eq(self_get()->bell, -1);
    limit.rlim_cur = before;
    ck_assert_int_eq(setrlimit(RLIMIT_NOFILE, &limit), 0);
}

END_TEST

/* A stop word that the parent writes, as a worker has it. */
static struct stop_cell *cell; /* private to the worker but for `asked` */
static _Atomic uint32_t *asked;
static struct stop remote;

static void
make_remote(void)
{
    static struct stop_cell own;

    asked = support_share(sizeof *asked);
    cell = &own;
    stop_cell_init(cell);
    remote = (struct stop){.asked = asked, .cell = cell, .remote = true};
}

static const struct wait_terms for_ever = {.until = OS_NEVER};

static void
wait_on_silence(void *status)
{
    const int silent = os_event_open();
    struct any_source source = {.fd = silent, .readable = true};

    self_get()->stop = &remote;
    *(_Atomic int *)status = any_wait(&source, 1, 0, &for_ever);
}

static void
ask_from_outside(void)
{
    atomic_store(asked, 1);
    os_futex_wake(asked, 1000, true);
}

START_TEST(another_process_ends_a_poll)
{
    _Atomic int *status = support_share(sizeof *status);

    make_remote();
    *status = 1;
    const pid_t pid = support_fork(wait_on_silence, (void *)status);

    eventually(support_state(pid) == 'S');
    ck_assert_int_eq(*status, 1);
    ask_from_outside();
    eventually(*status != 1);
    ck_assert_int_eq(*status, WEFT_ECANCELED);
    ck_assert_int_eq(support_reap(pid), 0);
}

END_TEST

static void *
mirror_self(void *unused)
{
    struct self *self = self_get();

    (void)unused;
    self->stop = &remote;
    ck_assert_int_ne(bell_slice(self), OS_NEVER);
    stop_listen(self, bell_get(self));
    ck_assert_int_eq(bell_slice(self), OS_NEVER);
    stop_ignore(self);
    self->stop = NULL;
    ck_assert_int_eq(bell_slice(self), OS_NEVER);
    return NULL;
}

START_TEST(the_mirror_is_made_once)
{
    const struct stop *stop = &remote;

    make_remote();
    ck_assert(!bell_has_thread());
    support_join(support_thread(mirror_self, NULL));
    eventually(bell_has_thread());
    const int threads = support_threads();

    bell_mirror(stop);
    bell_mirror(stop);
    ck_assert_int_eq(support_threads(), threads);
    ask_from_outside();
    eventually(support_threads() == threads - 1);
    ck_assert(!bell_has_thread());
}

END_TEST

START_TEST(a_second_word_is_looked_at_in_slices)
{
    struct self *self = self_get();
    static struct stop first; /* the mirror keeps it */

    make_remote();
    first = remote;
    bell_mirror(&first);
    self->stop = &remote;
    ck_assert_int_ne(bell_slice(self), OS_NEVER);
    ck_assert_int_lt(bell_slice(self), os_now() + patient(1000000000));
    bell_mirror(&remote); /* does nothing */
    ck_assert_int_ne(bell_slice(self), OS_NEVER);
    self->stop = &first;
    ck_assert_int_eq(bell_slice(self), OS_NEVER);
    bell_forked();
    ck_assert_int_ne(bell_slice(self), OS_NEVER);
}

END_TEST

/* Without the mirror a poll still ends, in slices. */
static void
wait_beside_another_mirror(void *status)
{
    static struct stop_cell other_cell;
    static _Atomic uint32_t never;
    static struct stop other;

    stop_cell_init(&other_cell);
    other = (struct stop){.asked = &never, .cell = &other_cell, .remote = true};
    bell_mirror(&other);
    wait_on_silence(status);
}

START_TEST(slices_end_a_poll_too)
{
    _Atomic int *status = support_share(sizeof *status);

    make_remote();
    *status = 1;
    const pid_t pid = support_fork(wait_beside_another_mirror, (void *)status);

    eventually(support_state(pid) == 'S');
    ask_from_outside();
    eventually(*status != 1);
    ck_assert_int_eq(*status, WEFT_ECANCELED);
    ck_assert_int_eq(support_reap(pid), 0);
}

END_TEST

int
main(void)
{
    Suite *suite = suite_create("wait/bell");
    TCase *tcase = support_case(suite, "bell", 10);

    tcase_add_test(tcase, a_thread_has_one_bell);
    tcase_add_test(tcase, an_ended_threads_bell_is_closed);
    tcase_add_test(tcase, a_bell_that_cannot_be_says_why);
    tcase = support_case(suite, "other processes", 10);
    tcase_add_test(tcase, another_process_ends_a_poll);
    tcase_add_test(tcase, the_mirror_is_made_once);
    tcase_add_test(tcase, a_second_word_is_looked_at_in_slices);
    tcase_add_test(tcase, slices_end_a_poll_too);
    return support_run(suite);
}
