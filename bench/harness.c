#include "harness.h"

#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/utsname.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum {
    SPAN = 80 * BENCH_MS,
    LOOK = 40 * BENCH_MS, /* in which the machine is to be quiet */
    WAIT = 600 * BENCH_MS,
    SETTLE = 20 * BENCH_MS, /* for the scheduler to spread the busy loops */
    MIB = 1 << 20,
    PAGE = 4096,
    RESERVE = 2048 /* MiB that are left to the system */
};

/* In all, over the program: a machine that is never quiet gets one look a
 * round. */
#define PATIENCE ((int64_t)20000 * BENCH_MS)

static struct {
    int rounds;
    bool quick;
    const char *filter;
    cpu_set_t cpus;
    pid_t hogs[BENCH_HOGS];
    int64_t waited;
    int all, loud; /* rounds, and those that began without quiet */
    double samples[BENCH_ENTRIES][BENCH_ROUNDS]; /* of the group at hand */
} bench;

int64_t
bench_now(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000 * BENCH_MS + now.tv_nsec;
}

void
bench_sleep(int64_t span)
{
    const struct timespec time = {(time_t)(span / (1000 * BENCH_MS)),
                                  (long)(span % (1000 * BENCH_MS))};

    nanosleep(&time, NULL);
}

bool
bench_is_quick(void)
{
    return bench.quick;
}

unsigned
bench_cpus(void)
{
    return (unsigned)CPU_COUNT(&bench.cpus);
}

void
bench_pin(int nth)
{
    cpu_set_t set;
    size_t cpu = 0;

    for (; cpu < CPU_SETSIZE - 1; cpu++)
        if (CPU_ISSET(cpu, &bench.cpus) && nth-- == 0)
            break;
    CPU_ZERO(&set);
    CPU_SET(cpu, &set);
    sched_setaffinity(0, sizeof set, &set);
}

void
bench_unpin(void)
{
    sched_setaffinity(0, sizeof bench.cpus, &bench.cpus);
}

/* --- Busy loops: processes, stopped but while a group wants them. */

static void
hog(pid_t parent)
{
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (getppid() != parent)
        _exit(0);
    raise(SIGSTOP);
    for (;;)
        __asm__ volatile("");
}

static void
make_hogs(void)
{
    const pid_t self = getpid();

    for (int i = 0; i < BENCH_HOGS; i++) {
        bench.hogs[i] = fork();
        if (bench.hogs[i] == 0)
            hog(self);
        waitpid(bench.hogs[i], NULL, WUNTRACED);
    }
}

static void
signal_hogs(int count, int signal)
{
    for (int i = 0; i < count && i < BENCH_HOGS; i++)
        kill(bench.hogs[i], signal);
}

/* --- A quiet moment */

/* Ticks that all CPUs together have worked. */
static long
ticks(void)
{
    long user = 0, nice = 0, system = 0, irq = 0, softirq = 0, steal = 0;
    FILE *file = fopen("/proc/stat", "re");

    if (!file)
        return 0;
    if (fscanf(file, "cpu %ld %ld %ld %*d %*d %ld %ld %ld", &user, &nice,
               &system, &irq, &softirq, &steal) != 6)
        user = 0;
    fclose(file);
    return user + nice + system + irq + softirq + steal;
}

static bool
is_quiet(void)
{
    const long before = ticks();

    bench_sleep(LOOK);
    return ticks() - before <= 1;
}

bool
bench_wait_for_quiet(void)
{
    const int64_t start = bench_now();
    bool quiet = bench.quick || is_quiet();

    while (!quiet && bench_now() - start < WAIT && bench.waited < PATIENCE) {
        bench.waited += LOOK;
        quiet = is_quiet();
    }
    bench.all++;
    bench.loud += !quiet;
    return quiet;
}

/* --- Measuring */

struct bench_run
bench_run(int64_t span)
{
    return (struct bench_run){.span = span};
}

bool
bench_goes_on(struct bench_run *run)
{
    const int64_t now = bench_now();

    if (run->begun == 0) {
        run->begun = now;
    } else if (run->counted_from == 0) {
        if (now - run->begun >= run->span / 2)
            run->counted_from = now;
    } else {
        run->batches++;
        run->ended = now;
        if (now - run->begun >= run->span)
            return false;
    }
    return true;
}

double
bench_cost(const struct bench_run *run, int64_t batch)
{
    return (double)(run->ended - run->counted_from) /
           (double)(run->batches * batch);
}

static int
compare(const void *left, const void *right)
{
    const double a = *(const double *)left, b = *(const double *)right;

    return (a > b) - (a < b);
}

void
bench_summarise(struct bench_entry *entry, double *sample, int count, double p)
{
    qsort(sample, (size_t)count, sizeof *sample, compare);
    entry->median = sample[(int)((count - 1) * p + 0.5)];
    entry->least = sample[0];
    entry->most = sample[count - 1];
    entry->rounds = count;
}

static bool
is_left_out(const struct bench_group *group)
{
    return bench.filter && !strstr(group->title, bench.filter);
}

static int64_t
span_of(const struct bench_group *group)
{
    const int64_t span = group->span ? group->span : SPAN;

    return bench.quick ? span / 4 : span;
}

static void
settle(const struct bench_group *group)
{
    if (group->pin > 0)
        bench_pin(group->pin - 1);
    signal_hogs(group->hogs, SIGCONT);
    if (group->hogs > 0)
        bench_sleep(SETTLE);
}

static void
unsettle(const struct bench_group *group)
{
    signal_hogs(group->hogs, SIGSTOP);
    bench_unpin();
}

/* One round: every second one backwards, so that nobody always follows the
 * same one. An entry that could not run is not asked again. */
static void
run_round(const struct bench_group *group, struct bench_entry *entries,
          int count, int round)
{
    settle(group);
    for (int i = 0; i < count; i++) {
        const int k = round % 2 ? count - 1 - i : i;
        struct bench_entry *entry = &entries[k];

        if (entry->rounds < round)
            continue;
        const double cost = entry->fn(entry->arg, span_of(group));

        if (cost >= 0)
            bench.samples[k][entry->rounds++] = cost;
    }
    unsettle(group);
}

static void
warm_up(const struct bench_group *group, const struct bench_entry *entries,
        int count)
{
    settle(group);
    for (int i = 0; i < count; i++)
        (void)entries[i].fn(entries[i].arg, span_of(group) / 4);
    unsettle(group);
}

static void
describe(const struct bench_group *group)
{
    static int hogs = -1, pin = -1;
    char beside[48] = "";

    if (group->hogs == hogs && group->pin == pin)
        return;
    hogs = group->hogs;
    pin = group->pin;
    if (hogs > 0)
        snprintf(beside, sizeof beside, ", beside %d busy loop%s", hogs,
                 hogs > 1 ? "s" : "");
    if (pin > 0)
        bench_note("all pinned to CPU no. %d%s", pin - 1, beside);
    else
        bench_note("unpinned%s", beside);
}

bool
bench_measure(const struct bench_group *group, struct bench_entry *entries,
              int count)
{
    int loud = 0;

    for (int i = 0; i < count; i++)
        entries[i].rounds = 0;
    if (is_left_out(group))
        return false;
    warm_up(group, entries, count);
    for (int round = 0; round < bench.rounds; round++) {
        loud += !bench_wait_for_quiet();
        run_round(group, entries, count, round);
    }
    describe(group);
    for (int i = 0; i < count; i++) {
        entries[i].loud = loud;
        if (entries[i].rounds > 0)
            bench_summarise(&entries[i], bench.samples[i], entries[i].rounds,
                            0.5);
    }
    return true;
}

const struct bench_entry *
bench_best(const struct bench_entry *entries, int count)
{
    const struct bench_entry *found = NULL;

    for (int i = 1; i < count; i++)
        if (entries[i].rounds > 0 &&
            (!found || entries[i].median < found->median))
            found = &entries[i];
    return found;
}

double
bench_command(const void *command, int64_t span)
{
    double value = -1;
    FILE *pipe = popen(command, "r");

    (void)span;
    if (!pipe)
        return -1;
    if (fscanf(pipe, "%lf", &value) != 1)
        value = -1;
    return pclose(pipe) == 0 ? value : -1;
}

/* --- Memory */

bool
bench_has_memory(size_t mib)
{
    FILE *file = fopen("/proc/meminfo", "re");
    size_t available = 0;
    char line[128];

    while (file && fgets(line, sizeof line, file))
        if (sscanf(line, "MemAvailable: %zu", &available) == 1)
            break;
    if (file)
        fclose(file);
    return available / 1024 >= mib + RESERVE;
}

char *
bench_grow(size_t mib)
{
    const size_t size = mib * MIB;

    if (!bench_has_memory(mib)) {
        bench_note("a parent of %zu MiB is left out: too little memory", mib);
        return NULL;
    }
    char *memory = mmap(NULL, size, PROT_READ | PROT_WRITE,
                        MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

    if (memory == MAP_FAILED)
        return NULL;
    madvise(memory, size, MADV_NOHUGEPAGE);
    for (size_t at = 0; at < size; at += PAGE)
        memory[at] = 1;
    return memory;
}

void
bench_shrink(char *memory, size_t mib)
{
    if (memory)
        munmap(memory, mib * MIB);
}

/* --- The program */

int
bench_rounds(void)
{
    return bench.rounds;
}

void
bench_in_child(void (*fn)(void))
{
    fflush(stdout);
    const pid_t child = fork();

    if (child == 0) {
        fn();
        fflush(stdout);
        _exit(0);
    }
    if (child > 0)
        waitpid(child, NULL, 0);
}

static int
read_rounds(void)
{
    const char *text = getenv("WEFT_BENCH_ROUNDS");
    const long rounds = text ? strtol(text, NULL, 10) : 0;

    if (rounds > 0)
        return rounds < BENCH_ROUNDS ? (int)rounds : BENCH_ROUNDS;
    return bench.quick ? 3 : 11;
}

void
bench_open(const char *program)
{
    struct utsname system;
    const char *quick = getenv("WEFT_BENCH_QUICK");

    bench.quick = quick && *quick && *quick != '0';
    bench.filter = getenv("WEFT_BENCH_FILTER");
    bench.rounds = read_rounds();
    sched_getaffinity(0, sizeof bench.cpus, &bench.cpus);
    uname(&system);
    bench_note(
        "%s: %u CPUs, Linux %s %s; medians of %d rounds, turn about, "
        "each %s",
        program, bench_cpus(), system.release, system.machine, bench.rounds,
        bench.quick ? "at once: not to be trusted" : "after 40 ms of quiet");
    bench_header();
    make_hogs();
}

int
bench_close(void)
{
    bench_note("%d of %d rounds were loud", bench.loud, bench.all);
    for (int i = 0; i < BENCH_HOGS; i++) {
        kill(bench.hogs[i], SIGKILL);
        waitpid(bench.hogs[i], NULL, 0);
    }
    return 0;
}
