/* Fibonacci without cut-off: what a fork costs. The leaf test stands in its own
 * inline function, so that no compiler's mood decides whether leaves are calls.
 * Usage: fib [N] */
#include "command.h"
#include "speed.h"

enum {
    MOST = 92 /* the next one is no long */
};

struct fib {
    int n;
    long value;
};

static long fib_forked(weft_lane *lane, int n);

static inline long fib(weft_lane *lane, int n)
{
    return n < 2 ? n : fib_forked(lane, n);
}

static void fib_frame(weft_lane *lane, void *frame)
{
    struct fib *f = frame;

    f->value = fib(lane, f->n);
}

static long fib_forked(weft_lane *lane, int n)
{
    struct fib left = {.n = n - 1};
    weft_lane *inner = weft_fork(lane, fib_frame, &left);
    const long right = fib(inner, n - 2);

    if (weft_unfork(lane))
        return fib(lane, n - 1) + right;
    return left.value + right;
}

static long fib_serial(int n)
{
    return n < 2 ? n : fib_serial(n - 1) + fib_serial(n - 2);
}

int main(int argc, char **argv)
{
    unsigned number = 35;

    if (argc > 2 || (argc == 2 && !number_in(argv[1], 0, MOST, &number))) {
        fprintf(stderr, "usage: %s [0..%d]\n", argv[0], MOST);
        return 2;
    }
    const int n = (int)number;
    struct fib f = {.n = n};
    weft_time begun = weft_now();
    const long expected = fib_serial(n);
    const double serial = seconds_since(begun);

    begun = weft_now();
    weft_must(weft_enter(NULL, fib_frame, &f, WEFT_FOREVER), "fib");
    printf("fib(%d) = %ld\n", n, f.value);
    speed_print(serial, seconds_since(begun));
    return finish(f.value != expected);
}
