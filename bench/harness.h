/* Rows of a benchmark. What is compared is measured in the same run, turn about
 * within each round, each round after a quiet moment of the machine. A row says
 *
 *   name  unit  ours  peer  ratio  promise  holds|short   least..most, peer
 *
 * Values are medians over the rounds, the ratio is that of the medians. A row
 * with loud rounds says so: something else ran when they began. Lines that
 * begin with # say how it was measured. A benchmark tells; it never fails.
 *
 * WEFT_BENCH_ROUNDS=N   rounds a row; 11
 * WEFT_BENCH_QUICK=1    3 short rounds and no waiting for quiet: does it run?
 * WEFT_BENCH_FILTER=X   only groups whose title holds X */
#ifndef BENCH_HARNESS_H
#define BENCH_HARNESS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
    BENCH_ENTRIES = 16, /* a group, at most */
    BENCH_ROUNDS = 64,
    BENCH_HOGS = 4 /* busy loops */
};

#define BENCH_US 1000
#define BENCH_MS 1000000

/* Works for about `span` ns and returns the ns that one operation took; < 0:
 * it cannot be done here. */
typedef double bench_fn(const void *arg, int64_t span);

struct bench_entry {
    const char *name;
    bench_fn *fn;
    const void *arg;
    double median, least, most; /* ns; filled by bench_measure */
    int rounds;                 /* 0: not measured */
    int loud;                   /* of them: not begun in quiet */
};

static inline struct bench_entry
bench_entry(const char *name, bench_fn *fn, const void *arg)
{
    return (struct bench_entry){.name = name, .fn = fn, .arg = arg};
}

struct bench_group {
    const char *title;
    int64_t span; /* of one entry in one round; 0 = 80 ms */
    int hogs;     /* busy loops beside it, that run where they like */
    int pin;      /* the calling thread and those it starts run only on the
                     CPU that comes pin-th; 0 = where they like */
};

/* What a ratio is held to; all-zero: nothing, it is only told. */
struct bench_promise {
    double most;
    double stretch; /* 0 = none */
};

/* Once, first, with a single thread; prints the header. */
void bench_open(const char *program);
void bench_header(void);

/* Last; returns main's 0. */
int bench_close(void);

/* Runs fn in a copy of the process, where weft counts CPUs anew. Before the
 * program's first call of weft. */
void bench_in_child(void (*fn)(void));

/* Runs all entries, each round in turn. False when the filter leaves it out. */
bool bench_measure(const struct bench_group *group, struct bench_entry *entries,
                   int count);

/* A row of ours against a peer. Nothing when ours was filtered out; `no peer`
 * when the peer is not there. */
void bench_ratio(const char *name, const struct bench_entry *ours,
                 const struct bench_entry *peer, struct bench_promise promise);

/* The one of entries 1 .. count - 1 that took least, to stand for all peers;
 * NULL = none could be measured. */
const struct bench_entry *bench_best(const struct bench_entry *entries,
                                     int count);

/* A row of ours against a limit in ns; 0 = only told. */
void bench_limit(const char *name, const struct bench_entry *ours,
                 double limit);

/* A row that counts: `count` of `wanted`. */
void bench_count(const char *name, int64_t count, int64_t wanted);

/* A row of two numbers of a unit, like bytes; their ratio is to be at most
 * `most`, 0 = only told. */
void bench_compare(const char *name, const char *unit, double ours, double peer,
                   double most);

/* The least-squares slope of ours and of a peer (or NULL) over `at`, a row. */
struct bench_points {
    const char *name, *per; /* "thread start", "alive thread" */
    int count;
    const double *at, *ours, *peer; /* ns */
};

void bench_slope(const struct bench_points *points);

/* A line that begins with #. */
void bench_note(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* Fills the entry with a sample's p-quantile, least and most. Sorts it. */
void bench_summarise(struct bench_entry *entry, double *sample, int count,
                     double p);

/* The number that a shell command prints, as a bench_fn; < 0: it fails. */
double bench_command(const void *command, int64_t span);

/* The process grows by so much touched memory in pages of 4 KiB. NULL, and a
 * note: the machine has too little, or would be left with less than 2 GiB. */
char *bench_grow(size_t mib);
void bench_shrink(char *memory, size_t mib);
bool bench_has_memory(size_t mib);

/* Waits for a quiet moment, or for long enough: false. bench_measure does so.
 */
bool bench_wait_for_quiet(void);
int bench_rounds(void);

bool bench_is_quick(void);
int64_t bench_now(void);
void bench_sleep(int64_t span);
void bench_pin(int nth);   /* the calling thread, to the nth CPU, from 0 */
void bench_unpin(void);    /* back to what it was at bench_open */
unsigned bench_cpus(void); /* at bench_open */

/* A timed loop: for (run = bench_run(span); bench_goes_on(&run);) does one
 * batch. The first half is warm-up and not counted: a scheduler may take 40 ms
 * to give two threads a CPU each. At least one batch is counted. */
struct bench_run {
    int64_t span, begun, counted_from, ended;
    int64_t batches;
};

struct bench_run bench_run(int64_t span);
bool bench_goes_on(struct bench_run *run);

/* ns an operation, of `batch` of them a batch. */
double bench_cost(const struct bench_run *run, int64_t batch);

#endif
