/* Being asked to stop. */
#include "os/os.h"
#include "support/support.h"
#include "wait/stop.h"

#include <weft/task.h>

#include <signal.h>

static bool
is_rung(int bell)
{
    struct os_poll poll = {bell, true, false};

    return os_poll(&poll, 1, 0) == 1;
}

START_TEST(nobody_asked)
{
    struct stop_cell cell;
    struct stop stop = {.asked = &cell.asked, .cell = &cell};

    stop_cell_init(&cell);
    ck_assert(!weft_stopping());
    self_get()->stop = &stop;
    ck_assert(!weft_stopping());
    ck_assert(!stop_pending(self_get()));
}

END_TEST

START_TEST(reasons_add_up)
{
    struct stop_cell cell;
    struct stop stop = {.asked = &cell.asked, .cell = &cell};

    stop_cell_init(&cell);
    self_get()->stop = &stop;
    stop_ask(&cell, 1);
    stop_ask(&cell, 4);
    ck_assert_uint_eq(cell.asked, 5);
    ck_assert_int_eq(cell.ringing, 0);
    ck_assert(weft_stopping());
    ck_assert(stop_pending(self_get()));
}

END_TEST

START_TEST(any_of_the_chain_may_be_asked)
{
    struct stop_cell cells[5];
    struct stop chain[5];

    for (int i = 0; i < 5; i++) {
        stop_cell_init(&cells[i]);
        chain[i] = (struct stop){.asked = &cells[i].asked,
                                 .cell = &cells[i],
                                 .outer = i < 4 ? &chain[i + 1] : NULL};
    }
    self_get()->stop = &chain[0];
    ck_assert(!weft_stopping());
    stop_ask(&cells[_i], 1);
    ck_assert(weft_stopping());
    self_get()->stop = chain[_i].outer;
    ck_assert(!weft_stopping());
}

END_TEST

START_TEST(a_shield_nests)
{
    struct stop_cell cell;
    struct stop stop = {.asked = &cell.asked, .cell = &cell};
    struct self *self = self_get();

    stop_cell_init(&cell);
    self->stop = &stop;
    stop_ask(&cell, 1);
    weft_shield(true);
    weft_shield(true);
    ck_assert(weft_stopping() && !stop_pending(self));
    ck_assert_uint_eq(self->slot->hot.shield, 2);
    weft_shield(false);
    ck_assert(!stop_pending(self));
    weft_shield(false);
    ck_assert(stop_pending(self));
    weft_shield(false); /* once too often */
    ck_assert(stop_pending(self));
    weft_shield(true);
    ck_assert(!stop_pending(self));
    ck_assert_uint_eq(self->slot->hot.shield, 1);
}

END_TEST

START_TEST(the_bell_rings_while_listened_to)
{
    struct stop_cell inner, outer;
    struct stop second = {.asked = &outer.asked, .cell = &outer};
    struct stop first = {
        .asked = &inner.asked, .cell = &inner, .outer = &second};
    struct self *self = self_get();
    const int bell = os_event_open();

    stop_cell_init(&inner);
    stop_cell_init(&outer);
    self->stop = &first;
    stop_ask(&inner, 1);
    ck_assert(!is_rung(bell));
    stop_listen(self, bell);
    stop_ring(&inner);
    ck_assert(is_rung(bell));
    os_event_clear(bell);
    stop_ask(&outer, 1);
    ck_assert(is_rung(bell));
    os_event_clear(bell);
    stop_ignore(self);
    stop_ask(&inner, 2);
    stop_ring(&outer);
    ck_assert(!is_rung(bell));
    ck_assert_int_eq(inner.bell, -1);
    ck_assert_int_eq(outer.bell, -1);
}

END_TEST

static struct stop_cell signalled;

static void
ask_from_handler(int number)
{
    stop_ask(&signalled, (uint32_t)number);
}

START_TEST(a_signal_handler_may_ask)
{
    const struct sigaction action = {.sa_handler = ask_from_handler};

    stop_cell_init(&signalled);
    ck_assert_int_eq(sigaction(SIGUSR1, &action, NULL), 0);
    ck_assert_int_eq(raise(SIGUSR1), 0);
    ck_assert_uint_eq(signalled.asked, SIGUSR1);
}

END_TEST

/* A stopper that saw the bell is done with it when stop_ignore returns: the
 * descriptor that then gets its number is not rung. */
static struct stop_cell racing;
static atomic_bool done;

static void *
keep_asking(void *unused)
{
    (void)unused;
    while (!atomic_load(&done))
        stop_ask(&racing, 1);
    return NULL;
}

/* Long enough for a stopper to come by. */
static void
linger(unsigned round)
{
    for (unsigned i = round % 64; i > 0; i--)
        os_pause();
}

static bool
rings_wrongly(struct self *self, unsigned round)
{
    const int bell = os_event_open();

    stop_listen(self, bell);
    linger(round);
    stop_ignore(self);
    os_close(bell);
    const int other = os_event_open(); /* of the same number */

    linger(round);
    const bool wrong = other != bell || is_rung(other);

    os_close(other);
    return wrong;
}

START_TEST(a_closed_bell_is_never_rung)
{
    struct stop stop = {.asked = &racing.asked, .cell = &racing};
    pthread_t stoppers[4]; /* more than run at a time */
    unsigned wrong = 0;

    stop_cell_init(&racing);
    self_get()->stop = &stop;
    for (int i = 0; i < 4; i++)
        stoppers[i] = support_thread(keep_asking, NULL);
    for (unsigned i = 0; i < scaled(100000); i++)
        wrong += rings_wrongly(self_get(), i);
    atomic_store(&done, true);
    for (int i = 0; i < 4; i++)
        support_join(stoppers[i]);
    ck_assert_uint_eq(wrong, 0);
}

END_TEST

int
main(void)
{
    Suite *suite = suite_create("wait/stop");
    TCase *tcase = support_case(suite, "stop", 20);

    tcase_add_test(tcase, nobody_asked);
    tcase_add_test(tcase, reasons_add_up);
    tcase_add_loop_test(tcase, any_of_the_chain_may_be_asked, 0, 5);
    tcase_add_test(tcase, a_shield_nests);
    tcase_add_test(tcase, the_bell_rings_while_listened_to);
    tcase_add_test(tcase, a_signal_handler_may_ask);
    tcase_add_test(tcase, a_closed_bell_is_never_rung);
    return support_run(suite);
}
