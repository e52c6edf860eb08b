/* Solves a file of sudokus, one a line: 81 digits from the upper left to the
 * lower right, with 0 or . for what is to be found. A task a puzzle, each with
 * a time limit, in processes: one that the search cannot finish is killed, and
 * the next one has its worker again.
 *
 *     sudoku [--processes N] [--threads N] [--limit SECONDS] FILE */
#include "command.h"
#include "speed.h"

enum {
    CELLS = 81,
    ALL = 0x1ff, /* a bit a digit */
    LINE = 256,  /* what is longer is no sudoku */
    AHEAD = 16   /* puzzles a worker that may wait to be printed */
};

struct options {
    weft_kind kind;
    unsigned workers;
    weft_duration limit;
    const char *path;
};

/* Which digits are in each row, column and box. */
struct board {
    unsigned rows[9], columns[9], boxes[9];
    char cells[CELLS];
};

/* --- in a worker */

static unsigned choices(const struct board *board, int at)
{
    const int row = at / 9, column = at % 9;

    return ALL & ~(board->rows[row] | board->columns[column] |
                   board->boxes[row / 3 * 3 + column / 3]);
}

/* Writes or takes away a digit, given as its bit. */
static void turn(struct board *board, int at, unsigned digit)
{
    const int row = at / 9, column = at % 9;

    board->rows[row] ^= digit;
    board->columns[column] ^= digit;
    board->boxes[row / 3 * 3 + column / 3] ^= digit;
}

/* The empty cell with the fewest choices; -1: none is empty. */
static int tightest(const struct board *board)
{
    int best = -1, fewest = 10;

    for (int at = 0; at < CELLS && fewest > 1; at++) {
        if (board->cells[at])
            continue;
        const int count = __builtin_popcount(choices(board, at));

        if (count < fewest) {
            fewest = count;
            best = at;
        }
    }
    return best;
}

static bool solve(struct board *board)
{
    const int at = tightest(board);

    if (at < 0)
        return true;
    for (unsigned left = choices(board, at); left && !weft_stopping();
         left &= left - 1) {
        const unsigned digit = left & -left;

        turn(board, at, digit);
        board->cells[at] = (char)('1' + __builtin_ctz(digit));
        if (solve(board))
            return true;
        turn(board, at, digit);
    }
    board->cells[at] = 0;
    return false;
}

static int solve_line(weft_call *call)
{
    const char *line = call->arg;
    struct board board = {.cells = {0}};

    if (strspn(line, ".0123456789") != CELLS || line[CELLS])
        return weft_fail(call, "not a sudoku");
    for (int at = 0; at < CELLS; at++) {
        const unsigned digit = line[at] > '0' ? 1u << (line[at] - '1') : 0;

        if (digit && !(choices(&board, at) & digit))
            return weft_fail(call, "unsolvable: two of %c", line[at]);
        turn(&board, at, digit);
        board.cells[at] = digit ? line[at] : 0;
    }
    if (!solve(&board))
        return weft_fail(call, "unsolvable");
    memcpy(call->result, board.cells, CELLS);
    return 0;
}

/* --- in the program */

static weft_job *submit(weft_pool *pool, const char *line, int number,
                        weft_duration limit)
{
    weft_job *job;
    char name[32];

    snprintf(name, sizeof name, "line %d", number);
    weft_must(weft_submit(&job, pool,
                          &(weft_task){.fn = solve_line,
                                       .name = name,
                                       .arg = line,
                                       .arg_size = strlen(line) + 1,
                                       .result_size = CELLS,
                                       .timeout = limit}),
              "submit");
    return job;
}

/* Whether it was solved. */
static bool print(weft_job *job)
{
    weft_must(weft_join(job, WEFT_FOREVER), "join");
    const weft_outcome *end = weft_outcome_of(job);
    const bool solved = end->status == WEFT_OK;
    const double ms = (double)end->wall / (double)WEFT_MS;

    if (solved)
        printf("%s, %.3f ms: %.81s\n", weft_name(job), ms,
               (const char *)end->result);
    else
        printf("%s, %.3f ms: %s\n", weft_name(job), ms,
               end->status == WEFT_EFAILED ? end->message : end->text);
    weft_release(job);
    return solved;
}

/* Prints in the order of the file, and says how many were solved. */
static int solve_all(const struct options *options, FILE *file, int *count)
{
    const bool processes = options->kind == WEFT_PROCESS;
    const int ahead = AHEAD * (int)options->workers;
    weft_job **jobs = calloc((size_t)ahead, sizeof(weft_job *));
    weft_pool *pool;
    char *line = NULL;
    size_t room = 0;
    int begun = 0, solved = 0;

    if (!jobs) {
        perror("sudoku");
        exit(1);
    }
    weft_must(
        weft_pool_open(&pool, options->kind,
                       &(weft_pool_options){
                           .workers = options->workers,
                           .name = "solver",
                           .worker = {.grace = processes ? 100 * WEFT_MS : 0}}),
        "open a pool");
    while (getline(&line, &room, file) >= 0) {
        const size_t size = strcspn(line, "\r\n");

        line[size < LINE ? size : LINE] = '\0';
        if (begun >= ahead)
            solved += print(jobs[begun % ahead]);
        jobs[begun % ahead] = submit(pool, line, begun + 1, options->limit);
        begun++;
    }
    for (int i = begun > ahead ? begun - ahead : 0; i < begun; i++)
        solved += print(jobs[i % ahead]);
    weft_pool_close(pool, WEFT_FOREVER);
    free(jobs);
    free(line);
    *count = begun;
    return solved;
}

static _Noreturn void usage(const char *program)
{
    fprintf(stderr,
            "usage: %s [--processes N] [--threads N] [--limit SECONDS] FILE\n",
            program);
    exit(2);
}

static struct options options_read(int argc, char **argv)
{
    struct options options = {WEFT_PROCESS, weft_cpu_count(), 5 * WEFT_SECOND,
                              NULL};
    int i = 1;

    for (; i + 1 < argc && strncmp(argv[i], "--", 2) == 0; i += 2) {
        const bool threads = strcmp(argv[i], "--threads") == 0;
        bool good;

        if (strcmp(argv[i], "--limit") == 0)
            good = seconds_in(argv[i + 1], &options.limit);
        else
            good = (threads || strcmp(argv[i], "--processes") == 0) &&
                   number_in(argv[i + 1], 1, MOST_WORKERS, &options.workers);
        if (!good)
            usage(argv[0]);
        if (threads)
            options.kind = WEFT_THREAD;
    }
    if (argc - i != 1)
        usage(argv[0]);
    options.path = argv[i];
    return options;
}

int main(int argc, char **argv)
{
    const struct options options = options_read(argc, argv);
    const weft_time begun = weft_now();
    FILE *file = fopen(options.path, "r");
    int count = 0;

    if (!file) {
        perror(options.path);
        return 1;
    }
    const int solved = solve_all(&options, file, &count);
    const bool bad = ferror(file);

    fclose(file);
    if (bad)
        fprintf(stderr, "%s: cannot be read\n", options.path);
    printf("%d of %d solved, %.3f s\n", solved, count, seconds_since(begun));
    return finish(bad || solved < count);
}
