/* In how many ways can N queens stand on a board? Many forks in one function,
 * synced in reverse order, like brackets. Usage: nqueens [N] */
#include "command.h"
#include "speed.h"

enum {
    MOST = 16
};

struct board {
    unsigned size, columns, left, right; /* bits: what is attacked below */
    long ways;
};

static inline struct board next_row(const struct board *board, unsigned bit)
{
    return (struct board){board->size, board->columns | bit,
                          (board->left | bit) << 1, (board->right | bit) >> 1,
                          0};
}

static inline unsigned places(const struct board *board)
{
    return ((1U << board->size) - 1) &
           ~(board->columns | board->left | board->right);
}

static inline int is_full(const struct board *board)
{
    return board->columns == (1U << board->size) - 1;
}

static long ways_serial(const struct board *board)
{
    long ways = is_full(board);

    for (unsigned at = places(board); at; at &= at - 1) {
        const struct board next = next_row(board, at & -at);

        ways += ways_serial(&next);
    }
    return ways;
}

static void count_ways(weft_lane *lane, void *frame)
{
    struct board *board = frame;
    struct board next[MOST];
    int count = 0;

    board->ways = is_full(board);
    for (unsigned at = places(board); at; at &= at - 1) {
        next[count] = next_row(board, at & -at);
        lane = weft_fork(lane, count_ways, &next[count++]);
    }
    while (count-- > 0) {
        weft_sync(--lane);
        board->ways += next[count].ways;
    }
}

int main(int argc, char **argv)
{
    struct board board = {.size = 13};

    if (argc > 2 || (argc == 2 && !number_in(argv[1], 1, MOST, &board.size))) {
        fprintf(stderr, "usage: %s [1..%d]\n", argv[0], MOST);
        return 2;
    }
    weft_time begun = weft_now();
    const long expected = ways_serial(&board);
    const double serial = seconds_since(begun);

    begun = weft_now();
    weft_must(weft_enter(NULL, count_ways, &board, WEFT_FOREVER), "queens");
    printf("%u queens: %ld ways\n", board.size, board.ways);
    speed_print(serial, seconds_since(begun));
    return finish(board.ways != expected);
}
