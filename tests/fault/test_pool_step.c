/* Kills a worker of a process pool at every instruction between the end of a
 * task and the beginning of the next one: while it gives a result, and while it
 * takes what comes next. Of two tasks at most one may die of it, both end
 * within a second, what was given is right, and the pool serves.
 *
 * Usage: test_fault_pool_step [NAME...]: the rows whose names begin so.
 * WEFT_FAULT_STRIDE=n: each nth instruction. */
#include "fault.h"
#include "wait/policy.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

enum {
    COMPLAINTS = 5,
    FAULTS_MOST = 10,
    POINTS_MOST = 100000,
    WIDE = 17, /* a stride */
    LONG_RUN = 1000,
    SECOND = 1000 * MS,
    LARGE = 3000 /* bytes: not inside the channel */
};

/* --- rows */

static const struct row {
    const char *name;
    bool queued; /* the next task is there before the first ends; else the
                    worker sleeps before it comes */
    size_t size; /* of argument and result */
    bool fails;  /* the first task, with a message */
    weft_pool_options options;
} rows[] = {
    {"result, next task queued", true, 8, false, {.workers = 1}},
    {"result, next task comes", false, 8, false, {.workers = 1}},
    {"large ones, queued", true, LARGE, false, {.workers = 1}},
    {"large ones, coming", false, LARGE, false, {.workers = 1}},
    {"failure, queued", true, 8, true, {.workers = 1}},
    {"captured, coming",
     false,
     8,
     false,
     {.workers = 1, .worker = {.capture = 256}}},
    {"renewed, queued", true, 8, false, {.workers = 1, .max_tasks = 1}},
};

struct tally {
    unsigned long points, kills, lost, stuck, late;
    int64_t longest;
};

static struct arena *arena; /* shared with the workers, but not their heap */
static const struct row *row;
static weft_pool *pool;
static weft_job *first, *second;
static unsigned char *bytes; /* of the largest argument */

static unsigned long
faults(const struct tally *tally)
{
    return tally->lost + tally->stuck + tally->late;
}

static void
complain(struct tally *tally, unsigned long *which, unsigned long point,
         const char *what)
{
    ++*which;
    if (faults(tally) <= COMPLAINTS)
        printf("%s, killed at point %lu: %s\n", row->name, point, what);
}

/* --- in the worker */

static int
make_ready(weft_call *call)
{
    (void)call;
    policy_park_only(true); /* a spin has many instructions, all the same */
    return 0;
}

static int
answer(weft_call *call, bool fails)
{
    if (fails)
        return weft_fail(call, "as it should");
    for (size_t i = 0; i < call->arg_size; i++)
        ((unsigned char *)call->result)[i] =
            (unsigned char)~((const unsigned char *)call->arg)[i];
    return 0;
}

static int
end_stepped(weft_call *call)
{
    const int status = answer(call, atomic_load(&arena->flag) != 0);

    atomic_store(&arena->victim, getpid());
    while (!atomic_load(&arena->go))
        syscall(SYS_sched_yield);
    victim_mark();
    return status;
}

/* When it is traced. */
static int
begin_stepped(weft_call *call)
{
    if (atomic_load(&arena->victim) == getpid())
        victim_mark();
    return answer(call, false);
}

static int
just_answer(weft_call *call)
{
    return answer(call, false);
}

/* --- in the program */

static weft_job *
submit(weft_fn *fn)
{
    weft_job *job = NULL;

    if (weft_submit(&job, pool,
                    &(weft_task){.fn = fn,
                                 .name = "step",
                                 .arg = bytes,
                                 .arg_size = row->size,
                                 .result_size = row->size}) < 0)
        printf("not taken: %s\n", weft_why());
    return job;
}

static void
submit_second(struct arena *unused)
{
    (void)unused;
    if (!second)
        second = submit(begin_stepped);
}

static bool
is_right(const weft_outcome *outcome)
{
    const unsigned char *result = outcome->result;

    if (outcome->result_size != row->size)
        return false;
    for (size_t i = 0; i < row->size; i++)
        if (result[i] != (unsigned char)~bytes[i])
            return false;
    return true;
}

/* Whether it died; what it should not be is a complaint. */
static bool
look(struct tally *tally, weft_job *job, unsigned long point, int64_t since,
     bool fails)
{
    const int joined =
        job ? weft_join(job, weft_at(since + STUCK)) : WEFT_EINVAL;
    const int64_t took = fault_now() - since;
    bool died = false;

    if (joined < 0) {
        complain(tally, &tally->stuck, point, "a task does not end");
        return false;
    }
    if (took > tally->longest)
        tally->longest = took;
    if (took > SECOND)
        complain(tally, &tally->late, point, "a task ended after a second");
    const weft_outcome *outcome = weft_outcome_of(job);

    if (outcome->status == WEFT_EDIED && outcome->signal == SIGKILL)
        died = true;
    else if (fails ? outcome->status != WEFT_EFAILED ||
                         strcmp(outcome->message, "as it should") != 0
                   : outcome->status != WEFT_OK || !is_right(outcome))
        complain(tally, &tally->lost, point, outcome->text);
    weft_release(job);
    return died;
}

static bool
await_victim(struct victim *victim)
{
    const int64_t begun = fault_now();

    while (!(victim->pid = atomic_load(&arena->victim))) {
        if (fault_now() - begun > STUCK)
            return false;
        syscall(SYS_sched_yield);
    }
    return true;
}

/* One that leaves after its task reaches no other mark. */
static bool
is_last(enum reached reached)
{
    return reached == ENDED || (reached == ASTRAY && row->options.max_tasks);
}

/* Whether there may be another point behind this one. */
static bool
kill_at(struct tally *tally, unsigned long point)
{
    const struct operation operation = {.name = row->name,
                                        .unblock = submit_second};
    struct victim victim = {0};
    enum reached reached = ASTRAY;

    arena->operation = &operation;
    atomic_store(&arena->victim, 0);
    atomic_store(&arena->go, 0);
    second = NULL;
    first = submit(end_stepped);
    if (row->queued)
        submit_second(arena);
    if (await_victim(&victim))
        reached = victim_step(&victim, arena, point, NULL);
    const int64_t since = fault_now();

    if (victim.pid > 0)
        (void)kill(victim.pid, SIGKILL);
    atomic_store(&arena->victim, -1);
    submit_second(arena);
    tally->kills++;
    tally->points += reached == REACHED;
    if (reached == ASTRAY && !is_last(reached))
        complain(tally, &tally->lost, point, "the worker went astray");
    const bool died = look(tally, first, point, since, row->fails);

    if (look(tally, second, point, since, false) && died)
        complain(tally, &tally->lost, point, "two tasks died of one death");
    if (look(tally, submit(just_answer), point, fault_now(), false))
        complain(tally, &tally->lost, point, "and the next worker");
    return !is_last(reached) && reached == REACHED;
}

static void
print_row(const char *name, const struct tally *tally)
{
    printf("%-36s %6lu points %6lu kills %3lu lost %3lu stuck %3lu late, "
           "longest %.1f ms\n",
           name, tally->points, tally->kills, tally->lost, tally->stuck,
           tally->late, (double)tally->longest / MS);
}

static void
try_row(struct tally *sum, unsigned long stride)
{
    const weft_task ready = {.fn = make_ready, .name = "ready"};
    weft_pool_options options = row->options;
    struct tally tally = {0};
    unsigned long point = (unsigned long)(fault_now() / MS) % stride;

    options.prepare = &ready;
    (void)weft_must(weft_pool_open(&pool, WEFT_PROCESS, &options), "open");
    while (point < POINTS_MOST && faults(&tally) < FAULTS_MOST &&
           kill_at(&tally, point))
        point += stride;
    if (weft_pool_close(pool, fault_soon(STUCK)) < 0)
        complain(&tally, &tally.stuck, point, "the pool does not close");
    print_row(row->name, &tally);
    sum->points += tally.points;
    sum->kills += tally.kills;
    sum->lost += tally.lost;
    sum->stuck += tally.stuck;
    sum->late += tally.late;
    if (tally.longest > sum->longest)
        sum->longest = tally.longest;
}

static bool
is_wanted(const char *name, int count, char **names)
{
    for (int i = 0; i < count; i++)
        if (strncmp(name, names[i], strlen(names[i])) == 0)
            return true;
    return count == 0;
}

static unsigned long
choose_stride(void)
{
    const char *text = getenv("WEFT_FAULT_STRIDE");
    const char *scale = getenv("WEFT_TEST_SCALE");

    if (text && strtoul(text, NULL, 10) > 0)
        return strtoul(text, NULL, 10);
    return scale && atoi(scale) < LONG_RUN ? WIDE : 1;
}

int
main(int argc, char **argv)
{
    struct tally sum = {0};

    setvbuf(stdout, NULL, _IOLBF, 0);
    arena = mmap(NULL, sizeof *arena, PROT_READ | PROT_WRITE,
                 MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    bytes = malloc(LARGE);
    if (arena == MAP_FAILED || !bytes)
        return 1;
    for (size_t i = 0; i < LARGE; i++)
        bytes[i] = (unsigned char)(i * 7 + 1);
    (void)weft_init(&(weft_options){.quiet = true});
    helpers_ready();
    victim_ready();
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        row = &rows[i];
        atomic_store(&arena->flag, row->fails);
        if (is_wanted(row->name, argc - 1, argv + 1))
            try_row(&sum, choose_stride());
    }
    print_row("sum", &sum);
    free(bytes);
    return faults(&sum) > 0 || sum.points == 0;
}
