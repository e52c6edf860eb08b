/* Merge sort; the two halves are sorted at the same time.
 * Usage: mergesort [COUNT] */
#include "command.h"
#include "speed.h"

#include <limits.h>

enum {
    FEW = 64,    /* are sorted by insertion */
    SOME = 2048, /* are not worth a fork */
    MANY = 4000000
};

struct part {
    int *items, *spare;
    size_t n;
};

static void insertion_sort(int *items, size_t n)
{
    for (size_t i = 1; i < n; i++) {
        const int item = items[i];
        size_t k = i;

        for (; k > 0 && items[k - 1] > item; k--)
            items[k] = items[k - 1];
        items[k] = item;
    }
}

static void merge(int *items, int *spare, size_t half, size_t n)
{
    size_t a = 0, b = half;

    for (size_t i = 0; i < n; i++)
        spare[i] = b == n || (a < half && items[a] <= items[b]) ? items[a++]
                                                                : items[b++];
    memcpy(items, spare, n * sizeof *items);
}

static void sort_serial(int *items, int *spare, size_t n)
{
    const size_t half = n / 2;

    if (n < FEW) {
        insertion_sort(items, n);
        return;
    }
    sort_serial(items, spare, half);
    sort_serial(items + half, spare + half, n - half);
    merge(items, spare, half, n);
}

static void sort(weft_lane *lane, int *items, int *spare, size_t n);

static void sort_part(weft_lane *lane, void *frame)
{
    const struct part *part = frame;

    sort(lane, part->items, part->spare, part->n);
}

static void sort(weft_lane *lane, int *items, int *spare, size_t n)
{
    const size_t half = n / 2;
    struct part left = {items, spare, half};

    if (n < SOME) {
        sort_serial(items, spare, n);
        return;
    }
    weft_lane *inner = weft_fork(lane, sort_part, &left);

    sort(inner, items + half, spare + half, n - half);
    weft_sync(lane);
    merge(items, spare, half, n);
}

int main(int argc, char **argv)
{
    unsigned count = MANY;

    if (argc > 2 || (argc == 2 && !number_in(argv[1], 1, INT_MAX, &count))) {
        fprintf(stderr, "usage: %s [COUNT]\n", argv[0]);
        return 2;
    }
    const size_t n = count;
    int *items = malloc(3 * n * sizeof *items);

    if (!items) {
        perror("mergesort");
        return 1;
    }
    int *const again = items + n, *const spare = items + 2 * n;

    for (size_t i = 0; i < n; i++)
        items[i] = again[i] = rand();
    weft_time begun = weft_now();

    sort_serial(again, spare, n);
    const double serial = seconds_since(begun);

    begun = weft_now();
    weft_must(weft_enter(NULL, sort_part, &(struct part){items, spare, n},
                         WEFT_FOREVER),
              "sort");
    printf("%zu numbers sorted\n", n);
    speed_print(serial, seconds_since(begun));
    const int differ = memcmp(items, again, n * sizeof *items) != 0;

    free(items);
    return finish(differ);
}
