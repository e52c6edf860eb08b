/* A put that has returned is found by a get that only tries, in whoever was
 * told of the put, by whatever way: a queue orders nothing by the way that it
 * happened to be asked. With several putters an item may lie behind the place
 * of one that has not returned yet. */
#include "support/actor_support.h"

#include <linux/futex.h>
#include <sys/syscall.h>
#include <unistd.h>

enum {
    TELLERS_MOST = 3,
    ROOM = 4,
    LARGE = 16384 /* bytes, whose copying takes its time */
};

/* How the other one is told. */
enum way {
    BY_PIPE,
    BY_WORD
};

static struct board {
    weft_queue *queue;
    enum way way;
    unsigned each;         /* items of a teller */
    _Atomic uint32_t told; /* of so many */
} * board;

static void
make(void)
{
    actors_make();
    actors_make_pipe();
    board = support_share(sizeof *board);
}

/* Not by weft, which is what is tested, and with no more order than the word
 * needs. */
static void
advance(_Atomic uint32_t *word)
{
    atomic_fetch_add_explicit(word, 1, memory_order_release);
    syscall(SYS_futex, word, FUTEX_WAKE, 1, NULL, NULL, 0);
}

static void
wait_for_next(_Atomic uint32_t *word, uint32_t old)
{
    while (atomic_load_explicit(word, memory_order_acquire) == old)
        syscall(SYS_futex, word, FUTEX_WAIT, old, NULL, NULL, 0);
}

static void
tell(void)
{
    if (board->way == BY_WORD)
        advance(&board->told);
    else
        child_expect(write(actors_pipe(1), "x", 1) == 1);
}

static void
be_told(uint32_t before)
{
    char byte;

    if (board->way == BY_WORD)
        wait_for_next(&board->told, before);
    else
        child_expect(read(actors_pipe(0), &byte, 1) == 1);
}

static int
put_and_tell(int64_t nth)
{
    const char item[LARGE] = {(char)nth};

    for (unsigned i = 0; i < board->each; i++) {
        const int status = weft_queue_put(board->queue, item, WEFT_FOREVER);

        if (status < 0)
            return status;
        tell();
    }
    return 0;
}

/* How often nothing was found. */
static int
be_told_and_get(int64_t count)
{
    char item[LARGE];
    int missed = 0;

    for (int64_t i = 0; i < count; i++) {
        be_told((uint32_t)i);
        missed += weft_queue_get(board->queue, item, WEFT_NOW) != 0;
    }
    return missed;
}

static const struct row {
    weft_kind kind;
    enum way way;
    int tellers;
    size_t capacity, size;
} rows[] = {
    {WEFT_THREAD, BY_PIPE, 1, ROOM, 8},
    {WEFT_THREAD, BY_WORD, 1, ROOM, 8},
    {WEFT_THREAD, BY_WORD, TELLERS_MOST, ROOM, 8},
    {WEFT_THREAD, BY_WORD, TELLERS_MOST, ROOM, LARGE},
    {WEFT_THREAD, BY_WORD, TELLERS_MOST, 0, 8}, /* grows */
    {WEFT_PROCESS, BY_PIPE, 1, ROOM, 8},
    {WEFT_PROCESS, BY_WORD, 1, ROOM, 8},
    {WEFT_PROCESS, BY_PIPE, TELLERS_MOST, ROOM, 8},
    {WEFT_PROCESS, BY_WORD, TELLERS_MOST, ROOM, 8},
};

START_TEST(who_was_told_of_an_item_finds_one)
{
    const struct row *row = &rows[_i];
    const weft_queue_options options = {.item_size = row->size,
                                        .capacity = row->capacity,
                                        .shared = row->kind == WEFT_PROCESS};
    struct actor *tellers[TELLERS_MOST];

    ck_assert_int_eq(weft_queue_open(&board->queue, &options), 0);
    board->way = row->way;
    board->each = scaled(200000) / (unsigned)row->tellers + 1;
    struct actor *getter = actor_start(row->kind, "getter");

    for (int i = 0; i < row->tellers; i++)
        tellers[i] = actor_start(row->kind, "teller");
    actor_begin(getter, be_told_and_get, row->tellers * (int64_t)board->each);
    for (int i = 0; i < row->tellers; i++)
        actor_begin(tellers[i], put_and_tell, i);
    for (int i = 0; i < row->tellers; i++)
        ck_assert_int_eq(actor_result(tellers[i]), 0);
    ck_assert_int_eq(actor_result(getter), 0);
    ck_assert_uint_eq(weft_queue_size(board->queue), 0);
    for (int i = 0; i < row->tellers; i++)
        actor_leave(tellers[i]);
    actor_leave(getter);
    weft_queue_close(board->queue);
}

END_TEST

int
main(void)
{
    Suite *suite = suite_create("queue/told");
    TCase *tcase = support_case(suite, "told", 30);

    tcase_add_checked_fixture(tcase, make, NULL);
    support_add_table(tcase, who_was_told_of_an_item_finds_one, rows);
    return support_run(suite);
}
