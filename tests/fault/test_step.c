/* Kills a worker at every instruction of every operation on shared objects, and
 * looks whether the state is right and everybody who lives goes on. Prints a
 * row an operation.
 *
 * Usage: test_fault_step [--first] [NAME...]: the operations whose names begin
 * so; --first: until something fails. WEFT_FAULT_STRIDE=n: each nth
 * instruction, from another one in each run; if it is not set, each, but few
 * where WEFT_TEST_SCALE asks for a quick run. */
#include "fault.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum {
    COMPLAINTS = 5, /* that are printed, of an operation */
    FAULTS_MOST = 10,
    POINTS_MOST = 100000,
    WIDE = 17, /* a stride */
    LONG_RUN = 1000
};

struct tally {
    unsigned long points, kills, lost, stuck, late, slow;
    int64_t longest;
};

static const struct operation *const tables[] = {
    mutex_operations, rwlock_operations,  semaphore_operations,
    cond_operations,  barrier_operations, event_operations,
    once_operations,  heap_operations,    queue_operations,
};

static unsigned long stride = 1;
static bool first;

static unsigned long
faults(const struct tally *tally)
{
    return tally->lost + tally->stuck + tally->late;
}

static void
complain(const struct tally *tally, const struct arena *arena,
         unsigned long point, const char *what)
{
    if (faults(tally) <= COMPLAINTS)
        printf("%s, killed at point %lu: %s\n", arena->operation->name, point,
               what);
}

static void
is_lost(struct tally *tally, const struct arena *arena, unsigned long point,
        const char *what)
{
    tally->lost++;
    complain(tally, arena, point, what);
}

/* A pause that somebody who lives had to make; too long a one is slow. */
static void
count_pause(struct tally *tally, const struct arena *arena, unsigned long point,
            int64_t pause, const char *who)
{
    char what[128];

    if (pause < 0)
        tally->stuck++;
    else if (pause > LATE)
        tally->slow++;
    if (pause > tally->longest)
        tally->longest = pause;
    if (pause >= 0 && pause <= LATE)
        return;
    if (pause < 0)
        snprintf(what, sizeof what, "%s is stuck", who);
    else
        snprintf(what, sizeof what, "%s went on after %lld ms", who,
                 (long long)pause / MS);
    complain(tally, arena, point, what);
}

/* --- a point */

static void
heirs_sleep(struct arena *arena)
{
    for (unsigned i = 0; i < arena->operation->heirs; i++)
        heir_order_asleep(arena, i);
}

static void
companion_check(struct tally *tally, struct arena *arena, unsigned long point,
                uint32_t rounds, int64_t since)
{
    count_pause(tally, arena, point, companion_goes_on(arena, rounds, since),
                "the companion");
}

/* The victim is dead: all others go on. */
static void
look_at_others(struct tally *tally, struct arena *arena, unsigned long point,
               int64_t since)
{
    const struct operation *operation = arena->operation;
    uint32_t rounds = atomic_load(&arena->rounds);

    if (operation->at_once)
        companion_check(tally, arena, point, rounds, since);
    const char *fault = operation->settle ? operation->settle(arena) : NULL;

    if (fault)
        is_lost(tally, arena, point, fault);
    since = fault_now();
    for (unsigned i = 0; i < HEIRS; i++) {
        count_pause(tally, arena, point, heir_await(arena, i, since),
                    "an heir");
        if (!atomic_load(&arena->heirs[i].right))
            is_lost(tally, arena, point, "an heir did not get what it should");
    }
    rounds = atomic_load(&arena->rounds);
    companion_check(tally, arena, point, rounds, since);
}

static void
look_at_state(struct tally *tally, struct arena *arena, unsigned long point)
{
    if (!companion_pause(arena)) {
        tally->stuck++;
        complain(tally, arena, point, "the companion does not pause");
        return;
    }
    if (atomic_exchange(&arena->failed, 0) > 0)
        is_lost(tally, arena, point, "the companion saw something wrong");
    const char *fault = arena->operation->check(arena);

    if (fault)
        is_lost(tally, arena, point, fault);
}

static void
heirs_forget(struct arena *arena)
{
    for (unsigned i = 0; i < HEIRS; i++)
        atomic_store(&arena->heirs[i].right, 1);
}

/* Whether there may be another point behind this one. */
static bool
kill_at(struct tally *tally, struct arena *arena, unsigned long point)
{
    const struct operation *operation = arena->operation;
    struct victim victim;
    enum reached reached = ASTRAY;

    heirs_forget(arena);
    if (operation->prepare)
        operation->prepare(arena);
    companion_resume(arena);
    if (victim_start(&victim, arena)) {
        if (!operation->granted)
            heirs_sleep(arena);
        reached = victim_step(&victim, arena, point, heirs_sleep);
    }
    const int64_t since = fault_now();

    if (!victim_end(&victim))
        is_lost(tally, arena, point, "the victim cannot be joined");
    tally->kills++;
    tally->points += reached == REACHED;
    if (reached == ASTRAY)
        is_lost(tally, arena, point, "the victim went astray");
    look_at_others(tally, arena, point, since);
    look_at_state(tally, arena, point);
    return reached == REACHED;
}

/* Late is who is slow again at the same point: once it may be the machine. */
static bool
kill_twice_if_slow(struct tally *tally, struct arena *arena,
                   unsigned long point)
{
    const unsigned long slow = tally->slow;
    bool more = kill_at(tally, arena, point);

    if (tally->slow == slow || faults(tally) > 0)
        return more;
    const unsigned long again = tally->slow;

    tally->points -= more;
    more = kill_at(tally, arena, point);
    tally->late += tally->slow > again;
    return more;
}

/* --- an operation */

/* Never where others have been: the main process may be known to hold one. */
static struct arena *
make_objects(const struct operation *operation)
{
    struct arena *arena = weft_shared_alloc(sizeof *arena);

    if (!arena) {
        printf("%s\n", weft_why());
        exit(1);
    }
    arena->operation = operation;
    arena->stride = stride;
    atomic_store(&arena->pause, 1);
    return arena;
}

/* After a failure all is made anew. */
static void
try(struct tally *tally, const struct operation *operation)
{
    unsigned long point = (unsigned long)(fault_now() / MS) % stride;
    unsigned long before = 0;
    bool more = true;

    while (more && point < POINTS_MOST && faults(tally) < FAULTS_MOST) {
        struct arena *arena = make_objects(operation);

        helpers_start(arena);
        before = faults(tally);
        for (; more && point < POINTS_MOST && faults(tally) == before;
             point += stride)
            more = kill_twice_if_slow(tally, arena, point);
        helpers_end(arena);
        if (first && faults(tally) > 0)
            break;
    }
}

static void
print_row(const char *name, const struct tally *tally)
{
    printf("%-36s %6lu points %6lu kills %3lu lost %3lu stuck %3lu late, "
           "longest pause %.1f ms\n",
           name, tally->points, tally->kills, tally->lost, tally->stuck,
           tally->late, (double)tally->longest / MS);
    fflush(stdout);
}

static void
add(struct tally *sum, const struct tally *tally)
{
    sum->points += tally->points;
    sum->kills += tally->kills;
    sum->lost += tally->lost;
    sum->stuck += tally->stuck;
    sum->late += tally->late;
    sum->slow += tally->slow;
    if (tally->longest > sum->longest)
        sum->longest = tally->longest;
}

static bool
is_wanted(const char *name, int count, char **names)
{
    for (int i = 0; i < count; i++)
        if (strncmp(name, names[i], strlen(names[i])) == 0)
            return true;
    return count == 0;
}

static void
try_all(struct tally *sum, int count, char **names)
{
    for (size_t i = 0; i < sizeof tables / sizeof *tables; i++)
        for (const struct operation *at = tables[i]; at->name; at++) {
            struct tally tally = {0};

            if (!is_wanted(at->name, count, names) ||
                (first && faults(sum) > 0))
                continue;
            try(&tally, at);
            print_row(at->name, &tally);
            add(sum, &tally);
        }
}

static void
choose_stride(void)
{
    const char *text = getenv("WEFT_FAULT_STRIDE");
    const char *scale = getenv("WEFT_TEST_SCALE");

    if (text && strtoul(text, NULL, 10) > 0)
        stride = strtoul(text, NULL, 10);
    else if (scale && atoi(scale) < LONG_RUN)
        stride = WIDE;
}

int
main(int argc, char **argv)
{
    struct tally sum = {0};
    int at = 1;

    choose_stride();
    if (at < argc && strcmp(argv[at], "--first") == 0) {
        first = true;
        at++;
    }
    setvbuf(stdout, NULL, _IOLBF, 0);
    (void)weft_init(&(weft_options){.quiet = true});
    helpers_ready();
    victim_ready();
    try_all(&sum, argc - at, argv + at);
    print_row("sum", &sum);
    return faults(&sum) > 0 || sum.points == 0;
}
